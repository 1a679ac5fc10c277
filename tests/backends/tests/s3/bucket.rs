//! A bucket of a server that is there, and a look at it from outside: `curl` signs for itself.

use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, Outside};
use holdall_e2e::kit::Stores;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
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

    /// Somebody else, who may use the bucket `paid` and pays for it: `key`, `secret`, `bucket`.
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

    /// A signed request by another program; the body of a good answer.
    fn curl(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<&[u8]>,
        header: Option<&str>,
    ) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = format!(
            "{}/{}{path_and_query}",
            self.text("url"),
            self.text("bucket")
        );
        let region = self.server["region"].as_str().unwrap_or("us-east-1");
        let mut curl = Command::new("curl");
        match method {
            "HEAD" => curl.arg("--head"),
            _ => curl.args(["-X", method]),
        };
        curl.args(["-s", "--fail", "--path-as-is"])
            .args(["--aws-sigv4", &format!("aws:amz:{region}:s3")])
            .args([
                "-u",
                &format!("{}:{}", self.text("key"), self.text("secret")),
            ]);
        match body {
            None => {
                curl.args(["-H", &format!("x-amz-content-sha256: {EMPTY}")]);
            }
            Some(body) => {
                std::fs::write(file.path(), body).unwrap();
                curl.args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
                    .arg("--data-binary")
                    .arg(format!("@{}", file.path().display()));
            }
        }
        if let Some(header) = header {
            curl.args(["-H", header]);
        }
        let done = curl.arg(url).output().unwrap();
        done.status
            .success()
            .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// The head of an object, one header a line.
    pub(crate) fn head(&self, path: &str) -> Option<String> {
        self.curl("HEAD", path, None, None)
    }

    /// An object.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.curl("GET", path, None, None)
    }

    /// Stores an object, with one more header.
    pub(crate) fn puts(&self, path: &str, bytes: &[u8], header: Option<&str>) -> Option<String> {
        self.curl("PUT", path, Some(bytes), header)
    }

    /// The ids of unfinished uploads below a prefix.
    pub(crate) fn unfinished(&self, prefix: &str) -> Vec<String> {
        let prefix = prefix.replace('/', "%2F");
        let page = self
            .curl("GET", &format!("?prefix={prefix}&uploads="), None, None)
            .expect("curl lists the uploads");
        let ids = page.split("<UploadId>").skip(1);
        ids.map(|rest| rest.split('<').next().unwrap().to_owned())
            .collect()
    }
}

impl Stores for Bucket {
    fn config(&self, store: u32) -> Value {
        self.below(&self.prefix(store))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn outside(&self, store: u32) -> Option<Arc<dyn Outside>> {
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
            Broken::Container => config["bucket"] = "holdall-nobody-made-this".into(),
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

impl Outside for Below {
    fn leftovers(&self) -> Vec<String> {
        self.bucket.unfinished(&self.prefix)
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
        self.bucket.puts(&path, bytes, None).is_some()
    }
}
