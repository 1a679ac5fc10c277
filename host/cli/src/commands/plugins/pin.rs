//! `plugins pin` and `plugins release`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use holdall::config::Config;
use holdall::inspect::Verdict;
use holdall::quarantine;
use holdall::scan;
use holdall::trial;
use holdall::trust::{Pins, Trust};
use serde_json::json;

use crate::app::{App, crash_records};
use crate::exit;
use crate::failure::{Failure, Result};

/// Writes the digests of the plugins to `holdall.lock` beside the configuration. A plugin whose file
/// differs from its pin is refused.
#[derive(Debug, Args)]
pub(super) struct Pin {
    /// Plugins to pin again. Default: every plugin of the plugin directories; pins of others are
    /// dropped.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The lock beside the configuration.
pub(super) struct Lock {
    file: PathBuf,
    pub(super) pins: Pins,
}

impl Lock {
    /// Reads the lock of this configuration.
    pub(super) fn of(config: &Config) -> Result<Self> {
        let file = lock_file(config)?;
        let pins = Pins::read(&file).map_err(|why| {
            let message = format!("{}: {why}", file.display());
            let help = "restore the file, or remove it and pin again";
            Failure::refused(exit::SETUP, "lock_damaged", message, help)
        })?;
        Ok(Self { file, pins })
    }

    /// Writes it in one step.
    pub(super) fn write(&self) -> Result<()> {
        let failed = Failure::file("write", &self.file);
        self.pins.write(&self.file).map_err(failed)
    }
}

fn lock_file(config: &Config) -> Result<PathBuf> {
    let message = "no configuration file is named";
    let help = "name one by --config or HOLDALL_CONFIG; pins lie beside it";
    let file = config.file.as_deref().map(Pins::beside);
    file.ok_or_else(|| Failure::refused(exit::USAGE, "no_configuration", message, help))
}

impl Pin {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let (mut config, problems) = app.config();
        problems.into_result().map_err(holdall::Error::from)?;
        let mut lock = match self.names.is_empty() {
            true => Lock {
                file: lock_file(&config)?,
                pins: Pins::default(),
            },
            false => Lock::of(&config)?,
        };
        let report = scan::scan_trusted(&config.plugin_dirs, &Trust::new(&config));
        // Judged without the pins that are replaced.
        config.file = None;
        let trust = Trust::new(&config);
        let mut done = BTreeSet::new();
        for (found, descriptor) in report.by_precedence() {
            let about = &descriptor.about;
            let is_meant = self.names.is_empty() || self.names.contains(&about.name);
            if !is_meant || found.verdict() != Verdict::Accepted || done.contains(&about.name) {
                continue;
            }
            let standing = trust.judge(&found.path, found.path.parent());
            let standing = standing.map_err(|faults| {
                let codes: Vec<_> = faults.iter().map(|fault| fault.code.name()).collect();
                let message = format!("{} is refused: {}", found.path.display(), codes.join(", "));
                let help = "`holdall plugins verify FILE` says why";
                Failure::refused(exit::SETUP, "plugin_load", message, help)
            })?;
            lock.pins
                .insert(about.name.clone(), about.version.clone(), standing.sha256);
            done.insert(about.name.clone());
        }
        if let Some(missing) = self.names.iter().find(|name| !done.contains(*name)) {
            let message = format!("no plugin {missing:?} is in the plugin directories");
            let help = "`holdall plugins` shows what is there";
            return Err(Failure::refused(
                exit::NOT_FOUND,
                "unknown_plugin",
                message,
                help,
            ));
        }
        lock.write()?;
        let file = &lock.file;
        let record = json!({ "file": file.display().to_string(), "pinned": done });
        app.output.confirm(&record, || {
            let names: Vec<_> = done.iter().map(String::as_str).collect();
            format!("{}: {}", file.display(), names.join(", "))
        })
    }
}

/// Forgets what was seen of a plugin: its publisher, its highest version, verdicts of trials, and
/// crashes. The next file of this name is taken as the first.
#[derive(Debug, Args)]
pub(super) struct Release {
    /// Name of the plugin.
    #[arg(value_name = "NAME")]
    name: String,
}

impl Release {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let (config, problems) = app.config();
        problems.into_result().map_err(holdall::Error::from)?;
        let trust = Trust::new(&config);
        let Some(state) = trust.state() else {
            let help = "name one by --state-dir";
            let message = "there is no state directory";
            return Err(Failure::refused(exit::USAGE, "no_state", message, help));
        };
        let failed = || Failure::file("change", state.path());
        let known = state.release(&self.name).map_err(failed())?;
        let tried = trial::release(state, &self.name).map_err(failed())?;
        let crashed = quarantine::release(&crash_records(state.path()), &self.name);
        let crashed = crashed.map_err(failed())?;
        if !(known || tried || crashed) {
            let message = format!("nothing is remembered of a plugin {:?}", self.name);
            let help = format!("records are in {}", state.path().display());
            return Err(Failure::refused(
                exit::NOT_FOUND,
                "unknown_plugin",
                message,
                help,
            ));
        }
        let record = json!({ "released": self.name });
        app.output
            .confirm(&record, || format!("{}: released", self.name))
    }
}
