//! An upload on its way: put under a staging name, and gone again unless published.

use crate::client::Ask;
use crate::error::{self, About};
use crate::store::WebdavStore;
use holdall_plugin_api::{Body, Bytes, Error, ErrorKind, Result};
use http_body::{Frame, SizeHint};
use reqwest::Url;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// A file in the staging folder. Dropped before [`Staged::published`], it is removed in the
/// background: also when the operation is cancelled.
pub(crate) struct Staged {
    store: Arc<WebdavStore>,
    pub(crate) url: Url,
    is_published: bool,
    /// A request that makes it may still be on its way to the server.
    is_growing: bool,
}

impl Staged {
    pub(crate) fn new(store: &Arc<WebdavStore>) -> Self {
        Self {
            store: Arc::clone(store),
            url: store.staging_url(),
            is_published: false,
            is_growing: false,
        }
    }

    /// Sends the bytes, as they come. The server's etag of them, where it has one.
    ///
    /// # Errors
    ///
    /// The body's own; what the server says; `Timeout` when it takes no more bytes.
    pub(crate) async fn put(
        &mut self,
        body: &mut Body,
        length: Option<u64>,
    ) -> Result<Option<String>> {
        self.is_growing = true;
        let told = self.send(body, length).await;
        // After an answer, whatever it is, no more comes of it.
        self.is_growing = matches!(&told, Err(error) if error.provider().status.is_none());
        let told = told?;
        if told.is_some() || !self.store.features.properties {
            return Ok(told);
        }
        let (resource, _) = self
            .store
            .dav
            .facts(About::Staging, &self.url, Ask::Facts)
            .await?;
        Ok(resource.etag)
    }

    async fn send(&self, body: &mut Body, length: Option<u64>) -> Result<Option<String>> {
        let dav = &self.store.dav;
        let patience = dav.patience;
        let (pieces, pump) = mpsc::channel(1);
        let pump = Pump {
            pieces: pump,
            left: length,
        };
        let mut answer = pin!(dav.put(&self.url, reqwest::Body::wrap(pump), length));
        let answer = loop {
            // The source is asked here and not in the client's own task: under the operation's
            // deadline, and gone with it.
            let piece = tokio::select! {
                biased;
                early = &mut answer => break early,
                piece = body.chunk() => piece.transpose()?,
            };
            let is_end = piece.is_none();
            let piece = piece.map(Bytes::from);
            let sent = tokio::select! {
                biased;
                early = &mut answer => break early,
                sent = timeout(patience, pieces.send(piece)) => sent,
            };
            match sent {
                Err(_) => return Err(error::too_slow(About::Staging)),
                // They are not taken any more: the answer, or why there is none, is at hand.
                Ok(Err(_)) => {
                    break timeout(patience, answer)
                        .await
                        .map_err(|_| error::too_slow(About::Staging))?;
                }
                Ok(Ok(())) if is_end => {
                    break timeout(patience, answer)
                        .await
                        .map_err(|_| error::too_slow(About::Staging))?;
                }
                Ok(Ok(())) => {}
            }
        };
        let answer = answer.map_err(|cause| error::from_transport(About::Staging, cause))?;
        if body.trailers().is_none() && answer.status().is_success() {
            return Err(Error::new(ErrorKind::Unavailable)
                .with_message("the server calls an upload done that is not"));
        }
        dav.put_answer(answer).await
    }

    /// It is an object now.
    pub(crate) fn published(mut self) {
        self.is_published = true;
        self.store.remove_leftovers();
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        let (store, url) = (Arc::clone(&self.store), self.url.clone());
        // The server may meet the rest of the request that is being broken off after this one.
        let again = if self.is_growing { 3 } else { 0 };
        self.store.clean(async move {
            let mut pause = Duration::from_millis(250);
            let mut is_unknown = false;
            for _ in 0..=again {
                match store.dav.remove(About::Staging, &url).await {
                    Ok(true) => return,
                    // Not there (yet), locked while it is written, or no answer.
                    Ok(false) => is_unknown = false,
                    Err(_) => is_unknown = true,
                }
                sleep(pause).await;
                pause *= 3;
            }
            if is_unknown {
                store.leave(url);
            }
        });
    }
}

/// The body of a PUT. `None` is the end; to be dropped without it breaks the request off, so that
/// half an upload never looks like a whole one.
struct Pump {
    pieces: mpsc::Receiver<Option<Bytes>>,
    left: Option<u64>,
}

impl http_body::Body for Pump {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match ready!(self.pieces.poll_recv(cx)) {
            Some(Some(piece)) => {
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(None) => Poll::Ready(None),
            None => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
