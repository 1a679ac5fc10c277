//! The one place where a store's error becomes ours.
//!
//! What the provider said wins over the variant that `object_store` chose for it: a 404 may be the
//! key's or the bucket's, a 409 a lost race or an existing object, a 403 a wrong clock. Codes of S3,
//! Azure and Google are in one table, because none of them means two things.

use crate::reply::{Call, Failure, Reply, Seen, TlsFault};
use holdall_plugin_api::{Cause, Error, ErrorKind, ProviderReply, Retry};
use object_store::Error as Theirs;
use std::time::Duration;

/// Makes an error of the contract out of a store's, with what its [`Call`] has seen.
pub fn error_of(theirs: Theirs, call: &Call) -> Error {
    let seen = call.seen();
    let error = match &seen {
        Some(Seen::Answer(reply)) if is_error(reply) => of_reply(reply, &theirs),
        Some(Seen::Failed(failure)) => of_failure("the store", *failure),
        Some(Seen::NoCredentials(failure)) => of_failure(SOURCE, *failure),
        // Good by its status, and yet the store's client could not use it.
        Some(Seen::Answer(reply)) if reply.status != 0 && is_generic(&theirs) => unusable(reply),
        _ => Error::new(of_variant(&theirs)),
    };
    let error = match &seen {
        Some(Seen::Answer(reply)) => error.with_provider(
            ProviderReply::new()
                .status(Some(reply.sent_status.unwrap_or(reply.status)))
                .code(reply.code.clone())
                .request_id(reply.request_id.clone()),
        ),
        _ => error,
    };
    let attempts = call.attempts();
    let cause = match &seen {
        // The client's own words quote the answer, and take one for another: its variant for a 409
        // says "already exists", and its status is not always the one that was sent.
        Some(Seen::Answer(reply)) if is_error(reply) => words_of(reply),
        _ => Some(condensed(Cause::from_error(&theirs))),
    };
    let error = error.with_cause(cause);
    error.at(|place| place.attempts = attempts)
}

fn is_error(reply: &Reply) -> bool {
    reply.status >= 300 || reply.code.is_some()
}

/// The provider's own words.
fn words_of(reply: &Reply) -> Option<Cause> {
    let code = reply.code.clone().unwrap_or_default();
    Some(Cause::new(code, reply.message.clone()?))
}

/// Without the links that repeat the one below them: the client's errors quote their sources.
fn condensed(mut cause: Cause) -> Cause {
    while let Some(source) = cause.source.take() {
        if !cause.text.contains(&source.text) {
            cause.source = Some(Box::new(condensed(*source)));
            break;
        }
        cause = *source;
    }
    cause
}

/// As [`error_of`], of a request that only reads: its outcome may be unknown, a repeat is harmless.
pub(crate) fn of_read(theirs: Theirs, call: &Call) -> Error {
    let error = error_of(theirs, call);
    match error.retry() {
        Retry::IfIdempotent => error.with_retry(Retry::Safe),
        _ => error,
    }
}

fn is_generic(theirs: &Theirs) -> bool {
    matches!(theirs, Theirs::Generic { .. } | Theirs::InvalidPath { .. })
}

fn of_variant(theirs: &Theirs) -> ErrorKind {
    match theirs {
        Theirs::NotFound { .. } => ErrorKind::FileNotFound,
        Theirs::AlreadyExists { .. } | Theirs::Precondition { .. } => ErrorKind::PreconditionFailed,
        Theirs::NotModified { .. } => ErrorKind::NotModified,
        Theirs::NotSupported { .. } | Theirs::NotImplemented { .. } => ErrorKind::Unsupported,
        Theirs::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        Theirs::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        Theirs::InvalidPath { .. } => ErrorKind::InvalidKey,
        Theirs::UnknownConfigurationKey { .. } => ErrorKind::ConfigInvalid,
        _ => ErrorKind::Other,
    }
}

/// Who was asked for a token or for keys.
const SOURCE: &str = "the source of the credentials";

fn of_failure(whom: &str, failure: Failure) -> Error {
    let unavailable = Error::new(ErrorKind::Unavailable);
    match failure {
        // Nothing was sent, so a repeat is safe whatever the request.
        Failure::Connect => unavailable
            .with_message(format!("no connection to {whom}"))
            .with_retry(Retry::Safe),
        Failure::Tls(fault) => unavailable
            .with_message(format!(
                "no trusted connection to {whom}: {}",
                words_of_tls(fault)
            ))
            .with_retry(Retry::Safe),
        Failure::Timeout => {
            Error::new(ErrorKind::Timeout).with_message(format!("{whom} does not answer"))
        }
        Failure::Broken => unavailable.with_message(format!("the connection to {whom} broke")),
        Failure::Other => {
            Error::new(ErrorKind::Other).with_message("the request could not be made")
        }
    }
}

/// What is wrong, and the cure.
fn words_of_tls(fault: TlsFault) -> &'static str {
    match fault {
        TlsFault::UnknownIssuer => {
            "the issuer of its certificate is not trusted; name the certificate of the issuer in `ca_file`"
        }
        TlsFault::Time => "its certificate has expired or is not valid yet",
        TlsFault::Name => {
            "its certificate is for another host; `endpoint` must name a host of the certificate"
        }
        TlsFault::Authority => {
            "its certificate is that of a certificate authority; give the server a certificate of its own (`basicConstraints = CA:FALSE`), signed by that authority or by itself"
        }
        TlsFault::Other => "its certificate or protocol is refused",
    }
}

/// A success that the client cannot read: a page of a proxy, half a document, bytes of another range.
fn unusable(reply: &Reply) -> Error {
    let error = Error::new(ErrorKind::Unavailable);
    if reply.credentials {
        error.with_message(format!("the answer of {SOURCE} is not what is asked for"))
    } else if reply.foreign {
        error.with_message("the answer is not the store's: something stands between")
    } else {
        error.with_message("the store's answer is not what the request asks for")
    }
}

/// What a provider's answer means.
fn of_reply(reply: &Reply, theirs: &Theirs) -> Error {
    if reply.credentials {
        return of_credentials(reply);
    }
    if let Some(missing) = reply.missing {
        return Error::new(ErrorKind::Unavailable).with_message(format!(
            "the store answers {} without {missing}",
            reply.sent_status.unwrap_or(reply.status)
        ));
    }
    match reply.skew_seconds {
        Some(skew) if matches!(reply.status, 401 | 403) => return clock_skew(skew),
        None if reply.code.as_deref() == Some("RequestTimeTooSkewed") => {
            return Error::new(ErrorKind::PermissionDenied)
                .with_code("clock_skew")
                .with_message(
                    "the clock of this machine is too far from the store's: set the clock",
                );
        }
        _ => {}
    }
    if let Some(region) = &reply.region
        && matches!(reply.status, 301 | 307 | 400)
    {
        return Error::new(ErrorKind::ConfigInvalid)
            .with_message("the bucket is in another region")
            .with_fact("region", region);
    }
    if matches!(reply.status, 300..=303 | 305..=399) || reply.is_redirect_code() {
        return redirected(reply);
    }
    let kind = match reply.code.as_deref().and_then(of_code) {
        // Azure calls any condition that was not met by one name; the status tells which.
        _ if reply.status == 304 => ErrorKind::NotModified,
        Some(kind) => kind,
        None => of_status(reply, theirs),
    };
    let error = match kind {
        ErrorKind::InvalidRange => match reply.size {
            Some(size) => Error::invalid_range(size),
            None => Error::new(kind),
        },
        ErrorKind::QuotaExceeded if reply.code.as_deref().is_some_and(is_quota) => {
            Error::new(kind).with_fact("scope", "provider")
        }
        ErrorKind::RateLimited => {
            let wait = reply.retry_after.unwrap_or(Duration::from_secs(1));
            Error::new(kind).with_retry(Retry::After(wait))
        }
        ErrorKind::Unavailable if reply.foreign => {
            Error::new(kind).with_message("the answer is not the store's: something stands between")
        }
        ErrorKind::Unavailable => match reply.retry_after {
            Some(wait) => Error::new(kind).with_retry(Retry::After(wait)),
            None => Error::new(kind),
        },
        _ => Error::new(kind),
    };
    match &reply.code {
        Some(code) if error.message().is_empty() => {
            let status = reply.sent_status.unwrap_or(reply.status);
            error.with_message(format!("the store answers {status} {code}"))
        }
        _ => error,
    }
}

impl Reply {
    fn is_redirect_code(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("PermanentRedirect" | "TemporaryRedirect")
        )
    }
}

/// Never followed: a signature is of one address.
fn redirected(reply: &Reply) -> Error {
    let error = Error::new(ErrorKind::ConfigInvalid);
    match &reply.location {
        Some(location) => error
            .with_message(format!(
                "the store redirects to {location}; redirects are not followed: name the right `endpoint` or `region`"
            ))
            .with_fact("location", location),
        None => error.with_message(
            "the store redirects and does not say where; name the right `endpoint` or `region`",
        ),
    }
}

fn of_credentials(reply: &Reply) -> Error {
    if reply.status >= 500 || reply.status == 429 {
        return Error::new(ErrorKind::Unavailable)
            .with_message(format!("{SOURCE} does not answer properly"));
    }
    Error::new(ErrorKind::Unauthenticated)
        .with_message(format!("{SOURCE} hands out none"))
        .with_retry(Retry::Never)
}

/// The clocks differ too much for signatures, which carry a time.
pub(crate) fn clock_skew(seconds: i64) -> Error {
    let side = if seconds > 0 { "behind" } else { "ahead of" };
    Error::new(ErrorKind::PermissionDenied)
        .with_code("clock_skew")
        .with_message(format!(
            "the clock of this machine is {} s {side} the store's, and signatures carry a time: set the clock",
            seconds.unsigned_abs()
        ))
        .with_fact("skew_seconds", seconds)
}

fn of_status(reply: &Reply, theirs: &Theirs) -> ErrorKind {
    match reply.status {
        304 => ErrorKind::NotModified,
        // A 404 proves an absence only when the store says which: an error page of a proxy is none.
        404 if reply.foreign => ErrorKind::Unavailable,
        404 => ErrorKind::FileNotFound,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        408 => ErrorKind::Timeout,
        // Providers without a code answer 409 to a create-only that lost.
        409 => match theirs {
            Theirs::AlreadyExists { .. } => ErrorKind::PreconditionFailed,
            _ => ErrorKind::Conflict,
        },
        412 => ErrorKind::PreconditionFailed,
        413 => ErrorKind::TooLarge,
        416 => ErrorKind::InvalidRange,
        429 => ErrorKind::RateLimited,
        501 => ErrorKind::Unsupported,
        504 => ErrorKind::Timeout,
        507 => ErrorKind::QuotaExceeded,
        500..=599 => ErrorKind::Unavailable,
        300..=399 => ErrorKind::ConfigInvalid,
        // The caller is not to blame for a request that we made.
        _ => ErrorKind::Other,
    }
}

/// Whether a code names a quota of the account or the bucket, and not a store that is full.
fn is_quota(code: &str) -> bool {
    QUOTAS.contains(&code)
}

const QUOTAS: [&str; 4] = [
    "QuotaExceeded",
    "QuotaExceededException",
    "StorageQuotaExceeded",
    "AccountLimitExceeded",
];

/// The kind that a provider's code stands for; `None` for a code that says no more than its status.
///
/// S3: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. Azure:
/// <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>. Google:
/// <https://cloud.google.com/storage/docs/xml-api/reference-status>.
pub fn of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "NoSuchKey" | "NoSuchVersion" | "BlobNotFound" | "ResourceNotFound" => {
            ErrorKind::FileNotFound
        }
        "NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted" | "ContainerDisabled" => {
            ErrorKind::ContainerMissing
        }
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidObjectState"
        | "NotSignedUp"
        | "InsufficientAccountPermissions"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "AccountIsDisabled"
        | "InvalidAuthenticationInfo"
        | "InvalidPayer"
        | "UserProjectAccountProblem" => ErrorKind::PermissionDenied,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidSecurity"
        | "AuthenticationFailed"
        | "NoAuthenticationInformation"
        | "AuthenticationRequired"
        | "InvalidCredentials" => ErrorKind::Unauthenticated,
        "PreconditionFailed"
        | "ConditionNotMet"
        | "TargetConditionNotMet"
        | "SourceConditionNotMet"
        | "BlobAlreadyExists"
        | "ObjectAlreadyExists" => ErrorKind::PreconditionFailed,
        "ConditionalRequestConflict"
        | "OperationAborted"
        | "BucketNotEmpty"
        | "LeaseIdMissing"
        | "LeaseAlreadyPresent"
        | "BlobBeingRehydrated"
        | "PendingCopyOperation"
        | "SnapshotsPresent"
        | "NoSuchUpload"
        | "InvalidPart"
        // Another upload of the same blob was committed, which drops all other blocks.
        | "InvalidBlockList" => ErrorKind::Conflict,
        "InvalidRange" => ErrorKind::InvalidRange,
        "EntityTooLarge" | "RequestBodyTooLarge" | "MaxMessageLengthExceeded" => {
            ErrorKind::TooLarge
        }
        "KeyTooLongError" | "KeyTooLong" | "InvalidResourceName" | "InvalidObjectName" => {
            ErrorKind::InvalidKey
        }
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "Md5Mismatch"
        | "XAmzContentChecksumMismatch"
        | "Crc64Mismatch" => ErrorKind::ChecksumMismatch,
        "SlowDown"
        // Azure's word for more than an account or a blob may be asked for.
        | "ServerBusy"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "rateLimitExceeded"
        | "userRateLimitExceeded"
        | "BandwidthLimitExceeded" => ErrorKind::RateLimited,
        quota if is_quota(quota) => ErrorKind::QuotaExceeded,
        "InsufficientStorage" | "XMinioStorageFull" => ErrorKind::QuotaExceeded,
        "InternalError" | "ServiceUnavailable" | "Busy" | "backendError"
        | "OperationTimedOut" => ErrorKind::Unavailable,
        "RequestTimeout" => ErrorKind::Timeout,
        "NotImplemented" | "UnsupportedHeader" | "UnsupportedHttpVerb" => ErrorKind::Unsupported,
        "InvalidBucketName"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => ErrorKind::ConfigInvalid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(reply: Reply) -> Error {
        let call = Call::default();
        call.note(Seen::Answer(reply));
        let theirs = Theirs::Generic {
            store: "test",
            source: "cause".into(),
        };
        error_of(theirs, &call)
    }

    fn reply(status: u16, code: Option<&str>) -> Reply {
        Reply {
            status,
            code: code.map(str::to_owned),
            ..Reply::default()
        }
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_key() {
        let kind = |code| judged(reply(404, Some(code))).kind();
        assert_eq!(kind("NoSuchKey"), ErrorKind::FileNotFound);
        assert_eq!(kind("NoSuchBucket"), ErrorKind::ContainerMissing);
        assert_eq!(kind("ContainerNotFound"), ErrorKind::ContainerMissing);
    }

    #[test]
    fn a_page_of_a_proxy_proves_no_absence() {
        let page = Reply {
            foreign: true,
            ..reply(404, None)
        };
        assert_eq!(judged(page).kind(), ErrorKind::Unavailable);
        assert_eq!(judged(reply(404, None)).kind(), ErrorKind::FileNotFound);
        let login = Reply {
            foreign: true,
            ..reply(200, None)
        };
        assert_eq!(judged(login).kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn what_the_provider_said_arrives() {
        let error = judged(Reply {
            request_id: Some("id-7".into()),
            retry_after: Some(Duration::from_secs(7)),
            ..reply(503, Some("SlowDown"))
        });
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(7)));
        assert_eq!(error.provider().status, Some(503));
        assert_eq!(error.provider().code.as_deref(), Some("SlowDown"));
        assert_eq!(error.provider().request_id.as_deref(), Some("id-7"));
        assert_eq!(error.place().attempts, 1);
    }

    #[test]
    fn an_error_with_status_200_is_reported_with_it() {
        let error = judged(Reply {
            sent_status: Some(200),
            message: Some("one part is missing".into()),
            ..reply(409, Some("InvalidPart"))
        });
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.provider().status, Some(200));
        let causes: Vec<_> = error.cause().into_iter().flat_map(Cause::chain).collect();
        let [cause] = causes[..] else {
            panic!("{causes:?}");
        };
        assert_eq!(
            (cause.code.as_str(), cause.text.as_str()),
            ("InvalidPart", "one part is missing")
        );
        let missing = judged(Reply {
            sent_status: Some(200),
            missing: Some("the result of the copy"),
            ..reply(502, None)
        });
        assert_eq!(missing.kind(), ErrorKind::Unavailable);
        assert_eq!(missing.provider().status, Some(200));
    }

    /// Over HTTP a quota is 403, a full store 500 or 507.
    #[test]
    fn a_quota_of_the_provider_has_a_scope_and_a_full_store_has_none() {
        for (status, code, scope) in [
            (403, Some("QuotaExceeded"), Some("provider")),
            (403, Some("QuotaExceededException"), Some("provider")),
            (403, Some("StorageQuotaExceeded"), Some("provider")),
            (409, Some("AccountLimitExceeded"), Some("provider")),
            (507, Some("XMinioStorageFull"), None),
            (507, Some("InsufficientStorage"), None),
            (507, None, None),
        ] {
            let error = judged(reply(status, code));
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{code:?}");
            assert_eq!(error.fact("scope"), scope, "{code:?}");
        }
    }

    #[test]
    fn a_redirect_is_named_with_its_target() {
        for status in [301, 302, 307, 308] {
            let error = judged(Reply {
                location: Some("https://elsewhere.example".into()),
                ..reply(status, None)
            });
            assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
            assert_eq!(error.fact("location"), Some("https://elsewhere.example"));
        }
        assert_eq!(judged(reply(304, None)).kind(), ErrorKind::NotModified);
    }

    #[test]
    fn causes_are_not_repeated() {
        let link = |text: &str, source: Option<Cause>| {
            let link = Cause::new("", text);
            source.into_iter().fold(link, Cause::with_source)
        };
        let inner = link("connection refused", None);
        let middle = link("tcp connect: connection refused", Some(inner));
        let outer = link("GET: tcp connect: connection refused", Some(middle));
        let other = link("the request failed", Some(outer));
        let texts: Vec<_> = condensed(other).chain().map(|it| it.text.clone()).collect();
        assert_eq!(texts, ["the request failed", "connection refused"]);
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let error = judged(Reply {
            skew_seconds: Some(1200),
            ..reply(403, Some("RequestTimeTooSkewed"))
        });
        assert_eq!(error.code(), "clock_skew");
        assert!(
            error.message().contains("1200 s behind"),
            "{}",
            error.message()
        );
        let unmeasured = judged(reply(403, Some("RequestTimeTooSkewed")));
        assert_eq!(unmeasured.code(), "clock_skew");
    }

    #[test]
    fn credentials_that_cannot_be_had_are_no_missing_object() {
        let error = judged(Reply {
            credentials: true,
            ..reply(404, None)
        });
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }

    #[test]
    fn nothing_sent_is_safe_to_repeat() {
        let call = Call::default();
        call.note(Seen::Failed(Failure::Connect));
        let theirs = Theirs::Generic {
            store: "test",
            source: "cause".into(),
        };
        let error = error_of(theirs, &call);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.retry(), Retry::Safe);
    }

    #[test]
    fn a_source_of_credentials_that_cannot_be_reached_is_not_the_store() {
        let call = Call::default();
        call.note(Seen::NoCredentials(Failure::Connect));
        let theirs = Theirs::Generic {
            store: "test",
            source: "cause".into(),
        };
        let error = error_of(theirs, &call);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.message(),
            "no connection to the source of the credentials"
        );
    }

    #[test]
    fn a_read_is_safe_to_repeat_whatever_became_of_it() {
        for (failure, read) in [
            (Failure::Broken, Retry::Safe),
            (Failure::Timeout, Retry::Safe),
            (Failure::Other, Retry::Never),
        ] {
            let call = Call::default();
            call.note(Seen::Failed(failure));
            let theirs = || Theirs::Generic {
                store: "test",
                source: "cause".into(),
            };
            assert_eq!(of_read(theirs(), &call).retry(), read, "{failure:?}");
            assert_ne!(
                error_of(theirs(), &call).retry(),
                Retry::Safe,
                "{failure:?}"
            );
        }
    }

    #[test]
    fn without_a_connector_the_variant_counts() {
        let theirs = Theirs::NotFound {
            path: "a".into(),
            source: "cause".into(),
        };
        assert_eq!(
            error_of(theirs, &Call::default()).kind(),
            ErrorKind::FileNotFound
        );
    }
}
