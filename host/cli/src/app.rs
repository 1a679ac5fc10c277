//! What every command works with: options, output, and the host once somebody needs it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use holdall::config::{BackendConfig, Config, Environment, Flags, Problems, Sources};
use holdall::{Backend, Host};

use crate::address::Address;
use crate::args::Global;
use crate::failure::Result;
use crate::output::Output;
use crate::progress::Progress;

/// One run of the command.
#[derive(Debug)]
pub(crate) struct App {
    global: Global,
    host: OnceLock<Host>,
    pub(crate) output: Output,
}

impl App {
    pub(crate) fn new(global: Global) -> Self {
        Self {
            output: Output {
                json: global.json,
                quiet: global.quiet,
            },
            global,
            host: OnceLock::new(),
        }
    }

    /// The configuration, with whatever is wrong in it.
    pub(crate) fn config(&self) -> (Config, Problems) {
        let mut flags = Flags::default();
        flags.config_file = self.global.config.clone();
        flags.plugin_dirs = self.global.plugin_dirs.clone();
        let mut sources = Sources::default();
        sources.flags = flags;
        sources.environment = Environment::of_process();
        sources.fallback_backend = Some(BackendConfig::default_local());
        let (mut config, problems) = Config::read(&sources);
        if config.plugin_dirs.is_empty() {
            config.plugin_dirs = beside_the_executable();
        }
        (config, problems)
    }

    /// The host, made when it is first asked for. Nothing is mapped by that.
    pub(crate) fn host(&self) -> Result<&Host> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let (config, problems) = self.config();
        problems.into_result().map_err(holdall::Error::from)?;
        self.host_of(config)
    }

    /// The host of a configuration that the command has completed.
    pub(crate) fn host_of(&self, config: Config) -> Result<&Host> {
        let host = Host::builder().config(config).build()?;
        Ok(self.host.get_or_init(|| host))
    }

    /// The backend of an address, opened.
    pub(crate) async fn backend(&self, address: &Address) -> Result<Backend> {
        let host = self.host()?;
        Ok(match address.backend.as_str() {
            "" => host.default_backend().await?,
            name => host.backend(name).await?,
        })
    }

    /// The bar of one transfer.
    pub(crate) fn progress(&self, label: &str) -> Progress {
        Progress::one(self.shows_progress(), label)
    }

    /// The bar of many transfers.
    pub(crate) fn progress_of_many(&self) -> Progress {
        Progress::many(self.shows_progress())
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

/// Where plugins are when nobody says where. Folders that are missing are named too when all are,
/// so that a message can say where to put a plugin.
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
