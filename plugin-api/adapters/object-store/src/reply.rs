//! What the provider answered, remembered per call.
//!
//! `object_store` turns an answer into one of a dozen variants and drops the headers. The connector
//! ([`Http`](crate::Http)) notes the last answer of the call that it works for, and the one function
//! that makes our errors ([`error_of`](crate::error_of)) reads it. A call is a task-local, because
//! the connector is polled inside the store's future and knows nothing else of the caller.

use http::HeaderMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

tokio::task_local! {
    static CALL: Arc<Call>;
}

/// How the last request of a call ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// With an answer, whatever its status.
    Answer(Reply),
    /// Without one.
    Failed(Failure),
    /// Without one from the issuer of credentials, so that the store was not asked.
    NoCredentials(Failure),
}

impl Seen {
    /// A request to the store, or to a source of credentials, that got no answer.
    #[cfg(feature = "http")]
    pub(crate) fn failed(store: bool, failure: Failure) -> Self {
        match store {
            true => Seen::Failed(failure),
            false => Seen::NoCredentials(failure),
        }
    }
}

/// An answer over HTTP, without its body.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// HTTP status; that of the error where a good one came with an error.
    pub(crate) status: u16,
    /// The status that was sent, where it is another.
    pub(crate) sent_status: Option<u16>,
    /// The provider's own code, such as `NoSuchKey`.
    pub(crate) code: Option<String>,
    /// The provider's own words, cut.
    pub(crate) message: Option<String>,
    /// What the answer lacks that a success of this request has.
    pub(crate) missing: Option<&'static str>,
    /// Where a redirect leads: scheme, host and port.
    pub(crate) location: Option<String>,
    /// The provider's id of the request.
    pub(crate) request_id: Option<String>,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// The object's size, from `Content-Range: bytes */SIZE`.
    pub(crate) size: Option<u64>,
    /// The region in which the bucket is, when the request went to another one.
    pub(crate) region: Option<String>,
    /// The provider's clock minus ours, in seconds, when they differ by more than a minute.
    pub(crate) skew_seconds: Option<i64>,
    /// An error page that is not in the provider's own form: something stands between.
    pub(crate) foreign: bool,
    /// Not from the store but from the issuer of credentials.
    pub(crate) credentials: bool,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection: refused, unreachable, no such name. Nothing was sent.
    Connect,
    /// A connection, but no trust: certificate, name or protocol. Nothing was sent.
    Tls(TlsFault),
    /// A time limit has passed.
    Timeout,
    /// The connection broke while the request or its answer was under way.
    Broken,
    /// Anything else.
    Other,
}

/// Why a server is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsFault {
    /// The issuer of the certificate is not known.
    UnknownIssuer,
    /// The certificate has expired, or is not valid yet.
    Time,
    /// The certificate is for another host.
    Name,
    /// The certificate is that of an authority.
    Authority,
    /// Anything else.
    Other,
}

/// One call, as the connector sees it.
#[derive(Debug, Default)]
pub struct Call {
    seen: Mutex<Option<Seen>>,
    attempts: AtomicU32,
    /// Entries of a listing that were left out.
    skipped: AtomicU64,
    /// The answer is a document that may be an error in spite of its status.
    document: bool,
    /// Headers to add to what the store sends.
    headers: HeaderMap,
}

impl Call {
    /// A plain one.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One whose answer is a document and no object: an error inside is looked for.
    pub fn document() -> Arc<Self> {
        Arc::new(Self {
            document: true,
            ..Self::default()
        })
    }

    /// As [`Call::document`], with more headers on the request, added after its signature.
    pub fn document_with(headers: HeaderMap) -> Arc<Self> {
        Arc::new(Self {
            document: true,
            headers,
            ..Self::default()
        })
    }

    /// The call that this task works for.
    pub fn current() -> Option<Arc<Self>> {
        CALL.try_with(Arc::clone).ok()
    }

    /// Works for this call.
    pub async fn run<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        CALL.scope(Arc::clone(self), work).await
    }

    /// One poll for this call.
    pub(crate) fn poll<T>(self: &Arc<Self>, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        CALL.sync_scope(Arc::clone(self), poll)
    }

    /// Notes how a request ended.
    pub(crate) fn note(&self, seen: Seen) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        *self.lock() = Some(seen);
    }

    /// Adds to the number of entries of a listing that were left out.
    pub fn skip(&self, entries: u64) {
        self.skipped.fetch_add(entries, Ordering::Relaxed);
    }

    /// Whether the answer is a document.
    pub(crate) fn is_document(&self) -> bool {
        self.document
    }

    /// Headers to add.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// How the last request ended; `None` when there was none, or it is not recorded.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.lock().clone()
    }

    /// Requests so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Entries that were left out.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
