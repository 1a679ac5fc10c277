//! Runs one mode: a script, an operation, bounds, and the line of the table.

use holdall::config::Config;
use holdall::policy::Policy;
use holdall::{
    Backend, CopyObject, Delete, DeleteMany, Download, ErrorKind, Head, Host, List, PluginRef,
    Registration, Result, Upload,
};
use holdall_conformance::wire::{Endpoint, Reply, Seen};
use holdall_e2e::Artifacts;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is asked of the backend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Get,
    GetRange,
    Head,
    Put,
    /// 12 MiB, in parts where the store has them.
    PutLarge,
    Delete,
    DeleteMany,
    Copy,
    /// One page.
    List,
    /// One page with a delimiter.
    ListGroups,
    /// All pages.
    ListAll,
}

/// How it must end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// With this kind.
    Fails(ErrorKind),
    /// With one of these.
    FailsAs(&'static [ErrorKind]),
    /// With this kind, after so many requests and MiB of answers at most, however slow the machine is.
    Within(ErrorKind, usize, u64),
    /// With this, as [`asked`] words it.
    Gives(&'static str),
}

pub(crate) type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// One thing that a server does.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    pub(crate) end: End,
    /// `elsewhere`: the address of another server, which must not be asked.
    pub(crate) script: fn(elsewhere: &str) -> Script,
}

/// Memory and time of a mode are the process's: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Built once, by `cargo build`.
static BUILT: LazyLock<Artifacts> =
    LazyLock::new(|| Artifacts::selected(&["holdall-plugin-s3", "holdall-plugin-webdav"]));

/// Limits of time of one mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Deadline of an operation.
    deadline: Duration,
    /// Settings of the plugin: longest wait for an answer and between its bytes.
    pub(crate) wait: Duration,
    /// No mode may take longer: the machine may be busy.
    longest: Duration,
}

/// Of modes that end because time is up.
const SHORT: Limits = Limits {
    deadline: Duration::from_secs(4),
    wait: Duration::from_secs(1),
    longest: Duration::from_secs(12),
};
/// Of all others: what they end by is no clock, so a busy machine does not change how they end.
const AMPLE: Limits = Limits {
    deadline: Duration::from_secs(120),
    wait: Duration::from_secs(60),
    longest: Duration::from_secs(120),
};
/// No mode may take more memory beyond what there was.
const MOST_MIB: u64 = 160;

impl Mode {
    fn limits(&self, judged: Judged) -> Limits {
        let by_time = match self.end {
            End::Fails(kind) => kind == ErrorKind::Timeout,
            End::FailsAs(kinds) => kinds.contains(&ErrorKind::Timeout),
            End::Within(..) | End::Gives(_) => false,
        };
        // A client that is not ours may wait where ours counts.
        match by_time || judged == Judged::Bounds {
            true => SHORT,
            false => AMPLE,
        }
    }
}

/// A host with one plugin, loaded from its file.
pub(crate) struct Loaded {
    host: Host,
    plugin: &'static str,
    folder: tempfile::TempDir,
}

impl Loaded {
    pub(crate) fn new(plugin: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Built by its script: it takes minutes.
        let opendal = std::env::var_os("HOLDALL_TEST_PLUGIN_OPENDAL").map(PathBuf::from);
        let file = match plugin {
            "opendal" => opendal.as_deref().expect("HOLDALL_TEST_PLUGIN_OPENDAL"),
            _ => BUILT.plugin(plugin),
        };
        BUILT.folder_of([file], folder.path());
        let host = Host::builder().config(Config::default());
        Self {
            host: host.plugin_dir(folder.path()).build().unwrap(),
            plugin,
            folder,
        }
    }

    pub(crate) async fn open(&self, name: &str, config: Value) -> Result<Backend> {
        self.open_within(name, config, SHORT).await
    }

    async fn open_within(&self, name: &str, config: Value, limits: Limits) -> Result<Backend> {
        let registration = Registration::new(PluginRef::from(self.plugin))
            .config(config)
            // As OpenDAL writes over WebDAV.
            .allow_non_atomic_put()
            .timeout(limits.deadline);
        self.host.register(name, registration)?;
        self.host.backend(name).await
    }

    pub(crate) async fn open_with(
        &self,
        name: &str,
        config: Value,
        policy: Policy,
    ) -> Result<Backend> {
        let registration = Registration::new(PluginRef::from(self.plugin));
        let registration = registration.config(config).policy(policy);
        self.host.register(name, registration)?;
        self.host.backend(name).await
    }

    pub(crate) fn forget(&self, name: &str) {
        self.host.remove(name);
    }
}

/// How strictly ends are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Each mode ends as its row says.
    Ends,
    /// Bounds, requests and secrets only: for a client that is not ours. What it accepts although the
    /// row says that it fails is shown as `accepted`.
    Bounds,
}

/// Runs every mode and prints the table.
///
/// `config`: of a backend at this address, in these limits. `inside`: whether a request stays where it belongs.
pub(crate) fn run_all(
    plugin: &'static str,
    modes: &[Mode],
    judged: Judged,
    config: impl Fn(&str, Limits) -> Value,
    inside: impl Fn(&Seen) -> bool,
) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let chosen = std::env::var("HOLDALL_HOSTILE").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let loaded = Loaded::new(plugin);
    let mut wrong = Vec::new();
    println!(
        "| mode of the server of {plugin} | asked | end | seconds | MiB | requests | MiB sent | exit code |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut count = 0;
    for mode in modes.iter().filter(|mode| mode.name.contains(&chosen)) {
        count += 1;
        let (line, mut faults) = runtime.block_on(one(&loaded, mode, judged, &config, &inside));
        let code = std::env::var_os("HOLDALL_HOSTILE_COMMAND").map(|command| {
            let limits = mode.limits(judged);
            let config = |url: &str| config(url, limits);
            let run = (&runtime, &loaded, limits);
            let (code, more) = by_command(run, mode, &command, &config, &inside);
            let must_fail = judged == Judged::Ends && !matches!(mode.end, End::Gives(_));
            if must_fail && code == Some(0) {
                faults.push("the command ends with 0".to_owned());
            }
            faults.extend(more);
            code.map_or_else(|| "none".to_owned(), |code| code.to_string())
        });
        println!("{line} {} |", code.as_deref().unwrap_or("-"));
        wrong.extend(
            faults
                .into_iter()
                .map(|fault| format!("{}: {fault}", mode.name)),
        );
    }
    println!("{count} modes, {} faults", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same mode, asked by the command: its exit code, and what is wrong with the run.
fn by_command(
    (runtime, loaded, limits): (&tokio::runtime::Runtime, &Loaded, Limits),
    mode: &Mode,
    command: &std::ffi::OsStr,
    config: &impl Fn(&str) -> Value,
    inside: &impl Fn(&Seen) -> bool,
) -> (Option<i32>, Vec<String>) {
    let elsewhere = runtime.block_on(Endpoint::always(Reply::new(200)));
    let endpoint = runtime.block_on(Endpoint::start((mode.script)(&elsewhere.url())));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let config = serde_json::json!({ "backend": { "b": {
        "plugin": loaded.plugin, "timeout": format!("{}s", limits.deadline.as_secs()),
        "allow_non_atomic_put": true,
        "config": config(&endpoint.url()),
    } } });
    let config = file("holdall.toml", toml::to_string(&config).unwrap().as_bytes());
    let (small, large) = (file("small", b"stored"), file("large", &vec![7; 12 << 20]));
    let asked: &[&str] = match mode.ask {
        Ask::Get => &["get", "b:k", "-"],
        Ask::GetRange => &["get", "--range", "1-2", "b:k", "-"],
        Ask::Head => &["head", "b:k"],
        Ask::Put => &["put", &small, "b:k"],
        Ask::PutLarge => &["put", &large, "b:k"],
        Ask::Delete => &["rm", "b:k"],
        Ask::DeleteMany => &["rm", "b:a", "b:b"],
        Ask::Copy => &["cp", "b:k", "b:copy"],
        Ask::List | Ask::ListAll => &["ls", "-R", "b:"],
        Ask::ListGroups => &["ls", "b:"],
    };
    let begun = Instant::now();
    let ended = std::process::Command::new(command)
        .args(["--config", &config, "--plugin-dir"])
        .arg(loaded.folder.path())
        .arg("--state-dir")
        .arg(folder.path())
        .args(asked)
        .output()
        .unwrap();
    let took = begun.elapsed();
    let mut faults = misplaced(&endpoint, &elsewhere, inside);
    if took > limits.longest * 2 {
        faults.push(format!("the command took {took:?}"));
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    if said.len() > 16 << 10 || said.contains(SECRET) {
        faults.push(format!(
            "the command says {} bytes, or a secret",
            said.len()
        ));
    }
    (ended.status.code(), faults)
}

/// Requests that went where none may go.
fn misplaced(
    endpoint: &Endpoint,
    elsewhere: &Endpoint,
    inside: &impl Fn(&Seen) -> bool,
) -> Vec<String> {
    let seen = endpoint.seen();
    let outside = seen.iter().filter(|seen| !inside(seen));
    let mut faults: Vec<_> = outside
        .map(|seen| format!("a request outside: {} {}", seen.method, seen.target))
        .collect();
    if !elsewhere.seen().is_empty() {
        faults.push(format!("another server was asked: {:?}", elsewhere.seen()));
    }
    faults
}

async fn one(
    loaded: &Loaded,
    mode: &Mode,
    judged: Judged,
    config: &impl Fn(&str, Limits) -> Value,
    inside: &impl Fn(&Seen) -> bool,
) -> (String, Vec<String>) {
    let limits = mode.limits(judged);
    let elsewhere = Endpoint::always(Reply::new(200)).await;
    let endpoint = Endpoint::start((mode.script)(&elsewhere.url())).await;
    let config = config(&endpoint.url(), limits);
    let backend = loaded.open_within("b", config, limits).await;
    let backend = backend.unwrap_or_else(|error| panic!("{}: {error:?}", mode.name));
    let before = reset_peak();
    let begun = Instant::now();
    let ended = asked(&backend, mode.ask).await;
    let took = begun.elapsed();
    let grown = peak_mib().saturating_sub(before);
    let mut faults = Vec::new();
    let (end, as_wanted) = match (&ended, mode.end) {
        (Ok(text), End::Gives(wanted)) => (format!("ok: {text}"), text == wanted),
        (Ok(text), _) => (format!("ok: {text}"), false),
        (Err(error), End::Fails(kind) | End::Within(kind, ..)) => {
            (error.kind().code().to_owned(), error.kind() == kind)
        }
        (Err(error), End::FailsAs(kinds)) => (
            error.kind().code().to_owned(),
            kinds.contains(&error.kind()),
        ),
        (Err(error), End::Gives(_)) => (error.kind().code().to_owned(), false),
    };
    let accepted = ended.is_ok() && !as_wanted;
    if judged == Judged::Ends && !as_wanted {
        faults.push(format!("expected {:?}, found {ended:?}", mode.end));
    }
    if let Err(error) = &ended {
        faults.extend(unbounded(error));
    }
    if let (Err(error), Judged::Ends) = (&ended, judged) {
        faults.extend(unclear(mode, error, &elsewhere.url()));
    }
    let (requests, sent) = (endpoint.seen().len(), endpoint.sent() >> 20);
    if let (End::Within(_, most, most_sent), Judged::Ends) = (mode.end, judged)
        && (requests > most || sent > most_sent)
    {
        faults.push(format!("{requests} requests, {sent} MiB of answers"));
    }
    if took > limits.longest {
        faults.push(format!("{took:?}"));
    }
    if grown > MOST_MIB {
        faults.push(format!("{grown} MiB"));
    }
    faults.extend(misplaced(&endpoint, &elsewhere, inside));
    let mut end: String = end.chars().take(80).collect();
    if accepted {
        end.insert_str(0, "accepted, ");
    }
    let line = format!(
        "| {} | {:?} | {end} | {:.1} | {grown} | {requests} | {sent} |",
        mode.name,
        mode.ask,
        took.as_secs_f64()
    );
    loaded.forget("b");
    (line, faults)
}

/// Texts of an error are bounded, and none carries a secret.
fn unbounded(error: &holdall::Error) -> Vec<String> {
    let causes = error.cause().into_iter().flat_map(|cause| cause.chain());
    let texts = causes
        .map(|cause| cause.text.as_str())
        .chain(error.facts().map(|(_, value)| value))
        .chain(error.provider().code.as_deref())
        .chain(error.provider().request_id.as_deref())
        .chain([error.message()]);
    let mut faults = Vec::new();
    for text in texts {
        if text.len() > 8 << 10 {
            faults.push(format!("a text of {} bytes", text.len()));
        }
        if text.contains(SECRET) {
            faults.push("a secret is shown".to_owned());
        }
    }
    faults
}

/// What an error says is what happened, once.
fn unclear(mode: &Mode, error: &holdall::Error, elsewhere: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let causes: Vec<_> = error
        .cause()
        .into_iter()
        .flat_map(|it| it.chain())
        .collect();
    let repeated = causes
        .windows(2)
        .any(|pair| pair[0].text.contains(&pair[1].text));
    if repeated {
        faults.push(format!("repeated causes: {causes:?}"));
    }
    let location = error.fact("location");
    let scope = (mode.name == "a quota").then_some("provider");
    if error.fact("scope") != scope {
        faults.push(format!("the scope of the quota is wrong: {error:?}"));
    }
    if mode.name.starts_with("a redirect of") && location != Some(elsewhere) {
        faults.push(format!(
            "the target of the redirect is not named: {error:?}"
        ));
    }
    let status = error.provider().status;
    if mode.name.ends_with("with status 200") && status != Some(200) {
        faults.push(format!("the status 200 is reported as {status:?}"));
    }
    faults
}

/// Of every backend here.
pub(crate) const SECRET: &str = "hunter2hunter2hunter2";

/// Does what is asked, and words what comes of it.
pub(crate) async fn asked(backend: &Backend, ask: Ask) -> Result<String> {
    let collected = |downloaded: holdall::Downloaded| async {
        let bytes = downloaded.body.collect(64 << 20).await?;
        Ok::<_, holdall::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(match ask {
        Ask::Get => collected(backend.download(Download::new("k")).await?).await?,
        Ask::GetRange => {
            let part = Download::new("k").range(holdall::ByteRange::Bounded(1..3));
            collected(backend.download(part).await?).await?
        }
        Ask::Head => backend.head(Head::new("k")).await?.size.to_string(),
        Ask::Put => backend
            .upload(Upload::new("k", "stored"))
            .await
            .map(|_| "stored".to_owned())?,
        Ask::PutLarge => backend
            .upload(Upload::new("k", vec![7u8; 12 << 20]))
            .await
            .map(|_| "stored".to_owned())?,
        Ask::Delete => backend
            .delete(Delete::new("k"))
            .await
            .map(|_| "deleted".to_owned())?,
        Ask::DeleteMany => {
            let keys: Vec<_> = ["a", "b"].into_iter().map(holdall::Key::new).collect();
            let answers = backend.delete_many(DeleteMany::new(&keys)).await?;
            let words = answers.into_iter().map(|answer| match answer {
                Ok(_) => "deleted".to_owned(),
                Err(error) => error.kind().code().to_owned(),
            });
            words.collect::<Vec<_>>().join(" ")
        }
        Ask::Copy => backend
            .copy(CopyObject::new("k", "copy"))
            .await
            .map(|_| "copied".to_owned())?,
        Ask::List => listed(backend.list(List::new("")).await?),
        Ask::ListGroups => listed(backend.list(List::new("").delimiter("/")).await?),
        Ask::ListAll => {
            let (mut token, mut all) = (None, Vec::new());
            loop {
                let list = List::new("").page_token(token.as_deref());
                let page = backend.list(list).await?;
                token = page.next.clone();
                all.push(listed(page));
                if token.is_none() {
                    break all.join("; ");
                }
            }
        }
    })
}

fn listed(page: holdall::Page) -> String {
    let keys = page.entries.into_iter().map(|entry| entry.key);
    let mut text = keys.chain(page.common_prefixes).collect::<Vec<_>>();
    if page.skipped > 0 {
        text.push(format!("{} left out", page.skipped));
    }
    text.join(" ")
}

/// The resident memory now, in MiB; its peak begins anew.
fn reset_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak_mib()
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

/// The same answer to every request.
pub(crate) fn always(reply: Reply) -> Script {
    Box::new(move |_| reply.clone())
}

/// The answers of a function, which may remember.
pub(crate) fn script(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Script {
    Box::new(script)
}
