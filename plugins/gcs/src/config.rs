//! What `[backend.NAME.config]` may say.

use holdall_plugin_api::{Capabilities, Error, ErrorKind, Result};
use holdall_plugin_api_object_store::{Problems, Secret, Settings};
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

    /// Who we are to the store.
    #[serde(default)]
    pub credentials: Credentials,

    /// `service_account`: the key as JSON, the whole file that Google hands out.
    pub service_account_key: Option<Secret>,

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

    /// Unfinished uploads below `prefix` to which no part was added for so many seconds are removed
    /// when an upload in parts begins: those of a process that was killed. 0 leaves them.
    #[serde(default = "default_abandoned")]
    pub abandoned_after_seconds: u32,

    /// How the service is reached.
    #[serde(flatten)]
    pub settings: Settings,
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

fn default_part_size() -> u32 {
    8
}
fn default_parts() -> u32 {
    4
}
fn default_conditional() -> u32 {
    64
}
fn default_abandoned() -> u32 {
    24 * 3600
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
        let without = self.settings.check(&mut problems);
        self.find_key(&mut problems);
        let endpoint = self.endpoint.as_deref().unwrap_or(SERVICE);
        let service = self
            .settings
            .address("endpoint", endpoint, SERVICE, &mut problems);
        if service.as_ref().is_some_and(|url| url.path() != "/") {
            problems.add("endpoint", "more than scheme, host and port");
        }
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
            (Some(key), None) => ("service_account_key", key.reveal().to_owned()),
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
        self.service_account_key = Some(text.into());
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
            of_file
                .unwrap()
                .config
                .service_account_key
                .unwrap()
                .reveal(),
            KEY
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
            "prefix",
            "without",
            "service_account_key",
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
    fn an_unknown_field_is_none() {
        let json = json!({"bucket": "photos", "retreis": 1, "retries": 1});
        let error = serde_json::from_value::<GcsConfig>(json).unwrap_err();
        assert!(error.to_string().contains("retreis"), "{error}");
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
