//! The one place where an answer of the server, or none, becomes an error of the contract.

use holdall_plugin_api::{Error, ErrorKind, ProviderReply, Retry};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

/// Whether a repeat is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Reading,
    Changing,
}

/// The status that a server answered with, where it did.
pub(crate) fn status(error: &SftpError) -> Option<StatusCode> {
    match error {
        SftpError::Status(status) => Some(status.status_code),
        _ => None,
    }
}

/// A request that did not go well.
pub(crate) fn from_sftp(about: About, cause: SftpError) -> Error {
    let (kind, message) = match (&cause, status(&cause)) {
        (_, Some(StatusCode::NoSuchFile)) => (ErrorKind::FileNotFound, ""),
        (_, Some(StatusCode::PermissionDenied)) => (
            ErrorKind::PermissionDenied,
            "the server's file permissions forbid it",
        ),
        (_, Some(StatusCode::OpUnsupported)) => (
            ErrorKind::Unsupported,
            "the server does not have this request",
        ),
        (_, Some(StatusCode::NoConnection | StatusCode::ConnectionLost)) => {
            (ErrorKind::Unavailable, "the server has lost what it serves")
        }
        // Names that its file system does not take.
        (_, Some(StatusCode::BadMessage)) => {
            (ErrorKind::InvalidKey, "the server does not take this name")
        }
        (_, Some(_)) => (
            ErrorKind::Other,
            "the server refuses the request without saying why",
        ),
        (SftpError::Timeout, _) => (ErrorKind::Timeout, "the server does not answer in time"),
        (SftpError::Limited(_) | SftpError::UnexpectedPacket, _) => (
            ErrorKind::Other,
            "the server's answer is not what SFTP has for this request",
        ),
        _ => (ErrorKind::Unavailable, "the connection to the server broke"),
    };
    let reply = ProviderReply::new()
        .status(status(&cause).map(|code| code as u16))
        .code(status(&cause).map(|code| code.to_string()));
    let error = Error::new(kind)
        .with_message(message)
        .with_provider(reply)
        .because(cause);
    with_retry(error, about)
}

fn with_retry(error: Error, about: About) -> Error {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Timeout if about == About::Reading => {
            error.with_retry(Retry::Safe)
        }
        _ => error,
    }
}

/// No connection, before anything was asked.
pub(crate) fn from_connect(cause: russh::Error) -> Error {
    let (kind, message) = match &cause {
        russh::Error::NoCommonAlgo { .. } => (
            ErrorKind::ConfigInvalid,
            "the server and this plugin have no algorithm in common",
        ),
        russh::Error::ConnectionTimeout | russh::Error::KeepaliveTimeout => {
            (ErrorKind::Timeout, "the server does not answer in time")
        }
        _ => (ErrorKind::Unavailable, "no SSH connection to the server"),
    };
    let error = Error::new(kind).with_message(message).because(cause);
    with_retry(error, About::Reading)
}

/// No listener, or no route.
pub(crate) fn from_io(cause: std::io::Error) -> Error {
    let error = Error::new(ErrorKind::Unavailable)
        .with_message("no connection to the server")
        .because(cause);
    with_retry(error, About::Reading)
}

/// Nothing came within the time that is allowed.
pub(crate) fn too_slow() -> Error {
    let error = Error::new(ErrorKind::Timeout).with_message("the server does not answer in time");
    with_retry(error, About::Reading)
}

/// What is there is not what the name says.
pub(crate) fn leads_out() -> Error {
    Error::new(ErrorKind::PermissionDenied)
        .with_message("a symbolic link is in the way of this key, and links are not followed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh_sftp::protocol::Status;

    #[test]
    fn kinds_and_retry_classes() {
        use ErrorKind as K;
        let of = |about, code| {
            let status = Status {
                id: 1,
                status_code: code,
                error_message: "x".into(),
                language_tag: String::new(),
            };
            from_sftp(about, SftpError::Status(status))
        };
        for (code, kind) in [
            (StatusCode::NoSuchFile, K::FileNotFound),
            (StatusCode::PermissionDenied, K::PermissionDenied),
            (StatusCode::OpUnsupported, K::Unsupported),
            (StatusCode::ConnectionLost, K::Unavailable),
            (StatusCode::Failure, K::Other),
        ] {
            let error = of(About::Changing, code);
            assert_eq!(
                (error.kind(), error.provider().status),
                (kind, Some(code as u16))
            );
        }
        let lost = |about| from_sftp(about, SftpError::IO("x".into())).retry();
        assert_eq!(lost(About::Reading), Retry::Safe);
        assert_eq!(lost(About::Changing), Retry::IfIdempotent);
        assert_eq!(
            from_sftp(About::Changing, SftpError::Timeout).kind(),
            K::Timeout
        );
    }
}
