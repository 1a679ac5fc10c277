//! From a file, or a pipe, to a body.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::stream::poll_fn;
use holdall::{Body, Bytes, Error, ErrorKind};
use tokio::sync::mpsc;

use super::{AHEAD, CHUNK};
use crate::exit;
use crate::failure::{Failure, Result};
use crate::files;
use crate::progress::Progress;

/// Where the bytes of a `put` come from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    fn path(&self) -> &Path {
        match self {
            Input::Stdin => Path::new("standard input"),
            Input::File(path) => path,
        }
    }

    /// Opens it. The facts are those of a regular file that is read as a whole.
    fn open(&self) -> Result<(File, Option<FileState>)> {
        let path = self.path();
        let file = match self {
            Input::Stdin => files::standard_input(),
            Input::File(path) => File::open(path),
        };
        let file = file.map_err(Failure::file("open", path))?;
        let about = file.metadata().map_err(Failure::file("read", path))?;
        if about.is_dir() {
            return Err(Failure::refused(
                exit::BAD_INPUT,
                "is_a_directory",
                format!("{} is a directory", path.display()),
                "put -r stores everything below it",
            ));
        }
        if !about.is_file() {
            return Ok((file, None));
        }
        files::read_ahead(&file);
        // Files of the kernel say 0 and have content all the same; and standard input may have been
        // read from before it was handed to us.
        let whole = matches!(self, Input::File(_)) && about.len() > 0;
        Ok((file, whole.then(|| FileState::of(&about))))
    }
}

/// What shows that a file was written to while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    size: u64,
    modified: Option<SystemTime>,
}

impl FileState {
    fn of(about: &std::fs::Metadata) -> Self {
        Self {
            size: about.len(),
            modified: about.modified().ok(),
        }
    }
}

/// A file that is read, up to the size that it had when it was opened.
struct Opened {
    file: io::Take<File>,
    path: PathBuf,
    facts: Option<FileState>,
}

impl Opened {
    /// Fills the buffer as far as the input goes. At the end of a file its facts are compared with
    /// those at its opening: before the last bytes are handed on, so that nothing is stored.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let failed = Failure::file("read", &self.path);
        let read = fill(&mut self.file, buffer).map_err(failed)?;
        if let Some(facts) = self.facts
            && (read < buffer.len() || self.file.limit() == 0)
        {
            let about = self.file.get_ref().metadata();
            let about = about.map_err(Failure::file("read", &self.path))?;
            if FileState::of(&about) != facts {
                return Err(Failure::refused(
                    exit::PRECONDITION,
                    "source_changed",
                    format!(
                        "{} was changed while it was read; nothing is stored",
                        self.path.display()
                    ),
                    "repeat when no program writes to it; `holdall put - ADDR < FILE` stores a file that grows",
                ));
            }
        }
        Ok(read)
    }
}

/// An opened input.
pub(crate) struct Source {
    pub(crate) body: Body,
    /// In bytes, when it is known.
    pub(crate) length: Option<u64>,
    fault: Fault,
}

/// Why reading ended early. The upload that pulls the body knows no paths of this machine.
type Fault = Arc<Mutex<Option<Failure>>>;

impl Source {
    /// Opens it and reads the first chunk; what fits into that travels in one piece.
    pub(crate) async fn open(input: Input, progress: Progress) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(move || {
            let (file, facts) = input.open()?;
            let length = facts.map(|facts| facts.size);
            let mut opened = Opened {
                file: file.take(length.unwrap_or(u64::MAX)),
                path: input.path().to_owned(),
                facts,
            };
            let mut first = vec![0; CHUNK.min(length.map_or(CHUNK, |length| length as usize + 1))];
            let read = opened.fill(&mut first)?;
            let ended = read < first.len();
            first.truncate(read);
            Ok::<_, Failure>((opened, length, first, ended))
        });
        let (opened, length, first, ended) = opened.await.map_err(cut_off)??;
        let fault = Fault::default();
        if ended {
            progress.advance(first.len() as u64);
            return Ok(Self {
                length: Some(first.len() as u64),
                body: Body::from(Bytes::from(first)),
                fault,
            });
        }
        if let Some(length) = length {
            progress.total(length);
        }
        let body = stream(opened, first, fault.clone(), progress);
        Ok(Self {
            body,
            length,
            fault,
        })
    }

    /// Returns the body and its length for the upload, and the reader that explains its failure.
    pub(crate) fn split(self) -> (Body, Option<u64>, Reader) {
        (self.body, self.length, Reader { fault: self.fault })
    }
}

/// The reading side, once the body is on its way.
pub(crate) struct Reader {
    fault: Fault,
}

impl Reader {
    /// The failure of an upload: our own, when the input could not be read to its end.
    pub(crate) fn explain(&self, error: Error) -> Failure {
        let fault = self
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        fault.unwrap_or_else(|| error.into())
    }
}

/// A body fed by a thread that reads ahead.
fn stream(opened: Opened, first: Vec<u8>, fault: Fault, progress: Progress) -> Body {
    let (send, mut receive) = mpsc::channel::<Bytes>(AHEAD);
    let reported = fault.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(failure) = feed(opened, first, &send) {
            *reported.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
    });
    let mut ended = false;
    Body::stream(poll_fn(move |cx| {
        if ended {
            return std::task::Poll::Ready(None);
        }
        receive.poll_recv(cx).map(|chunk| match chunk {
            Some(chunk) => {
                progress.advance(chunk.len() as u64);
                Some(Ok(chunk))
            }
            None => {
                ended = true;
                // The thread says why before it lets go of its end.
                let failed = fault
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .is_some();
                failed.then(|| {
                    Err(Error::new(ErrorKind::Other).with_message("the input cannot be read"))
                })
            }
        })
    }))
}

/// Reads to the end. Returns early, without a failure, when the body is dropped.
fn feed(mut opened: Opened, first: Vec<u8>, send: &mpsc::Sender<Bytes>) -> Result<()> {
    let (back, free) = std_mpsc::sync_channel(AHEAD + 2);
    let lend = |buffer: Vec<u8>, len: usize| {
        Bytes::from_owner(Lent {
            buffer,
            len,
            back: back.clone(),
        })
    };
    let len = first.len();
    if send.blocking_send(lend(first, len)).is_err() {
        return Ok(());
    }
    loop {
        let mut buffer = free.try_recv().unwrap_or_default();
        // Zeroed once; buffers that come back are as large as they were.
        buffer.resize(CHUNK, 0);
        let len = opened.fill(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        let last = len < CHUNK;
        if send.blocking_send(lend(buffer, len)).is_err() || last {
            return Ok(());
        }
    }
}

/// Fills the buffer as far as the input goes.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

/// A buffer that goes back to the reader when the last user of its bytes is done: fresh memory for
/// every mebibyte would cost as much as the copy into it.
struct Lent {
    buffer: Vec<u8>,
    len: usize,
    back: std_mpsc::SyncSender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Without a reader, or with too many waiting, it is freed.
        let _ = self.back.try_send(std::mem::take(&mut self.buffer));
    }
}

/// For a thread that was ended before its work was.
pub(super) fn cut_off(ended: tokio::task::JoinError) -> Failure {
    Failure::file("finish reading or writing", Path::new("the file"))(io::Error::other(ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn silent() -> Progress {
        Progress::one(false, "")
    }

    async fn read(bytes: &[u8]) -> (Vec<u8>, Option<u64>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let source = Source::open(Input::File(file.path().into()), silent())
            .await
            .unwrap();
        let (body, length, _) = source.split();
        (body.collect(usize::MAX).await.unwrap().to_vec(), length)
    }

    #[tokio::test]
    async fn every_size_arrives_whole() {
        let bytes: Vec<u8> = (0..5 * CHUNK + 7).map(|at| (at / 251) as u8).collect();
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7] {
            let (found, length) = read(&bytes[..size]).await;
            assert_eq!(length, Some(size as u64));
            assert!(found == bytes[..size], "{size}");
        }
    }

    #[tokio::test]
    async fn a_file_that_says_nothing_of_its_size_is_read() {
        let source = Source::open(Input::File("/proc/self/status".into()), silent())
            .await
            .unwrap();
        assert!(source.length.is_some_and(|length| length > 0));
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_ends_the_reader() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![1; 20 * CHUNK]).unwrap();
        let source = Source::open(Input::File(file.path().into()), silent())
            .await
            .unwrap();
        let (mut body, _, _) = source.split();
        assert!(body.chunk().await.is_some_and(|chunk| chunk.is_ok()));
        drop(body);
        // The runtime waits for its threads when it ends: a reader that went on waiting would hang
        // this test.
    }

    #[tokio::test]
    async fn a_source_that_changes_while_it_is_read_is_refused_before_its_end() {
        type Change = fn(&File);
        let changes: [(&str, Change); 3] = [
            ("it grows", |mut file| file.write_all(b"more").unwrap()),
            ("it is cut", |file| file.set_len(1).unwrap()),
            ("it is rewritten at the same size", |file| {
                let later = SystemTime::now() + std::time::Duration::from_secs(2);
                file.set_modified(later).unwrap();
            }),
        ];
        for (what, change) in changes {
            // More than the reader takes ahead: its end is not reached before the change.
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&vec![1; 20 * CHUNK]).unwrap();
            let source = Source::open(Input::File(file.path().into()), silent())
                .await
                .unwrap();
            change(file.as_file());
            let (mut body, length, reader) = source.split();
            let mut passed = 0;
            let error = loop {
                match body.chunk().await.expect(what) {
                    Ok(chunk) => passed += chunk.len() as u64,
                    Err(error) => break error,
                }
            };
            assert!(
                Some(passed) < length,
                "{what}: the last bytes are not handed on"
            );
            let failure = reader.explain(error);
            assert_eq!(failure.exit(), 4, "{what}");
            assert_eq!(failure.report().unwrap().code, "source_changed", "{what}");
        }
    }

    #[tokio::test]
    async fn folders_and_missing_files_are_bad_input() {
        for path in ["/", "/nowhere/at/all"] {
            let failure = Source::open(Input::File(path.into()), silent())
                .await
                .err()
                .unwrap();
            assert_eq!(failure.exit(), 5, "{path}");
        }
    }

    #[test]
    fn buffers_come_back() {
        let (back, free) = std_mpsc::sync_channel(1);
        let bytes = Bytes::from_owner(Lent {
            buffer: vec![7; 10],
            len: 3,
            back,
        });
        let half = bytes.slice(1..);
        drop(bytes);
        assert!(free.try_recv().is_err(), "still in use");
        assert_eq!(half, [7, 7][..]);
        drop(half);
        assert_eq!(free.try_recv().unwrap().len(), 10);
    }
}
