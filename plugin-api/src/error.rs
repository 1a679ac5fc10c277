//! What went wrong: a kind to act on, facts to read, a cause to follow.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::Operation;

/// Result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $number:literal, $code:literal, $family:ident, $contract:literal, $refined:literal, $retry:expr, $text:literal;)+) => {
        /// What a caller can act on. Each kind belongs to one [`Family`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum ErrorKind { $($(#[$meta])* $kind = $number,)+ }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$kind,)+];

            /// The kind of this number; unknown numbers (of a newer plugin) are [`ErrorKind::Other`].
            pub const fn from_number(number: u32) -> Self {
                match number { $($number => Self::$kind,)+ _ => Self::Other }
            }

            /// The stable code, as in JSON and logs.
            pub const fn code(self) -> &'static str { match self { $(Self::$kind => $code,)+ } }

            /// The family.
            pub const fn family(self) -> Family { match self { $(Self::$kind => Family::$family,)+ } }

            /// HTTP status of the default profile: every fault of ours is a 500.
            pub const fn status(self) -> u16 { match self { $(Self::$kind => $contract,)+ } }

            /// HTTP status of the refined profile, which tells 503 and 504 from 500.
            pub const fn refined_status(self) -> u16 { match self { $(Self::$kind => $refined,)+ } }

            /// Whether a repeat can help, unless the error itself knows better.
            pub const fn retry(self) -> Retry { match self { $(Self::$kind => $retry,)+ } }

            /// A few words for people.
            pub const fn text(self) -> &'static str { match self { $(Self::$kind => $text,)+ } }
        }
    };
}

kinds! {
    /// No object has this key; proven, not supposed.
    FileNotFound = 1, "file_not_found", FileNotFound, 404, 404, Retry::Never, "file not found";
    /// Our quota, or the provider's storage is full.
    QuotaExceeded = 2, "quota_exceeded", QuotaExceeded, 403, 403, Retry::Never, "quota exceeded";
    /// The declared or sniffed type is not allowed.
    InvalidFileType = 3, "invalid_file_type", InvalidFileType, 400, 400, Retry::Never, "file type not allowed";
    /// The key breaks the backend's policy.
    InvalidKey = 4, "invalid_key", StorageError, 400, 400, Retry::Never, "invalid key";
    /// An option is out of range, a length does not match, a page token is foreign.
    InvalidArgument = 5, "invalid_argument", StorageError, 400, 400, Retry::Never, "invalid argument";
    /// Over the size limit.
    TooLarge = 6, "too_large", StorageError, 413, 413, Retry::Never, "too large";
    /// The range starts at or past the end; the fact `size` tells the size.
    InvalidRange = 7, "invalid_range", StorageError, 416, 416, Retry::Never, "range not satisfiable";
    /// An answer, not a failure: the caller's copy is current.
    NotModified = 8, "not_modified", StorageError, 304, 304, Retry::Never, "not modified";
    /// An etag or create-only condition was lost.
    PreconditionFailed = 9, "precondition_failed", StorageError, 412, 412, Retry::Never, "precondition failed";
    /// A concurrent change, or a key in the way of another. Read again before a repeat.
    Conflict = 10, "conflict", StorageError, 409, 409, Retry::IfIdempotent, "conflict";
    /// Uploaded bytes differ from the caller's digest.
    ChecksumMismatch = 11, "checksum_mismatch", StorageError, 400, 400, Retry::IfIdempotent, "checksum mismatch";
    /// The capability is not claimed, or a constraint cannot be honoured.
    Unsupported = 12, "unsupported", StorageError, 501, 501, Retry::Never, "not supported";
    /// The backend's own credentials are refused: never the client's fault.
    PermissionDenied = 13, "permission_denied", StorageError, 500, 500, Retry::Never, "backend permission denied";
    /// The backend's own credentials are missing or expired; the host opens the instance anew.
    Unauthenticated = 14, "unauthenticated", StorageError, 500, 500, Retry::Safe, "backend not authenticated";
    /// The bucket or root is absent: configuration, not a missing object.
    ContainerMissing = 15, "container_missing", StorageError, 500, 500, Retry::Never, "container missing";
    /// The provider throttles.
    RateLimited = 16, "rate_limited", StorageError, 500, 503, Retry::After(Duration::from_secs(1)), "rate limited";
    /// Refused, reset, no name, 5xx.
    Unavailable = 17, "unavailable", StorageError, 500, 503, Retry::IfIdempotent, "backend unavailable";
    /// A deadline or idle limit has passed.
    Timeout = 18, "timeout", StorageError, 500, 504, Retry::IfIdempotent, "timeout";
    /// The caller went away.
    Cancelled = 19, "cancelled", StorageError, 499, 499, Retry::IfIdempotent, "cancelled";
    /// A stored object fails its own checksum or metadata.
    Corrupt = 20, "corrupt", StorageError, 500, 500, Retry::Safe, "stored object corrupt";
    /// The configuration is wrong; every bad field is a fact.
    ConfigInvalid = 21, "config_invalid", StorageError, 500, 500, Retry::Never, "invalid configuration";
    /// No backend of this name.
    BackendNotRegistered = 22, "backend_not_registered", StorageError, 500, 500, Retry::Never, "backend not registered";
    /// The plugin's file was refused.
    PluginLoad = 23, "plugin_load", StorageError, 500, 500, Retry::Never, "plugin not loadable";
    /// The plugin panicked or broke the contract; its instance is not used again.
    PluginFault = 24, "plugin_fault", StorageError, 500, 500, Retry::Never, "plugin fault";
    /// Anything else.
    Other = 25, "storage_error", StorageError, 500, 500, Retry::Never, "storage error";
}

/// The four families of the contract: who matches only on these loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// 404.
    FileNotFound,
    /// 403.
    QuotaExceeded,
    /// 400.
    InvalidFileType,
    /// 500, but for the kinds that are the request's own doing.
    StorageError,
}

impl Family {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Family::FileNotFound => "FileNotFound",
            Family::QuotaExceeded => "QuotaExceeded",
            Family::InvalidFileType => "InvalidFileType",
            Family::StorageError => "StorageError",
        }
    }
}

/// Whether a repeat can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request fails again.
    Never,
    /// Nothing happened, or a repeat is harmless by nature.
    Safe,
    /// The outcome is unknown: repeat plain overwrites whose body can be replayed; read again
    /// first for conditional ones.
    IfIdempotent,
    /// As `Safe`, but not before this time has passed.
    After(Duration),
}

impl Retry {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Retry::Never => "never",
            Retry::Safe => "safe",
            Retry::IfIdempotent => "if_idempotent",
            Retry::After(_) => "after",
        }
    }
}

/// One link of the chain of causes. For logs only: it may quote a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Short and stable where there is one, such as `ENOSPC` or a provider's code; may be empty.
    pub code: String,
    /// What was said.
    pub text: String,
    /// What lies under it.
    pub source: Option<Box<Cause>>,
}

impl Cause {
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderReply {
    /// HTTP status or the like.
    pub status: Option<u16>,
    /// The provider's own code, such as `SlowDown`.
    pub code: Option<String>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

/// An error of an operation. One pointer wide.
///
/// A plugin fills the kind, a message and the cause; the host adds who, where and how long.
///
/// ```
/// use holdall_plugin_api::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::InvalidRange).message("the object is shorter").fact("size", 7);
/// assert_eq!(error.kind().status(), 416);
/// assert_eq!(error.fact_value("size"), Some("7"));
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
        Self::new(ErrorKind::Unsupported).message(what)
    }

    /// `InvalidArgument`, saying why.
    pub fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument).message(why)
    }

    /// `InvalidRange` for an object of this size.
    pub fn invalid_range(size: u64) -> Self {
        Self::new(ErrorKind::InvalidRange).fact("size", size)
    }

    /// Says more. Clients may see it: no secret, no path of the server, no provider's raw text.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
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
    pub fn fact(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
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
    pub fn text(&self) -> &str {
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
    pub fn fact_value(&self, name: &str) -> Option<&str> {
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
        if !self.text().is_empty() {
            write!(f, ": {}", self.text())?;
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
            .message("a hunter2 b")
            .with_code("hunter2")
            .fact("x", "hunter2")
            .fact("hunter2", "x")
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
