//! What `[backend.NAME.config]` may say.

use holdall_plugin_api::{Capabilities, Capability, Error, ErrorKind, KeyPolicy, Result};
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

/// The address of the service.
const SERVICE: &str = "https://storage.googleapis.com";

/// A bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GcsConfig {
    /// Its name.
    #[cfg_attr(test, schemars(length(min = 3, max = 222)))]
    pub bucket: String,

    /// Where the service is: `https://storage.googleapis.com` when left out.
    pub endpoint: Option<String>,

    /// The service behind `endpoint` verifies signed URLs as those of `storage.googleapis.com`, which is
    /// the name that they are signed for. Without this, URLs of another endpoint are signed by the
    /// gateway.
    #[serde(default)]
    pub endpoint_verifies_google_urls: bool,

    /// Allows an `endpoint` with `http://` that is not on this machine: everything, tokens included,
    /// travels readable.
    #[serde(default)]
    pub allow_http: bool,

    /// Keeps all objects below this prefix, such as `team/a/`. Ends in `/`.
    #[serde(default)]
    pub prefix: String,

    /// Who we are to the store.
    #[serde(default)]
    pub credentials: Credentials,

    /// `service_account`: the key as JSON, the whole file that Google hands out.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub service_account_key: Option<String>,

    /// `service_account`: the file that holds the key.
    pub service_account_file: Option<PathBuf>,

    /// `application_default`: the file, `~/.config/gcloud/application_default_credentials.json` when
    /// left out, and the metadata service of a machine at Google where there is no such file.
    pub application_credentials_file: Option<PathBuf>,

    /// Bytes of a part, in MiB. An object has 10 000 parts, so this bounds its size.
    #[serde(default = "default_part_size")]
    #[cfg_attr(test, schemars(range(min = 5, max = 5120)))]
    pub part_size_mib: u32,

    /// Parts in flight at once. One upload holds one part more than that in memory.
    #[serde(default = "default_parts")]
    #[cfg_attr(test, schemars(range(min = 1, max = 64)))]
    pub parts_at_once: u32,

    /// Largest conditional upload, in MiB: the service holds conditions over single requests only, so
    /// that such an upload is held in memory.
    #[serde(default = "default_conditional")]
    #[cfg_attr(test, schemars(range(min = 1, max = 5120)))]
    pub conditional_upload_mib: u32,

    /// How often a request that failed for a passing reason is made again.
    #[serde(default = "default_retries")]
    #[cfg_attr(test, schemars(range(max = 10)))]
    pub retries: u32,

    /// Longest time to a connection, in seconds.
    #[serde(default = "default_connect")]
    #[cfg_attr(test, schemars(range(min = 1, max = 600)))]
    pub connect_timeout_seconds: u32,

    /// Longest time from a request to the beginning of its answer, the sending of a part included,
    /// in seconds.
    #[serde(default = "default_answer")]
    #[cfg_attr(test, schemars(range(min = 1, max = 3600)))]
    pub answer_timeout_seconds: u32,

    /// Longest silence while an object is read, in seconds. Not counted while the caller waits.
    #[serde(default = "default_idle")]
    #[cfg_attr(test, schemars(range(min = 1, max = 3600)))]
    pub idle_timeout_seconds: u32,

    /// A file of certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,

    /// How to get out.
    #[serde(default)]
    pub proxy: Proxy,

    /// What this store is not to be asked for, by the names of capabilities: `["sign_put"]`.
    #[serde(default)]
    pub without: Vec<String>,
}

/// Who we are to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Credentials {
    /// `service_account_key` or `service_account_file`; signs URLs.
    #[default]
    ServiceAccount,
    /// What Google's own tools use on this machine.
    ApplicationDefault,
}

/// How to get out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Proxy {
    /// Directly, whatever the environment says.
    #[default]
    None,
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
    /// Through this one.
    Url(String),
}

fn default_part_size() -> u32 {
    8
}
fn default_parts() -> u32 {
    4
}
fn default_conditional() -> u32 {
    64
}
fn default_retries() -> u32 {
    2
}
fn default_connect() -> u32 {
    5
}
fn default_answer() -> u32 {
    60
}
fn default_idle() -> u32 {
    30
}

/// A configuration in which nothing is wrong, with what it leaves open decided.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) config: GcsConfig,
    pub(crate) service: Url,
    pub(crate) without: Capabilities,
}

impl GcsConfig {
    /// Decides what is left open.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: everything that is wrong, each as a fact named after its field.
    pub(crate) fn settle(mut self) -> Result<Settled> {
        let mut problems = Problems::default();
        self.find_key(&mut problems);
        if !self.prefix.is_empty() {
            let inner = self.prefix.strip_suffix('/');
            if inner.is_none_or(|inner| KeyPolicy::Portable.check(inner).is_err()) {
                problems.add(
                    "prefix",
                    "a prefix is `a/b/`: segments as in a key, and a slash at its end",
                );
            }
        }
        let mut without = Capabilities::EMPTY;
        for name in &self.without {
            match Capability::from_name(name) {
                Some(capability) => without = without.with(capability.into()),
                None => problems.add("without", format!("no capability is called {name:?}")),
            }
        }
        let service = self.service(&mut problems);
        problems.none()?;
        let Some(service) = service else {
            return Err(Error::new(ErrorKind::ConfigInvalid).message("endpoint"));
        };
        Ok(Settled {
            config: self,
            service,
            without,
        })
    }

    /// The key of a service account, from wherever it is, and whether it is one.
    fn find_key(&mut self, problems: &mut Problems) {
        if self.credentials != Credentials::ServiceAccount {
            if self.service_account_key.is_some() || self.service_account_file.is_some() {
                problems.add(
                    "credentials",
                    "a service account is given, but `credentials` says that they come from elsewhere",
                );
            }
            return;
        }
        let (field, text) = match (&self.service_account_key, &self.service_account_file) {
            (Some(_), Some(_)) => {
                problems.add(
                    "service_account_file",
                    "beside `service_account_key`: which one?",
                );
                return;
            }
            (None, None) => {
                problems.add(
                    "service_account_file",
                    "needed for these credentials, or `service_account_key`",
                );
                return;
            }
            (Some(key), None) => ("service_account_key", key.clone()),
            (None, Some(file)) => match std::fs::read_to_string(file) {
                Ok(text) => ("service_account_file", text),
                Err(cause) => {
                    let problem = format!("{} cannot be read: {cause}", file.display());
                    problems.add("service_account_file", problem);
                    return;
                }
            },
        };
        // What is wrong is said without quoting any of it.
        match serde_json::from_str::<serde_json::Value>(&text) {
            Err(_) => problems.add(field, "not JSON"),
            Ok(value) => {
                let fields = ["client_email", "private_key", "private_key_id"];
                let missing: Vec<_> = fields
                    .into_iter()
                    .filter(|name| !value[name].is_string())
                    .collect();
                if !missing.is_empty() {
                    problems.add(
                        field,
                        format!("no key of a service account: {missing:?} missing"),
                    );
                }
            }
        }
        self.service_account_key = Some(text);
    }

    fn service(&self, problems: &mut Problems) -> Option<Url> {
        let endpoint = self.endpoint.as_deref().unwrap_or(SERVICE);
        let url = match Url::parse(endpoint) {
            Ok(url) if url.has_host() => url,
            _ => {
                problems.add(
                    "endpoint",
                    "not a URL such as `https://storage.googleapis.com`",
                );
                return None;
            }
        };
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            problems.add("endpoint", "more than scheme, host and port");
        }
        let here = url.host_str().is_some_and(is_loopback);
        match url.scheme() {
            "https" => {}
            "http" if here || self.allow_http => {}
            "http" => problems.add(
                "endpoint",
                "`http://` is readable on the way: use `https://`, or say `allow_http = true`",
            ),
            _ => problems.add("endpoint", "neither `https://` nor `http://`"),
        }
        Some(url)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Everything that is wrong, at once.
#[derive(Debug, Default)]
struct Problems(Vec<(&'static str, String)>);

impl Problems {
    fn add(&mut self, field: &'static str, problem: impl Into<String>) {
        self.0.push((field, problem.into()));
    }

    fn none(&self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let fields: Vec<_> = self.0.iter().map(|(field, _)| *field).collect();
        let error = Error::new(ErrorKind::ConfigInvalid)
            .message(format!("wrong in the configuration: {}", fields.join(", ")));
        let facts = self.0.iter();
        Err(facts.fold(error, |error, (field, problem)| error.fact(*field, problem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = r#"{"client_email": "a@b", "private_key": "hunter2", "private_key_id": "1"}"#;

    fn settled(value: serde_json::Value) -> Result<Settled> {
        let mut whole = json!({"bucket": "photos", "service_account_key": KEY});
        for (name, value) in value.as_object().unwrap() {
            match value.is_null() {
                true => drop(whole.as_object_mut().unwrap().remove(name)),
                false => whole[name] = value.clone(),
            }
        }
        serde_json::from_value::<GcsConfig>(whole).unwrap().settle()
    }

    #[test]
    fn the_key_is_in_the_configuration_or_in_a_file() {
        assert_eq!(
            settled(json!({})).unwrap().service.as_str(),
            "https://storage.googleapis.com/"
        );
        let file = std::env::temp_dir().join(format!("holdall-gcs-{}", std::process::id()));
        std::fs::write(&file, KEY).unwrap();
        let of_file = settled(json!({"service_account_key": null, "service_account_file": &file}));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            of_file.unwrap().config.service_account_key.as_deref(),
            Some(KEY)
        );
        let gone = settled(json!({"service_account_key": null, "service_account_file": &file}));
        assert!(
            gone.unwrap_err()
                .fact_value("service_account_file")
                .is_some()
        );
    }

    #[test]
    fn everything_wrong_at_once_and_no_secret_in_it() {
        let error = settled(json!({
            "service_account_key": "{\"private_key\": \"hunter2\"}",
            "prefix": "a//b",
            "endpoint": "http://far.example/x",
            "without": ["speed"],
        }))
        .unwrap_err();
        let fields: Vec<_> = error.facts().map(|(field, _)| field).collect();
        let wanted = [
            "service_account_key",
            "prefix",
            "without",
            "endpoint",
            "endpoint",
        ];
        assert_eq!(fields, wanted);
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        assert!(!format!("{error:?}").contains("hunter2"));
        for (more, field) in [
            (json!({"service_account_key": null}), "service_account_file"),
            (
                json!({"service_account_key": "hunter2"}),
                "service_account_key",
            ),
            (json!({"credentials": "application_default"}), "credentials"),
        ] {
            assert!(
                settled(more).unwrap_err().fact_value(field).is_some(),
                "{field}"
            );
        }
    }

    #[test]
    fn the_schema_marks_every_secret() {
        let schema = schemars::schema_for!(GcsConfig).to_value();
        assert_eq!(
            schema["properties"]["service_account_key"]["x-secret"],
            true
        );
        assert_eq!(schema.to_string().matches("x-secret").count(), 1);
    }
}
