//! Whole folders: every file gets a verdict, in an order that nothing but names decides.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall::fault::Code;
use holdall::inspect::Verdict;
use holdall::scan::{ScanReport, scan};
use holdall_zoo::{Fixture, Good};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

fn names(report: &ScanReport) -> BTreeMap<String, (Verdict, Vec<Code>)> {
    let files = report.files.iter().map(|file| {
        let name = file
            .path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let codes = file.faults.iter().map(|fault| fault.code).collect();
        (name, (file.verdict(), codes))
    });
    files.collect()
}

#[test]
fn twelve_odd_files_get_twelve_verdicts() {
    use Verdict::{Accepted, NotAPlugin, Refused};
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let at = |name: &str| plugins.join(name);
    let put = |fixture: &str, name: &str| Fixture::named(fixture).build_at(&good, &at(name));

    fs::write(at("README.md"), "Put plugins here.\n").unwrap();
    put("debug_file", "libgood.so.debug");
    put("text", "text.so");
    put("pipe", "pipe.so");
    symlink("nowhere.so", at("dangling.so")).unwrap();
    put("empty", "empty.so");
    put("folder", "x.so");
    put("other_processor", "elsewhere.so");
    put("cut", "cut.so");
    put("plain_library", "plain.so");
    put("good", "locked.so");
    fs::set_permissions(at("locked.so"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(at("locked.so")).is_ok() {
        // Rights do not stop root; a loop of links does.
        fs::remove_file(at("locked.so")).unwrap();
        put("unreadable", "locked.so");
    }
    put("good", "valid.so");

    let started = Instant::now();
    let report = scan(std::slice::from_ref(&plugins));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "a pipe must not block"
    );
    let expected: BTreeMap<String, (Verdict, Vec<Code>)> = [
        ("README.md", NotAPlugin, vec![Code::NotALibrary]),
        ("libgood.so.debug", NotAPlugin, vec![Code::NotALibrary]),
        ("text.so", NotAPlugin, vec![Code::NotALibrary]),
        ("pipe.so", NotAPlugin, vec![Code::NotRegularFile]),
        ("dangling.so", Refused, vec![Code::Unreadable]),
        ("empty.so", Refused, vec![Code::EmptyFile]),
        ("x.so", NotAPlugin, vec![Code::NotRegularFile]),
        ("elsewhere.so", Refused, vec![Code::ArchMismatch]),
        ("cut.so", Refused, vec![Code::Truncated]),
        ("plain.so", NotAPlugin, vec![Code::NoDescriptor]),
        ("locked.so", Refused, vec![Code::Unreadable]),
        ("valid.so", Accepted, vec![]),
    ]
    .map(|(name, verdict, codes)| (name.to_owned(), (verdict, codes)))
    .into();
    assert_eq!(names(&report), expected);
    for name in expected.keys() {
        assert!(!Fixture::marker(&at(name)).exists(), "{name} has run");
    }
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(
        !maps.contains(plugins.to_str().unwrap()),
        "something was mapped"
    );
}

/// A fixed sequence of numbers, so that a failure comes again.
struct Shuffle(u64);

impl Shuffle {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn the_order_of_creation_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    let bytes = {
        let path = folder.path().join("good.so");
        Fixture::named("good").build_at(&good, &path);
        fs::read(path).unwrap()
    };
    // Two of the same name and scheme, so that order decides who serves it.
    let mut files: Vec<(&str, &[u8])> = vec![
        ("b.so", &bytes),
        ("a.so", &bytes),
        ("B.so", b""),
        ("a-.so", b"text that is no library"),
        ("a.so.1", b"\x7fELF"),
        ("\u{e4}.so", b"#!"),
        ("z", b"PK\x03\x04 sixteen bytes"),
        (".hidden.so", b""),
    ];
    let mut shuffle = Shuffle(42);
    let mut first = None;
    for _ in 0..1000 {
        for last in (1..files.len()).rev() {
            files.swap(last, shuffle.below(last + 1));
        }
        fs::create_dir(&plugins).unwrap();
        for (name, content) in &files {
            fs::write(plugins.join(name), content).unwrap();
        }
        let report = scan(std::slice::from_ref(&plugins));
        let json = serde_json::to_string(&report).unwrap();
        fs::remove_dir_all(&plugins).unwrap();
        let first = first.get_or_insert_with(|| json.clone());
        assert_eq!(*first, json);
        let order: Vec<_> = report
            .files
            .iter()
            .filter_map(|file| file.path.file_name())
            .collect();
        assert!(order.is_sorted_by_key(|name| name.as_encoded_bytes()));
        assert_eq!(report.shadowed.len(), 1);
        assert!(report.shadowed[0].winner.ends_with("a.so"));
    }
}

#[test]
fn folders_come_in_their_order_and_losers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let dir = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (z, a) = (dir("z"), dir("a"));
    let first = good.named("one", &["s3", "one"], &z);
    // Another plugin for a scheme that is taken, and for one that is not.
    let second = good.named("two", &["s3", "two"], &z);
    // The same plugin in a later folder, although that one comes first by name.
    let third = good.named("one", &["three"], &a);
    // The scheme of a file that is not used is free.
    let fourth = good.named("zwei", &["three"], &a);
    let report = scan(&[z.clone(), a.clone()]);
    let order: Vec<&Path> = report
        .files
        .iter()
        .map(|file| file.path.as_path())
        .collect();
    assert_eq!(order, [&first, &second, &third, &fourth]);
    let lost: Vec<_> = report
        .shadowed
        .iter()
        .map(|lost| (lost.claim, lost.value.as_str(), &lost.winner, &lost.loser))
        .collect();
    assert_eq!(
        lost,
        [
            ("scheme", "s3", &first, &second),
            ("name", "one", &first, &third)
        ]
    );
    assert!(
        report
            .shadowed
            .iter()
            .all(|lost| lost.rule.contains("first"))
    );
    // The other way round the other one has the name.
    let report = scan(&[a, z]);
    assert_eq!(report.shadowed[0].winner, third);
}

#[test]
fn a_name_that_is_no_text_is_reported_like_any_other() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.so");
    fs::write(folder.path().join(name), "text").unwrap();
    let report = scan(&[folder.path().to_owned()]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["files"][0]["verdict"], "not_a_plugin");
    assert_eq!(json["files"][0]["faults"][0]["code"], "not_a_library");
}
