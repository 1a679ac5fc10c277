//! The results as JUnit XML: a suite for each file, a case for each stage and each case of the kit.

use holdall::inspect::Verdict;
use holdall_conformance::{CaseResult, Status};

use super::Judged;
use super::watch::Load;

/// One `testcase`.
struct Case {
    name: String,
    class: String,
    seconds: f64,
    /// Element and text.
    ended: Option<(&'static str, String)>,
}

pub(super) fn document(all: &[Judged]) -> String {
    let suites: String = all.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"holdall check\">\n{suites}</testsuites>\n"
    )
}

fn suite(judged: &Judged) -> String {
    let cases = cases(judged);
    let count = |element: &str| {
        let of_it = |case: &&Case| {
            case.ended
                .as_ref()
                .is_some_and(|(ended, _)| *ended == element)
        };
        cases.iter().filter(of_it).count()
    };
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let mut text = format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
        escaped(&judged.found.path.to_string_lossy()),
        cases.len(),
        count("failure"),
        count("error"),
        count("skipped"),
    );
    for case in &cases {
        text.push_str(&format!(
            "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
            escaped(&case.name),
            escaped(&case.class),
            case.seconds
        ));
        match &case.ended {
            None => text.push_str("/>\n"),
            Some((element, message)) => text.push_str(&format!(
                "><{element} message=\"{}\"/></testcase>\n",
                escaped(message)
            )),
        }
    }
    text.push_str("  </testsuite>\n");
    text
}

fn cases(judged: &Judged) -> Vec<Case> {
    let found = &judged.found;
    let plugin = found
        .descriptor
        .as_ref()
        .map(|descriptor| descriptor.about.name.clone());
    let plugin = plugin.unwrap_or_default();
    let stage = |name: &str, ended| Case {
        name: name.to_owned(),
        class: format!("{plugin}.file"),
        seconds: 0.0,
        ended,
    };
    let faults: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
    let refused = found.verdict() != Verdict::Accepted;
    let mut cases = vec![stage(
        "inspect",
        refused.then(|| ("failure", faults.join("; "))),
    )];
    let lints: Vec<_> = judged
        .lints
        .iter()
        .map(|lint| format!("{}: {}", lint.code, lint.found))
        .collect();
    cases.push(stage(
        "lints",
        (!lints.is_empty()).then(|| ("skipped", lints.join("; "))),
    ));
    if let Some(load) = &judged.load {
        let ended = match load {
            Load::Loaded => None,
            Load::Refused(why) => Some(("failure", why.clone())),
            Load::Crashed(why) => Some(("error", why.clone())),
        };
        cases.push(stage("load", ended));
    }
    let results = judged.kit.iter().flat_map(|report| &report.results);
    cases.extend(results.map(|result| of_result(&plugin, result)));
    cases
}

fn of_result(plugin: &str, result: &CaseResult) -> Case {
    let element = match result.status {
        Status::Passed => None,
        Status::NotApplicable => Some("skipped"),
        Status::Failed | Status::Lied => Some("failure"),
        Status::Skipped => Some("error"),
    };
    Case {
        name: format!("{} {}", result.id, result.reason),
        class: format!("{plugin}.{}", result.id.get(..1).unwrap_or_default()),
        seconds: result.elapsed_ms as f64 / 1000.0,
        ended: element.map(|element| (element, result.message.clone())),
    }
}

/// For an attribute. XML has no form for most control characters.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_plugin_stay_texts() {
        assert_eq!(
            escaped("a\"<b>&\n\u{1b}"),
            "a&quot;&lt;b&gt;&amp;&#10;\u{fffd}"
        );
    }
}
