//! State of one run: options, output, and the host, built on first use.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use holdall::config::{
    BackendConfig, Config, ConfigProblems, Environment, Flags, Location, Sources,
};
use holdall::trial::Trial;
use holdall::trust::TrustRule;
use holdall::{Backend, CallOptions, Host};

use crate::address::Address;
use crate::args::{Command, Global};
use crate::failure::Result;
use crate::output::Output;
use crate::progress::Progress;

/// One run of the command.
#[derive(Debug)]
pub(crate) struct App {
    global: Global,
    /// The default backend may create its root.
    stores: bool,
    /// Files of plugins that their group can write are refused.
    serves: bool,
    host: OnceLock<Host>,
    pub(crate) output: Output,
}

impl App {
    /// State of this command. One that only reads creates nothing.
    pub(crate) fn new(global: Global, command: &Command) -> Self {
        let serves = matches!(command, Command::Serve(_));
        Self {
            stores: serves || matches!(command, Command::Put(_) | Command::Cp(_)),
            serves,
            output: Output::of(&global),
            global,
            host: OnceLock::new(),
        }
    }

    /// To whom uploads are charged.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.global.owner.as_deref()
    }

    /// The group to which they are charged.
    pub(crate) fn group(&self) -> Option<&str> {
        self.global.group.as_deref()
    }

    /// The file that `--config` names.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.global.config.as_deref()
    }

    /// Reads the configuration. Returns what is right in it and every problem.
    pub(crate) fn config(&self) -> (Config, ConfigProblems) {
        let mut flags = Flags::default();
        flags.config_file = self.global.config.clone();
        flags.plugin_dirs = self.global.plugin_dirs.clone();
        flags.state_dir = self.global.state_dir.clone();
        let mut sources = Sources::default();
        sources.flags = flags;
        sources.group_writable = self.serves.then_some(TrustRule::Refuse);
        sources.environment = Environment::of_process();
        sources.fallback_backend = match self.stores {
            true => Some(BackendConfig::default_local()),
            false => Some(BackendConfig::default_local_to_read()),
        };
        let (mut config, problems) = Config::read(&sources);
        if config.plugin_dirs.is_empty() {
            config.plugin_dirs = beside_the_executable();
        }
        (config, problems)
    }

    /// Where the plugin directories of this configuration were named; `None` for the default ones.
    pub(crate) fn plugin_dirs_named_by(&self, config: &Config) -> Option<Location> {
        if !self.global.plugin_dirs.is_empty() {
            return Some(Location::Flag("--plugin-dir"));
        }
        let variable = "HOLDALL_PLUGIN_DIR";
        if std::env::var_os(variable).is_some_and(|dirs| !dirs.is_empty()) {
            return Some(Location::Variable(variable.to_owned()));
        }
        let file = config.file.clone()?;
        (config.plugin_dirs != beside_the_executable()).then_some(Location::File {
            file,
            line: 0,
            column: 0,
        })
    }

    /// Returns the host, built on first use. Building maps no plugin.
    pub(crate) fn host(&self) -> Result<&Host> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let (config, problems) = self.config();
        problems.into_result().map_err(holdall::Error::from)?;
        self.host_of(config)
    }

    /// Returns the host, built from this configuration on first use.
    pub(crate) fn host_of(&self, config: Config) -> Result<&Host> {
        let crashes = config.state_dir.as_deref().map(crash_records);
        let mut builder = Host::builder()
            .config(config)
            .open_ledger(holdall_ledger::open)
            .trial(Trial::this_executable());
        if let Some(directory) = crashes {
            builder = builder.crash_records(directory);
        }
        let host = builder.build()?;
        Ok(self.host.get_or_init(|| host))
    }

    /// Opens the backend of an address.
    pub(crate) async fn backend(&self, address: &Address) -> Result<Backend> {
        let host = self.host()?;
        let backend = match address.backend.as_str() {
            "" => host.default_backend().await?,
            name => host.backend(name).await?,
        };
        // What is stored is counted; limits are for clients of a server.
        let mut options = CallOptions::new().ignore_quota();
        if let Some(owner) = self.owner() {
            options = options.owner(owner);
        }
        if let Some(group) = self.group() {
            options = options.group(group);
        }
        Ok(backend.with(options))
    }

    /// Progress bar of one transfer.
    pub(crate) fn progress(&self, label: &str) -> Progress {
        Progress::one(self.shows_progress(), label)
    }

    /// Progress bar of several transfers.
    pub(crate) fn progress_of_many(&self) -> Progress {
        Progress::of_files(self.shows_progress())
    }

    fn shows_progress(&self) -> bool {
        let global = &self.global;
        // Log lines and a bar would write over each other.
        let wanted = !(global.json || global.quiet || global.no_progress || global.verbose > 0);
        wanted && std::io::stderr().is_terminal()
    }

    /// Shuts the open backends down, so that plugins remove what an interrupted command left.
    pub(crate) async fn close(&self) {
        if let Some(host) = self.host.get() {
            // The command has its own outcome; what a plugin says here is in its log.
            let _ = host.shutdown(Duration::from_secs(2)).await;
        }
    }
}

/// Where crashes of plugins are recorded.
pub(crate) fn crash_records(state: &Path) -> PathBuf {
    state.join("crashes")
}

/// The name of the default backend, for hints about a command line that cannot be parsed. Empty when
/// there is none: an address without a name means it too.
pub(crate) fn default_backend_name() -> String {
    let mut args = std::env::args_os().skip_while(|arg| arg != "--config");
    let mut sources = Sources::default();
    sources.flags.config_file = args.nth(1).map(PathBuf::from);
    sources.environment = Environment::of_process();
    sources.fallback_backend = Some(BackendConfig::default_local());
    Config::read(&sources).0.default_backend.unwrap_or_default()
}

/// Default plugin directories. Missing ones are returned when all are missing, so that a message can
/// say where to put a plugin.
fn beside_the_executable() -> Vec<PathBuf> {
    let Some(folder) = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()))
    else {
        return Vec::new();
    };
    let mut dirs = vec![folder.join("plugins")];
    if let Some(above) = folder.parent() {
        dirs.push(above.join("lib/holdall/plugins"));
    }
    if dirs.iter().any(|dir| dir.is_dir()) {
        dirs.retain(|dir| dir.is_dir());
    }
    dirs
}
