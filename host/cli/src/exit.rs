//! Exit codes: what a script can act on.

use holdall::ErrorKind;

/// Everything went well.
pub(crate) const DONE: u8 = 0;
/// None of the others.
pub(crate) const OTHER: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// No such object; also the answer of `exists`.
pub(crate) const NOT_FOUND: u8 = 3;
/// A precondition was lost, or something is in the way.
pub(crate) const PRECONDITION: u8 = 4;
/// A key, an option or a file that cannot be used.
pub(crate) const BAD_INPUT: u8 = 5;
/// No space, or more than is allowed.
pub(crate) const QUOTA: u8 = 6;
/// The store does not answer, or not in time.
pub(crate) const UNAVAILABLE: u8 = 7;
/// A plugin or the configuration.
pub(crate) const SETUP: u8 = 8;
/// Ended by a signal: this and the signal's number, so 130 for Ctrl-C.
pub(crate) const SIGNALLED: u8 = 128;

/// The exit code of an error of the library.
pub(crate) fn of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::FileNotFound => NOT_FOUND,
        // What was asked not to happen unless something had changed did not happen.
        ErrorKind::NotModified | ErrorKind::PreconditionFailed | ErrorKind::Conflict => {
            PRECONDITION
        }
        ErrorKind::InvalidFileType
        | ErrorKind::InvalidKey
        | ErrorKind::InvalidArgument
        | ErrorKind::InvalidRange
        | ErrorKind::ChecksumMismatch
        | ErrorKind::Unsupported => BAD_INPUT,
        ErrorKind::QuotaExceeded | ErrorKind::TooLarge => QUOTA,
        ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout => UNAVAILABLE,
        // The backend's own credentials and container are configuration, never the caller's doing.
        ErrorKind::PermissionDenied
        | ErrorKind::Unauthenticated
        | ErrorKind::ContainerMissing
        | ErrorKind::ConfigInvalid
        | ErrorKind::BackendNotRegistered
        | ErrorKind::PluginLoad
        | ErrorKind::PluginFault => SETUP,
        ErrorKind::Cancelled => SIGNALLED + 2,
        ErrorKind::Corrupt | ErrorKind::Other => OTHER,
        // Kinds of a later version.
        _ => OTHER,
    }
}

/// The code of several failures: theirs when they agree.
pub(crate) fn of_many(codes: impl IntoIterator<Item = u8>) -> u8 {
    codes
        .into_iter()
        .reduce(|a, b| if a == b { a } else { OTHER })
        .unwrap_or(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        use ErrorKind::*;
        let expected = |kind| match kind {
            FileNotFound => 3,
            NotModified | PreconditionFailed | Conflict => 4,
            InvalidFileType | InvalidKey | InvalidArgument | InvalidRange | ChecksumMismatch
            | Unsupported => 5,
            QuotaExceeded | TooLarge => 6,
            RateLimited | Unavailable | Timeout => 7,
            PermissionDenied | Unauthenticated | ContainerMissing | ConfigInvalid
            | BackendNotRegistered | PluginLoad | PluginFault => 8,
            Cancelled => 130,
            Corrupt | Other => 1,
            // A new kind must be given its code here and above.
            kind => panic!("{kind:?} has no documented exit code"),
        };
        for kind in ErrorKind::ALL {
            assert_eq!(of(*kind), expected(*kind), "{kind:?}");
        }
    }

    #[test]
    fn many_failures_agree_or_are_other() {
        assert_eq!(of_many([]), 0);
        assert_eq!(of_many([3, 3]), 3);
        assert_eq!(of_many([3, 4]), 1);
    }
}
