//! Directories. A backend has keys only, so a directory is marked by an empty object, as in other
//! object stores.

use holdall::{Capability, KeyPolicy, Terms};

/// Last segment of a marker's key where the key policy has no keys that end in `/`.
const MARKER: &str = ".holdall-directory";

/// Which keys mark directories: `path/` where the backend takes such keys
/// (`key_policy = "opaque"`), else `path/.holdall-directory`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directories {
    marker: &'static str,
}

impl Directories {
    pub(super) fn new(terms: &Terms) -> Self {
        let any_key = terms.policy == KeyPolicy::Opaque;
        let any_key = any_key && terms.capabilities.has(Capability::AnyKey);
        Self {
            marker: if any_key { "" } else { MARKER },
        }
    }

    /// The key of a path: of an object, or of a directory's marker. `None` for the root, which needs
    /// no marker.
    pub(super) fn key(self, path: &str) -> Option<String> {
        match path {
            "/" => None,
            _ if path.ends_with('/') => Some(format!("{path}{}", self.marker)),
            _ => Some(path.to_owned()),
        }
    }

    /// The directory that this key marks.
    pub(super) fn marked(self, key: &str) -> Option<&str> {
        let path = key.strip_suffix(self.marker)?;
        path.ends_with('/').then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_again() {
        for marker in ["", MARKER] {
            let directories = Directories { marker };
            let key = directories.key("a/b/").unwrap();
            assert_eq!(key, format!("a/b/{marker}"));
            assert_eq!(directories.marked(&key), Some("a/b/"));
            assert_eq!(directories.key("a/b").as_deref(), Some("a/b"));
            assert_eq!(directories.marked("a/b"), None);
            assert_eq!(directories.key("/"), None);
        }
    }

    #[test]
    fn an_object_with_a_similar_name_marks_nothing() {
        let directories = Directories { marker: MARKER };
        for key in ["a/b.holdall-directory", ".holdall-directory", "a/"] {
            assert_eq!(directories.marked(key), None, "{key}");
        }
    }
}
