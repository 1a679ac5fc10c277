//! `put_multipart_opts`: natively where the backend has uploads in parts ([`super::parts`]), else the parts are one
//! stream.
//!
//! The plugin decides how the store receives the object. Here the parts are the chunks of one upload
//! that runs in a task of its own, in the order of the calls of `put_part`. A temporary file of all
//! parts would need disk space for the whole object and would start sending at `complete`.

use super::attributes::UploadAttributes;
use super::error::{During, outward};
use super::parts::PartsUpload;
use super::write::put_result;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, Stream};
use holdall::Backend;
use holdall_plugin_api::{
    Body, Capability, CreateUpload, Error, ErrorKind, MAX_CHUNK, Result, Upload, Uploaded,
};
use object_store::path::Path;
use object_store::{
    Error as StoreError, MultipartUpload, PutMultipartOptions, PutPayload, PutPayloadIntoIter,
    PutResult, Result as StoreResult, UploadPart,
};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// How long `abort` waits for the backend to clean up.
const CLEAN_UP: Duration = Duration::from_secs(30);

pub(super) async fn begin(
    backend: Backend,
    location: &Path,
    options: PutMultipartOptions,
) -> StoreResult<Box<dyn MultipartUpload>> {
    let outward = outward(During::Put);
    let attributes = UploadAttributes::new(&options.attributes, &options.tags).map_err(outward)?;
    let key = location.as_ref().to_owned();
    let mut terms = backend.terms().await.map_err(outward)?;
    // Fails here and not at the first part. The upload itself decides whether a content type is dropped.
    terms.capabilities = terms.capabilities.with(Capability::ContentType.into());
    let asked = attributes.apply(Upload::new(&key, Body::empty()));
    terms.upload(&asked).map_err(outward)?;
    let runtime = Handle::try_current().map_err(|why| {
        let why = Error::new(ErrorKind::Other).because(why);
        outward(
            why.with_message("a multipart upload runs beside its caller: it needs a tokio runtime"),
        )
    })?;

    if terms.capabilities.has(Capability::Parts) {
        let mut create = CreateUpload::new(&key);
        let options = asked.into_parts().3;
        *create.options_mut() = options;
        match backend.create_upload(create).await {
            Ok(id) => {
                let least = terms.limits.min_part_bytes;
                let parts = PartsUpload::new(backend, key, id, least, runtime);
                return Ok(Box::new(parts));
            }
            // A policy wants whole uploads, or the store keeps no content type: the stream decides.
            Err(refused) if refused.kind() == ErrorKind::Unsupported => {}
            Err(refused) => return Err(outward(refused)),
        }
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    let aborted = Arc::<AtomicBool>::default();
    let body = Parts {
        queue: receiver,
        part: None,
        aborted: aborted.clone(),
    };
    let task = runtime.spawn(async move {
        let upload = Upload::new(&key, Body::stream(body));
        backend.upload(attributes.apply(upload)).await
    });
    let stop = task.abort_handle();
    let outcome = task.map(|ended| match ended {
        Ok(outcome) => outcome,
        Err(ended) => Err(Error::new(ErrorKind::Cancelled).because(ended)),
    });
    Ok(Box::new(Multipart {
        queue: Some(sender),
        aborted,
        outcome: outcome.boxed().shared(),
        stop,
    }))
}

/// The caller's side.
struct Multipart {
    /// `None` once no part can follow.
    queue: Option<mpsc::UnboundedSender<Message>>,
    aborted: Arc<AtomicBool>,
    outcome: Shared<BoxFuture<'static, Result<Uploaded>>>,
    stop: AbortHandle,
}

enum Message {
    /// A part, and the sender that reports when the backend has taken it.
    Part(PutPayload, oneshot::Sender<()>),
    /// The object is complete.
    End,
}

#[async_trait]
impl MultipartUpload for Multipart {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (taken, is_taken) = oneshot::channel();
        // Queued now and not when the future is polled: this keeps the order.
        if let Some(queue) = &self.queue {
            // An upload that has ended reports it below.
            let _ = queue.send(Message::Part(data, taken));
        }
        let outcome = self.outcome.clone();
        Box::pin(async move {
            if is_taken.await.is_ok() {
                return Ok(());
            }
            let why = match outcome.await {
                Ok(_) => Error::invalid("a part after the upload was completed"),
                Err(why) => why,
            };
            Err(outward(During::Put)(why))
        })
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        if let Some(queue) = self.queue.take() {
            // As above.
            let _ = queue.send(Message::End);
        }
        let outcome = self.outcome.clone().await;
        outcome.map(put_result).map_err(outward(During::Put))
    }

    async fn abort(&mut self) -> StoreResult<()> {
        if matches!(self.outcome.peek(), Some(Ok(_))) {
            return Err(after_the_end());
        }
        self.aborted.store(true, Ordering::Release);
        self.queue = None;
        // The body ends in an error, and the backend removes what it has stored. An upload that
        // failed before has left nothing.
        let ended = tokio::time::timeout(CLEAN_UP, self.outcome.clone()).await;
        self.stop.abort();
        match ended {
            // `complete` was called and dropped, and has won the race.
            Ok(Ok(_)) => Err(after_the_end()),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

pub(super) fn after_the_end() -> StoreError {
    let why = Error::invalid("the upload was completed before it was aborted");
    outward(During::Other)(why)
}

/// Without `complete` the upload is dropped, and the backend leaves nothing.
impl Drop for Multipart {
    fn drop(&mut self) {
        self.stop.abort();
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("open", &self.queue.is_some())
            .finish_non_exhaustive()
    }
}

/// The backend's side: the bytes of one part after the other.
struct Parts {
    queue: mpsc::UnboundedReceiver<Message>,
    part: Option<Part>,
    aborted: Arc<AtomicBool>,
}

/// The remaining bytes of a part, and the sender that reports when all are taken.
struct Part {
    chunks: PutPayloadIntoIter,
    rest: Bytes,
    taken: oneshot::Sender<()>,
}

impl Part {
    /// Returns the next chunk, of the size that the host would cut: a chunk that was passed on is in
    /// the backend.
    fn piece(&mut self) -> Option<Bytes> {
        if self.is_over() {
            return None;
        }
        let length = self.rest.len().min(MAX_CHUNK as usize);
        Some(self.rest.split_to(length))
    }

    fn is_over(&mut self) -> bool {
        while self.rest.is_empty() {
            match self.chunks.next() {
                Some(chunk) => self.rest = chunk,
                None => return true,
            }
        }
        false
    }
}

impl Stream for Parts {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if self.aborted.load(Ordering::Acquire) {
                return Poll::Ready(Some(Err(aborted())));
            }
            if let Some(mut part) = self.part.take() {
                let piece = part.piece();
                if part.is_over() {
                    // The caller may have dropped the future of this part.
                    let _ = part.taken.send(());
                } else {
                    self.part = Some(part);
                }
                if let Some(piece) = piece {
                    return Poll::Ready(Some(Ok(piece)));
                }
            }
            match ready!(self.queue.poll_recv(cx)) {
                Some(Message::Part(payload, taken)) => {
                    self.part = Some(Part {
                        chunks: payload.into_iter(),
                        rest: Bytes::new(),
                        taken,
                    });
                }
                Some(Message::End) => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(aborted()))),
            }
        }
    }
}

fn aborted() -> Error {
    Error::new(ErrorKind::Cancelled).with_message("the upload was aborted")
}
