//! `holdall serve` in front of a backend.

use crate::Holdall;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Child;

/// A server that is ended when dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    url: String,
    authorization: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    /// On a free port, with a token that was made for this run.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(holdall: &Holdall) -> Self {
        let mut child = holdall.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        let mut line = String::new();
        let read = child
            .stdout
            .take()
            .map(|out| BufReader::new(out).read_line(&mut line));
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        match (&ready["listening"], &ready["token"]) {
            (Value::String(url), Value::String(token)) => Self {
                child,
                url: url.clone(),
                authorization: format!("authorization: Bearer {token}"),
            },
            _ => panic!("serve says {line:?} ({read:?})"),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The header that lets everything through.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }
}
