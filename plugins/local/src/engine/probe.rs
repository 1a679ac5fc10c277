//! Capabilities of the file system under a root, found by trying each one.

use super::fault::{Fault, FaultKind, Outcome};
use super::platform::{
    AsFd, BorrowedFd, Errno, OwnedFd, Stat, attribute, create_at, is_in_memory, is_remembered,
    link_at, make_private_dir_at, remove_dir_at, remove_file_at, rename_at, rename_new_at,
    set_attribute, set_modified, space, stat, stat_at,
};
use super::staging::Staging;
use super::stamp::Stamp;
use super::tree::Tree;

/// How a key that must not exist yet is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateOnly {
    /// `renameat2` with `RENAME_NOREPLACE`.
    Rename,
    /// A hard link, then the staged name is removed.
    Link,
    /// Neither works: not claimed.
    No,
}

/// The answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Largest extended attribute that was taken, in bytes; `None`: there are none.
    pub(crate) attribute_bytes: Option<u32>,
    /// File times are kept in multiples of this many nanoseconds. `None`: too coarse to name
    /// versions, or there is no change time that programs cannot set.
    pub(crate) time_step: Option<u32>,
    pub(crate) create_only: CreateOnly,
    /// `File` and `file` are two names.
    pub(crate) case_sensitive: bool,
    /// The composed and the decomposed spelling of a letter are two names.
    pub(crate) unicode_exact: bool,
    /// tmpfs or ramfs: there is no medium to wait for, and none that keeps anything.
    pub(crate) in_memory: bool,
    /// FUSE or a network: the kernel remembers facts of files for a server.
    pub(crate) remembered: bool,
}

#[cfg(test)]
impl Probe {
    /// A file system with everything.
    pub(crate) const COMPLETE: Probe = Probe {
        attribute_bytes: Some(4000),
        time_step: Some(1),
        create_only: CreateOnly::Rename,
        case_sensitive: true,
        unicode_exact: true,
        in_memory: false,
        remembered: false,
    };
}

/// Sizes to try: the most that ext4 takes beside the inode, then what blocks of 2 KiB, 1 KiB and
/// the inode itself hold.
const ATTRIBUTE_SIZES: [u32; 4] = [4000, 1900, 900, 60];

/// Steps to try, finest first: ext4, XFS, Btrfs; SMB; UDF and others. Whole seconds (FAT, old ext3)
/// are of no use.
const TIME_STEPS: [u32; 4] = [1, 100, 1_000, 1_000_000];

/// Free space below which an answer may be the answer of a full disk: ext4 says "no space" for an
/// attribute that is too large, too.
const ENOUGH_BYTES: u64 = 64 << 10;

/// Tries everything in the staging directory.
///
/// # Errors
///
/// `Full`: nothing can be found out. `Unsupported`: objects cannot be published here.
pub(crate) fn probe(staging: &Staging, tree: &Tree) -> Outcome<Probe> {
    probe_by(staging, tree, |dir, name| create_at(dir, name))
}

/// Creates an empty file of a new name.
type Create = fn(&OwnedFd, &str) -> Result<OwnedFd, Errno>;

/// Only what every upload needs may fail: whatever else is refused is a claim less.
fn probe_by(staging: &Staging, tree: &Tree, create: Create) -> Outcome<Probe> {
    let dir = staging.dir();
    let space = space(dir).map_err(Fault::own("probe: free space"))?;
    if space.total > 0 && space.free < ENOUGH_BYTES {
        let why = "the file system is full";
        return Err(Fault::new(FaultKind::Full, "probe: free space", why));
    }
    let name = format!("Probe-{}", staging.name());
    let file = create(dir, &name).map_err(Fault::own("probe: create a file"))?;
    let answers = publishes(staging, tree).and_then(|()| probe_file(staging, &name, &file, create));
    let _ = remove_file_at(dir, &name);
    answers
}

fn probe_file(staging: &Staging, name: &str, file: &OwnedFd, create: Create) -> Outcome<Probe> {
    Ok(Probe {
        attribute_bytes: attribute_bytes(file)?,
        time_step: time_step(file),
        create_only: create_only(staging, name, create),
        case_sensitive: is_absent(staging.dir().as_fd(), &name.replace("Probe", "pROBE")),
        unicode_exact: unicode_exact(staging, create),
        in_memory: is_in_memory(file),
        remembered: is_remembered(file),
    })
}

/// Whether this spelling is no name there; another error proves nothing.
fn is_absent(dir: BorrowedFd<'_>, name: &str) -> bool {
    matches!(stat_at(dir, name), Err(Errno::NOENT))
}

/// Moves an empty directory, which no listing shows, from staging to the objects: device numbers do
/// not tell a bind mount of the same file system.
fn publishes(staging: &Staging, tree: &Tree) -> Outcome<()> {
    const STEP: &str = "probe: publish";
    let name = format!("probe-{}-{}", staging.id(), staging.name());
    let (dir, name) = (staging.dir(), name.as_str());
    make_private_dir_at(dir, name).map_err(Fault::own("probe: create a directory"))?;
    match rename_at(dir, name, tree.root(), name) {
        Ok(()) => {
            let _ = remove_dir_at(tree.root(), name);
            Ok(())
        }
        Err(errno) => {
            let _ = remove_dir_at(dir, name);
            let mut fault = Fault::own(STEP)(errno);
            if errno == Errno::XDEV {
                fault.message = "`objects` and `staging` are on different file systems or mounts: \
                                 an upload could not be published in one step; mount the whole \
                                 root instead"
                    .into();
            }
            Err(fault)
        }
    }
}

fn attribute_bytes(file: &OwnedFd) -> Outcome<Option<u32>> {
    for bytes in ATTRIBUTE_SIZES {
        match takes_attribute(file, bytes) {
            Ok(true) => return Ok(Some(bytes)),
            // Over a quota: nothing is known of the file system.
            Err(Errno::DQUOT) => return Err(Fault::own("probe: set an attribute")(Errno::DQUOT)),
            Ok(false) | Err(_) => {}
        }
    }
    Ok(None)
}

fn takes_attribute(file: &OwnedFd, bytes: u32) -> Result<bool, Errno> {
    let value = vec![0x5a_u8; bytes as usize];
    let mut back = vec![0; value.len()];
    set_attribute(file, &value)?;
    Ok(attribute(file, &mut back)? == value.len() && back == value)
}

fn time_step(file: &OwnedFd) -> Option<u32> {
    // A time with a digit in every place.
    let set = Stamp(1_234_567_890_123_456_789);
    set_modified(file, set).ok()?;
    let stat = stat(file).ok()?;
    // sshfs and exFAT answer the modification time for both.
    if stat.changed == stat.modified {
        return None;
    }
    let kept = stat.modified.0;
    TIME_STEPS
        .into_iter()
        .find(|step| kept == set.0 - set.0 % i64::from(*step))
}

/// Tries what publishing does: to a new name it must succeed, to a taken name fail with "exists".
fn create_only(staging: &Staging, name: &str, create: Create) -> CreateOnly {
    let (fresh, taken) = (staging.name(), staging.name());
    let (dir, fresh, taken) = (staging.dir(), fresh.as_str(), taken.as_str());
    let noreplace = |from: &str, to: &str| rename_new_at(dir, from, dir, to);
    let answer = if create(dir, taken).is_err() {
        CreateOnly::No
    } else if noreplace(name, fresh) == Ok(()) {
        let refuses = noreplace(fresh, taken) == Err(Errno::EXIST);
        // Back to its name, by which the caller removes it.
        let _ = rename_at(dir, fresh, dir, name);
        if refuses {
            CreateOnly::Rename
        } else {
            by_link(dir, name, fresh, taken)
        }
    } else {
        by_link(dir, name, fresh, taken)
    };
    for left in [fresh, taken] {
        let _ = remove_file_at(dir, left);
    }
    answer
}

fn by_link(dir: &OwnedFd, name: &str, fresh: &str, taken: &str) -> CreateOnly {
    let link = |to: &str| link_at(dir, name, dir, to);
    if link(fresh) == Ok(()) && link(taken) == Err(Errno::EXIST) {
        CreateOnly::Link
    } else {
        CreateOnly::No
    }
}

/// Whether composed and decomposed letters are two names; `false` where such names are refused.
fn unicode_exact(staging: &Staging, create: Create) -> bool {
    let name = format!("\u{e9}-{}", staging.name());
    let dir = staging.dir();
    if create(dir, &name).is_err() {
        return false;
    }
    let exact = is_absent(dir.as_fd(), &name.replace('\u{e9}', "e\u{301}"));
    let _ = remove_file_at(dir, &name);
    exact
}

/// What reading alone finds out, where nothing can be written.
pub(crate) fn probe_read_only(root: &OwnedFd, tree: &Tree) -> Probe {
    let seen: Vec<Stat> = [Some(root.as_fd()), Some(tree.root())]
        .into_iter()
        .flatten()
        .filter_map(|dir| stat(dir).ok())
        .collect();
    let attribute = attribute(tree.root(), &mut []);
    Probe {
        attribute_bytes: (attribute != Err(Errno::OPNOTSUPP)).then_some(ATTRIBUTE_SIZES[0]),
        // A digit that a coarser step could not hold is a proof; its absence is none.
        time_step: TIME_STEPS.into_iter().find(|step| {
            let digit = |time: Stamp| {
                time.0 % i64::from(*step) == 0 && time.0 % (i64::from(*step) * 10) != 0
            };
            seen.iter()
                .any(|stat| digit(stat.modified) || digit(stat.changed))
        }),
        create_only: CreateOnly::No,
        case_sensitive: is_absent(root.as_fd(), "OBJECTS"),
        unicode_exact: false,
        in_memory: is_in_memory(tree.root()),
        remembered: is_remembered(tree.root()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::platform::{entries, open_path};

    /// fusefat refuses such names with this number.
    fn only_ascii(dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        match name.is_ascii() {
            true => create_at(dir, name),
            false => Err(Errno::INVAL),
        }
    }

    /// Takes the first file only: every further one is refused.
    fn only_one(dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        match name.starts_with("Probe-") {
            true => create_at(dir, name),
            false => Err(Errno::IO),
        }
    }

    fn names_in(dir: &OwnedFd) -> Vec<String> {
        let entries = entries(dir).unwrap();
        let names = entries.map(|entry| String::from_utf8(entry.unwrap().name).unwrap());
        names.collect()
    }

    #[test]
    fn a_refused_optional_probe_is_a_claim_less() {
        let root = tempfile::tempdir().unwrap();
        let part = |name: &str| {
            let at = root.path().join(name);
            std::fs::create_dir(&at).unwrap();
            open_path(&at).unwrap()
        };
        let tree = Tree::new(part("objects"), true);
        let staging = Staging::claim(part("staging")).unwrap();
        let everything = probe(&staging, &tree).unwrap();
        assert!(everything.unicode_exact);
        let answers = probe_by(&staging, &tree, only_ascii).unwrap();
        let less = Probe {
            unicode_exact: false,
            ..everything
        };
        assert_eq!(answers, less);
        let answers = probe_by(&staging, &tree, only_one).unwrap();
        let less = Probe {
            create_only: CreateOnly::No,
            ..less
        };
        assert_eq!(answers, less);
        assert_eq!(names_in(staging.dir()), [""; 0]);
    }
}
