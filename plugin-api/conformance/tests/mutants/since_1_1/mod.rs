//! The cases of what ABI 1.1 added: each fails on a store with the mistake that it is there to find.

mod model;
mod parts;
mod ranges;
mod versions;

use crate::{caught, runtime};
use holdall_conformance::{Case, Claims, Harness, Report, Status, run, rust_stage};
use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{Capabilities, Operations};
use model::{Config, Grown, SharedStore};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

/// A mistake that a real backend could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    AbortKeepsUpload,
    AnyClass,
    BatchIgnoresVersions,
    CompleteIgnoresCreateOnly,
    CompleteIgnoresIfMatch,
    CompletedStays,
    CompletionInheritsMetadata,
    CopyChecksEarly,
    CopyIgnoresIfMatch,
    CopyIgnoresSourceConditions,
    CopyKeepsMetadata,
    CopyOfCurrent,
    CopyOntoItselfIsNothing,
    DeleteErasesHistory,
    DeletesNewestVersion,
    DescriptionLost,
    EmptyPartRefused,
    EncryptionUntold,
    EtagsUnchecked,
    EveryPartTaken,
    FirstPartStays,
    HalfPartKept,
    LastByteOfRangeWrong,
    ManyRangesDropped,
    MarkerStays,
    MissingRangesAreOther,
    OneUploadPerKey,
    PartKeptOnDrop,
    PartPageLosesOne,
    PartsInOrderOfArrival,
    PartsLostAtOnce,
    PartsLoseTags,
    PartsVisible,
    RaceIsOther,
    RangeBehindIsCut,
    RangesIgnoreIfMatch,
    RangesOfAnother,
    RangesReadLive,
    RangesSorted,
    RangesWithoutType,
    TagsInherited,
    TenthTagLost,
    UnknownIdIsBegun,
    UnknownLengthIsNothing,
    UnknownVersionIsCurrent,
    UpdateAnswersBefore,
    UpdateClearsOthers,
    UpdateDisturbsReaders,
    UpdateIgnoresIfMatch,
    UpdateMakes,
    UpdateMergesMetadata,
    UpdateMergesTags,
    UploadOfAnyKey,
    UploadPrefixIgnored,
    UploadsOfInstance,
    VersionGroupsIgnored,
    VersionIgnored,
    VersionTokenIsKey,
    VersionsOldestFirst,
}

/// Each mistake, with the case that is there to find it.
const CAUGHT: &[(Bug, &str)] = &[
    (Bug::CopyIgnoresIfMatch, "K-10"),
    (Bug::CopyIgnoresSourceConditions, "K-11"),
    (Bug::CopyKeepsMetadata, "K-12"),
    (Bug::CopyOntoItselfIsNothing, "K-13"),
    (Bug::CopyOfCurrent, "K-14"),
    (Bug::CopyChecksEarly, "K-15"),
    (Bug::PartsInOrderOfArrival, "P-01"),
    (Bug::PartsVisible, "P-02"),
    (Bug::DescriptionLost, "P-03"),
    (Bug::FirstPartStays, "P-04"),
    (Bug::EveryPartTaken, "P-05"),
    (Bug::PartsLostAtOnce, "P-06"),
    (Bug::UploadsOfInstance, "P-07"),
    (Bug::PartPageLosesOne, "P-08"),
    (Bug::UploadPrefixIgnored, "P-09"),
    (Bug::UnknownIdIsBegun, "P-10"),
    (Bug::UploadOfAnyKey, "P-11"),
    (Bug::AbortKeepsUpload, "P-12"),
    (Bug::CompletedStays, "P-13"),
    (Bug::EtagsUnchecked, "P-14"),
    (Bug::CompletionInheritsMetadata, "P-15"),
    (Bug::CompleteIgnoresCreateOnly, "P-16"),
    (Bug::CompleteIgnoresIfMatch, "P-17"),
    (Bug::HalfPartKept, "P-18"),
    (Bug::HalfPartKept, "P-19"),
    (Bug::UnknownLengthIsNothing, "P-20"),
    (Bug::EmptyPartRefused, "P-21"),
    (Bug::OneUploadPerKey, "P-22"),
    (Bug::PartKeptOnDrop, "P-23"),
    (Bug::RaceIsOther, "P-24"),
    (Bug::RangesSorted, "Q-01"),
    (Bug::LastByteOfRangeWrong, "Q-02"),
    (Bug::RangeBehindIsCut, "Q-03"),
    (Bug::MissingRangesAreOther, "Q-05"),
    (Bug::ManyRangesDropped, "Q-06"),
    (Bug::RangesWithoutType, "Q-07"),
    (Bug::RangesIgnoreIfMatch, "Q-08"),
    (Bug::RangesReadLive, "Q-09"),
    (Bug::RangesOfAnother, "Q-10"),
    (Bug::VersionsOldestFirst, "R-01"),
    (Bug::VersionIgnored, "R-02"),
    (Bug::DeleteErasesHistory, "R-03"),
    (Bug::DeletesNewestVersion, "R-04"),
    (Bug::MarkerStays, "R-05"),
    (Bug::VersionTokenIsKey, "R-06"),
    (Bug::VersionGroupsIgnored, "R-07"),
    (Bug::UnknownVersionIsCurrent, "R-08"),
    (Bug::BatchIgnoresVersions, "R-09"),
    (Bug::BatchIgnoresVersions, "R-10"),
    (Bug::UpdateClearsOthers, "S-01"),
    (Bug::UpdateMergesMetadata, "S-02"),
    (Bug::UpdateMergesTags, "S-03"),
    (Bug::UpdateMakes, "S-04"),
    (Bug::UpdateIgnoresIfMatch, "S-05"),
    (Bug::UpdateAnswersBefore, "S-06"),
    (Bug::UpdateDisturbsReaders, "S-07"),
    (Bug::TagsInherited, "S-09"),
    (Bug::TenthTagLost, "S-10"),
    (Bug::PartsLoseTags, "S-12"),
    (Bug::AnyClass, "S-13"),
    (Bug::EncryptionUntold, "S-14"),
];

/// The cases that no backend can fail: the host's checks answer before one is entered. What they ask of the host
/// is tested there (`contract::since_1_1::tests`).
const OF_THE_HOST: &[(&str, &str)] = &[
    (
        "Q-04",
        "no range, an empty one, too many: `Terms::download_ranges`",
    ),
    ("S-08", "an update that changes nothing: `Terms::update`"),
    ("S-11", "tags that are not allowed: `Terms::upload`"),
];

const CLAIMS: Capabilities = Capabilities::atomic_put
    .with(Capabilities::create_only)
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_get)
    .with(Capabilities::suffix)
    .with(Capabilities::unknown_length)
    .with(Capabilities::content_type)
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::header_content_language)
    .with(Capabilities::server_copy)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::ordered_list)
    .with(Capabilities::key_and_prefix)
    .with(Capabilities::case_sensitive)
    .with(Capabilities::unicode_exact)
    .with(Capabilities::exact_delete)
    .with(Capabilities::versions)
    .with(Capabilities::parts)
    .with(Capabilities::parts_any_size)
    .with(Capabilities::ranges)
    .with(Capabilities::copy_if_match)
    .with(Capabilities::copy_source_conditions)
    .with(Capabilities::copy_source_version)
    .with(Capabilities::copy_replace_metadata)
    .with(Capabilities::list_versions)
    .with(Capabilities::delete_many_versions)
    .with(Capabilities::update_headers)
    .with(Capabilities::update_metadata)
    .with(Capabilities::update_tags)
    .with(Capabilities::storage_class)
    .with(Capabilities::tags)
    .with(Capabilities::encryption_managed);

const OPERATIONS: Operations = Operations::REQUIRED
    .with(Operations::head)
    .with(Operations::list)
    .with(Operations::copy)
    .with(Operations::delete_many)
    .with(Operations::create_upload)
    .with(Operations::put_part)
    .with(Operations::list_parts)
    .with(Operations::list_uploads)
    .with(Operations::complete_upload)
    .with(Operations::abort_upload)
    .with(Operations::download_ranges)
    .with(Operations::list_versions)
    .with(Operations::update);

/// The model, whose stores outlive their instances.
#[derive(Clone)]
struct Subject {
    bug: Option<Bug>,
    /// Most items of a page, whatever is asked.
    page: u32,
    stores: Arc<Mutex<HashMap<u32, SharedStore>>>,
}

impl Subject {
    fn with(bug: Option<Bug>) -> Self {
        Self {
            bug,
            page: 1000,
            stores: Arc::default(),
        }
    }

    fn run(&self, select: impl Fn(&Case) -> bool) -> Report {
        let claims = Claims {
            plugin: "grown".into(),
            operations: OPERATIONS,
            capabilities: CLAIMS,
            schema: None,
            flags: Flags(Flags::RUNTIME_TOKIO),
        };
        let stage = rust_stage::<Grown>(claims, self.clone());
        runtime().block_on(run(stage, select))
    }
}

impl Harness for Subject {
    type Config = Config;

    fn config(&self, store: u32) -> Config {
        Config {
            bug: self.bug,
            page: self.page,
            store: self
                .stores
                .lock()
                .unwrap()
                .entry(store)
                .or_default()
                .clone(),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// The cases that came with ABI 1.1.
fn is_new(case: &Case) -> bool {
    matches!(case.group(), 'P' | 'Q' | 'R' | 'S') || ("K-10"..="K-15").contains(&case.id)
}

#[test]
fn the_model_without_a_mistake_passes() {
    let report = Subject::with(None).run(is_new);
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.count(Status::Passed), 64, "{report}");
}

#[test]
fn every_mistake_is_caught_by_its_case() {
    let mut missed = Vec::new();
    for (bug, id) in CAUGHT {
        let report = caught(|| Subject::with(Some(*bug)).run(|case| case.id == *id));
        missed.extend(report.map(|report| format!("{bug:?} by {id}: {report}")));
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// A new case comes with a mutant, or with the reason why there is none.
#[test]
fn every_case_has_a_mutant() {
    let new = holdall_conformance::cases()
        .iter()
        .filter(|case| is_new(case));
    let new: BTreeSet<&str> = new.map(|case| case.id).collect();
    let proven: BTreeSet<&str> = CAUGHT.iter().map(|(_, id)| *id).collect();
    let reasoned: BTreeSet<&str> = OF_THE_HOST.iter().map(|(id, _)| *id).collect();
    assert!(
        proven.is_disjoint(&reasoned),
        "a mutant and a reason for none"
    );
    let known: BTreeSet<&str> = proven.union(&reasoned).copied().collect();
    let without: Vec<_> = new.difference(&known).collect();
    let unknown: Vec<_> = known.difference(&new).collect();
    assert!(
        without.is_empty() && unknown.is_empty(),
        "without a mutant: {without:?}; mutants of no case of 1.1: {unknown:?}"
    );
}

/// What a case has made is removed page by page, also where a page has two items.
#[test]
fn a_case_leaves_nothing_in_a_store_with_small_pages() {
    let subject = Subject {
        page: 2,
        ..Subject::with(None)
    };
    let report = subject.run(|case| ["P-09", "R-06", "R-07"].contains(&case.id));
    assert!(report.is_ok(), "{report}");
    for (number, store) in &*subject.stores.lock().unwrap() {
        assert_eq!(store.lock().unwrap().left(), (0, 0), "store {number}");
    }

    // A case that ends half-way leaves its uploads to the end of the run.
    let subject = Subject {
        page: 2,
        ..Subject::with(Some(Bug::UploadPrefixIgnored))
    };
    let report = subject.run(|case| case.id == "P-09");
    assert_eq!(report.count(Status::Failed), 1, "{report}");
    for (number, store) in &*subject.stores.lock().unwrap() {
        assert_eq!(store.lock().unwrap().left(), (0, 0), "store {number}");
    }
}

/// An upload that cannot be removed stays on the first page.
#[test]
fn uploads_that_stay_do_not_keep_the_kit() {
    let subject = Subject {
        page: 2,
        ..Subject::with(Some(Bug::AbortKeepsUpload))
    };
    let report = subject.run(|case| case.id == "P-09");
    assert_eq!(report.count(Status::Failed), 1, "{report}");
}
