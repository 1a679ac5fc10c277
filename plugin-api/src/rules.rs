//! Conditional requirements, as data: one table for the host's validator, the kit and the docs.
//!
//! | rule | who claims | also has |
//! | --- | --- | --- |
//! | REQ-01 | `server_copy` | the operation `copy` |
//! | REQ-02 | `copy_create_only` | the operation `copy` |
//! | REQ-03 | `atomic_move` | the operation `rename` |
//! | REQ-04 | `ordered_list` | the operation `list` |
//! | REQ-05 | `start_after` | the operation `list` |
//! | REQ-06 | `any_delimiter` | the operation `list` |
//! | REQ-07 | `usage` | the operation `usage` |
//! | REQ-08 | `custom` | the operation `custom` |
//! | REQ-09 | `sign_content_type` | the capability `sign_put` |
//! | REQ-10 | `sign_max_size` | the capability `sign_put` |
//! | REQ-11 | `sign_checksum` | the capability `sign_put` |
//! | REQ-12 | `sign_disposition` | the capability `sign_get` |
//! | REQ-13 | `start_after` | the capability `ordered_list` |

use crate::{Capabilities, Capability, Operation, Operations};

/// "Who claims this capability also has this operation."
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Stable number, for reports.
    pub id: &'static str,
    /// The claim.
    pub claimed: Capability,
    /// What must be there.
    pub needs: Need,
}

/// The right-hand side of a [`Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// An operation.
    Operation(Operation),
    /// Another capability.
    Capability(Capability),
}

impl Need {
    /// The stable name of what is needed.
    pub fn name(self) -> &'static str {
        match self {
            Need::Operation(operation) => operation.name(),
            Need::Capability(capability) => capability.name(),
        }
    }
}

const fn rule(id: &'static str, claimed: Capability, needs: Need) -> Rule {
    Rule { id, claimed, needs }
}

/// Every rule. A plugin that breaks one is refused before it is mapped.
pub const RULES: &[Rule] = &[
    rule(
        "REQ-01",
        Capability::ServerCopy,
        Need::Operation(Operation::Copy),
    ),
    rule(
        "REQ-02",
        Capability::CopyCreateOnly,
        Need::Operation(Operation::Copy),
    ),
    rule(
        "REQ-03",
        Capability::AtomicMove,
        Need::Operation(Operation::Rename),
    ),
    rule(
        "REQ-04",
        Capability::OrderedList,
        Need::Operation(Operation::List),
    ),
    rule(
        "REQ-05",
        Capability::StartAfter,
        Need::Operation(Operation::List),
    ),
    rule(
        "REQ-06",
        Capability::AnyDelimiter,
        Need::Operation(Operation::List),
    ),
    rule(
        "REQ-07",
        Capability::Usage,
        Need::Operation(Operation::Usage),
    ),
    rule(
        "REQ-08",
        Capability::Custom,
        Need::Operation(Operation::Custom),
    ),
    rule(
        "REQ-09",
        Capability::SignContentType,
        Need::Capability(Capability::SignPut),
    ),
    rule(
        "REQ-10",
        Capability::SignMaxSize,
        Need::Capability(Capability::SignPut),
    ),
    rule(
        "REQ-11",
        Capability::SignChecksum,
        Need::Capability(Capability::SignPut),
    ),
    rule(
        "REQ-12",
        Capability::SignDisposition,
        Need::Capability(Capability::SignGet),
    ),
    rule(
        "REQ-13",
        Capability::StartAfter,
        Need::Capability(Capability::OrderedList),
    ),
];

/// The rules that this claim breaks.
pub fn broken(operations: Operations, capabilities: Capabilities) -> Vec<&'static Rule> {
    RULES
        .iter()
        .filter(|rule| {
            capabilities.has(rule.claimed)
                && match rule.needs {
                    Need::Operation(operation) => !operations.has(operation),
                    Need::Capability(capability) => !capabilities.has(capability),
                }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules once more, each as a sentence of its own: what the data is held against.
    fn reference(operations: Operations, capabilities: Capabilities) -> Vec<&'static str> {
        use Capability as C;
        let (o, c) = (|it| operations.has(it), |it: C| capabilities.has(it));
        let sentences = [
            ("REQ-01", !c(C::ServerCopy) || o(Operation::Copy)),
            ("REQ-02", !c(C::CopyCreateOnly) || o(Operation::Copy)),
            ("REQ-03", !c(C::AtomicMove) || o(Operation::Rename)),
            ("REQ-04", !c(C::OrderedList) || o(Operation::List)),
            ("REQ-05", !c(C::StartAfter) || o(Operation::List)),
            ("REQ-06", !c(C::AnyDelimiter) || o(Operation::List)),
            ("REQ-07", !c(C::Usage) || o(Operation::Usage)),
            ("REQ-08", !c(C::Custom) || o(Operation::Custom)),
            ("REQ-09", !c(C::SignContentType) || c(C::SignPut)),
            ("REQ-10", !c(C::SignMaxSize) || c(C::SignPut)),
            ("REQ-11", !c(C::SignChecksum) || c(C::SignPut)),
            ("REQ-12", !c(C::SignDisposition) || c(C::SignGet)),
            ("REQ-13", !c(C::StartAfter) || c(C::OrderedList)),
        ];
        let broken = sentences.iter().filter(|(_, holds)| !holds);
        broken.map(|(id, _)| *id).collect()
    }

    #[test]
    fn the_data_says_what_the_sentences_say() {
        // xorshift64*: the same sets in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        };
        let (mut kept, mut broke) = (0, 0);
        for round in 0..200_000 {
            // Sparse, even and dense sets in turn: even ones alone nearly always break something.
            let (operations, capabilities) = match round % 3 {
                0 => (
                    random() & random() & random(),
                    random() & random() & random(),
                ),
                1 => (random(), random()),
                _ => (
                    random() | random() | random(),
                    random() | random() | random(),
                ),
            };
            let operations = Operations::from_bits(operations);
            let capabilities = Capabilities::from_bits(capabilities);
            let found: Vec<_> = broken(operations, capabilities)
                .iter()
                .map(|rule| rule.id)
                .collect();
            assert_eq!(
                found,
                reference(operations, capabilities),
                "{operations:?} {capabilities:?}"
            );
            *(if found.is_empty() {
                &mut kept
            } else {
                &mut broke
            }) += 1;
        }
        assert!(kept > 1000 && broke > 1000, "{kept} kept, {broke} broken");
    }

    #[test]
    fn the_documentation_lists_the_same_rules() {
        let lines = include_str!("rules.rs").lines();
        let documented: Vec<_> = lines
            .filter(|line| line.starts_with("//! | REQ-"))
            .map(str::to_owned)
            .collect();
        let rules = RULES.iter().map(|rule| {
            let kind = match rule.needs {
                Need::Operation(_) => "operation",
                Need::Capability(_) => "capability",
            };
            let (id, claimed, needs) = (rule.id, rule.claimed, rule.needs.name());
            format!("//! | {id} | `{claimed}` | the {kind} `{needs}` |")
        });
        assert_eq!(documented, rules.collect::<Vec<_>>());
    }

    #[test]
    fn each_rule_bites_and_is_satisfied() {
        for rule in RULES {
            let claimed = Capabilities::from(rule.claimed);
            assert!(
                broken(Operations::REQUIRED, claimed)
                    .iter()
                    .any(|r| r.id == rule.id)
            );
            let (operations, capabilities) = match rule.needs {
                Need::Operation(o) => (Operations::REQUIRED.with(o.into()), claimed),
                Need::Capability(c) => (Operations::REQUIRED, claimed.with(c.into())),
            };
            assert!(
                broken(operations, capabilities)
                    .iter()
                    .all(|r| r.id != rule.id),
                "{}",
                rule.id
            );
        }
        assert!(broken(Operations::REQUIRED, Capabilities::EMPTY).is_empty());
    }
}
