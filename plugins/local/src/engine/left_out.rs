//! Names below the root that no listing shows, and why.

use super::fault::{Fault, Outcome};
use super::list::LONGEST_KEY;
use super::names::portable;
use super::platform::{AsFd, Errno, FileType, OwnedFd, entries};
use super::store::LocalStore;
use super::tree::{check, look, open_child_dir, split};

/// A name that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Below the tree of objects; what is not UTF-8 is replaced.
    pub(crate) path: String,
    pub(crate) why: &'static str,
}

/// Most names of one answer.
pub(crate) const MOST: usize = 10_000;

impl LocalStore {
    /// What is left out of listings with this prefix, in no order, and whether there is more of it.
    pub(crate) fn left_out(&self, prefix: &str) -> Outcome<(Vec<LeftOut>, bool)> {
        const STEP: &str = "list what is left out";
        self.usable()?;
        self.present_to_readers()?;
        let (parent, _) = split(prefix);
        if !parent.is_empty() && check(parent).is_err() || prefix.starts_with('/') {
            return Ok((Vec::new(), false));
        }
        let mut found = Vec::new();
        let path = match parent {
            "" => String::new(),
            parent => format!("{parent}/"),
        };
        let opened = match parent {
            "" => open_child_dir(self.tree.root(), "."),
            parent => self
                .tree
                .dir(parent)
                .and_then(|dir| open_child_dir(dir.as_fd(), ".")),
        };
        let mut directories = match opened {
            Ok(dir) => vec![(dir, path)],
            Err(Errno::NOENT | Errno::NOTDIR) => Vec::new(),
            Err(errno) => return Err(Fault::at(STEP)(errno)),
        };
        while let Some((dir, path)) = directories.pop() {
            self.usable()?;
            for entry in entries(&dir).map_err(Fault::at(STEP))? {
                let entry = entry.map_err(Fault::at(STEP))?;
                let name = entry.name.as_slice();
                let shown = format!("{path}{}", String::from_utf8_lossy(name));
                if !shown.starts_with(prefix) {
                    continue;
                }
                match judge(&dir, &path, name, entry.kind) {
                    Judged::Listed => {}
                    Judged::Directory(child) => directories.push((child, format!("{shown}/"))),
                    Judged::LeftOut(_) if found.len() == MOST => return Ok((found, true)),
                    Judged::LeftOut(why) => found.push(LeftOut { path: shown, why }),
                }
            }
        }
        Ok((found, false))
    }
}

const NO_TEXT: &str = if cfg!(windows) {
    "its name is written as this plugin writes none"
} else {
    "its name is not UTF-8"
};

enum Judged {
    Listed,
    Directory(OwnedFd),
    LeftOut(&'static str),
}

fn judge(dir: &OwnedFd, path: &str, name: &[u8], kind: FileType) -> Judged {
    let Ok(name) = std::str::from_utf8(name) else {
        return Judged::LeftOut(NO_TEXT);
    };
    // Some file systems do not report the type; a directory may be read and not searched.
    let kind = match look(dir, name) {
        Ok(Some(stat)) => stat.kind,
        Ok(None) => return Judged::Listed,
        Err(Errno::ACCESS) if kind == FileType::RegularFile => {
            return Judged::LeftOut("its directory may not be searched");
        }
        Err(_) => kind,
    };
    let why = match kind {
        FileType::RegularFile | FileType::Directory => None,
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        FileType::Device => Some("a device"),
        FileType::Unknown => Some("its type cannot be told"),
    };
    if let Some(why) = why {
        return Judged::LeftOut(why);
    }
    let is_file = kind == FileType::RegularFile;
    if !portable(name, path.is_empty(), is_file) {
        return Judged::LeftOut("no portable key has this name");
    }
    if path.len() + name.len() + usize::from(!is_file) > LONGEST_KEY {
        return Judged::LeftOut("its key would be longer than 1024 bytes");
    }
    if is_file {
        return Judged::Listed;
    }
    match open_child_dir(dir.as_fd(), name) {
        Ok(child) => Judged::Directory(child),
        Err(Errno::NOENT | Errno::NOTDIR) => Judged::Listed,
        Err(_) => Judged::LeftOut("a directory that cannot be read"),
    }
}
