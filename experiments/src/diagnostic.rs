//! How the program tells what went wrong: one message, the place, a hint, an exit status.
//!
//! | status | |
//! |---|---|
//! | 0 | done |
//! | 1 | the work failed |
//! | 2 | the command line or a config is wrong; nothing was begun |
//! | 130 | stopped by Ctrl-C, after saving |

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, Report, Severity, SourceCode};

use crate::configuration::ConfigError;
use crate::device::DeviceError;

/// A wrong command line that the argument parser cannot see.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct UsageError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[help]
    pub hint: Option<String>,
}

/// Stopped by Ctrl-C, with everything saved.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("interrupted: {saved}")]
pub struct Interrupted {
    /// What was saved where.
    pub saved: String,
    /// The command that goes on.
    #[help]
    pub hint: Option<String>,
}

/// Standard output has said already what is to be said, and the work ends with status 1: corpora that differ, a corpus
/// that is damaged.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("see standard output")]
pub(crate) struct Told;

/// Prints an error, if it is one for people, and gives the exit status that fits.
pub fn conclude(result: miette::Result<()>) -> ExitCode {
    let Err(report) = result else {
        return ExitCode::SUCCESS;
    };
    if is_broken_pipe(&report) {
        // whoever read our output has seen enough
        return ExitCode::SUCCESS;
    }
    if report.is::<Told>() {
        return ExitCode::from(exit_status(&report));
    }
    let mut stderr = io::stderr().lock();
    let has_colour =
        stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // nobody is left to tell when this fails
    let _ = writeln!(stderr, "{}", render(&*report, has_colour));
    ExitCode::from(exit_status(&report))
}

fn exit_status(report: &Report) -> u8 {
    let is_usage = report.is::<ConfigError>() || report.is::<UsageError>() || report.is::<DeviceError>();
    match () {
        () if is_usage => 2,
        () if report.is::<Interrupted>() => 130,
        () => 1,
    }
}

fn is_broken_pipe(report: &Report) -> bool {
    report.downcast_ref::<OutputError>().is_some_and(|error| error.0.kind() == io::ErrorKind::BrokenPipe)
}

/// Standard output that does not take what is written.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot write to standard output: {0}")]
struct OutputError(#[source] io::Error);

/// Writes a whole text to standard output; a reader that has gone away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> miette::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| OutputError(error).into())
}

/// The report as text, without a newline at its end.
pub fn render(diagnostic: &dyn Diagnostic, has_colour: bool) -> String {
    let mut theme = if has_colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    theme.characters.error = "error:".to_owned();
    theme.characters.warning = "warning:".to_owned();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_wrap_lines(false)
        .with_context_lines(1);
    let mut text = String::new();
    if handler.render_report(&mut text, &WithoutHelp(diagnostic)).is_err() {
        text = format!("error: {diagnostic}");
    }
    let mut text = text.trim().to_owned();
    if let Some(help) = diagnostic.help() {
        text.push_str(&format!("\n  hint: {help}"));
    }
    text
}

/// The same diagnostic without its help, which the handler would call `help:`.
struct WithoutHelp<'a>(&'a dyn Diagnostic);

impl fmt::Debug for WithoutHelp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for WithoutHelp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

// no `source`: our messages hold what the system said, and the handler would say it again
impl std::error::Error for WithoutHelp<'_> {}

impl Diagnostic for WithoutHelp<'_> {
    fn severity(&self) -> Option<Severity> {
        self.0.severity()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.0.related()
    }
}
