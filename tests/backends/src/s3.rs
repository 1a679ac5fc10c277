//! A bucket that speaks S3 in the hands of another program: `curl` signs for itself, and uses URLs that
//! were signed for it.

use crate::Holdall;
use crate::urls::Signed;
use serde_json::Value;
use std::process::Command;

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A bucket, and the keys to it.
#[derive(Clone, Debug)]
pub struct S3 {
    url: String,
    keys: String,
    region: String,
}

impl S3 {
    /// By what a server's script prints: `url`, `bucket`, `key`, `secret`, and `region` where it is not
    /// us-east-1.
    ///
    /// # Panics
    ///
    /// When one of them is missing.
    pub fn of(server: &Value) -> Self {
        let text = |field: &str| match server[field].as_str() {
            Some(text) => text,
            None => panic!("the server does not say its {field}"),
        };
        Self {
            url: format!("{}/{}", text("url"), text("bucket")),
            keys: format!("{}:{}", text("key"), text("secret")),
            region: server["region"].as_str().unwrap_or("us-east-1").to_owned(),
        }
    }

    /// A signed request; the body of a good answer.
    fn request(
        &self,
        method: &str,
        path_and_query: &str,
        body: Option<&[u8]>,
        header: Option<&str>,
    ) -> Option<String> {
        let mut curl = Command::new("curl");
        match method {
            "HEAD" => curl.arg("--head"),
            _ => curl.args(["-X", method]),
        };
        curl.args(["-s", "--fail", "--path-as-is", "-u", &self.keys])
            .args(["--aws-sigv4", &format!("aws:amz:{}:s3", self.region)]);
        let file = body.map(file_of);
        match &file {
            None => curl.args(["-H", &format!("x-amz-content-sha256: {EMPTY}")]),
            Some(file) => curl
                .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
                .arg("--data-binary")
                .arg(format!("@{}", file.path().display())),
        };
        if let Some(header) = header {
            curl.args(["-H", header]);
        }
        let done = curl.arg(format!("{}{path_and_query}", self.url)).output();
        let done = done.unwrap_or_else(|cause| panic!("curl: {cause}"));
        let is_good = done.status.success();
        is_good.then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// The head of an object, one header a line.
    pub fn head(&self, path: &str) -> Option<String> {
        self.request("HEAD", path, None, None)
    }

    /// An object.
    pub fn get(&self, path: &str) -> Option<String> {
        self.request("GET", path, None, None)
    }

    /// Stores an object, with one more header.
    pub fn puts(&self, path: &str, bytes: &[u8], header: Option<&str>) -> Option<String> {
        self.request("PUT", path, Some(bytes), header)
    }

    /// The ids of unfinished uploads below a prefix.
    ///
    /// # Panics
    ///
    /// When the bucket does not list them.
    pub fn unfinished(&self, prefix: &str) -> Vec<String> {
        let prefix = prefix.replace('/', "%2F");
        let query = format!("?prefix={prefix}&uploads=");
        let Some(page) = self.request("GET", &query, None, None) else {
            panic!("curl cannot list the uploads of {}", self.url);
        };
        let ids = page.split("<UploadId>").skip(1);
        ids.filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
            .collect()
    }
}

/// URLs that the store verifies itself. `expired`: the status of one whose time is over; Amazon's is 403.
///
/// # Panics
///
/// Those of [`Signed::used_by_curl`].
pub fn signed_urls(holdall: &Holdall, expired: &str) {
    Signed {
        sign: &|method, expires| holdall.signed("b:folder/an object", method, expires),
        altered: &[
            ("an%20object", "another"),
            ("X-Amz-Expires=600", "X-Amz-Expires=601"),
            ("Signature=", "Signature=0"),
        ],
        put: &[],
        stored: "200",
        expired,
    }
    .used_by_curl();
}

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new();
    let file = file.unwrap_or_else(|cause| panic!("no file: {cause}"));
    if let Err(cause) = std::fs::write(file.path(), bytes) {
        panic!("{}: {cause}", file.path().display());
    }
    file
}
