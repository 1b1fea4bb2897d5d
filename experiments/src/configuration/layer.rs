//! The layers of an experiment: its file, the files that it extends, and the `--set` overrides.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::builtin;
use super::error::{ConfigError, Problem, nearest};
use super::published::{self, Part};
use super::tree::{Node, Place, Value};

/// One text that sets values, from the weakest to the strongest.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// As shown in messages: a path, `built-in NAME`, or `--set`.
    pub(super) name: String,
    pub(super) text: Arc<str>,
    pub(super) is_override: bool,
}

/// Layers and their trees, in the same order.
#[derive(Debug, Default)]
pub(super) struct Layers {
    layers: Vec<Layer>,
    trees: Vec<Node>,
    /// What published weights brought, and their folders.
    brought: Vec<(String, Node)>,
}

/// Reads `experiment`, whatever it extends, and the overrides.
pub(super) fn load(experiment: &str, overrides: &[String]) -> Result<Layers, ConfigError> {
    let mut layers = Layers::default();
    let source = Source::find(experiment, None)?;
    layers.load_file(source, None, &mut Vec::new())?;
    for assignment in overrides {
        layers.load_override(assignment)?;
    }
    layers.load_published()?;
    Ok(layers)
}

impl Layers {
    /// The layers, what published weights brought, and one tree of all.
    pub(super) fn merge(self) -> (Vec<Layer>, Vec<(String, Node)>, Node) {
        let Layers { layers, trees, brought } = self;
        let mut trees = trees.into_iter().zip(&layers);
        let empty = Node { value: Value::Table(Vec::new()), place: Place { layer: 0, span: 0..0 } };
        let mut merged = trees.next().map_or(empty, |(tree, _)| tree);
        for (tree, layer) in trees {
            merged.merge(tree, layer.is_override);
        }
        (layers, brought, merged)
    }

    fn load_file(
        &mut self,
        source: Source,
        extended_at: Option<Problem>,
        chain: &mut Vec<Source>,
    ) -> Result<(), ConfigError> {
        if let Some(start) = chain.iter().position(|seen| seen.identity() == source.identity()) {
            let names: Vec<String> = chain[start..].iter().chain([&source]).map(Source::name).collect();
            let problem = extended_at.unwrap_or_else(|| Problem::new("", "", 0..0));
            return Err(problem
                .with_message(format!("configs extend each other in a circle: {}", names.join(" -> ")))
                .with_label("closes the circle")
                .with_hint("let one of them stand alone")
                .into());
        }
        let text: Arc<str> = source.read(extended_at)?.into();
        let name = source.name();
        let root = DeTable::parse(&text).map_err(|error| {
            Problem::new(&name, &text, error.span().unwrap_or(0..0))
                .with_message("this is not valid TOML")
                .with_label(error.message().trim())
        })?;
        let table = root.get_ref();
        chain.push(source);
        if let Some((_, extends)) = table.get_key_value("extends") {
            let problem = Problem::new(&name, &text, extends.span());
            let DeValue::String(base) = extends.get_ref() else {
                return Err(problem
                    .with_message("`extends` names one config")
                    .with_label("expected a string, a path or the name of a built-in config")
                    .into());
            };
            let base = Source::find(base, Some((&chain[chain.len() - 1], &problem)))?;
            self.load_file(base, Some(problem), chain)?;
        }
        chain.pop();
        let layer = self.layers.len();
        let mut tree = Node::from_table(table, layer, 0..0);
        if let Value::Table(entries) = &mut tree.value {
            entries.retain(|entry| entry.key != "extends");
        }
        self.layers.push(Layer { name, text: Arc::clone(&text), is_override: false });
        self.trees.push(tree);
        Ok(())
    }

    /// What the published weights bring that `start` names, each under the layer that names them. A layer that holds the
    /// encoder's sizes itself is a resolved config, which has all of it.
    fn load_published(&mut self) -> Result<(), ConfigError> {
        for part in Part::ALL {
            let names_it = |tree: &Node| tree.get(&["start", part.key()]).is_some();
            let Some(at) = self.trees.iter().rposition(names_it) else { continue };
            let Some(Node { value: Value::String(folder), place }) =
                self.trees[at].get(&["start", part.key()])
            else {
                continue;
            };
            if self.trees[at].get(&["model", part.key()]).is_some() {
                continue;
            }
            let folder = folder.clone();
            let text = published::brought(part, Path::new(&folder)).map_err(|error| {
                let layer = &self.layers[at];
                let problem = Problem::new(&layer.name, &layer.text, place.span.clone())
                    .with_message(format!("`start.{}`: {error}", part.key()))
                    .with_label("named here");
                match error.hint() {
                    Some(hint) => problem.with_hint(hint),
                    None => problem,
                }
            })?;
            let name = format!("published {folder}");
            let table = DeTable::parse(&text).map_err(|error| {
                Problem::new(&name, &text, error.span().unwrap_or(0..0))
                    .with_message("this is not valid TOML")
            })?;
            let tree = Node::from_table(table.get_ref(), at, 0..0);
            self.trees[at..].iter_mut().for_each(|tree| tree.move_up(at));
            self.brought.iter_mut().for_each(|(_, tree)| tree.move_up(at));
            self.brought.push((folder, tree.clone()));
            self.layers.insert(at, Layer { name, text: text.as_str().into(), is_override: false });
            self.trees.insert(at, tree);
        }
        Ok(())
    }

    /// `a.b=value`: the value in TOML's syntax, or any text that is none, which then is a string.
    fn load_override(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let problem = |span| Problem::new("--set", assignment, span);
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(problem(0..assignment.len())
                .with_message("`--set` takes `key=value`")
                .with_label("expected an `=`")
                .with_hint("for example `--set train.steps=200`")
                .into());
        };
        let value_span = key.len() + 1..assignment.len();
        let layer = self.layers.len();
        let mut tree = match DeTable::parse(assignment) {
            Ok(table) => Node::from_table(table.get_ref(), layer, 0..0),
            Err(error) => {
                let is_bare = !value.trim_start().starts_with(['"', '\'', '[', '{']);
                let placeholder = format!("{key}=''");
                match DeTable::parse(&placeholder) {
                    Ok(table) if is_bare => {
                        let mut tree = Node::from_table(table.get_ref(), layer, 0..0);
                        *only_leaf(&mut tree) = Node {
                            value: Value::String(value.trim().to_owned()),
                            place: Place { layer, span: value_span },
                        };
                        tree
                    }
                    _ => {
                        return Err(problem(value_span)
                            .with_message("`--set` takes a key and a value in TOML's syntax")
                            .with_label(error.message().trim())
                            .into());
                    }
                }
            }
        };
        if let Value::Table(entries) = &mut tree.value
            && let [entry] = entries.as_slice()
            && entry.key == "extends"
        {
            return Err(problem(entry.key_place.span.clone())
                .with_message("`extends` cannot be set from the command line")
                .with_label("only a config file extends another")
                .into());
        }
        self.layers.push(Layer { name: "--set".to_owned(), text: assignment.into(), is_override: true });
        self.trees.push(tree);
        Ok(())
    }
}

/// Follows a chain of one-key tables to its end.
fn only_leaf(node: &mut Node) -> &mut Node {
    if matches!(&node.value, Value::Table(entries) if entries.len() == 1) {
        let Value::Table(entries) = &mut node.value else { unreachable!("matched above") };
        return only_leaf(&mut entries[0].node);
    }
    node
}

/// Where a layer's text comes from.
#[derive(Clone, Debug)]
enum Source {
    BuiltIn(&'static builtin::BuiltIn),
    File(PathBuf),
}

impl Source {
    /// `named_by`: the config that extends this one, and where it says so.
    fn find(reference: &str, named_by: Option<(&Source, &Problem)>) -> Result<Source, ConfigError> {
        let is_path = reference.ends_with(".toml") || reference.contains(['/', '\\']);
        if is_path {
            let path = Path::new(reference);
            return match named_by {
                // inside the program there are no folders: the file's name is the config's
                Some((Source::BuiltIn(_), _)) => {
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    Source::find(&stem, named_by)
                }
                Some((Source::File(parent), _)) => {
                    Ok(Source::File(parent.parent().unwrap_or(Path::new("")).join(path)))
                }
                None => Ok(Source::File(path.to_owned())),
            };
        }
        if let Some(config) = builtin::find(reference) {
            return Ok(Source::BuiltIn(config));
        }
        let names: Vec<&str> = builtin::built_in_configs().iter().map(|config| config.name).collect();
        let hint = match nearest(reference, &names) {
            Some(name) => format!("did you mean `{name}`? a file is named by its path, ending in .toml"),
            None => format!("built in: {}; a file is named by its path, ending in .toml", names.join(", ")),
        };
        Err(match named_by {
            Some((_, problem)) => problem
                .clone()
                .with_message(format!("there is no built-in config `{reference}`"))
                .with_label("named here")
                .with_hint(hint)
                .into(),
            None => ConfigError::UnknownName { name: reference.to_owned(), hint },
        })
    }

    /// Two sources with the same identity are one file.
    fn identity(&self) -> PathBuf {
        match self {
            Source::BuiltIn(config) => PathBuf::from(format!("<{}>", config.name)),
            Source::File(path) => path.canonicalize().unwrap_or_else(|_| path.clone()),
        }
    }

    fn name(&self) -> String {
        match self {
            Source::BuiltIn(config) => format!("built-in {}", config.name),
            Source::File(path) => tidy(path).display().to_string(),
        }
    }

    fn read(&self, extended_at: Option<Problem>) -> Result<String, ConfigError> {
        let path = match self {
            Source::BuiltIn(config) => return Ok(config.text.to_owned()),
            Source::File(path) => path,
        };
        fs::read_to_string(path).map_err(|source| match extended_at {
            Some(problem) => problem
                .with_message(format!("cannot read config {}: {source}", self.name()))
                .with_label("extended here")
                .into(),
            None => ConfigError::Read { path: path.clone(), source },
        })
    }
}

/// `a/b/../c.toml` as `a/c.toml`, for messages: where `b` is a link to elsewhere, that is another file.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidied.components().next_back(), Some(Component::Normal(_))) => {
                tidied.pop();
            }
            _ => tidied.push(component),
        }
    }
    tidied
}
