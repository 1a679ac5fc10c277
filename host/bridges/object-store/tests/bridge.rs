//! A backend as an `ObjectStore`: what the bridge itself decides. That it keeps the trait's own
//! tests is shown on loaded plugins (host/bridges/object-store/tests).

use crate::plugin::Act;
use crate::{bare, host, store, with};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use holdall::{Bytes, CallOptions, Error, ErrorKind};
use holdall_object_store::{BackendStore, IntoObjectStore, cause, into_error};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Extensions, GetOptions, GetRange, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, RenameOptions,
    RenameTargetMode, TagSet, UpdateVersion,
};
use serde_json::json;
use std::time::Duration;

type StoreError = object_store::Error;

fn kind(error: &StoreError) -> Option<ErrorKind> {
    cause(error).map(Error::kind)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

#[tokio::test]
async fn a_path_is_the_key_byte_for_byte() {
    let (_host, backend, switches) = store().await;
    let store = backend.into_object_store();
    for key in ["a b#1", "a%2Fb", "é/😀", "x~[1]*?"] {
        store.put(&path(key), "x".into()).await.unwrap();
    }
    assert_eq!(switches.keys(), ["a b#1", "a%2Fb", "x~[1]*?", "é/😀"]);
    store.put(&Path::from("a b#1"), "x".into()).await.unwrap();
    assert!(switches.keys().contains(&"a b%231".to_owned()));
    let refused = store.put(&path("a\\b"), "x".into()).await.unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::InvalidKey));
}

#[tokio::test]
async fn conditions_are_decided_whoever_claims_them() {
    for (_host, backend, switches) in [bare(json!({})).await, store().await] {
        let store = backend.into_object_store();
        switches.put("k", "0123456789");
        let get = |options: GetOptions| {
            let store = store.clone();
            async move { store.get_opts(&path("k"), options).await.map(|_| ()) }
        };
        let matching = |etags: &str| GetOptions::new().with_if_match(Some(etags));
        let other = |etags: &str| GetOptions::new().with_if_none_match(Some(etags));
        for head in [false, true] {
            get(matching("x, v0").with_head(head)).await.unwrap();
            get(matching("*").with_head(head)).await.unwrap();
            get(other("x").with_head(head)).await.unwrap();
            let lost = get(matching("x, y").with_head(head)).await.unwrap_err();
            assert!(matches!(lost, StoreError::Precondition { .. }), "{lost}");
            for etags in ["v0", "x, v0", "*"] {
                let hit = get(other(etags).with_head(head)).await.unwrap_err();
                assert!(matches!(hit, StoreError::NotModified { .. }), "{hit}");
            }
        }
        let version = GetOptions::new().with_version(Some("7"));
        let refused = get(version).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotSupported { .. }));
    }
}

#[tokio::test]
async fn the_last_bytes_come_from_one_content() {
    let (host, switches) = (host(), crate::plugin::Switches::new());
    let claims = json!({ "claims": ["atomic_put", "if_match_get"] });
    host.register("store", with("probe", &switches, claims))
        .unwrap();
    let store = host.backend("store").await.unwrap().into_object_store();
    switches.put("k", "0123456789");
    let last = |count| {
        let (store, range) = (store.clone(), GetRange::Suffix(count));
        async move {
            let options = GetOptions::new().with_range(Some(range));
            let got = store.get_opts(&path("k"), options).await?;
            let range = got.range.clone();
            got.bytes().await.map(|bytes| (range, bytes))
        }
    };
    assert_eq!(last(3).await.unwrap(), (7..10, "789".into()));
    assert_eq!(last(99).await.unwrap(), (0..10, "0123456789".into()));

    // Somebody writes between the two steps.
    switches.on("download", Act::Gated);
    let before = switches.entered();
    let reading = tokio::spawn(last(3));
    while switches.entered() < before + 2 {
        tokio::task::yield_now().await;
    }
    let backend = host.backend("store").await.unwrap();
    let upload = holdall::Upload::new("k", "abcdefghijklmnop");
    backend.upload(upload).await.unwrap();
    switches.gate.add_permits(2);
    assert_eq!(reading.await.unwrap().unwrap(), (13..16, "nop".into()));
}

#[tokio::test]
async fn ranges_near_each_other_are_one_request() {
    let (_host, backend, switches) = store().await;
    switches.put("k", "0123456789");
    let store = backend.into_object_store();
    let ranges = [7..9, 0..2, 1..4];
    let got = store.get_ranges(&path("k"), &ranges).await.unwrap();
    assert_eq!(got, ["78", "01", "123"]);
    assert_eq!(switches.entered(), 1);
}

#[tokio::test]
async fn listings_begin_after_an_offset_whoever_claims_it() {
    for (_host, backend, switches) in [bare(json!({})).await, store().await] {
        for n in 0..2500 {
            switches.put(&format!("a/{n:04}"), "x");
        }
        switches.put("a", "x");
        switches.put("ab", "x");
        let store = backend.into_object_store();
        let all: Vec<_> = store.list(Some(&path("a"))).try_collect().await.unwrap();
        assert_eq!(all.len(), 2500);
        let offset = path("a/2497");
        let rest = store.list_with_offset(Some(&path("a")), &offset);
        let rest: Vec<_> = rest
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(rest, [path("a/2498"), path("a/2499")]);
        let top = store.list_with_delimiter(None).await.unwrap();
        let objects: Vec<_> = top
            .objects
            .iter()
            .map(|meta| meta.location.as_ref())
            .collect();
        assert_eq!(
            (objects, top.common_prefixes),
            (vec!["a", "ab"], vec![path("a")])
        );
    }
}

#[tokio::test]
async fn pages_have_tokens_and_string_prefixes() {
    let (_host, backend, switches) = store().await;
    for key in ["a", "aa", "ab/c", "b"] {
        switches.put(key, "x");
    }
    let store = BackendStore::new(backend);
    let mut options = PaginatedListOptions {
        max_keys: Some(2),
        ..Default::default()
    };
    let first = store
        .list_paginated(Some("a"), options.clone())
        .await
        .unwrap();
    assert_eq!(first.result.objects.len(), 2);
    options.page_token = first.page_token;
    let second = store
        .list_paginated(Some("a"), options.clone())
        .await
        .unwrap();
    assert_eq!(second.result.objects[0].location, path("ab/c"));
    assert_eq!(second.page_token, None);
    let foreign = store.list_paginated(Some("b"), options).await.unwrap_err();
    assert_eq!(kind(&foreign), Some(ErrorKind::InvalidArgument));
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_before_the_plugin() {
    let (host, switches) = (host(), crate::plugin::Switches::new());
    let claims = json!({ "claims": ["atomic_put", "unknown_length", "content_type"] });
    host.register("store", with("probe", &switches, claims))
        .unwrap();
    let store = host.backend("store").await.unwrap().into_object_store();
    let mut tags = TagSet::default();
    tags.push("team", "a");
    let metadata = Attributes::from_iter([(Attribute::Metadata("a".into()), "b")]);
    let class = Attributes::from_iter([(Attribute::StorageClass, "COLD")]);
    let version_only = PutMode::Update(UpdateVersion {
        e_tag: None,
        version: Some("7".to_owned()),
    });
    for options in [
        PutOptions::from(tags.clone()),
        PutOptions::from(metadata.clone()),
        PutOptions::from(class.clone()),
        PutOptions::from(PutMode::Create),
        PutOptions::from(version_only),
    ] {
        let refused = store
            .put_opts(&path("k"), "x".into(), options)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, StoreError::NotImplemented { .. }),
            "{refused}"
        );
        assert_eq!(into_error(refused).kind(), ErrorKind::Unsupported);
    }
    for options in [
        PutMultipartOptions::from(tags),
        PutMultipartOptions::from(metadata),
        PutMultipartOptions::from(class),
    ] {
        let refused = store
            .put_multipart_opts(&path("k"), options)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, StoreError::NotImplemented { .. }),
            "{refused}"
        );
    }
    assert_eq!(switches.entered(), 0);
}

#[tokio::test]
async fn a_copy_that_replaces_nothing_is_exact_without_the_claim() {
    let (_host, backend, switches) = bare(json!({})).await;
    let upload = holdall::Upload::new("from", "0123456789");
    let upload = upload.content_type("text/x").metadata("a", "b");
    backend.upload(upload).await.unwrap();
    switches.put("taken", "old");
    let store = backend.into_object_store();
    let create = || CopyOptions::new().with_mode(CopyMode::Create);
    store
        .copy_opts(&path("from"), &path("to"), create())
        .await
        .unwrap();
    let objects = switches.objects.lock().unwrap().clone();
    assert_eq!(objects["to"], objects["from"]);
    for to in ["taken", "from"] {
        let lost = store
            .copy_opts(&path("from"), &path(to), create())
            .await
            .unwrap_err();
        assert!(matches!(lost, StoreError::AlreadyExists { .. }), "{lost}");
    }
    assert_eq!(switches.objects.lock().unwrap()["taken"].bytes, "old");
    let create = RenameOptions::new().with_target_mode(RenameTargetMode::Create);
    let lost = store
        .rename_opts(&path("from"), &path("taken"), create.clone())
        .await
        .unwrap_err();
    assert!(matches!(lost, StoreError::AlreadyExists { .. }), "{lost}");
    store
        .rename_opts(&path("from"), &path("new"), create)
        .await
        .unwrap();
    assert_eq!(switches.keys(), ["new", "taken", "to"]);
}

#[tokio::test]
async fn removals_answer_one_by_one_in_order() {
    let (_host, backend, switches) = store().await;
    for key in ["a", "refused", "c"] {
        switches.put(key, "x");
    }
    let store = backend.into_object_store();
    let broken = || StoreError::Generic {
        store: "x",
        source: "the caller's own".into(),
    };
    let names = [
        Ok(path("a")),
        Ok(path("refused")),
        Err(broken()),
        Ok(path("gone")),
        Ok(path("c")),
    ];
    let names = futures_util::stream::iter(names).boxed();
    let answers: Vec<_> = store.delete_stream(names).collect().await;
    let said: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().ok().map(AsRef::as_ref))
        .collect();
    assert_eq!(said, [Some("a"), None, None, Some("gone"), Some("c")]);
    assert_eq!(
        kind(answers[1].as_ref().unwrap_err()),
        Some(ErrorKind::PermissionDenied)
    );
    assert!(
        answers[2]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("the caller's own")
    );
    assert_eq!(switches.keys(), ["refused"]);
}

#[tokio::test]
async fn one_call_has_options_of_its_own() {
    let (_host, backend, switches) = store().await;
    switches.on("download", Act::Deaf);
    let store = backend.into_object_store();
    let mut extensions = Extensions::new();
    extensions.insert(CallOptions::new().timeout(Duration::from_millis(20)));
    let options = GetOptions::new().with_extensions(extensions);
    let late = store.get_opts(&path("k"), options).await.unwrap_err();
    assert_eq!(kind(&late), Some(ErrorKind::Timeout));
}

#[tokio::test]
async fn answers_carry_the_facts_of_the_host() {
    let (_host, backend, _switches) = store().await;
    let store = backend.into_object_store();
    let put = store.put(&path("k"), "hello world".into()).await.unwrap();
    let uploaded = put.extensions.get::<holdall::Uploaded>().unwrap();
    assert_eq!(uploaded.checksums.crc32c, Some(0xc994_65aa));
    let got = store.get(&path("k")).await.unwrap();
    let info = got.extensions.get::<holdall::ObjectInfo>().unwrap();
    assert_eq!(info.checksums.crc32c, Some(0xc994_65aa));
}

#[tokio::test]
async fn parts_come_in_the_order_of_their_calls() {
    let (_host, backend, switches) = store().await;
    let store = backend.into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let first = upload.put_part(PutPayload::from_iter(["a", "b"].map(Bytes::from)));
    let second = upload.put_part(PutPayload::default());
    let third = upload.put_part("c".into());
    third.await.unwrap();
    second.await.unwrap();
    first.await.unwrap();
    assert!(switches.keys().is_empty());
    let done = upload.complete().await.unwrap();
    assert_eq!(done.e_tag.as_deref(), Some("v1"));
    assert_eq!(switches.objects.lock().unwrap()["k"].bytes, "abc");
    // What comes too late is refused and changes nothing.
    upload.put_part("d".into()).await.unwrap_err();
    upload.abort().await.unwrap_err();
    assert_eq!(switches.objects.lock().unwrap()["k"].bytes, "abc");
}

#[tokio::test]
async fn a_part_waits_until_the_backend_has_taken_it() {
    let (_host, backend, switches) = store().await;
    switches.on("upload", Act::Gated);
    let store = backend.into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let mut part = upload.put_part("a".into());
    while switches.entered() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert!((&mut part).now_or_never().is_none(), "nobody took it yet");
        tokio::task::yield_now().await;
    }
    switches.gate.add_permits(1);
    part.await.unwrap();
    upload.complete().await.unwrap();
}

#[tokio::test]
async fn a_failed_upload_says_so_at_every_part_and_at_the_end() {
    let (_host, backend, switches) = store().await;
    switches.on("upload", Act::Fail(ErrorKind::QuotaExceeded));
    let store = backend.into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    for _ in 0..2 {
        let failed = upload.put_part("a".into()).await.unwrap_err();
        assert_eq!(kind(&failed), Some(ErrorKind::QuotaExceeded));
    }
    let failed = upload.complete().await.unwrap_err();
    assert_eq!(kind(&failed), Some(ErrorKind::QuotaExceeded));
    upload.abort().await.unwrap();
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_the_old_object() {
    let (host, backend, switches) = store().await;
    switches.put("k", "old");
    let store = backend.into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    upload.abort().await.unwrap();

    // What lies in the queue when it is given up is not sent any more.
    switches.on("upload", Act::Gated);
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let waiting = upload.put_part("new".into());
    let (aborted, ()) = tokio::join!(upload.abort(), async {
        switches.gate.add_permits(1);
    });
    aborted.unwrap();
    let given_up = waiting.await.unwrap_err();
    assert_eq!(kind(&given_up), Some(ErrorKind::Cancelled));

    // Dropped, with a backend that waits for something else than its body.
    switches.on("upload", Act::Deaf);
    let upload = store.put_multipart(&path("k")).await.unwrap();
    let in_flight = || host.status().backends[0].counters.in_flight;
    while in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    drop(upload);
    while in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(switches.objects.lock().unwrap()["k"].bytes, "old");
}

#[tokio::test]
async fn urls_are_signed() {
    use object_store::signer::{Method, Signer};
    let (_host, backend, _switches) = store().await;
    let store = BackendStore::new(backend);
    let minute = Duration::from_secs(60);
    let url = store
        .signed_url(Method::GET, &path("k"), minute)
        .await
        .unwrap();
    assert_eq!(url.as_str(), "https://store.example/k?sig=x");
    // Not claimed, and no gateway key is configured.
    let refused = store
        .signed_url(Method::PUT, &path("k"), minute)
        .await
        .unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::ConfigInvalid));
    let refused = store
        .signed_url(Method::PATCH, &path("k"), minute)
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::NotSupported { .. }));
    let refused = store
        .signed_url(Method::GET, &path("k"), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::InvalidArgument));
}
