//! What a host remembers of plugins from one run to the next, in its state directory.

use super::TrustRule;
use crate::platform::files;
use crate::plugin::fault::{Code, Fault};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;

const RECORDS: &str = "plugins.json";
const MAX_FILE: u64 = 4 << 20;

/// The directory of a host's records. Made when something is first kept in it.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

/// What is remembered of a plugin that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Known {
    /// The publisher that it was first seen from.
    pub publisher: String,
    /// The highest version that was seen.
    pub version: String,
}

type Records = BTreeMap<String, Known>;

/// Writes a file in one step: a reader sees the old one or the new one.
pub(crate) fn replace(
    file: &Path,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let new = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut to = BufWriter::new(&new);
    write(&mut to)?;
    to.flush()?;
    drop(to);
    files::set_mode(new.as_file(), mode)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
}

impl StateDir {
    /// The records in this directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The plugins that are remembered.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the records are damaged.
    pub fn known(&self) -> io::Result<BTreeMap<String, Known>> {
        let file = self.0.join(RECORDS);
        match File::open(&file) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Records::new()),
            Err(cause) => return Err(cause),
            Ok(_) => {}
        }
        let bytes = crate::config::read_whole(&file, MAX_FILE).map_err(io::Error::other)?;
        serde_json::from_slice(&bytes)
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }

    /// Forgets what is remembered of a plugin; `false` when that is nothing.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn release(&self, name: &str) -> io::Result<bool> {
        if !self.known()?.contains_key(name) {
            return Ok(false);
        }
        self.change(|records| records.remove(name).is_some())
    }

    /// Changes the records, one process after the other.
    fn change(&self, change: impl FnOnce(&mut Records) -> bool) -> io::Result<bool> {
        files::create_private_directory(&self.0)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let lock = files::private(&mut options).open(self.0.join("lock"))?;
        // Held for a read and a write of one small file; ends with the descriptor.
        lock.lock()?;
        let mut records = self.known()?;
        let changed = change(&mut records);
        if changed {
            let text = serde_json::to_vec_pretty(&records)?;
            replace(&self.0.join(RECORDS), 0o600, |to| to.write_all(&text))?;
        }
        Ok(changed)
    }

    /// Judges a plugin by what was seen of its name.
    pub(super) fn judge(
        &self,
        rule: TrustRule,
        name: &str,
        version: &str,
        signed_by: Option<&str>,
    ) -> Result<(), Box<Fault>> {
        let known = match self.known() {
            Ok(known) => known,
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                let fault = Fault::new(Code::StateDamaged)
                    .expected("records as this host writes them")
                    .found(cause.to_string());
                let file = self.0.join(RECORDS);
                return Err(Box::new(fault.location(file.display().to_string())));
            }
            Err(cause) => {
                self.unusable(&cause);
                return Ok(());
            }
        };
        let Some(known) = known.get(name) else {
            return Ok(());
        };
        let higher = |one: &str, other: &str| {
            let parsed = (Version::parse(one).ok(), Version::parse(other).ok());
            matches!(parsed, (Some(one), Some(other)) if one > other)
        };
        let fault = match signed_by {
            None => Fault::new(Code::SignatureDropped)
                .expected(format!("a signature of {:?}", known.publisher))
                .found("an unsigned file"),
            Some(publisher) if publisher != known.publisher => Fault::new(Code::PublisherChanged)
                .expected(format!("the publisher {:?}", known.publisher))
                .found(format!("{publisher:?}")),
            Some(_) if higher(&known.version, version) => Fault::new(Code::VersionDowngrade)
                .expected(format!("version {} or later", known.version))
                .found(format!("version {version}")),
            Some(_) => return Ok(()),
        };
        match rule {
            TrustRule::Refuse => return Err(Box::new(fault)),
            TrustRule::Warn => tracing::warn!(
                target: "holdall",
                code = fault.code.name(),
                plugin = name,
                expected = fault.expected,
                found = fault.found,
                "{}", fault.code.meaning(),
            ),
            TrustRule::Allow => {}
        }
        Ok(())
    }

    /// Remembers a signed plugin that was accepted. Of unsigned ones nothing is kept: their names and
    /// versions are no one's word.
    pub(super) fn remember(&self, name: &str, publisher: &str, version: &str) {
        let outcome = self.change(|records| {
            let known = records.entry(name.to_owned()).or_insert_with(|| Known {
                publisher: publisher.to_owned(),
                version: String::new(),
            });
            let seen = Version::parse(&known.version).ok();
            let is_higher = Version::parse(version).ok() > seen;
            let changed = is_higher || known.publisher != publisher;
            publisher.clone_into(&mut known.publisher);
            if is_higher {
                version.clone_into(&mut known.version);
            }
            changed
        });
        if let Err(cause) = outcome {
            self.unusable(&cause);
        }
    }

    /// Warns once in a process.
    pub(crate) fn unusable(&self, cause: &io::Error) {
        static WARNED: Once = Once::new();
        WARNED.call_once(|| {
            tracing::warn!(
                target: "holdall",
                directory = %self.0.display(),
                error = %cause,
                "the state directory cannot be used: nothing is remembered of plugins",
            );
        });
    }
}
