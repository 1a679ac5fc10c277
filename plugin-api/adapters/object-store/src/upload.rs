//! From a body to one request, or to parts.
//!
//! The body is pulled into parts of equal size. One that ends within the first is one request; the
//! rest goes as a multipart upload, a few parts in flight while the next is pulled. Whatever ends an
//! upload before its completion (an error, a cancel, a dropped future) aborts the parts: a
//! [`Parts`] that is dropped unfinished leaves a task behind that does, and repeats it while the
//! store cannot be reached.

use crate::download::{etag, is_possible};
use crate::error::error_of;
use crate::metadata;
use crate::opened_store::{Condition, LargeConditions, OpenedStore};
use crate::reply::Call;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use holdall_plugin_api::{Body, Bytes, Error, ErrorKind, Result, Upload, UploadOptions, Uploaded};
use http::HeaderMap;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, MultipartUpload, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Chunks below this are copied together: each part would otherwise be a long list of small owners.
const SMALL: usize = 64 << 10;
/// From so many bytes on, small chunks go into another copy rather than a larger one.
const MERGED: usize = 512 << 10;
/// How long an upload that fails waits for its parts to be gone before it says so.
const ABORT_WAIT: Duration = Duration::from_secs(5);
/// Times that an abort is tried: with waits of 1, 2, 4 s and so on, about a quarter of an hour.
const ABORT_TRIES: u32 = 10;

pub(crate) async fn store(
    store: &OpenedStore,
    aborting: &TaskTracker,
    sweep: impl FnOnce(),
    upload: Upload<'_>,
) -> Result<Uploaded> {
    let (key, body, length, options) = upload.into_parts();
    let path = store.path(key.text())?;
    let condition = condition(&options);
    if let Some(Condition::Etag(etag)) = &condition
        && !is_possible(etag)
    {
        return Err(
            Error::new(ErrorKind::PreconditionFailed).with_message("no object has this etag")
        );
    }
    let attributes = attributes(store, &options)?;
    let mode = match &condition {
        None => PutMode::Overwrite,
        Some(Condition::Absent) => PutMode::Create,
        Some(Condition::Etag(etag)) => PutMode::Update(UpdateVersion {
            e_tag: Some(etag.clone()),
            version: None,
        }),
    };
    let mut gathering = Gathering::new(body, store.part_bytes);
    // A condition that only one request can hold: the whole body is that request.
    let headers = match (&condition, store.large_conditions) {
        (None, _) => HeaderMap::new(),
        (Some(condition), LargeConditions::AtCompletion) => condition.headers(),
        (Some(_), LargeConditions::InOnePut { max_bytes }) => {
            if let Some(length) = length.filter(|length| *length > max_bytes as u64) {
                return Err(too_large(max_bytes).with_fact("requested", length));
            }
            gathering.most = max_bytes;
            let whole = gathering.next().await?;
            if !gathering.ended {
                return Err(too_large(max_bytes));
            }
            return in_one(store, &path, whole, mode, attributes).await;
        }
    };
    let first = gathering.next().await?;
    if gathering.ended {
        return in_one(store, &path, first, mode, attributes).await;
    }
    sweep();
    let mut parts = Parts::begin(store, aborting, &path, attributes).await?;
    let sent = parts.send_all(first, gathering, store.parts_at_once).await;
    match sent {
        Ok(size) => match parts.complete(headers).await {
            Ok(put) => stored(store, &path, size, put).await,
            Err(error) => Err(parts.given_up(error).await),
        },
        Err(error) => Err(parts.given_up(error).await),
    }
}

fn too_large(max_bytes: usize) -> Error {
    Error::new(ErrorKind::TooLarge)
        .with_message("the store holds a condition over one request only, and this body is larger")
        .with_fact("limit", max_bytes)
}

fn condition(options: &UploadOptions<'_>) -> Option<Condition> {
    match options.if_match {
        Some(etag) => Some(Condition::Etag(etag.to_owned())),
        None => options.create_only.then_some(Condition::Absent),
    }
}

pub(crate) fn attributes(store: &OpenedStore, options: &UploadOptions<'_>) -> Result<Attributes> {
    let mut attributes = Attributes::new();
    let headers = &options.headers;
    for (attribute, value) in [
        (Attribute::ContentType, options.content_type),
        (Attribute::CacheControl, headers.cache_control),
        (Attribute::ContentDisposition, headers.content_disposition),
        (Attribute::ContentEncoding, headers.content_encoding),
        (Attribute::ContentLanguage, headers.content_language),
    ] {
        let Some(value) = value else { continue };
        if !is_possible(value) {
            return Err(Error::invalid(format!(
                "a header of HTTP is printable ASCII, found {value:?}"
            )));
        }
        attributes.insert(attribute, AttributeValue::from(value.to_owned()));
    }
    for (name, value) in &options.metadata {
        let name = metadata::name(name, store.metadata_names).into_owned();
        let value = metadata::encode(value).into_owned();
        attributes.insert(Attribute::Metadata(name.into()), value.into());
    }
    Ok(attributes)
}

async fn in_one(
    store: &OpenedStore,
    path: &Path,
    whole: Vec<Bytes>,
    mode: PutMode,
    attributes: Attributes,
) -> Result<Uploaded> {
    let payload: PutPayload = whole.into_iter().collect();
    let size = payload.content_length() as u64;
    let conditional = mode != PutMode::Overwrite;
    let options = PutOptions {
        mode,
        attributes,
        ..PutOptions::default()
    };
    let call = Call::new();
    match call
        .run(store.objects.put_opts(path, payload, options))
        .await
    {
        Ok(put) => stored(store, path, size, put).await,
        Err(error) => Err(lost(error_of(error, &call), conditional)),
    }
}

/// A condition on an object that is not there is a lost one, and so is one whose parts are gone
/// because another upload was completed meanwhile.
pub(crate) fn lost(error: Error, conditional: bool) -> Error {
    match error.kind() {
        ErrorKind::FileNotFound | ErrorKind::Conflict if conditional && is_lost(&error) => {
            let provider = error.provider().clone();
            Error::new(ErrorKind::PreconditionFailed)
                .with_message("there is no object, or another one by now")
                .with_provider(provider)
                .with_cause(error.cause().cloned())
        }
        _ => error,
    }
}

fn is_lost(error: &Error) -> bool {
    let code = error.provider().code.as_deref();
    error.kind() == ErrorKind::FileNotFound || code == Some("InvalidBlockList")
}

pub(crate) async fn stored(
    store: &OpenedStore,
    path: &Path,
    size: u64,
    put: PutResult,
) -> Result<Uploaded> {
    let mut uploaded = Uploaded::new(size);
    uploaded.etag = etag(put.e_tag);
    uploaded.version = put.version;
    if uploaded.etag.is_none() && store.always_etag {
        // Ceph completes parts without telling the etag. Another writer may come between the two
        // requests; then the size tells, most of the time, and nothing is said of the etag.
        let head = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        if let Ok(got) = Call::new().run(store.objects.get_opts(path, head)).await
            && got.meta.size == size
        {
            uploaded.etag = etag(got.meta.e_tag);
        }
    }
    Ok(uploaded)
}

/// A body on its way into parts. What is gathered stays here between polls, so that waiting for the
/// next part can be given up at any time.
pub(crate) struct Gathering {
    body: Body,
    most: usize,
    /// Whole chunks, and copies of small ones.
    chunks: Vec<Bytes>,
    small: Vec<u8>,
    size: usize,
    /// The beginning of the next part.
    carry: Bytes,
    pub(crate) ended: bool,
}

impl Gathering {
    pub(crate) fn new(body: Body, most: usize) -> Self {
        Self {
            body,
            most,
            chunks: Vec::new(),
            small: Vec::new(),
            size: 0,
            carry: Bytes::new(),
            ended: false,
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Vec<Bytes>> {
        std::future::poll_fn(|cx| self.poll_part(cx)).await
    }

    /// The next part: `most` bytes, or fewer at the end, which shows in `ended`.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Bytes>>> {
        loop {
            if !self.carry.is_empty() {
                // Full, and there is more.
                if self.size == self.most {
                    return Poll::Ready(Ok(self.take()));
                }
                let fits = self.carry.len().min(self.most - self.size);
                let piece = self.carry.split_to(fits);
                self.add(piece);
                continue;
            }
            match ready!(self.body.poll_chunk(cx)) {
                Some(Ok(chunk)) => self.carry = chunk.into(),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => {
                    self.ended = true;
                    return Poll::Ready(Ok(self.take()));
                }
            }
        }
    }

    fn add(&mut self, piece: Bytes) {
        self.size += piece.len();
        if piece.len() < SMALL {
            // It doubles when it grows: up to a whole part it would hold twice the part.
            let is_full = self.small.len() + piece.len() > self.small.capacity();
            if is_full && self.small.len() >= MERGED {
                self.flush();
            }
            self.small.extend_from_slice(&piece);
        } else {
            self.flush();
            self.chunks.push(piece);
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(std::mem::take(&mut self.small).into());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.flush();
        self.size = 0;
        std::mem::take(&mut self.chunks)
    }
}

/// A multipart upload that is aborted unless it completes.
struct Parts<'a> {
    upload: Option<Box<dyn MultipartUpload>>,
    aborting: &'a TaskTracker,
}

type Sending = FuturesUnordered<BoxFuture<'static, Result<()>>>;

impl<'a> Parts<'a> {
    async fn begin(
        store: &OpenedStore,
        aborting: &'a TaskTracker,
        path: &Path,
        attributes: Attributes,
    ) -> Result<Self> {
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let call = Call::document();
        let upload = call
            .run(store.objects.put_multipart_opts(path, options))
            .await
            .map_err(|error| error_of(error, &call))?;
        Ok(Self {
            upload: Some(upload),
            aborting,
        })
    }

    /// Sends everything; answers the size. Pulls the body only while there is room in flight.
    async fn send_all(
        &mut self,
        first: Vec<Bytes>,
        mut body: Gathering,
        at_once: usize,
    ) -> Result<u64> {
        let mut size = 0;
        let mut sending = Sending::new();
        let mut next = Some(first);
        loop {
            if let Some(part) = next.take() {
                let payload: PutPayload = part.into_iter().collect();
                size += payload.content_length() as u64;
                sending.push(self.part(payload)?);
            }
            if body.ended && sending.is_empty() {
                return Ok(size);
            }
            let room = !body.ended && sending.len() < at_once;
            tokio::select! {
                part = body.next(), if room => {
                    // Equal parts may end exactly with the body: then the last one is empty.
                    next = Some(part?).filter(|part| !part.is_empty());
                }
                Some(sent) = sending.next(), if !sending.is_empty() => sent?,
            }
        }
    }

    fn part(&mut self, payload: PutPayload) -> Result<BoxFuture<'static, Result<()>>> {
        let upload = self.upload.as_mut().ok_or_else(over)?;
        let part = upload.put_part(payload);
        let call = Call::new();
        Ok(Box::pin(async move {
            call.run(part).await.map_err(|error| error_of(error, &call))
        }))
    }

    /// Makes the object visible, in one step.
    async fn complete(&mut self, headers: HeaderMap) -> Result<PutResult> {
        let upload = self.upload.as_mut().ok_or_else(over)?;
        let conditional = !headers.is_empty();
        let call = Call::document_with(headers);
        match call.run(upload.complete()).await {
            Ok(put) => {
                self.upload = None;
                Ok(put)
            }
            Err(error) => Err(lost(error_of(error, &call), conditional)),
        }
    }

    /// After an error: the parts are gone when the caller hears of it, unless the store is too slow.
    async fn given_up(mut self, error: Error) -> Error {
        if let Some(upload) = self.upload.take() {
            let task = self.aborting.spawn(abort(upload));
            let _ = tokio::time::timeout(ABORT_WAIT, task).await;
        }
        error
    }
}

fn over() -> Error {
    Error::new(ErrorKind::Other).with_message("the upload is over")
}

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        // Parts that were in flight were dropped before this: the caller's future held them.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                self.aborting.spawn_on(abort(upload), &runtime);
            }
            Err(_) => tracing::warn!("a multipart upload was dropped outside a runtime and stays"),
        }
    }
}

/// Takes the parts back. A store that cannot be reached is tried again; one that does not know the
/// upload has nothing left of it.
async fn abort(mut upload: Box<dyn MultipartUpload>) {
    let mut wait = Duration::from_secs(1);
    for attempt in 1..=ABORT_TRIES {
        let call = Call::new();
        let error = match call.run(upload.abort()).await {
            Ok(()) => return,
            Err(error) => error_of(error, &call),
        };
        if matches!(
            error.kind(),
            ErrorKind::FileNotFound | ErrorKind::Conflict | ErrorKind::Unsupported
        ) {
            return;
        }
        if attempt == ABORT_TRIES {
            tracing::warn!(%error, "parts of an upload that ended early stay in the store");
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(300));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn a_part_of_small_chunks_takes_no_more_memory_than_a_part() {
        const PART: usize = 8 << 20;
        // As they come from a connection with TLS.
        let chunks = std::iter::repeat_n(vec![7; 16_000], 600);
        let body = Body::stream(stream::iter(chunks.map(|chunk| Ok(chunk.into()))));
        let mut gathering = Gathering::new(body, PART);
        let part = gathering.next().await.unwrap();
        assert_eq!(part.iter().map(Bytes::len).sum::<usize>(), PART);
        let held = part.into_iter().map(|piece| match piece.try_into_mut() {
            Ok(piece) => piece.capacity(),
            Err(_) => panic!("it has another holder"),
        });
        let held: usize = held.sum();
        assert!(held < PART + PART / 8, "{held} bytes for a part of {PART}");
    }
}
