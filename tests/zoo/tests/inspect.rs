//! Each fixture gets exactly its codes, and nothing of it runs.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall::fault::{Code, Phase};
use holdall::inspect::{Verdict, inspect_file};
use holdall_zoo::{Fixture, Good, all};
use std::collections::BTreeSet;

#[test]
fn every_code_has_a_fixture() {
    let fixtures = all();
    let have: BTreeSet<Code> = fixtures
        .iter()
        .flat_map(|fixture| fixture.codes)
        .copied()
        .collect();
    let without: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !have.contains(code))
        .collect();
    assert!(without.is_empty(), "codes without a fixture: {without:?}");
    let names: BTreeSet<&str> = fixtures.iter().map(|fixture| fixture.name).collect();
    assert_eq!(names.len(), fixtures.len());
}

#[test]
fn each_file_gets_exactly_its_codes_and_never_runs() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let mut wrong = Vec::new();
    for fixture in all() {
        let path = fixture.build(&good, folder.path());
        let found = inspect_file(&path);
        let codes: Vec<Code> = found.faults.iter().map(|fault| fault.code).collect();
        let expected = match fixture.phase() {
            Some(Phase::Inspect) => fixture.codes,
            // Only mapping shows what is wrong with it.
            _ => &[],
        };
        if codes != expected {
            wrong.push(format!(
                "{}: expected {expected:?}, got {:#?}",
                fixture.name, found.faults
            ));
        }
        for fault in &found.faults {
            let said = [&fault.expected, &fault.found, &fault.fix];
            if said.iter().any(|text| text.is_empty()) {
                wrong.push(format!(
                    "{}: {} says nothing: {fault:?}",
                    fixture.name, fault.code
                ));
            }
        }
        if (found.verdict() == Verdict::Accepted) != expected.is_empty() {
            wrong.push(format!("{}: {:?}", fixture.name, found.verdict()));
        }
        assert!(!Fixture::marker(&path).exists(), "{} has run", fixture.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
