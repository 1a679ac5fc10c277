//! A bucket of the stub, and a look at it from outside.

use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, DirectAccess, Harness};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The least that the service takes.
const PART_MIB: usize = 5;

#[derive(Clone)]
pub(crate) struct Bucket {
    server: Value,
    /// Each run has a prefix of its own; a store is a prefix below it.
    run: String,
}

impl Bucket {
    pub(crate) fn new(server: Value) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            server,
            run: format!("run-{}", since.as_nanos()),
        }
    }

    /// A fact of the server: `key` and `wrong`, two service accounts; `user`, a person; `tokens`, the
    /// address of who hands out tokens.
    pub(crate) fn text(&self, field: &str) -> String {
        self.server[field].as_str().unwrap().to_owned()
    }

    /// The configuration of everything below this prefix.
    pub(crate) fn below(&self, prefix: &str) -> Value {
        json!({
            "bucket": self.server["bucket"],
            "service_account_key": self.server["key"],
            "endpoint": self.server["url"],
            "endpoint_verifies_google_urls": true,
            "prefix": prefix,
            "part_size_mib": PART_MIB,
            "parts_at_once": 2,
        })
    }

    fn prefix(&self, store: u32) -> String {
        format!("{}/{store}/", self.run)
    }

    /// The stub's own door; the body of a good answer.
    fn stub(&self, arguments: &[&str], path: &str) -> Option<String> {
        let secret = format!("x-stub-secret: {}", self.text("secret"));
        let done = Command::new("curl")
            .args(["-s", "--fail", "-H", &secret])
            .args(arguments)
            .arg(format!("{}/_stub/{path}", self.text("url")))
            .output()
            .unwrap();
        let good = done.status.success();
        good.then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Tokens handed out so far.
    pub(crate) fn tokens(&self) -> u32 {
        self.door_to_tokens("")
    }

    /// From now on tokens live so many seconds.
    pub(crate) fn tokens_live(&self, seconds: u32) {
        self.door_to_tokens(&format!("?life={seconds}"));
    }

    /// No token that was handed out so far is good any more.
    pub(crate) fn revoke_tokens(&self) {
        self.door_to_tokens("?revoke=");
    }

    fn door_to_tokens(&self, query: &str) -> u32 {
        let count = self.stub(&[], &format!("tokens{query}"));
        count.expect("the stub counts its tokens").parse().unwrap()
    }

    /// The ids of unfinished uploads below a prefix.
    pub(crate) fn unfinished(&self, prefix: &str) -> Vec<String> {
        let page = self.stub(&[], &format!("uploads?prefix={}", escaped(prefix)));
        let page = page.expect("the stub lists its uploads");
        page.lines().map(str::to_owned).collect()
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
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
            Broken::Credentials => config["service_account_key"] = self.server["wrong"].clone(),
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
        Dialect::Gcs
    }

    fn server(&self) -> Option<SocketAddr> {
        self.text("url").strip_prefix("http://")?.parse().ok()
    }

    fn part_bytes(&self) -> usize {
        PART_MIB << 20
    }

    fn secrets(&self) -> Vec<String> {
        // A line from the middle of each key: the whole would never be found in one line.
        let line = |field: &str| {
            let key: Value = serde_json::from_str(&self.text(field)).unwrap();
            let pem = key["private_key"].as_str().unwrap().to_owned();
            pem.lines().nth(5).unwrap().to_owned()
        };
        vec![line("key"), line("wrong")]
    }
}

struct Below {
    bucket: Bucket,
    prefix: String,
}

impl DirectAccess for Below {
    fn leftovers(&self) -> Vec<String> {
        self.bucket.unfinished(&self.prefix)
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let file = format!("@{}", file.path().display());
        let key = escaped(&format!("{}{name}", self.prefix));
        let put = ["-X", "PUT", "--data-binary", &file];
        self.bucket.stub(&put, &format!("put?key={key}")).is_some()
    }
}
