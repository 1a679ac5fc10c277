//! Rounds, medians and ratios. Rivals are measured in turn within each round, so that a noisy
//! machine disturbs all of them alike; what is reported is the ratio.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// One way of doing a thing.
pub struct Rival<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) -> Option<u64> + 'a>,
    allocations: Option<u64>,
    times: Vec<f64>,
}

impl fmt::Debug for Rival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rival")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Rival<'a> {
    /// `run` does the thing so many times and answers how often it allocated, on both sides.
    pub fn new(name: &'static str, mut run: impl FnMut(u64) -> u64 + 'a) -> Self {
        Self::with(name, move |times| Some(run(times)))
    }

    /// `run` does the thing so many times; its allocations are not counted.
    pub fn timed(name: &'static str, mut run: impl FnMut(u64) + 'a) -> Self {
        Self::with(name, move |times| {
            run(times);
            None
        })
    }

    fn with(name: &'static str, run: impl FnMut(u64) -> Option<u64> + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
            allocations: None,
            times: Vec::new(),
        }
    }
}

/// Measures rivals against the first of them and prints a table.
pub fn compare(title: &str, rounds: usize, times: u64, mut rivals: Vec<Rival<'_>>) {
    for rival in &mut rivals {
        (rival.run)(times / 10 + 1);
    }
    for _ in 0..rounds {
        for rival in &mut rivals {
            let started = Instant::now();
            rival.allocations = (rival.run)(times);
            rival
                .times
                .push(started.elapsed().as_nanos() as f64 / times as f64);
        }
    }
    println!("\n{title}");
    println!(
        "  {:<44} {:>12} {:>12} {:>8} {:>12}",
        "", "median", "min", "ratio", "allocations"
    );
    let mut baseline = None;
    for rival in &mut rivals {
        rival.times.sort_by(f64::total_cmp);
        let median = rival.times[rival.times.len() / 2];
        let against = *baseline.get_or_insert(median);
        println!(
            "  {:<44} {:>12} {:>12} {:>8.2} {:>12}",
            rival.name,
            time(median),
            time(rival.times[0]),
            median / against,
            rival.allocations.map_or("-".to_owned(), |count| format!(
                "{:.3}",
                count as f64 / times as f64
            )),
        );
    }
}

/// Builds the plugin of this package as it is shipped: a cdylib alone, because with an rlib beside it
/// cargo drops LTO without a word. `folder` keeps what is built.
pub fn shipped(package: &str, folder: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["rustc", "--profile", "dist", "--locked", "--quiet"])
        .args(["-p", package, "--lib", "--crate-type", "cdylib"])
        .arg("--target-dir")
        .arg(folder)
        .output();
    match built {
        Ok(built) if built.status.success() => {}
        Ok(built) => panic!("cargo rustc: {}", String::from_utf8_lossy(&built.stderr)),
        Err(cause) => panic!("cargo rustc: {cause}"),
    }
    let library = format!("lib{}.so", package.replace('-', "_"));
    folder.join("dist").join(library)
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 10_000.0 => format!("{ns:.1} ns"),
        ns => format!("{:.3?}", Duration::from_nanos(ns as u64)),
    }
}
