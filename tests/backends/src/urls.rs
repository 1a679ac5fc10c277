//! Signed URLs in the hands of `curl`: get, put, ranges; wrong methods, altered and expired ones.

use crate::{Holdall, Serving, curl};
use serde_json::{Value, json};
use std::time::Duration;

const OBJECT: &str = "/v1/b/folder/an%20object";

/// Who signs the URLs of an object, and what their verifier answers.
pub struct Signed<'a> {
    /// Signs for a method and a life, such as `10m`.
    pub sign: &'a dyn Fn(&str, &str) -> String,
    /// Texts in a URL, and what a client turns them into.
    pub altered: &'a [(&'a str, &'a str)],
    /// More arguments of `curl` for an upload.
    pub put: &'a [&'a str],
    /// The status of an upload.
    pub stored: &'a str,
    /// The status of a URL whose time is over.
    pub expired: &'a str,
}

impl Signed<'_> {
    /// Uses them as they should be used, and otherwise.
    ///
    /// # Panics
    ///
    /// When one of them has another answer than it should.
    pub fn used_by_curl(&self) {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|cause| panic!("{cause}"));
        let path = file.path().display().to_string();
        let put_file = |text: &str, url: &str| {
            std::fs::write(file.path(), text).unwrap_or_else(|cause| panic!("{cause}"));
            curl(&[self.put, &["-T", &path]].concat(), url).0
        };
        let status = |arguments: &[&str], url: &str| curl(arguments, url).0;

        let put = (self.sign)("PUT", "10m");
        assert_eq!(put_file("old", &put), self.stored);
        assert_eq!(put_file("stored", &put), self.stored, "once more");
        let get = (self.sign)("GET", "10m");
        assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));
        assert_eq!(curl(&["-r", "1-2"], &get), ("206".into(), "to".into()));

        assert_eq!(status(&["-X", "DELETE"], &get), "403", "wrong method");
        assert_eq!(put_file("no", &get), "403", "wrong method");
        assert_eq!(status(&[], &put), "403", "wrong method");
        for (what, with) in self.altered {
            let altered = get.replacen(what, with, 1);
            assert_ne!(altered, get, "{what} is not in the URL");
            assert_eq!(status(&[], &altered), "403", "altered: {what}");
        }
        assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));

        let short = (self.sign)("GET", "2s");
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(status(&[], &short), self.expired, "expired");
    }
}

/// Those of the host's gateway: `holdall serve` in front of the backend.
///
/// # Panics
///
/// Those of [`Signed::used_by_curl`], and when an object is given to a client without a signature.
pub fn of_the_gateway(holdall: &Holdall) {
    let serving = Serving::start(holdall);
    let url = format!("{}{OBJECT}", serving.url());
    assert_eq!(curl(&[], &url).0, "401", "without a signature");
    Signed {
        sign: &|method, expires_in| {
            let asked = json!({"method": method, "expires_in": expires_in}).to_string();
            let asked = ["-H", serving.authorization(), "-d", &asked];
            let (status, answer) = curl(&asked, &format!("{url}?sign"));
            assert_eq!(status, "200", "{answer}");
            let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
            match &answer["url"] {
                Value::String(url) => url.clone(),
                _ => panic!("no URL: {answer}"),
            }
        },
        altered: &[
            ("an%20object", "another"),
            ("/b/", "/c/"),
            ("hd-exp=", "hd-exp=1"),
            ("hd-sig=", "hd-sig=A"),
        ],
        put: &[],
        stored: "200",
        expired: "403",
    }
    .used_by_curl();
}
