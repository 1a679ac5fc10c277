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
    let mut text = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text.lines().next().unwrap().to_owned()
}

pub(crate) fn used_by_curl(bucket: &Bucket) {
    let holdall = Holdall::new("gcs", &bucket.below("signed/"));
    let mut put = holdall.start(&["put", "-", "b:folder/an object"]);
    put.stdin.take().unwrap().write_all(b"stored").unwrap();
    assert!(put.wait().unwrap().success());

    let get = signed(&holdall, &["--method", "GET", "--expires", "10m"]);
    assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));
    assert_eq!(curl(&["-r", "1-2"], &get), ("206".into(), "to".into()));
    assert_eq!(curl(&["-X", "DELETE"], &get).0, "403", "wrong method");
    assert_eq!(curl(&["-T", "/dev/null"], &get).0, "403", "wrong method");
    let altered = |from: &str, to: &str| {
        let url = get.replace(from, to);
        assert_ne!(url, get);
        curl(&[], &url).0
    };
    assert_eq!(altered("an%20object", "another"), "403", "altered key");
    assert_eq!(
        altered("Expires=600", "Expires=601"),
        "403",
        "altered expiry"
    );
    assert_eq!(
        altered("Signature=", "Signature=00"),
        "403",
        "altered signature"
    );

    let week = signed(&holdall, &["--method", "GET", "--expires", "7d"]);
    assert_eq!(curl(&[], &week).0, "200", "the longest life");

    let put = signed(&holdall, &["--method", "PUT", "--expires", "10m"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "replaced").unwrap();
    let path = file.path().display().to_string();
    assert_eq!(curl(&["-T", &path], &put).0, "200");
    assert_eq!(curl(&[], &get), ("200".into(), "replaced".into()));
    assert_eq!(curl(&[], &put).0, "403", "wrong method");

    let short = signed(&holdall, &["--method", "GET", "--expires", "2s"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(curl(&[], &short).0, "400", "expired");
}
