//! What `[backend.NAME.config]` may say.

use crate::identity::HostKey;
use holdall_plugin_api::{Problems, Result};
use holdall_plugin_api_hierarchical_list::disjoint_folders;
use russh::keys::PrivateKey;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A directory of an SSH server as a store, over SFTP.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SftpConfig {
    /// Name or address of the server.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub host: String,

    /// Port of the server.
    #[serde(default = "ssh_port")]
    pub port: u16,

    /// Name of the account.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub username: String,

    /// The server's key, without which no server is talked to: its fingerprint (`SHA256:...`, as
    /// `ssh-keygen -lf` prints it), or its line of a `known_hosts` file (as `ssh-keyscan` prints it).
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub host_key: String,

    /// A file with the private key that logs in.
    pub key_file: Option<PathBuf>,

    /// The private key itself, instead of a file.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub private_key: Option<String>,

    /// Passphrase of the private key.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub passphrase: Option<String>,

    /// The socket of an SSH agent that has the private key, instead of both; `SSH_AUTH_SOCK` has
    /// its path.
    pub agent_socket: Option<PathBuf>,

    /// The directory that holds everything. A relative path starts at the account's home.
    #[serde(default)]
    pub root: String,

    /// Directory of the objects, below `root`: the object `a/b` is the file `ROOT/objects/a/b`.
    #[serde(default = "objects")]
    pub objects: String,

    /// Directory below `root` in which uploads grow until they are whole. It may not lie in
    /// `objects`, and must be on the same file system.
    #[serde(default = "staging")]
    pub staging: String,

    /// Makes `objects` and `staging` at the opening when they are missing; `root` must exist.
    #[serde(default = "yes")]
    pub create: bool,

    /// When an upload counts as done.
    #[serde(default)]
    pub durability: Durability,

    /// Most connections at once. Each carries many operations; a second one is opened when the
    /// first is busy.
    #[serde(default = "four")]
    #[cfg_attr(test, schemars(range(min = 1, max = 64)))]
    pub max_connections: u32,

    /// Longest wait for a connection, in seconds.
    #[serde(default = "ten")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub connect_timeout_seconds: u32,

    /// Longest wait for an answer, in seconds.
    #[serde(default = "thirty")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub timeout_seconds: u32,

    /// Files in `staging` that did not change for this long, in seconds by the server's own clock,
    /// are removed at the opening: what a killed process has left. 0 removes none.
    #[serde(default = "day")]
    pub stale_after_seconds: u64,
}

/// How sure an upload must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Durability {
    /// Readers see it; a power cut of the server may lose it.
    None,
    /// The data is on the server's medium; a power cut may lose the name. SFTP can do no more.
    #[default]
    Data,
}

impl Durability {
    /// Whether the bytes of an upload are brought to the medium.
    pub(crate) fn syncs(self) -> bool {
        self == Self::Data
    }
}

fn ssh_port() -> u16 {
    22
}

fn objects() -> String {
    "objects".to_owned()
}

fn staging() -> String {
    "staging".to_owned()
}

fn yes() -> bool {
    true
}

fn four() -> u32 {
    4
}

fn ten() -> u32 {
    10
}

fn thirty() -> u32 {
    30
}

fn day() -> u64 {
    24 * 3600
}

/// Without the secrets.
impl std::fmt::Debug for SftpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SftpConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .field("host_key", &self.host_key)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// How to log in.
pub(crate) enum Login {
    Key(Arc<PrivateKey>),
    Agent(PathBuf),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Login::Key(_) => "Key",
            Login::Agent(_) => "Agent",
        })
    }
}

/// A configuration that has been checked.
#[derive(Debug)]
pub(crate) struct CheckedConfig {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) username: String,
    pub(crate) host_key: HostKey,
    pub(crate) login: Login,
    pub(crate) root: String,
    pub(crate) objects: String,
    pub(crate) staging: String,
    pub(crate) max_connections: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
}

impl SftpConfig {
    /// # Errors
    ///
    /// `ConfigInvalid`: everything that is wrong, each as a fact named after its field.
    pub(crate) fn checked(&self) -> Result<CheckedConfig> {
        let mut problems = Problems::default();
        let host_key = HostKey::parse(&self.host_key);
        let host_key = host_key.map_err(|why| problems.add("host_key", why)).ok();
        let login = self.login();
        let login = login.map_err(|(field, why)| problems.add(field, why)).ok();
        let folders = [
            ("objects", self.objects.as_str()),
            ("staging", self.staging.as_str()),
        ];
        let [objects, staging] = disjoint_folders(folders, &mut problems);
        if self.root.contains('\0') {
            problems.add("root", "a path has no NUL");
        }
        let (host_key, login) = problems.give(host_key.zip(login))?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.max(1).into());
        Ok(CheckedConfig {
            host: self.host.clone(),
            port: self.port,
            username: self.username.clone(),
            host_key,
            login,
            root: self.root.clone(),
            objects,
            staging,
            max_connections: self.max_connections.max(1) as usize,
            connect_timeout: seconds(self.connect_timeout_seconds),
            timeout: seconds(self.timeout_seconds),
        })
    }

    fn login(&self) -> std::result::Result<Login, (&'static str, String)> {
        let passphrase = self.passphrase.as_deref();
        let key = |field, decoded: std::result::Result<PrivateKey, russh::keys::Error>| {
            match decoded {
            Ok(key) if key.algorithm().is_rsa() => Err((
                field,
                "an RSA key, of which this plugin has none; make one with `ssh-keygen -t ed25519`".to_owned(),
            )),
            Ok(key) => Ok(Login::Key(Arc::new(key))),
            Err(cause) => Err((field, format!("no private key that can be read: {cause}"))),
        }
        };
        match (&self.key_file, &self.private_key, &self.agent_socket) {
            (Some(path), None, None) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|cause| ("key_file", format!("cannot be read: {cause}")))?;
                key(
                    "key_file",
                    russh::keys::decode_secret_key(&text, passphrase),
                )
            }
            (None, Some(text), None) => key(
                "private_key",
                russh::keys::decode_secret_key(text, passphrase),
            ),
            (None, None, Some(_)) if passphrase.is_some() => Err((
                "passphrase",
                "an agent asks for none; remove one of the two".to_owned(),
            )),
            (None, None, Some(socket)) => Ok(Login::Agent(socket.clone())),
            _ => Err((
                "key_file",
                "expected exactly one of `key_file`, `private_key` and `agent_socket`".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named_at_once_and_no_secret() {
        let config: SftpConfig = serde_json::from_str(
            r#"{"host": "h", "username": "u", "host_key": "MD5:x", "private_key": "hunter2",
                "objects": "a", "staging": "a/b"}"#,
        )
        .unwrap();
        let error = config.checked().unwrap_err();
        for field in ["host_key", "private_key", "staging"] {
            assert!(error.fact(field).is_some(), "{field}: {error}");
        }
        assert!(!format!("{config:?} {error:?}").contains("hunter2"));
    }

    #[test]
    fn one_way_to_log_in() {
        let config = |more: &str| {
            let pin = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
            let text = format!(r#"{{"host": "h", "username": "u", "host_key": "{pin}"{more}}}"#);
            serde_json::from_str::<SftpConfig>(&text).unwrap().checked()
        };
        assert!(config("").is_err());
        assert!(
            config(r#", "agent_socket": "/a", "key_file": "/k"}"#.trim_end_matches('}')).is_err()
        );
        assert!(config(r#", "agent_socket": "/a""#).is_ok());
        let beside = config(r#", "agent_socket": "/a", "passphrase": "p""#).unwrap_err();
        assert!(beside.fact("passphrase").is_some(), "{beside}");
        let missing = config(r#", "key_file": "/no/such/key""#).unwrap_err();
        assert!(missing.message().contains("cannot be read"), "{missing}");
    }
}
