//! What runs in plugins, kept where the next process can read it after a crash.
//!
//! Each thread knows the plugin, operation and request that it is in, by one pointer to its own stack. A
//! handler of fatal signals copies them into a file in memory that is shared with the disk's cache, which the
//! kernel keeps whatever ends the process.

#[cfg_attr(unix, path = "crumbs/unix.rs")]
#[cfg_attr(windows, path = "crumbs/windows.rs")]
mod system;

use super::files;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Log lines that are kept.
const LINES: usize = 16;
const LINE_WORDS: usize = 31;
const REQUEST_WORDS: usize = 5;
const NAME_WORDS: usize = 2;
const MAGIC: u64 = u64::from_le_bytes(*b"HDCRUMB1");

/// One line of a plugin's log.
#[repr(C)]
struct Line {
    plugin: AtomicU64,
    text: [AtomicU64; LINE_WORDS],
}

/// The whole file.
#[repr(C)]
struct Ring {
    magic: AtomicU64,
    /// The signal that ended the process, on Windows the exception; 0 for another end.
    signal: AtomicU64,
    /// The plugin that its thread was in, from 1; 0 for none.
    plugin: AtomicU64,
    operation: [AtomicU64; NAME_WORDS],
    request: [AtomicU64; REQUEST_WORDS],
    next_line: AtomicU64,
    lines: [Line; LINES],
}

static RING: OnceLock<&'static Ring> = OnceLock::new();
static FILE: OnceLock<PathBuf> = OnceLock::new();
/// The plugins of this process, as they are named in a crash, and the file of them.
static PLUGINS: Mutex<(Vec<String>, Option<File>)> = Mutex::new((Vec::new(), None));

/// Code of plugins: first address, end, number.
static CODE: [[AtomicU64; 3]; 64] = [const { [const { AtomicU64::new(0) }; 3] }; 64];
static CODE_COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The innermost call into a plugin on this thread.
    static HERE: Cell<*const Inside> = const { Cell::new(ptr::null()) };
}

/// A text in words, cut to their number. Allocates nothing.
fn words<const N: usize>(text: &str) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(text.as_bytes().chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(padded);
    }
    words
}

fn store<const N: usize>(to: &[AtomicU64; N], text: &str) {
    for (to, word) in to.iter().zip(words::<N>(text)) {
        to.store(word, Ordering::Relaxed);
    }
}

/// A call into a plugin, on the stack of its caller.
pub(crate) struct Inside {
    plugin: u32,
    operation: &'static str,
    /// Borrowed for longer than the call.
    request: *const str,
}

/// While it lives, its thread is inside a plugin.
pub(crate) struct Entered<'a> {
    /// The call around this one, whose operation has called back into the host.
    outer: *const Inside,
    _call: PhantomData<&'a Inside>,
}

impl Inside {
    #[inline(always)]
    pub(crate) fn new(plugin: u32, operation: &'static str, request: Option<&str>) -> Self {
        Self {
            plugin,
            operation,
            request: request.unwrap_or_default(),
        }
    }

    /// Notes that this thread enters the plugin. What `request` leads to has to live as long as the
    /// answer.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Entered<'_> {
        // A signal sees the call in full.
        compiler_fence(Ordering::Release);
        Entered {
            outer: HERE.replace(self),
            _call: PhantomData,
        }
    }
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        HERE.set(self.outer);
    }
}

/// Names a plugin; returns its number.
pub(crate) fn plugin(name: &str) -> u32 {
    let mut plugins = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
    let (names, file) = &mut *plugins;
    names.push(name.to_owned());
    if let Some(file) = file {
        // Without it a crash is reported without a name.
        let _ = writeln!(file, "{name}");
    }
    u32::try_from(names.len()).unwrap_or(0)
}

/// Adds code of a plugin, so that a crash in a thread of its own has a name. The first 64 ranges are kept.
pub(crate) fn code(plugin: u32, range: &std::ops::Range<usize>) {
    let Some(room) = CODE.get(CODE_COUNT.fetch_add(1, Ordering::Relaxed)) else {
        return;
    };
    room[0].store(range.start as u64, Ordering::Relaxed);
    room[1].store(range.end as u64, Ordering::Relaxed);
    // Last: a range without a number is not looked at.
    room[2].store(plugin.into(), Ordering::Release);
}

/// The plugin that has code at this address; 0 for other code.
fn by_address(address: u64) -> u64 {
    let mut ranges = CODE.iter();
    let found = ranges.find(|[start, end, plugin]| {
        let is_known = plugin.load(Ordering::Acquire) != 0;
        let range = start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed);
        is_known && range.contains(&address)
    });
    found.map_or(0, |[_, _, plugin]| plugin.load(Ordering::Relaxed))
}

/// Notes a fault of this thread, whose code was at `address`. Called by handlers: uses atomics only.
fn note(signal: u32, address: u64) {
    let Some(ring) = RING.get() else {
        return;
    };
    // The first signal is the one that counts.
    let won = ring
        .signal
        .compare_exchange(0, signal.into(), Ordering::SeqCst, Ordering::SeqCst);
    let here = HERE.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: on the stack of this thread, below this handler: the call has not returned.
    let here = unsafe { here.as_ref() };
    match here {
        _ if won.is_err() => {}
        None => ring.plugin.store(by_address(address), Ordering::SeqCst),
        Some(call) => {
            store(&ring.operation, call.operation);
            // SAFETY: what it leads to lives as long as the call.
            store(&ring.request, unsafe { &*call.request });
            ring.plugin.store(call.plugin.into(), Ordering::SeqCst);
        }
    }
}

/// Keeps a line of a plugin's log.
pub(crate) fn log(plugin: u32, text: &str) {
    let Some(ring) = RING.get() else {
        return;
    };
    let at = ring.next_line.fetch_add(1, Ordering::Relaxed);
    let line = &ring.lines[usize::try_from(at).unwrap_or(0) % LINES];
    line.plugin.store(plugin.into(), Ordering::Relaxed);
    store(&line.text, text);
}

/// Begins to keep crumbs in `directory`, and installs the handlers. Once in a process; later calls do
/// nothing.
///
/// # Errors
///
/// What the operating system says.
pub(crate) fn begin(directory: &Path) -> io::Result<()> {
    static BEGUN: Mutex<bool> = Mutex::new(false);
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    if *begun {
        return Ok(());
    }
    let path = directory.join(format!("running-{}", std::process::id()));
    let mut options = File::options();
    let options = options.read(true).write(true).create(true).truncate(true);
    let file = files::private(options).open(&path)?;
    // Who can take it knows that this process has ended.
    file.try_lock()?;
    let size = size_of::<Ring>();
    file.set_len(size as u64)?;
    let address = system::map(&file, size)?;
    // SAFETY: mapped for the life of the process, of this size and aligned to a page; zeroes are a valid
    // ring, and only atomics are in it.
    let ring: &'static Ring = unsafe { &*address.cast::<Ring>() };
    ring.magic.store(MAGIC, Ordering::Relaxed);
    let mut names = File::create(names_of(&path))?;
    let mut plugins = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
    for name in &plugins.0 {
        writeln!(names, "{name}")?;
    }
    plugins.1 = Some(names);
    drop(plugins);
    let _ = FILE.set(path);
    // The lock lasts as long as the file is open.
    std::mem::forget(file);
    let _ = RING.set(ring);
    system::install();
    *begun = true;
    Ok(())
}

fn names_of(ring: &Path) -> PathBuf {
    ring.with_extension("plugins")
}

/// Removes the files of this process, at its orderly end.
pub(crate) fn end() {
    if let Some(path) = FILE.get() {
        // Left behind, they are removed by the next process.
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(names_of(path));
    }
}

/// What the file of an ended process says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The signal that ended it; 0 for another end.
    pub(crate) signal: u32,
    /// The plugin that the thread of the signal was in, as it was named; empty for none.
    pub(crate) plugin: String,
    pub(crate) operation: String,
    pub(crate) request: String,
    /// The last lines of the plugin's log.
    pub(crate) log: Vec<String>,
}

/// Reads and removes the file of a process that has ended; `None` while it runs.
///
/// # Errors
///
/// What the operating system says.
pub(crate) fn collect(path: &Path) -> io::Result<Option<Found>> {
    let mut file = File::options().read(true).write(true).open(path)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    let mut bytes = vec![0; size_of::<Ring>()];
    let whole = file.read_exact(&mut bytes).is_ok();
    let names = std::fs::read_to_string(names_of(path)).unwrap_or_default();
    std::fs::remove_file(path)?;
    let _ = std::fs::remove_file(names_of(path));
    let word = |at: usize| -> u64 {
        let bytes = bytes
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    if !whole || word(0) != MAGIC {
        return Ok(Some(Found::default()));
    }
    let text = |at: usize, words: usize| {
        let bytes = bytes.get(at..at + words * 8).unwrap_or_default();
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let mut found = Found {
        signal: u32::try_from(word(std::mem::offset_of!(Ring, signal))).unwrap_or(0),
        ..Found::default()
    };
    let plugin = word(std::mem::offset_of!(Ring, plugin));
    let name = usize::try_from(plugin).unwrap_or(0).checked_sub(1);
    if let Some(name) = name.and_then(|at| names.lines().nth(at)) {
        found.plugin = name.to_owned();
        // Empty for a thread of the plugin's own.
        found.operation = text(std::mem::offset_of!(Ring, operation), NAME_WORDS);
        found.request = text(std::mem::offset_of!(Ring, request), REQUEST_WORDS);
        let next = usize::try_from(word(std::mem::offset_of!(Ring, next_line))).unwrap_or(0);
        for at in (0..LINES).map(|at| (next + at) % LINES) {
            let line = std::mem::offset_of!(Ring, lines) + at * size_of::<Line>();
            if word(line) == plugin {
                let text = text(line + std::mem::offset_of!(Line, text), LINE_WORDS);
                found.log.push(text);
            }
        }
    }
    Ok(Some(found))
}
