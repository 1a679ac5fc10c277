//! A store that is a folder of this machine, seen by another program than its server.

use holdall_conformance::DirectAccess;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `ROOT/objects` and `ROOT/staging`, as the plugins `webdav` and `sftp` lay them out.
#[derive(Clone, Debug)]
pub struct Folder {
    /// What holds both.
    pub root: PathBuf,
    /// Whether a key is a path that may lead through links: the plugin's affair and not the server's.
    pub has_links: bool,
}

impl Folder {
    /// Waits until so many files are staged.
    ///
    /// # Panics
    ///
    /// When it takes longer than a minute.
    pub fn wait_for_staged(&self, count: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.leftovers().len() != count {
            assert!(
                Instant::now() < until,
                "{count} staged files are expected, found {:?}",
                self.leftovers()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where an object is.
    pub fn object(&self, key: &str) -> PathBuf {
        self.root.join("objects").join(key)
    }
}

impl DirectAccess for Folder {
    fn leftovers(&self) -> Vec<String> {
        let staged = std::fs::read_dir(self.root.join("staging"));
        let staged = staged.into_iter().flatten().flatten();
        staged
            .map(|file| file.path().display().to_string())
            .collect()
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let path = self.object(name);
        let folder = path.parent().map(std::fs::create_dir_all);
        folder.is_some_and(|made| made.is_ok()) && std::fs::write(path, bytes).is_ok()
    }

    /// Keeps size and time, as a failing disk would.
    fn tamper(&self, key: &str) -> bool {
        tampered(&self.object(key)).unwrap_or(false)
    }

    fn objects_dir(&self) -> Option<PathBuf> {
        self.has_links.then(|| self.root.join("objects"))
    }
}

fn tampered(path: &Path) -> std::io::Result<bool> {
    use std::io::Write;
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
