//! Bytes of the model on their way: in chunks, into memory of the receiver, and as a file.

use crate::model::Bug;
use holdall_plugin_api::{Bytes, LentFile, Result, Source};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

pub(crate) struct Bytewise {
    pub(crate) bug: Option<Bug>,
    pub(crate) bytes: Bytes,
    pub(crate) chunk: usize,
    /// Sent so far, of all and of what went into memory.
    pub(crate) at: usize,
    pub(crate) into: usize,
    pub(crate) file: Option<(Arc<File>, Range<u64>)>,
}

/// A file without a name that holds these bytes.
pub(crate) fn file(bytes: &[u8]) -> Arc<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("holdall-mutants-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    Arc::new(file)
}

impl Bytewise {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

impl Source for Bytewise {
    fn poll_chunk(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let end = self.bytes.len().min(self.at + self.chunk);
        let chunk = self.bytes.slice(self.at..end);
        self.at = end;
        Poll::Ready((!chunk.is_empty()).then_some(Ok(chunk)))
    }

    fn reads_into(&self) -> bool {
        !self.has(Bug::IntoInChunks)
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        let from = match self.has(Bug::IntoApart) {
            true => self.into,
            false => self.at,
        };
        let end = self.bytes.len().min(from + self.chunk);
        let count = into.len().min(end - from);
        into[..count].copy_from_slice(&self.bytes[from..from + count]);
        self.into = from + count;
        if !self.has(Bug::IntoApart) {
            self.at = match self.has(Bug::IntoLosesRest) {
                true => end,
                false => from + count,
            };
        }
        Poll::Ready((count > 0).then_some(Ok(count)))
    }

    fn file(&self) -> Option<LentFile<'_>> {
        let (file, range) = self.file.as_ref()?;
        let mut range = range.clone();
        if self.has(Bug::LendsFromStart) {
            range = 0..range.end - range.start;
        }
        if self.has(Bug::LendsCutShort) {
            range.end -= 1;
        }
        if self.has(Bug::LendLeaks) {
            std::mem::forget(file.try_clone());
        }
        Some(LentFile::new(file.as_fd(), range))
    }
}
