//! `completions`: for a shell to complete our options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::app::App;
use crate::args::Cli;
use crate::failure::{Failure, Result};

/// Writes the completions for a shell, to be stored where the shell looks for them.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "holdall", &mut script);
        let script = String::from_utf8(script)
            .map_err(|broken| Failure::output(std::io::Error::other(broken)))?;
        app.output.text(&script)
    }
}
