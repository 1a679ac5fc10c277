//! How providers word what goes wrong.

use super::reply::Reply;
use bytes::Bytes;

/// What can be wrong, whatever a provider calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 400: the request makes no sense.
    BadRequest,
    /// 403: these credentials may not do this.
    Denied,
    /// 403, or 401 where there is no code to tell it by: these are no credentials.
    BadCredentials,
    /// 403 or 401: a token that is no longer valid.
    ExpiredCredentials,
    /// 403: the clocks are too far apart for a signature.
    ClockSkew,
    /// 404: no such object.
    NoSuchKey,
    /// 404: no such bucket or container.
    NoSuchContainer,
    /// 409: something else is going on.
    Conflict,
    /// 412: a condition does not hold.
    PreconditionFailed,
    /// 416: a range past the end.
    InvalidRange,
    /// 429, with `Retry-After`.
    TooManyRequests,
    /// 503 with the provider's word for "slower", with `Retry-After`.
    SlowDown,
    /// 500.
    Internal,
    /// 503.
    Unavailable,
    /// 507: no room.
    Full,
}

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Statuses and nothing else: WebDAV and other plain HTTP.
    Plain,
    /// Amazon S3 and those that speak like it.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage, XML API.
    Gcs,
    /// OpenStack Swift: statuses, and an id of the request.
    Swift,
}

/// The id that every reply of a [`Dialect`] carries, where the dialect has one.
pub const REQUEST_ID: &str = "kit-request-7";

/// The seconds of every `Retry-After`.
pub const RETRY_AFTER: u64 = 7;

impl Dialect {
    /// The provider's own code for a fault; `None` where statuses must do.
    pub fn code(self, fault: Fault) -> Option<&'static str> {
        use Fault as F;
        let codes = match fault {
            F::BadRequest => ["InvalidRequest", "InvalidHeaderValue", "InvalidArgument"],
            F::Denied => [
                "AccessDenied",
                "AuthorizationPermissionMismatch",
                "AccessDenied",
            ],
            F::BadCredentials => [
                "InvalidAccessKeyId",
                "AuthenticationFailed",
                "AuthenticationRequired",
            ],
            F::ExpiredCredentials => ["ExpiredToken", "AuthenticationFailed", "ExpiredToken"],
            F::ClockSkew => [
                "RequestTimeTooSkewed",
                "AuthenticationFailed",
                "RequestTimeTooSkewed",
            ],
            F::NoSuchKey => ["NoSuchKey", "BlobNotFound", "NoSuchKey"],
            F::NoSuchContainer => ["NoSuchBucket", "ContainerNotFound", "NoSuchBucket"],
            F::Conflict => [
                "OperationAborted",
                "BlobBeingRehydrated",
                "OperationAborted",
            ],
            F::PreconditionFailed => [
                "PreconditionFailed",
                "ConditionNotMet",
                "PreconditionFailed",
            ],
            F::InvalidRange => ["InvalidRange", "InvalidRange", "InvalidRange"],
            F::TooManyRequests => ["TooManyRequests", "TooManyRequests", "TooManyRequests"],
            F::SlowDown => ["SlowDown", "ServerBusy", "SlowDown"],
            F::Internal => ["InternalError", "InternalError", "InternalError"],
            F::Unavailable => [
                "ServiceUnavailable",
                "OperationTimedOut",
                "ServiceUnavailable",
            ],
            F::Full => [
                "InsufficientStorage",
                "InsufficientStorage",
                "InsufficientStorage",
            ],
        };
        match self {
            Dialect::Plain | Dialect::Swift => None,
            Dialect::S3 => Some(codes[0]),
            Dialect::Azure => Some(codes[1]),
            Dialect::Gcs => Some(codes[2]),
        }
    }

    /// The status of a fault.
    pub fn status(self, fault: Fault) -> u16 {
        use Fault as F;
        match fault {
            F::BadRequest => 400,
            F::BadCredentials | F::ExpiredCredentials => match self {
                Dialect::Plain | Dialect::Gcs | Dialect::Swift => 401,
                Dialect::S3 if fault == F::ExpiredCredentials => 400,
                _ => 403,
            },
            F::Denied | F::ClockSkew => 403,
            F::NoSuchKey | F::NoSuchContainer => 404,
            F::Conflict => 409,
            F::PreconditionFailed => 412,
            F::InvalidRange => 416,
            F::TooManyRequests => 429,
            F::Internal => 500,
            F::SlowDown | F::Unavailable => 503,
            F::Full => 507,
        }
    }

    /// The reply of a provider to a request in which this goes wrong.
    pub fn fault(self, fault: Fault) -> Reply {
        let mut reply = self.marked(Reply::new(self.status(fault)));
        if matches!(fault, Fault::TooManyRequests | Fault::SlowDown) {
            reply = reply.retry_after(RETRY_AFTER);
        }
        let Some(code) = self.code(fault) else {
            return reply;
        };
        if self == Dialect::Azure {
            reply = reply.header("x-ms-error-code", code);
        }
        reply
            .header("content-type", "application/xml")
            .body(self.document(code))
    }

    /// The document that names a code.
    pub fn document(self, code: &str) -> String {
        let id = match self {
            Dialect::S3 => format!("<RequestId>{REQUEST_ID}</RequestId>"),
            _ => String::new(),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as the test wants it</Message>{id}</Error>"
        )
    }

    /// With the headers that this provider puts on every answer.
    fn marked(self, reply: Reply) -> Reply {
        match self {
            Dialect::Plain => reply,
            Dialect::S3 => reply
                .header("x-amz-request-id", REQUEST_ID)
                .header("server", "AmazonS3"),
            Dialect::Azure => reply
                .header("x-ms-request-id", REQUEST_ID)
                .header("x-ms-version", "2021-12-02"),
            Dialect::Gcs => reply.header("x-guploader-uploadid", REQUEST_ID),
            Dialect::Swift => reply.header("x-trans-id", REQUEST_ID),
        }
    }

    /// Whether its replies carry an id of the request.
    pub fn has_request_ids(self) -> bool {
        self != Dialect::Plain
    }

    /// An object, as a GET or HEAD without a range answers it.
    pub fn object(self, body: impl Into<Bytes>) -> Reply {
        let reply = self.marked(Reply::new(200)).body(body);
        let reply = reply
            .header("etag", "\"etag-of-the-kit\"")
            .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            .header("content-type", "application/octet-stream");
        match self {
            Dialect::Azure => reply.header("x-ms-blob-type", "BlockBlob"),
            Dialect::Gcs => reply.header("x-goog-generation", "7"),
            _ => reply,
        }
    }

    /// Part of an object of `size` bytes, as a GET with a range answers it.
    pub fn part(self, body: impl Into<Bytes>, start: u64, size: u64) -> Reply {
        let body: Bytes = body.into();
        let end = start + body.len() as u64 - 1;
        let mut reply = self
            .object(body)
            .header("content-range", &format!("bytes {start}-{end}/{size}"));
        reply.status = http::StatusCode::PARTIAL_CONTENT;
        reply
    }

    /// What a GET of an empty container answers: a listing without an entry.
    pub fn container(self) -> Reply {
        let listing = match self {
            Dialect::Plain => return Reply::new(200),
            Dialect::Swift => {
                let reply = self.marked(Reply::new(200));
                return reply
                    .header("content-type", "application/json; charset=utf-8")
                    .body("[]");
            }
            Dialect::Azure => "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>",
            _ => {
                "<ListBucketResult><Name>kit</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
            }
        };
        let listing = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{listing}");
        self.marked(Reply::new(200))
            .header("content-type", "application/xml")
            .body(listing)
    }

    /// What a PUT answers that went well.
    pub fn stored(self) -> Reply {
        let status = if self == Dialect::S3 || self == Dialect::Gcs {
            200
        } else {
            201
        };
        let reply = self
            .marked(Reply::new(status))
            .header("etag", "\"etag-of-the-kit\"");
        match self {
            Dialect::Gcs => reply.header("x-goog-generation", "7"),
            Dialect::Azure => reply.header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            _ => reply,
        }
    }
}
