//! The configuration `[backend.NAME.config]`.

use crate::engine::store::Sync;
use holdall_plugin_api::Durability as Asked;
use serde::Deserialize;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// A directory of the local file system as a store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LocalConfig {
    /// Directory of the store: the objects as plain files in `objects/`, and beside them `staging/`
    /// and `locks/`. A relative path starts at the working directory of the process.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub root: PathBuf,

    /// Durability of an upload, copy, rename or delete when the call returns, unless the request asks
    /// for another.
    #[serde(default)]
    pub durability: Durability,

    /// Create the root and the directories above it when they are missing. With `false` the root must
    /// hold a directory `objects`, else the backend does not open and creates nothing: use it where
    /// the root is a mount point, so that a missing mount is an error and not an empty store.
    #[serde(default = "default_create_root")]
    pub create_root: bool,

    /// Age, in seconds, at which an upload in parts is abandoned and removed: the time since it was begun or got
    /// its last part. The default is a week, as long as Azure keeps uncommitted blocks and Google Cloud Storage
    /// resumable uploads.
    #[serde(default = "default_max_upload_seconds")]
    pub max_upload_seconds: NonZeroU32,
}

/// Durability of a change when the call returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Durability {
    /// Visible to readers; a power cut may lose it.
    None,
    /// The data is on the medium; a power cut may lose the name.
    Data,
    /// Data and name are on the medium.
    #[default]
    Full,
}

fn default_create_root() -> bool {
    true
}

fn default_max_upload_seconds() -> NonZeroU32 {
    const { NonZeroU32::new(7 * 24 * 60 * 60).unwrap() }
}

impl LocalConfig {
    /// A store in this directory, created if it is missing, with full durability.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            durability: Durability::default(),
            create_root: true,
            max_upload_seconds: default_max_upload_seconds(),
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

/// The durability of a request, else that of the configuration.
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
