//! A folder that a WebDAV server shares.

use holdall_conformance::{Broken, DirectAccess, FolderStore, Harness};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The store that O-07 uses through an endpoint that forwards to the real server.
const MAIN_STORE: u32 = 0;

#[derive(Clone)]
pub(crate) struct Share {
    pub(crate) server: Value,
    /// Each run has a folder of its own; a store is a folder in it.
    run: String,
}

impl Share {
    pub(crate) fn new(server: Value) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            server,
            run: format!("run-{}", since.as_nanos()),
        }
    }

    /// The configuration of the store in this folder.
    pub(crate) fn below(&self, folder: &str) -> Value {
        let at = |name: &str| format!("{}/{folder}/{name}", self.run);
        json!({
            "url": self.server["url"],
            "username": self.server["user"],
            "password": self.server["password"],
            "objects": at("objects"),
            "staging": at("staging"),
            "locks": at("locks"),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.server["url"].as_str().unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The same, for a server that takes tokens.
    pub(crate) fn with_token(&self, folder: &str, token: &Value) -> Value {
        let mut config = self.below(folder);
        let fields = config.as_object_mut().unwrap();
        fields.remove("username");
        fields.remove("password");
        config["url"] = self.server["token_url"].clone();
        config["token"] = token.clone();
        config
    }

    /// A store as it is configured, and as the server's disk has it.
    pub(crate) fn store(&self, folder: &str) -> (Value, FolderStore) {
        (self.below(folder), self.folder(folder))
    }

    /// The same, as the server's disk has it.
    pub(crate) fn folder(&self, folder: &str) -> FolderStore {
        let root = Path::new(self.server["root"].as_str().unwrap());
        // Whether links are followed is the affair of the server.
        FolderStore::new(root.join(&self.run).join(folder)).without_links()
    }
}

impl Harness for Share {
    type Config = Value;

    fn config(&self, store: u32) -> Value {
        self.below(&store.to_string())
    }

    fn at(&self, store: u32, url: &str) -> Option<Value> {
        let mut config = self.config(store);
        config["url"] = url.into();
        // Not all of them are addresses of this machine.
        config["allow_http"] = true.into();
        config["timeout_seconds"] = 2.into();
        config["connect_timeout_seconds"] = 2.into();
        if store != MAIN_STORE {
            // No WebDAV is behind it: nothing is asked of it beforehand.
            for (field, value) in [("probe", false), ("create", false)] {
                config[field] = value.into();
            }
            config["stale_after_seconds"] = 0.into();
        }
        Some(config)
    }

    fn server(&self) -> Option<SocketAddr> {
        Some(self.address())
    }

    fn broken(&self, how: Broken) -> Option<Value> {
        let mut config = self.below("broken");
        match how {
            Broken::Credentials => config["password"] = "not the password".into(),
            Broken::Container => {
                let url = self.server["url"].as_str()?;
                config["url"] = format!("{url}/no/such/folder/").into();
            }
        }
        Some(config)
    }

    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        let mut config = self.config(store);
        let objects = config["objects"].as_str()?;
        config["objects"] = format!("{objects}/{}", prefix.trim_end_matches('/')).into();
        Some(config)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        Some(Arc::new(self.folder(&store.to_string())))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.server["password"].as_str().unwrap().to_owned()]
    }
}
