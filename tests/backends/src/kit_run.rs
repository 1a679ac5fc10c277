//! A whole run of the kit, with its report.

use holdall_conformance::{Report, Stage, Status, run};
use std::path::Path;
use std::sync::Arc;

/// Runs the kit on a stage and prints the report; `HOLDALL_KIT_REPORT=FOLDER` keeps it there as
/// `NAME.json`. `HOLDALL_KIT_CASES=C-04,D` runs only these cases and groups while a person works on them.
///
/// # Panics
///
/// When a case fails or the backend lies, and when so few cases apply that nothing is said.
pub fn run_kit(stage: Arc<dyn Stage>, name: &str) -> Report {
    run_kit_except(stage, name, &[])
}

/// As [`run_kit`], on a server that does not keep its word in these cases: they fail, and no others do.
///
/// # Panics
///
/// When that is not so.
pub fn run_kit_except(stage: Arc<dyn Stage>, name: &str, but_for: &[&str]) -> Report {
    let chosen = std::env::var("HOLDALL_KIT_CASES").ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.unwrap_or_else(|cause| panic!("no runtime: {cause}"));
    let is_chosen = |id: &str| match &chosen {
        Some(chosen) => chosen.split(',').any(|one| id.starts_with(one)),
        None => true,
    };
    let report = runtime.block_on(run(stage, |case| is_chosen(case.id)));
    println!("{name}\n{report}");
    if let Some(folder) = std::env::var_os("HOLDALL_KIT_REPORT") {
        let file = Path::new(&folder).join(format!("{name}.json"));
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(file, format!("{:#}", report.to_json())));
        if let Err(cause) = written {
            panic!("the report cannot be kept: {cause}");
        }
    }
    let expected: Vec<_> = but_for.iter().copied().filter(|id| is_chosen(id)).collect();
    let failed: Vec<_> = [Status::Failed, Status::Lied, Status::Skipped]
        .into_iter()
        .flat_map(|status| report.with_status(status))
        .map(|case| case.id.as_str())
        .collect();
    assert!(
        failed == expected,
        "failed, lied or skipped, see the report above: {failed:?}, expected {expected:?}"
    );
    assert!(
        chosen.is_some() || report.count(Status::Passed) > 80,
        "most cases apply"
    );
    report
}
