//! Published tensors to a module's parameters.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;

use super::mismatch::{Mismatch, MismatchKind, MismatchRow};
use super::part::{Needed, Part};
use super::rule::{Mapping, Rule};
use super::{MappingError, module};
use crate::pretrained::Checkpoint;
use crate::pretrained::values;

/// How much of a model a checkpoint has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every parameter of the model has its tensors and every tensor its place.
    Whole,
    /// What fits is taken; other parameters stay as they were.
    Partial,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Parameters with published values.
    pub n_parameters: usize,
    /// Published tensors in them.
    pub n_tensors: usize,
    /// Paths of the parameters that stayed as they were; none after a whole import.
    pub left: Vec<String>,
    /// What did not fit; nothing after a whole import.
    pub mismatches: Vec<MismatchRow>,
    /// Published tensors that the family's declaration sets aside.
    pub ignored: Vec<String>,
}

impl Mapping {
    /// The module with the values of the checkpoint.
    ///
    /// # Errors
    /// When something does not fit, unless a partial import was asked for and something fits; when values cannot be
    /// read; when the mapping itself does not fit the module.
    pub fn import<M: Module>(
        &self,
        model: M,
        checkpoint: &Checkpoint,
        completeness: Completeness,
    ) -> Result<(M, Imported), MappingError> {
        let shapes = module::parameters(&model).into_iter().map(|(path, (shape, _))| (path, shape)).collect();
        let rules = self.rules_by_path(&shapes)?;
        let names = Names::new(self, checkpoint);
        let mut rows = Vec::new();
        let mut used = BTreeSet::new();
        let mut fitting: BTreeMap<&str, Vec<Source>> = BTreeMap::new();
        let (mut n_wanted, mut n_fitting) = (0, 0);
        for (path, rule) in &rules {
            let shares = shares(rule, &shapes[*path])?;
            let (mut sources, mut fits) = (Vec::new(), true);
            for (part, share) in rule.parts.iter().zip(shares) {
                let mut found = Vec::new();
                for needed in needed(part, &share, path)? {
                    n_wanted += 1;
                    let name = names.find(needed.name);
                    used.extend(name.iter().cloned());
                    match check(checkpoint, &names.canonical(needed.name), name, &needed.shape) {
                        Ok(name) => found.push(name),
                        Err(row) => {
                            fits = false;
                            rows.push(row);
                        }
                    }
                }
                n_fitting += found.len();
                sources.push(Source { names: found, shape: share });
            }
            if fits {
                fitting.insert(path, sources);
            }
        }
        self.check_tied(checkpoint, &names, &mut used, &mut rows)?;
        let mut ignored = Vec::new();
        for (name, tensor) in checkpoint.tensors() {
            if used.contains(name) {
                continue;
            }
            if self.ignores(name) {
                ignored.push(name.to_owned());
            } else {
                let got = format!("{:?}", tensor.shape);
                rows.push(row(MismatchKind::Unused, name, "none".to_owned(), got));
            }
        }
        rows.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        if !rows.is_empty() && (completeness == Completeness::Whole || n_fitting == 0) {
            let path = checkpoint.path().to_owned();
            return Err(Mismatch { path, rows, n_wanted, n_fitting }.into());
        }
        let model = module::replace(model, |path| {
            fitting.get(path).map(|sources| read(checkpoint, rules[path], sources, &shapes[path])).transpose()
        })?;
        let left = rules.keys().filter(|path| !fitting.contains_key(**path)).map(|path| (*path).to_owned());
        let imported = Imported {
            n_parameters: fitting.len(),
            n_tensors: fitting.values().flatten().map(|source| source.names.len()).sum(),
            left: left.collect(),
            mismatches: rows,
            ignored,
        };
        Ok((model, imported))
    }

    /// Each parameter's rule; they must be the same set.
    pub(super) fn rules_by_path(
        &self,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<BTreeMap<&str, &Rule>, MappingError> {
        let mut rules = BTreeMap::new();
        for rule in &self.rules {
            if rules.insert(rule.ours.as_str(), rule).is_some() || !shapes.contains_key(&rule.ours) {
                return Err(MappingError::Rule { path: rule.ours.clone() });
            }
        }
        match shapes.keys().find(|path| !rules.contains_key(path.as_str())) {
            Some(path) => Err(MappingError::NoRule { path: path.clone() }),
            None => Ok(rules),
        }
    }

    /// Second names of tensors: used if they are there, and wrong if they hold other values than the first.
    fn check_tied(
        &self,
        checkpoint: &Checkpoint,
        names: &Names<'_>,
        used: &mut BTreeSet<String>,
        rows: &mut Vec<MismatchRow>,
    ) -> Result<(), MappingError> {
        for (second, first) in &self.tied {
            let (Some(second), Some(first)) = (names.find(second), names.find(first)) else { continue };
            let same_shape = checkpoint.tensor(&second).map(|tensor| &tensor.shape)
                == checkpoint.tensor(&first).map(|tensor| &tensor.shape);
            if !same_shape || checkpoint.read(&second)? != checkpoint.read(&first)? {
                rows.push(row(
                    MismatchKind::Tied,
                    &second,
                    format!("the same as {first}"),
                    "another".to_owned(),
                ));
            }
            used.insert(second);
        }
        Ok(())
    }
}

/// Where a part of a parameter comes from: the names of its tensors, and its own shape.
struct Source {
    names: Vec<String>,
    shape: Vec<usize>,
}

/// The names of a checkpoint's tensors as the mapping writes them.
struct Names<'a> {
    mapping: &'a Mapping,
    checkpoint: &'a Checkpoint,
    lacks_prefix: bool,
    has_added_prefix: bool,
}

impl<'a> Names<'a> {
    fn new(mapping: &'a Mapping, checkpoint: &'a Checkpoint) -> Self {
        let has = |prefix: &str| checkpoint.tensors().any(|(name, _)| name.starts_with(prefix));
        let lacks_prefix = !has(&mapping.optional_prefix);
        Self { mapping, checkpoint, lacks_prefix, has_added_prefix: has(&mapping.added_prefix) }
    }

    /// The name that a tensor should have in this checkpoint.
    fn canonical(&self, name: &str) -> String {
        let Mapping { optional_prefix, added_prefix, .. } = self.mapping;
        match name.strip_prefix(optional_prefix.as_str()) {
            Some(rest) if self.lacks_prefix => rest.to_owned(),
            _ if self.has_added_prefix => format!("{added_prefix}{name}"),
            _ => name.to_owned(),
        }
    }

    /// The name that it has.
    fn find(&self, name: &str) -> Option<String> {
        let name = self.canonical(name);
        let older = self.mapping.older_endings.iter().filter_map(|(older, ending)| {
            name.strip_suffix(ending.as_str()).map(|stem| format!("{stem}{older}"))
        });
        std::iter::once(name.clone()).chain(older).find(|name| self.checkpoint.tensor(name).is_some())
    }
}

fn row(kind: MismatchKind, name: &str, expected: String, got: String) -> MismatchRow {
    MismatchRow { kind, name: name.to_owned(), expected, got }
}

/// The name of a tensor that is there and has this shape.
fn check(
    checkpoint: &Checkpoint,
    wanted: &str,
    name: Option<String>,
    shape: &[usize],
) -> Result<String, MismatchRow> {
    let expected = format!("{shape:?}");
    let Some((name, tensor)) = name.and_then(|name| checkpoint.tensor(&name).map(|tensor| (name, tensor)))
    else {
        return Err(row(MismatchKind::Missing, wanted, expected, "none".to_owned()));
    };
    if tensor.shape != shape {
        return Err(row(MismatchKind::Shape, &name, expected, format!("{:?}", tensor.shape)));
    }
    if values::decoder(tensor.dtype).is_none() {
        return Err(row(MismatchKind::Type, &name, "floats".to_owned(), format!("{:?}", tensor.dtype)));
    }
    Ok(name)
}

/// The published tensors of a part of a parameter.
pub(super) fn needed<'a>(
    part: &'a Part,
    share: &[usize],
    path: &str,
) -> Result<Vec<Needed<'a>>, MappingError> {
    part.needed(share).ok_or_else(|| MappingError::Layout { path: path.to_owned(), shape: share.to_vec() })
}

/// The shape of each part's share of a parameter.
pub(super) fn shares(rule: &Rule, shape: &[usize]) -> Result<Vec<Vec<usize>>, MappingError> {
    let n = rule.parts.len();
    if n == 1 {
        return Ok(vec![shape.to_vec()]);
    }
    match shape.split_last() {
        Some((&width, rows)) if n > 0 && width.is_multiple_of(n) => {
            Ok(vec![[rows, &[width / n]].concat(); n])
        }
        _ => Err(MappingError::Shares { path: rule.ours.clone(), shape: shape.to_vec(), n }),
    }
}

/// The values of a parameter.
fn read(
    checkpoint: &Checkpoint,
    rule: &Rule,
    sources: &[Source],
    shape: &[usize],
) -> Result<Vec<f32>, MappingError> {
    let part = |part: &Part, source: &Source| -> Result<Vec<f32>, MappingError> {
        let tensors = source.names.iter().map(|name| checkpoint.read(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(part.import(&source.shape, tensors))
    };
    if let ([only], [source]) = (rule.parts.as_slice(), sources) {
        return part(only, source);
    }
    let width = shape.last().copied().unwrap_or(1);
    let mut out = vec![0.0; shape.iter().product()];
    let share = width / sources.len().max(1);
    for (part_idx, (rule, source)) in rule.parts.iter().zip(sources).enumerate() {
        let values = part(rule, source)?;
        if share > 0 {
            for (out, row) in out.chunks_exact_mut(width).zip(values.chunks_exact(share)) {
                out[part_idx * share..][..share].copy_from_slice(row);
            }
        }
    }
    Ok(out)
}
