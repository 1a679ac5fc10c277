//! What went wrong: a kind to act on, facts to read, a cause to follow.

mod io;
mod kind;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::Operation;

pub use kind::{ErrorKind, Family, Retry};

/// Result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One link of the chain of causes. For logs only: it may quote a provider.
///
/// ```
/// use holdall_plugin_api::Cause;
///
/// let cause = Cause::new("SlowDown", "reduce your request rate").with_source(Cause::new("", "status 503"));
/// assert_eq!(cause.chain().count(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// Short and stable where there is one, such as `ENOSPC` or a provider's code; may be empty.
    pub code: String,
    /// What was said.
    pub text: String,
    /// What lies under it.
    pub source: Option<Box<Cause>>,
}

impl Cause {
    /// A cause with its code, which may be empty, and its text.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            source: None,
        }
    }

    /// Sets what lies under it.
    #[must_use]
    pub fn with_source(mut self, source: Cause) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Flattens an error and its sources.
    pub fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let code = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error)
            .map_or_else(String::new, |number| format!("os error {number}"));
        Cause {
            code,
            text: error.to_string(),
            source: error
                .source()
                .map(|source| Box::new(Cause::from_error(source))),
        }
    }

    /// This link and all under it.
    pub fn chain(&self) -> impl Iterator<Item = &Cause> {
        std::iter::successors(Some(self), |cause| cause.source.as_deref())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

/// What a provider answered, as far as it is known.
///
/// ```
/// use holdall_plugin_api::ProviderReply;
///
/// let reply = ProviderReply::new().status(503).code("SlowDown".to_owned());
/// assert_eq!(reply.request_id, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderReply {
    /// HTTP status or the like.
    pub status: Option<u16>,
    /// The provider's own code, such as `SlowDown`.
    pub code: Option<String>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

impl ProviderReply {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: impl Into<Option<u16>>) -> Self {
        self.status = status.into();
        self
    }

    /// Sets the provider's own code.
    #[must_use]
    pub fn code(mut self, code: impl Into<Option<String>>) -> Self {
        self.code = code.into();
        self
    }

    /// Sets the provider's id of the request.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<Option<String>>) -> Self {
        self.request_id = request_id.into();
        self
    }
}

/// An error of an operation. One pointer wide.
///
/// A plugin fills the kind, a message and the cause; the host adds who, where and how long.
///
/// ```
/// use holdall_plugin_api::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::InvalidRange).with_message("the object is shorter").with_fact("size", 7);
/// assert_eq!(error.kind().status(), 416);
/// assert_eq!(error.fact("size"), Some("7"));
/// ```
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    retry: Retry,
    facts: Vec<(Cow<'static, str>, String)>,
    provider: ProviderReply,
    cause: Option<Cause>,
    place: Place,
}

/// Where an error happened. Filled in by the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Name of the backend.
    pub backend: Option<String>,
    /// Name of the plugin.
    pub plugin: Option<String>,
    /// Version of the plugin.
    pub plugin_version: Option<String>,
    /// The operation.
    pub operation: Option<Operation>,
    /// The key, as given.
    pub key: Option<String>,
    /// Times that it was tried.
    pub attempts: u32,
    /// Time since the operation began.
    pub elapsed: Duration,
    /// Payload bytes that had moved, in either direction.
    pub bytes_moved: u64,
}

impl Error {
    /// An error of this kind, with its usual retry class.
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Parts {
            kind,
            code: Cow::Borrowed(kind.code()),
            message: Cow::Borrowed(""),
            retry: kind.retry(),
            facts: Vec::new(),
            provider: ProviderReply::default(),
            cause: None,
            place: Place::default(),
        }))
    }

    /// `FileNotFound`.
    pub fn not_found() -> Self {
        Self::new(ErrorKind::FileNotFound)
    }

    /// `Unsupported`, naming what is.
    pub fn unsupported(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported).with_message(what)
    }

    /// `InvalidArgument`, saying why.
    pub fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument).with_message(why)
    }

    /// `FileNotFound` with the code `upload_not_found`: no upload in parts has this id.
    pub fn upload_not_found() -> Self {
        Self::new(ErrorKind::FileNotFound)
            .with_code("upload_not_found")
            .with_message(
                "no upload in parts has this id; it was completed, aborted or never begun",
            )
    }

    /// `InvalidArgument` with the code `invalid_part`: this part is not there, or its etag is another.
    pub fn invalid_part(number: u32) -> Self {
        Self::new(ErrorKind::InvalidArgument)
            .with_code("invalid_part")
            .with_message("a part of the object was not stored, or has another etag")
            .with_fact("part", number)
    }

    /// `InvalidRange` for an object of this size.
    pub fn invalid_range(size: u64) -> Self {
        Self::new(ErrorKind::InvalidRange).with_fact("size", size)
    }

    /// Says more. Clients may see it: no secret, no path of the server, no provider's raw text.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Replaces the stable code, which is the kind's own unless a plugin knows a finer one.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    /// Adds a fact: a short stable name and its value.
    #[must_use]
    pub fn with_fact(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
    ) -> Self {
        self.0.facts.push((name.into(), value.to_string()));
        self
    }

    /// Replaces the retry class.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Keeps an error, and its sources, as the cause.
    #[must_use]
    pub fn because(self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.with_cause(Some(Cause::from_error(cause.into().as_ref())))
    }

    /// Replaces the chain of causes.
    #[must_use]
    pub fn with_cause(mut self, cause: Option<Cause>) -> Self {
        self.0.cause = cause;
        self
    }

    /// Keeps what the provider answered.
    #[must_use]
    pub fn with_provider(mut self, reply: ProviderReply) -> Self {
        self.0.provider = reply;
        self
    }

    /// Changes the place.
    #[must_use]
    pub fn at(mut self, change: impl FnOnce(&mut Place)) -> Self {
        change(&mut self.0.place);
        self
    }

    /// Rewrites every text that a person or a log may see, for instance to take secrets out.
    #[must_use]
    pub fn map_texts(mut self, rewrite: impl Fn(&str) -> String) -> Self {
        fn causes(cause: &mut Cause, rewrite: &impl Fn(&str) -> String) {
            cause.text = rewrite(&cause.text);
            cause.code = rewrite(&cause.code);
            if let Some(source) = &mut cause.source {
                causes(source, rewrite);
            }
        }
        let parts = &mut *self.0;
        parts.message = Cow::Owned(rewrite(&parts.message));
        parts.code = Cow::Owned(rewrite(&parts.code));
        for (name, value) in &mut parts.facts {
            *name = Cow::Owned(rewrite(name));
            *value = rewrite(value);
        }
        for text in [&mut parts.provider.code, &mut parts.provider.request_id]
            .into_iter()
            .flatten()
        {
            *text = rewrite(text);
        }
        if let Some(cause) = &mut parts.cause {
            causes(cause, &rewrite);
        }
        self
    }

    /// What to act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What was said, safe for clients; may be empty.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether a repeat can help.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The facts, in the order in which they were added.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.facts.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The first fact of this name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts()
            .find_map(|(n, value)| (n == name).then_some(value))
    }

    /// What the provider answered.
    pub fn provider(&self) -> &ProviderReply {
        &self.0.provider
    }

    /// The cause.
    pub fn cause(&self) -> Option<&Cause> {
        self.0.cause.as_ref()
    }

    /// Where it happened.
    pub fn place(&self) -> &Place {
        &self.0.place
    }
}

/// One line; the cause is left to `source`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        if let Some(operation) = place.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(self.kind().text())?;
        if !self.message().is_empty() {
            write!(f, ": {}", self.message())?;
        }
        if let Some(key) = &place.key {
            write!(f, ", key {key:?}")?;
        }
        if let Some(backend) = &place.backend {
            write!(f, ", backend {backend:?}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("retry", &self.0.retry)
            .field("facts", &self.0.facts)
            .field("provider", &self.0.provider)
            .field("cause", &self.0.cause)
            .field("place", &self.0.place)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn families_have_the_contract_s_status() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_number(*kind as u32), *kind);
            match kind.family() {
                Family::FileNotFound => assert_eq!(kind.status(), 404),
                Family::QuotaExceeded => assert_eq!(kind.status(), 403),
                Family::InvalidFileType => assert_eq!(kind.status(), 400),
                // A 403 or 401 here could not be told from the client's own fault.
                Family::StorageError => assert!(![401, 403].contains(&kind.status()), "{kind:?}"),
            }
        }
    }

    #[test]
    fn a_newer_kind_is_other() {
        assert_eq!(ErrorKind::from_number(0), ErrorKind::Other);
        assert_eq!(ErrorKind::from_number(9_999), ErrorKind::Other);
    }

    #[test]
    fn display_is_one_line_and_the_chain_is_kept() {
        let os = std::io::Error::from_raw_os_error(28);
        let error = Error::new(ErrorKind::QuotaExceeded)
            .because(os)
            .at(|place| {
                place.operation = Some(Operation::Upload);
                place.key = Some("logs/07".into());
            });
        assert_eq!(error.to_string(), "upload: quota exceeded, key \"logs/07\"");
        assert!(
            error
                .source()
                .is_some_and(|source| source.to_string().contains("os error 28"))
        );
        assert_eq!(
            error.cause().map(|cause| cause.code.as_str()),
            Some("os error 28")
        );
    }

    #[test]
    fn map_texts_reaches_every_text() {
        let error = Error::new(ErrorKind::Other)
            .with_message("a hunter2 b")
            .with_code("hunter2")
            .with_fact("x", "hunter2")
            .with_fact("hunter2", "x")
            .with_provider(ProviderReply {
                status: None,
                code: Some("hunter2".into()),
                request_id: Some("hunter2".into()),
            })
            .because(std::io::Error::other("hunter2"))
            .map_texts(|text| text.replace("hunter2", "[redacted]"));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
