//! Signed URLs in the hands of `curl`.

use crate::bucket::Bucket;
use holdall_backends::Holdall;
use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

/// The status, and what came back.
fn curl(arguments: &[&str], url: &str) -> (String, String) {
    let done = Command::new("curl")
        .args(["-s", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

fn signed(holdall: &Holdall, arguments: &[&str]) -> String {
    let mut child = holdall.start(&[&["sign", "b:folder/an object"], arguments].concat());
    let mut url = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut url)
        .unwrap();
    assert!(child.wait().unwrap().success());
    url.lines().next().unwrap().to_owned()
}

pub(crate) fn used_by_curl(bucket: &Bucket) {
    let holdall = Holdall::new("s3", &bucket.below("signed/"));
    let mut put = holdall.start(&["put", "-", "b:folder/an object"]);
    put.stdin.take().unwrap().write_all(b"stored").unwrap();
    assert!(put.wait().unwrap().success());

    let get = signed(&holdall, &["--method", "GET", "--expires", "10m"]);
    assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));
    assert_eq!(curl(&["-r", "1-2"], &get), ("206".into(), "to".into()));
    assert_eq!(curl(&["-X", "DELETE"], &get).0, "403", "wrong method");
    assert_eq!(curl(&["-T", "/dev/null"], &get).0, "403", "wrong method");
    let other_key = get.replace("an%20object", "another");
    assert_ne!(other_key, get);
    assert_eq!(curl(&[], &other_key).0, "403", "altered key");
    let longer = get.replace("X-Amz-Expires=600", "X-Amz-Expires=601");
    assert_ne!(longer, get);
    assert_eq!(curl(&[], &longer).0, "403", "altered expiry");
    assert_eq!(
        curl(&[], &get.replace("Signature=", "Signature=0")).0,
        "403",
        "altered signature"
    );

    let put = signed(&holdall, &["--method", "PUT", "--expires", "10m"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "replaced").unwrap();
    let path = file.path().display().to_string();
    assert_eq!(curl(&["-T", &path], &put).0, "200");
    assert_eq!(curl(&[], &get), ("200".into(), "replaced".into()));
    assert_eq!(curl(&[], &put).0, "403", "wrong method");

    let short = signed(&holdall, &["--method", "GET", "--expires", "2s"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(curl(&[], &short).0, "403", "expired");
}
