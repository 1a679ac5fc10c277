//! Polls as a host does: what the descriptor says of a runtime is what a backend gets.
//!
//! The kit runs on tokio. A backend without a runtime of its own has none around it when a host polls it,
//! so here it is polled on a thread that knows nothing of tokio.

use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{Body, Bytes, Result, Source};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// What is around a backend when it is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// A tokio: the kit's stands for the plugin's own.
    Tokio,
    /// None.
    Absent,
}

impl Runtime {
    pub(crate) fn of(flags: Flags) -> Self {
        let tokio = Flags::RUNTIME_TOKIO | Flags::RUNTIME_TOKIO_SPAWN;
        match flags.has(tokio) {
            true => Self::Tokio,
            false => Self::Absent,
        }
    }

    pub(crate) async fn run<T: Send>(self, future: impl Future<Output = T> + Send) -> T {
        if self == Self::Tokio {
            return future.await;
        }
        let mut future = pin!(future);
        std::future::poll_fn(|cx| apart(cx, |cx| future.as_mut().poll(cx))).await
    }

    /// A body of the backend.
    pub(crate) fn body(self, body: Body) -> Body {
        match self {
            Self::Tokio => body,
            Self::Absent => Body::source(Apart(body)),
        }
    }
}

/// Polls on a thread of its own, and waits for it: it borrows what the caller has.
fn apart<T: Send>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T> + Send,
) -> Poll<T> {
    let waker = cx.waker();
    let polled =
        std::thread::scope(|scope| scope.spawn(|| poll(&mut Context::from_waker(waker))).join());
    polled.unwrap_or_else(|panic| resume_unwind(panic))
}

struct Apart(Body);

impl Source for Apart {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        apart(cx, |cx| self.0.poll_chunk(cx)).map(|next| next.map(|chunk| chunk.map(Bytes::from)))
    }

    fn checksums(self: Pin<&mut Self>) -> holdall_plugin_api::Checksums {
        let trailers = self.0.trailers();
        trailers.map_or(holdall_plugin_api::Checksums::NONE, |trailers| {
            trailers.checksums
        })
    }

    fn reads_into(&self) -> bool {
        self.0.reads_into()
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        apart(cx, |cx| self.0.poll_into(cx, into))
    }

    #[cfg(unix)]
    fn file(&self) -> Option<holdall_plugin_api::LentFile<'_>> {
        self.0.file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_backend_gets_the_runtime_that_it_names() {
        let has_one = async || tokio::runtime::Handle::try_current().is_ok();
        assert!(
            Runtime::of(Flags(Flags::RUNTIME_TOKIO))
                .run(has_one())
                .await
        );
        assert!(!Runtime::of(Flags::default()).run(has_one()).await);
    }

    #[tokio::test]
    async fn what_is_pending_goes_on() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let waits = Runtime::Absent.run(receive);
        let sends = async {
            tokio::task::yield_now().await;
            send.send(7)
        };
        let (received, _) = futures_util::future::join(waits, sends).await;
        assert_eq!(received, Ok(7));
        let body = Runtime::Absent.body(Body::from("abc"));
        assert_eq!(body.collect(3).await.unwrap(), "abc");
    }
}
