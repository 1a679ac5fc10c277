//! Trust before mapping: owner and mode, digest, signature and history of a plugin's file.
//!
//! Each refusal is a [`Fault`](crate::fault::Fault) of phase `trust` with a code of its own, and each rule
//! is one key of `[trust]`. The bytes that are judged are the bytes that are mapped.

mod history;
#[cfg_attr(unix, path = "modes/unix.rs")]
#[cfg_attr(windows, path = "modes/windows.rs")]
mod modes;
mod pins;
mod signature;

pub use crate::config::{Signatures, TrustPolicy, TrustRule, TrustedKey};
pub(crate) use history::replace;
pub use history::{Known, StateDir};
pub use pins::{LOCK_FILE, Pin, Pins};

use crate::config::{Config, PluginRule, hex};
use crate::plugin::fault::{Code, Fault};
use crate::plugin::inspect;
use crate::plugin::load::Image;
use serde::{Serialize, Serializer};
use signature::Signed;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Judges files of plugins by the configuration of one host.
#[derive(Debug)]
pub struct Trust {
    policy: TrustPolicy,
    rules: BTreeMap<String, PluginRule>,
    /// Where the pins are, if there is a configuration file beside which they can lie.
    lock_file: Option<PathBuf>,
    state: Option<StateDir>,
    closed: AtomicBool,
}

/// What is known of a file that was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Standing {
    /// SHA-256 of its bytes.
    #[serde(serialize_with = "as_hex")]
    pub sha256: [u8; 32],
    /// Publisher of the trusted key that signed it; `None` for a file without such a signature.
    pub signed_by: Option<String>,
    /// Whether its digest is pinned, in the configuration or in `holdall.lock`.
    pub pinned: bool,
}

/// Does with a broken rule what the policy says.
fn apply(rule: TrustRule, fault: Fault, faults: &mut Vec<Fault>) {
    match rule {
        TrustRule::Refuse => faults.push(fault),
        TrustRule::Warn => tracing::warn!(
            target: "holdall",
            code = fault.code.name(),
            path = fault.location,
            found = fault.found,
            "{}", fault.code.meaning(),
        ),
        TrustRule::Allow => {}
    }
}

impl Trust {
    /// The judge of this configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            policy: config.trust.clone(),
            rules: config.plugins.clone(),
            lock_file: config.file.as_deref().map(Pins::beside),
            state: config.state_dir.clone().map(StateDir::new),
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses every file from now on. Cannot be undone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Judges owners and modes: of the file, of its directory and of every directory above. `directory`
    /// is where links have to stay; `None` for a file that was named itself.
    pub(crate) fn place(&self, path: &Path, directory: Option<&Path>) -> Vec<Fault> {
        modes::judge(&self.policy, path, directory)
    }

    /// Judges what can be told before the bytes are looked at: the place, and whether any file may be
    /// mapped at all.
    pub(crate) fn before(&self, path: &Path, directory: Option<&Path>) -> Result<(), Vec<Fault>> {
        if self.closed.load(Ordering::Acquire) {
            let fault = Fault::new(Code::Locked).expected("no further plugin");
            return Err(vec![fault.found("a plugin that is not loaded yet")]);
        }
        some(self.place(path, directory))
    }

    /// Judges a digest: revocation, and the pins of this name.
    pub(crate) fn digest(&self, name: &str, sha256: &[u8; 32]) -> Result<bool, Vec<Fault>> {
        if self.policy.revoked_sha256.contains(sha256) {
            let fault = Fault::new(Code::FileRevoked).expected("a file that is not revoked");
            return Err(vec![fault.found(hex(sha256))]);
        }
        let configured = self.rules.get(name).and_then(|rule| rule.sha256);
        let locked = match &self.lock_file {
            None => None,
            Some(file) => {
                let pins = Pins::read(file).map_err(|why| vec![pins::damaged(file, &why)])?;
                pins.get(name).map(|pin| pin.sha256)
            }
        };
        if let (Some(configured), Some(locked)) = (configured, locked)
            && configured != locked
        {
            let fault = Fault::new(Code::PinsDisagree)
                .expected(format!("{} as in the configuration", hex(&configured)));
            return Err(vec![
                fault.found(format!("{} in {LOCK_FILE}", hex(&locked))),
            ]);
        }
        match configured.or(locked) {
            Some(pinned) if pinned != *sha256 => {
                let fault = Fault::new(Code::PinMismatch).expected(hex(&pinned));
                Err(vec![fault.found(hex(sha256))])
            }
            pinned => Ok(pinned.is_some()),
        }
    }

    /// Judges bytes that were inspected: digest, signature and history. Remembers what is accepted.
    pub(crate) fn bytes(
        &self,
        path: &Path,
        image: &Image,
        name: &str,
        version: &str,
    ) -> Result<Standing, Vec<Fault>> {
        let (standing, signed) = self.judged(path, image, name, version)?;
        if let (Some(state), Some(publisher)) = (&self.state, &signed) {
            state.remember(name, publisher, version);
        }
        Ok(standing)
    }

    fn judged(
        &self,
        path: &Path,
        image: &Image,
        name: &str,
        version: &str,
    ) -> Result<(Standing, Option<String>), Vec<Fault>> {
        let sha256 = image.sha256();
        let pinned = self.digest(name, &sha256)?;
        let signature = signature::read(path).map_err(|fault| vec![*fault])?;
        let signed = signature::judge(&self.policy, signature.as_ref(), image, name)
            .map_err(|fault| vec![*fault])?;
        let signed_by = match signed {
            Signed::By(publisher) => Some(publisher),
            Signed::Untrusted => None,
        };
        if let Some(state) = &self.state {
            let judged = state.judge(self.policy.history, name, version, signed_by.as_deref());
            judged.map_err(|fault| vec![*fault])?;
        }
        let standing = Standing {
            sha256,
            signed_by: signed_by.clone(),
            pinned,
        };
        Ok((standing, signed_by))
    }

    /// Judges a file as a load would, and maps and remembers nothing.
    ///
    /// # Errors
    ///
    /// Every fault of the place, or of the file, or of its bytes, whichever comes first.
    pub fn judge(&self, path: &Path, directory: Option<&Path>) -> Result<Standing, Vec<Fault>> {
        some(self.place(path, directory))?;
        let label = path.file_name().unwrap_or_default().to_string_lossy();
        let image = Image::read(path, &label)?;
        let copy = image
            .reader()
            .map_err(|cause| vec![*inspect::unreadable(cause)])?;
        let about = inspect::judge_copy(copy, path)?.descriptor.about;
        let (standing, _) = self.judged(path, &image, &about.name, &about.version)?;
        Ok(standing)
    }

    /// The directory of this host's records, if it has one.
    pub fn state(&self) -> Option<&StateDir> {
        self.state.as_ref()
    }

    /// Where the pins of this configuration are; `None` without a configuration file.
    pub fn lock_file(&self) -> Option<&Path> {
        self.lock_file.as_deref()
    }
}

/// The file of the signature of the file at `path`: `X.so.minisig` beside `X.so`.
pub fn signature_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

fn as_hex<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(digest))
}

fn some(faults: Vec<Fault>) -> Result<(), Vec<Fault>> {
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}
