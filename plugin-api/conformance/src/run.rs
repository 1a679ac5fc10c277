//! A run: case after case, each under its time limit and cleaned up after.

use crate::case::{Case, Outcome, Stop, Tag};
use crate::report::{CaseResult, Report, Status};
use crate::subject::{Level, Stage, Subject, SubjectInfo};
use crate::trial::{MAIN_STORE, Shared, Trial};
use crate::watch::Watched;
use crate::{cases, data, unclaimed};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A moment of a run, for those who watch it from another process.
#[derive(Debug)]
pub enum Step<'a> {
    /// The main subject is open.
    Opened(&'a SubjectInfo),
    /// A case begins.
    Begins(&'a Case),
    /// A case has used up its time limit, and calls were answered meanwhile: the limit begins again.
    Continues(&'a Case),
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
        let result = one(case, &main, &shared, &run, most, &watch).await;
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
    most: Duration,
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
    let answers = trial.answers();
    let bounds = Bounds {
        silence: case.limit.min(most),
        whole: case.limit.saturating_mul(SLACK).min(most),
    };
    let moved = || watch(Step::Continues(case));
    let outcome = guarded(check, bounds, &answers, moved).await;
    watch(Step::Cleans(case));
    // A backend that has panicked may do so again.
    let cleaning = async {
        trial.clean().await;
        Ok(())
    };
    let cleaned = guarded(cleaning, bounds, &answers, moved).await;
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

/// A case whose calls are answered may take this many times its limit: on a slow machine, or with a distant store.
const SLACK: u32 = 10;

/// How long a check may take.
#[derive(Clone, Copy)]
struct Bounds {
    /// Without the answer of a call.
    silence: Duration,
    /// In all.
    whole: Duration,
}

/// Bounds a check in time, and turns a panic into its failure.
///
/// The silence is measured in periods: a call without an answer is found after one to two of them.
async fn guarded(
    check: impl Future<Output = Outcome>,
    bounds: Bounds,
    answers: &AtomicU64,
    moved: impl Fn(),
) -> Outcome {
    let started = tokio::time::Instant::now();
    let mut check = pin!(AssertUnwindSafe(check).catch_unwind());
    let ended = loop {
        let before = answers.load(Ordering::Relaxed);
        let left = bounds.whole.saturating_sub(started.elapsed());
        if left.is_zero() {
            break None;
        }
        match tokio::time::timeout(bounds.silence.min(left), &mut check).await {
            Ok(ended) => break Some(ended),
            Err(_) if answers.load(Ordering::Relaxed) != before => moved(),
            Err(_) => break None,
        }
    };
    match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("no message");
            let hint = match text.starts_with("there is no reactor running") {
                true => "; write `runtime: tokio` in `export_plugin!`",
                false => "",
            };
            Err(Stop::Failed(format!("panicked: {text}{hint}")))
        }
        None => Err(Stop::Failed(format!(
            "not done after {} s",
            started.elapsed().as_secs()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A call every 15 seconds, so many of them; then one without an answer, if it hangs. Answers also the seconds.
    async fn judged(calls: u32, hangs: bool) -> (Outcome, u64) {
        let answers = AtomicU64::new(0);
        let check = async {
            for _ in 0..calls {
                tokio::time::sleep(Duration::from_secs(15)).await;
                answers.fetch_add(1, Ordering::Relaxed);
            }
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let bounds = Bounds {
            silence: Duration::from_secs(20),
            whole: Duration::from_secs(200),
        };
        let started = tokio::time::Instant::now();
        let outcome = guarded(check, bounds, &answers, || ()).await;
        (outcome, started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_case_has_time_while_its_calls_are_answered() {
        assert_eq!(judged(12, false).await, (Ok(()), 180));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_its_case() {
        for calls in [0, 1, 4] {
            let (outcome, seconds) = judged(calls, true).await;
            assert!(matches!(outcome, Err(Stop::Failed(_))), "{outcome:?}");
            let last = u64::from(calls) * 15;
            assert!((last..=last + 40).contains(&seconds), "{calls}: {seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_case_that_does_not_end_is_ended() {
        let (outcome, seconds) = judged(u32::MAX, false).await;
        let message = "not done after 200 s".to_owned();
        assert_eq!((outcome, seconds), (Err(Stop::Failed(message)), 200));
    }
}
