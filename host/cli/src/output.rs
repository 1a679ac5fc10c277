//! What goes to standard output and standard error.

use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;

use serde::Serialize;

use crate::args::Global;
use crate::failure::{Failure, Result};

/// The standard output that the command was started with.
static STDOUT: OnceLock<File> = OnceLock::new();

/// Keeps standard output for the command: what a plugin prints goes to standard error.
///
/// Call it before any plugin is mapped.
pub(crate) fn keep_for_the_command() -> io::Result<()> {
    let own = holdall::platform::standard_output::keep()?;
    let _ = STDOUT.set(own);
    Ok(())
}

/// The standard output of the command, to write to directly.
pub(crate) fn stdout() -> io::Result<File> {
    match STDOUT.get() {
        Some(file) => file.try_clone(),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Format of answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    pub(crate) fn of(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
        }
    }

    /// Writes a text as it is, in one write.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        stdout()
            .and_then(|mut out| out.write_all(text.as_bytes()))
            .map_err(Failure::output)
    }

    /// The answer of a command: an object for programs, else a text, whose line end is added.
    pub(crate) fn answer(
        &self,
        record: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.json {
            let mut line = serde_json::to_string(record)
                .map_err(|cause| Failure::output(io::Error::other(cause)))?;
            line.push('\n');
            self.text(&line)
        } else {
            let mut text = text();
            text.push('\n');
            self.text(&text)
        }
    }

    /// As [`Output::answer`], for what only confirms that the command did its work.
    pub(crate) fn confirm(
        &self,
        record: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.quiet {
            Ok(())
        } else {
            self.answer(record, text)
        }
    }

    /// Prints a note for people on standard error.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(io::stderr(), "holdall: {text}");
        }
    }

    /// Prints the report of a failure, if it has one.
    pub(crate) fn failure(&self, failure: &Failure) {
        let Some(report) = failure.report() else {
            return;
        };
        let text = match serde_json::to_string(&report) {
            Ok(json) if self.json => json,
            _ => report.to_string(),
        };
        // With standard error closed there is nothing left to do.
        let _ = writeln!(io::stderr(), "{text}");
    }
}
