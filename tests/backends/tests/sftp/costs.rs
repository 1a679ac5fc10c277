//! What a call costs, in requests: the table of the plugin's page, read off the wire between SSH and the
//! SFTP server (the key `counted` of the server's script logs in behind a `tee`).

use crate::account::Account;
use holdall::{CopyObject, Delete, Download, Head, Key, List, Rename, Upload};
use holdall_backends::HostedPlugin;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compares the requests of each call, all at once. They are sorted: a handle is closed beside what comes
/// next.
macro_rules! counted {
    ($wire:expr, $($call:literal: $expected:literal, $work:expr;)+) => {{
        let mut wrong = Vec::new();
        $(
            $work.await.unwrap();
            let found = $wire.asked().await;
            println!("{}: {} ({})", $call, found.len(), found.join(" "));
            let mut expected: Vec<_> = $expected.split_ascii_whitespace().collect();
            expected.sort_unstable();
            if found != expected {
                wrong.push(($call, expected, found));
            }
        )+
        assert!(wrong.is_empty(), "not what the page says: {wrong:#?}");
    }};
}

pub(crate) fn as_the_page_says(account: &Account) {
    let mut config = account.below("costs");
    config["key_file"] = account.server["counted_key_file"].clone();
    config["max_connections"] = 1.into();
    config["durability"] = "data".into();
    let dir = account.server["dir"].as_str().unwrap();
    let hosted = HostedPlugin::new("sftp");
    hosted.run(async {
        let backend = hosted.open(config).await.unwrap();
        let mut wire = Wire::newest(Path::new(dir));
        let opening = wire.asked().await;
        println!("open: {} ({})", opening.len(), opening.join(" "));
        // Both folders are two levels deeper here than they are unless configured.
        assert_eq!(opening.len(), 19 + 4);
        let read = async |key| {
            let found = backend.download(Download::new(key)).await?;
            found.body.collect(1 << 20).await
        };
        counted!(wire,
            "upload": "open write fsync fstat close realpath lstat posix-rename",
                backend.upload(Upload::new("a", "1"));
            "upload of 300 KiB": "open write write write fsync fstat close realpath lstat posix-rename",
                backend.upload(Upload::new("a", vec![7; 300 << 10]));
            "upload in a new folder": "open write fsync fstat close realpath lstat mkdir realpath lstat posix-rename",
                backend.upload(Upload::new("f/a", "1"));
            "upload, one level more": "open write fsync fstat close realpath mkdir mkdir realpath lstat posix-rename",
                backend.upload(Upload::new("g/h/a", "1"));
            "upload, create-only": "realpath lstat open write fsync fstat close realpath lstat hardlink remove",
                backend.upload(Upload::new("b", "1").create_only());
            "download": "realpath lstat open fstat read close", read("f/a");
            "download of 300 KiB": "realpath lstat open fstat read read read close", read("a");
            "head": "realpath lstat", backend.head(Head::new("a"));
            "exists": "realpath lstat", backend.exists(Key::new("a"));
            "list, one folder": "realpath lstat opendir readdir readdir close",
                backend.list(List::new("f/"));
            "list, with a delimiter": "realpath lstat opendir readdir readdir close \
                    realpath lstat opendir readdir readdir close \
                    realpath lstat opendir readdir readdir close \
                    realpath lstat opendir readdir readdir close",
                backend.list(List::new("").delimiter("/"));
            "copy": "realpath lstat open open fstat copy-data fsync fstat close realpath lstat posix-rename close",
                backend.copy(CopyObject::new("a", "c"));
            "rename": "realpath lstat realpath lstat posix-rename",
                backend.rename(Rename::new("c", "d"));
            "delete": "realpath lstat remove", backend.delete(Delete::new("d"));
            "delete, the last of its folders": "realpath lstat remove rmdir rmdir",
                backend.delete(Delete::new("g/h/a"));
            "health": "lstat", backend.health();
            "usage": "statvfs", backend.usage();
        );
    });
}

/// What a client asks of the server, as `tee` writes it.
struct Wire {
    file: PathBuf,
    seen: usize,
}

impl Wire {
    /// Of the connection that was made last.
    fn newest(dir: &Path) -> Self {
        let files = std::fs::read_dir(dir).unwrap().flatten();
        let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("asked."));
        let newest = files.max_by_key(|file| file.metadata().unwrap().modified().unwrap());
        Self {
            file: newest.expect("a connection").path(),
            seen: 0,
        }
    }

    /// The names of the requests since the last time, sorted, once no more come.
    async fn asked(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = std::fs::read(&self.file).unwrap();
            if now.len() == bytes.len() {
                break;
            }
            bytes = now;
        }
        let mut names = Vec::new();
        while let Some((name, length)) = packet(&bytes[self.seen..]) {
            names.push(name);
            self.seen += length;
        }
        assert_eq!(self.seen, bytes.len(), "half a packet");
        names.sort_unstable();
        names
    }
}

/// The first packet: what it is called, and how long it is.
/// <https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02>
fn packet(bytes: &[u8]) -> Option<(String, usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    let body = rest.get(..length)?;
    let name = match body.first()? {
        1 => "init",
        3 => "open",
        4 => "close",
        5 => "read",
        6 => "write",
        7 => "lstat",
        8 => "fstat",
        11 => "opendir",
        12 => "readdir",
        13 => "remove",
        14 => "mkdir",
        15 => "rmdir",
        16 => "realpath",
        17 => "stat",
        18 => "rename",
        200 => {
            // Behind the type and a number the name, with its length.
            let (length, name) = body.get(5..)?.split_first_chunk()?;
            let name = name.get(..u32::from_be_bytes(*length) as usize)?;
            let name = std::str::from_utf8(name).ok()?;
            name.split('@').next()?
        }
        other => panic!("request {other}"),
    };
    Some((name.to_owned(), 4 + length))
}
