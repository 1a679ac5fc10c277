//! A store that is a folder of this machine, for the tests of backends that keep plain files.

use crate::subject::DirectAccess;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

/// Direct access to `ROOT/objects`, where a key is a path, and to `ROOT/staging`, where uploads are gathered.
///
/// ```
/// use holdall_conformance::FolderStore;
///
/// let store = FolderStore::new("/srv/data").staged_by_process();
/// assert!(store.object("a/b").ends_with("data/objects/a/b"));
/// ```
#[derive(Clone, Debug)]
pub struct FolderStore {
    root: PathBuf,
    staged_by_process: bool,
    has_links: bool,
}

impl FolderStore {
    /// The folder that holds `objects` and `staging`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            staged_by_process: false,
            has_links: true,
        }
    }

    /// Staged files lie in one folder for each process, below `staging`.
    #[must_use]
    pub fn staged_by_process(mut self) -> Self {
        self.staged_by_process = true;
        self
    }

    /// Links in the path of a key are resolved by a server and not by the plugin, so that the cases about
    /// links do not apply.
    #[must_use]
    pub fn without_links(mut self) -> Self {
        self.has_links = false;
        self
    }

    /// The file of an object.
    pub fn object(&self, key: &str) -> PathBuf {
        self.root.join("objects").join(key)
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

impl DirectAccess for FolderStore {
    fn leftovers(&self) -> Vec<String> {
        let staged = files(&self.root.join("staging"));
        let staged: Vec<_> = match self.staged_by_process {
            true => staged.flat_map(|own| files(&own)).collect(),
            false => staged.collect(),
        };
        let names = staged.iter().map(|path| path.display().to_string());
        names.collect()
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        // Windows splits a path at a backslash; a file has one as Cygwin and the plugin `local` write it.
        let path = match cfg!(windows) {
            true => self.object(&name.replace('\\', "\u{f05c}")),
            false => self.object(name),
        };
        // A path has no empty segments: this would be the file of another key.
        let Some(folder) = path.parent().filter(|_| !name.contains("//")) else {
            return false;
        };
        let made = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
        // The FUSE driver of exFAT stores another name for one with a backslash.
        let mut names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let is_there = names.any(|entry| Some(entry.file_name().as_os_str()) == path.file_name());
        if made.is_ok() && !is_there {
            let _ = std::fs::remove_file(&path);
        }
        made.is_ok() && is_there
    }

    /// Keeps size and time, as a failing disk would.
    fn tamper(&self, key: &str) -> bool {
        changed(&self.object(key)).unwrap_or(false)
    }

    fn objects_dir(&self) -> Option<PathBuf> {
        self.has_links.then(|| self.root.join("objects"))
    }
}

fn changed(path: &Path) -> Result<bool> {
    let modified = std::fs::metadata(path)?.modified()?;
    let mut bytes = std::fs::read(path)?;
    let Some(byte) = bytes.first_mut() else {
        return Ok(false);
    };
    *byte ^= 1;
    let mut file = std::fs::File::options().write(true).open(path)?;
    file.write_all(&bytes)?;
    file.set_modified(modified)?;
    Ok(true)
}
