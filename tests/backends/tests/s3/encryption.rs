//! Encryption settings and the paying requester, as another client sees them.

use crate::bucket::Bucket;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdall_backends::{Holdall, resumed};
use serde_json::{Value, json};

/// More than one part, so that the requests of each kind say it.
static BYTES: [u8; 6 << 20] = [7; 6 << 20];

fn stored(bucket: &Bucket, prefix: &str, encryption: Value) -> Holdall {
    let mut config = bucket.below(prefix);
    config["encryption"] = encryption;
    let holdall = Holdall::new("s3", &config);
    holdall.put("b:small", b"small");
    holdall.put("b:large", &BYTES);
    assert_eq!(holdall.get("b:small").as_deref(), Some(&b"small"[..]));
    assert!(holdall.get("b:large").as_deref() == Some(&BYTES[..]));
    holdall
}

/// The key of the customer goes with each request, and no reader succeeds without it.
pub(crate) fn with_a_key_of_the_customer(bucket: &Bucket) {
    let key = STANDARD.encode([7; 32]);
    let encryption = json!({"type": "customer", "key": key});
    let mut config = bucket.below("customer/");
    config["encryption"] = encryption.clone();
    resumed::both_kinds_of_parts("s3", config);
    stored(bucket, "customer/", encryption);
    for name in ["/customer/small", "/customer/large", "/customer/both"] {
        assert_eq!(bucket.s3().get(name), None, "without the key");
    }
    let mut config = bucket.below("customer/");
    let other = STANDARD.encode([8; 32]);
    config["encryption"] = json!({"type": "customer", "key": other});
    let other = Holdall::new("s3", &config);
    assert_eq!(other.get("b:small"), None, "with another key");
}

/// The store says itself that it has encrypted, and with which key.
pub(crate) fn with_a_managed_key(bucket: &Bucket) {
    let encryption = json!({"type": "kms", "key_id": "key-1"});
    stored(bucket, "managed/", encryption);
    for name in ["/managed/small", "/managed/large"] {
        let head = bucket.s3().head(name).unwrap().to_lowercase();
        assert!(
            head.contains("x-amz-server-side-encryption: aws:kms"),
            "{head}"
        );
        assert!(head.contains("aws-kms-key-id: key-1"), "{head}");
    }
    bucket.s3().puts("/managed/plain", b"plain", None).unwrap();
    let plain = bucket.s3().head("/managed/plain").unwrap();
    assert!(!plain.contains("encryption"), "{plain}");
}

/// A digest of each part is sent before its bytes, and named again when the parts are completed.
pub(crate) fn with_digests_of_parts(bucket: &Bucket) {
    for checksum in ["sha256", "crc64nvme"] {
        let mut config = bucket.below("digests/");
        config["checksum"] = checksum.into();
        resumed::both_kinds_of_parts("s3", config);
    }
}

/// A bucket of another account, whose owner lets the others pay.
pub(crate) fn paid_by_who_asks(bucket: &Bucket) {
    let guest = bucket.guest();
    let mut config = bucket.below("paid/");
    config["bucket"] = guest["bucket"].clone();
    config["access_key_id"] = guest["key"].clone();
    config["secret_access_key"] = guest["secret"].clone();
    let stingy = Holdall::new("s3", &config);
    config["requester_pays"] = true.into();
    let paying = Holdall::new("s3", &config);
    paying.put("b:small", b"small");
    let refused = stingy.start(&["get", "b:small", "-"]).wait().unwrap();
    assert_eq!(refused.code(), Some(8), "who does not pay gets nothing");
    paying.put("b:large", &BYTES);
    assert_eq!(paying.get("b:small").as_deref(), Some(&b"small"[..]));
    // Requests of our own, and URLs, say it too.
    let url = paying.signed("b:small", "GET", "2m");
    assert_eq!(holdall_backends::curl(&[], &url).0, "200");
    assert_eq!(paying.remove("b:small"), Some(0));
    assert_eq!(paying.remove("b:large"), Some(0));
}
