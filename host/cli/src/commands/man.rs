//! `man`: the manual.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::app::App;
use crate::args::Cli;
use crate::failure::{Failure, Result};

/// Writes the manual page to standard output, or one page for each command into a folder.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder, made if it is missing.
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let command = Cli::command();
        if let Some(dir) = &self.dir {
            std::fs::create_dir_all(dir).map_err(Failure::file("create", dir))?;
            return clap_mangen::generate_to(command, dir).map_err(Failure::file("write", dir));
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(Failure::output)?;
        let page = String::from_utf8(page)
            .map_err(|broken| Failure::output(std::io::Error::other(broken)))?;
        app.output.text(&page)
    }
}
