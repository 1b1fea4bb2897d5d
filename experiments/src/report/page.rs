//! A page of its own: every template of the program, and how one becomes a file.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use minijinja::{Environment, Value, escape_formatter, syntax::SyntaxConfig};

use super::Media;

/// The pages' parts by name; what ends in `.html` escapes every value that it prints.
const TEMPLATES: [(&str, &str); 15] = [
    ("page.html", include_str!("templates/page.html")),
    ("report.html", include_str!("templates/report.html")),
    ("scores.html", include_str!("templates/scores.html")),
    ("classes.html", include_str!("templates/classes.html")),
    ("examples.html", include_str!("templates/examples.html")),
    ("training.html", include_str!("templates/training.html")),
    ("run.html", include_str!("templates/run.html")),
    ("ledger.html", include_str!("templates/ledger.html")),
    ("style.css", include_str!("templates/style.css")),
    ("comfort.js", include_str!("templates/comfort.js")),
    ("corpus.html", include_str!("templates/corpus.html")),
    ("corpus/figures.html", include_str!("templates/corpus/figures.html")),
    ("corpus/repeats.html", include_str!("templates/corpus/repeats.html")),
    ("corpus/exhibits.html", include_str!("templates/corpus/exhibits.html")),
    ("corpus.css", include_str!("templates/corpus/corpus.css")),
];

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file could not be created, written or renamed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A template of the program's own is wrong.
    #[error("report template: {0}")]
    Template(minijinja::Error),
}

/// Writes a page to the file `out`, whole or not at all: one that stood there before is replaced at the end.
///
/// Pictures and sounds are encoded straight into the file.
///
/// # Errors
/// When the file or its neighbour `<out>.partial` cannot be written.
pub(super) fn write(template: &str, values: Value, out: &Path) -> Result<(), ReportError> {
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);

    let io = |source| ReportError::Io { path: out.to_owned(), source };
    let written = fs::File::create(&partial).map_err(io).and_then(|file| {
        let mut file = BufWriter::new(file);
        render(template, values, &mut file, out)?;
        file.into_inner().map_err(|error| io(error.into_error()))?.sync_all().map_err(io)?;
        fs::rename(&partial, out).map_err(io)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

fn render(template: &str, values: Value, file: &mut impl Write, out: &Path) -> Result<(), ReportError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).build().map_err(ReportError::Template)?;
    environment.set_syntax(syntax);
    environment.set_formatter(|out, state, value| match value.downcast_object_ref::<Media>() {
        // base64 holds nothing to escape, and is too long to build in memory first
        Some(media) => write!(out, "{media}").map_err(minijinja::Error::from),
        None => escape_formatter(out, state, value),
    });
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(ReportError::Template)?;
    }
    let template = environment.get_template(template).map_err(ReportError::Template)?;
    template.render_captured_to(values, file).map(|_| ()).map_err(|error| {
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause {
            Some(cause) => ReportError::Io {
                path: out.to_owned(),
                source: io::Error::new(cause.kind(), cause.to_string()),
            },
            None => ReportError::Template(error),
        }
    })
}
