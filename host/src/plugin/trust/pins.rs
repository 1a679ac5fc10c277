//! `holdall.lock`: the digests of the plugins, beside the configuration.

use crate::config::{hex, unhex};
use crate::plugin::fault::{Code, Fault};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file.
pub const LOCK_FILE: &str = "holdall.lock";
/// Layout of the file.
const VERSION: u32 = 1;
const MAX_FILE: u64 = 1 << 20;
const HEADER: &str =
    "# Written by `holdall plugins pin`; do not edit. A plugin whose file differs is refused.\n";

/// The pinned plugins, by name.
///
/// ```no_run
/// use holdall::trust::Pins;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lock = Pins::beside("holdall.toml".as_ref());
/// let mut pins = Pins::read(&lock)?;
/// pins.insert("local".into(), "0.1.0".into(), [0; 32]); // The SHA-256 of the plugin file.
/// pins.write(&lock)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, Pin>);

/// One pinned file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// Version of the plugin, for people.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// SHA-256 over the pins: a file that was cut off or edited is not taken for a shorter one.
    checksum: String,
    #[serde(default)]
    plugin: BTreeMap<String, StoredPin>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPin {
    version: String,
    sha256: String,
}

impl Pins {
    /// The file that belongs to this configuration file.
    pub fn beside(config: &Path) -> PathBuf {
        config.with_file_name(LOCK_FILE)
    }

    /// Reads the file; no file is no pins.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, or is not what was written.
    pub fn read(file: &Path) -> Result<Self, String> {
        let bytes = match crate::config::read_whole(file, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(_) if matches!(file.try_exists(), Ok(false)) => return Ok(Self::default()),
            Err(why) => return Err(why),
        };
        let text = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
        let stored: Stored = toml::from_str(&text).map_err(|why| why.message().to_owned())?;
        if stored.version != VERSION {
            return Err(format!("version {}", stored.version));
        }
        let mut pins = Self::default();
        for (name, pin) in stored.plugin {
            let sha256 = unhex(&pin.sha256).ok_or("a digest that is not SHA-256")?;
            pins.insert(name, pin.version, sha256);
        }
        match pins.checksum() == stored.checksum {
            true => Ok(pins),
            false => Err("another checksum than its own".to_owned()),
        }
    }

    /// Writes the file, in one step.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let pin = |pin: &Pin| StoredPin {
            version: pin.version.clone(),
            sha256: hex(&pin.sha256),
        };
        let stored = Stored {
            version: VERSION,
            checksum: self.checksum(),
            plugin: self
                .0
                .iter()
                .map(|(name, it)| (name.clone(), pin(it)))
                .collect(),
        };
        let text = toml::to_string(&stored).map_err(io::Error::other)?;
        super::history::replace(file, 0o644, |to| {
            to.write_all(HEADER.as_bytes())?;
            to.write_all(text.as_bytes())
        })
    }

    /// The pin of this plugin.
    pub fn get(&self, name: &str) -> Option<&Pin> {
        self.0.get(name)
    }

    /// Pins a plugin; an earlier pin of its name is replaced.
    pub fn insert(&mut self, name: String, version: String, sha256: [u8; 32]) {
        self.0.insert(name, Pin { version, sha256 });
    }

    /// Removes the pin of a plugin; `false` when there was none.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Names and pins.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pin)> {
        self.0.iter().map(|(name, pin)| (name.as_str(), pin))
    }

    fn checksum(&self) -> String {
        let mut sum = Sha256::new();
        for (name, pin) in &self.0 {
            sum.update(format!("{name}\0{}\0{}\n", pin.version, hex(&pin.sha256)));
        }
        hex(&sum.finalize())
    }
}

pub(super) fn damaged(file: &Path, why: &str) -> Fault {
    Fault::new(Code::LockDamaged)
        .expected("a lock as `holdall plugins pin` writes it")
        .found(why)
        .location(file.display().to_string())
}
