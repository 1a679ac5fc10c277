//! A container of a server that is there, and a look at it from outside: `curl` with a shared access
//! signature.

use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, DirectAccess, Harness};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// No server's key: 64 bytes of it.
pub(crate) const WRONG: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
const BLOCK_MIB: usize = 1;

#[derive(Clone)]
pub(crate) struct Container {
    server: Value,
    /// Each run has a prefix of its own; a store is a prefix below it.
    run: String,
}

impl Container {
    pub(crate) fn new(server: Value) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            server,
            run: format!("run-{}", since.as_nanos()),
        }
    }

    /// A fact of the server: `key`, `sas`, `account`, and `public`, a container that everybody may read.
    pub(crate) fn text(&self, field: &str) -> String {
        self.server[field].as_str().unwrap().to_owned()
    }

    /// The configuration of everything below this prefix.
    pub(crate) fn below(&self, prefix: &str) -> Value {
        json!({
            "container": self.server["container"],
            "account": self.server["account"],
            "account_key": self.server["key"],
            "endpoint": self.server["url"],
            "conditional_upload_mib": 64,
            "prefix": prefix,
            "block_size_mib": BLOCK_MIB,
            "blocks_at_once": 2,
        })
    }

    /// As [`Container::below`], with a signature instead of the key.
    pub(crate) fn below_with_sas(&self, prefix: &str) -> Value {
        let mut config = self.below(prefix);
        config.as_object_mut().unwrap().remove("account_key");
        config["credentials"] = "sas".into();
        config["sas_token"] = self.server["sas"].clone();
        config
    }

    /// As [`Container::below`], on the server that speaks TLS and takes tokens.
    pub(crate) fn over_tls(&self, prefix: &str) -> Value {
        let mut config = self.below(prefix);
        config["endpoint"] = self.server["tls"]["url"].clone();
        config["ca_file"] = self.server["tls"]["ca"].clone();
        config
    }

    /// As [`Container::below`], all of it in a connection string.
    pub(crate) fn below_with_connection_string(&self, prefix: &str) -> Value {
        let mut config = self.below(prefix);
        let fields = config.as_object_mut().unwrap();
        for field in ["account", "account_key", "endpoint"] {
            fields.remove(field);
        }
        fields.insert("credentials".into(), "connection_string".into());
        let text = format!(
            "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};",
            self.text("account"),
            self.text("key"),
            self.text("url")
        );
        fields.insert("connection_string".into(), text.into());
        config
    }

    fn prefix(&self, store: u32) -> String {
        format!("{}/{store}/", self.run)
    }

    /// A request by another program; the body of a good answer.
    fn curl(&self, arguments: &[&str], path: &str, query: &str) -> Option<String> {
        let url = format!(
            "{}/{}{path}?{query}{}{}",
            self.text("url"),
            self.text("container"),
            if query.is_empty() { "" } else { "&" },
            self.text("sas"),
        );
        let done = Command::new("curl")
            .args(["-s", "--fail", "--path-as-is"])
            .args(arguments)
            .arg(url)
            .output()
            .unwrap();
        let good = done.status.success();
        good.then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// The names of blobs below a prefix; `uncommitted`: also of those that have blocks and no list.
    pub(crate) fn blobs(&self, prefix: &str, uncommitted: bool) -> Vec<String> {
        let prefix = prefix.replace('/', "%2F");
        let include = if uncommitted {
            "&include=uncommittedblobs"
        } else {
            ""
        };
        let query = format!("restype=container&comp=list&prefix={prefix}{include}");
        let page = self.curl(&[], "", &query).expect("curl lists the blobs");
        let names = page.split("<Name>").skip(1);
        names
            .map(|rest| rest.split('<').next().unwrap().to_owned())
            .collect()
    }
}

impl Harness for Container {
    type Config = Value;

    /// URLs for reading are signed by the gateway here: Azurite answers 206 without a byte to a range
    /// past the end (L-16), where the service answers 416. `curl_uses_signed_urls` has its own.
    fn config(&self, store: u32) -> Value {
        let mut config = self.below(&self.prefix(store));
        config["without"] = json!(["sign_get", "sign_head", "sign_disposition"]);
        config
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let (container, prefix) = (self.clone(), self.prefix(store));
        Some(Arc::new(Below { container, prefix }))
    }

    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        Some(self.below(&format!("{}{prefix}", self.prefix(store))))
    }

    fn broken(&self, how: Broken) -> Option<Value> {
        let mut config = self.config(0);
        match how {
            Broken::Credentials => config["account_key"] = WRONG.into(),
            Broken::Container => config["container"] = "holdall-never-created".into(),
        }
        Some(config)
    }

    fn at(&self, store: u32, url: &str) -> Option<Value> {
        let mut config = self.config(store);
        config["endpoint"] = format!("{url}/{}", self.text("account")).into();
        config["connect_timeout_seconds"] = 1.into();
        config["answer_timeout_seconds"] = 2.into();
        config["idle_timeout_seconds"] = 2.into();
        config["retries"] = 1.into();
        config["allow_http"] = true.into();
        Some(config)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Azure
    }

    fn server(&self) -> Option<SocketAddr> {
        let url = self.text("url");
        let host = url.strip_prefix("http://")?.split('/').next()?;
        host.parse().ok()
    }

    fn part_bytes(&self) -> usize {
        BLOCK_MIB << 20
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.text("key"), WRONG.to_owned()]
    }
}

struct Below {
    container: Container,
    prefix: String,
}

impl DirectAccess for Below {
    /// What any tool would list and is no object: the plugin makes nothing of the kind. Blocks that
    /// no list names are no blob, are listed nowhere, and are dropped by the service itself; see
    /// `blocks_of_an_upload_that_ended_are_nowhere_to_be_seen`.
    fn leftovers(&self) -> Vec<String> {
        let mut blobs = self.container.blobs(&self.prefix, false);
        blobs.retain(|name| name.contains(".holdall") || name.contains(".azDownload"));
        blobs
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let file = format!("@{}", file.path().display());
        let put = [
            "-X",
            "PUT",
            "-H",
            "x-ms-blob-type: BlockBlob",
            "--data-binary",
            &file,
        ];
        // The service takes a backslash for a slash: no tool can make such a name.
        if name.contains('\\') {
            return false;
        }
        let name: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/{}{name}", self.prefix);
        self.container.curl(&put, &path, "").is_some()
    }
}
