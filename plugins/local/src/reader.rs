//! From the engine to the stream of a download.
//!
//! One job of the blocking pool reads ahead, at most four chunks, into buffers that are used again
//! once the receiver has let go of them. It does not wait for a slow receiver: it leaves after a
//! moment and is started again by the next pull, so that stalled downloads never hold the threads of
//! the pool. Dropping the stream frees the descriptor.

use crate::engine::read::Object;
use crate::error::from_fault;
use crc_fast::{CrcAlgorithm, Digest};
use holdall_plugin_api::abi::stream::Source;
use holdall_plugin_api::{Bytes, Checksums, Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Chunks that were read and not yet taken; one more is being read.
const AHEAD: usize = 3;
/// How long a job waits for the receiver before it gives its thread back.
const MOMENT: Duration = Duration::from_millis(10);
/// Buffers that are kept for the next chunk.
const SPARE: usize = AHEAD + 2;

/// The bytes of an object.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    object: Object,
    chunk: usize,
    end: u64,
    spare: Arc<Spare>,
    state: Mutex<State>,
    /// Something changed for the job.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    ready: VecDeque<Bytes>,
    /// Here while no job has it.
    progress: Option<Progress>,
    ended: Option<Ended>,
    dropped: bool,
    receiver: Option<Waker>,
}

#[derive(Debug)]
struct Progress {
    offset: u64,
    /// When the whole object is read and its checksum is known.
    digest: Option<Digest>,
}

#[derive(Debug)]
enum Ended {
    Well(Checksums),
    Failed(Option<Error>),
}

/// Buffers between two uses.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

/// A buffer on loan to the receiver.
struct Lent {
    bytes: Vec<u8>,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the next chunk.
    fn read(&self, progress: &mut Progress) -> Result<Bytes> {
        let wanted = usize::try_from(self.end - progress.offset)
            .map_or(self.chunk, |left| left.min(self.chunk));
        let spare = self
            .spare
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut bytes = spare.unwrap_or_else(|| Vec::with_capacity(wanted));
        bytes.clear();
        self.object
            .read_at(&mut bytes, progress.offset)
            .map_err(from_fault)?;
        if bytes.len() < wanted {
            return Err(changed_meanwhile());
        }
        // A range may end before its last buffer does.
        bytes.truncate(wanted);
        progress.offset += wanted as u64;
        if let Some(digest) = &mut progress.digest {
            digest.update(&bytes);
        }
        Ok(Bytes::from_owner(Lent {
            bytes,
            spare: Arc::clone(&self.spare),
        }))
    }

    /// Whether what was read is what was stored.
    fn verdict(&self, progress: &Progress) -> Ended {
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

/// The bytes are not those that were stored.
pub(crate) fn corrupt(stored: u32, found: u32) -> Error {
    Error::new(ErrorKind::Corrupt)
        .message("the stored bytes do not have the checksum that they were stored with")
        .fact("expected_crc32c", format_args!("{stored:08x}"))
        .fact("found_crc32c", format_args!("{found:08x}"))
}

/// Somebody wrote into the file, or cut it, while it was read.
pub(crate) fn changed_meanwhile() -> Error {
    Error::new(ErrorKind::Corrupt)
        .message("the file was changed by another program while it was read")
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
            ready: VecDeque::with_capacity(AHEAD),
            progress: Some(progress),
            ended: None,
            dropped: false,
            receiver: None,
        };
        let shared = Shared {
            object,
            chunk: chunk.max(1),
            end: range.end,
            spare: Arc::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
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
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let mut state = self.shared.lock();
        if let Some(chunk) = state.ready.pop_front() {
            if state.ready.len() < 2 {
                self.start(&mut state);
            }
            drop(state);
            self.shared.changed.notify_one();
            return Poll::Ready(Some(Ok(chunk)));
        }
        match &mut state.ended {
            Some(Ended::Well(_)) => Poll::Ready(None),
            Some(Ended::Failed(error)) => Poll::Ready(error.take().map(Err)),
            None => {
                state.receiver = Some(cx.waker().clone());
                self.start(&mut state);
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
}

/// Reads until the receiver is far enough behind for a moment, or all is read.
fn work(shared: &Shared, progress: Progress) {
    let mut job = Job { shared, progress };
    let mut state = shared.lock();
    loop {
        if state.dropped {
            return;
        }
        if state.ready.len() >= AHEAD {
            let (back, waited) = shared
                .changed
                .wait_timeout(state, MOMENT)
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
            if waited.timed_out() && state.ready.len() >= AHEAD {
                let Progress { offset, digest } = &mut job.progress;
                state.progress = Some(Progress {
                    offset: *offset,
                    digest: digest.take(),
                });
                return;
            }
            continue;
        }
        drop(state);
        let read = (job.progress.offset < shared.end).then(|| shared.read(&mut job.progress));
        let verdict = match &read {
            Some(Ok(_)) if job.progress.offset < shared.end => None,
            Some(Err(_)) => None,
            _ => Some(shared.verdict(&job.progress)),
        };
        state = shared.lock();
        match read {
            Some(Ok(chunk)) => state.ready.push_back(chunk),
            Some(Err(error)) => state.ended = Some(Ended::Failed(Some(error))),
            None => {}
        }
        if verdict.is_some() {
            state.ended = verdict;
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

/// Tells the receiver when a job ends without an answer: by a panic.
struct Job<'s> {
    shared: &'s Shared,
    progress: Progress,
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.shared.lock();
            let error =
                Error::new(ErrorKind::PluginFault).message("the job that reads has panicked");
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
