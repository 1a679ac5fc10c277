//! The body of an upload on its way into a plugin: counted, digested, compared.
//!
//! The plugin publishes an object when the body ends. So everything that could forbid it, a wrong
//! length or digest, is known and said *before* that end: the plugin then sees an error in its
//! place and leaves the previous object as it is.

use super::fault;
use super::idle::Idle;
use super::upload::{compare, too_large, wrong_length};
use crate::backend::counters::{Counters, add};
use crate::policy::Refusal;
use crate::policy::idle_timeout::stalled;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use holdall_plugin_api::Source;
use holdall_plugin_api::{Body, Bytes, Cause, Checksums, Error, ErrorKind, MAX_CHUNK, Result};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;

/// Outcome of a body, shared with its sender.
#[derive(Debug, Default)]
pub(crate) struct Outcome(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    end: Option<Result<Checksums>>,
}

impl Outcome {
    /// Bytes that the plugin took.
    pub(crate) fn bytes(&self) -> u64 {
        self.seen().bytes
    }

    /// How it ended: the digests, or why not. `None`: the plugin did not read to the end.
    pub(crate) fn end(&self) -> Option<Result<Checksums>> {
        self.seen().end.clone()
    }

    /// The digests of what the plugin stored, held against what it answered.
    ///
    /// # Errors
    ///
    /// The plugin's own error or the body's, whichever says more; a fault of a plugin that answers success for a body
    /// that failed, or that it did not read to its end.
    pub(crate) fn judge(&self, of_plugin: Option<&Error>) -> Result<Checksums> {
        match (of_plugin, self.end()) {
            (Some(of_plugin), Some(Err(of_body))) => match of_plugin.kind() {
                ErrorKind::PluginFault => Err(of_plugin.clone()),
                _ => Err(of_body),
            },
            (Some(of_plugin), _) => Err(of_plugin.clone()),
            (None, Some(Err(_))) => Err(fault("the plugin stored a body that had failed")),
            (None, None) => Err(fault("the plugin did not read the body to its end")),
            (None, Some(Ok(found))) => Ok(found),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a body must turn out to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) length: Option<u64>,
    /// Most bytes that the backend takes.
    pub(crate) limit: Option<u64>,
    /// Most bytes that the request allows.
    pub(crate) max_size: Option<u64>,
    /// Most bytes that were reserved of the quota, and the error of more.
    pub(crate) reserved: Option<(u64, Error)>,
    pub(crate) checksums: Checksums,
    /// Longest time between two chunks.
    pub(crate) idle: Option<Duration>,
}

/// A source that says how it went.
pub(crate) struct Checked {
    body: Body,
    /// The rest of a chunk that was larger than plugins get.
    rest: Bytes,
    expected: Expected,
    crc32c: Crc,
    md5: Option<Md5>,
    sha256: Option<Sha256>,
    bytes: u64,
    found: Checksums,
    outcome: Arc<Outcome>,
    counters: Arc<Counters>,
    /// Where the caller lives. A plugin with a runtime of its own reads the body on its own thread,
    /// and a body of a server may want a timer there.
    runtime: Option<Handle>,
    idle: Option<Idle>,
}

impl Checked {
    pub(crate) fn new(
        body: Body,
        expected: Expected,
        counters: Arc<Counters>,
    ) -> (Self, Arc<Outcome>) {
        let outcome = Arc::<Outcome>::default();
        let checked = Self {
            body,
            rest: Bytes::new(),
            crc32c: Crc::new(CrcAlgorithm::Crc32Iscsi),
            idle: expected.idle.map(Idle::new),
            md5: expected.checksums.md5.map(|_| Md5::new()),
            sha256: expected.checksums.sha256.map(|_| Sha256::new()),
            expected,
            bytes: 0,
            found: Checksums::NONE,
            outcome: outcome.clone(),
            counters,
            runtime: Handle::try_current().ok(),
        };
        (checked, outcome)
    }

    fn take(&mut self, chunk: Bytes) -> Result<()> {
        self.bytes += chunk.len() as u64;
        if let Some(length) = self.expected.length
            && self.bytes > length
        {
            return Err(wrong_length(length, "more"));
        }
        if let Some(limit) = self.expected.limit
            && self.bytes > limit
        {
            return Err(Error::new(ErrorKind::TooLarge)
                .with_message("the backend takes no object of this size")
                .with_fact("limit", limit));
        }
        if let Some(max) = self.expected.max_size
            && self.bytes > max
        {
            return Err(too_large(max));
        }
        if let Some((most, excess)) = &self.expected.reserved
            && self.bytes > *most
        {
            self.counters.policies.refused(Refusal::Quota);
            return Err(excess.clone());
        }
        self.crc32c.update(&chunk);
        if let Some(md5) = &mut self.md5 {
            md5.update(&chunk);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&chunk);
        }
        self.rest = chunk;
        Ok(())
    }

    fn finish(&mut self) -> Result<Checksums> {
        if let Some(length) = self.expected.length
            && self.bytes < length
        {
            return Err(wrong_length(length, self.bytes));
        }
        let mut found = Checksums::NONE;
        found.crc32c = Some(self.crc32c.finalize() as u32);
        found.md5 = self.md5.take().map(|md5| md5.finalize().into());
        found.sha256 = self.sha256.take().map(|sha256| sha256.finalize().into());
        compare(&self.expected.checksums, &found)?;
        Ok(found)
    }

    fn end(&mut self, end: Result<Checksums>) -> Option<Result<Bytes>> {
        let said = match &end {
            Ok(found) => {
                self.found = *found;
                None
            }
            Err(error) => Some(Err(error.clone())),
        };
        self.outcome.seen().end = Some(end);
        said
    }
}

impl Source for Checked {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let _inside = this.runtime.as_ref().map(Handle::enter);
            let next = loop {
                match this.body.poll_chunk(cx) {
                    Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                    Poll::Ready(next) => break next,
                    Poll::Pending => {
                        ready!(Idle::poll(&mut this.idle, cx));
                        break Some(Err(stalled(&this.counters.policies)));
                    }
                }
            };
            this.idle.as_mut().map(Idle::moved);
            let end = match next {
                Some(Ok(chunk)) => match this.take(chunk.into()) {
                    Ok(()) => None,
                    Err(error) => Some(Err(error)),
                },
                Some(Err(error)) => Some(Err(of_caller(error))),
                None => Some(this.finish()),
            };
            if let Some(end) = end {
                return Poll::Ready(this.end(end));
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(MAX_CHUNK as usize));
        this.outcome.seen().bytes += piece.len() as u64;
        add(&this.counters.bytes_in, piece.len() as u64);
        Poll::Ready(Some(Ok(piece)))
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        self.found
    }
}

/// An error of the caller's own stream: not the plugin's fault, whatever it calls itself.
fn of_caller(error: Error) -> Error {
    let error = if error.cause().is_none() {
        let text = error.to_string();
        let cause = Cause::new(error.code(), text);
        error.with_cause(Some(cause))
    } else {
        error
    };
    // These two kinds would cost the plugin its instance.
    if !matches!(
        error.kind(),
        ErrorKind::PluginFault | ErrorKind::Unauthenticated
    ) {
        return error;
    }
    Error::new(ErrorKind::Other)
        .with_message("the body could not be read")
        .with_cause(error.cause().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::task::Waker;

    #[test]
    fn a_body_is_read_where_its_caller_lives() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        // What a timer asks for at its first poll, and panics without.
        let needy = stream::poll_fn(|_| {
            let _ = Handle::current();
            Poll::Ready(None)
        });
        let inside = runtime.enter();
        let (checked, _) = Checked::new(Body::stream(needy), Expected::default(), Arc::default());
        drop(inside);
        let elsewhere = std::thread::spawn(move || {
            let mut checked = Box::pin(checked);
            let mut cx = Context::from_waker(Waker::noop());
            matches!(checked.as_mut().poll_chunk(&mut cx), Poll::Ready(None))
        });
        assert!(elsewhere.join().unwrap());
    }
}
