//! Conversion of engine faults to errors of the contract.

use crate::engine::fault::{Fault, FaultKind};
use holdall_plugin_api::{Error, ErrorKind, Retry};
use tokio::task::JoinError;

/// Converts a fault: kind, message and cause.
pub(crate) fn from_fault(fault: Fault) -> Error {
    let kind = match fault.kind {
        FaultKind::NotFound => ErrorKind::FileNotFound,
        FaultKind::Full => ErrorKind::QuotaExceeded,
        FaultKind::Denied => ErrorKind::PermissionDenied,
        FaultKind::RootMissing | FaultKind::PartMissing => ErrorKind::ContainerMissing,
        FaultKind::Conflict => ErrorKind::Conflict,
        FaultKind::Precondition => ErrorKind::PreconditionFailed,
        FaultKind::BadKey => ErrorKind::InvalidKey,
        FaultKind::BadArgument => ErrorKind::InvalidArgument,
        FaultKind::Corrupt => ErrorKind::Corrupt,
        FaultKind::TooLarge => ErrorKind::TooLarge,
        FaultKind::Unsupported => ErrorKind::Unsupported,
        FaultKind::UploadMissing => return Error::upload_not_found().with_fact("step", fault.step),
        FaultKind::Part(number) => {
            return Error::invalid_part(number).with_fact("step", fault.step);
        }
        FaultKind::Locked | FaultKind::Busy | FaultKind::Closed => ErrorKind::Unavailable,
        FaultKind::Io => ErrorKind::Other,
    };
    // Nothing has changed in any of these.
    let retry_is_safe = kind == ErrorKind::Unavailable;
    let mut error = Error::new(kind)
        .with_message(fault.message)
        .with_fact("step", fault.step);
    if retry_is_safe {
        error = error.with_retry(Retry::Safe);
    }
    match fault.source {
        Some(source) => {
            // EDQUOT, not ENOSPC.
            if source.kind() == std::io::ErrorKind::QuotaExceeded {
                error = error.with_fact("scope", "file_system");
            }
            error.because(source)
        }
        None => error,
    }
}

/// Converts the end of a job without an answer: a panic continues in the operation that waited for
/// it, so that the host sees the plugin's fault; a pool that shuts down is an error.
pub(crate) fn from_join(ended: JoinError) -> Error {
    match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::new(ErrorKind::Cancelled).with_message("the plugin is shutting down"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// A quota of the file system differs from a full disk: a server answers them differently.
    #[test]
    fn a_quota_of_the_file_system_has_a_scope() {
        use crate::engine::platform::Errno;
        for (errno, scope) in [(Errno::NOSPC, None), (Errno::DQUOT, Some("file_system"))] {
            let error = from_fault(Fault::os("write", errno));
            assert_eq!(
                (error.kind(), error.fact("scope")),
                (ErrorKind::QuotaExceeded, scope)
            );
        }
    }

    #[test]
    fn an_error_of_the_system_is_the_cause_and_not_the_message() {
        let mut fault = Fault::new(FaultKind::Full, "write", "the file system is full");
        fault.source = Some(io::Error::from_raw_os_error(28));
        let error = from_fault(fault);
        assert_eq!(
            (error.kind(), error.fact("step")),
            (ErrorKind::QuotaExceeded, Some("write"))
        );
        assert_eq!(
            error.cause().map(|cause| cause.code.as_str()),
            Some("os error 28")
        );
        assert!(!error.message().contains("os error"));
    }
}
