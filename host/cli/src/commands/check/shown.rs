//! What was found out about a file, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use holdall::inspect::Verdict;
use holdall_conformance::{CaseResult, Report, Status};
use serde_json::{Value, json};

use super::Judged;
use super::watch::Load;
use crate::commands::inspect::{faults, word};
use crate::values::printable;

/// One JSON object.
pub(super) fn record(judged: &Judged) -> Value {
    json!({
        "file": judged.found.path.to_string_lossy(),
        "inspect": judged.found,
        "lints": judged.lints,
        "load": judged.load,
        "kit": judged.kit.as_ref().map(kit),
    })
}

fn kit(report: &Report) -> Value {
    let mut value = report.to_json();
    value["counts"] = counts(report)
        .into_iter()
        .map(|(word, count)| (word.to_owned(), Value::from(count)))
        .collect();
    for one in value["results"].as_array_mut().into_iter().flatten() {
        let needs = report
            .result(one["id"].as_str().unwrap_or_default())
            .and_then(needs);
        if let Some(needs) = needs {
            one["needs"] = needs.into();
        }
    }
    value
}

fn counts(report: &Report) -> Vec<(&'static str, usize)> {
    let all = [
        (Status::Passed, "passed"),
        (Status::NotApplicable, "not applicable"),
        (Status::Failed, "failed"),
        (Status::Lied, "lied"),
        (Status::Skipped, "skipped"),
    ];
    all.map(|(status, word)| (word, report.count(status)))
        .to_vec()
}

/// What a case that does not apply would need.
fn needs(result: &CaseResult) -> Option<String> {
    if result.status != Status::NotApplicable {
        return None;
    }
    if result.negative
        && let Some(capability) = result.tag.strip_prefix("CAP:")
    {
        return Some(format!("claim `{capability}`"));
    }
    if let Some(operation) = result.tag.strip_prefix("OP:")
        && result.message.starts_with("no operation")
    {
        return Some(format!("operation `{operation}`"));
    }
    let by_message = [
        (
            "no look at the store from outside",
            "a test with `Harness::direct_access`",
        ),
        (
            "no way to put a foreign object",
            "a test with `Harness::direct_access`",
        ),
        ("no way to tamper", "a test with `Harness::direct_access`"),
        ("keys are not paths", "a test with `Harness::direct_access`"),
        ("one store only", "`{store}` in the configuration"),
        (
            "no instance below a prefix",
            "a backend NAME-scoped with `{prefix}` in the configuration",
        ),
        (
            "it speaks no HTTP",
            "a backend NAME-at with `{url}` in the configuration",
        ),
        (
            "no store that cannot answer",
            "a backend NAME-at with `{url}` in the configuration",
        ),
        (
            "the stage has no such store",
            "backends NAME-refused and NAME-missing in the configuration",
        ),
        (
            "the loader cannot change the size",
            "a host in C: scripts/test of Holdall has one",
        ),
        (
            "the stage has no way to do it",
            "a test with `Harness::supplies`",
        ),
    ];
    let found = by_message
        .iter()
        .find(|(part, _)| result.message.contains(part));
    found.map(|(_, needs)| (*needs).to_owned())
}

/// For people.
pub(super) fn text(judged: &Judged, all: bool) -> String {
    let found = &judged.found;
    let mut text = printable(&found.path.display().to_string());
    // Writing to a text cannot fail.
    if let Some(descriptor) = &found.descriptor {
        let about = &descriptor.about;
        let _ = write!(
            text,
            ": {} {}, ABI {}.{}",
            printable(&about.name),
            printable(&about.version),
            descriptor.abi_major,
            descriptor.abi_minor
        );
    }
    let _ = write!(text, "\n  inspect  {}", word(found.verdict()));
    if found.verdict() != Verdict::Accepted {
        text.push_str(&faults(found));
    }
    for lint in &judged.lints {
        let _ = write!(
            text,
            "\n  warning  {}: {}",
            lint.code,
            printable(&lint.found)
        );
        let _ = write!(text, "\n    help: {}", lint.fix);
    }
    match &judged.load {
        None => {}
        Some(Load::Loaded) => text.push_str("\n  load     loaded"),
        Some(Load::Refused(why)) => {
            let _ = write!(text, "\n  load     REFUSED: {}", printable(why));
        }
        Some(Load::Crashed(why)) => {
            let _ = write!(text, "\n  load     FAILED: {}", printable(why));
        }
    }
    if let Some(report) = &judged.kit {
        cases(&mut text, report, all);
    }
    text
}

fn cases(text: &mut String, report: &Report, all: bool) {
    let bad = [Status::Failed, Status::Lied, Status::Skipped];
    let counts = counts(report);
    let counts = counts
        .iter()
        .filter(|(word, count)| *count > 0 || *word == "failed");
    let counts: Vec<_> = counts
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let _ = write!(
        text,
        "\n  kit      {} in {:.1} s",
        counts.join(", "),
        report.elapsed_ms as f64 / 1000.0
    );
    // Many cases are skipped for one reason.
    let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut needed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for one in &report.results {
        match one.status {
            Status::Skipped => skipped.entry(&one.message).or_default().push(&one.id),
            Status::NotApplicable if !all => {
                let needs = needs(one).unwrap_or_else(|| one.message.clone());
                needed.entry(needs).or_default().push(&one.id);
            }
            status if all || bad.contains(&status) => {
                let _ = write!(text, "\n  {:<8} {}  {}", status.word(), one.id, one.reason);
                if !one.message.is_empty() {
                    let _ = write!(text, "\n    {}", printable(&one.message));
                }
                if all && let Some(needs) = needs(one) {
                    let _ = write!(text, "\n    needs: {needs}");
                }
            }
            _ => {}
        }
    }
    for (why, ids) in skipped {
        let _ = write!(text, "\n  SKIPPED  {}: {}", ids.join(" "), printable(why));
    }
    for (needs, ids) in needed {
        let _ = write!(
            text,
            "\n  n/a      {}: {}",
            ids.join(" "),
            printable(&needs)
        );
    }
}
