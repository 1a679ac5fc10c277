//! What only mapping shows: exact codes, nothing registered, the host goes on.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall::fault::{Code, Phase};
use holdall::{Error, Host};
use holdall_zoo::{Fixture, Good, all};
use std::collections::BTreeMap;

/// The codes that an error of loading carries, in its order.
fn codes(error: &Error) -> Vec<Code> {
    let named = |name: &str| Code::ALL.iter().copied().find(|code| code.name() == name);
    error.facts().filter_map(|(name, _)| named(name)).collect()
}

/// Everything that is refused, with its codes.
fn refusals(host: &Host) -> BTreeMap<String, Vec<Code>> {
    let loaded = host.load_plugins().into_iter();
    let refused = loaded.filter_map(|(status, outcome)| Some((status.name, outcome.err()?)));
    refused.map(|(name, error)| (name, codes(&error))).collect()
}

/// The memory files of plugins that are mapped, segment by segment.
fn mapped() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let of_plugins = maps.lines().filter(|line| line.contains("memfd:holdall:"));
    of_plugins.map(str::to_owned).collect()
}

#[test]
fn each_library_gets_exactly_its_codes_and_the_good_one_serves() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let fixtures: BTreeMap<String, Fixture> = all()
        .into_iter()
        .filter(|fixture| fixture.phase() != Some(Phase::Inspect))
        .map(|fixture| (fixture.plugin(), fixture))
        .collect();
    for fixture in fixtures.values() {
        fixture.build(&good, &plugins);
    }
    let host = Host::builder().plugin_dir(&plugins).build().unwrap();
    assert_eq!(host.plugins().len(), fixtures.len());
    // A scan maps nothing.
    for fixture in fixtures.values() {
        let path = plugins.join(format!("{}.so", fixture.name));
        assert!(!Fixture::marker(&path).exists(), "{} has run", fixture.name);
    }
    let mut wrong = Vec::new();
    for (status, outcome) in host.load_plugins() {
        let fixture = fixtures[&status.name];
        let found = outcome.as_ref().err().map(codes).unwrap_or_default();
        if found != fixture.codes || outcome.is_ok() != fixture.codes.is_empty() {
            wrong.push(format!(
                "{}: expected {:?}, got {outcome:?}",
                fixture.name, fixture.codes
            ));
        }
        assert_eq!(status.loaded, outcome.is_ok(), "{}", fixture.name);
        // The check of markers is worth something only when they appear.
        let ran = Fixture::marker(status.path.as_ref().unwrap()).exists();
        // The loader refuses this one before constructors run.
        assert_eq!(ran, fixture.codes != [Code::MapFailed], "{}", fixture.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // What is refused after it was mapped stays mapped. Whoever tries again, this host or another,
    // gets the same answer from that one mapping.
    let (once, refused) = (mapped(), refusals(&host));
    assert!(once.len() > refused.len() && !refused.is_empty());
    for _ in 0..3 {
        assert_eq!(refusals(&host), refused);
        let other = Host::builder().plugin_dir(&plugins).build().unwrap();
        assert_eq!(refusals(&other), refused);
    }
    assert_eq!(mapped(), once);
}
