//! Stream of an upload.
//!
//! Up to 1 MiB is gathered in memory and stored by one job of the blocking pool. Larger bodies go
//! through a queue of four chunks, or about 256 KiB, to a job that writes them. The job does not wait for a slow sender: it
//! ends after 10 ms and the next chunk starts it again, so stalled uploads hold no threads of the pool.

use crate::engine::staged::Staged;
use crate::engine::write::Writer;
use crate::error::from_fault;
use holdall_plugin_api::Chunk;
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Bytes of an upload that are gathered before anything is staged.
pub(crate) const GATHER: usize = 1 << 20;
/// A chunk below this is joined with its neighbours.
const SMALL: usize = 64 << 10;
/// Size from which joined chunks are written.
const JOINED: usize = 128 << 10;
/// Chunks between the sender and the job that writes.
const QUEUE: usize = 4;
/// Bytes between them from which the sender waits: the queues of many uploads to a slow medium are full.
const QUEUED: usize = 256 << 10;
/// Time that a job waits for the next chunk before it ends.
const JOB_WAIT: Duration = Duration::from_millis(10);

/// Bytes to write.
#[derive(Debug)]
pub(crate) enum Part {
    /// As received.
    Chunk(Chunk),
    /// Joined from small ones.
    Joined(Vec<u8>),
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        match self {
            Part::Chunk(chunk) => chunk,
            Part::Joined(bytes) => bytes,
        }
    }
}

/// Received chunks, small ones joined. A single chunk of any size is not copied.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    parts: VecDeque<Part>,
    bytes: usize,
}

impl Gathered {
    pub(crate) fn push(&mut self, chunk: Chunk) {
        if chunk.is_empty() {
            return;
        }
        self.bytes += chunk.len();
        if chunk.len() < SMALL {
            match self.parts.back_mut() {
                Some(Part::Joined(bytes)) if bytes.len() < JOINED => {
                    return bytes.extend_from_slice(&chunk);
                }
                Some(last @ Part::Chunk(_)) if last.as_ref().len() < SMALL => {
                    let mut bytes = Vec::with_capacity(2 * SMALL);
                    bytes.extend_from_slice(last.as_ref());
                    bytes.extend_from_slice(&chunk);
                    *last = Part::Joined(bytes);
                    return;
                }
                _ => {}
            }
        }
        self.parts.push_back(Part::Chunk(chunk));
    }

    /// Gathered bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All parts.
    pub(crate) fn into_parts(self) -> VecDeque<Part> {
        self.parts
    }

    /// The next part that is large enough to write; at the `end`, any part.
    fn next_part(&mut self, end: bool) -> Option<Part> {
        let waits = self.parts.len() == 1
            && self
                .parts
                .front()
                .is_some_and(|part| part.as_ref().len() < JOINED);
        if waits && !end {
            return None;
        }
        let part = self.parts.pop_front()?;
        self.bytes -= part.as_ref().len();
        Some(part)
    }
}

/// The sender's end of a large upload. Dropped before [`Sink::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Sink {
    shared: Arc<Shared>,
    staged: Arc<Staged>,
    waiting: Gathered,
    finished: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the job.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Part>,
    /// `None` while a job runs, which has it.
    writer: Option<Writer>,
    failed: Option<Error>,
    /// The last chunk is queued: the job ends when the queue is empty.
    ending: bool,
    /// The sender was dropped.
    dropped: bool,
    sender: Option<Waker>,
}

impl State {
    fn is_full(&self) -> bool {
        let bytes = self.queue.iter().map(|part| part.as_ref().len());
        self.queue.len() == QUEUE || bytes.sum::<usize>() >= QUEUED
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// What is written begins with the gathered chunks.
    pub(crate) fn new(writer: Writer, gathered: Gathered) -> Self {
        let staged = Arc::clone(writer.staged());
        let state = State {
            queue: VecDeque::with_capacity(QUEUE),
            writer: Some(writer),
            failed: None,
            ending: false,
            dropped: false,
            sender: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        Self {
            shared,
            staged,
            waiting: gathered,
            finished: false,
        }
    }

    /// Queues a chunk; waits while the queue is full.
    pub(crate) async fn push(&mut self, chunk: Chunk) -> Result<()> {
        self.waiting.push(chunk);
        self.send(false).await
    }

    /// Waits until everything is written, and returns the staged object.
    pub(crate) async fn finish(mut self) -> Result<Writer> {
        self.send(true).await?;
        let writer = poll_fn(|cx| {
            let mut state = self.shared.lock();
            state.ending = true;
            if let Some(error) = state.failed.take() {
                return Poll::Ready(Err(error));
            }
            if state.queue.is_empty()
                && let Some(writer) = state.writer.take()
            {
                return Poll::Ready(Ok(writer));
            }
            state.sender = Some(cx.waker().clone());
            self.start(&mut state);
            self.shared.changed.notify_one();
            Poll::Pending
        });
        let writer = writer.await?;
        self.finished = true;
        Ok(writer)
    }

    async fn send(&mut self, end: bool) -> Result<()> {
        while let Some(part) = self.waiting.next_part(end) {
            let mut part = Some(part);
            poll_fn(|cx| {
                let mut state = self.shared.lock();
                if let Some(error) = state.failed.take() {
                    return Poll::Ready(Err(error));
                }
                if state.is_full() {
                    state.sender = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                state.queue.extend(part.take());
                self.start(&mut state);
                self.shared.changed.notify_one();
                Poll::Ready(Ok(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Starts a job, unless one runs.
    fn start(&self, state: &mut State) {
        if let Some(writer) = state.writer.take() {
            let shared = Arc::clone(&self.shared);
            spawn_blocking(move || work(&shared, writer));
        }
    }
}

/// Writes queued chunks until the queue has been empty for [`JOB_WAIT`].
fn work(shared: &Shared, writer: Writer) {
    let mut job = Job {
        shared,
        writer: Some(writer),
    };
    let mut state = shared.lock();
    loop {
        if state.dropped {
            // Closing a large unlinked file frees its blocks, which takes time: not under the lock.
            drop(state);
            return drop(job.writer.take());
        }
        if let Some(part) = state.queue.pop_front() {
            let sender = state.sender.take();
            drop(state);
            sender.into_iter().for_each(Waker::wake);
            let written = job
                .writer
                .as_mut()
                .map_or(Ok(()), |writer| writer.write(part.as_ref()));
            // Frees the sender's memory before the wait for the next chunk.
            drop(part);
            state = shared.lock();
            if let Err(fault) = written {
                state.queue.clear();
                state.failed = Some(from_fault(fault));
                let sender = state.sender.take();
                drop(state);
                drop(job.writer.take());
                return sender.into_iter().for_each(Waker::wake);
            }
            continue;
        }
        let (back, waited) = if state.ending {
            (state, None)
        } else {
            let (back, waited) = shared
                .changed
                .wait_timeout(state, JOB_WAIT)
                .unwrap_or_else(PoisonError::into_inner);
            (back, Some(waited))
        };
        state = back;
        let idle = waited.is_none_or(|waited| waited.timed_out());
        if idle && state.queue.is_empty() && !state.dropped {
            state.writer = job.writer.take();
            let sender = state.sender.take();
            drop(state);
            return sender.into_iter().for_each(Waker::wake);
        }
    }
}

/// Wakes the sender with an error when a job panics.
struct Job<'s> {
    shared: &'s Shared,
    writer: Option<Writer>,
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.shared.lock();
            state.failed =
                Some(Error::new(ErrorKind::PluginFault).with_message("the writing job panicked"));
            state.sender.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The name first, so that no residue is visible while a job still holds the file.
        self.staged.discard();
        let mut state = self.shared.lock();
        state.dropped = true;
        state.queue.clear();
        let writer = state.writer.take();
        drop(state);
        self.shared.changed.notify_one();
        match (writer, Handle::try_current()) {
            (Some(writer), Ok(pool)) => drop(pool.spawn_blocking(move || drop(writer))),
            (writer, _) => drop(writer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::metadata_record::Metadata;
    use crate::engine::store::{LocalStore, Options, Sync};
    use crate::engine::write::Publish;
    use holdall_plugin_api::Bytes;

    const FAST: Publish<'static> = Publish {
        sync: Sync::None,
        create_only: false,
        if_match: None,
    };

    fn chunk(bytes: Vec<u8>) -> Chunk {
        Chunk::from(Bytes::from(bytes))
    }

    fn store() -> (tempfile::TempDir, Arc<LocalStore>) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            create: true,
            ..Options::default()
        };
        let store = LocalStore::open(dir.path(), options).unwrap();
        (dir, Arc::new(store))
    }

    fn sink(store: &Arc<LocalStore>, sync: Sync) -> Sink {
        Sink::new(Writer::begin(store, sync).unwrap(), Gathered::default())
    }

    fn staged(dir: &tempfile::TempDir) -> usize {
        let all = std::fs::read_dir(dir.path().join("staging")).unwrap();
        all.filter_map(|entry| std::fs::read_dir(entry.unwrap().path()).ok())
            .map(Iterator::count)
            .sum()
    }

    #[test]
    fn small_chunks_are_joined_and_a_lone_one_is_not_copied() {
        let mut gathered = Gathered::default();
        let lone = chunk(vec![1; 10]);
        let address = lone.as_ptr();
        gathered.push(lone);
        assert_eq!(gathered.parts[0].as_ref().as_ptr(), address);
        for _ in 0..100 {
            gathered.push(chunk(vec![2]));
            gathered.push(chunk(vec![]));
        }
        assert_eq!((gathered.parts.len(), gathered.bytes()), (1, 110));
        assert!(gathered.next_part(false).is_none());
        gathered.push(chunk(vec![3; SMALL]));
        assert_eq!(gathered.parts.len(), 2);
        assert_eq!(gathered.next_part(false).unwrap().as_ref().len(), 110);
        assert_eq!(
            (
                gathered.next_part(true).unwrap().as_ref().len(),
                gathered.bytes()
            ),
            (SMALL, 0)
        );
    }

    #[tokio::test]
    async fn a_large_upload_arrives_in_order_although_its_sender_pauses() {
        let (dir, store) = store();
        let mut sink = sink(&store, Sync::None);
        let mut sent = Vec::new();
        for number in 0..30u8 {
            let bytes = vec![number; 300_000 + usize::from(number)];
            sent.extend_from_slice(&bytes);
            sink.push(chunk(bytes)).await.unwrap();
            if number % 10 == 0 {
                // Longer than `JOB_WAIT`.
                tokio::time::sleep(JOB_WAIT * 3).await;
            }
        }
        let writer = sink.finish().await.unwrap();
        writer.publish("a", Metadata::default(), FAST).unwrap();
        assert!(std::fs::read(dir.path().join("objects/a")).unwrap() == sent);
        assert_eq!(staged(&dir), 0);
    }

    #[tokio::test]
    async fn a_stalled_sender_holds_no_thread() {
        let (_dir, store) = store();
        let mut sink = sink(&store, Sync::None);
        sink.push(chunk(vec![1; GATHER])).await.unwrap();
        for _ in 0..200 {
            tokio::time::sleep(JOB_WAIT).await;
            if sink.shared.lock().writer.is_some() {
                return;
            }
        }
        panic!("the job holds its thread");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_in_bytes() {
        let (_dir, store) = store();
        let mut sink = sink(&store, Sync::None);
        // As while a job writes to a slow medium.
        let busy = sink.shared.lock().writer.take();
        let pushed = async {
            loop {
                sink.push(chunk(vec![1; JOINED])).await.unwrap();
            }
        };
        let full: Result<(), _> = tokio::time::timeout(JOB_WAIT * 10, pushed).await;
        full.unwrap_err();
        let state = sink.shared.lock();
        let queued: usize = state.queue.iter().map(|part| part.as_ref().len()).sum();
        assert_eq!(queued, QUEUED);
        drop((state, busy));
    }

    #[tokio::test]
    async fn a_dropped_sink_leaves_nothing_at_once() {
        let (dir, store) = store();
        for count in [0, 1, 3] {
            let mut sink = sink(&store, Sync::Full);
            for _ in 0..count {
                sink.push(chunk(vec![1; GATHER])).await.unwrap();
            }
            drop(sink);
            assert_eq!(staged(&dir), 0);
        }
    }
}
