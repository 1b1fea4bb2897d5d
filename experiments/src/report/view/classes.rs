//! How each class was recognised, and what was taken for what.

use minijinja::{context, value::Value};
use triptych_tasks::metrics::proportion_interval;

use crate::evaluate::{ClassOutcome, Confusion, ScoreRow, worst_first};
use crate::report::{
    inputs::{ClassTable, TriedStrength},
    numbers, plot, strip,
};

/// The most classes shown of a table, the worst first.
const MAX_CLASSES: usize = 120;
/// As many stand open; the rest unfolds.
const OPEN_CLASSES: usize = 12;
/// The most confusions shown of a table.
const MAX_CONFUSIONS: usize = 8;

pub(super) fn tables(tables: &[ClassTable]) -> Vec<Value> {
    tables.iter().map(table).collect()
}

fn table(table: &ClassTable) -> Value {
    let scale = plot::Axis::linear(0.0, 100.0);
    let classes = worst_first(&table.classes);
    let n_absent = table.classes.len() - classes.len();
    let total = classes.len();
    let mut items = classes.into_iter().take(MAX_CLASSES).map(|it| class(it, &scale)).collect::<Vec<_>>();
    let shown = items.len();
    let more = items.split_off(shown.min(OPEN_CLASSES));
    let confusions = table.confusions.iter().take(MAX_CONFUSIONS).map(confusion).collect::<Vec<_>>();
    let n_confusions = table.confusions.len();
    context! {
        task => numbers::task(&table.task),
        direction => format!("{} → {}", table.query, table.target),
        holdout => numbers::holdout(&table.holdout),
        remark => &table.remark,
        classes => items, more,
        shown => numbers::count(shown), total => numbers::count(total),
        n_absent => numbers::count(n_absent), has_absent => n_absent > 0,
        confusions,
        n_confusions => numbers::count(n_confusions), has_more_confusions => n_confusions > MAX_CONFUSIONS,
        strengths => table.strengths.iter().map(strength).collect::<Vec<_>>(),
    }
}

fn class(class: &ClassOutcome, scale: &plot::Axis) -> Value {
    let share = |part: usize, of: usize| if of == 0 { 0.0 } else { 100.0 * part as f64 / of as f64 };
    let interval = proportion_interval(class.n_right.min(class.n), class.n);
    let row = ScoreRow {
        task: String::new(),
        holdout: String::new(),
        query: None,
        target: None,
        name: String::new(),
        value: share(class.n_right, class.n),
        unit: "%".to_owned(),
        n: class.n,
        low: interval.low,
        high: interval.high,
        chance: None,
        higher_is_better: true,
    };
    context! {
        name => &class.name,
        right => numbers::count(class.n_right),
        n => numbers::count(class.n),
        value => numbers::figure(row.value, &row.unit),
        interval => numbers::interval(&row),
        bar => Value::from_safe_string(strip::bar(&row, scale)),
        n_predicted => numbers::count(class.n_predicted),
        precision => (class.n_predicted > 0)
            .then(|| numbers::figure(share(class.n_right, class.n_predicted), "%")),
    }
}

fn confusion(confusion: &Confusion) -> Value {
    let share = 100.0 * confusion.n as f64 / confusion.n_label.max(1) as f64;
    context! {
        label => &confusion.label,
        predicted => &confusion.predicted,
        n => numbers::count(confusion.n),
        of => numbers::count(confusion.n_label),
        share => numbers::figure(share, "%"),
    }
}

fn strength(tried: &TriedStrength) -> Value {
    context! {
        c => numbers::significant(tried.c, 3),
        accuracy => numbers::figure(tried.accuracy, "%"),
        loss => numbers::significant(tried.loss, 4),
        is_chosen => tried.is_chosen,
    }
}
