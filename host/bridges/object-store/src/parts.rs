//! `put_multipart_opts` of a backend with uploads in parts: each part goes on its own, and several at once.
//!
//! A part that is smaller than the store takes, and may not be the last, waits for the next one.

use super::error::{During, outward};
use super::write::{body, put_result};
use async_trait::async_trait;
use holdall::Backend;
use holdall_plugin_api::{AbortUpload, CompleteUpload, Error, Part, PutPart, Result};
use object_store::{
    MultipartUpload, PutPayload, PutPayloadMut, PutResult, Result as StoreResult, UploadPart,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

pub(super) struct PartsUpload {
    upload: Arc<Pending>,
    /// Fewest bytes of a part but the last.
    least: usize,
    /// Bytes that are too few for a part.
    waiting: PutPayloadMut,
    /// Number of the next part.
    next: u32,
    is_over: bool,
    runtime: Handle,
}

struct Pending {
    backend: Backend,
    key: String,
    id: String,
    parts: Mutex<Vec<Part>>,
}

impl Pending {
    async fn put(&self, number: u32, payload: PutPayload) -> Result<()> {
        let length = payload.content_length() as u64;
        let part = PutPart::new(&self.key, &self.id, number, body(payload)).length(length);
        let part = self.backend.put_part(part).await?;
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(part);
        Ok(())
    }

    async fn abort(&self) -> Result<()> {
        let abort = AbortUpload::new(&self.key, &self.id);
        self.backend.abort_upload(abort).await
    }
}

impl PartsUpload {
    pub(super) fn new(
        backend: Backend,
        key: String,
        id: String,
        least: u64,
        runtime: Handle,
    ) -> Self {
        Self {
            upload: Arc::new(Pending {
                backend,
                key,
                id,
                parts: Mutex::default(),
            }),
            least: usize::try_from(least).unwrap_or(usize::MAX),
            waiting: PutPayloadMut::new(),
            next: 1,
            is_over: false,
            runtime,
        }
    }
}

#[async_trait]
impl MultipartUpload for PartsUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.is_over {
            let why = Error::invalid("a part after the upload was completed or aborted");
            return Box::pin(std::future::ready(Err(outward(During::Put)(why))));
        }
        let payload = match self.waiting.is_empty() && data.content_length() >= self.least {
            true => data,
            false => {
                data.into_iter().for_each(|bytes| self.waiting.push(bytes));
                if self.waiting.content_length() < self.least {
                    return Box::pin(std::future::ready(Ok(())));
                }
                std::mem::take(&mut self.waiting).freeze()
            }
        };
        let (upload, number) = (Arc::clone(&self.upload), self.next);
        self.next += 1;
        Box::pin(async move {
            upload
                .put(number, payload)
                .await
                .map_err(outward(During::Put))
        })
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        let outward = outward(During::Put);
        // An object without bytes has one part too.
        if !self.waiting.is_empty() || self.next == 1 {
            let last = std::mem::take(&mut self.waiting).freeze();
            let put = self.upload.put(self.next, last).await;
            self.next += 1;
            put.map_err(outward)?;
        }
        let parts = {
            let upload = &self.upload;
            let mut parts = upload.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.sort_by_key(|part| part.number);
            parts.clone()
        };
        let begun = self.next as usize - 1;
        if parts.len() != begun {
            let why = Error::invalid("a part was begun and not awaited to its end");
            let why = why
                .with_fact("parts", begun)
                .with_fact("stored", parts.len());
            return Err(outward(why));
        }
        let upload = &self.upload;
        let complete = CompleteUpload::new(&upload.key, &upload.id, &parts);
        let stored = upload.backend.complete_upload(complete).await;
        let stored = stored.map_err(outward)?;
        self.is_over = true;
        Ok(put_result(stored))
    }

    async fn abort(&mut self) -> StoreResult<()> {
        if self.is_over {
            return Err(super::multipart::after_the_end());
        }
        self.is_over = true;
        self.upload.abort().await.map_err(outward(During::Other))
    }
}

/// Without `complete` nothing is left.
impl Drop for PartsUpload {
    fn drop(&mut self) {
        if !self.is_over {
            let upload = Arc::clone(&self.upload);
            self.runtime.spawn(async move { upload.abort().await });
        }
    }
}

impl fmt::Debug for PartsUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartsUpload")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
