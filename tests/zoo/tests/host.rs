//! Each fixture through the host, as an embedder would use it.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

use holdall::config::Config;
use holdall::fault::{Code, Phase};
use holdall::inspect::Verdict;
use holdall::{Error, ErrorKind, Host, PluginRef, Registration};
use holdall_zoo::{Fixture, Good, all};
use std::path::Path;

/// Opens a backend with this very file; what the host says when it cannot.
fn open(path: &Path) -> Result<(), Error> {
    let host = Host::builder().config(Config::default()).build().unwrap();
    let plugin = PluginRef::File(path.to_owned());
    host.register("zoo", Registration::new(plugin)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(host.backend("zoo")).map(drop)
}

/// The codes that an error names, in its order.
fn codes(error: &Error) -> Vec<Code> {
    let of = |name: &str| Code::ALL.iter().copied().find(|code| code.name() == name);
    error.facts().filter_map(|(name, _)| of(name)).collect()
}

/// The fixtures that are never mapped, and the good one.
fn inspected() -> Vec<Fixture> {
    all()
        .into_iter()
        .filter(|fixture| fixture.phase() != Some(Phase::Load))
        .collect()
}

#[test]
fn a_refused_file_does_not_run_when_it_is_asked_for_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let mut wrong = Vec::new();
    for fixture in inspected() {
        let path = fixture.build(&good, folder.path());
        let error = open(&path).unwrap_err();
        let found = codes(&error);
        if found != fixture.codes {
            let expected = fixture.codes;
            wrong.push(format!(
                "{}: expected {expected:?}, got {found:?}: {error}",
                fixture.name
            ));
        }
        let refused = error.kind() == ErrorKind::PluginLoad;
        // The good one loads; that it opens nothing is its own answer.
        assert_eq!(
            refused,
            fixture.phase().is_some(),
            "{}: {error}",
            fixture.name
        );
        let ran = Fixture::marker(&path).exists();
        // That the good one runs is what makes the absence of the others' markers mean something.
        let may_run = fixture.codes.is_empty();
        if ran != may_run {
            wrong.push(format!("{}: ran {ran}, expected {may_run}", fixture.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_folder_of_all_of_them_loads_the_good_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let inspected = inspected();
    for fixture in &inspected {
        fixture.build(&good, plugins.path());
    }
    let config = Config::default();
    let host = Host::builder()
        .config(config)
        .plugin_dir(plugins.path())
        .build()
        .unwrap();
    let report = host.scan_report();
    assert_eq!(report.files.len(), inspected.len());
    let accepted = report
        .files
        .iter()
        .filter(|file| file.verdict() == Verdict::Accepted);
    let accepted: Vec<_> = accepted.map(|file| file.path.clone()).collect();
    let the_good = plugins.path().join("good.so");
    assert_eq!(accepted, [the_good.as_path()]);
    let loaded = host.load_plugins();
    assert_eq!(loaded.len(), 1);
    assert!(loaded[0].1.is_ok() && loaded[0].0.loaded, "{:?}", loaded[0]);
    for fixture in &inspected {
        let path = plugins.path().join(format!("{}.so", fixture.name));
        assert_eq!(
            Fixture::marker(&path).exists(),
            path == the_good,
            "{}",
            fixture.name
        );
    }
}
