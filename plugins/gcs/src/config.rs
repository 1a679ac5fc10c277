//! What `[backend.NAME.config]` may say.

use crate::identity::Identity;
use holdall_plugin_api::{Capabilities, Problems, Result};
use holdall_plugin_api_object_store::{PartSettings, Secret, ServiceSettings, check_name};
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

/// The address of the service.
const SERVICE: &str = "https://storage.googleapis.com";
/// Who changes refresh tokens for short ones: <https://google.aip.dev/auth/4113>.
const TOKENS: &str = "https://oauth2.googleapis.com/token";
/// By its address and not by its name (`metadata.google.internal`): an address on this machine's own
/// link belongs to no other machine, whatever the names of a network say.
/// <https://cloud.google.com/compute/docs/metadata/querying-metadata>
const METADATA: &str = "http://169.254.169.254";

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

    /// `application_default`: the file, of the type `authorized_user` or `service_account`. When left
    /// out `~/.config/gcloud/application_default_credentials.json`, and the metadata service of a
    /// machine at Google where there is no such file. `GOOGLE_APPLICATION_CREDENTIALS` is not read.
    pub application_credentials_file: Option<PathBuf>,

    /// `application_default` with an `authorized_user`: who changes its refresh token for short ones,
    /// `https://oauth2.googleapis.com/token` when left out.
    pub token_endpoint: Option<String>,

    /// `application_default` without a file: the metadata service, `http://169.254.169.254` when left
    /// out. `GCE_METADATA_HOST` is not read.
    pub metadata_endpoint: Option<String>,

    /// How uploads go in parts.
    #[serde(flatten)]
    pub parts: PartSettings,

    /// How the service is reached.
    #[serde(flatten)]
    pub settings: ServiceSettings,
}

/// Who we are to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Credentials {
    /// `service_account_key` or `service_account_file`; signs URLs.
    #[default]
    ServiceAccount,
    /// What Google's own tools use on this machine, but for what only the environment names.
    ApplicationDefault,
}

/// A configuration in which nothing is wrong, with what it leaves open decided.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) config: GcsConfig,
    pub(crate) service: Url,
    pub(crate) identity: Identity,
    /// Who hands out tokens, where they do not come from a key.
    pub(crate) tokens: Url,
    pub(crate) without: Capabilities,
}

impl GcsConfig {
    /// Decides what is left open.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: everything that is wrong, each as a fact named after its field.
    pub(crate) fn settle(self) -> Result<Settled> {
        let mut problems = Problems::default();
        let without = self.settings.check(&mut problems);
        check_name("bucket", &self.bucket, 3..=222, ".-_", &mut problems);
        let identity = Identity::of(&self, &mut problems);
        let endpoint = self.endpoint.as_deref().unwrap_or(SERVICE);
        let service = self
            .settings
            .address("endpoint", endpoint, SERVICE, &mut problems);
        if service.as_ref().is_some_and(|url| url.path() != "/") {
            problems.add("endpoint", "more than scheme, host and port");
        }
        // A refresh token goes over it.
        let endpoint = self.token_endpoint.as_deref().unwrap_or(TOKENS);
        let tokens = self
            .settings
            .address("token_endpoint", endpoint, TOKENS, &mut problems);
        let metadata = self.metadata(&mut problems);
        let all = service.zip(identity).zip(tokens.zip(metadata));
        let ((service, identity), (tokens, metadata)) = problems.give(all)?;
        Ok(Settled {
            config: self,
            service,
            tokens: match identity {
                Identity::Machine => metadata,
                _ => tokens,
            },
            identity,
            without,
        })
    }

    /// The metadata service speaks no TLS and is on this machine's own link.
    fn metadata(&self, problems: &mut Problems) -> Option<Url> {
        let text = self.metadata_endpoint.as_deref().unwrap_or(METADATA);
        let url = Url::parse(text).ok();
        let good = url.filter(|url| url.scheme() == "http" && url.has_host() && url.path() == "/");
        if good.is_none() {
            problems.add(
                "metadata_endpoint",
                format!("not `http://`, host and port, such as `{METADATA}`"),
            );
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;
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
    fn a_bucket_that_would_lead_elsewhere_is_refused() {
        for bad in ["../x", "a/b", "x?y", "bu"] {
            let refused = settled(json!({"bucket": bad})).unwrap_err();
            assert!(refused.fact("bucket").is_some(), "{bad}: {refused}");
        }
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
        let Identity::ServiceAccount { key: found, .. } = of_file.unwrap().identity else {
            panic!("a key is a service account");
        };
        assert_eq!(found.reveal(), KEY);
        let gone = settled(json!({"service_account_key": null, "service_account_file": &file}));
        assert!(gone.unwrap_err().fact("service_account_file").is_some());
    }

    #[test]
    fn everything_wrong_at_once_and_no_secret_in_it() {
        let error = settled(json!({
            "service_account_key": "{\"private_key\": \"hunter2\"}",
            "prefix": "a//b",
            "endpoint": "http://far.example/x",
            "token_endpoint": "http://far.example/token",
            "metadata_endpoint": "169.254.169.254",
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
            "token_endpoint",
            "metadata_endpoint",
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
            (
                json!({"credentials": "application_default"}),
                "service_account_key",
            ),
            (
                json!({"application_credentials_file": "/f"}),
                "application_credentials_file",
            ),
        ] {
            assert!(settled(more).unwrap_err().fact(field).is_some(), "{field}");
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
        // Beside it the proxy's address.
        assert_eq!(schema.to_string().matches("x-secret").count(), 2);
    }
}
