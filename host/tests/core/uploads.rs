//! What is verified on the way in: length, digests, limits, options.

use crate::plugin::{Act, Switches};
use crate::{bare, host, store, with};
use futures_util::stream;
use holdall::config::ContentTypePolicy;
use holdall::{Body, Bytes, Error, ErrorKind, Upload};
use serde_json::json;
use sha2::{Digest, Sha256};

const TEXT: &str = "one two three";

fn chunks(parts: Vec<Result<&'static str, Error>>) -> Body {
    Body::stream(stream::iter(parts).map_ok_bytes())
}

trait MapOkBytes {
    fn map_ok_bytes(self) -> impl futures_util::Stream<Item = holdall::Result<Bytes>> + Send;
}

impl<S: futures_util::Stream<Item = Result<&'static str, Error>> + Send> MapOkBytes for S {
    fn map_ok_bytes(self) -> impl futures_util::Stream<Item = holdall::Result<Bytes>> + Send {
        futures_util::TryStreamExt::map_ok(self, Bytes::from)
    }
}

fn streamed() -> Body {
    chunks(vec![Ok("one "), Ok(""), Ok("two "), Ok("three")])
}

#[tokio::test]
async fn crc32c_is_always_there_and_reaches_the_store() {
    let (_host, backend, switches) = store().await;
    let crc = Some(crc_fast::crc32_iscsi(TEXT.as_bytes()));
    for (key, body) in [("once", Body::from(TEXT)), ("stream", streamed())] {
        let uploaded = backend.upload(Upload::new(key, body)).await.unwrap();
        assert_eq!(
            (uploaded.checksums.crc32c, uploaded.size),
            (crc, 13),
            "{key}"
        );
        let stored = switches.objects.lock().unwrap()[key].clone();
        assert_eq!(
            (stored.crc32c, &stored.bytes[..]),
            (crc, TEXT.as_bytes()),
            "{key}"
        );
    }
    let empty = backend.upload(Upload::new("empty", "")).await.unwrap();
    assert_eq!((empty.size, empty.checksums.crc32c), (0, Some(0)));
}

#[tokio::test]
async fn digests_of_the_caller_are_verified_before_anything_is_visible() {
    let (_host, backend, switches) = store().await;
    let crc32c = crc_fast::crc32_iscsi(TEXT.as_bytes());
    let sha256: [u8; 32] = Sha256::digest(TEXT).into();
    let md5: [u8; 16] = md5::Md5::digest(TEXT).into();
    for body in [|| Body::from(TEXT), streamed] {
        for wrong in [false, true] {
            for which in ["crc32c", "sha256", "md5"] {
                let mut upload = Upload::new("k", body());
                let options = upload.options_mut();
                let flip = u8::from(wrong);
                let mut sha256 = sha256;
                let mut md5 = md5;
                sha256[31] ^= flip;
                md5[15] ^= flip;
                match which {
                    "crc32c" => options.checksums.crc32c = Some(crc32c ^ u32::from(flip)),
                    "sha256" => options.checksums.sha256 = Some(sha256),
                    _ => options.checksums.md5 = Some(md5),
                }
                let outcome = backend.upload(upload).await;
                if wrong {
                    let error = outcome.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{which}");
                    assert_eq!(error.fact("algorithm"), Some(which));
                    assert!(switches.keys().is_empty());
                } else {
                    let sums = outcome.unwrap().checksums;
                    assert_eq!(sums.crc32c, Some(crc32c));
                    assert!(which != "sha256" || sums.sha256 == Some(sha256));
                    assert!(which != "md5" || sums.md5 == Some(md5));
                    switches.objects.lock().unwrap().clear();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_length_stores_nothing() {
    let (_host, backend, switches) = store().await;
    for body in [|| Body::from(TEXT), streamed] {
        for length in [0, 12, 14, u64::MAX] {
            let error = backend
                .upload(Upload::new("k", body()).length(length))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{length}");
            assert!(switches.keys().is_empty());
        }
        backend
            .upload(Upload::new("k", body()).length(13))
            .await
            .unwrap();
        switches.objects.lock().unwrap().clear();
    }
    // The host's error, whatever the plugin makes of a failed body.
    switches.on("upload", Act::Lie("rename error"));
    let error = backend
        .upload(Upload::new("k", streamed()).length(12))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn a_failing_body_is_the_cause_and_not_the_plugin_s_fault() {
    let (_host, backend, switches) = store().await;
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::PluginFault,
        ErrorKind::Unauthenticated,
    ] {
        let failing = || Error::new(kind).with_message("the source is gone");
        let body = chunks(vec![Ok("one"), Err(failing())]);
        let error = backend.upload(Upload::new("k", body)).await.unwrap_err();
        let cause = error.cause().expect("a cause");
        assert!(cause.text.contains("the source is gone"), "{error:?}");
        assert!(switches.keys().is_empty());
    }
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 1, "the instance is innocent");
}

#[tokio::test]
async fn a_plugin_that_publishes_too_early_or_lies_is_found_out() {
    let (_host, backend, switches) = store().await;
    for (lie, kind) in [
        ("unread", ErrorKind::PluginFault),
        ("size", ErrorKind::PluginFault),
        ("crc", ErrorKind::Corrupt),
    ] {
        switches.on("upload", Act::Lie(lie));
        let error = backend
            .upload(Upload::new("k", streamed()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{lie}");
    }
    switches.on("upload", Act::Lie("swallow"));
    let body = chunks(vec![Ok("one"), Err(Error::new(ErrorKind::Other))]);
    let error = backend.upload(Upload::new("k", body)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
    assert!(
        error.message().contains("a body that had failed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_large_body_comes_in_chunks_of_a_mebibyte() {
    let (_host, backend, switches) = store().await;
    let large = vec![7_u8; (3 << 20) + 5];
    let uploaded = backend
        .upload(Upload::new("k", large.clone()))
        .await
        .unwrap();
    assert_eq!(
        uploaded.checksums.crc32c,
        Some(crc_fast::crc32_iscsi(&large))
    );
    assert_eq!(switches.objects.lock().unwrap()["k"].bytes, large);
}

#[tokio::test]
async fn an_unknown_length_is_spooled_where_the_store_must_know() {
    let claims = json!({ "claims": ["atomic_put"] });
    let (host, backend, switches) = bare(claims).await;
    backend
        .upload(Upload::new("small", streamed()))
        .await
        .unwrap();
    let piece = "x".repeat(700_000);
    let parts: Vec<holdall::Result<Bytes>> =
        (0..5).map(|_| Ok(Bytes::from(piece.clone()))).collect();
    let large = Body::stream(stream::iter(parts));
    let uploaded = backend.upload(Upload::new("large", large)).await.unwrap();
    assert_eq!(uploaded.size, 3_500_000);
    assert_eq!(
        switches.objects.lock().unwrap()["large"].bytes,
        piece.repeat(5)
    );
    assert_eq!(host.status().backends[0].counters.spooled, 2);
}

#[tokio::test]
async fn the_spool_is_bounded() {
    let switches = Switches::new();
    let host = holdall::Host::builder()
        .built_in(&crate::plugin::bare::PLUGIN)
        .config(holdall::config::Config::default())
        .spool_limit(12)
        .build()
        .unwrap();
    let registration = with("bare", &switches, json!({ "claims": ["atomic_put"] }));
    host.register("store", registration).unwrap();
    let backend = host.backend("store").await.unwrap();
    let error = backend
        .upload(Upload::new("k", streamed()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    backend
        .upload(Upload::new("k", streamed()).length(13))
        .await
        .unwrap();
    assert_eq!(switches.entered(), 1);
}

#[tokio::test]
async fn what_is_not_claimed_is_refused_before_the_plugin_is_entered() {
    let (_host, backend, switches) = bare(json!({ "claims": ["atomic_put"] })).await;
    for upload in [
        Upload::new("k", "x").create_only(),
        Upload::new("k", "x").if_match("e"),
        Upload::new("k", "x").metadata("a", "b"),
        Upload::new("k", "x").cache_control("no-store"),
        Upload::new("k", "x").content_type("text/plain"),
    ] {
        let error = backend.upload(upload).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    assert_eq!(switches.entered(), 0);
}

#[tokio::test]
async fn a_content_type_that_the_extension_implies_is_no_loss() {
    let claims = json!({ "claims": ["atomic_put"] });
    let (_host, backend, switches) = bare(claims.clone()).await;
    let implied = Upload::new("a.png", "x").content_type("image/png");
    backend.upload(implied).await.unwrap();
    assert_eq!(switches.objects.lock().unwrap()["a.png"].content_type, None);
    let other = Upload::new("a.png", "x").content_type("text/plain");
    assert_eq!(
        backend.upload(other).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let malformed = Upload::new("a.png", "x").content_type("image");
    assert_eq!(
        backend.upload(malformed).await.unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );

    let host = host();
    let registration = with("bare", &switches, claims).content_type(ContentTypePolicy::ByExtension);
    host.register("store", registration).unwrap();
    let backend = host.backend("store").await.unwrap();
    let other = Upload::new("b.png", "x").content_type("text/plain");
    backend.upload(other).await.unwrap();
}
