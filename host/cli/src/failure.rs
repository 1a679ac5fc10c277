//! Failures of commands and their reports: text for people, one JSON object for programs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use holdall::{Error, Retry};
use serde::Serialize;

use crate::exit;
use crate::hint;
use crate::values::printable;

/// Failure of a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library, a backend or a plugin says so.
    Storage(Error),
    /// The command line is wrong in a way that parsing alone could not tell.
    Usage(String),
    /// A file of this machine.
    File {
        /// As in "cannot {doing} {path}".
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    /// The command itself refuses.
    Refused(Refusal),
    /// The reader of the output has gone.
    BrokenPipe,
    /// This signal came.
    Signal(i32),
    /// Everything was reported already; this is the exit code.
    Told(u8),
}

/// A refusal of the command itself.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) exit: u8,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: String,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::Usage(message.into())
    }

    pub(crate) fn refused(
        exit: u8,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Failure::Refused(Refusal {
            exit,
            code,
            message: message.into(),
            help: help.into(),
        })
    }

    /// For `map_err` on a file.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
        let path = path.to_owned();
        move |cause| Failure::File { doing, path, cause }
    }

    /// For `map_err` on standard output.
    pub(crate) fn output(cause: io::Error) -> Failure {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::File {
                doing: "write to",
                path: "standard output".into(),
                cause,
            },
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Failure::Storage(error) => exit::of(error.kind()),
            Failure::Usage(_) => exit::USAGE,
            Failure::File { cause, .. } => of_file(cause),
            Failure::Refused(refusal) => refusal.exit,
            Failure::BrokenPipe => exit::SIGNALLED + 13,
            Failure::Signal(number) => exit::SIGNALLED.wrapping_add(*number as u8),
            Failure::Told(code) => *code,
        }
    }

    /// The message and the problems of a configuration, in one line.
    pub(crate) fn line(&self) -> String {
        let report = self.report().unwrap_or_default();
        let problems = report.problems().join("; ");
        match problems.is_empty() {
            true => report.message,
            false => format!("{}: {problems}", report.message),
        }
    }

    /// The report; `None` for failures without a message.
    pub(crate) fn report(&self) -> Option<Report> {
        let plain = |code: &str, message: String, help: &str| Report {
            code: code.to_owned(),
            message,
            help: (!help.is_empty()).then(|| help.to_owned()),
            exit: self.exit(),
            ..Report::default()
        };
        match self {
            Failure::Storage(error) => Some(Report::of(error)),
            Failure::Usage(message) => Some(plain(
                "usage",
                message.clone(),
                "`holdall help` and `holdall help COMMAND` say what there is",
            )),
            Failure::File { doing, path, cause } => Some(Report {
                causes: vec![CauseReport::of_io(cause)],
                ..plain(
                    "local_file",
                    format!("cannot {doing} {}", path.display()),
                    hint::for_file(cause),
                )
            }),
            Failure::Refused(refusal) => {
                Some(plain(refusal.code, refusal.message.clone(), &refusal.help))
            }
            Failure::Signal(_) => Some(plain("interrupted", "interrupted".to_owned(), "")),
            Failure::BrokenPipe | Failure::Told(_) => None,
        }
    }
}

/// A file of this machine that is not there, or not what it should be, is bad input; the rest is
/// the machine's own trouble.
fn of_file(cause: &io::Error) -> u8 {
    use io::ErrorKind::*;
    match cause.kind() {
        NotFound | IsADirectory | NotADirectory | PermissionDenied | InvalidInput
        | InvalidFilename => exit::BAD_INPUT,
        AlreadyExists => exit::PRECONDITION,
        StorageFull | QuotaExceeded | FileTooLarge => exit::QUOTA,
        _ => exit::OTHER,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Storage(error)
    }
}

/// Report of a failure. As JSON: problem details (RFC 9457) with additional members.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Stable, for programs.
    pub(crate) code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'static str>,
    /// What an HTTP server would answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The exit code of the command.
    pub(crate) exit: u8,
    /// `never`, `safe`, `if_idempotent` or `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u128>,
    /// One line.
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_moved: Option<u64>,
    facts: Vec<Fact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Provider>,
    causes: Vec<CauseReport>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
}

/// Names repeat, for instance one `searched` for each folder.
#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct Provider {
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct CauseReport {
    code: String,
    text: String,
}

impl CauseReport {
    fn of_io(cause: &io::Error) -> Self {
        let code = cause.raw_os_error();
        Self {
            code: code.map_or_else(String::new, |code| format!("os error {code}")),
            text: cause.to_string(),
        }
    }
}

impl Report {
    /// The values of the facts: for a configuration, one problem each.
    pub(crate) fn problems(&self) -> Vec<&str> {
        self.facts.iter().map(|fact| &*fact.value).collect()
    }

    fn of(error: &Error) -> Self {
        let place = error.place();
        let reply = error.provider();
        let causes = error.cause().into_iter().flat_map(|cause| cause.chain());
        Self {
            code: error.code().to_owned(),
            kind: Some(format!("{:?}", error.kind())),
            family: Some(error.kind().family().name()),
            status: Some(error.kind().status()),
            exit: exit::of(error.kind()),
            retry: Some(error.retry().name()),
            retry_after_ms: match error.retry() {
                Retry::After(time) => Some(time.as_millis()),
                _ => None,
            },
            message: error.to_string(),
            key: place.key.clone(),
            backend: place.backend.clone(),
            plugin: place.plugin.clone(),
            plugin_version: place.plugin_version.clone(),
            operation: place.operation.map(|operation| operation.name()),
            attempts: Some(place.attempts),
            elapsed_ms: Some(place.elapsed.as_millis()),
            bytes_moved: Some(place.bytes_moved),
            facts: error
                .facts()
                .map(|(name, value)| Fact {
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
            provider: (reply.status.is_some()
                || reply.code.is_some()
                || reply.request_id.is_some())
            .then(|| Provider {
                status: reply.status,
                code: reply.code.clone(),
                request_id: reply.request_id.clone(),
            }),
            causes: causes
                .map(|cause| CauseReport {
                    code: cause.code.clone(),
                    text: cause.text.clone(),
                })
                .collect(),
            help: hint::for_error(error),
        }
    }
}

/// For people: what happened on the first line, then what is known, then what to do.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holdall: {} [{}]", printable(&self.message), self.code)?;
        for fact in &self.facts {
            // A fact may say where it is from itself, as problems of a configuration do.
            match fact.value.strip_prefix(&fact.name) {
                Some(rest) if rest.starts_with(':') => write!(f, "\n  {}", printable(&fact.value))?,
                _ => write!(f, "\n  {}: {}", fact.name, printable(&fact.value))?,
            }
        }
        if let (Some(plugin), Some(version)) = (&self.plugin, &self.plugin_version) {
            write!(f, "\n  plugin: {plugin} {version}")?;
        }
        if let Some(provider) = &self.provider {
            let status = provider.status.map(|status| status.to_string());
            let parts = [&status, &provider.code, &provider.request_id];
            let parts: Vec<_> = parts
                .into_iter()
                .flatten()
                .map(|part| printable(part))
                .collect();
            write!(f, "\n  provider: {}", parts.join(", "))?;
        }
        // Wrapped errors repeat what the error below them says.
        let shown = |at: usize, text: &str| {
            self.facts.iter().any(|fact| fact.value == text)
                || self.causes[..at]
                    .iter()
                    .any(|above| above.text.contains(text))
        };
        let causes = self.causes.iter().enumerate();
        for (_, cause) in causes.filter(|(at, cause)| !shown(*at, &cause.text)) {
            write!(f, "\n  because: {}", printable(&cause.text))?;
            if !cause.code.is_empty() && !cause.text.contains(&cause.code) {
                write!(f, " ({})", printable(&cause.code))?;
            }
        }
        if let Some(time) = self.retry_after_ms {
            write!(f, "\n  again: after {:.1} s", time as f64 / 1000.0)?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall::{ErrorKind, Operation};

    #[test]
    fn people_get_everything_that_helps() {
        let error = Error::new(ErrorKind::QuotaExceeded)
            .with_fact("limit", 7)
            .because(io::Error::from_raw_os_error(28))
            .at(|place| {
                place.operation = Some(Operation::Upload);
                place.key = Some("a\u{1b}b".into());
                place.backend = Some("local".into());
            });
        let failure = Failure::from(error);
        assert_eq!(failure.exit(), 6);
        let text = failure.report().unwrap().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            r#"holdall: upload: quota exceeded, key "a\u{1b}b", backend "local" [quota_exceeded]"#
        );
        assert_eq!(lines[1], "  limit: 7");
        assert!(lines[2].starts_with("  because: No space left"), "{text}");
        assert!(lines[3].starts_with("  help: "), "{text}");
    }

    #[test]
    fn a_cause_that_repeats_another_is_shown_once() {
        let inner = holdall::Cause::new("", "connection refused");
        let middle = holdall::Cause::new("", "connect: connection refused").with_source(inner);
        let outer = holdall::Cause::new("", "connect: connection refused").with_source(middle);
        let error = Error::new(ErrorKind::Unavailable).with_cause(Some(outer));
        let text = Failure::from(error).report().unwrap().to_string();
        assert_eq!(text.matches("connection refused").count(), 1, "{text}");
    }

    #[test]
    fn programs_get_an_object() {
        let error = Error::new(ErrorKind::RateLimited)
            .with_fact("a", 1)
            .with_fact("a", 2);
        let json = serde_json::to_value(Failure::from(error).report().unwrap()).unwrap();
        assert_eq!(json["code"], "rate_limited");
        assert_eq!(json["family"], "StorageError");
        assert_eq!(json["exit"], 7);
        assert_eq!(json["retry"], "after");
        assert_eq!(json["retry_after_ms"], 1000);
        assert_eq!(json["facts"][1]["value"], "2");
        assert_eq!(json.get("provider"), None);
    }

    #[test]
    fn files_of_this_machine_have_codes_too() {
        for (kind, code) in [
            (io::ErrorKind::NotFound, 5),
            (io::ErrorKind::AlreadyExists, 4),
            (io::ErrorKind::StorageFull, 6),
            (io::ErrorKind::Other, 1),
        ] {
            let failure = Failure::file("read", Path::new("x"))(kind.into());
            assert_eq!(failure.exit(), code, "{kind:?}");
            assert_eq!(failure.report().unwrap().exit, code);
        }
        assert_eq!(Failure::Signal(2).exit(), 130);
        assert!(Failure::BrokenPipe.report().is_none());
        assert_eq!(Failure::usage("x").exit(), 2);
    }
}
