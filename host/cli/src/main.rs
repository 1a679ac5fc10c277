//! The `holdall` command: files in and out of any storage that a plugin serves.
//!
//! Thin by rule: it parses, calls the `holdall` library and reports the outcome. It knows no
//! store, links no plugin and keeps no state.
#![forbid(unsafe_code)]

mod address;
mod app;
mod args;
mod commands;
mod exit;
mod failure;
mod fields;
#[cfg_attr(unix, path = "files/unix.rs")]
#[cfg_attr(windows, path = "files/windows.rs")]
mod files;
mod hint;
mod local;
mod log;
mod output;
#[cfg_attr(unix, path = "process/unix.rs")]
#[cfg_attr(windows, path = "process/windows.rs")]
mod process;
mod progress;
mod service;
mod signals;
mod transfer;
mod values;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::args::{Cli, Command};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::service::Passed;
use clap::Parser;
use clap::error::ErrorKind;
use holdall::platform;
use tracing_appender::non_blocking::WorkerGuard;

/// A server makes some sixty small allocations for each request; with the allocator of the C library they
/// cost a fifth of its time. Plugins have their own: memory is freed on the side that allocated it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A child that tries a plugin, before anything else.
    holdall::trial::run_if_asked();
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    if let Command::Serve(serve) = &mut cli.command {
        serve.passed = Passed::take();
    }
    // Before anything of a plugin runs in this process.
    platform::exit::guard(exit::SETUP);
    platform::limits::raise_open_files();
    let prepared = output::keep_for_the_command().and_then(|()| signals::ignore_file_size());
    if let Err(cause) = prepared {
        let failure = Failure::file("prepare", "the process".as_ref())(cause);
        Output::of(&cli.global).failure(&failure);
        platform::exit::leave(failure.exit());
    }
    let verbose = cli.global.verbose;
    let app = Arc::new(App::new(cli.global, &cli.command));
    let output = app.output;
    let log = logged(&cli.command, verbose);
    let outcome = in_runtime(app, cli.command);
    drop(log);
    let Err(failure) = outcome else {
        platform::exit::leave(exit::DONE);
    };
    output.failure(&failure);
    if matches!(failure, Failure::BrokenPipe) {
        // As other commands end when their reader has gone. Should that fail, the code says it.
        signals::end_by_broken_pipe();
    }
    platform::exit::leave(failure.exit())
}

/// Runs the command to its end or to the first signal. Everything it held is put away by then.
fn in_runtime(app: Arc<App>, command: Command) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !matches!(command, Command::Serve(_)) {
        // One worker beside this thread: signals are heard whatever the command is doing here.
        runtime.worker_threads(1);
    }
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(Failure::file("start a thread for", "the command".as_ref()))?;
    let outcome = runtime.block_on(async {
        let command = match command {
            // A server ends in its own time.
            Command::Serve(serve) => {
                let outcome = serve.run(&app).await;
                app.close().await;
                return outcome;
            }
            command => command,
        };
        let signal = signals::first().map_err(Failure::file("listen to", "signals".as_ref()))?;
        let outcome = tokio::select! {
            outcome = run(&app, command) => outcome,
            Ok(number) = signal => Err(Failure::Signal(number)),
        };
        if matches!(outcome, Err(Failure::Signal(_) | Failure::BrokenPipe)) {
            app.close().await;
        }
        // Instances end here, inside the runtime that their plugins may still need.
        drop(app);
        outcome
    });
    // Bounded: a thread may be waiting for standard input.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn run(app: &App, command: Command) -> Result<()> {
    match command {
        Command::Put(put) => put.run(app).await,
        Command::Get(get) => get.run(app).await,
        Command::Head(head) => head.run(app).await,
        Command::Ls(ls) => ls.run(app).await,
        Command::Rm(rm) => rm.run(app).await,
        Command::Exists(exists) => exists.run(app).await,
        Command::Cp(cp) => cp.run(app).await,
        Command::Sign(sign) => sign.run(app).await,
        // It ends in its own time: see `in_runtime`.
        Command::Serve(_) => Ok(()),
        Command::Token(token) => token.run(app),
        Command::Quota(quota) => quota.run(app).await,
        Command::Plugins(plugins) => plugins.run(app),
        Command::Inspect(inspect) => inspect.run(app),
        Command::New(new) => new.run(app),
        Command::Check(check) => check.run(app).await,
        Command::Config(config) => config.run(app),
        Command::Completions(completions) => completions.run(app),
        Command::Man(man) => man.run(app),
    }
}

/// Help and version are answers; the rest is a wrong command line.
fn misused(error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    // The flag itself may stand behind the mistake, where the parser never came.
    if !asked && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        let output = Output {
            json: true,
            quiet: false,
        };
        output.failure(&Failure::usage(text));
    } else {
        let _ = error.print();
    }
    ExitCode::from(if asked { exit::DONE } else { exit::USAGE })
}

/// From now on there are logs. A server's end when the answer is dropped.
fn logged(command: &Command, verbose: u8) -> Option<WorkerGuard> {
    match command {
        Command::Serve(serve) => log::gathered(verbose + 1, serve.log),
        _ => {
            log::to_stderr(verbose);
            None
        }
    }
}
