//! From `io::Error` and back, with the kinds kept.

use super::{Error, ErrorKind};
use std::io;

/// Kinds that correspond. Where several of one side map to one of the other, the first row wins.
const KINDS: &[(io::ErrorKind, ErrorKind)] = &[
    (io::ErrorKind::NotFound, ErrorKind::FileNotFound),
    (io::ErrorKind::QuotaExceeded, ErrorKind::QuotaExceeded),
    (io::ErrorKind::StorageFull, ErrorKind::QuotaExceeded),
    (io::ErrorKind::InvalidFilename, ErrorKind::InvalidKey),
    (io::ErrorKind::InvalidInput, ErrorKind::InvalidArgument),
    (io::ErrorKind::FileTooLarge, ErrorKind::TooLarge),
    (io::ErrorKind::AlreadyExists, ErrorKind::PreconditionFailed),
    (io::ErrorKind::ResourceBusy, ErrorKind::Conflict),
    (io::ErrorKind::Unsupported, ErrorKind::Unsupported),
    (io::ErrorKind::PermissionDenied, ErrorKind::PermissionDenied),
    (io::ErrorKind::PermissionDenied, ErrorKind::Unauthenticated),
    (io::ErrorKind::TimedOut, ErrorKind::Timeout),
    (io::ErrorKind::Interrupted, ErrorKind::Cancelled),
    (io::ErrorKind::InvalidData, ErrorKind::Corrupt),
    (io::ErrorKind::InvalidData, ErrorKind::ChecksumMismatch),
    (io::ErrorKind::UnexpectedEof, ErrorKind::Corrupt),
    (io::ErrorKind::ConnectionRefused, ErrorKind::Unavailable),
    (io::ErrorKind::ConnectionReset, ErrorKind::Unavailable),
    (io::ErrorKind::ConnectionAborted, ErrorKind::Unavailable),
    (io::ErrorKind::NotConnected, ErrorKind::Unavailable),
    (io::ErrorKind::HostUnreachable, ErrorKind::Unavailable),
    (io::ErrorKind::NetworkUnreachable, ErrorKind::Unavailable),
    (io::ErrorKind::NetworkDown, ErrorKind::Unavailable),
    (io::ErrorKind::BrokenPipe, ErrorKind::Unavailable),
];

/// An [`Error`] inside comes back whole; any other error becomes the cause, under the kind that
/// corresponds to its own, or `Other`. A quota of the file system has the fact `scope`, a full one has none.
///
/// ```
/// use holdall_plugin_api::{Error, ErrorKind};
/// use std::io;
///
/// let error = Error::from(io::Error::from(io::ErrorKind::StorageFull));
/// assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
///
/// let io = io::Error::from(Error::invalid_range(7));
/// assert_eq!(Error::from(io).fact("size"), Some("7"));
/// ```
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => {
                let kind = KINDS.iter().find(|(from, _)| *from == error.kind());
                let ours = Error::new(kind.map_or(ErrorKind::Other, |(_, kind)| *kind));
                let ours = match error.kind() {
                    io::ErrorKind::QuotaExceeded => ours.with_fact("scope", "file_system"),
                    _ => ours,
                };
                ours.because(error)
            }
        }
    }
}

/// The error is kept inside, under the kind that corresponds to its own, or `Other`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = KINDS.iter().find(|(_, from)| *from == error.kind());
        io::Error::new(kind.map_or(io::ErrorKind::Other, |(kind, _)| *kind), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_correspond_in_both_directions() {
        for (io_kind, _) in KINDS {
            let error = Error::from(io::Error::from(*io_kind));
            assert_ne!(error.kind(), ErrorKind::Other, "{io_kind:?}");
            assert!(error.cause().is_some());
        }
        for (_, kind) in KINDS {
            let io = io::Error::from(Error::new(*kind).with_code("own"));
            assert_ne!(io.kind(), io::ErrorKind::Other, "{kind:?}");
            let back = Error::from(io);
            assert_eq!((back.kind(), back.code()), (*kind, "own"));
        }
        let full = Error::from(io::Error::from_raw_os_error(28));
        assert_eq!(full.kind(), ErrorKind::QuotaExceeded);
        assert_eq!(
            full.cause().map(|cause| cause.code.as_str()),
            Some("os error 28")
        );
    }

    #[test]
    fn a_quota_has_a_scope_and_a_full_disk_has_none() {
        for (io, scope) in [
            (io::ErrorKind::QuotaExceeded, Some("file_system")),
            (io::ErrorKind::StorageFull, None),
        ] {
            let error = Error::from(io::Error::from(io));
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
            assert_eq!(error.fact("scope"), scope);
        }
    }
}
