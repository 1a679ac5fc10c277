//! Signed URLs in the hands of `curl`.

use crate::container::Container;
use holdall_backends::{Holdall, curl};
use std::time::Duration;

pub(crate) fn used_by_curl(container: &Container) {
    let holdall = Holdall::new("azblob", &container.below("signed/"));
    holdall.put("b:folder/an object", b"stored");
    let signed = |arguments: &[&str]| holdall.sign("b:folder/an object", arguments);

    let get = signed(&["--method", "GET", "--expires", "10m"]);
    assert_eq!(curl(&[], &get), ("200".into(), "stored".into()));
    assert_eq!(curl(&["-r", "1-2"], &get), ("206".into(), "to".into()));
    let blob = ["-H", "x-ms-blob-type: BlockBlob"];
    assert_eq!(curl(&["-X", "DELETE"], &get).0, "403", "wrong method");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "replaced").unwrap();
    let path = file.path().display().to_string();
    let with_file = [&blob[..], &["-T", &path]].concat();
    assert_eq!(curl(&with_file, &get).0, "403", "wrong method");
    let altered = |from: &str, to: &str| {
        let url = get.replace(from, to);
        assert_ne!(url, get);
        curl(&[], &url).0
    };
    assert_eq!(altered("an%20object", "another"), "403", "altered key");
    assert_eq!(altered("&sp=r", "&sp=rw"), "403", "altered permission");
    assert_eq!(altered("&se=20", "&se=21"), "403", "altered expiry");
    assert_eq!(altered("&sig=", "&sig=A"), "403", "altered signature");

    let named = signed(&[
        "--method",
        "GET",
        "--expires",
        "10m",
        "--download-name",
        "caf\u{e9}.txt",
    ]);
    let (status, head) = curl(&["-D", "-", "-o", "/dev/null"], &named);
    assert_eq!(status, "200");
    assert!(
        head.to_lowercase()
            .contains("content-disposition: attachment; filename="),
        "{head}"
    );

    let put = signed(&["--method", "PUT", "--expires", "10m"]);
    assert_eq!(curl(&with_file, &put).0, "201");
    assert_eq!(curl(&[], &get), ("200".into(), "replaced".into()));
    assert_eq!(curl(&[], &put).0, "403", "wrong method");

    let short = signed(&["--method", "GET", "--expires", "2s"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(curl(&[], &short).0, "403", "expired");
}
