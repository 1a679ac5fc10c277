//! `serve`: the backends over HTTP.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use holdall::config::{Config, ConfigProblems, GatewayConfig};
use holdall::{Host, Upgraded};
use holdall_server::{Control, Rule, Server, Settings, Token};
use serde_json::json;
use tokio::net::TcpListener;

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::files;
use crate::output::Output;
use crate::service::{self, Passed};
use crate::signals::{self, Grace};

/// Serves the backends over HTTP, until SIGTERM or Ctrl-C.
///
/// Without a configuration only this machine can reach it, with a token that it makes for this run
/// and shows. The section [server] says where it listens, who may do what (`holdall token create`),
/// and how it behaves; [gateway] which keys sign its URLs. Without keys it makes one for this run,
/// and the URLs end with it.
///
/// On SIGHUP it reads the configuration again, without dropping a request. On SIGTERM or Ctrl-C
/// requests that have begun are finished, for as long as `drain` says; a second signal, or two seconds
/// more, end the process whatever a plugin is doing.
///
/// Takes its socket from the service manager (LISTEN_FDS) and reports its state to it (NOTIFY_SOCKET,
/// `Type=notify-reload`), as systemd defines.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Listens here instead of where [server] says (127.0.0.1:8080 unless it does): address and
    /// port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// How log lines are written, to standard error: one for each request, and what went wrong.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log: LogFormat,

    /// Set before the process has a second thread.
    #[arg(skip)]
    pub(crate) passed: Passed,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
    /// Nothing is logged.
    Off,
}

impl Serve {
    pub(crate) async fn run(self, app: &Arc<App>) -> Result<()> {
        let (mut config, mut settings) = read(app)?;
        settings.listen = self.listen.unwrap_or(settings.listen);
        let passed = self.passed.listener(self.listen.is_some())?;
        let fixed_listen = self.listen.is_some() || passed.is_some();
        let listening = listen(settings.listen, passed).await;
        let (listener, address) = listening.map_err(|cause| refused(settings.listen, &cause))?;
        let scheme = if settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://{address}");
        let this_run = ThisRun::new(&url, address.ip().is_loopback())?;
        let signs = this_run.complete_gateway(&mut config);
        let admits = this_run.complete_access(&mut settings);
        if !config.trial.enabled {
            tracing::warn!(
                "[trial] is off: a plugin whose constructor blocks, crashes or exits does so in this process"
            );
        }
        let host = app.host_of(config)?;

        // Before the ready line is printed: its reader may send a signal at once.
        let grace = Grace::after_drain(settings.shutdown_delay.saturating_add(settings.drain));
        let stop = signals::first_but_hangup(grace.clone());
        let stop = stop.map_err(Failure::file("listen to", "signals".as_ref()))?;
        let hangups = signals::hangups().map_err(Failure::file("listen to", "signals".as_ref()))?;
        let shown = Welcome {
            url: &url,
            backend: host.default_name().unwrap_or_else(|| "BACKEND".to_owned()),
            token: admits.then_some(this_run.token.0.as_str()),
            closed: settings.admits_no_one(),
            signs,
        };
        let record = json!({ "listening": url, "token": shown.token });
        app.output.answer(&record, || shown.text())?;
        service::ready();

        let logs = self.log;
        let reload = Reload {
            app: app.clone(),
            host: host.clone(),
            this_run,
            listen: settings.listen,
            fixed_listen,
            admits,
            plugin_dirs: host.config().plugin_dirs.clone(),
            grace,
        };
        let (upgraded, watched) = (host.clone(), host.clone());
        let server = Server::new(host.clone(), settings);
        let control = server.control();
        let reload = Arc::new((reload, server.control()));
        let reload = async {
            let mut hangups = hangups;
            while hangups.recv().await.is_some() {
                service::reloading();
                let reload = reload.clone();
                // Away from the serving tasks: files may lie on a file system that does not answer.
                let outcome = tokio::task::spawn_blocking(move || reload.0.run(&reload.1)).await;
                let outcome = outcome.map_err(io::Error::other);
                let outcome = outcome.map_err(Failure::file("read", "the configuration".as_ref()));
                let outcome = outcome.and_then(|outcome| outcome);
                let report = outcome.as_ref().err().map(Failure::line);
                control.reloaded(report.as_deref().map_or(Ok(()), Err));
                if outcome.is_ok() {
                    upgrade(&upgraded).await;
                }
                service::reloaded(report.as_deref());
                if let Err(failure) = outcome {
                    // The previous configuration stays in force.
                    not_reloaded(&app.output, logs, &failure);
                }
            }
            std::future::pending::<()>().await
        };
        let stopped = async {
            // An error means that the signal task has ended: serve on.
            if stop.await.is_err() {
                std::future::pending::<()>().await;
            }
            service::stopping();
        };
        let stopped = tokio::select! {
            stopped = server.run(listener, stopped) => stopped,
            () = reload => unreachable!("it never ends"),
            () = watch(&watched) => unreachable!("it never ends"),
        };
        if stopped.cut_off > 0 {
            let text = format!(
                "{} connections were cut off at the deadline",
                stopped.cut_off
            );
            app.output.note(&text);
        }
        Ok(())
    }
}

/// Configuration and settings, or every problem of both.
fn read(app: &App) -> Result<(Config, Settings)> {
    let (config, problems) = app.config();
    let settings = Settings::of(&config);
    let wrong = match &settings {
        Ok(settings) => settings.unknown_backends(&config),
        Err(problems) => problems.clone(),
    };
    let problems: ConfigProblems = problems.into_iter().chain(wrong).collect();
    problems.into_result().map_err(holdall::Error::from)?;
    Ok((config, settings.unwrap_or_default()))
}

/// Applies the configuration again on SIGHUP.
struct Reload {
    app: Arc<App>,
    host: Host,
    this_run: ThisRun,
    /// Of the start: what cannot change while the server runs.
    listen: SocketAddr,
    fixed_listen: bool,
    /// Whether the token of this run was shown.
    admits: bool,
    plugin_dirs: Vec<PathBuf>,
    grace: Grace,
}

impl Reload {
    fn run(&self, control: &Control) -> Result<()> {
        let (mut config, mut settings) = read(&self.app)?;
        self.this_run.complete_gateway(&mut config);
        // A token of this run that was not shown at the start is not taken, and would hide that a cut-off
        // file has no token any more.
        if self.admits {
            self.this_run.complete_access(&mut settings);
        }
        if self.fixed_listen {
            settings.listen = self.listen;
        } else if settings.listen != self.listen {
            tracing::warn!(
                listening = %self.listen,
                configured = %settings.listen,
                "server.listen takes effect at the next start"
            );
        }
        if config.plugin_dirs != self.plugin_dirs {
            tracing::warn!(
                searched = ?self.plugin_dirs,
                configured = ?config.plugin_dirs,
                "plugin_dirs takes effect at the next start"
            );
        }
        let current = self.host.config();
        if (&config.trust, &config.trial) != (&current.trust, &current.trial) {
            tracing::warn!("[trust] and [trial] take effect at the next start");
        }
        let less_protected = |why: holdall_server::LessProtected| {
            let help = "write the section again, or restart the server without it";
            Failure::refused(exit::SETUP, "reload", why.to_string(), help)
        };
        control.check(&settings).map_err(less_protected)?;
        let changed = self.host.reconfigure(config)?;
        let drain = settings.shutdown_delay.saturating_add(settings.drain);
        control.apply(settings).map_err(less_protected)?;
        self.grace.set_drain(drain);
        tracing::info!(
            registered = ?changed.registered,
            removed = ?changed.removed,
            "configuration reloaded"
        );
        Ok(())
    }
}

/// Puts other files of loaded plugins into service, and reports each.
async fn upgrade(host: &Host) {
    for upgraded in host.upgrade_plugins().await {
        let Upgraded {
            plugin, from, to, ..
        } = &upgraded;
        match &upgraded.error {
            None => tracing::info!(
                plugin,
                from,
                to,
                backends = ?upgraded.backends,
                "plugin upgraded"
            ),
            Some(error) => tracing::error!(
                plugin,
                from,
                to,
                code = error.code,
                error = error.message,
                facts = ?error.facts,
                "plugin not upgraded; the previous file stays in service"
            ),
        }
    }
}

/// Interval at which plugin directories are looked at.
const WATCH: Duration = Duration::from_secs(2);

/// Upgrades plugins when a file of a plugin directory has changed, if the configuration says so. Never
/// ends.
async fn watch(host: &Host) {
    let config = host.config();
    if !config.upgrade.watch {
        return std::future::pending().await;
    }
    let look = || {
        let dirs = config.plugin_dirs.clone();
        tokio::task::spawn_blocking(move || {
            dirs.iter().flat_map(|dir| facts(dir)).collect::<Vec<_>>()
        })
    };
    let mut before = look().await.ok();
    loop {
        tokio::time::sleep(WATCH).await;
        let now = look().await.ok();
        if now != before {
            before = now;
            upgrade(host).await;
        }
    }
}

/// What changes with the files of a directory: by polling, because network file systems report nothing.
fn facts(dir: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut facts: Vec<_> = entries
        .filter_map(|entry| {
            let metadata = std::fs::metadata(entry.path()).ok()?;
            let (file, changed, part) = files::version(&metadata);
            Some((entry.path(), file, changed, part))
        })
        .collect();
    facts.sort();
    facts
}

/// Reports a failed reload: in the log, or as plain text where nothing is logged.
fn not_reloaded(output: &Output, logs: LogFormat, failure: &Failure) {
    let report = failure.report().filter(|_| logs != LogFormat::Off);
    match report {
        Some(report) => tracing::error!(
            code = %report.code,
            problems = ?report.problems(),
            error = %report.message,
            "configuration not reloaded; the previous one stays in force"
        ),
        None => output.failure(failure),
    }
}

/// Key and token of this run, used where none is configured. They stay the same when the
/// configuration is read again.
struct ThisRun {
    gateway: GatewayConfig,
    token: (String, Token),
    /// A token that is shown where others could read it would be none.
    is_loopback: bool,
}

impl ThisRun {
    fn new(url: &str, is_loopback: bool) -> Result<Self> {
        let no_bytes = Failure::file("read random bytes from", "the system".as_ref());
        let mut secret = [0; 32];
        let filled = getrandom::fill(&mut secret).map_err(io::Error::other);
        let token = filled.and_then(|()| Token::create("this-run", Rule::everything(), None));
        let token = token.map_err(no_bytes)?;
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            gateway: GatewayConfig::new(url).key("this-run", secret),
            token,
            is_loopback,
        })
    }

    /// Adds the key of this run where no gateway is configured; returns whether it did. Its URLs end
    /// with the process.
    fn complete_gateway(&self, config: &mut Config) -> bool {
        let missing = config.gateway.is_none();
        config.gateway.get_or_insert_with(|| self.gateway.clone());
        missing
    }

    /// Adds the token of this run where no access is configured and only this machine can reach the
    /// server; returns whether it did.
    fn complete_access(&self, settings: &mut Settings) -> bool {
        let used = settings.admits_no_one() && self.is_loopback;
        if used {
            *settings = std::mem::take(settings).token(self.token.1.clone());
        }
        used
    }
}

/// Listens at the address, or on the socket that was passed.
async fn listen(
    address: SocketAddr,
    passed: Option<std::net::TcpListener>,
) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = match passed {
        Some(passed) => TcpListener::from_std(passed)?,
        None => TcpListener::bind(address).await?,
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn refused(address: SocketAddr, cause: &io::Error) -> Failure {
    let help = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: choose another port by --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need rights: choose another by --listen"
        }
        _ => "choose an address of this machine by --listen, such as 127.0.0.1:8080",
    };
    let message = format!("cannot listen on {address}: {cause}");
    Failure::refused(exit::SETUP, "listen", message, help)
}

/// What is shown when the server is ready.
struct Welcome<'a> {
    url: &'a str,
    backend: String,
    token: Option<&'a str>,
    closed: bool,
    signs: bool,
}

impl Welcome<'_> {
    fn text(&self) -> String {
        let Self { url, backend, .. } = self;
        let mut lines = vec![format!("listening on {url}"), String::new()];
        let mut curl = "curl".to_owned();
        if let Some(token) = self.token {
            lines.push(format!("  export HOLDALL_TOKEN={token}"));
            curl.push_str(" -H \"Authorization: Bearer $HOLDALL_TOKEN\"");
        }
        lines.extend([
            format!("  {curl} -T photo.jpg {url}/v1/{backend}/photo.jpg"),
            format!("  {curl} '{url}/v1/{backend}?list'"),
            format!(
                "  {curl} '{url}/v1/{backend}/photo.jpg?sign' -d '{{\"expires_in\": \"60s\"}}'"
            ),
            String::new(),
        ]);
        if self.token.is_some() {
            lines.push(
                "the token ends with this process; `holdall token create` makes others".to_owned(),
            );
        } else if self.closed {
            lines.push(
                "no token is configured: only signed URLs are answered; `holdall token create` makes one"
                    .to_owned(),
            );
        }
        if self.signs {
            lines
                .push("signed URLs end with this process; keys of [gateway] outlive it".to_owned());
        }
        lines.join("\n")
    }
}
