//! A bucket or container of a server that is there, through one of OpenDAL's services.

use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, Harness};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// No server's secret.
const WRONG: &str = "bm90LXRoZS1zZWNyZXQtb2YtdGhpcy1zZXJ2ZXI=";
/// The least that S3 takes.
const PART_BYTES: usize = 5 << 20;

/// A service, and what the kit must know of it.
#[derive(Clone)]
struct Service {
    name: &'static str,
    /// The options that name the container and hold the secret.
    container: &'static str,
    secret: &'static str,
    dialect: Dialect,
}

#[derive(Clone)]
pub(crate) struct Bucket {
    service: Service,
    options: Value,
    /// Fields of the configuration beside the service.
    more: Value,
    /// Each run has a prefix of its own; a store is a prefix below it.
    run: String,
}

impl Bucket {
    /// `more`: fields of the configuration beside the service.
    pub(crate) fn s3(server: &Value, more: Value) -> Self {
        let options = json!({
            "bucket": server["bucket"],
            "endpoint": server["url"],
            "region": "us-east-1",
            "access_key_id": server["key"],
            "secret_access_key": server["secret"],
            "disable_config_load": true,
            "disable_ec2_metadata": true,
        });
        let service = Service {
            name: "s3",
            container: "bucket",
            secret: "secret_access_key",
            dialect: Dialect::S3,
        };
        Self::new(service, options, more)
    }

    pub(crate) fn azblob(server: &Value) -> Self {
        let options = json!({
            "container": server["container"],
            "endpoint": server["url"],
            "account_name": server["account"],
            "account_key": server["key"],
        });
        let service = Service {
            name: "azblob",
            container: "container",
            secret: "account_key",
            dialect: Dialect::Azure,
        };
        Self::new(service, options, json!({}))
    }

    pub(crate) fn swift(server: &Value) -> Self {
        let options = json!({
            "container": server["container"],
            "endpoint": server["url"],
            "token": server["token"],
        });
        let service = Service {
            name: "swift",
            container: "container",
            secret: "token",
            dialect: Dialect::Swift,
        };
        Self::new(service, options, json!({}))
    }

    fn new(service: Service, options: Value, more: Value) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            service,
            options,
            more,
            run: format!("run-{}", since.as_nanos()),
        }
    }

    fn with(&self, root: &str, option: &str, value: Value) -> Value {
        let mut options = self.options.clone();
        options["root"] = format!("/{root}").into();
        options[option] = value;
        let mut service = json!({});
        service[self.service.name] = options;
        let mut config = json!({
            "service": service,
            "part_bytes": PART_BYTES,
            "connect_timeout_ms": 1_000,
            "idle_timeout_ms": 2_000,
        });
        for (name, value) in self.more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }

    /// The configuration of everything below this prefix.
    pub(crate) fn below(&self, prefix: &str) -> Value {
        let mut config = self.with(prefix, "endpoint", self.options["endpoint"].clone());
        // Only the cases of dead servers are in a hurry.
        config["idle_timeout_ms"] = 60_000.into();
        config
    }

    /// Where the container is, for services that have it in the path.
    pub(crate) fn url(&self) -> String {
        let text = |option: &str| self.options[option].as_str().unwrap();
        format!("{}/{}", text("endpoint"), text(self.service.container))
    }

    fn prefix(&self, store: u32) -> String {
        format!("{}/{store}/", self.run)
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

    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        Some(self.below(&format!("{}{prefix}", self.prefix(store))))
    }

    fn broken(&self, how: Broken) -> Option<Value> {
        Some(match how {
            Broken::Credentials => self.with(&self.prefix(0), self.service.secret, WRONG.into()),
            Broken::Container => {
                let missing = "holdall-never-created".into();
                self.with(&self.prefix(0), self.service.container, missing)
            }
        })
    }

    fn at(&self, store: u32, url: &str) -> Option<Value> {
        // Azurite has the account in the path, Swift its version.
        let real = self.options["endpoint"].as_str().unwrap();
        let path = real.strip_prefix("http://").unwrap().split_once('/');
        let url = match path {
            Some((_, path)) => format!("{url}/{path}"),
            None => url.to_owned(),
        };
        Some(self.with(&self.prefix(store), "endpoint", url.into()))
    }

    fn dialect(&self) -> Dialect {
        self.service.dialect
    }

    fn server(&self) -> Option<SocketAddr> {
        let url = self.options["endpoint"].as_str().unwrap();
        let address = url
            .strip_prefix("http://")
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        address.parse().ok()
    }

    fn part_bytes(&self) -> usize {
        PART_BYTES
    }

    fn secrets(&self) -> Vec<String> {
        let secret = self.options[self.service.secret]
            .as_str()
            .unwrap()
            .to_owned();
        vec![secret, WRONG.to_owned()]
    }
}
