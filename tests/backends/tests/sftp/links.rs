//! Symbolic links below the root lead nowhere. That one is swapped in at the right instant cannot be
//! kept out over SFTP, which the plugin's page says; so the kit's case C-12 is not asked.

use crate::account::Account;
use holdall::{Delete, Download, ErrorKind, Key, List, Upload};
use holdall_backends::HostedPlugin;
use std::os::unix::fs::symlink;

pub(crate) fn lead_nowhere(account: &Account) {
    let hosted = HostedPlugin::new("sftp");
    hosted.run(async {
        let backend = hosted.open(account.below("links")).await.unwrap();
        backend
            .upload(Upload::new("dir/inside", "inside"))
            .await
            .unwrap();
        let secret = tempfile::tempdir().unwrap();
        std::fs::write(secret.path().join("file"), "secret").unwrap();
        let dir = account.folder("links").object("dir");
        symlink(secret.path().join("file"), dir.join("link")).unwrap();
        symlink(secret.path(), dir.join("way")).unwrap();

        for key in ["dir/link", "dir/way/file"] {
            let read = backend.download(Download::new(key)).await.unwrap_err();
            assert_eq!(read.kind(), ErrorKind::PermissionDenied, "{read:?}");
            assert!(backend.exists(Key::new(key)).await.is_err(), "{key}");
            assert!(backend.delete(Delete::new(key)).await.is_err(), "{key}");
        }
        for key in ["dir/way/file", "dir/way/new", "dir/way/folder/new"] {
            let written = backend.upload(Upload::new(key, "x")).await.unwrap_err();
            assert_eq!(written.kind(), ErrorKind::PermissionDenied, "{written:?}");
        }
        let page = backend.list(List::new("")).await.unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, ["dir/inside"]);
        let outside: Vec<_> = std::fs::read_dir(secret.path()).unwrap().collect();
        assert_eq!(outside.len(), 1);
        assert_eq!(
            std::fs::read(secret.path().join("file")).unwrap(),
            b"secret"
        );
    });
}
