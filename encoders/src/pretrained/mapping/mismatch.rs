//! All that does not fit between a checkpoint and a model, at once.

use std::fmt;
use std::path::PathBuf;

/// Rows of one kind that a message shows.
const MOST_ROWS: usize = 25;

/// What is wrong with one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MismatchKind {
    /// The checkpoint lacks it.
    Missing,
    /// It has another shape than the model's.
    Shape,
    /// Its values are no floats.
    Type,
    /// It should be the same as another one and is not.
    Tied,
    /// The model has no place for it.
    Unused,
}

impl fmt::Display for MismatchKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Shape => "of another shape",
            Self::Type => "of another type",
            Self::Tied => "not what it is tied to",
            Self::Unused => "unused",
        })
    }
}

/// A tensor that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MismatchRow {
    /// What is wrong.
    pub kind: MismatchKind,
    /// Its published name.
    pub name: String,
    /// Shape, type or other tensor that the model wants.
    pub expected: String,
    /// What the checkpoint has.
    pub got: String,
}

/// A checkpoint that is not one of the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// The checkpoint.
    pub path: PathBuf,
    /// What does not fit, by kind and name.
    pub rows: Vec<MismatchRow>,
    /// Tensors that the model wants.
    pub n_wanted: usize,
    /// Those of them that fit.
    pub n_fitting: usize,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, rows, n_wanted, n_fitting } = self;
        write!(f, "{} does not fit the model: {n_fitting} of {n_wanted} tensors fit", path.display())?;
        let mut kinds = rows.iter().map(|row| row.kind).collect::<Vec<_>>();
        kinds.dedup();
        for &kind in &kinds {
            let n = rows.iter().filter(|row| row.kind == kind).count();
            write!(f, ", {n} {kind}")?;
        }
        let shown = |kind| rows.iter().filter(move |row| row.kind == kind).take(MOST_ROWS);
        let all = || kinds.iter().flat_map(|&kind| shown(kind));
        let width = |of: &dyn Fn(&MismatchRow) -> usize, least| all().map(of).max().unwrap_or(0).max(least);
        let name_width = width(&|row| row.name.chars().count(), "tensor".len());
        let expected_width = width(&|row| row.expected.chars().count(), "expected".len());
        write!(f, "\n  {:name_width$}  {:expected_width$}  got", "tensor", "expected")?;
        for &kind in &kinds {
            for MismatchRow { name, expected, got, .. } in shown(kind) {
                write!(f, "\n  {name:name_width$}  {expected:expected_width$}  {got}")?;
            }
            let n = rows.iter().filter(|row| row.kind == kind).count();
            if n > MOST_ROWS {
                write!(f, "\n  and {} more {kind}", n - MOST_ROWS)?;
            }
        }
        Ok(())
    }
}

impl Mismatch {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(if 2 * self.n_fitting < self.n_wanted {
            "less than half of the model is there: it is a checkpoint of another family, or its config.json is not its own"
                .to_owned()
        } else {
            "`--partial` takes what fits and leaves the rest at random".to_owned()
        })
    }
}
