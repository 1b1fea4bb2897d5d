//! `triptych completions`: scripts that complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::diagnostic::print;

/// Print a script that completes this program's command line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych completions bash > ~/.local/share/bash-completion/completions/triptych
  triptych completions fish > ~/.config/fish/completions/triptych.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "triptych", &mut script);
    print(&String::from_utf8_lossy(&script))
}
