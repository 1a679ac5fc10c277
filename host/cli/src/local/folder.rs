//! Where a file is to be: an opened folder and a name in it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::directory::{Directory, unusable};
use crate::exit;
use crate::failure::{Failure, Result};

/// A folder that keys are laid out below.
///
/// Keys come from a store, and its writers must not reach files elsewhere on this
/// machine: every step below the folder is taken without following links.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    directory: Directory,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder, made if it is missing. The path is the user's own: links in it are followed.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Failure::file("create", path))?;
        Self::open(path)
    }

    fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            directory: Directory::open(path).map_err(Failure::file("open", path))?,
            path: path.to_owned(),
        })
    }

    /// The place of a key: its segments are folders, made if they are missing, the last is the name.
    pub(crate) fn place(&self, key: &str) -> Result<Spot> {
        let refuse = |why: &str| {
            Failure::refused(
                exit::BAD_INPUT,
                "unsafe_name",
                format!(
                    "the key {key:?} cannot be a file below {}: {why}",
                    self.path.display()
                ),
                "get it alone, and name its file",
            )
        };
        let mut segments = key.split('/').peekable();
        let mut spot = Spot {
            folder: self.directory.clone(),
            within: self.path.clone(),
            name: OsString::new(),
        };
        while let Some(segment) = segments.next() {
            if matches!(segment, "" | "." | "..") {
                return Err(refuse("it has an empty segment, \".\" or \"..\""));
            }
            if let Some(why) = unusable(segment) {
                return Err(refuse(why));
            }
            if segments.peek().is_none() {
                spot.name = segment.into();
                break;
            }
            spot.within.push(segment);
            let entered = spot.folder.enter(segment);
            spot.folder = entered
                .map_err(Failure::file("create", &spot.within))?
                .ok_or_else(|| refuse("a link or a file stands where a folder is needed"))?;
        }
        Ok(spot)
    }
}

/// A name in an opened folder.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) folder: Directory,
    within: PathBuf,
    pub(crate) name: OsString,
}

impl Spot {
    /// The place of a path that the user names.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(format!("{} names no file", path.display())));
        };
        let within = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let folder = Folder::open(within)?;
        Ok(Self {
            folder: folder.directory,
            within: folder.path,
            name: name.to_owned(),
        })
    }

    /// Whether something has the name, be it a link that leads nowhere.
    pub(crate) fn is_taken(&self) -> bool {
        self.folder.is_taken(&self.name)
    }

    /// The path, for people.
    pub(crate) fn path(&self) -> PathBuf {
        self.beside(&self.name)
    }

    /// The path of another name in the same folder.
    pub(crate) fn beside(&self, name: &OsStr) -> PathBuf {
        match self.within.as_path() == Path::new(".") {
            true => name.into(),
            false => self.within.join(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn keys_become_folders_and_a_name() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::create(&root.path().join("new/deep")).unwrap();
        let spot = folder.place("a/b/c.txt").unwrap();
        assert_eq!(spot.path(), root.path().join("new/deep/a/b/c.txt"));
        assert!(root.path().join("new/deep/a/b").is_dir());
        assert_eq!(folder.place("a/b/d").unwrap().name, "d");
    }

    #[test]
    fn no_key_leads_out() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let folder = Folder::create(root.path()).unwrap();
        symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        for key in [
            "../a",
            "a/../../b",
            "/etc/x",
            "a//b",
            "",
            "a/",
            ".",
            "link/a",
            "link/a/b",
            "file/a",
            "a\0b",
        ] {
            let failure = folder.place(key).err().unwrap_or_else(|| panic!("{key:?}"));
            assert_eq!(failure.exit(), 5, "{key:?}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_path_without_a_folder_is_here() {
        assert_eq!(
            Spot::of(Path::new("a.txt")).unwrap().path(),
            Path::new("a.txt")
        );
        assert_eq!(Spot::of(Path::new("..")).err().unwrap().exit(), 2);
        assert_eq!(
            Spot::of(Path::new("/nowhere/at/all")).err().unwrap().exit(),
            5
        );
    }
}
