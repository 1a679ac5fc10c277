//! Opening and reading a candidate within bounds.

use super::debug;
use crate::platform::file_facts::{Opened, Stamp, open_regular};
use crate::plugin::fault::{Code, Fault};
use object::{ReadCache, ReadRef};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No plugin is larger.
const MAX_BYTES: u64 = 1 << 30;
/// Headers, symbols and the descriptor together are smaller.
const READ_BUDGET: u64 = 64 << 20;

/// A regular file and its size.
pub(super) fn open(path: &Path) -> Result<(File, u64), Box<Fault>> {
    let (file, size) = match open_regular(path).map_err(unreadable)? {
        Opened::Regular(file, size) => (file, size),
        Opened::Other(kind) => {
            let fault = Fault::new(Code::NotRegularFile).expected("a regular file");
            return Err(Box::new(fault.found(kind)));
        }
    };
    if size > MAX_BYTES {
        let fault = Fault::new(Code::TooLarge).expected("at most 1 GiB");
        return Err(Box::new(fault.found(format!("{size} bytes"))));
    }
    Ok((file, size))
}

pub(crate) fn unreadable(cause: impl Into<io::Error>) -> Box<Fault> {
    let cause = cause.into().to_string();
    Box::new(
        Fault::new(Code::Unreadable)
            .expected("a readable file")
            .found(cause),
    )
}

/// The facts of now.
pub(super) fn stamp(file: &File) -> Result<Stamp, Box<Fault>> {
    Stamp::of(file).map_err(unreadable)
}

/// Two changes within one tick of a file system's clock leave equal times behind. A tick is at most
/// 10 ms on Linux.
const TICK: Duration = Duration::from_millis(20);
/// How often the end of a change is waited for.
const ATTEMPTS: u32 = 10;

/// The facts of a file whose last change is so old that the next one will show in them.
fn settled(file: &File) -> Result<Stamp, Box<Fault>> {
    for _ in 0..ATTEMPTS {
        let stamp = stamp(file)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // A time in the future is that of another machine's clock: nothing can be told by it.
        let age = now.unwrap_or_default().checked_sub(stamp.changed());
        match age.and_then(|age| TICK.checked_sub(age)) {
            Some(wait) if !wait.is_zero() => std::thread::sleep(wait),
            _ => return Ok(stamp),
        }
    }
    Err(changing())
}

/// The fault of a file that is being written.
pub(super) fn changing() -> Box<Fault> {
    let fault = Fault::new(Code::Changing).expected("a file that stays the same while it is read");
    Box::new(fault.found("a file that is being written"))
}

/// Where a copy goes.
pub(crate) trait Sink {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Takes the next bytes, of which a copy keeps nothing but their number.
    fn leave_out(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// What is copied at once; a part that is left out is a multiple of it.
const BLOCK: usize = 64 << 10;

/// Copies the content into `to`: the bytes of one moment, or a fault. What only debuggers read is left
/// out. Returns the facts of the file.
pub(super) fn copy(path: &Path, to: &mut dyn Sink) -> Result<Stamp, Box<Fault>> {
    let (mut file, size) = open(path)?;
    let before = settled(&file)?;
    let debug = debug::ranges(&file, size);
    // Reading by position moves the position on Windows.
    file.rewind().map_err(unreadable)?;
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let filled = fill(&mut file, &mut block).map_err(unreadable)?;
        let (start, end) = (at, at + filled as u64);
        // The size was that of a file that has grown since.
        if filled == 0 || end > size {
            at = end;
            break;
        }
        let is_debug = debug
            .iter()
            .any(|range| range.start <= start && end <= range.end);
        let bytes = &block[..filled];
        let taken = match is_debug {
            true => to.leave_out(bytes),
            false => to.write(bytes),
        };
        taken.map_err(unreadable)?;
        at = end;
    }
    if before != stamp(&file)? || at != size {
        return Err(changing());
    }
    Ok(before)
}

/// Reads until the block is full or the file ends.
fn fill(file: &mut File, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

/// Positional reads of a file, or of its bytes, remembered, within a budget.
///
/// Both go through the same lines, so that a file and a copy of it are always judged alike.
#[derive(Debug)]
pub(super) struct Reads<S: Read + Seek> {
    cache: ReadCache<S>,
    /// Ranges that were paid for: start and length, or start and `STRING`.
    paid: RefCell<HashSet<(u64, u64)>>,
    left: Cell<u64>,
}

/// Stands for the length of a text, which is not known before it is read.
const STRING: u64 = u64::MAX;
/// What each read costs on top of its bytes: its place in the lists.
const OVERHEAD: u64 = 128;

impl<S: Read + Seek> Reads<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            cache: ReadCache::new(source),
            paid: RefCell::default(),
            left: Cell::new(READ_BUDGET),
        }
    }

    /// Before anything is allocated: the lengths are the file's own word.
    fn pay(&self, start: u64, length: u64, cost: u64) -> Result<(), ()> {
        if self.paid.borrow_mut().insert((start, length)) {
            let left = self.left.get().checked_sub(cost.saturating_add(OVERHEAD));
            self.left.set(left.unwrap_or(0));
            left.ok_or(())?;
        }
        Ok(())
    }
}

impl<'data, S: Read + Seek> ReadRef<'data> for &'data Reads<S> {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        self.pay(offset, size, size)?;
        (&self.cache).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        // The cache reads no text of more than 4096 bytes, and most in one piece of 256.
        self.pay(range.start, STRING, 256)?;
        (&self.cache).read_bytes_at_until(range, delimiter)
    }
}

/// A part of a file, read as a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<R> {
    of: R,
    start: u64,
    size: u64,
}

impl<R> Part<R> {
    pub(super) fn new(of: R, range: Range<u64>) -> Self {
        let size = range.end.saturating_sub(range.start);
        let start = range.start;
        Self { of, start, size }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where this range lies in the whole.
    fn range(&self, range: Range<u64>) -> Result<Range<u64>, ()> {
        match range.end <= self.size {
            true => Ok(self.start + range.start..self.start + range.end),
            false => Err(()),
        }
    }
}

impl<'data, R: ReadRef<'data>> ReadRef<'data> for Part<R> {
    fn len(self) -> Result<u64, ()> {
        Ok(self.size)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        let end = offset.checked_add(size).ok_or(())?;
        self.of.read_bytes_at(self.range(offset..end)?.start, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        self.of.read_bytes_at_until(self.range(range)?, delimiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn reads_end_with_the_budget() {
        let bytes = vec![7; 1 << 20];
        let reads = Reads::new(Cursor::new(&bytes));
        let read = |at| (&reads).read_bytes_at(at, 1 << 19).map(<[u8]>::len);
        let most = READ_BUDGET / (1 << 19);
        for at in 0..most - 1 {
            assert_eq!(read(at), Ok(1 << 19), "{at}");
        }
        assert_eq!(read(most), Err(()));
        // What was read before is still there, and costs nothing.
        assert_eq!(read(0), Ok(1 << 19));
    }

    #[test]
    fn a_length_past_the_end_allocates_nothing() {
        let reads = Reads::new(Cursor::new([1, 2, 3]));
        assert_eq!((&reads).read_bytes_at(0, u64::MAX), Err(()));
        assert_eq!((&reads).read_bytes_at(0, 1 << 40), Err(()));
    }
}
