//! Does the kit bite? Each mistake in a store that is otherwise right is found, by the case whose
//! question it is.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

mod handing_over;
mod model;
mod remote;
mod settings;
mod signing;
mod since_1_1;

use holdall_conformance::{Claims, Following, Harness, Report, Stage, Status, run, rust_stage};
use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{Bytes, Capabilities, Operations};
use http::Request;
use model::{Bug, Config, Model};
use std::sync::Arc;
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
    .with(Capabilities::exact_delete)
    .with(Capabilities::sign_get)
    .with(Capabilities::sign_put)
    .with(Capabilities::sign_head)
    .with(Capabilities::sign_delete)
    .with(Capabilities::sign_content_type)
    .with(Capabilities::sign_max_size)
    .with(Capabilities::sign_checksum)
    .with(Capabilities::sign_disposition)
    .with(Capabilities::read_into)
    .with(Capabilities::lend_file);

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

    fn stage(self) -> Arc<dyn Stage> {
        let claims = Claims {
            plugin: "model".into(),
            operations: self.operations,
            capabilities: self.capabilities,
            schema: None,
            flags: Flags(Flags::RUNTIME_TOKIO),
        };
        rust_stage::<Model>(claims, self)
    }
}

impl Harness for Subject {
    type Config = Config;

    fn config(&self, _store: u32) -> Config {
        Config {
            bug: self.bug,
            operations: self.operations,
        }
    }

    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        Some(Box::pin(async { Ok(signing::serve(request).await) }))
    }

    fn secrets(&self) -> Vec<String> {
        vec![signing::SECRET.to_owned()]
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
fn a_claim_without_substance_is_distinguished_from_a_plain_failure() {
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
    (Bug::UsageIsZero, "E-13"),
    (Bug::PartialKeptOnDrop, "F-04"),
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
    (Bug::SignedTypeLost, "L-01"),
    (Bug::SignedPutDropped, "L-02"),
    (Bug::MethodUnbound, "L-03"),
    (Bug::QueryUnsigned, "L-04"),
    (Bug::NeverExpires, "L-05"),
    (Bug::ExpiresAsWished, "L-06"),
    (Bug::SignsNoWeek, "L-07"),
    (Bug::TypeUnbound, "L-08"),
    (Bug::SizeUnbound, "L-09"),
    (Bug::DigestUnbound, "L-10"),
    (Bug::NameUnquoted, "L-11"),
    (Bug::SizeRefused, "L-12"),
    (Bug::SigningLooksUp, "L-13"),
    (Bug::KeyDecodedTwice, "L-14"),
    (Bug::MissingIsEmpty, "L-15"),
    (Bug::SignedRangeIgnored, "L-16"),
    (Bug::SecretInUrl, "L-17"),
    (Bug::ChecksumOfFirstChunk, "M-02"),
    (Bug::MetadataLimitLies, "N-04"),
    (Bug::PanicsOnToken, "O-05"),
    (Bug::LeaksBuffers, "O-08"),
    (Bug::IntoLosesRest, "T-01"),
    (Bug::IntoLosesRest, "T-02"),
    (Bug::IntoInChunks, "T-03"),
    (Bug::IntoApart, "T-04"),
    (Bug::UnverifiedIsCut, "T-05"),
    (Bug::LendsCutShort, "T-06"),
    (Bug::LendsFromStart, "T-07"),
    (Bug::LendsLive, "T-08"),
    (Bug::LendLeaks, "T-09"),
];

#[test]
fn every_mistake_is_caught_by_its_case() {
    let runtime = runtime();
    let mut missed = Vec::new();
    for (bug, id) in CAUGHT {
        let report = caught(|| {
            let stage = Subject::with(Some(*bug)).stage();
            runtime.block_on(run(stage, |case| case.id == *id))
        });
        missed.extend(report.map(|report| format!("{bug:?} by {id}: {report}")));
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// The report that did not find it; a race may hide from a few runs on a busy machine.
fn caught(run: impl Fn() -> Report) -> Option<Report> {
    let mut report = run();
    for _ in 0..4 {
        if report.results[0].status == Status::Failed {
            return None;
        }
        report = run();
    }
    (report.results[0].status != Status::Failed).then_some(report)
}

/// What asks a backend that speaks HTTP, and only such a one.
const OVER_HTTP: &[&str] = &[
    "B-05", "B-07", "B-08", "B-09", "F-03", "F-08", "I-04", "L-18", "N-05", "N-06", "N-07", "N-08",
    "O-06", "O-07",
];

#[test]
fn the_remote_model_without_a_mistake_passes() {
    let report = runtime().block_on(async {
        let stage = remote::Subject::with(None).await.stage();
        run(stage, |case| OVER_HTTP.contains(&case.id)).await
    });
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.count(Status::Passed), OVER_HTTP.len(), "{report}");
}

/// Each mistake towards a server, with the case that is there to find it.
const CAUGHT_OVER_HTTP: &[(remote::Bug, &str)] = &[
    (remote::Bug::OpensForEver, "B-05"),
    (remote::Bug::DeniedIsAbsent, "B-07"),
    (remote::Bug::ContainerIsKey, "B-08"),
    (remote::Bug::AlwaysHealthy, "B-09"),
    (remote::Bug::OneLimitForAll, "F-03"),
    (remote::Bug::ReadsAhead, "F-03"),
    (remote::Bug::ShortIsWhole, "F-08"),
    (remote::Bug::ErrorIsAbsent, "I-04"),
    (remote::Bug::SkewUntold, "L-18"),
    (remote::Bug::DropsProvider, "N-05"),
    (remote::Bug::AnyListing, "N-06"),
    (remote::Bug::ForgetsRetryAfter, "N-06"),
    (remote::Bug::FullIsOther, "N-06"),
    (remote::Bug::RangeUnchecked, "N-06"),
    (remote::Bug::ThrottleIsOther, "N-06"),
    (remote::Bug::NobodyIsOther, "N-07"),
    (remote::Bug::ContainerIsKey, "N-08"),
    (remote::Bug::RepeatsSilently, "O-06"),
    (remote::Bug::LostIsSafe, "O-07"),
];

#[test]
fn every_mistake_over_http_is_caught_by_its_case() {
    let runtime = runtime();
    let mut missed = Vec::new();
    for (bug, id) in CAUGHT_OVER_HTTP {
        let report = runtime.block_on(async {
            let stage = remote::Subject::with(Some(*bug)).await.stage();
            run(stage, |case| case.id == *id).await
        });
        if report.results[0].status != Status::Failed {
            missed.push(format!("{bug:?} by {id}: {report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn judged(bug: Option<settings::Bug>) -> Arc<dyn Stage> {
    let model = Subject::with(None).stage();
    Arc::new(settings::MutantStage { bug, model })
}

#[test]
fn configurations_are_judged_whole() {
    let ids = ["B-01", "B-02", "B-03", "B-04", "B-06"];
    let runtime = runtime();
    let report = runtime.block_on(run(judged(None), |case| ids.contains(&case.id)));
    assert_eq!(report.count(Status::Passed), ids.len(), "{report}");
    for (bug, id) in [
        (settings::Bug::ExampleBreaksSchema, "B-01"),
        (settings::Bug::NamesOneMissing, "B-02"),
        (settings::Bug::TakesUnknown, "B-03"),
        (settings::Bug::NamesOneWrong, "B-04"),
        (settings::Bug::ShowsSecret, "B-06"),
    ] {
        let report = runtime.block_on(run(judged(Some(bug)), |case| case.id == id));
        assert_eq!(
            report.results[0].status,
            Status::Failed,
            "{bug:?}: {report}"
        );
    }
}
