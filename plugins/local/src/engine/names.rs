//! Names of one directory, in the order of keys.

use super::platform::{AsFd, Errno, FileType, each_name};
use super::tree::look;

/// Meaning of a name in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An object.
    Object,
    /// More keys below; the name ends in `/`.
    Directory,
    /// Not a portable key, or a link, a socket and the like.
    Foreign,
}

/// Names in byte order. A directory counts as `name/`, so that whole keys come in byte order too:
/// `a-b`, `a.b`, `a/b`, `a0`.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: Vec<u8>,
    items: Vec<(u32, u16, Kind)>,
}

impl Names {
    /// Reads a directory that was just opened. `top`: its names begin keys.
    pub(crate) fn read(dir: &impl AsFd, top: bool) -> Result<Self, Errno> {
        let mut names = Names::default();
        each_name(dir, |name, kind| {
            let text = std::str::from_utf8(name).ok();
            let kind = match (kind, text) {
                // Some file systems do not report the type.
                (FileType::Unknown, Some(text)) => match look(dir, text)? {
                    Some(stat) => stat.kind,
                    None => return Ok(()),
                },
                (known, _) => known,
            };
            let kind = match (kind, text) {
                (FileType::RegularFile, Some(text)) if portable(text, top, true) => Kind::Object,
                (FileType::Directory, Some(text)) if portable(text, top, false) => Kind::Directory,
                _ => Kind::Foreign,
            };
            names.push(name, kind)
        })?;
        let Names { text, items } = &mut names;
        items.sort_unstable_by(|one, other| slice(text, one).cmp(slice(text, other)));
        Ok(names)
    }

    fn push(&mut self, name: &[u8], kind: Kind) -> Result<(), Errno> {
        let offset = u32::try_from(self.text.len()).map_err(|_| Errno::OVERFLOW)?;
        self.text.extend(name);
        if kind == Kind::Directory {
            self.text.push(b'/');
        }
        let length =
            u16::try_from(self.text.len() - offset as usize).map_err(|_| Errno::NAMETOOLONG)?;
        self.items.push((offset, length, kind));
        Ok(())
    }

    /// The name at this position, a directory's with its `/`.
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], Kind)> {
        self.items
            .get(index)
            .map(|item| (slice(&self.text, item), item.2))
    }

    /// Position of the first name that is not less than this one.
    pub(crate) fn not_before(&self, name: &[u8]) -> usize {
        self.items
            .partition_point(|item| slice(&self.text, item) < name)
    }

    /// First position with keys after `path`, including a directory that `path` leads into.
    pub(crate) fn after(&self, path: &[u8]) -> usize {
        let index = self
            .items
            .partition_point(|item| slice(&self.text, item) <= path);
        match index.checked_sub(1).and_then(|before| self.get(before)) {
            // Only the last name before it can be such a directory: what lies between the two
            // would begin with it, and no name has a "/" inside.
            Some((name, Kind::Directory)) if path.starts_with(name) => index - 1,
            _ => index,
        }
    }

    /// Approximate size in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity() + self.items.capacity() * size_of::<(u32, u16, Kind)>()
    }
}

fn slice<'t>(text: &'t [u8], (offset, length, _): &(u32, u16, Kind)) -> &'t [u8] {
    &text[*offset as usize..][..usize::from(*length)]
}

/// Whether a name can be a segment of a portable key: the first one if `first`, the last if `last`.
pub(super) fn portable(name: &str, first: bool, last: bool) -> bool {
    let refused = name.chars().any(|c| c.is_control() || c == '\\');
    let outer_space = first && name.starts_with(char::is_whitespace)
        || last && name.ends_with(char::is_whitespace);
    !refused && !outer_space
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::platform::{OwnedFd, open_path};

    fn open(at: &std::path::Path) -> OwnedFd {
        open_path(at).unwrap()
    }

    #[test]
    fn directories_sort_as_the_keys_below_them() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a-b", "a.b", "a0", "a\u{e9}"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        std::fs::create_dir(root.path().join("a")).unwrap();
        let names = Names::read(&open(root.path()), true).unwrap();
        let all: Vec<_> = (0..)
            .map_while(|i| names.get(i))
            .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect();
        assert_eq!(all, ["a-b", "a.b", "a/", "a0", "a\u{e9}"]);
        assert_eq!(names.after(b"a.b"), 2);
        assert_eq!(names.after(b"a/x"), 2);
        assert_eq!(names.after(b"a/"), 2);
        assert_eq!(names.after(b"a0"), 4);
        assert_eq!(names.not_before(b"a/"), 2);
        assert_eq!(names.not_before(b"a0"), 3);
    }

    #[cfg(unix)]
    #[test]
    fn what_no_key_can_name_is_foreign() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        for name in [
            &b"back\\slash"[..],
            b"new\nline",
            b" space",
            b"space ",
            b"\xff\xfe",
            b"c1\xc2\x85",
        ] {
            std::fs::write(root.path().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
        }
        std::os::unix::fs::symlink("x", root.path().join("link")).unwrap();
        let kinds = |top| {
            let names = Names::read(&open(root.path()), top).unwrap();
            (0..)
                .map_while(|i| names.get(i))
                .filter(|(_, kind)| *kind == Kind::Foreign)
                .count()
        };
        assert_eq!((kinds(true), kinds(false)), (7, 6));
    }
}
