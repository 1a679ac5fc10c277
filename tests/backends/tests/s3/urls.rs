//! Signed URLs in the hands of `curl`.

use crate::bucket::Bucket;
use holdall_backends::{Holdall, curl};
use std::time::Duration;

/// `expired`: the status of a URL whose time is over. Amazon's is 403.
pub(crate) fn used_by_curl(bucket: &Bucket, expired: &str) {
    let holdall = Holdall::new("s3", &bucket.below("signed/"));
    holdall.put("b:folder/an object", b"stored");
    let signed = |arguments: &[&str]| holdall.sign("b:folder/an object", arguments);

    let get = signed(&["--method", "GET", "--expires", "10m"]);
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

    let put = signed(&["--method", "PUT", "--expires", "10m"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "replaced").unwrap();
    let path = file.path().display().to_string();
    assert_eq!(curl(&["-T", &path], &put).0, "200");
    assert_eq!(curl(&[], &get), ("200".into(), "replaced".into()));
    assert_eq!(curl(&[], &put).0, "403", "wrong method");

    let short = signed(&["--method", "GET", "--expires", "2s"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(curl(&[], &short).0, expired, "expired");
}
