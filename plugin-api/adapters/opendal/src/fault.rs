//! The one place where an OpenDAL error becomes a kind.
//!
//! The service's own classification comes first; where it says only "unexpected", the provider's
//! status decides, then the type of what lies under it. No text is searched.

use crate::provider_reply::{CapturedReply, ReplyCapture};
use holdall_plugin_api::{Error, ErrorKind, Retry};
use opendal_core::ErrorKind as Kind;
use std::time::Duration;

/// Marks, as the source of a transport's error, that a time limit has passed. A transport that
/// knows wraps its cause in this, so that its text need not be searched.
#[derive(Debug)]
pub struct TimedOut(pub Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time limit has passed")
    }
}

impl std::error::Error for TimedOut {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// An operator's refusal of its configuration.
pub fn from_config(error: opendal_core::Error) -> Error {
    let what = match error.kind() {
        Kind::ConfigInvalid | Kind::Unsupported => error.message().to_owned(),
        _ => "the service cannot be opened".to_owned(),
    };
    let error = error.set_permanent();
    Error::new(ErrorKind::ConfigInvalid)
        .with_message(what)
        .because(error)
}

/// What the operation wanted, as far as it changes what an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Looks only: a repeat is harmless.
    Read,
    /// Looks, if the object is another than the caller's: a lost condition is `NotModified`.
    ReadIfChanged,
    /// Changes something.
    Write,
}

impl Intent {
    fn reads(self) -> bool {
        self != Intent::Write
    }
}

/// Codes of a missing bucket or container, where the status alone says 404.
const CONTAINERS: [&str; 6] = [
    "NoSuchBucket",
    "ContainerNotFound",
    "ContainerBeingDeleted",
    "FilesystemNotFound",
    "ShareNotFound",
    "NoSuchContainer",
];
/// Codes of credentials that are missing, unknown or expired; others that are refused are rights.
const CREDENTIALS: [&str; 12] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "TokenRefreshRequired",
    "InvalidSecurityToken",
    "SecurityTokenExpired",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "bad_auth_token",
    "expired_auth_token",
];
/// Codes of clocks that differ too much.
const CLOCKS: [&str; 2] = ["RequestTimeTooSkewed", "RequestExpired"];
/// Codes of a service that is asked too much, where the status alone says 503.
const THROTTLES: [&str; 6] = [
    "SlowDown",
    "ServerBusy",
    "TooManyRequests",
    "RequestLimitExceeded",
    "QpsLimitExceeded",
    "DownloadTrafficRateLimitExceeded",
];
/// Codes of a quota of the account or the bucket.
const QUOTAS: [&str; 3] = [
    "QuotaExceeded",
    "QuotaExceededException",
    "storage_cap_exceeded",
];

pub(crate) const NO_CONTAINER: &str = "the configured bucket or container is not there";

pub(crate) fn fault(error: opendal_core::Error, captured: &ReplyCapture, intent: Intent) -> Error {
    of(error, &captured.captured(), intent)
}

fn of(error: opendal_core::Error, captured: &CapturedReply, intent: Intent) -> Error {
    if let Some(300..=303 | 305..=399) = captured.reply.status {
        return redirected(captured).because(error);
    }
    let code = captured.reply.code.as_deref().unwrap_or_default();
    let one_of = |codes: &[&str]| codes.contains(&code);
    let (kind, message) = match error.kind() {
        _ if one_of(&CONTAINERS) => (ErrorKind::ContainerMissing, NO_CONTAINER),
        _ if one_of(&CLOCKS) => (
            ErrorKind::Unauthenticated,
            "the clocks of this machine and of the service differ too much: set this one",
        ),
        _ if one_of(&CREDENTIALS) => (
            ErrorKind::Unauthenticated,
            "the service refuses the configured credentials",
        ),
        _ if one_of(&QUOTAS) => (
            ErrorKind::QuotaExceeded,
            "the quota of the service is used up",
        ),
        _ if one_of(&THROTTLES) => (ErrorKind::RateLimited, ""),
        Kind::NotFound => (ErrorKind::FileNotFound, ""),
        Kind::PermissionDenied => permission(captured),
        Kind::IsADirectory | Kind::NotADirectory if intent.reads() => (ErrorKind::FileNotFound, ""),
        Kind::IsADirectory | Kind::NotADirectory => (
            ErrorKind::Conflict,
            "a folder and an object cannot have one name in this service",
        ),
        // A lost condition has a kind of its own: here something else is in the way.
        Kind::AlreadyExists => (
            ErrorKind::Conflict,
            "a folder and an object cannot have one name in this service",
        ),
        Kind::ConditionNotMatch if intent == Intent::ReadIfChanged => (ErrorKind::NotModified, ""),
        Kind::ConditionNotMatch => (ErrorKind::PreconditionFailed, ""),
        Kind::RangeNotSatisfied => (ErrorKind::InvalidRange, ""),
        Kind::RateLimited => (ErrorKind::RateLimited, ""),
        // So OpenDAL calls a condition that the service says was lost and that was not set.
        Kind::Conflict if captured.reply.status == Some(412) => (ErrorKind::PreconditionFailed, ""),
        Kind::Conflict => (ErrorKind::Conflict, ""),
        Kind::Unsupported => (ErrorKind::Unsupported, "the service does not support this"),
        Kind::ConfigInvalid => (
            ErrorKind::ConfigInvalid,
            "the service refuses its configuration",
        ),
        _ => by_status(&error, captured, intent),
    };
    let retry = match kind {
        ErrorKind::RateLimited => {
            Retry::After(captured.retry_after.unwrap_or(Duration::from_secs(1)))
        }
        ErrorKind::Unavailable | ErrorKind::Timeout => match captured.retry_after {
            // Who says when to come again has done nothing.
            Some(after) if intent.reads() || captured.reply.status == Some(503) => {
                Retry::After(after)
            }
            _ if intent.reads() => Retry::Safe,
            _ => kind.retry(),
        },
        // OpenDAL calls temporary what a repeat of the same request may cure.
        ErrorKind::Other if error.is_temporary() && intent.reads() => Retry::Safe,
        ErrorKind::Other if error.is_temporary() => Retry::IfIdempotent,
        _ => kind.retry(),
    };
    let mut ours = Error::new(kind)
        .with_retry(retry)
        .with_provider(captured.reply.clone());
    if !message.is_empty() {
        ours = ours.with_message(message);
    }
    if one_of(&QUOTAS) {
        ours = ours.with_fact("scope", "provider");
    } else if kind == ErrorKind::QuotaExceeded && is_file_system_quota(&error) {
        ours = ours.with_fact("scope", "file_system");
    }
    if let (ErrorKind::InvalidRange, Some(size)) = (kind, captured.size) {
        ours = ours.with_fact("size", size);
    }
    ours.because(error)
}

/// Not followed: the signature is of one address, and the credentials are for one server.
fn redirected(captured: &CapturedReply) -> Error {
    let error = Error::new(ErrorKind::ConfigInvalid).with_provider(captured.reply.clone());
    match &captured.location {
        Some(location) => error
            .with_message(format!(
                "the service redirects to {location}; redirects are not followed: name the right `endpoint` or region"
            ))
            .with_fact("location", location),
        None => error.with_message(
            "the service redirects and does not say where; name the right `endpoint` or region",
        ),
    }
}

/// EDQUOT, not ENOSPC.
fn is_file_system_quota(error: &opendal_core::Error) -> bool {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::QuotaExceeded)
}

fn permission(captured: &CapturedReply) -> (ErrorKind, &'static str) {
    match captured.reply.status {
        Some(401) => (
            ErrorKind::Unauthenticated,
            "the service refuses the configured credentials",
        ),
        _ => (
            ErrorKind::PermissionDenied,
            "the configured credentials lack the right to do this",
        ),
    }
}

fn by_status(
    error: &opendal_core::Error,
    captured: &CapturedReply,
    intent: Intent,
) -> (ErrorKind, &'static str) {
    match captured.reply.status {
        Some(400) => (ErrorKind::Other, "the service refuses the request"),
        Some(401) => permission(captured),
        Some(403) => permission(captured),
        Some(404 | 410) => (ErrorKind::FileNotFound, ""),
        Some(405 | 501) => (ErrorKind::Unsupported, "the service does not support this"),
        Some(408 | 504) => (ErrorKind::Timeout, "the service gave up"),
        Some(409 | 423) => (ErrorKind::Conflict, ""),
        Some(412) => (ErrorKind::PreconditionFailed, ""),
        Some(413) => (
            ErrorKind::TooLarge,
            "the service takes no object of this size",
        ),
        Some(416) => (ErrorKind::InvalidRange, ""),
        Some(429) => (ErrorKind::RateLimited, ""),
        Some(507) => (ErrorKind::QuotaExceeded, "the service's storage is full"),
        Some(500..) => (
            ErrorKind::Unavailable,
            "the service reports a fault of its own",
        ),
        Some(200..300) => match by_type(error, intent) {
            late @ (ErrorKind::Timeout, _) => late,
            _ => (
                ErrorKind::Unavailable,
                "the service's answer is cut short or not what was asked",
            ),
        },
        _ => by_type(error, intent),
    }
}

/// No answer at all: what lies under the error tells why.
fn by_type(error: &opendal_core::Error, intent: Intent) -> (ErrorKind, &'static str) {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.is::<TimedOut>() {
            return (ErrorKind::Timeout, "the service does not answer in time");
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind as Io;
            return match io.kind() {
                Io::TimedOut => (ErrorKind::Timeout, "the service does not answer in time"),
                Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
                    (ErrorKind::QuotaExceeded, "the storage is full")
                }
                Io::PermissionDenied | Io::ReadOnlyFilesystem => (
                    ErrorKind::PermissionDenied,
                    "the process lacks the right to do this",
                ),
                Io::NotFound => (ErrorKind::FileNotFound, ""),
                // Nothing lies below an object.
                Io::NotADirectory if intent.reads() => (ErrorKind::FileNotFound, ""),
                Io::NotADirectory | Io::IsADirectory | Io::DirectoryNotEmpty => (
                    ErrorKind::Conflict,
                    "a folder and an object cannot have one name in this service",
                ),
                Io::InvalidFilename => (ErrorKind::InvalidKey, "the service cannot keep this name"),
                _ => (ErrorKind::Unavailable, "the service does not answer"),
            };
        }
        next = cause.source();
    }
    if error.is_temporary() || error.is_persistent() {
        (ErrorKind::Unavailable, "the service does not answer")
    } else {
        (ErrorKind::Other, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ProviderReply;

    fn captured(status: u16, code: &str) -> CapturedReply {
        let mut captured = CapturedReply::default();
        captured.reply.status = Some(status);
        captured.reply.code = (!code.is_empty()).then(|| code.to_owned());
        captured
    }

    fn kind(of_opendal: Kind, status: u16, code: &str) -> ErrorKind {
        let error = opendal_core::Error::new(of_opendal, "test");
        of(error, &captured(status, code), Intent::Read).kind()
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        assert_eq!(kind(Kind::NotFound, 404, ""), ErrorKind::FileNotFound);
        assert_eq!(
            kind(Kind::NotFound, 404, "NoSuchBucket"),
            ErrorKind::ContainerMissing
        );
    }

    #[test]
    fn a_redirect_is_named_with_its_server() {
        for kind in [Kind::Unexpected, Kind::NotFound] {
            let mut reply = captured(307, "TemporaryRedirect");
            let error = of(
                opendal_core::Error::new(kind, "test"),
                &reply,
                Intent::Write,
            );
            assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
            assert_eq!(error.fact("location"), None);
            reply.location = Some("https://elsewhere.example".into());
            let error = of(
                opendal_core::Error::new(kind, "test"),
                &reply,
                Intent::Write,
            );
            assert_eq!(error.fact("location"), Some("https://elsewhere.example"));
        }
    }

    #[test]
    fn refused_credentials_differ_from_lacking_rights() {
        assert_eq!(
            kind(Kind::PermissionDenied, 403, "AccessDenied"),
            ErrorKind::PermissionDenied
        );
        for code in ["SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
            assert_eq!(
                kind(Kind::PermissionDenied, 403, code),
                ErrorKind::Unauthenticated
            );
        }
        assert_eq!(kind(Kind::Unexpected, 401, ""), ErrorKind::Unauthenticated);
    }

    #[test]
    fn a_lost_condition_is_what_the_caller_asked_about() {
        let lost = || opendal_core::Error::new(Kind::ConditionNotMatch, "test");
        let captured = captured(412, "");
        assert_eq!(
            of(lost(), &captured, Intent::Write).kind(),
            ErrorKind::PreconditionFailed
        );
        assert_eq!(
            of(lost(), &captured, Intent::ReadIfChanged).kind(),
            ErrorKind::NotModified
        );
    }

    #[test]
    fn retry_follows_the_provider_and_the_intent() {
        let busy = || opendal_core::Error::new(Kind::RateLimited, "test").set_temporary();
        let mut slow = captured(503, "SlowDown");
        slow.retry_after = Some(Duration::from_secs(7));
        assert_eq!(
            of(busy(), &slow, Intent::Write).retry(),
            Retry::After(Duration::from_secs(7))
        );
        let gone = || opendal_core::Error::new(Kind::Unexpected, "test").set_temporary();
        let nothing = CapturedReply::default();
        assert_eq!(of(gone(), &nothing, Intent::Read).retry(), Retry::Safe);
        assert_eq!(
            of(gone(), &nothing, Intent::Write).retry(),
            Retry::IfIdempotent
        );
        assert_eq!(
            of(gone(), &nothing, Intent::Write).kind(),
            ErrorKind::Unavailable
        );
    }

    /// Over HTTP a quota is 403, a full store 500 or 507.
    #[test]
    fn a_quota_has_a_scope_and_a_full_store_has_none() {
        let answered = |code: Option<&str>, status| CapturedReply {
            reply: ProviderReply::new()
                .status(Some(status))
                .code(code.map(str::to_owned)),
            ..CapturedReply::default()
        };
        let plain = || opendal_core::Error::new(Kind::Unexpected, "");
        let io = |kind| plain().set_source(std::io::Error::from(kind));
        let nothing = CapturedReply::default;
        use std::io::ErrorKind as Io;
        for (error, captured, scope) in [
            (
                plain(),
                answered(Some("QuotaExceeded"), 403),
                Some("provider"),
            ),
            (
                plain(),
                answered(Some("storage_cap_exceeded"), 403),
                Some("provider"),
            ),
            (plain(), answered(None, 507), None),
            (io(Io::QuotaExceeded), nothing(), Some("file_system")),
            (io(Io::StorageFull), nothing(), None),
        ] {
            let error = of(error, &captured, Intent::Write);
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error:?}");
            assert_eq!(error.fact("scope"), scope, "{error:?}");
        }
    }

    #[test]
    fn types_under_the_error_decide_not_texts() {
        let with = |cause: std::io::Error| {
            let error = opendal_core::Error::new(Kind::Unexpected, "timed out, not found, full");
            of(
                error.set_source(cause),
                &CapturedReply::default(),
                Intent::Write,
            )
            .kind()
        };
        let io = |kind| std::io::Error::from(kind);
        assert_eq!(
            with(io(std::io::ErrorKind::StorageFull)),
            ErrorKind::QuotaExceeded
        );
        assert_eq!(with(io(std::io::ErrorKind::TimedOut)), ErrorKind::Timeout);
        assert_eq!(
            with(io(std::io::ErrorKind::ConnectionRefused)),
            ErrorKind::Unavailable
        );
        let marked =
            opendal_core::Error::new(Kind::Unexpected, "").set_source(TimedOut("late".into()));
        assert_eq!(
            of(marked, &CapturedReply::default(), Intent::Read).kind(),
            ErrorKind::Timeout
        );
    }
}
