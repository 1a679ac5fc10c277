//! `inspect`: one plugin file, read and judged without running it.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use holdall::fault::Fault;
use holdall::inspect::{Inspection, Verdict, inspect_file};

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::fields;
use crate::values::printable;

/// Judges a plugin file without running it: exit code 0 only when it would load here, else 8.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Inspect {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let found = inspect_file(&self.file);
        if !app.output.quiet {
            app.output.answer(&found, || shown(&found))?;
        }
        if found.verdict() == Verdict::Accepted {
            return Ok(());
        }
        Err(Failure::refused(
            exit::SETUP,
            "plugin_load",
            format!(
                "{} would not load here: {}",
                self.file.display(),
                Fault::codes(&found.faults)
            ),
            match found.faults.first() {
                Some(fault) => fault.fix.clone(),
                None => String::new(),
            },
        ))
    }
}

pub(crate) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Refused => "refused",
        Verdict::NotAPlugin => "not a plugin",
        _ => "unknown",
    }
}

/// All that could be read of a file, for people.
pub(crate) fn shown(found: &Inspection) -> String {
    let mut text = format!(
        "{}: {}",
        printable(&found.path.display().to_string()),
        word(found.verdict())
    );
    // Writing to a text cannot fail.
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(text, "\n  {name:13} {}", printable(value));
        }
    };
    line("size", &format!("{} bytes", found.size));
    line("target", &found.target);
    if let Some(descriptor) = &found.descriptor {
        let about = &descriptor.about;
        line("name", &format!("{} {}", about.name, about.version));
        line("summary", &about.summary);
        line("schemes", &about.schemes.join(", "));
        line(
            "abi",
            &format!("{}.{}", descriptor.abi_major, descriptor.abi_minor),
        );
        line("flags", &descriptor.flags.names().join(", "));
        if descriptor.max_in_flight > 0 {
            line(
                "at most",
                &format!("{} operations at once", descriptor.max_in_flight),
            );
        }
        line("operations", &descriptor.operations.names().join(", "));
        line("by the host", &found.emulated().names().join(", "));
        line("unsupported", &found.unsupported().names().join(", "));
        line("capabilities", &descriptor.capabilities.names().join(", "));
        line("license", &about.license);
        line("authors", &about.authors.join(", "));
        line("homepage", &about.homepage);
        line("built by", &about.rustc);
        let fields = fields::of_file(found).unwrap_or_default();
        for (number, field) in fields.iter().enumerate() {
            let label = if number == 0 { "configuration" } else { "" };
            line(label, &field.line());
        }
    }
    text.push_str(&faults(found));
    for warning in found.warnings() {
        let _ = write!(text, "\n  warning: {}", printable(&warning));
    }
    text
}

/// Every fault with both sides and what helps, each on lines of its own.
pub(crate) fn faults(found: &Inspection) -> String {
    found.faults.iter().fold(String::new(), |mut text, fault| {
        let _ = write!(text, "\n  {}", printable(&fault.to_string()));
        let _ = write!(text, "\n    help: {}", printable(&fault.fix));
        text
    })
}
