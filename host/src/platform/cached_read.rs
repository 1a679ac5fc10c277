//! Reads of a file that do not wait for its medium, where the system has them.

use holdall_plugin_api::LentFile;

/// Reads at `at` of the range what the kernel has in its cache. `None`: nothing of that is there, or the system or the
/// file system does not say; a read that may wait tells.
#[cfg(target_os = "linux")]
pub(crate) fn cached(file: &LentFile<'_>, into: &mut [u8], at: u64) -> Option<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let into = &mut [std::io::IoSliceMut::new(into)];
    preadv2(file, into, file.offset() + at, ReadWriteFlags::NOWAIT)
        .ok()
        .filter(|count| *count > 0)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cached(_: &LentFile<'_>, _: &mut [u8], _: u64) -> Option<usize> {
    None
}

/// Has the kernel read what follows, and waits for nothing.
#[cfg(target_os = "linux")]
pub(crate) fn read_ahead(file: &LentFile<'_>, at: u64, bytes: u64) {
    use rustix::fs::{Advice, fadvise};
    let _ = fadvise(
        file,
        file.offset() + at,
        std::num::NonZeroU64::new(bytes),
        Advice::WillNeed,
    );
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read_ahead(_: &LentFile<'_>, _: u64, _: u64) {}
