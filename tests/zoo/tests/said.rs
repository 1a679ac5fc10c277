//! What the faults say: both sides by name.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall::fault::Code;
use holdall::inspect::{Verdict, inspect_bytes, inspect_file};
use holdall_plugin_api::abi::VERSION;
use holdall_plugin_api::{Operations, rules};
use holdall_zoo::{Facts, Fixture, Good, Image};
use std::path::Path;

fn with(good: &Good, facts: &Facts) -> Image {
    let mut image = good.image();
    image.fill(".holdall", &facts.bytes());
    image
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_library_of_another_platform_is_named_with_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for (name, expected) in [
        (
            "elf32",
            "arch_mismatch: expected x86_64-linux-gnu, this host, found elf i386-linux, 32 bit (file header)",
        ),
        (
            "big_endian",
            "arch_mismatch: expected x86_64-linux-gnu, this host, found elf powerpc64-linux, big endian (file header)",
        ),
        (
            "other_processor",
            "arch_mismatch: expected x86_64-linux-gnu, this host, found elf aarch64-linux (file header)",
        ),
        (
            "musl",
            "libc_mismatch: expected the C library of x86_64-linux-gnu, this host, found elf x86_64-linux-musl, which needs libc.so (needed libraries)",
        ),
        (
            "dll",
            "format_mismatch: expected an ELF library, found a pe x86_64-windows file",
        ),
        (
            "mach_o_elsewhere",
            "format_mismatch: expected an ELF library, found a mach-o aarch64-macos file",
        ),
        (
            "archive",
            "not_a_library: expected a shared library, found an archive of object files",
        ),
    ] {
        let path = Fixture::named(name).build(&good, folder.path());
        let found = inspect_file(&path);
        assert_eq!(found.faults[0].to_string(), expected);
    }
    let path = Fixture::named("cut").build(&good, folder.path());
    let size = std::fs::metadata(&path).unwrap().len();
    let said = inspect_file(&path).faults[0].to_string();
    assert!(
        said.starts_with("truncated: expected section headers up to byte "),
        "{said}"
    );
    assert!(said.ends_with(&format!("found {size} bytes")), "{said}");
}

#[test]
fn libraries_of_other_platforms_are_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for name in [
        "elf32",
        "big_endian",
        "dll",
        "mach_o",
        "mach_o_elsewhere",
        "other_processor",
    ] {
        let path = Fixture::named(name).build(&good, folder.path());
        let found = inspect_file(&path);
        assert_eq!(found.descriptor.unwrap().about.name, "good", "{name}");
    }
}

/// This host's row of the table in `host/src/inspect/negotiation.rs`, with files.
#[test]
fn a_plugin_of_a_later_minor_loads_unless_it_needs_a_later_host() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let ours = VERSION.minor;
    for ahead in 0..5 {
        for needs in 0..5 {
            let mut facts = Facts::good("good");
            (facts.abi_minor, facts.min_host_minor) = (ours + ahead, needs);
            // Its own tables of the minors that this host does not know.
            facts.fingerprints.extend(vec![[7, 7]; usize::from(ahead)]);
            let found = inspect_bytes(&with(&good, &facts).bytes, Path::new("x.so"));
            if needs <= ours {
                assert_eq!(found.faults, [], "1.{}, needs 1.{needs}", ours + ahead);
                continue;
            }
            assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
            let fault = &found.faults[0];
            assert_eq!(fault.code, Code::HostTooOld);
            assert_eq!(
                fault.expected,
                format!("a host with ABI 1.{needs} or newer")
            );
            assert_eq!(fault.found, format!("this host has {VERSION}"));
        }
    }
}

#[test]
fn each_operation_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let mut facts = Facts::good("good");
    facts.operations = Operations::head;
    let found = inspect_bytes(&with(&good, &facts).bytes, Path::new("x.so"));
    let said: Vec<_> = found
        .faults
        .iter()
        .map(|fault| fault.expected.as_str())
        .collect();
    let names = Operations::REQUIRED.names();
    assert_eq!(said.len(), names.len());
    for (said, name) in said.iter().zip(names) {
        assert_eq!(*said, format!("the required operation `{name}`"));
    }
}

#[test]
fn each_rule_that_is_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for rule in rules::RULES {
        let mut facts = Facts::good("good");
        facts.capabilities = rule.claimed.into();
        let found = inspect_bytes(&with(&good, &facts).bytes, Path::new("x.so"));
        assert!(
            found
                .faults
                .iter()
                .all(|fault| fault.code == Code::BrokenRule)
        );
        assert!(
            found
                .faults
                .iter()
                .any(|fault| fault.expected.contains(rule.id)),
            "{}: {:?}",
            rule.id,
            found.faults
        );
    }
}

#[test]
fn the_version_of_a_product_is_not_the_version_of_the_abi() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for number in 0..50 {
        let mut facts = Facts::good("good");
        facts.about["version"] = format!("{number}.{}.0-rc.{number}", 49 - number).into();
        let found = inspect_bytes(&with(&good, &facts).bytes, Path::new("x.so"));
        assert_eq!(found.verdict(), Verdict::Accepted, "{:?}", found.faults);
    }
    let product = env!("CARGO_PKG_VERSION");
    assert_ne!(product, format!("{}.{}.0", VERSION.major, VERSION.minor));
}
