//! The body of an upload on its way into a plugin: its bytes are counted and digested, and the results compared.
//!
//! The plugin publishes an object when the body ends. So a wrong length or digest must be found *before* that end:
//! the body then ends in an error, and the plugin leaves the previous object as it is.

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

/// Outcome of a body, shared between the body and the operation that sends it.
#[derive(Debug, Default)]
pub(crate) struct Outcome(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    end: Option<Result<Checksums>>,
}

impl Outcome {
    /// Number of bytes that the plugin has read.
    pub(crate) fn bytes(&self) -> u64 {
        self.seen().bytes
    }

    /// How the body ended: with its digests, or with an error. `None`: the plugin did not read to the end.
    pub(crate) fn end(&self) -> Option<Result<Checksums>> {
        self.seen().end.clone()
    }

    /// Returns the digests of the bytes that the plugin stored. `of_plugin` is the error that the plugin answered.
    ///
    /// # Errors
    ///
    /// The error of the body if it failed, else that of the plugin; a plugin fault is kept in any case. `PluginFault`: the
    /// plugin answered success for a body that failed, or that it did not read to its end.
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

/// What a body is compared with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) length: Option<u64>,
    /// Largest object or part of the backend, in bytes.
    pub(crate) limit: Option<u64>,
    /// Largest size that the request allows, in bytes.
    pub(crate) max_size: Option<u64>,
    /// Bytes that are reserved in the quota, and the error when the body has more.
    pub(crate) reserved: Option<(u64, Error)>,
    pub(crate) checksums: Checksums,
    /// Longest time without a chunk.
    pub(crate) idle: Option<Duration>,
}

/// A body that is checked while it is read.
pub(crate) struct Checked {
    body: Body,
    /// Rest of a chunk of the caller that is larger than `MAX_CHUNK`.
    rest: Bytes,
    expected: Expected,
    crc32c: Crc,
    md5: Option<Md5>,
    sha256: Option<Sha256>,
    bytes: u64,
    found: Checksums,
    outcome: Arc<Outcome>,
    counters: Arc<Counters>,
    /// Runtime of the caller. A plugin with a runtime of its own reads the body on its own thread, and the body may need
    /// timers of the caller's runtime there.
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

/// An error of the caller's own stream. Its kind must not count as a fault of the plugin.
fn of_caller(error: Error) -> Error {
    let error = if error.cause().is_none() {
        let text = error.to_string();
        let cause = Cause::new(error.code(), text);
        error.with_cause(Some(cause))
    } else {
        error
    };
    // These two kinds would end the plugin's instance.
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
        // A timer does the same at its first poll, and panics without a runtime.
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
