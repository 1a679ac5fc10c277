//! A server that has SFTP of 2001 and nothing else (the key `poor` of the server's script).

use crate::account::Account;
use holdall::{Capability, CopyObject, Delete, Download, ErrorKind, List, Rename, Upload};
use holdall_backends::{HostedPlugin, wait_for_staged};

pub(crate) fn does_what_it_can(account: &Account) {
    let mut config = account.below("poor");
    config["key_file"] = account.server["poor_key_file"].clone();
    let hosted = HostedPlugin::new("sftp");
    let refused = hosted.run(hosted.open(config.clone())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConfigInvalid, "{refused}");
    assert!(refused.message().contains("partial objects"), "{refused}");

    let hosted = HostedPlugin::new("sftp");
    hosted.run(async {
        let opening = hosted.open_as(config, |registration| registration.allow_non_atomic_put());
        let backend = opening.await.unwrap();
        let facts = backend.info().await.unwrap();
        for missing in [
            Capability::AtomicPut,
            Capability::AtomicMove,
            Capability::CreateOnly,
            Capability::ServerCopy,
            Capability::CopyCreateOnly,
            Capability::Usage,
        ] {
            assert!(!facts.capabilities.has(missing), "{missing}");
        }
        let read = async |key| {
            let found = backend.download(Download::new(key)).await?;
            found.body.collect(1 << 20).await
        };
        for text in ["first", "second"] {
            backend
                .upload(Upload::new("dir/object", text))
                .await
                .unwrap();
            assert_eq!(read("dir/object").await.unwrap(), text);
        }
        let new = backend.upload(Upload::new("new", "x").create_only()).await;
        assert_eq!(new.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(
            backend.usage().await.unwrap_err().kind(),
            ErrorKind::Unsupported
        );

        backend
            .copy(CopyObject::new("dir/object", "copy"))
            .await
            .unwrap();
        assert_eq!(read("copy").await.unwrap(), "second");
        backend.upload(Upload::new("copy", "third")).await.unwrap();
        backend
            .rename(Rename::new("copy", "dir/object"))
            .await
            .unwrap();
        assert_eq!(read("dir/object").await.unwrap(), "third");
        let page = backend.list(List::new("")).await.unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, ["dir/object"]);
        backend.delete(Delete::new("dir/object")).await.unwrap();
    });
    wait_for_staged(&account.folder("poor"), 0);
}
