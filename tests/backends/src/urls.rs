//! URLs of the host's gateway, in the hands of `curl`: `holdall serve` in front of the backend.

use crate::{Holdall, curl};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

/// A server that is ended when dropped.
struct Serving {
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
    fn start(holdall: &Holdall) -> Self {
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
                url: format!("{url}/v1/b/folder/an%20object"),
                authorization: format!("authorization: Bearer {token}"),
            },
            _ => panic!("serve says {line:?} ({read:?})"),
        }
    }

    fn signed(&self, method: &str, expires_in: &str) -> String {
        let asked = json!({"method": method, "expires_in": expires_in}).to_string();
        let url = format!("{}?sign", self.url);
        let (status, answer) = curl(&["-H", &self.authorization, "-d", &asked], &url);
        assert_eq!(status, "200", "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        match &answer["url"] {
            Value::String(url) => url.clone(),
            _ => panic!("no URL: {answer}"),
        }
    }
}

/// Get, put, ranges; wrong methods, altered and expired ones.
///
/// # Panics
///
/// When one of them has another answer than it should.
pub fn used_by_curl(holdall: &Holdall) {
    let serving = Serving::start(holdall);
    let file = tempfile::NamedTempFile::new().unwrap_or_else(|cause| panic!("{cause}"));
    let put_file = |text: &str, url: &str| {
        let path = file.path().display().to_string();
        std::fs::write(file.path(), text).unwrap_or_else(|cause| panic!("{cause}"));
        curl(&["-T", &path], url).0
    };
    let status = |arguments: &[&str], url: &str| curl(arguments, url).0;
    assert_eq!(status(&[], &serving.url), "401", "without a signature");

    let put = serving.signed("PUT", "10m");
    assert_eq!(put_file("stored", &put), "200");
    let get = serving.signed("GET", "10m");
    assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));
    assert_eq!(curl(&["-r", "1-2"], &get), ("206".into(), "to".into()));

    assert_eq!(status(&["-X", "DELETE"], &get), "403", "wrong method");
    assert_eq!(put_file("no", &get), "403", "wrong method");
    assert_eq!(status(&[], &put), "403", "wrong method");
    for (what, with) in [
        ("an%20object", "another"),
        ("/b/", "/c/"),
        ("hd-exp=", "hd-exp=1"),
        ("hd-sig=", "hd-sig=A"),
    ] {
        let altered = get.replacen(what, with, 1);
        assert_ne!(altered, get, "{what} is not in the URL");
        assert_eq!(status(&[], &altered), "403", "altered: {what}");
    }
    assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));

    let short = serving.signed("GET", "1s");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(status(&[], &short), "403", "expired");
}
