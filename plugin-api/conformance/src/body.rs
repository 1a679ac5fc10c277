//! Bodies that behave as a case needs: in pieces, failing, waiting at a gate.

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use holdall_plugin_api::{Body, Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

/// A body of these chunks, empty ones included.
pub fn chunked(chunks: Vec<Bytes>) -> Body {
    Body::stream(stream::iter(chunks.into_iter().map(Ok)))
}

/// The message of the error in which [`failing`] ends.
pub const BROKEN: &str = "the source of the kit broke";

/// A body that ends in an error after these chunks.
pub fn failing(chunks: Vec<Bytes>) -> Body {
    let error = Error::new(ErrorKind::Cancelled).with_message(BROKEN);
    Body::stream(stream::iter(chunks.into_iter().map(Ok).chain([Err(error)])))
}

/// Counts how often a body was pulled.
#[derive(Clone, Debug, Default)]
pub struct Pulls(Arc<AtomicUsize>);

impl Pulls {
    /// So often.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A body that tells whether anybody looked at it.
pub fn counted(bytes: impl Into<Bytes>) -> (Body, Pulls) {
    let pulls = Pulls::default();
    let seen = pulls.clone();
    let once = stream::iter([bytes.into()]);
    let body = Body::stream(once.map(move |bytes| {
        seen.0.fetch_add(1, Ordering::SeqCst);
        Ok(bytes)
    }));
    (body, pulls)
}

/// A body of one chunk that counts how often its end was reached.
pub fn watched(bytes: impl Into<Bytes>) -> (Body, Pulls) {
    let ends = Pulls::default();
    let seen = ends.clone();
    let end = stream::poll_fn(move |_| {
        seen.0.fetch_add(1, Ordering::SeqCst);
        std::task::Poll::Ready(None)
    });
    (
        Body::stream(stream::iter([Ok(bytes.into())]).chain(end)),
        ends,
    )
}

/// The other end of a [`gated`] body.
#[derive(Debug)]
pub struct Gate {
    reached: Option<oneshot::Receiver<()>>,
    open: oneshot::Sender<Result<()>>,
}

impl Gate {
    /// Waits until the backend has pulled everything before the gate and asks for more. `false`:
    /// it gave up earlier.
    pub async fn reached(&mut self) -> bool {
        match self.reached.take() {
            Some(reached) => reached.await.is_ok(),
            None => true,
        }
    }

    /// Lets the rest through.
    pub fn open(self) {
        // The receiver has gone: the backend has given up, which the case sees elsewhere.
        let _ = self.open.send(Ok(()));
    }
}

/// A body that yields `before`, then waits at a gate, then yields `after`. A gate that is dropped
/// unopened ends it in an error.
pub fn gated(before: Vec<Bytes>, after: Vec<Bytes>) -> (Body, Gate) {
    let (tell_reached, reached) = oneshot::channel();
    let (open, opened) = oneshot::channel();
    let closed = || Error::new(ErrorKind::Cancelled).with_message(BROKEN);
    let gate = stream::once(async move {
        let _ = tell_reached.send(());
        opened.await.unwrap_or_else(|_| Err(closed()))
    });
    // The gate itself yields no chunk when it opens.
    let gate = gate.filter_map(|opened| async move { opened.err().map(Err) });
    let before = stream::iter(before.into_iter().map(Ok));
    let after = stream::iter(after.into_iter().map(Ok));
    let body = stop_at_error(before.chain(gate).chain(after));
    (
        Body::stream(body),
        Gate {
            reached: Some(reached),
            open,
        },
    )
}

fn stop_at_error(
    chunks: impl Stream<Item = Result<Bytes>> + Send,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let mut failed = false;
    chunks.take_while(move |chunk| {
        let go_on = !failed;
        failed |= chunk.is_err();
        std::future::ready(go_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(body: Body) -> Result<Bytes> {
        body.collect(100).await
    }

    #[tokio::test]
    async fn a_gate_holds_the_rest_back() {
        let (body, mut gate) = gated(vec!["a".into()], vec!["b".into()]);
        let (all, ()) = tokio::join!(text(body), async {
            assert!(gate.reached().await);
            gate.open();
        });
        assert_eq!(all.unwrap(), "ab");

        let (body, gate) = gated(vec![], vec!["b".into()]);
        drop(gate);
        assert_eq!(text(body).await.unwrap_err().message(), BROKEN);

        let (body, mut gate) = gated(vec![], vec![]);
        drop(body);
        assert!(!gate.reached().await);
    }

    #[tokio::test]
    async fn the_others_do_what_they_say() {
        assert_eq!(
            text(chunked(vec!["a".into(), "".into(), "b".into()]))
                .await
                .unwrap(),
            "ab"
        );
        assert_eq!(
            text(failing(vec!["a".into()])).await.unwrap_err().message(),
            BROKEN
        );
        let (body, pulls) = counted("abc");
        assert_eq!(pulls.count(), 0);
        assert_eq!(text(body).await.unwrap(), "abc");
        assert_eq!(pulls.count(), 1);
    }
}
