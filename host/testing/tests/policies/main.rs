//! The policies of a backend, counted where the plugin is entered.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod attempts;
mod counts;
mod waits;

use futures_util::{StreamExt, stream};
use holdall::policy::{Breaker, Deadlines, FileTypes, Mismatch, Policy, PolicyReport, Retries};
use holdall::{
    Backend, Body, Bytes, CallOptions, Capabilities, CopyObject, Custom, Delete, DeleteMany, Error,
    ErrorKind, Host, Key, List, Method, Operation, Rename, Result, Retry, SignUrl, Update, Upload,
    UploadOptions,
};
use holdall_testing::{BACKEND, Fault, TestBackend};
use std::time::Duration;
use tokio::time::Instant;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const HTML: &str = "<!DOCTYPE html><html></html>";

/// Two names of one store: `test` under the policies, `bare` without.
async fn guarded(change: impl FnOnce(&mut Policy)) -> (TestBackend, Host, Backend, Backend) {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    let mut policy = Policy::new();
    change(&mut policy);
    let registration = test.registration().policy(policy);
    host.register(BACKEND, registration).unwrap();
    host.register("bare", test.registration()).unwrap();
    let (backend, bare) = (host.backend(BACKEND).await, host.backend("bare").await);
    (test, host, backend.unwrap(), bare.unwrap())
}

fn streamed(parts: &[&'static [u8]]) -> Body {
    let parts: Vec<Result<Bytes>> = parts.iter().map(|part| Ok((*part).into())).collect();
    Body::stream(stream::iter(parts))
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

fn retry(attempts: u32) -> impl FnOnce(&mut Policy) {
    move |policy| {
        let mut retries = Retries::default();
        retries.attempts = attempts;
        policy.retry = Some(retries);
    }
}

fn with_retry(kind: ErrorKind, retry: Retry) -> Error {
    Error::new(kind).with_retry(retry)
}

#[tokio::test]
async fn sizes_are_counted_on_the_stream_and_nothing_is_visible() {
    let (test, _host, backend, _) = guarded(|policy| policy.max_size = Some(10)).await;
    backend.upload(("fits", "0123456789")).await.unwrap();
    backend
        .upload(("fits", streamed(&[b"01234", b"56789"])))
        .await
        .unwrap();
    let entered = test.calls(Operation::Upload);
    let too_large = Some(ErrorKind::TooLarge);
    assert_eq!(kind(backend.upload(("k", "0123456789a")).await), too_large);
    let stated = Upload::new("k", streamed(&[b"x"])).length(11);
    assert_eq!(kind(backend.upload(stated).await), too_large);
    assert_eq!(
        test.calls(Operation::Upload),
        entered,
        "known before the plugin"
    );
    let error = backend
        .upload(("k", streamed(&[b"0123456789", b"a"])))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("limit")),
        (ErrorKind::TooLarge, Some("10"))
    );
    assert!(!backend.exists("k").await.unwrap());
    // The smaller of both bounds.
    let upload = Upload::new("k", "0123").max_size(3);
    assert_eq!(kind(backend.upload(upload).await), too_large);
}

/// C-13 and J-17.
#[tokio::test]
async fn no_operation_leaves_the_prefix() {
    for prefix in ["a/", "a/b/c/"] {
        let (_test, _host, backend, bare) =
            guarded(|policy| policy.prefix = Some(prefix.into())).await;
        let outside = format!("{}2/x", prefix.trim_end_matches('/'));
        bare.upload(Upload::new(&outside, "sibling")).await.unwrap();
        bare.upload(("x", "above")).await.unwrap();
        for key in ["x", "d/y", "d/z"] {
            backend.upload((key, "text")).await.unwrap();
        }
        let inside = bare.head(&format!("{prefix}d/y")).await.unwrap();
        assert_eq!(inside.size, 4);
        // Keys of the caller, however deep the root.
        let mut keys = Vec::new();
        let mut pages = std::pin::pin!(backend.pages(List::new("").limit(1)));
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().entries.into_iter().map(|entry| entry.key));
        }
        assert_eq!(keys, ["d/y", "d/z", "x"]);
        let page = backend.list(List::new("").delimiter("/")).await.unwrap();
        assert_eq!(page.common_prefixes, ["d/"]);
        let page = backend
            .list(List::new("d/").start_after("d/y"))
            .await
            .unwrap();
        assert_eq!(page.entries[0].key, "d/z");
        assert!(
            backend
                .list(List::new("../"))
                .await
                .unwrap()
                .entries
                .is_empty()
        );
        // A token of one root is none of another.
        let first = backend.list(List::new("").limit(1)).await.unwrap();
        let foreign = bare
            .list(List::new("").limit(1).page_token(first.next.as_deref()))
            .await;
        assert_eq!(kind(foreign), Some(ErrorKind::InvalidArgument));

        for escape in ["../x", "/x", "..", "d/../../x"] {
            let invalid = Some(ErrorKind::InvalidKey);
            assert_eq!(
                kind(backend.upload((escape, "")).await),
                invalid,
                "{escape}"
            );
            assert_eq!(kind(backend.download(escape).await), invalid);
            assert_eq!(kind(backend.delete(Delete::new(escape)).await), invalid);
            assert_eq!(
                kind(backend.copy(CopyObject::new("x", escape)).await),
                invalid
            );
            assert_eq!(
                kind(backend.rename(Rename::new("x", escape)).await),
                invalid
            );
        }
        assert!(!backend.exists(&outside).await.unwrap());
        let custom = backend.custom(Custom::new("any", "")).await;
        assert_eq!(kind(custom), Some(ErrorKind::Unsupported));
        backend.copy(("x", "copied")).await.unwrap();
        backend.rename(("copied", "renamed")).await.unwrap();
        for answer in backend
            .delete_many(DeleteMany::new(["renamed", "x"]))
            .await
            .unwrap()
        {
            assert_eq!(answer.unwrap().existed, Some(true));
        }
        let missing = backend.head("x").await.unwrap_err();
        assert_eq!(
            missing.place().key.as_deref(),
            Some("x"),
            "no prefix in an error"
        );
        assert_eq!(backend.delete_prefix("").await.unwrap().deleted, 2);
        assert_eq!(bare.entries("").count().await, 2, "what lies outside stays");
        let longest = "k".repeat(200)
            + "/"
            + &"k".repeat(255)
            + "/"
            + &"k".repeat(255)
            + "/"
            + &"k".repeat(255)
            + "/"
            + &"k".repeat(53);
        assert_eq!(longest.len(), 1022);
        assert_eq!(
            kind(backend.exists(&longest[..1022 - prefix.len()]).await),
            None
        );
        assert_eq!(
            kind(backend.exists(&longest).await),
            (prefix.len() > 2).then_some(ErrorKind::InvalidKey)
        );
    }
}

#[tokio::test]
async fn a_prefix_is_a_key_and_a_slash() {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    for prefix in ["", "/", "a", "/a/", "a//", "../", "a/../b/"] {
        let mut policy = Policy::new();
        policy.prefix = Some(prefix.to_owned());
        let outcome = host.register("x", test.registration().policy(policy));
        assert_eq!(kind(outcome), Some(ErrorKind::ConfigInvalid), "{prefix:?}");
    }
}

#[tokio::test]
async fn read_only_refuses_every_change_before_the_plugin() {
    let (test, _host, backend, bare) = guarded(|policy| policy.read_only = true).await;
    bare.upload(("k", "text")).await.unwrap();
    let before = test.calls(Operation::Upload);
    let life = Duration::from_secs(60);
    let refused = [
        kind(backend.upload(("k", "other")).await),
        kind(backend.delete(Delete::new("k")).await),
        kind(backend.delete_many(DeleteMany::new(["k"])).await),
        kind(backend.copy(("k", "l")).await),
        kind(backend.rename(("k", "l")).await),
        kind(
            backend
                .signed_url(SignUrl::new(Method::Put, "k", life))
                .await,
        ),
        kind(
            backend
                .signed_url(SignUrl::new(Method::Delete, "k", life))
                .await,
        ),
    ];
    assert_eq!(refused, [Some(ErrorKind::Unsupported); 7]);
    let failed = backend.delete_prefix("").await;
    assert_eq!(kind(failed), Some(ErrorKind::Unsupported));
    assert_eq!(test.calls(Operation::Upload), before);
    assert_eq!(
        test.calls(Operation::Delete) + test.calls(Operation::Copy),
        0
    );
    assert_eq!(
        backend.download("k").await.unwrap().text().await.unwrap(),
        "text"
    );
}

#[tokio::test]
async fn aliases_are_names_of_one_backend() {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    host.register("files", test.registration().alias("docs").alias("papers"))
        .unwrap();
    let (files, docs) = (
        host.backend("files").await.unwrap(),
        host.backend("docs").await.unwrap(),
    );
    files.upload(("k", "text")).await.unwrap();
    assert_eq!(
        docs.download("k").await.unwrap().text().await.unwrap(),
        "text"
    );
    assert_eq!(docs.name(), "files");
    assert_eq!(host.resolve_name("papers").as_deref(), Some("files"));
    assert_eq!(host.backends(), ["files", "test"]);
    let taken = host.register("other", test.registration().alias("docs"));
    assert_eq!(kind(taken), Some(ErrorKind::ConfigInvalid));
    let taken = host.register("other", test.registration().alias("test"));
    assert_eq!(kind(taken), Some(ErrorKind::ConfigInvalid));
    host.remove("files");
    assert_eq!(
        kind(host.backend("docs").await),
        Some(ErrorKind::BackendNotRegistered)
    );
}

/// P-12.
#[tokio::test]
async fn html_that_is_called_png_does_not_reach_the_plugin() {
    let (test, _host, backend, _) =
        guarded(|policy| policy.types = Some(FileTypes::new(["image/*"]))).await;
    for body in [
        Body::from(HTML),
        streamed(&[b"<!DOC", b"TYPE html>", b"<html>"]),
    ] {
        let upload = Upload::new("a.png", body).content_type("image/png");
        let error = backend.upload(upload).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFileType);
        assert_eq!(error.fact("provided"), Some("image/png"));
        assert_eq!(error.fact("sniffed"), Some("text/html"));
        assert_eq!(error.fact("allowed"), Some("image/*"));
    }
    assert_eq!(
        kind(backend.upload(("page.html", HTML)).await),
        Some(ErrorKind::InvalidFileType)
    );
    assert_eq!(test.calls(Operation::Upload), 0);
    for body in [Body::from(PNG), streamed(&[&PNG[..3], &PNG[3..]])] {
        backend
            .upload(Upload::new("a.png", body).content_type("image/png"))
            .await
            .unwrap();
        let stored = backend
            .download("a.png")
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(stored, PNG);
    }
    assert_eq!(test.calls(Operation::Upload), 2);
}

#[tokio::test]
async fn a_wrong_type_is_corrected_where_the_policy_says_so() {
    let types = FileTypes::new(["image/*"]).mismatch(Mismatch::Correct);
    let (_test, _host, backend, _) = guarded(|policy| policy.types = Some(types)).await;
    backend
        .upload(Upload::new("a", PNG).content_type("image/gif"))
        .await
        .unwrap();
    let facts = backend.head("a").await.unwrap();
    assert_eq!(facts.content_type.as_deref(), Some("image/png"));
}
