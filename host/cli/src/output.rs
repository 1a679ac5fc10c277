//! What goes to standard output and standard error.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Failure, Result};

/// How answers are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// Texts as they are, all of them in one write.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
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

    /// A remark for people.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(io::stderr(), "holdall: {text}");
        }
    }

    /// Why something failed. Says nothing where silence is right.
    pub(crate) fn failure(&self, failure: &Failure) {
        let Some(report) = failure.report() else {
            return;
        };
        let text = match serde_json::to_string(&report) {
            Ok(json) if self.json => json,
            _ => report.to_string(),
        };
        // When even standard error is gone there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }
}
