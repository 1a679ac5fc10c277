//! The bytes of a lent file as a body, read by the host: no call of the plugin, no checksum, and no wait for what the
//! kernel has in its cache.

use super::buffers;
use crate::platform::cached_read::{cached, read_ahead};
use holdall_plugin_api::{Body, Bytes, Error, ErrorKind, LentFile, Result, Source};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Most bytes of a chunk: more at once cost no less, and many connections would hold them. BENCHMARKS.md has the figures.
const MAX_CHUNK: u64 = 256 << 10;
/// Bytes that the kernel is to read ahead of a reader that had to wait.
const AHEAD: u64 = 1 << 20;

pub(crate) struct FileBody {
    state: State,
    at: u64,
    length: u64,
    chunk: u64,
}

/// The body is what keeps the file open.
enum State {
    Idle(Body),
    Reading(JoinHandle<(Body, io::Result<Bytes>)>),
    Ended,
}

impl FileBody {
    /// The body again, where it lends no file.
    pub(crate) fn new(body: Body, chunk_hint: u32) -> Result<Self, Body> {
        let Some(length) = body.file().map(|file| file.length()) else {
            return Err(body);
        };
        Ok(Self {
            state: State::Idle(body),
            at: 0,
            length,
            chunk: u64::from(chunk_hint).clamp(1, MAX_CHUNK),
        })
    }

    fn moved(&mut self, read: io::Result<Bytes>) -> Poll<Option<Result<Bytes>>> {
        Poll::Ready(match read {
            // The file is shorter than it was: that is judged by who knows the length.
            Ok(bytes) if bytes.is_empty() => {
                self.state = State::Ended;
                None
            }
            Ok(bytes) => {
                self.at += bytes.len() as u64;
                Some(Ok(bytes))
            }
            Err(why) => {
                self.state = State::Ended;
                Some(Err(Error::new(ErrorKind::Other)
                    .with_message("the file of the object cannot be read")
                    .because(why)))
            }
        })
    }
}

/// Reads a chunk, however long that takes.
fn read(file: &LentFile<'_>, at: u64, wanted: usize) -> io::Result<Bytes> {
    let mut buffer = buffers::take(wanted);
    let count = loop {
        match file.read_at(&mut buffer[..wanted], at) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            count => break count?,
        }
    };
    read_ahead(file, at + count as u64, AHEAD);
    Ok(buffers::lend(buffer, count))
}

impl Source for FileBody {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        if let State::Reading(job) = &mut this.state {
            let (body, read) = match ready!(Pin::new(job).poll(cx)) {
                Ok(done) => done,
                Err(cut_off) => {
                    this.state = State::Ended;
                    let error = Error::new(ErrorKind::Cancelled).because(cut_off);
                    return Poll::Ready(Some(Err(error)));
                }
            };
            this.state = State::Idle(body);
            return this.moved(read);
        }
        let State::Idle(body) = &this.state else {
            return Poll::Ready(None);
        };
        let (at, wanted) = (this.at, (this.length - this.at).min(this.chunk) as usize);
        let Some(file) = body.file().filter(|_| wanted > 0) else {
            this.state = State::Ended;
            return Poll::Ready(None);
        };
        let mut buffer = buffers::take(wanted);
        if let Some(count) = cached(&file, &mut buffer[..wanted], at) {
            return this.moved(Ok(buffers::lend(buffer, count)));
        }
        buffers::put(buffer);
        // A caller may have no runtime.
        let Ok(runtime) = Handle::try_current() else {
            let read = read(&file, at, wanted);
            return this.moved(read);
        };
        let State::Idle(body) = std::mem::replace(&mut this.state, State::Ended) else {
            return Poll::Ready(None);
        };
        this.state = State::Reading(runtime.spawn_blocking(move || {
            let read = match body.file() {
                Some(file) => read(&file, at, wanted),
                None => Ok(Bytes::new()),
            };
            (body, read)
        }));
        self.poll_chunk(cx)
    }

    fn file(&self) -> Option<LentFile<'_>> {
        match &self.state {
            State::Idle(body) if self.at == 0 => body.file(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    struct Lending(File, u64);

    impl Source for Lending {
        fn poll_chunk(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
            panic!("the plugin is not called")
        }

        fn file(&self) -> Option<LentFile<'_>> {
            Some(LentFile::new(self.0.as_fd(), 3..self.1))
        }
    }

    fn body(bytes: &[u8], end: u64) -> Body {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bytes).unwrap();
        let reading = File::open(file.path()).unwrap();
        // Out of the cache, where the file system can.
        reading.sync_all().unwrap();
        let _ = rustix::fs::fadvise(&reading, 0, None, rustix::fs::Advice::DontNeed);
        let body = FileBody::new(Body::source(Lending(reading, end)), u32::MAX);
        Body::source(body.ok().unwrap())
    }

    #[tokio::test]
    async fn the_file_is_read_without_its_plugin() {
        let bytes: Vec<u8> = (0..1_000_003u32).map(|at| (at % 251) as u8).collect();
        // Twice: from the medium, perhaps, and from the cache.
        let body = || body(&bytes, 1_000_003);
        assert_eq!(body().file().map(|file| file.length()), Some(1_000_000));
        assert!(body().collect(1 << 20).await.unwrap() == bytes[3..]);
        let mut read = body();
        let first = read.chunk().await.unwrap().unwrap();
        assert_eq!(first.len() as u64, MAX_CHUNK);
        assert!(read.file().is_none(), "it has begun");
    }

    #[test]
    fn a_reader_without_a_runtime_waits_itself() {
        use futures_util::FutureExt;
        let read = body(b"0123456789", 7).collect(99).now_or_never();
        assert_eq!(read.unwrap().unwrap(), "3456");
    }

    #[tokio::test]
    async fn a_file_that_was_cut_ends_early() {
        assert_eq!(
            body(b"0123456789", 20).collect(99).await.unwrap(),
            "3456789"
        );
    }

    #[test]
    fn a_body_without_a_file_comes_back() {
        let back = FileBody::new(Body::from("x"), 1).err().unwrap();
        assert_eq!(back.known_length(), Some(1));
    }
}
