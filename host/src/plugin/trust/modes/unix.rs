//! Owners and modes: who could put other bytes where a file is.

use super::{TrustPolicy, apply};
use crate::platform::users::is_trusted_owner as is_trusted;
use crate::plugin::fault::{Code, Fault};
use rustix::fs::{FileType, Stat, lstat, readlink};
use rustix::process::geteuid;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Links that one path may lead through, as in the kernel.
const MOST_LINKS: usize = 40;

const WORLD_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// One name on the way to a file.
struct Step {
    path: PathBuf,
    stat: Stat,
}

/// Every name that decides which file `path` is, links and what they lead through included, and the
/// path without links.
fn walk(path: &Path) -> io::Result<(Vec<Step>, PathBuf)> {
    let mut at = PathBuf::from("/");
    let mut steps = vec![Step {
        path: at.clone(),
        stat: lstat(&at)?,
    }];
    let mut ahead: VecDeque<OsString> = names(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == OsStr::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let stat = lstat(&next)?;
        steps.push(Step {
            path: next.clone(),
            stat,
        });
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let target = PathBuf::from(OsString::from_vec(
            readlink(&next, Vec::new())?.into_bytes(),
        ));
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            ahead.push_front(name);
        }
    }
    Ok((steps, at))
}

fn names(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

/// A user that is not known in this user namespace: nothing can be told about it. Directories of the
/// machine belong to it in a sandbox without privileges.
fn unmapped() -> Option<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let whole = map
        .split_whitespace()
        .eq(["0", "0", u32::MAX.to_string().as_str()]);
    let user = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?;
    user.trim().parse().ok().filter(|_| !whole)
}

/// Judges the way to a file. What cannot be looked at is no fault of this kind: the file cannot be read
/// either.
pub(super) fn judge(policy: &TrustPolicy, path: &Path, directory: Option<&Path>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Ok((steps, file)) = walk(path) else {
        return faults;
    };
    let parent = directory.or(path.parent());
    let root = parent.and_then(|directory| walk(directory).ok());
    let root = root.map(|(_, root)| root);
    if let (Some(_), Some(root)) = (directory, &root)
        && !file.starts_with(root)
    {
        let fault = Fault::new(Code::LinkOutside)
            .expected(format!("a file below {}", root.display()))
            .found(format!("a link to {}", file.display()));
        apply(policy.links, fault.location(shown(path)), &mut faults);
    }
    let unmapped = unmapped();
    for Step { path, stat } in &steps {
        let is_above = root
            .as_ref()
            .is_some_and(|root| root.starts_with(path) && root != path);
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_file = kind != FileType::Directory;
        let mode = stat.st_mode;
        let fault = |codes: (Code, Code), expected: &str| {
            let code = if is_file { codes.0 } else { codes.1 };
            Fault::new(code)
                .expected(expected)
                .found(format!("owner {}, mode {:04o}", stat.st_uid, mode & 0o7777))
                .location(shown(path))
        };
        let is_unmapped = is_above && Some(stat.st_uid) == unmapped;
        if !is_trusted(stat.st_uid) && !is_unmapped {
            let codes = (Code::FileOwner, Code::DirectoryOwner);
            let expected = format!("owner 0 or {}", geteuid().as_raw());
            apply(policy.owner, fault(codes, &expected), &mut faults);
        }
        // The mode of a link means nothing. With the sticky bit only owners replace what is in a
        // directory, and each owner on the way is judged.
        if kind == FileType::Symlink || (!is_file && mode & STICKY != 0) {
            continue;
        }
        if mode & WORLD_WRITE != 0 {
            let codes = (Code::FileWorldWritable, Code::DirectoryWorldWritable);
            let fault = fault(codes, "a mode without write for others");
            apply(policy.world_writable, fault, &mut faults);
        } else if mode & GROUP_WRITE != 0 {
            let codes = (Code::FileGroupWritable, Code::DirectoryGroupWritable);
            let fault = fault(codes, "a mode without write for the group");
            apply(policy.group_rule(), fault, &mut faults);
        }
    }
    faults.sort_by_key(|fault| fault.code);
    faults.dedup();
    faults
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
