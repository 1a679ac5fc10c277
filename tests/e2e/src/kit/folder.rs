//! A store of the `local` plugin, seen by another program.

use holdall_conformance::DirectAccess;
use std::path::PathBuf;

/// The root of such a store.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl DirectAccess for Folder {
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for own in std::fs::read_dir(self.0.join("staging"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for file in std::fs::read_dir(own.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                left.push(file.path().display().to_string());
            }
        }
        left
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let path = self.0.join("objects").join(name);
        path.parent()
            .is_some_and(|folder| std::fs::create_dir_all(folder).is_ok())
            && std::fs::write(path, bytes).is_ok()
    }

    /// Keeps size and time, as a failing disk would.
    fn tamper(&self, key: &str) -> bool {
        let path = self.0.join("objects").join(key);
        let Ok(mut bytes) = std::fs::read(&path) else {
            return false;
        };
        let Ok(modified) = std::fs::metadata(&path).and_then(|facts| facts.modified()) else {
            return false;
        };
        let Some(byte) = bytes.first_mut() else {
            return false;
        };
        *byte ^= 1;
        let file = std::fs::File::options().write(true).open(&path);
        file.is_ok_and(|mut file| {
            std::io::Write::write_all(&mut file, &bytes).is_ok()
                && file.set_modified(modified).is_ok()
        })
    }

    fn objects_dir(&self) -> Option<PathBuf> {
        Some(self.0.join("objects"))
    }
}
