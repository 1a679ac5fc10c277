//! What the file system under a root can do, found out by trying.

use super::fault::{Fault, Outcome};
use super::record::ATTRIBUTE;
use super::staging::{FILE_MODE, Staging};
use super::stamp::Stamp;
use super::tree::OBJECT;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, XattrFlags, fgetxattr, fsetxattr, fstat,
    fstatfs, futimens, linkat, openat, openat2, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

/// How a key that must not exist yet is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateOnly {
    /// `renameat2` with `RENAME_NOREPLACE`.
    Rename,
    /// A hard link, then the staged name is removed.
    Link,
    /// Neither: the promise is not made.
    No,
}

/// The answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Largest extended attribute that was taken, in bytes; `None`: there are none.
    pub(crate) attribute_bytes: Option<u32>,
    /// File times are kept in multiples of this many nanoseconds; `None`: too coarse to name versions.
    pub(crate) time_step: Option<u32>,
    pub(crate) create_only: CreateOnly,
    /// `File` and `file` are two names.
    pub(crate) case_sensitive: bool,
    /// The composed and the decomposed spelling of a letter are two names.
    pub(crate) unicode_exact: bool,
    /// In memory: nothing there ever waits for a medium.
    pub(crate) tmpfs: bool,
}

impl Probe {
    /// What is assumed where nothing may be written, so nothing can be tried.
    pub(crate) const READ_ONLY: Probe = Probe {
        attribute_bytes: Some(4000),
        time_step: Some(1),
        create_only: CreateOnly::Rename,
        case_sensitive: true,
        unicode_exact: true,
        tmpfs: false,
    };
}

/// Sizes to try: the most that ext4 takes beside the inode, then what blocks of 2 KiB, 1 KiB and
/// the inode itself hold.
const ATTRIBUTE_SIZES: [u32; 4] = [4000, 1900, 900, 60];

/// Steps to try, finest first: ext4, XFS, Btrfs; SMB; UDF and others. Whole seconds (FAT, old ext3)
/// are of no use.
const TIME_STEPS: [u32; 4] = [1, 100, 1_000, 1_000_000];

/// Tries everything in the staging directory.
pub(crate) fn probe(staging: &Staging) -> Outcome<Probe> {
    // One name with a capital and with an accent in composed form.
    let name = format!("Probe-\u{e9}-{}", staging.name());
    let dir = staging.dir();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file =
        openat(dir, name.as_str(), flags, FILE_MODE).map_err(Fault::at("probe: make a file"))?;
    let answers = probe_file(staging, &name, &file);
    let _ = unlinkat(dir, name.as_str(), AtFlags::empty());
    answers
}

fn probe_file(staging: &Staging, name: &str, file: &OwnedFd) -> Outcome<Probe> {
    let dir = staging.dir();
    let exists = |name: &str| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    Ok(Probe {
        attribute_bytes: ATTRIBUTE_SIZES
            .into_iter()
            .find(|bytes| takes_attribute(file, *bytes)),
        time_step: time_step(file)?,
        create_only: create_only(staging, name),
        case_sensitive: !exists(&name.replace("Probe", "pROBE")),
        unicode_exact: !exists(&name.replace('\u{e9}', "e\u{301}")),
        tmpfs: is_tmpfs(file),
    })
}

fn takes_attribute(file: &OwnedFd, bytes: u32) -> bool {
    let value = vec![0x5a_u8; bytes as usize];
    let mut back = vec![0; value.len()];
    fsetxattr(file, ATTRIBUTE, &value, XattrFlags::empty()).is_ok()
        && fgetxattr(file, ATTRIBUTE, &mut back[..]) == Ok(value.len())
        && back == value
}

fn time_step(file: &OwnedFd) -> Outcome<Option<u32>> {
    // A time with a digit in every place.
    let wish = Stamp(1_234_567_890_123_456_789);
    futimens(file, &wish.times()).map_err(Fault::at("probe: set a time"))?;
    let stat = fstat(file).map_err(Fault::at("probe: stat"))?;
    let kept = Stamp::of(&stat).0;
    Ok(TIME_STEPS
        .into_iter()
        .find(|step| kept == wish.0 - wish.0 % i64::from(*step)))
}

fn create_only(staging: &Staging, name: &str) -> CreateOnly {
    let dir = staging.dir();
    // Onto itself, so that a sound answer is "exists" and nothing moves.
    match renameat_with(dir, name, dir, name, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => return CreateOnly::Rename,
        _ => {
            let other = staging.name();
            let linked = linkat(dir, name, dir, other.as_str(), AtFlags::empty()).is_ok();
            let _ = unlinkat(dir, other.as_str(), AtFlags::empty());
            if linked {
                return CreateOnly::Link;
            }
        }
    }
    CreateOnly::No
}

fn is_tmpfs(file: &OwnedFd) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    #[allow(
        clippy::unnecessary_cast,
        reason = "the field's width differs between architectures"
    )]
    fstatfs(file).is_ok_and(|facts| facts.f_type as u64 == TMPFS_MAGIC)
}

/// Whether the kernel can confine a walk, and this process may ask it to.
pub(crate) fn has_openat2(dir: &impl AsFd) -> bool {
    openat2(
        dir,
        ".",
        OBJECT | OFlags::DIRECTORY,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
    .is_ok()
}
