//! Every fixture, inspected by a process that has done nothing else.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

use holdall::scan::scan;
use holdall_zoo::{Fixture, Good, all};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The files whose content is mapped into this process.
fn mapped() -> BTreeSet<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let names = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| line[at..].to_owned()));
    names.collect()
}

/// Inspects in another process, so that nothing of this one can have helped or hidden anything.
#[test]
fn another_process_inspects_and_runs_nothing() {
    const NAME: &str = "another_process_inspects_and_runs_nothing";
    const FOLDER: &str = "HOLDALL_ZOO_CHILD_FOLDER";
    const LINE: &str = "inspected ";
    if let Some(folder) = std::env::var_os(FOLDER) {
        // The other process.
        let before = mapped();
        for file in scan(&[folder.into()]).files {
            let codes: Vec<&str> = file.faults.iter().map(|fault| fault.code.name()).collect();
            let name = file.path.file_stem().unwrap().to_str().unwrap();
            println!("\n{LINE}{name} {}", codes.join(","));
        }
        assert_eq!(mapped(), before, "something was mapped");
        return;
    }
    let build = tempfile::tempdir().unwrap();
    let good = Good::build(build.path());
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeSet::new();
    for fixture in all() {
        fixture.build(&good, folder.path());
        let inspected = fixture
            .codes
            .iter()
            .filter(|code| code.phase() == holdall::fault::Phase::Inspect);
        let codes: Vec<&str> = inspected.map(|code| code.name()).collect();
        expected.insert(format!("{} {}", fixture.name, codes.join(",")));
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    assert!(
        child.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let found: BTreeSet<String> = said
        .lines()
        .filter_map(|line| line.strip_prefix(LINE))
        .map(str::to_owned)
        .collect();
    assert_eq!(found, expected);
    for fixture in all() {
        let path = folder.path().join(format!("{}.so", fixture.name));
        assert!(!Fixture::marker(&path).exists(), "{} has run", fixture.name);
    }
}
