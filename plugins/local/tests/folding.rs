//! A root on a file system that folds case, such as exFAT: `scripts/test-filesystems` mounts one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_plugin_api::{
    Capability, CopyObject, Delete, Download, ErrorKind, Head, Host, Key, List, Rename, Result,
    StorageBackend, Upload,
};
use holdall_plugin_local::{Local, LocalConfig};
use std::time::{Duration, Instant};

async fn put(local: &Local, key: &str) -> Result<()> {
    let upload = Upload::new(key, format!("at {key}"));
    local.upload(upload).await.map(drop)
}

async fn get(local: &Local, key: &str) -> Result<String> {
    let body = local.download(Download::new(key)).await?.body;
    let bytes = body.collect(usize::MAX).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn listed(local: &Local, list: List<'_>) -> Vec<String> {
    let page = local.list(list).await.unwrap();
    let keys = page.entries.into_iter().map(|entry| entry.key);
    keys.chain(page.common_prefixes).collect()
}

/// Rights of tokens are judged on the text of keys: no other spelling reaches, lists, replaces or
/// removes what is stored.
#[tokio::test]
#[ignore = "needs a file system that folds case: scripts/test-filesystems exfat"]
async fn keys_are_exact_where_the_file_system_folds_case() {
    let folder = std::env::var("HOLDALL_KIT_FOLDER").expect("a folder on a file system that folds");
    let root = tempfile::tempdir_in(folder).unwrap();
    let config = LocalConfig::new(root.path());
    let local = Local::open(config, Host::detached("test")).await.unwrap();
    let claimed = local.instance().capabilities.unwrap();
    assert!(
        !claimed.has(Capability::CaseSensitive),
        "the file system does not fold"
    );
    put(&local, "tenant/low").await.unwrap();
    put(&local, "top").await.unwrap();

    for prefix in ["TENANT/", "Tenant/", "tenant/LOW", "TENANT"] {
        assert_eq!(listed(&local, List::new(prefix)).await, [""; 0], "{prefix}");
        let grouped = List::new(prefix).delimiter("/");
        assert_eq!(listed(&local, grouped).await, [""; 0], "{prefix}");
    }
    assert_eq!(listed(&local, List::new("tenant/")).await, ["tenant/low"]);
    for key in ["TENANT/low", "tenant/LOW", "TOP"] {
        let missing = |kind: ErrorKind| assert_eq!(kind, ErrorKind::FileNotFound, "{key}");
        missing(get(&local, key).await.unwrap_err().kind());
        missing(local.head(Head::new(key)).await.unwrap_err().kind());
        missing(
            local
                .delete(Delete::new(key).must_exist())
                .await
                .unwrap_err()
                .kind(),
        );
        missing(
            local
                .copy(CopyObject::new(key, "copy"))
                .await
                .unwrap_err()
                .kind(),
        );
        missing(
            local
                .rename(Rename::new(key, "new"))
                .await
                .unwrap_err()
                .kind(),
        );
        assert!(!local.exists(Key::new(key)).await.unwrap(), "{key}");
        assert!(
            !local
                .delete(Delete::new(key))
                .await
                .unwrap()
                .existed
                .unwrap_or(false)
        );

        let conflict = |kind: ErrorKind| assert_eq!(kind, ErrorKind::Conflict, "{key}");
        conflict(put(&local, key).await.unwrap_err().kind());
        let create = Upload::new(key, "x").create_only();
        match local.upload(create).await.unwrap_err().kind() {
            // exFAT has no operation that creates a name only once.
            ErrorKind::Unsupported => {}
            kind => conflict(kind),
        }
        conflict(
            local
                .copy(CopyObject::new("top", key))
                .await
                .unwrap_err()
                .kind(),
        );
    }
    conflicts_of_new_keys(&local).await;
    assert_eq!(get(&local, "tenant/low").await.unwrap(), "at tenant/low");
    assert_eq!(get(&local, "top").await.unwrap(), "at top");
    local.delete(Delete::new("tenant/low")).await.unwrap();
    // FUSE remembers the other spelling of the removed directory for a second.
    let started = Instant::now();
    while let Err(error) = put(&local, "TENANT/low").await {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(started.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(listed(&local, List::new("")).await, ["TENANT/low", "top"]);
}

/// A new key below a directory of another spelling would become a key of that directory.
async fn conflicts_of_new_keys(local: &Local) {
    let error = put(local, "TENANT/new").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("another spelling"), "{error}");
    assert_eq!(listed(local, List::new("tenant/")).await, ["tenant/low"]);
}
