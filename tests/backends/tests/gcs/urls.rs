//! Signed URLs in the hands of `curl`.

use crate::bucket::Bucket;
use holdall_backends::urls::Signed;
use holdall_backends::{Holdall, curl};

pub(crate) fn used_by_curl(bucket: &Bucket) {
    let holdall = Holdall::new("gcs", &bucket.below("signed/"));
    let sign = |method: &str, expires: &str| holdall.signed("b:folder/an object", method, expires);
    Signed {
        sign: &sign,
        altered: &[
            ("an%20object", "another"),
            ("Expires=600", "Expires=601"),
            ("Signature=", "Signature=00"),
        ],
        put: &[],
        stored: "200",
        expired: "400",
    }
    .used_by_curl();
    assert_eq!(curl(&[], &sign("GET", "7d")).0, "200", "the longest life");
}
