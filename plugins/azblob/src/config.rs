//! What `[backend.NAME.config]` may say.

use crate::connection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdall_plugin_api::{Capabilities, Problems, Result};
use holdall_plugin_api_object_store::{Secret, ServiceSettings, check_name};
use object_store::azure::split_sas;
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

/// A container.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AzblobConfig {
    /// Its name.
    #[cfg_attr(test, schemars(length(min = 3, max = 63)))]
    pub container: String,

    /// The storage account. A connection string names it too.
    #[cfg_attr(test, schemars(length(min = 3, max = 24)))]
    pub account: Option<String>,

    /// Where the blob service is: `https://ACCOUNT.blob.core.windows.net` when left out. Another
    /// cloud, a private endpoint, or Azurite, whose address ends in `/ACCOUNT`.
    pub endpoint: Option<String>,

    /// Who we are to the store.
    #[serde(default)]
    pub credentials: Credentials,

    /// `account_key`: a key of the account, in base64.
    pub account_key: Option<Secret>,

    /// `sas`: a shared access signature for the container or the account, as the portal shows it.
    pub sas_token: Option<Secret>,

    /// `connection_string`: as the portal shows it, with a key or a signature in it.
    pub connection_string: Option<Secret>,

    /// `client_secret`, `workload_identity`: the tenant.
    pub tenant_id: Option<String>,

    /// `client_secret`, `workload_identity`: the application. `managed_identity`: one of several
    /// identities of the machine.
    pub client_id: Option<String>,

    /// `client_secret`: the secret of the application.
    pub client_secret: Option<Secret>,

    /// `client_secret`, `workload_identity`: who hands out tokens,
    /// `https://login.microsoftonline.com` when left out.
    pub authority_host: Option<String>,

    /// `workload_identity`: the file that holds the token; read again at each renewal.
    pub federated_token_file: Option<PathBuf>,

    /// `managed_identity`: the metadata service, that of a virtual machine when left out.
    pub identity_endpoint: Option<String>,

    /// Bytes of a block, in MiB. A blob has 50 000 blocks, so this bounds the size of an object.
    #[serde(default = "default_block_size")]
    #[cfg_attr(test, schemars(range(min = 1, max = 4000)))]
    pub block_size_mib: u32,

    /// Blocks in flight at once. One upload holds one block more than that in memory.
    #[serde(default = "default_blocks")]
    #[cfg_attr(test, schemars(range(min = 1, max = 64)))]
    pub blocks_at_once: u32,

    /// Conditional uploads of up to so many MiB go in one request and are held in memory, larger ones
    /// are refused. Left out, the list of blocks carries the condition, whatever the size; Azurite
    /// takes a name that has blocks and no list for one that exists, and needs this.
    #[cfg_attr(test, schemars(range(min = 1, max = 4000)))]
    pub conditional_upload_mib: Option<u32>,

    /// How the service is reached.
    #[serde(flatten)]
    pub settings: ServiceSettings,
}

/// Who we are to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Credentials {
    /// `account_key`: may do everything, and signs URLs.
    #[default]
    AccountKey,
    /// `sas_token`.
    Sas,
    /// `connection_string`.
    ConnectionString,
    /// An application with a secret: `tenant_id`, `client_id`, `client_secret`.
    ClientSecret,
    /// A token in a file (Kubernetes): `tenant_id`, `client_id`, `federated_token_file`.
    WorkloadIdentity,
    /// The identity of a machine at Azure.
    ManagedIdentity,
    /// None: public containers only.
    Anonymous,
}

fn default_block_size() -> u32 {
    8
}
fn default_blocks() -> u32 {
    4
}

/// A configuration in which nothing is wrong, with what it leaves open decided.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) config: AzblobConfig,
    pub(crate) account: String,
    /// The blob service, without a slash at its end.
    pub(crate) service: Url,
    pub(crate) identity: Identity,
    pub(crate) without: Capabilities,
}

/// Who we are, with what proves it.
#[derive(Clone)]
pub(crate) enum Identity {
    Key(Vec<u8>),
    /// The fields of a signature.
    Sas(Vec<(String, String)>),
    /// A token that is asked for; the fields are in the configuration.
    Token,
    Anonymous,
}

impl Identity {
    /// # Errors
    ///
    /// What is wrong, without quoting any of it.
    pub(crate) fn key(text: &Secret) -> Result<Self, &'static str> {
        let bytes = STANDARD.decode(text.reveal());
        bytes.map(Self::Key).map_err(|_| "an account key is base64")
    }

    /// # Errors
    ///
    /// As for [`Identity::key`].
    pub(crate) fn sas(text: &Secret) -> Result<Self, &'static str> {
        let fields = split_sas(text.reveal());
        fields
            .map(Self::Sas)
            .map_err(|_| "a signature is `name=value&...`")
    }
}

// Not derived: a key must not be printed by chance.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Identity::Key(_) => "Key",
            Identity::Sas(_) => "Sas",
            Identity::Token => "Token",
            Identity::Anonymous => "Anonymous",
        })
    }
}

impl AzblobConfig {
    /// Decides what is left open.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: everything that is wrong, each as a fact named after its field.
    pub(crate) fn settle(self) -> Result<Settled> {
        let mut problems = Problems::default();
        let without = self.settings.check(&mut problems);
        let (identity, account, endpoint) = self.identity(&mut problems);
        self.check_credentials(&mut problems);
        if account.is_none() {
            problems.add("account", "which storage account?");
        }
        if let Some(account) = &account {
            check_name("account", account, 1..=63, "-", &mut problems);
        }
        // Containers with `$` are the service's own: a website, logs.
        if !matches!(self.container.as_str(), "$root" | "$web" | "$logs") {
            check_name("container", &self.container, 3..=63, "-", &mut problems);
        }
        if let Some(tenant) = &self.tenant_id {
            check_name("tenant_id", tenant, 1..=255, ".-", &mut problems);
        }
        let account = account.unwrap_or_default();
        let endpoint =
            endpoint.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
        let example = "https://ACCOUNT.blob.core.windows.net";
        let service = self
            .settings
            .address("endpoint", &endpoint, example, &mut problems);
        // Secrets go over it.
        if let Some(address) = &self.authority_host {
            let example = "https://login.microsoftonline.com";
            self.settings
                .address("authority_host", address, example, &mut problems);
        }
        Ok(Settled {
            service: problems.give(service)?,
            config: self,
            account,
            identity,
            without,
        })
    }

    fn check_credentials(&self, problems: &mut Problems) {
        let (needs, allowed): (&[_], &[_]) = match self.credentials {
            Credentials::AccountKey => (&["account_key"], &[]),
            Credentials::Sas => (&["sas_token"], &[]),
            Credentials::ConnectionString => (&["connection_string"], &[]),
            Credentials::ClientSecret => (
                &["tenant_id", "client_id", "client_secret"],
                &["authority_host"],
            ),
            Credentials::WorkloadIdentity => (
                &["tenant_id", "client_id", "federated_token_file"],
                &["authority_host"],
            ),
            Credentials::ManagedIdentity => (&[], &["client_id", "identity_endpoint"]),
            Credentials::Anonymous => (&[], &[]),
        };
        let fields = [
            ("account_key", self.account_key.is_some()),
            ("sas_token", self.sas_token.is_some()),
            ("connection_string", self.connection_string.is_some()),
            ("tenant_id", self.tenant_id.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
            ("authority_host", self.authority_host.is_some()),
            ("federated_token_file", self.federated_token_file.is_some()),
            ("identity_endpoint", self.identity_endpoint.is_some()),
        ];
        problems.choice("these credentials", &fields, needs, allowed);
    }

    /// Who we are, the account, and the address.
    fn identity(&self, problems: &mut Problems) -> (Identity, Option<String>, Option<String>) {
        let (mut account, mut endpoint) = (self.account.clone(), self.endpoint.clone());
        let (field, found) = match self.credentials {
            Credentials::AccountKey => {
                ("account_key", self.account_key.as_ref().map(Identity::key))
            }
            Credentials::Sas => ("sas_token", self.sas_token.as_ref().map(Identity::sas)),
            Credentials::ConnectionString => {
                let found = self.connection_string.as_ref().map(|text| {
                    let found = connection::parse(text.reveal())?;
                    account = account.take().or(found.account);
                    endpoint = endpoint.take().or(found.endpoint);
                    Ok(found.identity)
                });
                ("connection_string", found)
            }
            Credentials::ClientSecret
            | Credentials::WorkloadIdentity
            | Credentials::ManagedIdentity => return (Identity::Token, account, endpoint),
            Credentials::Anonymous => return (Identity::Anonymous, account, endpoint),
        };
        let identity = match found {
            Some(Ok(identity)) => identity,
            Some(Err(problem)) => {
                problems.add(field, problem);
                Identity::Anonymous
            }
            // Missing, which is said already.
            None => Identity::Anonymous,
        };
        (identity, account, endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;
    use serde_json::json;

    fn settled(value: serde_json::Value) -> Result<Settled> {
        let mut whole = json!({"container": "photos", "account": "acc", "account_key": "a2V5"});
        for (name, value) in value.as_object().unwrap() {
            match value.is_null() {
                true => drop(whole.as_object_mut().unwrap().remove(name)),
                false => whole[name] = value.clone(),
            }
        }
        serde_json::from_value::<AzblobConfig>(whole)
            .unwrap()
            .settle()
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for (field, bad) in [
            ("container", "../x"),
            ("container", "a/b"),
            ("container", "$other"),
            ("account", "a.evil.example/"),
            ("account", "a@b"),
        ] {
            let refused = settled(json!({field: bad})).unwrap_err();
            assert!(refused.fact(field).is_some(), "{bad}: {refused}");
        }
        assert!(settled(json!({"container": "$web"})).is_ok());
    }

    #[test]
    fn addresses() {
        let url = |value| settled(value).unwrap().service.to_string();
        assert_eq!(url(json!({})), "https://acc.blob.core.windows.net/");
        let azurite = json!({"endpoint": "http://127.0.0.1:10000/acc/"});
        assert_eq!(url(azurite), "http://127.0.0.1:10000/acc");
        let china = json!({"account": null, "account_key": null, "credentials": "connection_string", "connection_string":
            "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn"});
        let settled = settled(china).unwrap();
        assert_eq!(settled.account, "x");
        assert_eq!(
            settled.service.as_str(),
            "https://x.blob.core.chinacloudapi.cn/"
        );
        assert!(matches!(settled.identity, Identity::Key(key) if key == b"key"));
    }

    #[test]
    fn everything_wrong_at_once() {
        let error = settled(json!({
            "account": null,
            "account_key": null,
            "prefix": "a//b",
            "endpoint": "http://far.example",
            "credentials": "client_secret",
            "tenant_id": "t",
            "client_id": "c",
            "authority_host": "http://far.example",
            "without": ["speed"],
        }))
        .unwrap_err();
        let fields: Vec<_> = error.facts().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            [
                "prefix",
                "without",
                "client_secret",
                "account",
                "endpoint",
                "authority_host"
            ]
        );
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        let error = settled(json!({"credentials": "client_secret"})).unwrap_err();
        let fields: Vec<_> = error.facts().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["account_key", "tenant_id", "client_id", "client_secret"]
        );
    }

    #[test]
    fn secrets_of_another_form_are_refused_and_not_quoted() {
        for (config, field) in [
            (json!({"account_key": "hunter2!"}), "account_key"),
            (
                json!({"account_key": null, "credentials": "sas", "sas_token": "hunter2!"}),
                "sas_token",
            ),
            (
                json!({"account_key": null, "credentials": "connection_string",
                    "connection_string": "AccountName=a;AccountKey=hunter2!"}),
                "connection_string",
            ),
        ] {
            let error = settled(config).unwrap_err();
            assert!(error.fact(field).is_some(), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn an_unknown_field_is_none() {
        let json = json!({"container": "photos", "retreis": 1, "retries": 1});
        let error = serde_json::from_value::<AzblobConfig>(json).unwrap_err();
        assert!(error.to_string().contains("retreis"), "{error}");
    }

    #[test]
    fn the_schema_marks_every_secret() {
        let schema = schemars::schema_for!(AzblobConfig).to_value();
        let secrets = [
            "account_key",
            "sas_token",
            "connection_string",
            "client_secret",
        ];
        for field in secrets {
            assert_eq!(schema["properties"][field]["x-secret"], true, "{field}");
        }
        // Beside these the proxy's address.
        let marks = schema.to_string().matches("x-secret").count();
        assert_eq!(marks, secrets.len() + 1);
    }
}
