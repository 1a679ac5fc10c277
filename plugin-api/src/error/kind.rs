//! The kinds of errors, their families, and whether a repeat can help: one table.

use std::time::Duration;

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

            /// HTTP status of the refined profile, which tells 503, 504 and 507 apart.
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
    /// Our quota, or the provider's storage is full. A quota has the fact `scope`; a full store has none,
    /// and a server answers it with 500, or 507 in the refined profile.
    QuotaExceeded = 2, "quota_exceeded", QuotaExceeded, 403, 507, Retry::Never, "quota exceeded";
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
#[non_exhaustive]
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
#[non_exhaustive]
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
