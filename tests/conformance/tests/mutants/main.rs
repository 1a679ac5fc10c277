//! Does the kit bite? Each mistake in a store that is otherwise right is found, by the case whose
//! question it is.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

mod model;

use holdall_conformance::{Claims, Harness, Report, Status, run};
use holdall_plugin_api::{Capabilities, Operations};
use model::{Bug, Config, Model};
use tokio::runtime::{Builder, Runtime};

/// What the model can do.
const CLAIMS: Capabilities = Capabilities::atomic_put
    .with(Capabilities::create_only)
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get)
    .with(Capabilities::if_time)
    .with(Capabilities::suffix)
    .with(Capabilities::unknown_length)
    .with(Capabilities::content_type)
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::header_content_language)
    .with(Capabilities::checksum_crc32c)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::atomic_move)
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after)
    .with(Capabilities::key_and_prefix)
    .with(Capabilities::case_sensitive)
    .with(Capabilities::unicode_exact)
    .with(Capabilities::usage)
    .with(Capabilities::exact_delete);

const OPERATIONS: Operations = Operations::REQUIRED
    .with(Operations::head)
    .with(Operations::list)
    .with(Operations::copy)
    .with(Operations::rename)
    .with(Operations::usage)
    .with(Operations::shutdown);

struct Subject {
    bug: Option<Bug>,
    operations: Operations,
    capabilities: Capabilities,
}

impl Subject {
    fn with(bug: Option<Bug>) -> Self {
        Self {
            bug,
            operations: OPERATIONS,
            capabilities: CLAIMS,
        }
    }
}

impl Harness for Subject {
    type Backend = Model;

    fn claims(&self) -> Claims {
        Claims {
            plugin: "model".into(),
            operations: self.operations,
            capabilities: self.capabilities,
        }
    }

    fn config(&self, _store: u32) -> Config {
        Config { bug: self.bug }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn whole(subject: Subject) -> Report {
    runtime().block_on(run(subject.stage(), |_| true))
}

#[test]
fn the_model_without_a_mistake_passes() {
    let report = whole(Subject::with(None));
    assert!(report.is_ok(), "{report}");
    assert!(report.count(Status::Passed) > 95, "{report}");
}

/// Everything that is not claimed is asked for, and refused.
#[test]
fn a_store_that_claims_next_to_nothing_passes() {
    let report = whole(Subject {
        bug: None,
        operations: Operations::REQUIRED,
        capabilities: Capabilities::atomic_put
            .with(Capabilities::case_sensitive)
            .with(Capabilities::unicode_exact)
            .with(Capabilities::key_and_prefix),
    });
    assert!(report.is_ok(), "{report}");
    assert!(
        report.results.iter().filter(|one| one.negative).count() > 10,
        "{report}"
    );
    let listing = report.result("J-02").unwrap();
    assert_eq!(listing.status, Status::NotApplicable);
}

#[test]
fn a_claim_without_substance_is_told_from_a_plain_failure() {
    let claims = CLAIMS.without(Capabilities::atomic_move);
    let modest = Subject {
        bug: None,
        operations: OPERATIONS,
        capabilities: claims,
    };
    let report = runtime().block_on(run(modest.stage(), |case| case.id == "K-08"));
    assert_eq!(report.results[0].status, Status::Lied, "{report}");

    let claims = CLAIMS.with(Capabilities::checksum_sha256);
    let boastful = Subject {
        bug: None,
        operations: OPERATIONS,
        capabilities: claims,
    };
    let report = runtime().block_on(run(boastful.stage(), |case| case.id == "M-02"));
    assert_eq!(report.results[0].status, Status::Failed, "{report}");
}

#[test]
fn a_claim_whose_proof_failed_is_named() {
    let report = runtime().block_on(run(
        Subject::with(Some(Bug::CreateOnlyIgnored)).stage(),
        |case| ["G-01", "N-03"].contains(&case.id),
    ));
    let message = &report.result("N-03").unwrap().message;
    assert!(
        message.contains("create_only") && message.contains("G-01"),
        "{report}"
    );
}

/// Each mistake, with the case that is there to find it.
const CAUGHT: &[(Bug, &str)] = &[
    (Bug::SharedBetweenInstances, "A-05"),
    (Bug::LivesAfterShutdown, "A-08"),
    (Bug::PercentDecoded, "C-03"),
    (Bug::Normalised, "C-04"),
    (Bug::CaseFolded, "C-05"),
    (Bug::KeyCutTo255, "C-06"),
    (Bug::OverwriteKeepsTail, "D-03"),
    (Bug::MetadataInherited, "D-04"),
    (Bug::AnswersOtherEtag, "D-05"),
    (Bug::PartialKeptOnError, "D-06"),
    (Bug::ContentTypeLowercased, "D-08"),
    (Bug::DropsEmptyMetadata, "D-10"),
    (Bug::PartialVisible, "E-01"),
    (Bug::PartialVisible, "E-02"),
    (Bug::ReadsLive, "E-03"),
    (Bug::PartialKeptOnDrop, "E-05"),
    (Bug::PartialKeptOnError, "E-06"),
    (Bug::PartialKeptOnDrop, "E-07"),
    (Bug::ResidueOnDrop, "E-08"),
    (Bug::MetadataApart, "E-12"),
    (Bug::HugeChunks, "F-06"),
    (Bug::CreateOnlyIgnored, "G-01"),
    (Bug::CreateOnlyCheckedEarly, "G-03"),
    (Bug::AnyRaceWinsCreateOnly, "G-04"),
    (Bug::IfMatchPutIgnored, "G-05"),
    (Bug::EtagConstant, "G-05"),
    (Bug::IfMatchPutIgnored, "G-06"),
    (Bug::IfMatchDeleteIgnored, "G-07"),
    (Bug::MissingIsOther, "H-01"),
    (Bug::CutsRangeWrongly, "H-03"),
    (Bug::InvalidRangeWithoutSize, "H-04"),
    (Bug::SuffixPastStartFails, "H-05"),
    (Bug::WholeRangeOfEmpty, "H-06"),
    (Bug::Offsets32, "H-07"),
    (Bug::IfNoneMatchIgnored, "H-09"),
    (Bug::LongFormTimes, "H-10"),
    (Bug::ReadsLive, "H-11"),
    (Bug::FutureTime, "I-01"),
    (Bug::EtagConstant, "I-01"),
    (Bug::ExistsForPrefix, "I-03"),
    (Bug::DeleteClaimsExisted, "I-06"),
    (Bug::MustExistIgnored, "I-07"),
    (Bug::DeleteDeletesPrefix, "I-08"),
    (Bug::GlobDelete, "I-12"),
    (Bug::PrefixIsFolder, "J-02"),
    (Bug::GroupsTwice, "J-03"),
    (Bug::ListLosesPageEnd, "J-04"),
    (Bug::TokenIsCount, "J-07"),
    (Bug::TokenIsCount, "J-08"),
    (Bug::ListUnordered, "J-10"),
    (Bug::StartAfterInclusive, "J-11"),
    (Bug::ListSizeWrong, "J-12"),
    (Bug::GlobPrefix, "J-14"),
    (Bug::ListShowsUploads, "J-16"),
    (Bug::CopyDropsMetadata, "K-01"),
    (Bug::CopySharesObject, "K-04"),
    (Bug::CopyIgnoresCreateOnly, "K-06"),
    (Bug::RenameInTwoSteps, "K-08"),
    (Bug::ChecksumOfFirstChunk, "M-02"),
    (Bug::PanicsOnToken, "O-05"),
    (Bug::LeaksBuffers, "O-08"),
];

#[test]
fn every_mistake_is_caught_by_its_case() {
    let runtime = runtime();
    let mut missed = Vec::new();
    for (bug, id) in CAUGHT {
        let stage = Subject::with(Some(*bug)).stage();
        let report = runtime.block_on(run(stage, |case| case.id == *id));
        if report.results[0].status != Status::Failed {
            missed.push(format!("{bug:?} by {id}: {report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
