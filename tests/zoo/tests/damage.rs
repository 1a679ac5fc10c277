//! Files that were cut or changed anywhere: refused, and the host goes on.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

use holdall::fault::Code;
use holdall::inspect::{Inspection, Verdict, inspect_bytes, inspect_file};
use holdall_zoo::{Fixture, Good, Image, all};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn good_bytes() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    Good::build(folder.path()).image().bytes
}

fn codes(found: &Inspection) -> Vec<Code> {
    found.faults.iter().map(|fault| fault.code).collect()
}

/// Inspects what is left of a library whose section headers stand at its end.
fn judge_cut(bytes: &[u8], len: usize) {
    let path = Path::new("cut.so");
    let found = inspect_bytes(&bytes[..len], path);
    let codes = codes(&found);
    let told = |code: &Code| {
        matches!(
            code,
            Code::Truncated | Code::Malformed | Code::EmptyFile | Code::NotALibrary
        )
    };
    assert!(
        found.verdict() != Verdict::Accepted,
        "accepted with {len} of {} bytes",
        bytes.len()
    );
    assert!(
        codes.iter().any(told),
        "{len} of {} bytes: {codes:?}",
        bytes.len()
    );
}

#[test]
fn a_plugin_in_c_cut_anywhere_is_refused() {
    let bytes = good_bytes();
    assert!(
        inspect_bytes(&bytes, Path::new("whole.so"))
            .faults
            .is_empty()
    );
    // The header byte by byte: it is where one byte less is another case.
    let short = 0..512.min(bytes.len());
    for len in short
        .chain((512..bytes.len()).step_by(64))
        .chain([bytes.len() - 1])
    {
        judge_cut(&bytes, len);
    }
}

#[test]
fn a_plugin_in_rust_cut_anywhere_is_refused() {
    let path = built_plugin();
    let whole = inspect_file(&path);
    assert!(whole.faults.is_empty(), "{:?}", whole.faults);
    let bytes = std::fs::read(path).unwrap();
    for len in (0..bytes.len()).step_by(4096).chain([bytes.len() - 1]) {
        judge_cut(&bytes, len);
    }
}

/// The library of the plugin `memory`, as `cargo` builds it.
fn built_plugin() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "-p",
            "holdall-plugin-memory",
            "--message-format=json",
            "--quiet",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let lines = String::from_utf8(built.stdout).unwrap();
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let files: Vec<PathBuf> = messages
        .flat_map(|message: serde_json::Value| {
            let files = message["filenames"].as_array().cloned().unwrap_or_default();
            files
                .into_iter()
                .filter_map(|file| file.as_str().map(PathBuf::from))
        })
        .collect();
    let is_it = |path: &PathBuf| path.ends_with("libholdall_plugin_memory.so");
    files
        .into_iter()
        .find(is_it)
        .expect("cargo makes the library of the plugin")
}

/// A generator of numbers whose every run is the same.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// What the host reads of a library: where a change matters.
fn read_ranges(image: &Image) -> Vec<Range<usize>> {
    let sections = image.word(40) as usize;
    let mut ranges = vec![0..64, 64..64 + 56 * 12, sections..image.bytes.len()];
    for name in [".dynamic", ".dynsym", ".dynstr", ".rela.dyn", ".shstrtab"] {
        ranges.push(image.section(name));
    }
    let descriptor = image.section(".holdall").start;
    ranges.push(descriptor..descriptor + 128);
    ranges.push(descriptor + 128..descriptor + 2048);
    ranges
}

fn mutate(bytes: &mut [u8], ranges: &[Range<usize>], random: &mut Xorshift) {
    for _ in 0..=random.below(4) {
        let range = &ranges[random.below(ranges.len())];
        let at = range.start + random.below(range.len());
        // Whole numbers as well: one changed byte seldom makes one that is huge.
        let number = match random.below(6) {
            0 => u64::MAX,
            1 => 1 << random.below(64),
            2 => 0,
            _ => random.next(),
        };
        let len = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
        bytes[at..at + len].copy_from_slice(&number.to_le_bytes()[..len]);
    }
}

#[test]
fn twenty_thousand_mutations_harm_nobody() {
    const THREADS: u64 = 4;
    const EACH: usize = 5_000;
    let good = good_bytes();
    let ranges = read_ranges(&Image::new(good.clone()));
    let folder = tempfile::tempdir().unwrap();
    let run = |thread: u64| {
        let mut random = Xorshift(0x9e37_79b9_7f4a_7c15 ^ (thread + 1));
        let path = folder.path().join(format!("{thread}.so"));
        let mut refused = 0;
        for round in 0..EACH {
            let mut bytes = good.clone();
            mutate(&mut bytes, &ranges, &mut random);
            let started = Instant::now();
            let found = inspect_bytes(&bytes, &path);
            let took = started.elapsed();
            // Some milliseconds; this is what a loop over a huge number would not keep.
            assert!(
                took < Duration::from_secs(20),
                "{took:?} in round {round} of {thread}"
            );
            refused += usize::from(found.verdict() != Verdict::Accepted);
            if round % 50 == 0 {
                std::fs::write(&path, &bytes).unwrap();
                let read = serde_json::to_string(&inspect_file(&path)).unwrap();
                assert_eq!(
                    read,
                    serde_json::to_string(&found).unwrap(),
                    "round {round} of {thread}"
                );
            }
        }
        refused
    };
    let refused: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    // A mutation that nothing notices is possible; that most go unnoticed is not.
    assert!(
        refused > THREADS as usize * EACH / 2,
        "only {refused} were refused"
    );
}

/// A file and its bytes are judged alike, whatever is wrong with them.
#[test]
fn bytes_and_file_are_judged_alike() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for fixture in all() {
        let path = fixture.build(&good, folder.path());
        let first = fixture.codes.first();
        // No bytes can be had of these, or far too many.
        if matches!(
            first,
            Some(Code::Unreadable | Code::NotRegularFile | Code::TooLarge)
        ) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let of_bytes = serde_json::to_string_pretty(&inspect_bytes(&bytes, &path)).unwrap();
        let of_file = serde_json::to_string_pretty(&inspect_file(&path)).unwrap();
        assert_eq!(of_bytes, of_file, "{}", fixture.name);
        assert!(!Fixture::marker(&path).exists(), "{} has run", fixture.name);
    }
}
