//! Stream of a download.
//!
//! Data in the kernel's cache is read on the receiver's thread, chunk by chunk. Other data is read
//! ahead by one job of the blocking pool: no chunk at first, one more each time that the receiver had to
//! wait, at most three. The job does not wait for a slow receiver: it ends after 10 ms and frees the
//! chunks that it read ahead, and the next pull starts it again. So stalled downloads hold neither
//! threads of the pool nor memory. Dropping the stream closes the descriptor.

use crate::buffers;
use crate::engine::read::Object;
use crate::error::from_fault;
use crc_fast::{CrcAlgorithm, Digest};
#[cfg(target_os = "linux")]
use holdall_plugin_api::LentFile;
use holdall_plugin_api::Source;
use holdall_plugin_api::{Bytes, Checksums, Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Limit of chunks that are read and not yet taken; one more is being read.
const AHEAD: usize = 3;
/// Limit of bytes that are copied from the cache on the receiver's thread.
const AT_ONCE: usize = 256 << 10;
/// Time that a job waits for the receiver before it ends.
const JOB_WAIT: Duration = Duration::from_millis(10);
/// The bytes of an object.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// Of a chunk for which the receiver's memory had no room.
    rest: Bytes,
}

#[derive(Debug)]
struct Shared {
    object: Object,
    chunk: usize,
    end: u64,
    state: Mutex<State>,
    /// Wakes the job.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    ready: VecDeque<Ready>,
    /// The last chunk was not in the cache.
    cold: bool,
    /// Number of chunks to read ahead for this receiver.
    ahead: usize,
    /// `None` while a job runs, which has it.
    progress: Option<Progress>,
    ended: Option<Ended>,
    dropped: bool,
    receiver: Option<Waker>,
}

/// A chunk that was read, and the progress before it.
#[derive(Debug)]
struct Ready {
    bytes: Bytes,
    before: Progress,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    offset: u64,
    /// Set when the whole object is read and its checksum is known.
    digest: Option<Digest>,
}

impl Progress {
    fn advance(&mut self, chunk: &[u8]) {
        self.offset += chunk.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(chunk);
        }
    }
}

#[derive(Debug)]
enum Ended {
    Well(Checksums),
    Failed(Option<Error>),
}

impl State {
    /// Whether enough is read ahead and the receiver does not wait.
    fn has_enough(&self) -> bool {
        self.ready.len() >= self.ahead && self.receiver.is_none()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the next chunk.
    fn wanted(&self, progress: &Progress) -> usize {
        let left = usize::try_from(self.end - progress.offset);
        left.map_or(self.chunk, |left| left.min(self.chunk))
    }

    /// Reads the next chunk from the cache; `None`: it is not cached.
    fn read_cached(&self, progress: &mut Progress) -> Option<Bytes> {
        let wanted = self.wanted(progress).min(AT_ONCE);
        let mut buffer = buffers::take(wanted);
        let chunk = &mut buffer[..wanted];
        if !self.object.read_cached_at(chunk, progress.offset) {
            buffers::put(buffer);
            return None;
        }
        progress.advance(chunk);
        Some(buffers::lend(buffer, wanted))
    }

    /// As [`read_cached`](Self::read_cached), into memory of the receiver; the number of bytes.
    fn read_cached_into(&self, progress: &mut Progress, into: &mut [u8]) -> Option<usize> {
        let left = usize::try_from(self.end - progress.offset);
        let room = into.len().min(left.unwrap_or(AT_ONCE)).min(AT_ONCE);
        let into = &mut into[..room];
        if !self.object.read_cached_at(into, progress.offset) {
            return None;
        }
        progress.advance(into);
        Some(room)
    }

    /// Reads the next chunk.
    fn read(&self, progress: &mut Progress) -> Result<Bytes> {
        let wanted = self.wanted(progress);
        let mut buffer = buffers::take(wanted);
        let chunk = &mut buffer[..wanted];
        let filled = self.object.fill_at(chunk, progress.offset);
        if !filled.map_err(from_fault)? {
            return Err(changed_meanwhile());
        }
        progress.advance(chunk);
        Ok(buffers::lend(buffer, wanted))
    }

    /// Compares the read bytes with the stored checksum.
    fn verify(&self, progress: &Progress) -> Ended {
        if !self.object.unchanged() {
            return Ended::Failed(Some(changed_meanwhile()));
        }
        let Some(digest) = &progress.digest else {
            return Ended::Well(Checksums::NONE);
        };
        let crc = digest.finalize() as u32;
        match self.object.facts.crc32c {
            Some(stored) if stored != crc => Ended::Failed(Some(corrupt(stored, crc))),
            _ => {
                let mut checksums = Checksums::NONE;
                checksums.crc32c = Some(crc);
                Ended::Well(checksums)
            }
        }
    }
}

/// Error of stored bytes with another checksum than recorded.
pub(crate) fn corrupt(stored: u32, found: u32) -> Error {
    Error::new(ErrorKind::Corrupt)
        .with_message("the stored bytes do not match the checksum of the upload")
        .with_fact("expected_crc32c", format_args!("{stored:08x}"))
        .with_fact("found_crc32c", format_args!("{found:08x}"))
}

/// Error of a file that another program has written to or truncated during the download.
pub(crate) fn changed_meanwhile() -> Error {
    Error::new(ErrorKind::Corrupt)
        .with_message("the file was changed by another program while it was read")
}

impl Reader {
    /// The bytes `range` of an object, in chunks of `chunk` bytes.
    pub(crate) fn new(object: Object, range: Range<u64>, chunk: usize) -> Self {
        let whole = range == (0..object.facts.size);
        let digest =
            (whole && object.facts.crc32c.is_some()).then(|| Digest::new(CrcAlgorithm::Crc32Iscsi));
        let progress = Progress {
            offset: range.start,
            digest,
        };
        let state = State {
            ready: VecDeque::new(),
            cold: false,
            ahead: 0,
            progress: Some(progress),
            ended: None,
            dropped: false,
            receiver: None,
        };
        let shared = Shared {
            object,
            chunk: chunk.max(1),
            end: range.end,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            rest: Bytes::new(),
        }
    }

    /// Starts a job, unless one runs or all is read.
    fn start(&self, state: &mut State) {
        if let Some(progress) = state.progress.take() {
            let shared = Arc::clone(&self.shared);
            spawn_blocking(move || work(&shared, progress));
        }
    }
}

impl Source for Reader {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        let mut state = self.shared.lock();
        if let Some(chunk) = state.ready.pop_front() {
            if state.ready.len() < state.ahead {
                self.start(&mut state);
            }
            drop(state);
            self.shared.changed.notify_one();
            return Poll::Ready(Some(Ok(chunk.bytes)));
        }
        match &mut state.ended {
            Some(Ended::Well(_)) => Poll::Ready(None),
            Some(Ended::Failed(error)) => Poll::Ready(error.take().map(Err)),
            None => {
                if !state.cold
                    && let Some(mut progress) = state.progress
                {
                    if let Some(bytes) = self.shared.read_cached(&mut progress) {
                        state.progress = Some(progress);
                        if progress.offset == self.shared.end {
                            state.ended = Some(self.shared.verify(&progress));
                        }
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    state.cold = true;
                }
                // The receiver is faster than the job.
                if state.progress.is_none() {
                    state.ahead = AHEAD.min(state.ahead + 1);
                }
                state.receiver = Some(cx.waker().clone());
                self.start(&mut state);
                drop(state);
                self.shared.changed.notify_one();
                Poll::Pending
            }
        }
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        match &self.shared.lock().ended {
            Some(Ended::Well(checksums)) => *checksums,
            _ => Checksums::NONE,
        }
    }

    fn reads_into(&self) -> bool {
        true
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        let mut state = self.shared.lock();
        if self.rest.is_empty()
            && state.ready.is_empty()
            && !state.cold
            && state.ended.is_none()
            && let Some(mut progress) = state.progress
            && let Some(count) = self.shared.read_cached_into(&mut progress, into)
        {
            state.progress = Some(progress);
            if progress.offset == self.shared.end {
                state.ended = Some(self.shared.verify(&progress));
            }
            return Poll::Ready(Some(Ok(count)));
        }
        drop(state);
        let mut chunk = match ready!(self.as_mut().poll_chunk(cx)) {
            Some(Ok(chunk)) => chunk,
            other => return Poll::Ready(other.map(|chunk| chunk.map(|_| 0))),
        };
        let some = chunk.split_to(into.len().min(chunk.len()));
        into[..some.len()].copy_from_slice(&some);
        self.rest = chunk;
        Poll::Ready(Some(Ok(some.len())))
    }

    // A replaced object keeps its file for those who have it open.
    #[cfg(target_os = "linux")]
    fn file(&self) -> Option<LentFile<'_>> {
        let state = self.shared.lock();
        let progress = state.progress.filter(|_| state.ready.is_empty())?;
        let range = progress.offset..self.shared.end;
        Some(LentFile::new(self.shared.object.fd.as_fd(), range))
    }
}

/// Reads ahead until all is read, or the receiver has been slow for [`JOB_WAIT`].
fn work(shared: &Shared, progress: Progress) {
    let mut job = Job { shared, progress };
    let mut state = shared.lock();
    loop {
        if state.dropped {
            return;
        }
        if state.has_enough() {
            let (back, waited) = shared
                .changed
                .wait_timeout(state, JOB_WAIT)
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
            if waited.timed_out() && state.has_enough() {
                // Stalled receivers must not hold memory.
                let untaken = state.ready.front().map(|chunk| chunk.before);
                state.progress = Some(untaken.unwrap_or(job.progress));
                state.ahead = 0;
                state.cold = false;
                let untaken = std::mem::take(&mut state.ready);
                drop(state);
                return drop(untaken);
            }
            continue;
        }
        drop(state);
        let before = job.progress;
        let read = (before.offset < shared.end).then(|| shared.read(&mut job.progress));
        let ended = match &read {
            Some(Ok(_)) if job.progress.offset < shared.end => None,
            Some(Err(_)) => None,
            _ => Some(shared.verify(&job.progress)),
        };
        state = shared.lock();
        match read {
            Some(Ok(bytes)) => state.ready.push_back(Ready { bytes, before }),
            Some(Err(error)) => state.ended = Some(Ended::Failed(Some(error))),
            None => {}
        }
        if ended.is_some() {
            state.ended = ended;
        }
        let receiver = state.receiver.take();
        if state.ended.is_some() {
            drop(state);
            return receiver.into_iter().for_each(Waker::wake);
        }
        if let Some(receiver) = receiver {
            drop(state);
            receiver.wake();
            state = shared.lock();
        }
    }
}

/// Wakes the receiver with an error when a job panics.
struct Job<'s> {
    shared: &'s Shared,
    progress: Progress,
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.shared.lock();
            let error = Error::new(ErrorKind::PluginFault).with_message("the reading job panicked");
            state.ended = Some(Ended::Failed(Some(error)));
            state.receiver.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.dropped = true;
        state.ready.clear();
        drop(state);
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::{LocalStore, Options};
    use crate::{Local, LocalConfig};
    use holdall_plugin_api::{Body, Host, StorageBackend, Upload};

    /// A download of `bytes`, with a cold or a warm cache.
    async fn reading(bytes: &[u8], cold: bool) -> (tempfile::TempDir, Body, Arc<Shared>) {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalConfig::new(folder.path());
        let local = Local::open(config, Host::detached("test")).await.unwrap();
        let upload = Upload::new("a", bytes.to_vec());
        local.upload(upload).await.unwrap();
        let store = LocalStore::open(folder.path(), Options::default()).unwrap();
        let object = store.object("a").unwrap();
        let reader = Reader::new(object, 0..bytes.len() as u64, 64 << 10);
        reader.shared.lock().cold = cold;
        let shared = reader.shared.clone();
        (folder, Body::source(reader), shared)
    }

    #[tokio::test]
    async fn a_receiver_that_stalls_holds_nothing_and_loses_nothing() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        for cold in [false, true] {
            let (_folder, mut body, shared) = reading(&bytes, cold).await;
            let mut read = Vec::new();
            while let Some(chunk) = body.chunk().await {
                read.extend_from_slice(&chunk.unwrap());
                // At the first chunk, and after reading ahead.
                if [64 << 10, 1 << 20].contains(&read.len()) {
                    tokio::time::sleep(JOB_WAIT * 20).await;
                    let mut state = shared.lock();
                    assert!(state.ready.is_empty(), "memory is held: {cold}");
                    assert!(state.progress.is_some(), "a thread is held: {cold}");
                    assert!(state.ended.is_none());
                    // As for a cold cache.
                    state.cold = cold;
                }
            }
            assert!(read == bytes, "other bytes: {cold}");
            let digest = body.trailers().unwrap().checksums.crc32c;
            assert_eq!(digest, Some(crc_fast::crc32_iscsi(&bytes)), "{cold}");
        }
    }

    // Windows does not say what is cached.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn cached_data_is_read_without_a_job() {
        let (_folder, mut body, shared) = reading(&[7; 200_000], false).await;
        let first = body.chunk().await.unwrap().unwrap();
        assert_eq!(first.len(), 64 << 10);
        let state = shared.lock();
        assert!(state.progress.is_some() && state.ready.is_empty() && !state.cold);
    }
}
