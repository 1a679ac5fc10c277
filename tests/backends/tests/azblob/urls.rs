//! Signed URLs in the hands of `curl`.

use crate::container::Container;
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

/// What the command prints: the URL, and a line for each header that the request must carry.
fn signed(holdall: &Holdall, arguments: &[&str]) -> String {
    let mut child = holdall.start(&[&["sign", "b:folder/an object"], arguments].concat());
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(child.wait().unwrap().success());
    text.lines().next().unwrap().to_owned()
}

pub(crate) fn used_by_curl(container: &Container) {
    let holdall = Holdall::new("azblob", &container.below("signed/"));
    let mut put = holdall.start(&["put", "-", "b:folder/an object"]);
    put.stdin.take().unwrap().write_all(b"stored").unwrap();
    assert!(put.wait().unwrap().success());

    let get = signed(&holdall, &["--method", "GET", "--expires", "10m"]);
    assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));
    assert_eq!(curl(&["-r", "1-2"], &get), ("206".into(), "to".into()));
    let blob = ["-H", "x-ms-blob-type: BlockBlob"];
    assert_eq!(curl(&["-X", "DELETE"], &get).0, "403", "wrong method");
    let null = [&blob[..], &["-T", "/dev/null"]].concat();
    assert_eq!(curl(&null, &get).0, "403", "wrong method");
    let altered = |from: &str, to: &str| {
        let url = get.replace(from, to);
        assert_ne!(url, get);
        curl(&[], &url).0
    };
    assert_eq!(altered("an%20object", "another"), "403", "altered key");
    assert_eq!(altered("&sp=r", "&sp=rw"), "403", "altered permission");
    assert_eq!(altered("&se=20", "&se=21"), "403", "altered expiry");
    assert_eq!(altered("&sig=", "&sig=A"), "403", "altered signature");

    let named = signed(
        &holdall,
        &[
            "--method",
            "GET",
            "--expires",
            "10m",
            "--download-name",
            "caf\u{e9}.txt",
        ],
    );
    let (status, head) = curl(&["-D", "-", "-o", "/dev/null"], &named);
    assert_eq!(status, "200");
    assert!(
        head.to_lowercase()
            .contains("content-disposition: attachment; filename="),
        "{head}"
    );

    let put = signed(&holdall, &["--method", "PUT", "--expires", "10m"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "replaced").unwrap();
    let path = file.path().display().to_string();
    let with_file = [&blob[..], &["-T", &path]].concat();
    assert_eq!(curl(&with_file, &put).0, "201");
    assert_eq!(curl(&[], &get), ("200".into(), "replaced".into()));
    assert_eq!(curl(&[], &put).0, "403", "wrong method");

    let short = signed(&holdall, &["--method", "GET", "--expires", "2s"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(curl(&[], &short).0, "403", "expired");
}
