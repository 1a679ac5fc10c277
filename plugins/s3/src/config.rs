//! What `[backend.NAME.config]` may say.

use crate::preset::Preset;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdall_plugin_api::{Capabilities, Problems, Result};
use holdall_plugin_api_object_store::{PartSettings, Secret, ServiceSettings, check_name};
use serde::Deserialize;
use std::path::PathBuf;

/// A bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct S3Config {
    /// Its name.
    #[cfg_attr(test, schemars(length(min = 3, max = 255)))]
    pub bucket: String,

    /// Whose S3 it is: sets what the fields below leave out, and what the store does not do.
    #[serde(default)]
    pub preset: Preset,

    /// Where the store is, such as `https://minio.example:9000`. Amazon's own, or the preset's, when
    /// left out.
    pub endpoint: Option<String>,

    /// The region in signatures and in the address: `us-east-1` when left out, unless the preset
    /// says otherwise.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub region: Option<String>,

    /// The bucket is the first segment of the path (`true`) or a host of its own (`false`).
    pub path_style: Option<bool>,

    /// Where the keys come from.
    #[serde(default)]
    pub credentials: Credentials,

    /// `static`: the id of the access key.
    pub access_key_id: Option<String>,

    /// `static`: the secret of the access key.
    pub secret_access_key: Option<Secret>,

    /// `static`: the token of temporary keys.
    pub session_token: Option<Secret>,

    /// `profile`: its name.
    #[serde(default = "default_profile")]
    pub profile: String,

    /// `profile`: the file, `~/.aws/credentials` when left out.
    pub profile_file: Option<PathBuf>,

    /// `web_identity`: the role to take.
    pub role_arn: Option<String>,

    /// `web_identity`: the file that holds the token; read again at each renewal.
    pub web_identity_token_file: Option<PathBuf>,

    /// `web_identity`: how the session is called in audit trails.
    #[serde(default = "default_session")]
    pub role_session_name: String,

    /// `web_identity`: the token service, that of the region when left out.
    pub sts_endpoint: Option<String>,

    /// `instance`: the metadata service, `http://169.254.169.254` when left out.
    pub metadata_endpoint: Option<String>,

    /// `container`: the address that hands out keys, such as `http://169.254.170.23/v1/credentials`.
    pub container_credentials_uri: Option<String>,

    /// `container`: the file that holds the authorization for that address.
    pub container_token_file: Option<PathBuf>,

    /// Pays for requests to a bucket of another account.
    #[serde(default)]
    pub requester_pays: bool,

    /// How the store encrypts objects; its own choice when left out.
    pub encryption: Option<Encryption>,

    /// Sends a digest with every object and part, which the store compares. Off when left out:
    /// several compatible stores refuse, or do not look at, the header.
    pub checksum: Option<Checksum>,

    /// How uploads go in parts.
    #[serde(flatten)]
    pub parts: PartSettings,

    /// How the store is reached.
    #[serde(flatten)]
    pub settings: ServiceSettings,
}

/// Where the keys come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Credentials {
    /// `access_key_id`, `secret_access_key`, and `session_token` where there is one.
    #[default]
    Static,
    /// A profile of the AWS tools: static keys in a file, read again when it changes.
    Profile,
    /// A token in a file, changed for the keys of a role (Kubernetes, GitHub).
    WebIdentity,
    /// The metadata service of a machine at Amazon.
    Instance,
    /// The credentials service of a container at Amazon.
    Container,
    /// None: requests are not signed. Public buckets only.
    Anonymous,
}

/// How the store encrypts.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Encryption {
    /// With keys of the key management service.
    Kms {
        /// The key.
        key_id: String,
        /// Fewer calls to the service by a key of the bucket.
        #[serde(default)]
        bucket_key: bool,
    },
    /// Twice, with keys of the key management service.
    KmsDsse {
        /// The key.
        key_id: String,
    },
    /// With a key that is sent along and that the store forgets. Signed URLs are not possible.
    Customer {
        /// 32 bytes in base64.
        key: Secret,
    },
}

/// A digest of each request's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Checksum {
    /// SHA-256.
    Sha256,
    /// CRC-64/NVME.
    Crc64nvme,
}

fn default_profile() -> String {
    "default".to_owned()
}
fn default_session() -> String {
    "holdall".to_owned()
}

/// A configuration in which nothing is wrong, with what it leaves open decided.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) config: S3Config,
    pub(crate) region: String,
    /// The address of the bucket, without a slash at its end.
    pub(crate) bucket_url: String,
    /// `host` or `host:port` of it.
    pub(crate) authority: String,
    pub(crate) without: Capabilities,
}

impl S3Config {
    /// Decides what is left open.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: everything that is wrong, each as a fact named after its field.
    pub(crate) fn settle(self) -> Result<Settled> {
        let mut problems = Problems::default();
        let traits = self.preset.traits();
        let region = self.region.clone().or(traits.region.map(str::to_owned));
        if region.is_none() {
            problems.add("region", "this preset has no usual region: name one");
        }
        if let Some(region) = &region {
            check_name("region", region, 1..=63, "-_", &mut problems);
        }
        let region = region.unwrap_or_default();
        // Names of old buckets have capitals and underscores; Ceph has `TENANT:BUCKET`.
        let between = match self.preset {
            Preset::Ceph => ".-_:",
            _ => ".-_",
        };
        check_name("bucket", &self.bucket, 3..=255, between, &mut problems);
        let without = self.settings.check(&mut problems);
        self.check_credentials(&mut problems);
        if let Some(Encryption::Customer { key }) = &self.encryption {
            let bytes = STANDARD.decode(key.reveal()).map(|bytes| bytes.len());
            if bytes.ok() != Some(32) {
                problems.add("encryption.key", "a key is 32 bytes in base64");
            }
        }
        let bucket_url = self.bucket_url(&region, &mut problems);
        problems.none()?;
        let authority = bucket_url
            .split_once("://")
            .map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        Ok(Settled {
            authority: authority.to_owned(),
            region,
            bucket_url,
            without: traits.without.with(without),
            config: self,
        })
    }

    fn check_credentials(&self, problems: &mut Problems) {
        let (needs, allowed): (&[_], &[_]) = match self.credentials {
            Credentials::Static => (&["access_key_id", "secret_access_key"], &["session_token"]),
            Credentials::Profile => (&[], &["profile_file"]),
            Credentials::WebIdentity => {
                (&["role_arn", "web_identity_token_file"], &["sts_endpoint"])
            }
            Credentials::Instance => (&[], &["metadata_endpoint"]),
            Credentials::Container => (&["container_credentials_uri", "container_token_file"], &[]),
            Credentials::Anonymous => (&[], &[]),
        };
        let fields = [
            ("access_key_id", self.access_key_id.is_some()),
            ("secret_access_key", self.secret_access_key.is_some()),
            ("session_token", self.session_token.is_some()),
            ("profile_file", self.profile_file.is_some()),
            ("role_arn", self.role_arn.is_some()),
            (
                "web_identity_token_file",
                self.web_identity_token_file.is_some(),
            ),
            ("sts_endpoint", self.sts_endpoint.is_some()),
            ("metadata_endpoint", self.metadata_endpoint.is_some()),
            (
                "container_credentials_uri",
                self.container_credentials_uri.is_some(),
            ),
            ("container_token_file", self.container_token_file.is_some()),
        ];
        problems.choice("these credentials", &fields, needs, allowed);
        // A token goes over it.
        if let Some(address) = &self.sts_endpoint {
            let example = "https://sts.eu-west-3.amazonaws.com";
            self.settings
                .address("sts_endpoint", address, example, problems);
        }
    }

    fn bucket_url(&self, region: &str, problems: &mut Problems) -> String {
        let traits = self.preset.traits();
        let bucket = &self.bucket;
        let configured = self.endpoint.clone();
        let own = traits.endpoint.map(|url| url.replace("{region}", region));
        let path_style = self.path_style.unwrap_or(match self.preset {
            // An address of one's own, or a dot that no certificate covers.
            Preset::Aws => configured.is_some() || bucket.contains('.'),
            _ => traits.path_style,
        });
        let endpoint = match configured.or(own) {
            Some(endpoint) => endpoint,
            None if self.preset.needs_endpoint() => {
                problems.add("endpoint", "this preset has no address of its own: name it");
                return String::new();
            }
            None => format!("https://s3.{region}.amazonaws.com"),
        };
        let example = "https://s3.example:9000";
        let Some(mut url) = self
            .settings
            .address("endpoint", &endpoint, example, problems)
        else {
            return String::new();
        };
        if url.path() != "/" {
            problems.add("endpoint", "more than scheme, host and port");
        }
        if !path_style {
            let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
            if url.set_host(Some(&host)).is_err() {
                problems.add("bucket", "no part of a host name: say `path_style = true`");
            }
            return url.as_str().trim_end_matches('/').to_owned();
        }
        format!("{}/{bucket}", url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::{Capability, ErrorKind};
    use serde_json::json;

    fn settled(value: serde_json::Value) -> Result<Settled> {
        let mut whole = json!({"bucket": "photos", "access_key_id": "a", "secret_access_key": "b"});
        for (name, value) in value.as_object().unwrap() {
            match value.is_null() {
                true => drop(whole.as_object_mut().unwrap().remove(name)),
                false => whole[name] = value.clone(),
            }
        }
        serde_json::from_value::<S3Config>(whole).unwrap().settle()
    }

    fn url(value: serde_json::Value) -> String {
        settled(value).unwrap().bucket_url
    }

    #[test]
    fn addresses() {
        assert_eq!(url(json!({})), "https://photos.s3.us-east-1.amazonaws.com");
        assert_eq!(
            url(json!({"region": "eu-west-3", "path_style": true})),
            "https://s3.eu-west-3.amazonaws.com/photos"
        );
        assert_eq!(
            url(json!({"bucket": "a.b"})),
            "https://s3.us-east-1.amazonaws.com/a.b"
        );
        assert_eq!(
            url(json!({"preset": "minio", "endpoint": "http://127.0.0.1:9000/"})),
            "http://127.0.0.1:9000/photos"
        );
        assert_eq!(
            url(json!({"preset": "spaces", "region": "nyc3"})),
            "https://nyc3.digitaloceanspaces.com/photos"
        );
        assert_eq!(
            url(
                json!({"preset": "r2", "endpoint": "https://x.r2.cloudflarestorage.com", "path_style": false})
            ),
            "https://photos.x.r2.cloudflarestorage.com"
        );
        let r2 = settled(json!({"preset": "r2", "endpoint": "https://x.example:8443"})).unwrap();
        assert_eq!(
            (r2.region.as_str(), r2.authority.as_str()),
            ("auto", "x.example:8443")
        );
    }

    #[test]
    fn everything_wrong_at_once() {
        let error = settled(json!({
            "preset": "b2",
            "secret_access_key": null,
            "prefix": "a//b",
            "endpoint": "http://far.example",
            "without": ["create_only", "speed"],
            "encryption": {"type": "customer", "key": "short"},
            "credentials": "web_identity",
            "role_arn": "arn",
            "sts_endpoint": "http://sts.example",
        }))
        .unwrap_err();
        let fields: Vec<_> = error.facts().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            [
                "region",
                "prefix",
                "without",
                "access_key_id",
                "web_identity_token_file",
                "sts_endpoint",
                "encryption.key",
                "endpoint"
            ]
        );
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for (field, bad) in [
            ("bucket", "../x"),
            ("bucket", "a/../b"),
            ("bucket", "x?y"),
            ("bucket", "bucket#"),
            ("bucket", "b@evil.example"),
            ("region", "x.evil.example/"),
            ("region", "a@b"),
        ] {
            for path_style in [true, false] {
                let refused = settled(json!({field: bad, "path_style": path_style})).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ConfigInvalid, "{bad}");
                assert!(refused.fact(field).is_some(), "{bad}: {refused}");
            }
        }
    }

    #[test]
    fn a_preset_without_an_address_asks_for_one() {
        for preset in ["minio", "ceph", "r2", "garage", "seaweedfs"] {
            let error = settled(json!({"preset": preset})).unwrap_err();
            assert!(error.fact("endpoint").is_some(), "{preset}");
        }
    }

    #[test]
    fn an_unknown_field_is_none() {
        let json = json!({"bucket": "photos", "retreis": 1, "retries": 1});
        let error = serde_json::from_value::<S3Config>(json).unwrap_err();
        assert!(error.to_string().contains("retreis"), "{error}");
    }

    #[test]
    fn presets_narrow_and_so_does_the_operator() {
        let ceph =
            json!({"preset": "ceph", "endpoint": "http://localhost:1", "without": ["if_time"]});
        let without = settled(ceph).unwrap().without;
        assert!(without.has(Capability::IfMatchPut) && without.has(Capability::IfTime));
        assert!(!without.has(Capability::CreateOnly));
    }

    #[test]
    fn the_schema_marks_every_secret() {
        let schema = schemars::schema_for!(S3Config).to_value();
        for field in ["secret_access_key", "session_token"] {
            assert_eq!(schema["properties"][field]["x-secret"], true, "{field}");
        }
        // Beside these a key to encrypt with, and the proxy's address.
        assert_eq!(schema.to_string().matches("x-secret").count(), 4);
    }
}
