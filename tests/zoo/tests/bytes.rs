//! Files that end too early, files with any byte changed, and files against copies of them.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall::fault::Code;
use holdall::inspect::{Inspection, Verdict, inspect_bytes, inspect_file};
use holdall::{ErrorKind, Host, PluginRef, Registration};
use holdall_zoo::{ElfShape, Facts, Good, MachO, all, elf, mach_o, pe};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;

fn codes(found: &Inspection) -> Vec<Code> {
    found.faults.iter().map(|fault| fault.code).collect()
}

fn cut_everywhere(bytes: &[u8], step: usize) {
    for end in (step..bytes.len()).step_by(step) {
        let found = inspect_bytes(&bytes[..end], Path::new("cut.so"));
        assert_eq!(found.verdict(), Verdict::Refused, "cut at {end}");
        assert!(
            codes(&found).contains(&Code::Truncated),
            "cut at {end}: {:?}",
            found.faults
        );
    }
}

#[test]
fn a_library_that_is_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    cut_everywhere(&good.image().bytes, 64);
    let big = good.compile(&Facts::good("big"), &["ZOO_BIG=1000000"], &[]);
    assert!(inspect_bytes(&big, Path::new("big.so")).faults.is_empty());
    cut_everywhere(&big, PAGE);
}

#[test]
fn a_real_plugin_that_is_cut_at_any_page_is_refused() {
    let path = holdall_e2e::artifacts().plugin("memory");
    let bytes = fs::read(path).unwrap();
    assert_eq!(codes(&inspect_bytes(&bytes, path)), []);
    cut_everywhere(&bytes, PAGE);
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.so");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for end in [PAGE, bytes.len() / 2, bytes.len() - PAGE] {
        fs::write(&cut, &bytes[..end]).unwrap();
        let host = Host::builder().plugin_dir(folder.path()).build().unwrap();
        assert!(host.plugins().is_empty() && host.load_plugins().is_empty());
        // Not even who asks for this very file gets it mapped: a missing page would end the process.
        let plugin = PluginRef::File(cut.clone());
        host.register("cut", Registration::new(plugin)).unwrap();
        let error = runtime.block_on(host.backend("cut")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginLoad);
        assert!(
            error.facts().any(|(name, _)| name == "truncated"),
            "{error:?}"
        );
    }
}

#[test]
fn a_copy_in_memory_is_judged_like_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for fixture in all() {
        let path = fixture.build(&good, folder.path());
        if !path.is_file() || fixture.codes == [Code::TooLarge] {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let (file, copy) = (inspect_file(&path), inspect_bytes(&bytes, &path));
        assert_eq!(file.faults, copy.faults, "{}", fixture.name);
        assert_eq!(file.descriptor, copy.descriptor, "{}", fixture.name);
        let json = |found: &Inspection| serde_json::to_string(found).unwrap();
        assert_eq!(json(&file), json(&copy));
    }
}

/// A fixed sequence of numbers, so that a failure comes again.
struct Numbers(u64);

impl Numbers {
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

/// Numbers that lead somewhere: zero, small, the file's size, past every end.
const EDGES: [u64; 8] = [
    0,
    1,
    0x7f,
    0xffff,
    0x1000,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

#[test]
fn no_change_of_bytes_makes_the_reader_panic_or_hang() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let descriptor = Facts::good("good").bytes();
    let entry = "holdall_plugin_v1_good";
    let image = good.image();
    let tables = [
        "dynsym", "dynstr", "dynamic", "rela.dyn", "holdall", "shstrtab", "symtab",
    ];
    let mut places: Vec<_> = tables
        .iter()
        .map(|name| image.section(&format!(".{name}")))
        .collect();
    places.push(0..1024);
    places.push(image.word(40) as usize..image.bytes.len());
    let small = [
        elf(
            ElfShape {
                wide: false,
                big: false,
                machine: 3,
            },
            &descriptor,
            entry,
        ),
        elf(
            ElfShape {
                wide: true,
                big: true,
                machine: 21,
            },
            &descriptor,
            entry,
        ),
        elf(
            ElfShape {
                wide: true,
                big: false,
                machine: 62,
            },
            &descriptor,
            entry,
        ),
        mach_o(MachO::Arm64, &descriptor, entry),
        pe(&descriptor, entry),
    ];
    let mut numbers = Numbers(0x5eed);
    let mut accepted = 0;
    for round in 0..20_000 {
        let (mut bytes, place) = if round % 2 == 0 {
            (
                image.bytes.clone(),
                places[numbers.below(places.len())].clone(),
            )
        } else {
            let bytes = &small[numbers.below(small.len())];
            // Mostly the headers.
            let end = if round % 4 == 1 { 512 } else { bytes.len() };
            (bytes.clone(), 0..end.min(bytes.len()))
        };
        for _ in 0..1 + numbers.below(4) {
            let len = [1, 2, 4, 8][numbers.below(4)];
            let at = place.start + numbers.below(place.len().saturating_sub(len).max(1));
            let value = match numbers.below(3) {
                0 => numbers.next(),
                1 => EDGES[numbers.below(EDGES.len())],
                _ => bytes.len() as u64 + numbers.next() % 16 - 8,
            };
            let value = &value.to_le_bytes()[..len];
            bytes[at..at + len].copy_from_slice(value);
        }
        let started = Instant::now();
        let found = inspect_bytes(&bytes, Path::new("changed.so"));
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "round {round} took long"
        );
        accepted += usize::from(found.faults.is_empty());
    }
    // Many changes hit nothing that matters, and many do.
    assert!(
        (100..15_000).contains(&accepted),
        "{accepted} of 20000 were accepted"
    );
}
