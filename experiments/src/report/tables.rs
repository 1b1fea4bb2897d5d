//! Scores as tables: a row a hold-out and direction, a column a metric.

use crate::evaluate::ScoreRow;

/// The scores of one task.
pub(super) struct Table<'a> {
    /// The task, as in [`ScoreRow::task`].
    pub(super) task: &'a str,
    /// The metrics, in order of appearance.
    pub(super) columns: Vec<Column<'a>>,
    /// The rows, in order of appearance, those of a hold-out together.
    pub(super) rows: Vec<Row<'a>>,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its unit.
    pub(super) unit: &'a str,
    /// Whether larger is better.
    pub(super) higher_is_better: bool,
}

/// A hold-out and a direction.
pub(super) struct Row<'a> {
    /// The hold-out, as in [`ScoreRow::holdout`].
    pub(super) holdout: &'a str,
    /// The direction, as [`ScoreRow::direction`] words it.
    pub(super) direction: String,
    /// A score for every column that has one.
    pub(super) cells: Vec<Option<&'a ScoreRow>>,
}

impl Row<'_> {
    /// The sample counts behind the row's figures: `802`, or `802–1,604` where they differ.
    pub(super) fn n(&self) -> String {
        let counts = || self.cells.iter().flatten().map(|row| row.n);
        match (counts().min(), counts().max()) {
            (Some(low), Some(high)) if low < high => {
                format!("{}–{}", super::numbers::count(low), super::numbers::count(high))
            }
            (Some(only), _) => super::numbers::count(only),
            _ => String::new(),
        }
    }
}

impl<'a> Column<'a> {
    fn of(row: &'a ScoreRow) -> Self {
        Self { name: &row.name, unit: &row.unit, higher_is_better: row.higher_is_better }
    }
}

/// Arranges scores by task; every score has its own cell.
pub(super) fn arrange(scores: &[ScoreRow]) -> Vec<Table<'_>> {
    let mut tasks: Vec<&str> = Vec::new();
    for score in scores {
        if !tasks.contains(&score.task.as_str()) {
            tasks.push(&score.task);
        }
    }
    tasks.into_iter().map(|task| arrange_task(task, scores)).collect()
}

fn arrange_task<'a>(task: &'a str, scores: &'a [ScoreRow]) -> Table<'a> {
    let scores: Vec<&ScoreRow> = scores.iter().filter(|score| score.task == task).collect();
    let mut columns: Vec<Column> = Vec::new();
    for score in &scores {
        if !columns.contains(&Column::of(score)) {
            columns.push(Column::of(score));
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    for score in &scores {
        let Some(column) = columns.iter().position(|column| *column == Column::of(score)) else { continue };
        let direction = score.direction();
        let fits = |row: &&mut Row| {
            row.holdout == score.holdout && row.direction == direction && row.cells[column].is_none()
        };
        match rows.iter_mut().find(fits) {
            Some(row) => row.cells[column] = Some(score),
            None => {
                let mut cells = vec![None; columns.len()];
                cells[column] = Some(*score);
                let row = Row { holdout: &score.holdout, direction, cells };
                let after = rows.iter().rposition(|other| other.holdout == score.holdout);
                rows.insert(after.map_or(rows.len(), |last| last + 1), row);
            }
        }
    }
    Table { task, columns, rows }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn score(task: &str, holdout: &str, name: &str, value: f64) -> ScoreRow {
        ScoreRow {
            task: task.into(),
            holdout: holdout.into(),
            query: None,
            target: None,
            name: name.into(),
            value,
            unit: "%".into(),
            n: 100,
            low: value - 4.0,
            high: value + 4.0,
            chance: None,
            higher_is_better: true,
        }
    }

    #[test]
    fn holdouts_stay_together_and_no_score_is_lost() {
        let scores = [
            score("asr", "style", "WER", 1.0),
            score("retrieval", "style", "R@1", 2.0),
            score("retrieval", "voice:slt", "R@1", 3.0),
            score("retrieval", "style", "R@5", 4.0),
            score("retrieval", "style", "R@1", 5.0),
        ];
        let tables = arrange(&scores);
        let mut rows: Vec<String> = Vec::new();
        for table in &tables {
            for row in &table.rows {
                let values: Vec<Option<f64>> =
                    row.cells.iter().map(|cell| cell.map(|score| score.value)).collect();
                rows.push(format!("{} {} {values:?}", table.task, row.holdout));
            }
        }
        assert_eq!(
            rows,
            [
                "asr style [Some(1.0)]",
                "retrieval style [Some(2.0), Some(4.0)]",
                "retrieval style [Some(5.0), None]",
                "retrieval voice:slt [Some(3.0), None]",
            ]
        );
    }
}
