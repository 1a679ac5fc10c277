//! `config check`: the whole configuration, judged without opening or loading anything.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use holdall::config::{self, ConfigProblems, Problem, Schema, Secrets};
use holdall::inspect::Verdict;
use holdall::scan;
use holdall_server::Settings;
use serde_json::json;

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::values::printable;

/// Looks at the configuration.
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Judges all of it: every problem, with place and remedy. Nothing is opened or loaded.
    Check,
}

impl Config {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        match self.what {
            What::Check => check(app),
        }
    }
}

fn check(app: &App) -> Result<()> {
    let (config, problems) = app.config();
    let mut schemas = BTreeMap::new();
    for file in scan::scan(&config.plugin_dirs).files {
        let accepted = file.verdict() == Verdict::Accepted;
        let Some(descriptor) = file.descriptor.filter(|_| accepted) else {
            continue;
        };
        let about = descriptor.about;
        // The first has the name, as with the host.
        let schema = Schema::from(about.config_schema);
        for name in about.schemes.iter().chain([&about.name]) {
            schemas
                .entry(name.clone())
                .or_insert_with(|| schema.clone());
        }
    }
    let secrets = Secrets::under(&config.trust);
    let report = config::check(&config, &schemas, &secrets);
    let of_server = match Settings::of(&config) {
        Ok(settings) => settings.unknown_backends(&config),
        Err(problems) => problems,
    };
    let of_dirs = match app.plugin_dirs_named_by(&config) {
        Some(place) => config.unreadable_plugin_dirs(&place),
        None => ConfigProblems::default(),
    };
    let all: Vec<&Problem> = problems
        .iter()
        .chain(report.problems.iter())
        .chain(of_server.iter())
        .chain(of_dirs.iter())
        .collect();
    let text = |text: &str| printable(&secrets.redact(text));
    let record = json!({
        "file": config.file.as_ref().map(|file| file.to_string_lossy()),
        "plugin_dirs": config.plugin_dirs.iter().map(|dir| dir.to_string_lossy()).collect::<Vec<_>>(),
        "default_backend": config.default_backend,
        "backends": report.backends,
        "problems": all,
    });
    app.output.answer(&record, || {
        let mut lines = vec![match &config.file {
            Some(file) => format!("configuration {}", file.display()),
            None => {
                "no configuration file is named (--config, HOLDALL_CONFIG); these are the defaults"
                    .to_owned()
            }
        }];
        for backend in &report.backends {
            let state = match backend.problems {
                0 => "right".to_owned(),
                count => counted(count),
            };
            lines.push(format!(
                "backend {} (plugin {}): {state}",
                backend.name,
                text(&backend.plugin)
            ));
        }
        lines.extend(all.iter().map(|problem| text(&problem.to_string())));
        lines.join("\n")
    })?;
    if all.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(
        exit::SETUP,
        "config_invalid",
        format!("{} in the configuration", counted(all.len())),
        "each stands above with its place and remedy",
    ))
}

fn counted(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    }
}
