//! `plugins install` and `plugins remove`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use holdall::config::Config;
use holdall::inspect::{Verdict, inspect_file};
use holdall::scan;
use holdall::trust::{Standing, Trust, signature_file};
use serde_json::json;
use tempfile::TempDir;

use super::pin::Lock;
use super::{refusal, standing_line};
use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::files;

/// Copies a plugin file, and its signature when there is one, into a plugin directory. The copy is judged
/// without running it, then renamed into place.
#[derive(Debug, Args)]
pub(super) struct Install {
    /// The plugin file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Pins the file in `holdall.lock`; an earlier pin of its name is replaced.
    #[arg(long)]
    pin: bool,
}

impl Install {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let mut config = read(app)?;
        let lock = match self.pin {
            true => Some(Lock::of(&config)?),
            false => None,
        };
        if self.pin {
            // Judged without the pin that is replaced.
            config.file = None;
        }
        let Some(directory) = config.plugin_dirs.first() else {
            let message = "there is no plugin directory";
            let help = "name one by --plugin-dir";
            return Err(Failure::refused(
                exit::USAGE,
                "no_plugin_dir",
                message,
                help,
            ));
        };
        let Some(name) = self.file.file_name() else {
            return Err(Failure::usage("FILE is the path of a plugin's file"));
        };
        let to = directory.join(name);
        std::fs::create_dir_all(directory).map_err(Failure::file("create", directory))?;
        // On the file system of the target, under a name that no scan takes for a plugin.
        let staging = tempfile::Builder::new()
            .prefix(".install-")
            .tempdir_in(directory);
        let staging = staging.map_err(Failure::file("write to", directory))?;
        let copy = self.copied(&staging)?;
        let trust = Trust::new(&config);
        let standing = trust.judge(&copy, None).map_err(|faults| {
            let codes: Vec<_> = faults.iter().map(|fault| fault.code.name()).collect();
            app.output.note(&format!("refused{}", refusal(&faults)));
            Failure::refused(
                exit::SETUP,
                "plugin_load",
                format!("{} is refused: {}", self.file.display(), codes.join(", ")),
                faults
                    .first()
                    .map(|fault| fault.fix.clone())
                    .unwrap_or_default(),
            )
        })?;
        // The pin first: between the two steps the old file is refused, never a new one used unpinned.
        if let Some(mut lock) = lock {
            let about = inspect_file(&copy)
                .descriptor
                .map(|descriptor| descriptor.about);
            if let Some(about) = about {
                lock.pins.insert(about.name, about.version, standing.sha256);
                lock.write()?;
            }
        }
        place(&copy, &to)?;
        let record = json!({ "installed": to.display().to_string(), "standing": standing });
        app.output.confirm(&record, || shown(&to, &standing))
    }

    fn copied(&self, staging: &TempDir) -> Result<PathBuf> {
        let copy = staging
            .path()
            .join(self.file.file_name().unwrap_or_default());
        copy_file(&self.file, &copy, 0o755)?;
        let signature = signature_file(&self.file);
        if signature.exists() {
            copy_file(&signature, &signature_file(&copy), 0o644)?;
        }
        Ok(copy)
    }
}

fn shown(to: &Path, standing: &Standing) -> String {
    format!("{}: {}", to.display(), standing_line(standing))
}

fn copy_file(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut file = File::create_new(to)?;
        files::set_mode(&file, mode)?;
        io::copy(&mut File::open(from)?, &mut file)?;
        file.sync_all()
    };
    written().map_err(Failure::file("copy", from))
}

/// Renames file and signature into place. The signature first: between the two steps the old file has
/// another signature than its own and is refused, while a new file is never there without its own.
fn place(copy: &Path, to: &Path) -> Result<()> {
    let (from, beside) = (signature_file(copy), signature_file(to));
    let signature = match from.exists() {
        true => std::fs::rename(&from, &beside),
        false => match std::fs::remove_file(&beside) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        },
    };
    signature.map_err(Failure::file("write", &beside))?;
    std::fs::rename(copy, to).map_err(Failure::file("write", to))?;
    let directory = to.parent().unwrap_or(Path::new("."));
    files::sync_directory(directory).map_err(Failure::file("write to", directory))
}

/// Removes the file of a plugin, and its signature, from its plugin directory.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the plugin.
    #[arg(value_name = "NAME")]
    name: String,
}

impl Remove {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let config = read(app)?;
        let report = scan::scan(&config.plugin_dirs);
        let mut files = report.files.iter().filter(|file| {
            let descriptor = file.descriptor.as_ref();
            file.verdict() != Verdict::NotAPlugin
                && descriptor.is_some_and(|it| it.about.name == self.name)
        });
        let Some(file) = files.next() else {
            let message = format!("no plugin {:?} is in the plugin directories", self.name);
            let help = "`holdall plugins` shows what is there";
            return Err(Failure::refused(
                exit::NOT_FOUND,
                "unknown_plugin",
                message,
                help,
            ));
        };
        if let Some(other) = files.next() {
            let (one, other) = (file.path.display(), other.path.display());
            let message = format!("{:?} is in {one} and in {other}", self.name);
            let help = "remove the file that is meant";
            return Err(Failure::refused(
                exit::BAD_INPUT,
                "ambiguous",
                message,
                help,
            ));
        }
        let signature = signature_file(&file.path);
        std::fs::remove_file(&file.path).map_err(Failure::file("remove", &file.path))?;
        if signature.exists() {
            std::fs::remove_file(&signature).map_err(Failure::file("remove", &signature))?;
        }
        let path = file.path.display().to_string();
        let record = json!({ "removed": path });
        app.output.confirm(&record, || format!("{path}: removed"))
    }
}

fn read(app: &App) -> Result<Config> {
    let (config, problems) = app.config();
    problems.into_result().map_err(holdall::Error::from)?;
    Ok(config)
}
