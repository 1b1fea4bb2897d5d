//! One declaration for both directions: which published tensors make up which of our parameters.

use super::layout::Layout;
use super::part::Part;

/// A parameter and what makes it up, each part an equal share of its last axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Path of the parameter in the module.
    pub(crate) ours: String,
    pub(crate) parts: Vec<Part>,
}

/// How a family's published tensors lie against the parameters of our module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    pub(super) rules: Vec<Rule>,
    pub(super) ignored: Vec<String>,
    pub(super) tied: Vec<(String, String)>,
    pub(super) older_endings: Vec<(String, String)>,
    pub(super) optional_prefix: String,
    pub(super) added_prefix: String,
}

impl Mapping {
    /// A mapping of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every parameter of a module under its own path.
    pub fn own<M: burn::module::Module>(model: &M) -> Self {
        let mut mapping = Self::new();
        for path in super::module::parameters(model).into_keys() {
            mapping.same(path.clone(), path);
        }
        mapping
    }

    /// The parameter at `ours` is made up of `parts`, side by side along its last axis.
    pub fn parts(&mut self, ours: impl Into<String>, parts: impl Into<Vec<Part>>) {
        self.rules.push(Rule { ours: ours.into(), parts: parts.into() });
    }

    /// The parameter at `ours` is the published tensor, laid out so.
    pub fn tensor(&mut self, ours: impl Into<String>, published: impl Into<String>, layout: Layout) {
        self.parts(ours, [Part::Tensor(published.into(), layout)]);
    }

    /// The parameter at `ours` is the published tensor.
    pub fn same(&mut self, ours: impl Into<String>, published: impl Into<String>) {
        self.tensor(ours, published, Layout::Same);
    }

    /// A [`Linear`](crate::layers::linear::Linear) with a bias.
    pub fn linear(&mut self, ours: &str, published: &str) {
        self.packed(ours, &[published]);
    }

    /// A [`Linear`](crate::layers::linear::Linear) without a bias.
    pub fn linear_without_bias(&mut self, ours: &str, published: &str) {
        self.tensor(format!("{ours}.weight"), format!("{published}.weight"), Layout::Transposed);
    }

    /// A [`Linear`](crate::layers::linear::Linear) whose outputs are those of several published ones, such as queries, keys
    /// and values.
    pub fn packed(&mut self, ours: &str, published: &[&str]) {
        let part = |name: &&str| Part::Tensor(format!("{name}.weight"), Layout::Transposed);
        self.parts(format!("{ours}.weight"), published.iter().map(part).collect::<Vec<_>>());
        let part = |name: &&str| Part::Tensor(format!("{name}.bias"), Layout::Same);
        self.parts(format!("{ours}.bias"), published.iter().map(part).collect::<Vec<_>>());
    }

    /// A [`LayerNorm`](crate::layers::linear::LayerNorm).
    pub fn norm(&mut self, ours: &str, published: &str) {
        self.same(format!("{ours}.gamma"), format!("{published}.weight"));
        self.same(format!("{ours}.beta"), format!("{published}.bias"));
    }

    /// A convolution with a bias as a [`Linear`](crate::layers::linear::Linear) over unfolded patches.
    pub fn convolution(&mut self, ours: &str, published: &str, kernel: &[usize]) {
        let layout = Layout::Kernel(kernel.to_vec());
        self.tensor(format!("{ours}.weight"), format!("{published}.weight"), layout);
        self.same(format!("{ours}.bias"), format!("{published}.bias"));
    }

    /// Published tensors that hold nothing for our module, such as the head of another task or a buffer: those whose
    /// name begins or ends so, or is that, where `*` stands for anything at either end.
    pub fn ignore(&mut self, pattern: impl Into<String>) {
        self.ignored.push(pattern.into());
    }

    /// A published tensor that is another one by a second name: where a file holds both they must be equal. It is not
    /// exported.
    pub fn tied(&mut self, second: impl Into<String>, first: impl Into<String>) {
        self.tied.push((second.into(), first.into()));
    }

    /// Names that end in `older` are read as if they ended in `ending`.
    pub fn older_ending(&mut self, older: impl Into<String>, ending: impl Into<String>) {
        self.older_endings.push((older.into(), ending.into()));
    }

    /// What names begin with in files that were saved with a head on the model, and not in those of the model alone. The
    /// mapping names them without it, as they are exported.
    pub fn added_prefix(&mut self, prefix: impl Into<String>) {
        self.added_prefix = prefix.into();
    }

    /// The same, where the mapping names them with it.
    pub fn optional_prefix(&mut self, prefix: impl Into<String>) {
        self.optional_prefix = prefix.into();
    }

    pub(super) fn ignores(&self, name: &str) -> bool {
        self.ignored.iter().any(|pattern| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(end), None) => name.ends_with(end),
            (None, Some(start)) => name.starts_with(start),
            (Some(rest), Some(_)) => name.contains(rest.trim_end_matches('*')),
            (None, None) => name == pattern,
        })
    }
}
