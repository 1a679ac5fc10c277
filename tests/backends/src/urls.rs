//! URLs of the host's gateway, in the hands of `curl`: `holdall serve` in front of the backend.

use crate::{Holdall, Serving, curl};
use serde_json::{Value, json};
use std::time::Duration;

const OBJECT: &str = "/v1/b/folder/an%20object";

fn signed(serving: &Serving, method: &str, expires_in: &str) -> String {
    let asked = json!({"method": method, "expires_in": expires_in}).to_string();
    let url = format!("{}{OBJECT}?sign", serving.url());
    let (status, answer) = curl(&["-H", serving.authorization(), "-d", &asked], &url);
    assert_eq!(status, "200", "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    match &answer["url"] {
        Value::String(url) => url.clone(),
        _ => panic!("no URL: {answer}"),
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
    assert_eq!(
        status(&[], &format!("{}{OBJECT}", serving.url())),
        "401",
        "without a signature"
    );

    let put = signed(&serving, "PUT", "10m");
    assert_eq!(put_file("stored", &put), "200");
    let get = signed(&serving, "GET", "10m");
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

    let short = signed(&serving, "GET", "1s");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(status(&[], &short), "403", "expired");
}
