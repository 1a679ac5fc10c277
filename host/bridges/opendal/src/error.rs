//! Conversion of errors.

use holdall_plugin_api::{Error, ErrorKind as Ours, Retry};
use opendal_core::ErrorKind;

pub(super) fn error(error: Error) -> opendal_core::Error {
    let kind = match error.kind() {
        Ours::FileNotFound => ErrorKind::NotFound,
        Ours::PermissionDenied | Ours::Unauthenticated => ErrorKind::PermissionDenied,
        Ours::PreconditionFailed | Ours::NotModified => ErrorKind::ConditionNotMatch,
        Ours::InvalidRange => ErrorKind::RangeNotSatisfied,
        Ours::RateLimited => ErrorKind::RateLimited,
        Ours::Conflict => ErrorKind::Conflict,
        Ours::Unsupported => ErrorKind::Unsupported,
        Ours::ConfigInvalid | Ours::InvalidKey | Ours::InvalidArgument => ErrorKind::ConfigInvalid,
        // A missing bucket is not a missing object.
        _ => ErrorKind::Unexpected,
    };
    // OpenDAL retries temporary errors, whatever the operation.
    let repeatable = matches!(error.retry(), Retry::Safe | Retry::After(_));
    let theirs = opendal_core::Error::new(kind, error.to_string())
        .with_context("code", error.code())
        .with_temporary(repeatable);
    error
        .facts()
        .fold(theirs, |theirs, (name, value)| {
            theirs.with_context("fact", format!("{name}={value}"))
        })
        .set_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_proven_or_an_error() {
        assert_eq!(error(Error::not_found()).kind(), ErrorKind::NotFound);
        let bucket = error(Error::new(Ours::ContainerMissing));
        assert_eq!(bucket.kind(), ErrorKind::Unexpected);
    }

    #[test]
    fn only_what_may_be_repeated_is_temporary() {
        let busy = Error::new(Ours::RateLimited);
        assert!(error(busy).is_temporary());
        assert!(!error(Error::new(Ours::Unavailable)).is_temporary());
        assert!(error(Error::new(Ours::Unavailable).with_retry(Retry::Safe)).is_temporary());
    }
}
