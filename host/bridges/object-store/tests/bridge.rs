//! Behaviour of the bridge itself, over a backend in memory. The integration tests of the `object_store`
//! crate over loaded plugins are in `integration.rs`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use holdall::{Backend, Bytes, CallOptions, Capabilities, Error, ErrorKind, Head, List, Operation};
use holdall_object_store::{BackendStore, IntoObjectStore, cause, into_error};
use holdall_testing::{BACKEND, Fault, TestBackend};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Extensions, GetOptions, GetRange, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, RenameOptions,
    RenameTargetMode, TagSet, UpdateVersion,
};
use std::time::Duration;

type StoreError = object_store::Error;

fn kind(error: &StoreError) -> Option<ErrorKind> {
    cause(error).map(Error::kind)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// A backend that claims everything.
async fn store() -> (TestBackend, Backend) {
    let test = TestBackend::new();
    let backend = test.backend().await.unwrap();
    (test, backend)
}

/// A backend that claims everything but uploads in parts and many ranges at once.
async fn of_1_0() -> (TestBackend, Backend) {
    let test = TestBackend::with_capabilities(claims_of_1_0().await);
    let backend = test.backend().await.unwrap();
    (test, backend)
}

async fn claims_of_1_0() -> Capabilities {
    let whole = TestBackend::new().backend().await.unwrap();
    whole.info().await.unwrap().capabilities.of_minor(0)
}

/// A backend that claims as little as the bridge can work with.
async fn bare() -> (TestBackend, Backend) {
    let claims = Capabilities::atomic_put
        .with(Capabilities::create_only)
        .with(Capabilities::unknown_length)
        .with(Capabilities::content_type)
        .with(Capabilities::user_metadata)
        .with(Capabilities::ordered_list);
    let test = TestBackend::with_capabilities(claims);
    let backend = test.backend().await.unwrap();
    (test, backend)
}

async fn put(backend: &Backend, key: &str, text: &'static str) {
    let upload = holdall::Upload::new(key, text);
    backend.upload(upload).await.unwrap();
}

async fn keys(backend: &Backend) -> Vec<String> {
    let page = backend.list(List::new("")).await.unwrap();
    page.entries.into_iter().map(|entry| entry.key).collect()
}

async fn text(backend: &Backend, key: &str) -> Bytes {
    let downloaded = backend.download(holdall::Download::new(key)).await.unwrap();
    downloaded.body.collect(1024).await.unwrap()
}

#[tokio::test]
async fn a_path_is_the_key_byte_for_byte() {
    let (_test, backend) = store().await;
    let store = backend.clone().into_object_store();
    for key in ["a b#1", "a%2Fb", "é/😀", "x~[1]*?"] {
        store.put(&path(key), "x".into()).await.unwrap();
    }
    assert_eq!(keys(&backend).await, ["a b#1", "a%2Fb", "x~[1]*?", "é/😀"]);
    store.put(&Path::from("a b#1"), "x".into()).await.unwrap();
    assert!(keys(&backend).await.contains(&"a b%231".to_owned()));
    let refused = store.put(&path("a\\b"), "x".into()).await.unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::InvalidKey));
}

#[tokio::test]
async fn conditions_are_decided_with_and_without_claims() {
    for (_test, backend) in [bare().await, store().await] {
        put(&backend, "k", "0123456789").await;
        let etag = backend.head(Head::new("k")).await.unwrap().etag.unwrap();
        let list = format!("x, {etag}");
        let store = backend.into_object_store();
        let get = |options: GetOptions| {
            let store = store.clone();
            async move { store.get_opts(&path("k"), options).await.map(|_| ()) }
        };
        let matching = |etags: &str| GetOptions::new().with_if_match(Some(etags));
        let other = |etags: &str| GetOptions::new().with_if_none_match(Some(etags));
        for head in [false, true] {
            get(matching(&list).with_head(head)).await.unwrap();
            get(matching("*").with_head(head)).await.unwrap();
            get(other("x").with_head(head)).await.unwrap();
            let lost = get(matching("x, y").with_head(head)).await.unwrap_err();
            assert!(matches!(lost, StoreError::Precondition { .. }), "{lost}");
            for etags in [&*etag, &list, "*"] {
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
    let claims = Capabilities::atomic_put.with(Capabilities::if_match_get);
    let test = TestBackend::with_capabilities(claims);
    let backend = test.backend().await.unwrap();
    let store = backend.clone().into_object_store();
    put(&backend, "k", "0123456789").await;
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

    // The object is replaced between the two requests.
    test.inject(Operation::Download, Fault::pause());
    let before = test.calls(Operation::Download);
    let reading = tokio::spawn(last(3));
    while test.calls(Operation::Download) == before {
        tokio::task::yield_now().await;
    }
    put(&backend, "k", "abcdefghijklmnop").await;
    test.resume(2);
    assert_eq!(reading.await.unwrap().unwrap(), (13..16, "nop".into()));
}

#[tokio::test]
async fn ranges_near_each_other_are_one_request() {
    let (test, backend) = of_1_0().await;
    put(&backend, "k", "0123456789").await;
    let store = backend.into_object_store();
    let ranges = [7..9, 0..2, 1..4];
    let got = store.get_ranges(&path("k"), &ranges).await.unwrap();
    assert_eq!(got, ["78", "01", "123"]);
    assert_eq!(test.calls(Operation::Download), 1);
}

#[tokio::test]
async fn many_ranges_are_one_operation_where_the_backend_has_it() {
    let (test, backend) = store().await;
    put(&backend, "k", "0123456789").await;
    let store = backend.into_object_store();
    let ranges = [7..9, 0..2, 1..4];
    let got = store.get_ranges(&path("k"), &ranges).await.unwrap();
    assert_eq!(got, ["78", "01", "123"]);
    assert_eq!(test.calls(Operation::DownloadRanges), 1);
    assert_eq!(test.calls(Operation::Download), 0);
    // One that ends behind the object is cut, as `object_store` says.
    let got = store.get_ranges(&path("k"), &[8..20, 0..1]).await.unwrap();
    assert_eq!(got, ["89", "0"]);
    assert!(store.get_ranges(&path("k"), &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn parts_go_on_their_own_where_the_backend_takes_them() {
    let (test, backend) = store().await;
    let store = backend.clone().into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let parts = ["a", "b", "c"].map(|text| upload.put_part(text.into()));
    let [first, second, third] = parts;
    // Ended in another order than begun.
    third.await.unwrap();
    second.await.unwrap();
    assert!(keys(&backend).await.is_empty());
    let early = upload.complete().await.unwrap_err();
    assert_eq!(kind(&early), Some(ErrorKind::InvalidArgument));
    first.await.unwrap();
    let done = upload.complete().await.unwrap();
    assert_eq!(text(&backend, "k").await, "abc");
    let head = backend.head(Head::new("k")).await.unwrap();
    assert_eq!(done.e_tag, head.etag);
    assert_eq!(test.calls(Operation::PutPart), 3);
    assert_eq!(test.calls(Operation::Upload), 0);

    // Aborted or dropped, nothing is left.
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    upload.abort().await.unwrap();
    upload.abort().await.unwrap_err();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    drop(upload);
    let list = holdall::ListUploads::new("");
    while !backend.list_uploads(list).await.unwrap().uploads.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(text(&backend, "k").await, "abc");

    // An error of a part is that of the part, and the upload can go on.
    test.inject(
        Operation::PutPart,
        Fault::error(ErrorKind::QuotaExceeded).times(1),
    );
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let failed = upload.put_part("x".into()).await.unwrap_err();
    assert_eq!(kind(&failed), Some(ErrorKind::QuotaExceeded));
    upload.abort().await.unwrap();
    // An object without bytes.
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(text(&backend, "k").await, "");
}

#[tokio::test]
async fn listings_begin_after_an_offset_with_and_without_the_claim() {
    for (_test, backend) in [bare().await, store().await] {
        for n in 0..2500 {
            put(&backend, &format!("a/{n:04}"), "x").await;
        }
        put(&backend, "a", "x").await;
        put(&backend, "ab", "x").await;
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
    let (_test, backend) = store().await;
    for key in ["a", "aa", "ab/c", "b"] {
        put(&backend, key, "x").await;
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
async fn unsupported_attributes_are_refused_before_the_plugin() {
    let claims = Capabilities::atomic_put
        .with(Capabilities::unknown_length)
        .with(Capabilities::content_type);
    let test = TestBackend::with_capabilities(claims);
    let store = test.backend().await.unwrap().into_object_store();
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
    assert_eq!(test.calls(Operation::Upload), 0);
}

#[tokio::test]
async fn a_copy_that_replaces_nothing_is_exact_without_the_claim() {
    let (_test, backend) = bare().await;
    let upload = holdall::Upload::new("from", "0123456789");
    let upload = upload.content_type("text/x").metadata("a", "b");
    backend.upload(upload).await.unwrap();
    put(&backend, "taken", "old").await;
    let store = backend.clone().into_object_store();
    let create = || CopyOptions::new().with_mode(CopyMode::Create);
    store
        .copy_opts(&path("from"), &path("to"), create())
        .await
        .unwrap();
    let copied = backend.head(Head::new("to")).await.unwrap();
    assert_eq!(copied.content_type.as_deref(), Some("text/x"));
    assert_eq!(copied.metadata, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(text(&backend, "to").await, "0123456789");
    for to in ["taken", "from"] {
        let lost = store
            .copy_opts(&path("from"), &path(to), create())
            .await
            .unwrap_err();
        assert!(matches!(lost, StoreError::AlreadyExists { .. }), "{lost}");
    }
    assert_eq!(text(&backend, "taken").await, "old");
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
    assert_eq!(keys(&backend).await, ["new", "taken", "to"]);
}

#[tokio::test]
async fn removals_answer_one_by_one_in_order() {
    let (test, backend) = store().await;
    for key in ["a", "refused", "c"] {
        put(&backend, key, "x").await;
    }
    let denied = Fault::error(ErrorKind::PermissionDenied).on_key("refused");
    test.inject(Operation::Delete, denied);
    let store = backend.clone().into_object_store();
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
    assert_eq!(keys(&backend).await, ["refused"]);
}

#[tokio::test]
async fn one_call_has_options_of_its_own() {
    let (test, backend) = store().await;
    test.inject(Operation::Download, Fault::hang());
    let store = backend.into_object_store();
    let mut extensions = Extensions::new();
    extensions.insert(CallOptions::new().timeout(Duration::from_millis(20)));
    let options = GetOptions::new().with_extensions(extensions);
    let late = store.get_opts(&path("k"), options).await.unwrap_err();
    assert_eq!(kind(&late), Some(ErrorKind::Timeout));
}

#[tokio::test]
async fn answers_carry_the_facts_of_the_host() {
    let (_test, backend) = store().await;
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
    let (_test, backend) = of_1_0().await;
    let store = backend.clone().into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let first = upload.put_part(PutPayload::from_iter(["a", "b"].map(Bytes::from)));
    let second = upload.put_part(PutPayload::default());
    let third = upload.put_part("c".into());
    third.await.unwrap();
    second.await.unwrap();
    first.await.unwrap();
    assert!(keys(&backend).await.is_empty());
    let done = upload.complete().await.unwrap();
    let head = backend.head(Head::new("k")).await.unwrap();
    assert_eq!(done.e_tag, head.etag);
    assert_eq!(text(&backend, "k").await, "abc");
    // What comes too late is refused and changes nothing.
    upload.put_part("d".into()).await.unwrap_err();
    upload.abort().await.unwrap_err();
    assert_eq!(text(&backend, "k").await, "abc");
}

#[tokio::test]
async fn a_part_waits_until_the_backend_has_taken_it() {
    let (test, backend) = of_1_0().await;
    test.inject(Operation::Upload, Fault::pause());
    let store = backend.into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let mut part = upload.put_part("a".into());
    while test.calls(Operation::Upload) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert!((&mut part).now_or_never().is_none(), "not taken yet");
        tokio::task::yield_now().await;
    }
    test.resume(1);
    part.await.unwrap();
    upload.complete().await.unwrap();
}

#[tokio::test]
async fn a_failed_upload_is_reported_by_every_part_and_at_the_end() {
    let (test, backend) = of_1_0().await;
    test.inject(Operation::Upload, Fault::error(ErrorKind::QuotaExceeded));
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
async fn an_aborted_upload_leaves_the_old_object() {
    let test = TestBackend::with_capabilities(claims_of_1_0().await);
    let host = test.host().unwrap();
    let backend = host.backend(BACKEND).await.unwrap();
    put(&backend, "k", "old").await;
    let store = backend.clone().into_object_store();
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    upload.put_part("new".into()).await.unwrap();
    upload.abort().await.unwrap();

    // A part that is queued at the abort is not sent.
    test.inject(Operation::Upload, Fault::pause());
    let mut upload = store.put_multipart(&path("k")).await.unwrap();
    let waiting = upload.put_part("new".into());
    let (aborted, ()) = tokio::join!(upload.abort(), async {
        test.resume(1);
    });
    aborted.unwrap();
    let aborted = waiting.await.unwrap_err();
    assert_eq!(kind(&aborted), Some(ErrorKind::Cancelled));

    // Dropped, with a backend that waits for something else than its body.
    test.inject(Operation::Upload, Fault::hang());
    let upload = store.put_multipart(&path("k")).await.unwrap();
    let in_flight = || host.status().backends[0].counters.in_flight;
    while in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    drop(upload);
    while in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(text(&backend, "k").await, "old");
}

#[cfg(feature = "signer")]
#[tokio::test]
async fn urls_are_signed() {
    use holdall::config::{Config, GatewayConfig};
    use object_store::signer::{Method, Signer};
    let test = TestBackend::new();
    let mut config = Config::default();
    let gateway = GatewayConfig::new("https://files.example.org");
    config.gateway = Some(gateway.key("1", "a secret of 16 or more"));
    let host = holdall::Host::builder().config(config).build().unwrap();
    host.register("store", test.registration()).unwrap();
    let store = BackendStore::new(host.backend("store").await.unwrap());
    let (key, minute) = (path("k"), Duration::from_secs(60));
    let url = store.signed_url(Method::GET, &key, minute);
    assert_eq!(url.await.unwrap().path(), "/v1/store/k");
    let refused = store.signed_url(Method::PATCH, &key, minute).await;
    assert!(matches!(refused, Err(StoreError::NotSupported { .. })));
    let refused = store.signed_url(Method::GET, &key, Duration::ZERO);
    let refused = refused.await.unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::InvalidArgument));

    let without_gateway = BackendStore::new(test.backend().await.unwrap());
    let refused = without_gateway.signed_url(Method::GET, &key, minute);
    let refused = refused.await.unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::ConfigInvalid));
}
