//! Etags have the form of HTTP for callers, whatever a plugin returns, and conditions may have either form.

use crate::store;
use holdall::{Backend, Delete, Download, ErrorKind, Head, List, Result, Upload};
use std::sync::atomic::Ordering;

fn kind<T>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

async fn put(backend: &Backend, if_match: &str) -> Result<Option<String>> {
    let upload = Upload::new("k", "x").if_match(if_match);
    backend.upload(upload).await.map(|uploaded| uploaded.etag)
}

#[tokio::test]
async fn answers_are_in_quotes_and_conditions_in_either_form() {
    for quotes in [false, true] {
        let (_host, backend, switches) = store().await;
        switches.quotes.store(quotes, Ordering::SeqCst);
        let uploaded = backend.upload(("k", "x")).await.unwrap();
        assert_eq!(uploaded.etag.as_deref(), Some("\"v1\""));
        let head = backend.head("k").await.unwrap();
        assert_eq!(head.etag.as_deref(), Some("\"v1\""));
        let read = backend.download("k").await.unwrap();
        assert_eq!(read.info.etag.as_deref(), Some("\"v1\""));
        let page = backend.list(List::new("")).await.unwrap();
        assert_eq!(page.entries[0].etag.as_deref(), Some("\"v1\""));

        let mut version = 1;
        for form in ["\"v{}\"", "v{}"] {
            let now = form.replace("{}", &version.to_string());
            let other = form.replace("{}", "9");
            let (present, absent) = (
                Some(ErrorKind::NotModified),
                Some(ErrorKind::PreconditionFailed),
            );
            for (etag, lost, same) in [(&now, None, present), (&other, absent, None)] {
                let read = backend.download(Download::new("k").if_match(etag)).await;
                assert_eq!(kind(read), lost, "{etag}");
                let read = backend
                    .download(Download::new("k").if_none_match(etag))
                    .await;
                assert_eq!(kind(read), same, "{etag}");
                let head = backend.head(Head::new("k").if_match(etag)).await;
                assert_eq!(kind(head), lost, "{etag}");
                let head = backend.head(Head::new("k").if_none_match(etag)).await;
                assert_eq!(kind(head), same, "{etag}");
            }
            assert_eq!(kind(put(&backend, &other).await), absent);
            version += 1;
            let stored = put(&backend, &now).await.unwrap();
            assert_eq!(stored, Some(format!("\"v{version}\"")));
            let delete = backend.delete(Delete::new("k").if_match(&now)).await;
            assert_eq!(kind(delete), absent, "{now}");
            let weak = format!("W/\"v{version}\"");
            assert_eq!(kind(put(&backend, &weak).await), absent);
        }
        let etag = format!("v{version}");
        backend
            .delete(Delete::new("k").if_match(&etag))
            .await
            .unwrap();
        assert!(!backend.exists("k").await.unwrap());
    }
}

#[tokio::test]
async fn an_instance_that_has_returned_no_etag_is_asked_for_one() {
    for quotes in [false, true] {
        for etag in ["v0", "\"v0\""] {
            let (_host, backend, switches) = store().await;
            switches.quotes.store(quotes, Ordering::SeqCst);
            switches.put("k", "x");
            let stored = put(&backend, etag).await.unwrap();
            assert_eq!(stored.as_deref(), Some("\"v1\""));
            assert_eq!(switches.entered_by("head"), 1, "{quotes} {etag}");
            put(&backend, "v1").await.unwrap();
            assert_eq!(switches.entered_by("head"), 1, "{quotes} {etag}");
        }
    }
}
