//! How a host is put together.

use crate::audit::AuditLog;
use crate::backend::context::{Context, SpoolSettings};
use crate::config::{Config, Environment, Flags, Secrets, Sources};
use crate::gateway::Gateway;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::plugin::catalog::Catalog;
use crate::plugin::quarantine::Quarantine;
use crate::plugin::trial::Trial;
use arc_swap::{ArcSwap, ArcSwapOption};
use holdall_plugin_api::StaticPlugin;
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// Makes a [`Host`].
///
/// Naming a plugin directory, here or in the configuration, is the act of trust: the code of the
/// plugins in it runs in this process as soon as a backend needs it. Nothing is scanned and no
/// environment is read unless it is said here.
///
/// ```no_run
/// use holdall::{Host, config::Environment};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::builder()
///     .plugin_dir("plugins")
///     .default_config_file("holdall.toml") // Read when it is there.
///     .env(Environment::from_iter([("HOLDALL_BACKEND", "local")])) // Or env_from_process().
///     .spool_dir("/var/tmp")
///     .spool_limit(1 << 30)
///     .crash_records("crashes")
///     .build()?;
/// println!("{:?}", host.default_name());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    sources: Sources,
    config: Option<Config>,
    environment: Option<Environment>,
    built_in: Vec<&'static StaticPlugin>,
    spool: SpoolSettings,
    trial: Option<Trial>,
    crash_records: Option<PathBuf>,
    audit: Option<Arc<dyn AuditLog>>,
    ledger: Option<Arc<dyn Ledger>>,
    open_ledger: Option<OpenLedger>,
}

/// Opens the ledger at an address.
pub type OpenLedger = fn(&str) -> Result<Arc<dyn Ledger>>;

impl Builder {
    /// Looks for plugins here; may be called again. Wins over file and environment.
    #[must_use]
    pub fn plugin_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.sources.flags.plugin_dirs.push(dir.into());
        self
    }

    /// Reads this `holdall.toml`, which must be there.
    #[must_use]
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.flags.config_file = Some(file.into());
        self
    }

    /// Reads this `holdall.toml` when no other is named and it is there.
    #[must_use]
    pub fn default_config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.default_file = Some(file.into());
        self
    }

    /// Names the default backend.
    #[must_use]
    pub fn default_backend(mut self, name: impl Into<String>) -> Self {
        self.sources.flags.default_backend = Some(name.into());
        self
    }

    /// Takes this configuration instead of reading one.
    /// [`plugin_dir`](Self::plugin_dir) still wins.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Draws on these variables.
    #[must_use]
    pub fn env(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Draws on the variables of this process, as they are now.
    #[must_use]
    pub fn env_from_process(self) -> Self {
        self.env(Environment::of_process())
    }

    /// Takes a plugin that is linked into the program. It comes before every file.
    #[must_use]
    pub fn built_in(mut self, plugin: &'static StaticPlugin) -> Self {
        self.built_in.push(plugin);
        self
    }

    /// Bounds the temporary file of one upload of unknown length, for backends that must be told
    /// the length first. Default: 1 GiB; more is `TooLarge`.
    #[must_use]
    pub fn spool_limit(mut self, bytes: u64) -> Self {
        self.spool.limit = bytes;
        self
    }

    /// Where such files lie; default: the system's folder for temporary files.
    #[must_use]
    pub fn spool_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.spool.dir = Some(dir.into());
        self
    }

    /// Tries each plugin in a child process before its bytes are mapped here for the first time. The
    /// verdict is kept in the state directory; without one every process tries anew.
    #[must_use]
    pub fn trial(mut self, trial: Trial) -> Self {
        self.trial = Some(trial);
        self
    }

    /// Records in this directory which plugin, operation and request a fatal signal has ended, and keeps
    /// plugins out that crash again and again ([`Config::quarantine`]). Installs handlers of SIGSEGV,
    /// SIGBUS, SIGILL and SIGABRT, which call those that were there before. The first directory of a
    /// process is the one that is used.
    #[must_use]
    pub fn crash_records(mut self, directory: impl Into<PathBuf>) -> Self {
        self.crash_records = Some(directory.into());
        self
    }

    /// Keeps what the host remembers of plugins here: publisher and highest version of those that were
    /// signed. Without it nothing is remembered, unless the configuration or the environment names a
    /// directory.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.sources.flags.state_dir = Some(dir.into());
        self
    }

    /// Records every change here. Wins over `[audit]` of the configuration.
    #[must_use]
    pub fn audit(mut self, log: Arc<dyn AuditLog>) -> Self {
        self.audit = Some(log);
        self
    }

    /// Opens the ledger that `[ledger]` of the configuration names: `holdall_ledger::open`.
    #[must_use]
    pub fn open_ledger(mut self, open: OpenLedger) -> Self {
        self.open_ledger = Some(open);
        self
    }

    /// Counts here what is stored in backends with a quota. Wins over `[ledger]` of the configuration.
    #[must_use]
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Reads the configuration, scans the plugin directories and maps nothing, except for plugins
    /// that the configuration calls `required`.
    ///
    /// # Errors
    ///
    /// - `ConfigInvalid`: every problem of the configuration.
    /// - `Unsupported`: this program is linked fully statically (the default for musl) and plugin directories are named.
    /// - `PluginLoad`: a linked-in plugin does not pass the checks, or a required one does not load.
    pub fn build(mut self) -> Result<Host> {
        if let Some(environment) = &self.environment {
            self.sources.environment = environment.clone();
        }
        let config = match self.config {
            None => Config::load(&self.sources)?,
            Some(mut config) => {
                let Flags {
                    plugin_dirs,
                    default_backend,
                    state_dir,
                    ..
                } = self.sources.flags;
                if !plugin_dirs.is_empty() {
                    config.plugin_dirs = plugin_dirs;
                }
                config.state_dir = state_dir.or(config.state_dir);
                config.default_backend = default_backend.or(config.default_backend);
                config
            }
        };
        check_loader(&config)?;
        let environment = match self.environment {
            Some(environment) => environment,
            None => config.environment().clone(),
        };
        let quarantine = match self.crash_records {
            None => None,
            Some(directory) => {
                let begun = Quarantine::begin(directory.clone(), config.quarantine.clone());
                if let Err(cause) = &begun {
                    tracing::warn!(
                        target: "holdall",
                        directory = %directory.display(),
                        error = %cause,
                        "crashes of plugins are not recorded"
                    );
                }
                begun.ok()
            }
        };
        let secrets = Secrets::under(&config.trust);
        let gateway = match &config.gateway {
            Some(gateway) => Gateway::new(gateway, &environment, &secrets)?,
            None => Gateway::unconfigured(),
        };
        let ledger = match (self.ledger, self.open_ledger) {
            (Some(ledger), _) => Some(ledger),
            (None, None) => None,
            (None, Some(open)) => match config.ledger_url(&environment, &secrets)? {
                Some(url) => Some(open(url.expose())?),
                None => None,
            },
        };
        check_ledger(&config, ledger.is_some())?;
        let audit_is_fixed = self.audit.is_some();
        let audit = match (self.audit, &config.audit) {
            (Some(audit), _) => Some(audit),
            (None, Some(config)) => Some(config.open(ledger.as_ref())?),
            (None, None) => None,
        };
        let catalog = Catalog::new(&config, self.trial, quarantine);
        for plugin in self.built_in {
            catalog.add_built_in(plugin)?;
        }
        catalog.scan();
        let context = Context {
            catalog,
            environment,
            secrets,
            gateway: ArcSwap::from_pointee(gateway),
            spool: self.spool,
            audit: ArcSwapOption::new(audit.map(Arc::new)),
            audit_is_fixed,
            ledger,
        };
        let host = Host::new(context, config);
        host.load_required()?;
        Ok(host)
    }
}

/// # Errors
///
/// `Unsupported`: plugin directories are named, and this program is linked fully statically, so that there is no
/// loader in it.
fn check_loader(config: &Config) -> Result<()> {
    // A static program of Windows has the system's loader.
    let is_static = cfg!(all(unix, target_feature = "crt-static"));
    match config.plugin_dirs.first() {
        Some(directory) if is_static => Err(Error::new(ErrorKind::Unsupported)
            .with_message("this host is fully static and cannot load libraries")
            .with_fact("plugin_dir", directory.display().to_string())
            .with_fact(
                "fix",
                "build it with RUSTFLAGS=\"-C target-feature=-crt-static\", or link the plugins in",
            )),
        _ => Ok(()),
    }
}

/// # Errors
///
/// `ConfigInvalid`: a backend has a quota and there is no ledger.
pub(crate) fn check_ledger(config: &Config, has_ledger: bool) -> Result<()> {
    let mut backends = config.backends.values();
    let counted = backends.find(|backend| !has_ledger && backend.mount.policy.quota.is_some());
    counted.map_or(Ok(()), |backend| {
        Err(no_ledger().with_fact("backend", &backend.name))
    })
}

/// A backend has a quota, and nothing counts.
pub(crate) fn no_ledger() -> Error {
    Error::new(ErrorKind::ConfigInvalid)
        .with_message("the backend has a quota and the host has no ledger")
        .with_fact("fix", "set ledger.url, or remove the quota")
}
