//! The configs that travel inside the program: every `experiments/configs/*.toml`, found by the build script.

/// A config built into the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// The file's name without `.toml`.
    pub name: &'static str,
    /// The file's content.
    pub text: &'static str,
}

impl BuiltIn {
    /// The comment at the head of the file, its first sentence or line: what the experiment is.
    pub fn about(&self) -> &'static str {
        let line = self.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        line.strip_prefix('#').map(str::trim).unwrap_or_default()
    }
}

include!(concat!(env!("OUT_DIR"), "/built_in_configs.rs"));

/// Every built-in config, by name.
pub fn built_in_configs() -> &'static [BuiltIn] {
    BUILT_IN
}

pub(super) fn find(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|config| config.name == name)
}
