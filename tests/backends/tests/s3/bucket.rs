//! A bucket of a server that is there.

use holdall_backends::S3;
use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, DirectAccess, Harness};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// No server's secret.
const WRONG: &str = "not-the-secret-of-this-server";
/// The least that S3 takes.
const PART_MIB: usize = 5;

#[derive(Clone)]
pub(crate) struct Bucket {
    server: Value,
    more: Value,
    /// Each run has a prefix of its own; a store is a prefix below it.
    run: String,
}

impl Bucket {
    /// `more`: fields of the configuration beside address and keys.
    pub(crate) fn new(server: Value, more: Value) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            server,
            more,
            run: format!("run-{}", since.as_nanos()),
        }
    }

    /// Temporary keys that the server has made: `key`, `secret`, `token`.
    pub(crate) fn session(&self) -> &Value {
        &self.server["session"]
    }

    /// Another account, which may use the bucket `paid` and pays for it: `key`, `secret`, `bucket`.
    pub(crate) fn guest(&self) -> &Value {
        &self.server["guest"]
    }

    fn text(&self, field: &str) -> String {
        self.server[field].as_str().unwrap().to_owned()
    }

    /// The configuration of everything below this prefix.
    pub(crate) fn below(&self, prefix: &str) -> Value {
        let mut config = json!({
            "bucket": self.server["bucket"],
            "endpoint": self.server["url"],
            "access_key_id": self.server["key"],
            "secret_access_key": self.server["secret"],
            "prefix": prefix,
            "part_size_mib": PART_MIB,
            "parts_at_once": 2,
        });
        for (name, value) in self.more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }

    pub(crate) fn prefix(&self, store: u32) -> String {
        format!("{}/{store}/", self.run)
    }

    /// The bucket in the hands of another program.
    pub(crate) fn s3(&self) -> S3 {
        S3::of(&self.server)
    }
}

impl Harness for Bucket {
    type Config = Value;

    fn config(&self, store: u32) -> Value {
        self.below(&self.prefix(store))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let (bucket, prefix) = (self.clone(), self.prefix(store));
        Some(Arc::new(Below { bucket, prefix }))
    }

    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        Some(self.below(&format!("{}{prefix}", self.prefix(store))))
    }

    fn broken(&self, how: Broken) -> Option<Value> {
        let mut config = self.config(0);
        match how {
            Broken::Credentials => config["secret_access_key"] = WRONG.into(),
            Broken::Container => config["bucket"] = "holdall-never-created".into(),
        }
        Some(config)
    }

    fn at(&self, store: u32, url: &str) -> Option<Value> {
        let mut config = self.config(store);
        config["endpoint"] = url.into();
        config["allow_http"] = true.into();
        config["connect_timeout_seconds"] = 1.into();
        config["answer_timeout_seconds"] = 2.into();
        config["idle_timeout_seconds"] = 2.into();
        config["retries"] = 1.into();
        Some(config)
    }

    fn dialect(&self) -> Dialect {
        Dialect::S3
    }

    fn server(&self) -> Option<SocketAddr> {
        let url = self.text("url");
        url.strip_prefix("http://").unwrap().parse().ok()
    }

    fn part_bytes(&self) -> usize {
        PART_MIB << 20
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.text("secret"), WRONG.to_owned()]
    }
}

struct Below {
    bucket: Bucket,
    prefix: String,
}

impl DirectAccess for Below {
    fn leftovers(&self) -> Vec<String> {
        self.bucket.s3().unfinished(&self.prefix)
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        // Where a name is a path of folders, and a backslash a slash, no tool can make such a name.
        if self.bucket.server["folders"] == true && (name.contains("//") || name.contains('\\')) {
            return false;
        }
        let path = format!("/{}{name}", self.prefix);
        let path = path.bytes().map(|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"/-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        });
        let path: String = path.collect();
        self.bucket.s3().puts(&path, bytes, None).is_some()
    }
}
