//! Judging a whole configuration without loading anything.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::join;
use super::problem::names;
use super::{Config, ConfigProblems, Location, Problem, ProblemCode, Schema, Secrets};

/// What `holdall config check` says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Every backend, by name.
    pub backends: Vec<BackendReport>,
    /// Every problem of all of them, of the gateway and of the rules for plugins.
    pub problems: ConfigProblems,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One backend in a [`Report`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BackendReport {
    /// Its name.
    pub name: String,
    /// The plugin that it asks for.
    pub plugin: String,
    /// How many of the problems are its own.
    pub problems: usize,
}

impl Config {
    /// A problem when no backend of this configuration has the name that stands under these keys of
    /// `[server]`.
    pub fn unknown_backend(&self, keys: &[&str], name: &str) -> Option<Problem> {
        if self.backends.contains_key(name) {
            return None;
        }
        let known = || self.backends.keys().map(String::as_str);
        let expected = format!("one of {}", names(known()));
        let mut problem = self.server.problem(keys, expected, format!("{name:?}"));
        problem.code = ProblemCode::UnknownBackend;
        let fix = format!("configure it as [backend.{name}]");
        Some(problem.suggest(name, known()).fix(fix))
    }

    /// A problem for each plugin directory that was named and cannot be read.
    pub fn unreadable_plugin_dirs(&self, named: &Location) -> ConfigProblems {
        let problems = self.plugin_dirs.iter().filter_map(|dir| {
            let found = std::fs::read_dir(dir).err()?;
            let found = format!("{}: {found}", dir.display());
            Some(Problem::new(
                ProblemCode::Unreadable,
                "plugin_dirs",
                named.clone(),
                "a directory that can be read",
                found,
            ))
        });
        problems.collect()
    }
}

/// Validates every backend against the schema of its plugin, without opening or loading anything.
///
/// `schemas` holds the configuration schema of every plugin that is there, by each name and
/// scheme that a backend may call it by. References to secrets are followed, as an open would, so
/// that a missing one is found now.
pub fn check(config: &Config, schemas: &BTreeMap<String, Schema>, secrets: &Secrets) -> Report {
    let mut problems = Vec::new();
    let mut backends = Vec::new();
    let known = || schemas.keys().map(String::as_str);
    for backend in config.backends.values() {
        let before = problems.len();
        match schemas.get(&backend.plugin) {
            Some(schema) => {
                if let Err(more) = backend.resolve(schema, &config.environment, secrets) {
                    problems.extend(more);
                }
            }
            None => problems.push(
                Problem::new(
                    ProblemCode::UnknownPlugin,
                    format!("{}.plugin", join("backend", &backend.name)),
                    backend.settings.place.clone(),
                    format!("one of {}", names(known())),
                    format!("{:?}", backend.plugin),
                )
                .suggest(&backend.plugin, known())
                .fix("put the plugin's file into a plugin directory"),
            ),
        }
        backends.push(BackendReport {
            name: backend.name.clone(),
            plugin: backend.plugin.clone(),
            problems: problems.len() - before,
        });
    }
    for (name, rule) in &config.plugins {
        // A rule for a plugin that is not installed here does no harm, unless the plugin is
        // required or the name is a slip.
        let problem = Problem::new(
            ProblemCode::UnknownPlugin,
            join("plugin", name),
            config
                .file
                .as_ref()
                .map_or(Location::Default, |file| Location::File {
                    file: file.clone(),
                    line: 0,
                    column: 0,
                }),
            format!("one of {}", names(known())),
            format!("{name:?}"),
        )
        .suggest(name, known());
        if !schemas.contains_key(name) && (rule.required || problem.suggestion.is_some()) {
            problems.push(problem);
        }
    }
    if let Some(gateway) = &config.gateway
        && let Err(more) = gateway.resolve(&config.environment, secrets)
    {
        problems.extend(more);
    }
    Report {
        backends,
        problems: problems.into_iter().collect(),
    }
}
