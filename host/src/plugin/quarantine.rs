//! Quarantine: what ended an earlier process is counted, and kept out.
//!
//! [`Builder::crash_records`](crate::Builder::crash_records) notes which plugin, operation and request each
//! thread is in. A process that finds the notes of one that a fault ended records the crash. A plugin that
//! has crashed is refused for a while, then for good, until `holdall plugins release` or the end of its
//! quarantine.

use crate::config::{Quarantine as Rules, hex, read_whole};
use crate::platform::{crumbs, files};
use crate::plugin::fault::{Code, Fault};
use crate::plugin::trust::replace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RECORDS: &str = "crashes.json";
const MAX_FILE: u64 = 4 << 20;
/// Crashes of one plugin that are kept, the last ones.
const KEPT: usize = 16;
/// The longest back-off after a crash.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A crash of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Crash {
    /// Name and version of the plugin.
    pub plugin: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// When it was found, in milliseconds since 1970.
    pub found_ms: u64,
    /// The signal.
    pub signal: u32,
    /// The operation that ran.
    pub operation: String,
    /// The id of its request, cut to 40 bytes; empty for none.
    pub request: String,
    /// The last lines of the plugin's log.
    pub log: Vec<String>,
}

/// By digest, the oldest first.
type Records = BTreeMap<String, Vec<Crash>>;

/// The crash records of one host.
#[derive(Debug)]
pub(crate) struct Quarantine {
    directory: PathBuf,
    rules: Rules,
}

impl Quarantine {
    /// Reads what earlier processes have left, and begins to keep notes of this one.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(crate) fn begin(directory: PathBuf, rules: Rules) -> io::Result<Self> {
        files::create_private_directory(&directory)?;
        for crash in collect(&directory)? {
            tracing::error!(
                target: "holdall",
                plugin = crash.plugin,
                signal = crash.signal,
                operation = crash.operation,
                request_id = crash.request,
                log = ?crash.log,
                "a plugin has ended an earlier process"
            );
        }
        crumbs::begin(&directory)?;
        Ok(Self { directory, rules })
    }

    /// Refuses a plugin that has crashed.
    pub(crate) fn judge(&self, sha256: &[u8; 32]) -> Result<(), Vec<Fault>> {
        // Records that cannot be read keep nothing out.
        let mut records = read(&self.directory).unwrap_or_default();
        let Some(crashes) = records.remove(&hex(sha256)) else {
            return Ok(());
        };
        let (now, rules) = (now(), &self.rules);
        let recent = crashes.iter().filter(|crash| {
            let age = Duration::from_millis(now.saturating_sub(crash.found_ms));
            age < rules.within
        });
        let count = recent.count();
        let Some(last) = crashes.last().filter(|_| count > 0) else {
            return Ok(());
        };
        let since = Duration::from_millis(now.saturating_sub(last.found_ms));
        let found = format!(
            "{count} crashes, the last by signal {} in {} of request {:?}",
            last.signal, last.operation, last.request
        );
        let fault = |code: Code, expected: String| {
            Err(vec![Fault::new(code).expected(expected).found(found)])
        };
        if count >= rules.crashes as usize {
            return match rules.expires {
                Some(expires) if since >= expires => Ok(()),
                _ => {
                    let most =
                        format!("fewer than {} crashes in {:?}", rules.crashes, rules.within);
                    fault(Code::Quarantined, most)
                }
            };
        }
        let doubled = 1_u32 << (count - 1).min(16);
        let wait = rules.backoff.saturating_mul(doubled).min(LONGEST);
        match wait.checked_sub(since) {
            Some(left) if !left.is_zero() => {
                fault(Code::CrashBackoff, format!("{wait:?} since the last crash"))
            }
            _ => Ok(()),
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn read(directory: &Path) -> io::Result<Records> {
    let file = directory.join(RECORDS);
    if !file.try_exists()? {
        return Ok(Records::new());
    }
    let bytes = read_whole(&file, MAX_FILE).map_err(io::Error::other)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn write(directory: &Path, records: &Records) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(records)?;
    replace(&directory.join(RECORDS), 0o600, |to| to.write_all(&text))
}

/// Records the crashes of processes that have ended.
fn collect(directory: &Path) -> io::Result<Vec<Crash>> {
    let mut new = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if !name.starts_with(b"running-") || path.extension().is_some() {
            continue;
        }
        // Another process may collect at the same time.
        let Ok(Some(found)) = crumbs::collect(&path) else {
            continue;
        };
        let Some((sha256, plugin)) = found.plugin.split_once(' ').filter(|_| found.signal != 0)
        else {
            continue;
        };
        new.push(Crash {
            plugin: plugin.to_owned(),
            sha256: sha256.to_owned(),
            found_ms: now(),
            signal: found.signal,
            operation: found.operation,
            request: found.request,
            log: found.log,
        });
    }
    if !new.is_empty() {
        // Damaged records are begun anew: what has just happened counts more.
        let mut records = read(directory).unwrap_or_default();
        for crash in &new {
            let crashes = records.entry(crash.sha256.clone()).or_default();
            crashes.push(crash.clone());
            let old = crashes.len().saturating_sub(KEPT);
            crashes.drain(..old);
        }
        write(directory, &records)?;
    }
    Ok(new)
}

/// The recorded crashes, the oldest first.
///
/// # Errors
///
/// What the operating system says.
pub fn crashes(directory: &Path) -> io::Result<Vec<Crash>> {
    let mut all: Vec<Crash> = read(directory)?.into_values().flatten().collect();
    all.sort_by_key(|crash| crash.found_ms);
    Ok(all)
}

/// Forgets the crashes of a plugin of this name; `false` when there is none.
///
/// # Errors
///
/// What the operating system says.
pub fn release(directory: &Path, name: &str) -> io::Result<bool> {
    let mut records = read(directory)?;
    let before = records.len();
    let is_meant = |crash: &Crash| crash.plugin.split(' ').next() == Some(name);
    records.retain(|_, crashes| !crashes.iter().any(is_meant));
    let any = records.len() < before;
    if any {
        write(directory, &records)?;
    }
    Ok(any)
}
