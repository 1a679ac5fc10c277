//! The configurations that the kit opens, from one file of the author.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdall_conformance::Broken;
use holdall_conformance::Harness;
use holdall_conformance::holdall_plugin_api::descriptor::Descriptor;
use holdall_conformance::wire::Dialect;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exit;
use crate::failure::{Failure, Result};

/// Configurations with their placeholders.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Source {
    config: Map<String, Value>,
    refused: Option<Value>,
    missing: Option<Value>,
    scoped: Option<Value>,
    at: Option<Value>,
    /// The words of the server that the kit plays.
    dialect: Option<String>,
    /// Texts that must not be shown.
    secrets: Vec<String>,
}

fn invalid(message: String) -> Failure {
    Failure::refused(
        exit::SETUP,
        "config_invalid",
        message,
        "the file holds the plugin's configuration, or [backend.NAME] with plugin and [backend.NAME.config]",
    )
}

impl Source {
    /// Reads the file that is named; without one the configuration is empty.
    pub(super) fn read(file: Option<&Path>, descriptor: &Descriptor) -> Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(file).map_err(Failure::file("read", file))?;
        let root: Map<String, Value> = toml::from_str(&text)
            .map_err(|cause| invalid(format!("{}: {cause}", file.display())))?;
        let mut source = match root.get("backend").and_then(Value::as_object) {
            None => Self {
                config: root,
                ..Self::default()
            },
            Some(backends) => Self::of(backends, descriptor).ok_or_else(|| {
                invalid(format!(
                    "{} has no backend of the plugin {:?}",
                    file.display(),
                    descriptor.about.name
                ))
            })?,
        };
        if let Some(name) = &source.dialect
            && dialect(name).is_none()
        {
            return Err(invalid(format!(
                "dialect = {name:?}: plain, s3, azure, gcs or swift expected"
            )));
        }
        source.secrets = secrets(&source.config, &descriptor.about.config_schema);
        Ok(source)
    }

    fn of(backends: &Map<String, Value>, descriptor: &Descriptor) -> Option<Self> {
        let about = &descriptor.about;
        let is_of_it = |(name, backend): &(&String, &Value)| {
            let plugin = backend["plugin"].as_str().unwrap_or(name);
            plugin == about.name || about.schemes.iter().any(|scheme| scheme == plugin)
        };
        let config = |backend: &Value| match &backend["config"] {
            Value::Null => Value::Object(Map::new()),
            config => config.clone(),
        };
        let (name, backend) = backends.iter().find(is_of_it)?;
        let other = |what: &str| backends.get(&format!("{name}-{what}")).map(config);
        Some(Self {
            config: config(backend).as_object().cloned().unwrap_or_default(),
            refused: other("refused"),
            missing: other("missing"),
            scoped: other("scoped"),
            at: other("at"),
            dialect: backends
                .get(&format!("{name}-at"))
                .and_then(|at| at["dialect"].as_str())
                .map(str::to_owned),
            secrets: Vec::new(),
        })
    }
}

fn dialect(name: &str) -> Option<Dialect> {
    Some(match name {
        "plain" => Dialect::Plain,
        "s3" => Dialect::S3,
        "azure" => Dialect::Azure,
        "gcs" => Dialect::Gcs,
        "swift" => Dialect::Swift,
        _ => return None,
    })
}

/// The values of the fields that the schema calls secret.
fn secrets(config: &Map<String, Value>, schema: &Value) -> Vec<String> {
    let is_secret = |name: &str| schema["properties"][name]["x-secret"] == Value::Bool(true);
    let texts = config.iter().filter(|(name, _)| is_secret(name));
    let texts = texts.filter_map(|(_, value)| value.as_str());
    let texts = texts.filter_map(|text| match text.split_once(':') {
        Some(("env", name)) => std::env::var(name).ok(),
        Some(("file", path)) => std::fs::read_to_string(path).ok(),
        _ => Some(text.to_owned()),
    });
    texts
        .map(|text| text.trim().to_owned())
        .filter(|text| text.len() >= 6)
        .collect()
}

/// The configurations of one process of one run.
#[derive(Clone)]
pub(super) struct Filled {
    source: Source,
    /// Names the stores of this process.
    run: String,
    temp: String,
    shared: Arc<AtomicBool>,
}

impl Filled {
    pub(super) fn new(source: Source, temp: &Path) -> Self {
        let started = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        Self {
            source,
            run: format!("check-{:x}-{:x}", started.as_millis(), std::process::id()),
            temp: temp.display().to_string(),
            shared: Arc::default(),
        }
    }

    /// What a look at two instances has shown.
    pub(super) fn are_shared(&self, shared: bool) {
        self.shared.store(shared, Ordering::Relaxed);
    }

    fn fill(&self, value: &Value, store: u32, more: &[(&str, &str)]) -> Value {
        match value {
            Value::String(text) => {
                let store = format!("{}-{store}", self.run);
                let mut text = text
                    .replace("{store}", &store)
                    .replace("{temp}", &self.temp);
                for (placeholder, with) in more {
                    text = text.replace(placeholder, with);
                }
                Value::String(text)
            }
            Value::Array(values) => values
                .iter()
                .map(|value| self.fill(value, store, more))
                .collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.fill(value, store, more)))
                .collect(),
            value => value.clone(),
        }
    }
}

impl Harness for Filled {
    type Config = Value;

    fn config(&self, store: u32) -> Value {
        self.fill(&Value::Object(self.source.config.clone()), store, &[])
    }
    fn has_stores(&self) -> bool {
        // A store that each instance has for itself needs no name.
        !self.is_shared()
            || Value::Object(self.source.config.clone())
                .to_string()
                .contains("{store}")
    }
    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }
    fn broken(&self, how: Broken) -> Option<Value> {
        let config = match how {
            Broken::Credentials => self.source.refused.as_ref(),
            Broken::Container => self.source.missing.as_ref(),
        };
        Some(self.fill(config?, 0, &[]))
    }
    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        Some(self.fill(self.source.scoped.as_ref()?, store, &[("{prefix}", prefix)]))
    }
    fn at(&self, store: u32, url: &str) -> Option<Value> {
        Some(self.fill(self.source.at.as_ref()?, store, &[("{url}", url)]))
    }
    fn dialect(&self) -> Dialect {
        let named = self.source.dialect.as_deref().and_then(dialect);
        named.unwrap_or(Dialect::Plain)
    }
    fn secrets(&self) -> Vec<String> {
        self.source.secrets.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_name_stores_apart() {
        let config = json!({ "root": "{temp}/{store}", "list": ["{store}"], "n": 1 });
        let source = Source {
            config: config.as_object().unwrap().clone(),
            ..Source::default()
        };
        let filled = Filled::new(source, Path::new("/t"));
        let (one, other) = (filled.config(1), filled.config(2));
        assert_ne!(one, other);
        assert_eq!(one, filled.config(1));
        assert!(
            one["root"].as_str().unwrap().starts_with("/t/check-"),
            "{one}"
        );
        assert_eq!(one["n"], 1);
        filled.are_shared(true);
        assert!(filled.has_stores());
    }

    #[test]
    fn one_store_is_one_store() {
        let filled = Filled::new(Source::default(), Path::new("/t"));
        assert!(filled.has_stores(), "each instance its own");
        filled.are_shared(true);
        assert!(!filled.has_stores());
    }
}
