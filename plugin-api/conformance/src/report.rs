//! What a run found.

use crate::subject::Level;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The backend does what it should.
    Passed,
    /// The question does not arise here; the message says why.
    NotApplicable,
    /// It should have run and could not.
    Skipped,
    /// The backend does not do what it should.
    Failed,
    /// The backend does not claim a capability, and its use is not refused.
    Lied,
}

impl Status {
    /// The worse of two results of one case has more.
    pub(crate) fn gravity(self) -> u8 {
        match self {
            Status::NotApplicable => 0,
            Status::Passed => 1,
            Status::Skipped => 2,
            Status::Lied => 3,
            Status::Failed => 4,
        }
    }

    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::NotApplicable => "n/a",
            Status::Skipped => "SKIPPED",
            Status::Failed => "FAILED",
            Status::Lied => "LIED",
        }
    }
}

/// One case of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub id: String,
    /// When it applies.
    pub tag: String,
    /// What it asks.
    pub reason: String,
    /// How it ended.
    pub status: Status,
    /// Whether it asked for the refusal of something that is not claimed.
    pub negative: bool,
    /// Why; empty when it passed.
    pub message: String,
    /// Time, in milliseconds.
    pub elapsed_ms: u64,
}

/// A run of the kit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Name of the plugin.
    pub plugin: String,
    /// What was driven.
    pub level: Level,
    /// Names of the operations that answer.
    pub operations: Vec<String>,
    /// Names of the claims.
    pub capabilities: Vec<String>,
    /// The cases, in the order of the registry.
    pub results: Vec<CaseResult>,
    /// Time of the run, in milliseconds.
    pub elapsed_ms: u64,
}

/// A case that two runs of one plugin answer differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The case.
    pub id: String,
    /// Here.
    pub ours: String,
    /// There.
    pub theirs: String,
}

impl Report {
    /// Whether nothing failed, lied or was skipped.
    pub fn is_ok(&self) -> bool {
        let bad = [Status::Failed, Status::Lied, Status::Skipped];
        bad.into_iter().all(|status| self.count(status) == 0)
    }

    /// How many cases ended so.
    pub fn count(&self, status: Status) -> usize {
        self.with_status(status).count()
    }

    /// The cases that ended so.
    pub fn with_status(&self, status: Status) -> impl Iterator<Item = &CaseResult> {
        self.results.iter().filter(move |one| one.status == status)
    }

    /// The result of a case, if it was in the run.
    pub fn result(&self, id: &str) -> Option<&CaseResult> {
        self.results.iter().find(|one| one.id == id)
    }

    /// Cases that both runs asked and that ended differently. Not applicable on one side is no
    /// difference: what a run can look at depends on its level.
    pub fn disagreements(&self, other: &Report) -> Vec<Disagreement> {
        let asked = |one: &&CaseResult| one.status != Status::NotApplicable;
        let text = |one: &CaseResult| {
            let side = if one.negative { " (as unclaimed)" } else { "" };
            format!("{}{side} {}", one.status.word(), one.message)
        };
        let pairs = self.results.iter().filter(asked).filter_map(|ours| {
            let theirs = other.result(&ours.id).filter(asked)?;
            Some((ours, theirs))
        });
        pairs
            .filter(|(ours, theirs)| {
                (ours.status, ours.negative) != (theirs.status, theirs.negative)
            })
            .map(|(ours, theirs)| Disagreement {
                id: ours.id.clone(),
                ours: text(ours),
                theirs: text(theirs),
            })
            .collect()
    }

    /// As JSON, for machines.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A table for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = format!("{:?}", self.level).to_lowercase();
        writeln!(f, "{} ({level}), {} ms", self.plugin, self.elapsed_ms)?;
        for one in &self.results {
            let word = one.status.word();
            let reason = if one.negative {
                "unclaimed, so refused"
            } else {
                &one.reason
            };
            writeln!(
                f,
                "{:<5} {word:<8} {:>6} ms  {:<24} {reason}",
                one.id, one.elapsed_ms, one.tag
            )?;
            if !one.message.is_empty() {
                writeln!(f, "      {}", one.message)?;
            }
        }
        let all = [
            Status::Passed,
            Status::NotApplicable,
            Status::Skipped,
            Status::Failed,
            Status::Lied,
        ];
        let counts = all.map(|status| format!("{} {}", self.count(status), status.word()));
        write!(f, "{}", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(results: &[(&str, Status, bool)]) -> Report {
        let result = |(id, status, negative): &(&str, Status, bool)| CaseResult {
            id: (*id).to_owned(),
            tag: "CORE".to_owned(),
            reason: "why".to_owned(),
            status: *status,
            negative: *negative,
            message: String::new(),
            elapsed_ms: 1,
        };
        Report {
            plugin: "p".to_owned(),
            level: Level::Rust,
            operations: Vec::new(),
            capabilities: Vec::new(),
            results: results.iter().map(result).collect(),
            elapsed_ms: 1,
        }
    }

    #[test]
    fn runs_are_compared_where_both_asked() {
        let ours = report(&[
            ("A-01", Status::NotApplicable, false),
            ("C-01", Status::Passed, false),
            ("G-01", Status::Passed, false),
            ("H-01", Status::Passed, false),
        ]);
        let theirs = report(&[
            ("A-01", Status::Failed, false),
            ("C-01", Status::Passed, false),
            ("G-01", Status::Passed, true),
            ("H-01", Status::Failed, false),
        ]);
        let found: Vec<_> = ours
            .disagreements(&theirs)
            .into_iter()
            .map(|d| d.id)
            .collect();
        assert_eq!(found, ["G-01", "H-01"]);
        assert!(ours.is_ok());
        assert!(!theirs.is_ok());
    }

    #[test]
    fn a_skipped_case_is_not_a_success() {
        assert!(!report(&[("A-01", Status::Skipped, false)]).is_ok());
    }

    #[test]
    fn both_forms_name_the_case() {
        let report = report(&[("H-01", Status::Failed, false)]);
        assert!(report.to_string().contains("H-01  FAILED"), "{report}");
        assert_eq!(report.to_json()["results"][0]["status"], "failed");
    }
}
