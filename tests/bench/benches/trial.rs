//! What does a trial load cost at the first use of a plugin, when its verdict is kept, and without trials?
//! Each round is a new host in this process and a first `exists`; the plugin's bytes differ each time where
//! a verdict must not be known.
#![allow(clippy::unwrap_used, reason = "a bench")]

use holdall::config::Config;
use holdall::trial::{Trial, run_if_asked};
use holdall::{Host, Key, PluginRef, Registration};
use holdall_bench::{Rival, compare, shipped};
use std::cell::Cell;
use std::path::Path;

fn main() {
    // The child of a trial is this program.
    run_if_asked();
    let quick = std::env::args().any(|argument| argument == "--test")
        || std::env::var_os("HOLDALL_BENCH_QUICK").is_some();
    let (rounds, times) = if quick { (1, 1) } else { (15, 10) };

    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    let library = std::fs::read(shipped("holdall-bench-plugin", &built)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let work = tempfile::tempdir().unwrap();
    let state = work.path().join("state");
    let number = Cell::new(0u64);
    // Bytes past the end of an ELF file's tables are read and judged, and change nothing else.
    let fresh = |bytes: &[u8]| {
        number.set(number.get() + 1);
        let folder = work.path().join(number.get().to_string());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("bench.so"), bytes).unwrap();
        folder
    };
    let new_bytes = || {
        let mut bytes = library.clone();
        bytes.extend_from_slice(&(number.get() + 1).to_le_bytes());
        bytes.push(1);
        fresh(&bytes)
    };
    let first_use = |folder: &Path, trial: bool| {
        let mut builder = Host::builder().config(Config::default()).plugin_dir(folder);
        if trial {
            builder = builder.state_dir(&state).trial(Trial::this_executable());
        }
        let host = builder.build().unwrap();
        host.register("bench", Registration::new(PluginRef::from("bench")))
            .unwrap();
        let there = runtime.block_on(async {
            let backend = host.backend("bench").await.unwrap();
            backend.exists(Key::new("yes")).await.unwrap()
        });
        assert!(there);
    };
    let judged = fresh(&library);
    first_use(&judged, true);
    compare(
        "first use of a plugin: scan, read, inspect, map, open, one call",
        rounds,
        times,
        vec![
            Rival::timed("bytes not seen before, without a trial", |times| {
                (0..times).for_each(|_| first_use(&new_bytes(), false));
            }),
            Rival::timed("bytes not seen before, with a trial", |times| {
                (0..times).for_each(|_| first_use(&new_bytes(), true));
            }),
            Rival::timed("bytes mapped before, without a trial", |times| {
                (0..times).for_each(|_| first_use(&judged, false));
            }),
            Rival::timed("bytes mapped before, with a kept verdict", |times| {
                (0..times).for_each(|_| first_use(&judged, true));
            }),
        ],
    );
}
