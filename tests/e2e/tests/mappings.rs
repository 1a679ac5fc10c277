//! However often a backend is registered again, the process maps each plugin file once. A mapping is
//! never taken back, so one more for each generation would never end.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::config::Config;
use holdall::{Backend, Host, PluginRef, Registration, Upload};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is mapped of plugins.
#[derive(Debug, PartialEq)]
struct Mapped {
    /// Their files, by device and inode: the same bytes in two memory files are two.
    files: BTreeSet<String>,
    /// Lines of `/proc/self/maps`: a file has one for each segment.
    segments: usize,
    /// Open descriptors of memory files.
    descriptors: usize,
}

/// Whether a path is that of a plugin: a memory file, or a private copy where those may not run.
fn is_plugin(path: &str) -> bool {
    path.contains("/memfd:holdall:") || path.contains("/holdall-") && path.contains("/plugin.so")
}

fn mapped() -> Mapped {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let lines: Vec<Vec<&str>> = maps
        .lines()
        .filter(|line| is_plugin(line))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    Mapped {
        files: lines
            .iter()
            .map(|line| format!("{} {}", line[3], line[4]))
            .collect(),
        segments: lines.len(),
        descriptors: targets
            .filter(|target| target.to_str().is_some_and(is_plugin))
            .count(),
    }
}

/// Registers this file as the backend, and opens and uses it.
async fn generation(host: &Host, file: &Path) -> Backend {
    let file = PluginRef::File(file.to_owned());
    host.register("store", Registration::new(file)).unwrap();
    let backend = host.backend("store").await.unwrap();
    backend.upload(Upload::new("k", "bytes")).await.unwrap();
    backend.pin().unwrap()
}

/// P-05, P-15: both ways of registering again, in the only test of this process.
#[tokio::test]
async fn p_05_a_generation_maps_nothing_that_is_mapped() {
    const ROUNDS: usize = 100;
    const UPGRADES: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    // The smallest there is: each generation reads and hashes its file.
    let bytes = std::fs::read(holdall_c_plugin::build(folder.path())).unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let new_host = || Host::builder().config(Config::default()).build().unwrap();
    let host = new_host();
    assert_eq!(mapped().files.len(), 0);

    // The same bytes: from one file, from its copy, from the file written anew, in another host.
    let (one, copy) = (file("one.so", &bytes), file("copy.so", &bytes));
    let first = generation(&host, &one).await;
    let of_one = mapped();
    assert_eq!((of_one.files.len(), of_one.descriptors), (1, 1));
    for _ in 0..ROUNDS {
        generation(&host, &one).await;
        generation(&host, &copy).await;
        file("copy.so", &bytes);
    }
    let other = new_host();
    generation(&other, &copy).await;
    assert_eq!(mapped(), of_one, "the same bytes are mapped once");

    // Other bytes: as many files as there are, however many generations they serve.
    let upgrades: Vec<_> = (0..UPGRADES)
        .map(|n| file(&format!("{n}.so"), &[&bytes[..], &[n as u8 + 1]].concat()))
        .collect();
    let mut pinned = Vec::new();
    for upgrade in &upgrades {
        pinned.push(generation(&host, upgrade).await);
    }
    let of_all = mapped();
    assert_eq!(of_all.files.len(), 1 + UPGRADES, "one for each content");
    assert_eq!(of_all.segments, of_one.segments * (1 + UPGRADES));
    assert_eq!(of_all.descriptors, 1 + UPGRADES);
    for round in 0..ROUNDS {
        let backend = generation(&host, &upgrades[round % UPGRADES]).await;
        host.reset_instances();
        assert!(backend.exists("k").await.is_ok_and(|there| !there));
    }
    assert_eq!(mapped(), of_all, "a generation adds nothing");

    // Retired generations serve to the end, and their end unmaps nothing.
    assert!(first.exists("k").await.is_ok());
    for retired in &pinned {
        assert!(retired.exists("k").await.is_ok());
    }
    drop((first, pinned, host, other));
    assert_eq!(mapped(), of_all, "nothing is ever unmapped");
}
