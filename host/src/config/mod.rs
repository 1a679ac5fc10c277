//! The operator's configuration: `holdall.toml`, the environment, and what a program says itself.
//!
//! ```toml
//! plugin_dirs = ["plugins"]          # relative paths start at this file's folder
//! default_backend = "avatars"
//!
//! [backend.avatars]                  # names: [a-z0-9][a-z0-9-]{0,62}
//! plugin = "s3"                      # default: the backend's name
//! key_policy = "portable"            # or "opaque"
//! content_type = "exact"             # or "by_extension", for stores that keep no content type
//! timeout = "30s"                    # per operation: ms, s, m or h; default: none
//! max_wait = "30s"                   # for a turn where the plugin takes few operations at once
//! allow_non_atomic_put = false       # true: readers may see a partial object
//! aliases = ["pictures"]             # further names
//!
//! [backend.avatars.policy]           # what the host enforces: see [`crate::policy`]
//! allowed_types = ["image/*"]
//! max_size = "10MiB"
//!
//! [backend.avatars.config]           # as the plugin's own JSON Schema says
//! bucket = "avatars"
//! secret_access_key = "env:AVATARS_SECRET"
//!
//! [plugin.s3]
//! required = true                    # a start without it fails
//! disabled = false
//! sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//!
//! [trust]                            # see the command's page
//! signatures = "required"
//! keys = [{ publisher = "acme", key = "RWQf6LRC...", plugins = ["s3"] }]
//!
//! [server]                           # as the program in front of the host says, see [`Section`]
//! listen = "127.0.0.1:8080"
//!
//! [gateway]
//! public_url = "https://files.example.org"
//! keys = [{ id = "2026-07", secret = "file:gateway.key" }]   # the first signs, all verify
//! ```
//!
//! **Precedence**: flag over environment over file over default. The variables are
//! `HOLDALL_CONFIG` (the file), `HOLDALL_PLUGIN_DIR` (folders, separated as in `PATH`),
//! `HOLDALL_BACKEND` (the default backend) and `HOLDALL_BACKEND_<NAME>_<FIELD>`, where NAME and
//! FIELD are in upper case with `-` as `_`. FIELD is one of `PLUGIN`, `KEY_POLICY`,
//! `CONTENT_TYPE`, `TIMEOUT`, `MAX_WAIT`, `POLLING` (the backend's own) or a field of the plugin's
//! configuration, `__` leading into a nested table; its text is read as the type in the plugin's
//! schema, lists are separated by commas. Where two backends' names fit one variable, the longer
//! name has it. `HOLDALL_SERVER_<FIELD>` does the same for `[server]`.
//!
//! **Secrets**: a field that the plugin's schema marks `"x-secret": true` or `"writeOnly": true`,
//! and the secret of a gateway key, may be `env:NAME` or `file:PATH` (at most 64 KiB of UTF-8; one
//! line end at its end is dropped; a relative path starts at the folder of the file that names it)
//! instead of the secret itself. References are followed just before a backend opens. No secret is
//! shown by `Debug`, in a [`Problem`], or in a text that went through [`Secrets::redact`].
//!
//! Without any backend the command adds one: `local`, of the plugin `local`, under `./data`
//! ([`Sources::fallback_backend`]). The library adds none.
//!
//! Everything wrong is reported at once ([`ConfigProblems`]): syntax first, then all keys and values,
//! then, as soon as the plugins' schemas are known, every field of every backend ([`check()`]).
//! Nothing here loads a plugin or writes anything.

mod audit;
mod backend_policy;
mod canonical;
mod check;
mod compiled;
mod document;
mod duration;
mod environment;
mod file;
mod gateway;
mod ledger;
mod mount;
mod overlay;
mod owner;
mod plugin_settings;
mod problem;
mod read;
mod reference;
mod resolve;
mod schema;
mod schema_budget;
mod secret;
mod section;
mod size;
mod source;
#[cfg(test)]
mod tests;
mod trust;
mod trust_policy;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use audit::AuditConfig;
pub use check::{BackendReport, Report, check};
pub use compiled::Schema;
pub use duration::parse_duration;
pub use environment::Environment;
pub(crate) use file::unhex;
pub use gateway::{GatewayConfig, GatewayKey, MIN_SECRET};
pub use ledger::LedgerConfig;
pub use mount::Mount;
use plugin_settings::PluginSettings;
pub use problem::{ConfigProblems, Location, Problem, ProblemCode};
pub(crate) use problem::{chain, names, nearest};
pub(crate) use read::read_whole;
pub use resolve::{ConfigJson, Resolved};
pub use secret::{REDACTED, SecretText, Secrets};
pub(crate) use secret::{UNRESERVED, WeakSecrets, hex};
pub use section::Section;
pub use size::parse_size;
pub use source::{Flags, Sources};
pub(crate) use trust::parse_time;
pub use trust_policy::{
    Quarantine, Signatures, TrialRules, TrustPolicy, TrustRule, TrustedKey, UpgradeRules,
};

/// Name of the backend that the command adds when none is configured, and of its plugin.
pub const LOCAL: &str = "local";

/// A whole configuration: what [`Sources`] said, merged. Nothing in it is resolved yet.
///
/// `Debug` shows no value of a plugin's configuration, because which of them are secret only the
/// plugin's schema knows.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// Folders of plugins, in the order of their precedence. May be empty: the library then
    /// scans nothing.
    pub plugin_dirs: Vec<PathBuf>,
    /// The backend of an address without a name: the one that was named, else `local`, else the
    /// only one.
    pub default_backend: Option<String>,
    /// The backends by name.
    pub backends: BTreeMap<String, BackendConfig>,
    /// What is said about single plugins, by name.
    pub plugins: BTreeMap<String, PluginRule>,
    /// The gateway that signs URLs, when one is configured.
    pub gateway: Option<GatewayConfig>,
    /// `[audit]`: where changes are recorded.
    pub audit: Option<AuditConfig>,
    /// `[ledger]`: where quotas are counted. Read at the start of a host only.
    pub ledger: LedgerConfig,
    /// `[server]`: what belongs to the program in front of the host.
    pub server: Section,
    /// Rules for the files of plugins and secrets.
    pub trust: TrustPolicy,
    /// Limits of the children that try plugins.
    pub trial: TrialRules,
    /// When a plugin that has ended the process is kept out.
    pub quarantine: Quarantine,
    /// How plugins are upgraded in place.
    pub upgrade: UpgradeRules,
    /// Where the host keeps what it remembers of plugins; `None` keeps nothing.
    pub state_dir: Option<PathBuf>,
    environment: Environment,
}

impl Config {
    /// The environment that references to secrets are looked up in.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// One backend: a plugin and how it is mounted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendConfig {
    /// Its name.
    pub name: String,
    /// Name or scheme of the plugin.
    pub plugin: String,
    /// How it is mounted.
    pub mount: Mount,
    /// Whether a server that asks for readiness needs it. Default: `true`.
    pub required: bool,
    settings: PluginSettings,
}

impl BackendConfig {
    /// A backend as a program configures it. `config` is what the plugin's schema says, usually an
    /// object; secrets in it may be references.
    ///
    /// # Errors
    ///
    /// One [`Problem`] when `name` is not `[a-z0-9][a-z0-9-]{0,62}` or `config` is no object.
    pub fn new(
        name: impl Into<String>,
        plugin: impl Into<String>,
        config: serde_json::Value,
    ) -> Result<Self, ConfigProblems> {
        let name = name.into();
        let place = Location::Flag("the program's own configuration");
        check_name(&name, "backend", &place).map_err(|problem| ConfigProblems::from(*problem))?;
        let serde_json::Value::Object(values) = config else {
            return Err(Problem::new(
                ProblemCode::WrongType,
                format!("backend.{name}.config"),
                place,
                "an object",
                schema::type_name(&config),
            )
            .into());
        };
        Ok(Self {
            settings: PluginSettings::new(values, place),
            ..Self::bare(name, plugin.into())
        })
    }

    /// # Errors
    ///
    /// The first alias that is no name, or what is wrong with the policy.
    pub(crate) fn set_mount(&mut self, mount: Mount) -> Result<(), ConfigProblems> {
        let place = Location::Flag("the program's own configuration");
        for alias in &mount.aliases {
            check_name(alias, "alias", &place).map_err(|problem| ConfigProblems::from(*problem))?;
        }
        mount.policy.check().map_err(|(key, found)| {
            Problem::new(
                ProblemCode::InvalidValue,
                format!("backend.{}.policy.{key}", self.name),
                place,
                crate::policy::PREFIX_RULE,
                found,
            )
        })?;
        self.mount = mount;
        Ok(())
    }

    /// Whether the same was written, so that only a secret that it refers to can differ.
    pub(crate) fn is_as_written(&self, other: &Self) -> bool {
        self.plugin == other.plugin
            && self.mount == other.mount
            && self.settings.is_as_written(&other.settings)
    }

    /// Whether resolving it may read files.
    pub(crate) fn may_refer_to_files(&self) -> bool {
        self.settings.may_refer_to_files()
    }

    fn bare(name: String, plugin: String) -> Self {
        Self {
            name,
            plugin,
            mount: Mount::default(),
            required: true,
            settings: PluginSettings::default(),
        }
    }

    /// `local` under `./data`: what the command adds when no backend is configured.
    pub fn default_local() -> Self {
        let mut local = Self::bare(LOCAL.to_owned(), LOCAL.to_owned());
        let values = [("root".to_owned(), "./data".into())].into_iter().collect();
        local.settings = PluginSettings::new(values, Location::Default);
        local
    }

    /// As [`BackendConfig::default_local`], for commands that only read: the root is not created.
    pub fn default_local_to_read() -> Self {
        let mut local = Self::default_local();
        let create = ("create_root".to_owned(), false.into());
        local.settings.values.extend([create]);
        local
    }
}

/// What becomes of a content type that the store does not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentTypePolicy {
    /// It is refused as `Unsupported`, unless the key's extension implies it.
    #[default]
    Exact,
    /// It is dropped: readers get the type that the key's extension implies.
    ByExtension,
}

/// Where the operations of a plugin are polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Polling {
    /// As the plugin declares: on the caller's thread, or, for a plugin that blocks, in the pool.
    #[default]
    Declared,
    /// In the pool, whatever the plugin declares: for one that blocks without saying so.
    Spawned,
}

/// What is said about one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginRule {
    /// It is loaded at the start, and a start without it fails.
    pub required: bool,
    /// It is not used, though its file is there.
    pub disabled: bool,
    /// Only a file with this SHA-256 is accepted.
    pub sha256: Option<[u8; 32]>,
}

/// The rule for names of backends, in words.
pub(crate) const NAME_RULE: &str =
    "a name of 1 to 63 characters: a-z, 0-9 and \"-\", not \"-\" first";

/// Whether this can name a backend: `[a-z0-9][a-z0-9-]{0,62}`.
pub fn is_backend_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn check_name(name: &str, what: &str, place: &Location) -> Result<(), Box<Problem>> {
    if is_backend_name(name) {
        return Ok(());
    }
    let like: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if matches!(c, 'a'..='z' | '0'..='9') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let like = like.trim_matches('-');
    let mut problem = Problem::new(
        ProblemCode::InvalidName,
        document::join(what, name),
        place.clone(),
        NAME_RULE,
        format!("{name:?}"),
    );
    problem.suggestion = is_backend_name(like).then(|| like.to_owned());
    Err(problem.into())
}

/// `path` as seen from `folder`; absolute paths stay.
fn relative_to(folder: Option<&Path>, path: &str) -> PathBuf {
    folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
}
