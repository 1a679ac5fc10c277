//! Listing: tokens, foreign keys, pages that lie.

use crate::plugin::Act;
use crate::store;
use futures_util::{StreamExt, TryStreamExt};
use holdall::{ErrorKind, List};

#[tokio::test]
async fn pages_go_on_and_tokens_stay_with_their_listing() {
    let (host, backend, switches) = store().await;
    for n in 0..25 {
        switches.put(&format!("a/{n:02}"), "x");
    }
    let (mut keys, mut token) = (Vec::new(), None);
    loop {
        let list = List::new("a/").limit(10).page_token(token.as_deref());
        let page = backend.list(list).await.unwrap();
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        match page.next {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    assert_eq!(keys, switches.keys());

    let token = token.unwrap();
    host.register("other", crate::probe(&switches)).unwrap();
    let other = host.backend("other").await.unwrap();
    for (backend, list) in [
        (&other, List::new("a/")),
        (&backend, List::new("")),
        (&backend, List::new("a/").delimiter("/")),
    ] {
        let error = backend
            .list(list.page_token(Some(&token)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    let entered = switches.entered();
    for damaged in ["", "x", &token[1..]] {
        let list = List::new("a/").page_token(Some(damaged));
        assert_eq!(
            backend.list(list).await.unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
    }
    assert_eq!(switches.entered(), entered, "never a silent restart");
}

#[tokio::test]
async fn foreign_keys_are_left_out_and_counted() {
    let (host, backend, switches) = store().await;
    for key in ["a/", "a/b", "a//c", "d\\e", "f"] {
        switches.put(key, "x");
    }
    let page = backend.list(List::new("")).await.unwrap();
    let keys: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    assert_eq!((keys, page.skipped), (vec!["a/b", "f"], 3));
    assert_eq!(page.skipped_keys, ["a/", "a//c", "d\\e"]);
    let page = backend.list(List::new("").delimiter("/")).await.unwrap();
    assert_eq!(
        (page.common_prefixes, page.skipped),
        (vec!["a/".to_owned()], 1)
    );
    assert_eq!(host.status().backends[0].counters.skipped_keys, 4);
}

#[tokio::test]
async fn a_page_that_was_not_asked_for_is_a_fault() {
    for lie in ["too many", "order", "stray", "loop"] {
        let (_host, backend, switches) = store().await;
        for key in ["a/1", "a/2", "a/3"] {
            switches.put(key, "x");
        }
        // With a token, so that "loop" has something to repeat.
        let first = backend.list(List::new("a/").limit(1)).await.unwrap().next;
        switches.on("list", Act::Lie(lie));
        let list = List::new("a/").page_token(first.as_deref());
        let error = backend.list(list).await.unwrap_err();
        // Order is the store's, not the plugin's: it passes on what it is given.
        let kind = match lie {
            "order" => ErrorKind::Unavailable,
            _ => ErrorKind::PluginFault,
        };
        assert_eq!(error.kind(), kind, "{lie}");
    }
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let (_host, backend, switches) = store().await;
    for (list, kind) in [
        (List::new("").limit(0), ErrorKind::InvalidArgument),
        (List::new("").limit(1001), ErrorKind::InvalidArgument),
        (List::new("a\n"), ErrorKind::InvalidKey),
        (List::new("").delimiter("-"), ErrorKind::Unsupported),
    ] {
        assert_eq!(backend.list(list).await.unwrap_err().kind(), kind);
    }
    assert_eq!(switches.entered(), 0);
}

#[tokio::test]
async fn streams_yield_every_page_and_every_entry() {
    let (_host, backend, switches) = store().await;
    for n in 0..25 {
        switches.put(&format!("a/{n:02}"), "x");
    }
    switches.put("b", "x");
    let sizes: Vec<_> = backend
        .pages(List::new("a/").limit(10))
        .map_ok(|page| page.entries.len())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(sizes, [10, 10, 5]);
    let entries = backend.entries(List::new("a/").limit(7));
    let keys: Vec<_> = entries
        .map_ok(|entry| entry.key)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(keys, switches.keys()[..25]);

    // From a token on, and to the first error.
    let first = backend.list(List::new("a/").limit(20)).await.unwrap();
    let rest = backend.entries(List::new("a/").page_token(first.next.as_deref()));
    assert_eq!(rest.count().await, 5);
    let mut refused = std::pin::pin!(backend.entries(List::new("a/").limit(0)));
    let error = refused.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(refused.next().await.is_none());
}

#[tokio::test]
async fn a_prefix_is_any_text_and_no_path() {
    let (_host, backend, switches) = store().await;
    for key in [
        ".bashrc",
        ".config/a",
        "..x",
        "a",
        "a/..b",
        "a/.c/d",
        "d/my",
        "d/my file",
        "d/my /deep",
        "z",
    ] {
        switches.put(key, "x");
    }
    for (prefix, keys, groups) in [
        (".", &["..x", ".bashrc"][..], &[".config/"][..]),
        ("..", &["..x"], &[]),
        ("a/.", &["a/..b"], &["a/.c/"]),
        ("a/..", &["a/..b"], &[]),
        ("d/my ", &["d/my file"], &["d/my /"]),
        ("../", &[], &[]),
        ("a/../b", &[], &[]),
        ("./a", &[], &[]),
        ("/", &[], &[]),
        ("a//", &[], &[]),
        (" ", &[], &[]),
        ("a\\", &[], &[]),
    ] {
        let entered = switches.entered();
        let list = List::new(prefix).delimiter("/");
        let page = backend.list(list).await.unwrap();
        let found: Vec<_> = page.entries.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(
            (&*found, &*page.common_prefixes),
            (
                keys,
                &*groups.iter().map(|it| it.to_string()).collect::<Vec<_>>()
            ),
            "{prefix:?}"
        );
        let page = backend.list(List::new(prefix)).await.unwrap();
        let expected: Vec<_> = switches
            .keys()
            .into_iter()
            .filter(|key| key.starts_with(prefix))
            .collect();
        let found: Vec<_> = page.entries.into_iter().map(|it| it.key).collect();
        assert_eq!(found, expected, "{prefix:?}");
        let asked = switches.entered() > entered;
        assert_eq!(
            asked,
            !expected.is_empty(),
            "{prefix:?}: the plugin is not asked in vain"
        );
    }
    for prefix in ["\0", "a\n", "\u{9f}", &"a".repeat(1025)] {
        let kind = backend.list(List::new(prefix)).await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::InvalidKey, "{prefix:?}");
    }
}

#[tokio::test]
async fn pages_of_a_prefix_that_the_host_filters_go_on() {
    let (_host, backend, switches) = store().await;
    for n in 0..25 {
        switches.put(&format!(".{n:02}"), "x");
        switches.put(&format!("a{n:02}"), "x");
    }
    let (mut keys, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let list = List::new(".").limit(10).page_token(token.as_deref());
        let page = backend.list(list).await.unwrap();
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        pages += 1;
        match page.next {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    let expected: Vec<_> = (0..25).map(|n| format!(".{n:02}")).collect();
    assert_eq!(
        (keys, pages),
        (expected, 3),
        "ends behind the last key that may match"
    );
}
