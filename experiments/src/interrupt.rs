//! Ctrl-C: training saves first, everything else ends at once, since a file is written whole or not at all.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::diagnostic::{Interrupted, render};
use crate::run::training::INTERRUPTED;

/// Whether someone looks at [`INTERRUPTED`] and will save.
static IS_TRAINING: AtomicBool = AtomicBool::new(false);

/// Exit status after Ctrl-C, as shells have it: 128 and the signal's number.
const STATUS: i32 = 130;

/// Catches Ctrl-C from now on; `again` is the command that goes on. A second Ctrl-C ends training without saving.
pub(crate) fn catch(again: &str) {
    let interrupted = Interrupted {
        saved: "what was finished is kept".to_owned(),
        hint: Some(format!("go on with `{again}`")),
    };
    // where signals cannot be caught, Ctrl-C ends the process, which loses no more than a crash does
    let _ = ctrlc::set_handler(move || {
        if !IS_TRAINING.load(Ordering::Relaxed) || INTERRUPTED.swap(true, Ordering::Relaxed) {
            eprintln!("{}", render(&interrupted, false));
            std::process::exit(STATUS);
        }
    });
}

/// While it lives, Ctrl-C asks for an end instead of making one.
pub(crate) struct Training(());

impl Training {
    pub(crate) fn begin() -> Self {
        IS_TRAINING.store(true, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        IS_TRAINING.store(false, Ordering::Relaxed);
    }
}

/// The command line of this process as one would type it into a shell again.
pub(crate) fn this_command() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(&argument.to_string_lossy()));
    std::iter::once("triptych".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// An argument for a POSIX shell.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_would_read_them_otherwise() {
        assert_eq!(quoted("train.optimizer.lr=3e-4"), "train.optimizer.lr=3e-4");
        assert_eq!(quoted("title=\"my run\""), "'title=\"my run\"'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
