//! Conditional requirements, as data: one table for the host's validator, the kit and the docs.

use crate::{Capabilities, Capability, Operation, Operations};

/// "Who claims this capability also has this operation."
#[derive(Clone, Copy, Debug)]
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
