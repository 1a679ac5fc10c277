//! Verdicts on plugins, by digest, in the state directory.

use super::said::Told;
use crate::config::hex;
use crate::platform::files;
use crate::plugin::fault::Fault;
use crate::plugin::load::Image;
use crate::plugin::trust::{StateDir, replace};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

const DIRECTORY: &str = "trials";
const MAX_FILE: u64 = 1 << 20;
/// Another version may map and open in other ways.
const HOST: &str = env!("CARGO_PKG_VERSION");

/// What a trial came to.
#[derive(Debug)]
pub(super) enum TrialVerdict {
    /// Mapped; not opened, or opening answered with an error.
    Mapped,
    /// Mapped and opened.
    Opened,
    Refused(Vec<Fault>),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    host: String,
    plugin: String,
    opened: bool,
    refused: Vec<Told>,
}

fn file(state: &StateDir, image: &Image) -> PathBuf {
    let digest = hex(&image.sha256());
    state.path().join(DIRECTORY).join(digest + ".json")
}

/// The verdict on these bytes, if one is kept.
pub(super) fn read(state: &StateDir, image: &Image) -> Option<TrialVerdict> {
    // Unreadable or damaged: it is tried again.
    let bytes = crate::config::read_whole(&file(state, image), MAX_FILE).ok()?;
    let stored: Stored = serde_json::from_slice(&bytes).ok()?;
    if stored.host != HOST {
        return None;
    }
    let refused: Option<Vec<Fault>> = stored.refused.into_iter().map(Told::fault).collect();
    match (refused?, stored.opened) {
        (faults, _) if !faults.is_empty() => Some(TrialVerdict::Refused(faults)),
        (_, true) => Some(TrialVerdict::Opened),
        (_, false) => Some(TrialVerdict::Mapped),
    }
}

/// Keeps the verdict on these bytes.
pub(super) fn write(
    state: &StateDir,
    image: &Image,
    plugin: &str,
    verdict: &TrialVerdict,
) -> io::Result<()> {
    let file = file(state, image);
    let directory = state.path().join(DIRECTORY);
    files::create_private_directory(&directory)?;
    let refused = match verdict {
        TrialVerdict::Refused(faults) => faults.iter().map(Told::from).collect(),
        TrialVerdict::Mapped | TrialVerdict::Opened => Vec::new(),
    };
    let stored = Stored {
        host: HOST.to_owned(),
        plugin: plugin.to_owned(),
        opened: matches!(verdict, TrialVerdict::Opened),
        refused,
    };
    let text = serde_json::to_vec(&stored)?;
    replace(&file, 0o600, |to| to.write_all(&text))
}

/// Removes the verdicts on files of this plugin; `false` when there is none.
pub(super) fn release(state: &StateDir, plugin: &str) -> io::Result<bool> {
    let directory = match std::fs::read_dir(state.path().join(DIRECTORY)) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let mut any = false;
    for entry in directory {
        let path = entry?.path();
        let stored = crate::config::read_whole(&path, MAX_FILE).ok();
        let stored = stored.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        if stored.is_some_and(|stored| stored.plugin == plugin) {
            std::fs::remove_file(&path)?;
            any = true;
        }
    }
    Ok(any)
}
