//! What `[backend.NAME.config]` may say.

use crate::connection;
use holdall_plugin_api::{Capabilities, Capability, Error, ErrorKind, KeyPolicy, Result};
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

    /// Allows an `endpoint` with `http://` that is not on this machine: everything but the key
    /// travels readable.
    #[serde(default)]
    pub allow_http: bool,

    /// Keeps all objects below this prefix, such as `team/a/`. Ends in `/`.
    #[serde(default)]
    pub prefix: String,

    /// Who we are to the store.
    #[serde(default)]
    pub credentials: Credentials,

    /// `account_key`: a key of the account, in base64.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub account_key: Option<String>,

    /// `sas`: a shared access signature for the container or the account, as the portal shows it.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub sas_token: Option<String>,

    /// `connection_string`: as the portal shows it, with a key or a signature in it.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub connection_string: Option<String>,

    /// `client_secret`, `workload_identity`: the tenant.
    pub tenant_id: Option<String>,

    /// `client_secret`, `workload_identity`: the application. `managed_identity`: one of several
    /// identities of the machine.
    pub client_id: Option<String>,

    /// `client_secret`: the secret of the application.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub client_secret: Option<String>,

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

    /// How often a request that failed for a passing reason is made again.
    #[serde(default = "default_retries")]
    #[cfg_attr(test, schemars(range(max = 10)))]
    pub retries: u32,

    /// Longest time to a connection, in seconds.
    #[serde(default = "default_connect")]
    #[cfg_attr(test, schemars(range(min = 1, max = 600)))]
    pub connect_timeout_seconds: u32,

    /// Longest time from a request to the beginning of its answer, the sending of a block included,
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

    /// What this store is not to be asked for, by the names of capabilities: `["server_copy"]`.
    #[serde(default)]
    pub without: Vec<String>,
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

fn default_block_size() -> u32 {
    8
}
fn default_blocks() -> u32 {
    4
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
    Key(String),
    Sas(String),
    /// A token that is asked for; the fields are in the configuration.
    Token,
    Nobody,
}

// Not derived: a key must not be printed by chance.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Identity::Key(_) => "Key",
            Identity::Sas(_) => "Sas",
            Identity::Token => "Token",
            Identity::Nobody => "Nobody",
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
        let (identity, account, endpoint) = self.identity(&mut problems);
        if account.is_none() {
            problems.add("account", "which storage account?");
        }
        let account = account.unwrap_or_default();
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
        let service = self.service(&account, endpoint, &mut problems);
        problems.none()?;
        let Some(service) = service else {
            return Err(Error::new(ErrorKind::ConfigInvalid).message("endpoint"));
        };
        Ok(Settled {
            config: self,
            account,
            service,
            identity,
            without,
        })
    }

    fn identity(&self, problems: &mut Problems) -> (Identity, Option<String>, Option<String>) {
        let mut needed = |value: &Option<String>, field: &'static str| {
            if value.is_none() {
                problems.add(field, "needed for these credentials");
            }
            value.clone().unwrap_or_default()
        };
        let own = |identity| (identity, self.account.clone(), self.endpoint.clone());
        match self.credentials {
            Credentials::AccountKey => own(Identity::Key(needed(&self.account_key, "account_key"))),
            Credentials::Sas => own(Identity::Sas(needed(&self.sas_token, "sas_token"))),
            Credentials::ClientSecret => {
                needed(&self.tenant_id, "tenant_id");
                needed(&self.client_id, "client_id");
                needed(&self.client_secret, "client_secret");
                own(Identity::Token)
            }
            Credentials::WorkloadIdentity => {
                needed(&self.tenant_id, "tenant_id");
                needed(&self.client_id, "client_id");
                let file = &self.federated_token_file;
                let file = file.as_ref().map(|file| file.display().to_string());
                needed(&file, "federated_token_file");
                own(Identity::Token)
            }
            Credentials::ManagedIdentity => own(Identity::Token),
            Credentials::Anonymous => own(Identity::Nobody),
            Credentials::ConnectionString => {
                let text = needed(&self.connection_string, "connection_string");
                match connection::parse(&text) {
                    Ok(found) => (
                        found.identity,
                        self.account.clone().or(found.account),
                        self.endpoint.clone().or(found.endpoint),
                    ),
                    Err(problem) => {
                        problems.add("connection_string", problem);
                        own(Identity::Nobody)
                    }
                }
            }
        }
    }

    fn service(
        &self,
        account: &str,
        endpoint: Option<String>,
        problems: &mut Problems,
    ) -> Option<Url> {
        let endpoint =
            endpoint.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
        let url = match Url::parse(endpoint.trim_end_matches('/')) {
            Ok(url) if url.has_host() => url,
            _ => {
                problems.add(
                    "endpoint",
                    "not a URL such as `https://ACCOUNT.blob.core.windows.net`",
                );
                return None;
            }
        };
        if url.query().is_some() || !url.username().is_empty() {
            problems.add("endpoint", "more than scheme, host, port and account");
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
    fn addresses() {
        let url = |value| settled(value).unwrap().service.to_string();
        assert_eq!(url(json!({})), "https://acc.blob.core.windows.net/");
        let azurite = json!({"endpoint": "http://127.0.0.1:10000/acc/"});
        assert_eq!(url(azurite), "http://127.0.0.1:10000/acc");
        let china = json!({"account": null, "credentials": "connection_string", "connection_string":
            "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn"});
        let settled = settled(china).unwrap();
        assert_eq!(settled.account, "x");
        assert_eq!(
            settled.service.as_str(),
            "https://x.blob.core.chinacloudapi.cn/"
        );
        assert!(matches!(settled.identity, Identity::Key(key) if key == "a2V5"));
    }

    #[test]
    fn everything_wrong_at_once() {
        let error = settled(json!({
            "account": null,
            "account_key": null,
            "prefix": "a//b",
            "endpoint": "http://far.example",
            "without": ["speed"],
        }))
        .unwrap_err();
        let fields: Vec<_> = error.facts().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["account_key", "account", "prefix", "without", "endpoint"]
        );
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        let error = settled(json!({"credentials": "client_secret"})).unwrap_err();
        let fields: Vec<_> = error.facts().map(|(field, _)| field).collect();
        assert_eq!(fields, ["tenant_id", "client_id", "client_secret"]);
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
        assert_eq!(
            schema.to_string().matches("x-secret").count(),
            secrets.len()
        );
    }
}
