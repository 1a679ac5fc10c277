//! Values of the sections `[trust]`, `[trial]`, `[quarantine]` and `[upgrade]`.

use crate::platform::users;
use std::time::{Duration, SystemTime};

/// What becomes of a file that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustRule {
    /// It is refused.
    Refuse,
    /// It is used, and a warning is logged.
    Warn,
    /// It is used: the rule is off.
    Allow,
}

/// Whether a plugin needs a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signatures {
    /// Unsigned plugins are used, and shown as unsigned.
    #[default]
    Optional,
    /// Only plugins that a trusted key has signed are used.
    Required,
}

/// A minisign key whose signatures are trusted for some plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedKey {
    /// Whose key it is. A plugin keeps the publisher that it was first seen from; a publisher may have
    /// several keys.
    pub publisher: String,
    /// The second line of a `minisign.pub` file.
    pub key: String,
    /// Names of the plugins that it may sign; `*` for any.
    pub plugins: Vec<String>,
    /// When its signatures end to be accepted.
    pub not_after: Option<SystemTime>,
}

impl TrustedKey {
    /// A key that may sign these plugins.
    pub fn new(
        publisher: impl Into<String>,
        key: impl Into<String>,
        plugins: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            publisher: publisher.into(),
            key: key.into(),
            plugins: plugins.into_iter().map(Into::into).collect(),
            not_after: None,
        }
    }

    /// Ends the acceptance of its signatures at this time.
    #[must_use]
    pub fn not_after(mut self, time: SystemTime) -> Self {
        self.not_after = Some(time);
        self
    }

    pub(crate) fn may_sign(&self, plugin: &str) -> bool {
        let mut names = self.plugins.iter();
        names.any(|name| name == "*" || name == plugin)
    }
}

/// Rules for the files that a host uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustPolicy {
    /// A plugin, its directory or one above it belongs to another user than root and the effective one.
    pub owner: TrustRule,
    /// A plugin, its directory or one above it can be written by every user. Directories with the
    /// sticky bit are fine.
    pub world_writable: TrustRule,
    /// As `world_writable`, for the group. `None`: refused for root, else a warning.
    pub group_writable: Option<TrustRule>,
    /// A link leads out of its plugin directory.
    pub links: TrustRule,
    /// A file that holds a secret belongs to another user, or others can write it.
    pub secret_files: TrustRule,
    /// A file that holds a secret can be read by every user.
    pub readable_secrets: TrustRule,
    /// Whether plugins need a signature.
    pub signatures: Signatures,
    /// A plugin that was signed once is unsigned, older than before, or of another publisher.
    pub history: TrustRule,
    /// Keys whose signatures are trusted.
    pub keys: Vec<TrustedKey>,
    /// Keys that are not trusted any more: 16 hexadecimal digits of the id, or the key itself.
    pub revoked_keys: Vec<String>,
    /// Files that are not used any more, by SHA-256.
    pub revoked_sha256: Vec<[u8; 32]>,
}

impl Default for TrustPolicy {
    fn default() -> Self {
        Self {
            owner: TrustRule::Refuse,
            world_writable: TrustRule::Refuse,
            group_writable: None,
            links: TrustRule::Refuse,
            secret_files: TrustRule::Refuse,
            readable_secrets: TrustRule::Warn,
            signatures: Signatures::Optional,
            history: TrustRule::Refuse,
            keys: Vec::new(),
            revoked_keys: Vec::new(),
            revoked_sha256: Vec::new(),
        }
    }
}

impl TrustPolicy {
    /// What becomes of a file that its group can write.
    pub(crate) fn group_rule(&self) -> TrustRule {
        group_rule(self.group_writable)
    }
}

pub(super) fn group_rule(configured: Option<TrustRule>) -> TrustRule {
    configured.unwrap_or(match users::is_root() {
        true => TrustRule::Refuse,
        false => TrustRule::Warn,
    })
}

/// How plugins are upgraded in place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpgradeRules {
    /// Whether a server watches the plugin directories.
    pub watch: bool,
    /// Most files of one plugin that a process maps. Code is never unmapped.
    pub generations: u64,
}

impl Default for UpgradeRules {
    fn default() -> Self {
        Self {
            watch: false,
            generations: 16,
        }
    }
}

/// When a plugin that has ended the process is kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantine {
    /// Crashes within [`within`](Self::within) from which on it is refused.
    pub crashes: u32,
    /// The time in which crashes count.
    pub within: Duration,
    /// How long it is refused after the first crash; doubles with each one.
    pub backoff: Duration,
    /// When the quarantine ends, after the last crash. `None`: by `holdall plugins release` only.
    pub expires: Option<Duration>,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self {
            crashes: 3,
            within: Duration::from_secs(24 * 60 * 60),
            backoff: Duration::from_secs(1),
            expires: None,
        }
    }
}

/// Limits of a trial, and what is refused in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrialRules {
    /// Whether trials are run where the program asks for them.
    pub enabled: bool,
    /// The longest that a trial may take.
    pub timeout: Duration,
    /// Processor time; rounded up to whole seconds.
    pub cpu: Duration,
    /// Address space beyond that of the child before it maps the plugin, in bytes.
    pub memory: u64,
    /// Open files.
    pub descriptors: u64,
    /// A plugin starts threads when it is mapped.
    pub threads: TrustRule,
    /// A plugin replaces signal handlers of the program when it is mapped.
    pub signals: TrustRule,
}

impl Default for TrialRules {
    fn default() -> Self {
        Self {
            enabled: true,
            timeout: Duration::from_secs(10),
            cpu: Duration::from_secs(5),
            memory: 1 << 30,
            descriptors: 512,
            threads: TrustRule::Warn,
            signals: TrustRule::Warn,
        }
    }
}
