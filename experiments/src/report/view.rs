//! The report's inputs as the templates see them: words, rounded figures and finished drawings.

use minijinja::{context, value::Value};

use super::{
    inputs::{Headline, Machine, ReportInputs, Series, Stage},
    numbers, plot, selection, strip,
    tables::{self, Table},
};
use crate::evaluate::ScoreRow;

mod classes;
mod examples;

/// Everything on the page.
pub(super) fn page(inputs: &ReportInputs) -> Value {
    let chosen = if inputs.headline.is_empty() { selection::headline(&inputs.scores) } else { Vec::new() };
    let cards = if inputs.headline.is_empty() { &chosen } else { &inputs.headline };
    let tables: Vec<Value> = tables::arrange(&inputs.scores).iter().map(table).collect();
    let losses: Vec<Value> = inputs.losses.iter().filter_map(curve).collect();
    let progress: Vec<Value> = inputs.progress.iter().filter_map(curve).collect();
    let machine = machine(&inputs.machine, inputs.peak_memory_bytes);
    let (captions, answers, transcripts, searches) = (
        examples::captions(&inputs.captions),
        examples::answers(&inputs.answers),
        examples::transcripts(&inputs.transcripts),
        examples::searches(&inputs.searches),
    );

    let classes = classes::tables(&inputs.classes);

    let sections: Vec<Value> = [
        ("figures", "What this model does", !cards.is_empty()),
        ("scores", "Scores", !tables.is_empty()),
        ("classes", "Classes", !classes.is_empty()),
        ("captions", "Captions it wrote", !inputs.captions.items.is_empty()),
        ("answers", "Questions it answered", !inputs.answers.items.is_empty()),
        ("searches", "Searches", !inputs.searches.items.is_empty()),
        ("transcripts", "Speech it heard", !inputs.transcripts.items.is_empty()),
        ("training", "Training", !(losses.is_empty() && progress.is_empty())),
        ("machine", "Machine and time", !(machine.is_empty() && inputs.stages.is_empty())),
        ("data", "Data and licences", !inputs.ledger.is_empty()),
        ("config", "Configuration", !inputs.config_toml.trim().is_empty()),
        ("next", "Next steps", !inputs.next_steps.is_empty()),
    ]
    .into_iter()
    .filter(|(_, _, is_present)| *is_present)
    .map(|(id, title, _)| context! { id, title })
    .collect();

    let run = &inputs.run;
    let facts: Vec<Value> =
        run.facts.iter().map(|fact| context! { label => &fact.label, value => &fact.value }).collect();
    let ledger: Vec<Value> = inputs
        .ledger
        .iter()
        .map(|row| {
            context! {
                part => &row.part, source => &row.source, version => &row.version,
                licence => &row.licence, attribution => &row.attribution,
            }
        })
        .collect();
    let next: Vec<Value> = inputs
        .next_steps
        .iter()
        .map(|step| context! { command => &step.command, purpose => &step.purpose })
        .collect();

    context! {
        run => context! { name => &run.name, title => title(inputs), summary => &run.summary, facts },
        sections,
        notes => inputs.notes.iter().map(Value::from).collect::<Vec<_>>(),
        cards => cards.iter().map(card).collect::<Vec<_>>(),
        tables, classes, captions, answers, transcripts, searches, losses, progress, machine,
        stages => stages(&inputs.stages),
        config => inputs.config_toml.trim(),
        config_lines => inputs.config_toml.trim().lines().count(),
        ledger, next,
    }
}

fn title(inputs: &ReportInputs) -> &str {
    match (inputs.run.title.as_str(), inputs.run.name.as_str()) {
        ("", "") => "Triptych run",
        ("", name) => name,
        (title, _) => title,
    }
}

/// A figure with everything that is said beside it.
fn cell(row: &ScoreRow, scale: &plot::Axis) -> Value {
    context! {
        name => &row.name,
        value => numbers::figure(row.value, &row.unit),
        sign => numbers::sign(&row.unit),
        unit => &row.unit,
        interval => numbers::interval(row),
        chance => chance(row),
        n => numbers::count(row.n),
        higher_is_better => row.higher_is_better,
        bar => Value::from_safe_string(strip::bar(row, scale)),
    }
}

fn card(headline: &Headline) -> Value {
    let row = &headline.score;
    context! {
        label => &headline.label,
        holdout => numbers::holdout(&row.holdout),
        metric => numbers::metric(&row.name),
        score => cell(row, &strip::scale([row])),
    }
}

fn table(table: &Table) -> Value {
    let has_direction = table.rows.iter().any(|row| !row.direction.is_empty());
    let scales: Vec<plot::Axis> = (0..table.columns.len())
        .map(|column| strip::scale(table.rows.iter().filter_map(|row| row.cells[column])))
        .collect();
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            context! {
                name => column.name,
                sign => numbers::sign(column.unit),
                higher_is_better => column.higher_is_better,
                meaning => numbers::metric(column.name),
            }
        })
        .collect();
    let groups: Vec<Value> = table
        .rows
        .chunk_by(|a, b| a.holdout == b.holdout)
        .map(|group| holdout_group(group, &scales))
        .collect();
    context! {
        id => table.task, title => numbers::task(table.task), has_direction, columns, groups, dots => dots(table),
    }
}

/// The rows of one hold-out. What guessing scores is said once for the whole group where it is the same for all rows.
fn holdout_group(group: &[tables::Row], scales: &[plot::Axis]) -> Value {
    let shared: Vec<Option<String>> = (0..scales.len())
        .map(|column| {
            let mut chances = group.iter().filter_map(|row| row.cells[column]).map(chance);
            let first = chances.next()??;
            chances.all(|other| other.as_ref() == Some(&first)).then_some(first)
        })
        .collect();
    let rows: Vec<Value> = group
        .iter()
        .map(|row| {
            let cells: Vec<Value> = row
                .cells
                .iter()
                .zip(scales)
                .map(|(score, scale)| score.map_or(Value::from(()), |score| cell(score, scale)))
                .collect();
            context! { direction => &row.direction, cells, n => row.n() }
        })
        .collect();
    context! { holdout => numbers::holdout(group[0].holdout), shared, rows }
}

fn chance(row: &ScoreRow) -> Option<String> {
    row.chance.map(|chance| numbers::chance(chance, &row.unit))
}

/// The percentages of a table as a dot plot, where there are enough rows to compare.
fn dots(table: &Table) -> Option<Value> {
    let shown: Vec<usize> =
        (0..table.columns.len()).filter(|c| table.columns[*c].unit == "%").take(strip::MAX_MARKS).collect();
    if shown.is_empty() || table.rows.len() < 3 {
        return None;
    }
    let cells = |row: &tables::Row<'_>| shown.iter().filter_map(|c| row.cells[*c]).count();
    let scale = strip::scale(table.rows.iter().flat_map(|row| shown.iter().filter_map(|c| row.cells[*c])));
    let keys: Vec<Value> = shown
        .iter()
        .enumerate()
        .map(|(index, c)| {
            context! { mark => Value::from_safe_string(strip::key(index)), name => table.columns[*c].name }
        })
        .collect();
    let groups: Vec<Value> = table
        .rows
        .chunk_by(|a, b| a.holdout == b.holdout)
        .map(|group| {
            let rows: Vec<Value> = group
                .iter()
                .filter(|row| cells(row) > 0)
                .map(|row| {
                    let marks: Vec<Option<&ScoreRow>> = shown.iter().map(|c| row.cells[*c]).collect();
                    let text: Vec<String> = marks
                        .iter()
                        .flatten()
                        .map(|score| numbers::figure(score.value, &score.unit))
                        .collect();
                    let strip = Value::from_safe_string(strip::strip(&marks, &scale));
                    context! { direction => &row.direction, strip, text => text.join(" · ") }
                })
                .collect();
            context! { holdout => numbers::holdout(group[0].holdout), rows }
        })
        .collect();
    let has_chance =
        table.rows.iter().flat_map(|row| &row.cells).flatten().any(|score| score.chance.is_some());
    Some(context! { keys, groups, has_chance, ruler => Value::from_safe_string(strip::ruler(&scale, "%")) })
}

fn curve(series: &Series) -> Option<Value> {
    let plot = plot::line(series)?;
    Some(context! {
        name => &series.name,
        svg => Value::from_safe_string(plot.svg),
        last => numbers::significant(plot.last, 3),
        unit => &series.unit,
        remarks => plot.remarks,
    })
}

fn machine(machine: &Machine, peak_memory_bytes: Option<u64>) -> Vec<Value> {
    let facts = [
        ("processor", machine.cpu.clone()),
        ("cores", machine.cores.map(numbers::count).unwrap_or_default()),
        ("threads used", machine.threads.map(numbers::count).unwrap_or_default()),
        ("device", machine.device.clone()),
        ("memory", machine.memory_bytes.map(numbers::bytes).unwrap_or_default()),
        ("peak memory of the run", peak_memory_bytes.map(numbers::bytes).unwrap_or_default()),
        ("system", machine.os.clone()),
    ];
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| context! { label, value })
        .collect()
}

fn stages(stages: &[Stage]) -> Value {
    let seconds = |stage: &Stage| if stage.seconds.is_finite() { stage.seconds.max(0.0) } else { 0.0 };
    let total: f64 = stages.iter().map(seconds).sum();
    let rows: Vec<Value> = stages
        .iter()
        .map(|stage| {
            let share = if total > 0.0 { 100.0 * seconds(stage) / total } else { 0.0 };
            context! {
                name => &stage.name,
                time => numbers::duration(stage.seconds),
                share => format!("{share:.1}"),
            }
        })
        .collect();
    context! { rows, total => numbers::duration(total) }
}
