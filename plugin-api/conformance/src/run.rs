//! A run: case after case, each under its time limit and cleaned up after.

use crate::case::{Case, Outcome, Stop, Tag};
use crate::report::{CaseResult, Report, Status};
use crate::subject::{Level, Stage, Subject, SubjectInfo};
use crate::trial::{MAIN_STORE, Shared, Trial};
use crate::watch::Watched;
use crate::{cases, data, unclaimed};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A moment of a run, for those who watch it from another process.
#[derive(Debug)]
pub enum Step<'a> {
    /// The main subject is open.
    Opened(&'a SubjectInfo),
    /// A case begins.
    Begins(&'a Case),
    /// A case has its outcome and cleans up.
    Cleans(&'a Case),
    /// A case has ended.
    Ended(&'a CaseResult),
}

/// Runs the cases that are wanted, in the order of the registry.
///
/// Needs a tokio runtime with timers; several threads make the races of groups E, G and O real.
/// The cases of group N judge those that ran before them in the same run.
pub async fn run(stage: Arc<dyn Stage>, wanted: impl Fn(&Case) -> bool) -> Report {
    run_watched(stage, wanted, Duration::MAX, |_| ()).await
}

/// As [`run`], with a bound on the time of each case beside its own, and each step shown.
pub async fn run_watched(
    stage: Arc<dyn Stage>,
    wanted: impl Fn(&Case) -> bool,
    most: Duration,
    watch: impl Fn(Step<'_>),
) -> Report {
    let started = Instant::now();
    let wanted: Vec<&'static Case> = cases().iter().filter(|case| wanted(case)).collect();
    let main = match stage.open(MAIN_STORE).await {
        Ok(main) => main,
        Err(error) => return closed(&wanted, &format!("cannot open: {error}")),
    };
    watch(Step::Opened(main.info()));
    let shared = Arc::new(Shared::new(stage));
    let run = format!("{:08x}", data::unpredictable() as u32);
    for case in wanted {
        watch(Step::Begins(case));
        let limit = case.limit.min(most);
        let result = one(case, &main, &shared, &run, limit, &watch).await;
        watch(Step::Ended(&result));
        let mut results = shared
            .results
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        results.push(result);
    }
    let names = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    let facts = main.info();
    let results = std::mem::take(
        &mut *shared
            .results
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    Report {
        plugin: facts.plugin.clone(),
        level: facts.level,
        operations: names(facts.operations.names()),
        capabilities: names(facts.capabilities.names()),
        results,
        elapsed_ms: millis(started.elapsed()),
    }
}

/// The report of a stage that does not open: nothing ran, and that is no success.
fn closed(wanted: &[&'static Case], why: &str) -> Report {
    let skipped = |case: &&'static Case| result(case, Status::Skipped, false, why, Duration::ZERO);
    Report {
        plugin: String::new(),
        level: Level::Rust,
        operations: Vec::new(),
        capabilities: Vec::new(),
        results: wanted.iter().map(skipped).collect(),
        elapsed_ms: 0,
    }
}

fn result(
    case: &Case,
    status: Status,
    negative: bool,
    message: &str,
    elapsed: Duration,
) -> CaseResult {
    CaseResult {
        id: case.id.to_owned(),
        tag: case.tag.to_string(),
        reason: case.reason.to_owned(),
        status,
        negative,
        message: message.to_owned(),
        elapsed_ms: millis(elapsed),
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

async fn one(
    case: &'static Case,
    main: &Arc<dyn Subject>,
    shared: &Arc<Shared>,
    run: &str,
    limit: Duration,
    watch: &impl Fn(Step<'_>),
) -> CaseResult {
    let started = Instant::now();
    let facts = main.info();
    let unclaimed = match case.tag {
        Tag::Cap(capability) => Some(capability).filter(|one| !facts.claims(*one)),
        _ => None,
    };
    let absent = match case.tag {
        Tag::Op(operation) if !facts.has(operation) => Some(format!("no operation `{operation}`")),
        Tag::Loaded if facts.level != Level::Loaded => Some("asks the loaded file".to_owned()),
        _ => None,
    };
    if let Some(why) = absent {
        return result(case, Status::NotApplicable, false, &why, Duration::ZERO);
    }
    let trial = Trial::new(
        Arc::clone(shared),
        Watched::new(Arc::clone(main), case.id),
        case.id,
        run,
    );
    let check = async {
        match unclaimed {
            Some(capability) => unclaimed::is_refused(&trial, capability).await,
            None => (case.check)(&trial).await,
        }
    };
    let outcome = guarded(check, limit).await;
    watch(Step::Cleans(case));
    // A backend that has panicked may do so again.
    let cleaning = async {
        trial.clean().await;
        Ok(())
    };
    let cleaned = guarded(cleaning, limit).await;
    let (status, message) = verdict(outcome.and(cleaned));
    let elapsed = started.elapsed();
    result(case, status, unclaimed.is_some(), &message, elapsed)
}

pub(crate) fn verdict(outcome: Outcome) -> (Status, String) {
    match outcome {
        Ok(()) => (Status::Passed, String::new()),
        Err(Stop::NotApplicable(why)) => (Status::NotApplicable, why),
        Err(Stop::Failed(why)) => (Status::Failed, why),
        Err(Stop::Lied(why)) => (Status::Lied, why),
    }
}

/// Bounds a check in time, and turns a panic into its failure.
async fn guarded(check: impl Future<Output = Outcome>, limit: Duration) -> Outcome {
    match tokio::time::timeout(limit, AssertUnwindSafe(check).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("no message");
            let hint = match text.starts_with("there is no reactor running") {
                true => "; write `runtime: tokio` in `export_plugin!`",
                false => "",
            };
            Err(Stop::Failed(format!("panicked: {text}{hint}")))
        }
        Err(_) => Err(Stop::Failed(format!(
            "not done after {} s",
            limit.as_secs()
        ))),
    }
}

/// Runs one case as a `#[test]`; see [`conformance_tests!`](crate::conformance_tests).
///
/// # Panics
///
/// When the case does not pass. One that is not applicable says so and is fine.
pub fn test_case(stage: Arc<dyn Stage>, id: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.unwrap_or_else(|cause| panic!("no runtime: {cause}"));
    // These look back on all the others.
    let whole_run = ["N-01", "N-03"].contains(&id);
    let report = runtime.block_on(run(stage, |case| whole_run || case.id == id));
    let Some(result) = report.result(id) else {
        panic!("there is no case {id}");
    };
    let CaseResult {
        status,
        message,
        reason,
        ..
    } = result;
    match status {
        Status::Passed => {}
        Status::NotApplicable => println!("{id} is not applicable: {message}"),
        _ => panic!("{id} {status:?}: {message}\n  the case: {reason}"),
    }
}
