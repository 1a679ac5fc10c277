//! What `[backend.NAME.config]` may say.

use crate::engine::store::Sync;
use holdall_plugin_api::Durability as Asked;
use serde::Deserialize;
use std::path::PathBuf;

/// A directory of the local file system as a store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LocalConfig {
    /// The directory that holds everything: the objects as plain files in `objects/`, and beside
    /// them `staging/` and `locks/`. A relative path starts at the working directory of the process.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub root: PathBuf,

    /// When an upload, copy, rename or delete counts as done, unless the request says otherwise.
    #[serde(default)]
    pub durability: Durability,

    /// Makes the root, and the directories above it, when it is missing. Switch it off where the
    /// root is a mount point, so that a missing mount is an error and not an empty store.
    #[serde(default = "yes")]
    pub create_root: bool,
}

/// How sure a change must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Durability {
    /// Readers see it; a power cut may lose it.
    None,
    /// The data is on the medium; a power cut may lose the name.
    Data,
    /// Data and name are on the medium.
    #[default]
    Full,
}

fn yes() -> bool {
    true
}

impl LocalConfig {
    /// A store in this directory, made if it is missing, with full durability.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            durability: Durability::default(),
            create_root: true,
        }
    }
}

impl From<Durability> for Sync {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::None => Sync::None,
            Durability::Data => Sync::Data,
            Durability::Full => Sync::Full,
        }
    }
}

/// What a request asks for, else what the configuration says.
pub(crate) fn sync(asked: Option<Asked>, configured: Durability) -> Sync {
    match asked {
        None => configured.into(),
        Some(Asked::None) => Sync::None,
        Some(Asked::Data) => Sync::Data,
        // A stronger kind than this version knows.
        Some(_) => Sync::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_safe_ones() {
        let config: LocalConfig = serde_json::from_str(r#"{"root": "data"}"#).unwrap();
        assert_eq!(
            (config.durability, config.create_root),
            (Durability::Full, true)
        );
        assert_eq!(sync(None, config.durability), Sync::Full);
        assert_eq!(sync(Some(Asked::None), config.durability), Sync::None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("{}", "root"),
            (r#"{"root": "a", "durabilty": "full"}"#, "durabilty"),
            (r#"{"root": "a", "durability": "fast"}"#, "fast"),
        ] {
            let error = serde_json::from_str::<LocalConfig>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
