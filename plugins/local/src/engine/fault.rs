//! Faults of the engine, and the one place where an error of the system gets a meaning.

use super::platform::Errno;
use std::borrow::Cow;
use std::fmt;
use std::io;

/// Result of the engine.
pub(crate) type Outcome<T> = Result<T, Fault>;

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// No object has this key.
    NotFound,
    /// No space, or over a quota of the file system.
    Full,
    /// The system refuses, the file system is read-only, or a symbolic link is in the way.
    Denied,
    /// The root, or a directory of the root, is missing, was replaced or is no directory.
    RootMissing,
    /// A directory of the root other than `objects` was removed: open the root again.
    PartMissing,
    /// A key is in the way of another (`a` beside `a/b`), or other writers win each attempt.
    Conflict,
    /// An etag or create-only condition was lost.
    Precondition,
    /// This file system cannot hold the name.
    BadKey,
    /// An argument is out of range.
    BadArgument,
    /// A stored object contradicts its own metadata.
    Corrupt,
    /// Over the largest size of the file system.
    TooLarge,
    /// This file system cannot do it.
    Unsupported,
    /// Another writer holds the lock of a key. Nothing has changed: try again after a pause.
    Locked,
    /// Out of descriptors or memory, or the staged file was removed: a later attempt may succeed.
    Busy,
    /// No upload in parts has this id.
    UploadMissing,
    /// The part of this number was not stored, or has another etag.
    Part(u32),
    /// The store was closed.
    Closed,
    /// Anything else.
    Io,
}

/// An error of the engine: what, in which call, and the system's own words.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// The call or step that failed; a short stable word.
    pub(crate) step: &'static str,
    /// Safe for clients; may be empty.
    pub(crate) message: Cow<'static, str>,
    pub(crate) source: Option<io::Error>,
}

const UNUSABLE_NAME: &str = "the file system cannot hold this name";

impl Fault {
    pub(crate) fn new(
        kind: FaultKind,
        step: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            step,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn not_found(step: &'static str) -> Self {
        Self::new(FaultKind::NotFound, step, "")
    }

    /// The server of the file system does not know the file any more.
    pub(crate) fn is_stale(&self) -> bool {
        let errno = self.source.as_ref().and_then(io::Error::raw_os_error);
        errno == Some(Errno::STALE.raw_os_error())
    }

    /// An error of the system in a call about an object.
    ///
    /// A missing name is `NotFound` here; [`Fault::own`] is for the store's own files.
    pub(crate) fn os(step: &'static str, errno: Errno) -> Self {
        use FaultKind::*;
        let (kind, message) = match errno {
            Errno::NOENT => (NotFound, ""),
            Errno::NOSPC | Errno::DQUOT => (Full, "the file system is full"),
            Errno::ROFS => (Denied, "the file system is read-only"),
            Errno::ACCESS | Errno::PERM => (Denied, ""),
            // With RESOLVE_NO_SYMLINKS or O_NOFOLLOW, "too many links" means one.
            Errno::LOOP => (
                Denied,
                "a symbolic link is in the way, and links are not followed",
            ),
            // RESOLVE_BENEATH: the walk would leave the root.
            Errno::XDEV if step.starts_with("open") => (Denied, "the key leads out of the root"),
            Errno::XDEV => (
                Unsupported,
                "a mount point lies inside the root: staging and objects must share one file system",
            ),
            Errno::NOTDIR | Errno::ISDIR | Errno::NOTEMPTY => (
                Conflict,
                "an object and a prefix of other keys cannot share a name here",
            ),
            Errno::NOTUNIQ => (
                Conflict,
                "the file system folds case, and holds this key, or a directory of it, in another spelling",
            ),
            Errno::EXIST => (Precondition, "the key exists"),
            Errno::NAMETOOLONG | Errno::ILSEQ => (BadKey, UNUSABLE_NAME),
            Errno::FBIG | Errno::OVERFLOW => (TooLarge, "over the largest size of the file system"),
            Errno::MFILE | Errno::NFILE => (Busy, "too many open files"),
            Errno::NOMEM | Errno::AGAIN | Errno::INTR | Errno::BUSY | Errno::STALE => (Busy, ""),
            Errno::OPNOTSUPP | Errno::NOSYS => (Unsupported, "the file system cannot do this"),
            _ => (Io, ""),
        };
        Self {
            kind,
            step,
            message: message.into(),
            source: Some(errno.into()),
        }
    }

    /// An error of the system in a call that takes a name from a key: a name that the file system
    /// refuses is the key's fault.
    pub(crate) fn name(step: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| {
            let mut fault = Self::os(step, errno);
            if errno == Errno::INVAL {
                fault.kind = FaultKind::BadKey;
                fault.message = UNUSABLE_NAME.into();
            }
            fault
        }
    }

    /// An error of the system in a call about the store's own files: the root, `staging`, `locks`,
    /// `sidecars`. Never a fault of the request.
    pub(crate) fn own(step: &'static str) -> impl Fn(Errno) -> Self {
        use FaultKind::{BadKey, Conflict, Io, NotFound, Precondition, RootMissing, TooLarge};
        move |errno| {
            let mut fault = Self::os(step, errno);
            let (kind, message) = match fault.kind {
                NotFound => (RootMissing, "a directory of the root is missing"),
                BadKey => (RootMissing, "the file system cannot hold the root's path"),
                Conflict | Precondition => (
                    RootMissing,
                    "the root, or a directory of the root, is not a directory",
                ),
                TooLarge => (Io, ""),
                _ => return fault,
            };
            fault.kind = kind;
            fault.message = message.into();
            fault
        }
    }

    /// As [`Fault::os`], for use in `map_err`.
    pub(crate) fn at(step: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::os(step, errno)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.step, self.kind)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_its_server_forgot_is_known() {
        assert!(Fault::os("test", Errno::STALE).is_stale());
        assert!(Fault::name("test")(Errno::STALE).is_stale());
        assert!(Fault::at("test")(Errno::STALE).is_stale());
        assert!(!Fault::os("test", Errno::NOENT).is_stale());
    }

    #[test]
    fn errors_of_the_system_map_to_kinds() {
        for (errno, kind) in [
            (Errno::NOENT, FaultKind::NotFound),
            (Errno::NOSPC, FaultKind::Full),
            (Errno::DQUOT, FaultKind::Full),
            (Errno::ROFS, FaultKind::Denied),
            (Errno::ACCESS, FaultKind::Denied),
            (Errno::LOOP, FaultKind::Denied),
            (Errno::ISDIR, FaultKind::Conflict),
            (Errno::IO, FaultKind::Io),
        ] {
            assert_eq!(Fault::os("test", errno).kind, kind, "{errno:?}");
        }
        assert_eq!(Fault::name("test")(Errno::INVAL).kind, FaultKind::BadKey);
        assert_eq!(Fault::os("test", Errno::INVAL).kind, FaultKind::Io);
    }

    /// Every errno of Linux: none of the store's own calls may end as a fault of the request.
    #[test]
    fn own_files_never_blame_the_request() {
        use FaultKind::*;
        for raw in 1..134 {
            let kind = Fault::own("test")(Errno::from_raw_os_error(raw)).kind;
            let blames = matches!(
                kind,
                NotFound | Conflict | Precondition | BadKey | BadArgument | TooLarge
            );
            assert!(!blames, "{raw}: {kind:?}");
        }
    }
}
