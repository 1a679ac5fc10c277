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
//! | REQ-14 | `parts` | the operation `create_upload` |
//! | REQ-15 | `parts` | the operation `put_part` |
//! | REQ-16 | `parts` | the operation `list_parts` |
//! | REQ-17 | `parts` | the operation `list_uploads` |
//! | REQ-18 | `parts` | the operation `complete_upload` |
//! | REQ-19 | `parts` | the operation `abort_upload` |
//! | REQ-20 | `parts_any_size` | the capability `parts` |
//! | REQ-21 | `ranges` | the operation `download_ranges` |
//! | REQ-22 | `copy_if_match` | the operation `copy` |
//! | REQ-23 | `copy_source_conditions` | the operation `copy` |
//! | REQ-24 | `copy_source_version` | the operation `copy` |
//! | REQ-25 | `copy_replace_metadata` | the operation `copy` |
//! | REQ-26 | `list_versions` | the operation `list_versions` |
//! | REQ-27 | `list_versions` | the capability `versions` |
//! | REQ-28 | `delete_many_versions` | the operation `delete_many` |
//! | REQ-29 | `update_headers` | the operation `update` |
//! | REQ-30 | `update_metadata` | the operation `update` |
//! | REQ-31 | `update_tags` | the operation `update` |
//! | REQ-32 | `update_tags` | the capability `tags` |

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
    rule(
        "REQ-14",
        Capability::Parts,
        Need::Operation(Operation::CreateUpload),
    ),
    rule(
        "REQ-15",
        Capability::Parts,
        Need::Operation(Operation::PutPart),
    ),
    rule(
        "REQ-16",
        Capability::Parts,
        Need::Operation(Operation::ListParts),
    ),
    rule(
        "REQ-17",
        Capability::Parts,
        Need::Operation(Operation::ListUploads),
    ),
    rule(
        "REQ-18",
        Capability::Parts,
        Need::Operation(Operation::CompleteUpload),
    ),
    rule(
        "REQ-19",
        Capability::Parts,
        Need::Operation(Operation::AbortUpload),
    ),
    rule(
        "REQ-20",
        Capability::PartsAnySize,
        Need::Capability(Capability::Parts),
    ),
    rule(
        "REQ-21",
        Capability::Ranges,
        Need::Operation(Operation::DownloadRanges),
    ),
    rule(
        "REQ-22",
        Capability::CopyIfMatch,
        Need::Operation(Operation::Copy),
    ),
    rule(
        "REQ-23",
        Capability::CopySourceConditions,
        Need::Operation(Operation::Copy),
    ),
    rule(
        "REQ-24",
        Capability::CopySourceVersion,
        Need::Operation(Operation::Copy),
    ),
    rule(
        "REQ-25",
        Capability::CopyReplaceMetadata,
        Need::Operation(Operation::Copy),
    ),
    rule(
        "REQ-26",
        Capability::ListVersions,
        Need::Operation(Operation::ListVersions),
    ),
    rule(
        "REQ-27",
        Capability::ListVersions,
        Need::Capability(Capability::Versions),
    ),
    rule(
        "REQ-28",
        Capability::DeleteManyVersions,
        Need::Operation(Operation::DeleteMany),
    ),
    rule(
        "REQ-29",
        Capability::UpdateHeaders,
        Need::Operation(Operation::Update),
    ),
    rule(
        "REQ-30",
        Capability::UpdateMetadata,
        Need::Operation(Operation::Update),
    ),
    rule(
        "REQ-31",
        Capability::UpdateTags,
        Need::Operation(Operation::Update),
    ),
    rule(
        "REQ-32",
        Capability::UpdateTags,
        Need::Capability(Capability::Tags),
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
            ("REQ-14", !c(C::Parts) || o(Operation::CreateUpload)),
            ("REQ-15", !c(C::Parts) || o(Operation::PutPart)),
            ("REQ-16", !c(C::Parts) || o(Operation::ListParts)),
            ("REQ-17", !c(C::Parts) || o(Operation::ListUploads)),
            ("REQ-18", !c(C::Parts) || o(Operation::CompleteUpload)),
            ("REQ-19", !c(C::Parts) || o(Operation::AbortUpload)),
            ("REQ-20", !c(C::PartsAnySize) || c(C::Parts)),
            ("REQ-21", !c(C::Ranges) || o(Operation::DownloadRanges)),
            ("REQ-22", !c(C::CopyIfMatch) || o(Operation::Copy)),
            ("REQ-23", !c(C::CopySourceConditions) || o(Operation::Copy)),
            ("REQ-24", !c(C::CopySourceVersion) || o(Operation::Copy)),
            ("REQ-25", !c(C::CopyReplaceMetadata) || o(Operation::Copy)),
            ("REQ-26", !c(C::ListVersions) || o(Operation::ListVersions)),
            ("REQ-27", !c(C::ListVersions) || c(C::Versions)),
            (
                "REQ-28",
                !c(C::DeleteManyVersions) || o(Operation::DeleteMany),
            ),
            ("REQ-29", !c(C::UpdateHeaders) || o(Operation::Update)),
            ("REQ-30", !c(C::UpdateMetadata) || o(Operation::Update)),
            ("REQ-31", !c(C::UpdateTags) || o(Operation::Update)),
            ("REQ-32", !c(C::UpdateTags) || c(C::Tags)),
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
            let second = if round % 2 == 0 { random() } else { 0 };
            let operations = Operations::from_bits(operations);
            let capabilities = Capabilities::from_words([capabilities, second]);
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
