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
    LazyLock::new(|| Artifacts::build(&["holdall-plugin-s3", "holdall-plugin-webdav"]));

/// Deadline of an operation. A server that never ends an answer makes a mode last as long.
const DEADLINE: Duration = Duration::from_secs(4);
/// No mode may take longer, or more memory beyond what there was. Longer than the deadline, because the
/// machine may be busy.
const LONGEST: Duration = Duration::from_secs(12);
const MOST_MIB: u64 = 160;

/// A host with one plugin, loaded from its file.
pub(crate) struct Loaded {
    host: Host,
    plugin: &'static str,
    _folder: tempfile::TempDir,
}

impl Loaded {
    pub(crate) fn new(plugin: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        BUILT.folder_of([BUILT.plugin(plugin)], folder.path());
        let host = Host::builder().config(Config::default());
        Self {
            host: host.plugin_dir(folder.path()).build().unwrap(),
            plugin,
            _folder: folder,
        }
    }

    pub(crate) async fn open(&self, name: &str, config: Value) -> Result<Backend> {
        let registration = Registration::new(PluginRef::from(self.plugin))
            .config(config)
            .timeout(DEADLINE);
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

/// Runs every mode and prints the table.
///
/// `config`: of a backend at this address. `inside`: whether a request stays where it belongs.
/// `secrets`: texts that no answer may carry.
pub(crate) fn run_all(
    plugin: &'static str,
    modes: &[Mode],
    config: impl Fn(&str) -> Value,
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
    println!("| mode of the {plugin} server | asked | end | seconds | MiB | requests |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for mode in modes.iter().filter(|mode| mode.name.contains(&chosen)) {
        let (line, faults) = runtime.block_on(one(&loaded, mode, &config, &inside));
        println!("{line}");
        wrong.extend(
            faults
                .into_iter()
                .map(|fault| format!("{}: {fault}", mode.name)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn one(
    loaded: &Loaded,
    mode: &Mode,
    config: &impl Fn(&str) -> Value,
    inside: &impl Fn(&Seen) -> bool,
) -> (String, Vec<String>) {
    let elsewhere = Endpoint::always(Reply::new(200)).await;
    let endpoint = Endpoint::start((mode.script)(&elsewhere.url())).await;
    let backend = loaded.open("b", config(&endpoint.url())).await;
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
        (Err(error), End::Fails(kind)) => (error.kind().code().to_owned(), error.kind() == kind),
        (Err(error), End::FailsAs(kinds)) => (
            error.kind().code().to_owned(),
            kinds.contains(&error.kind()),
        ),
        (Err(error), End::Gives(_)) => (error.kind().code().to_owned(), false),
    };
    if !as_wanted {
        faults.push(format!("expected {:?}, found {ended:?}", mode.end));
    }
    if let Err(error) = &ended {
        faults.extend(unbounded(error));
        faults.extend(unclear(mode, error, &elsewhere.url()));
    }
    if took > LONGEST {
        faults.push(format!("{took:?}"));
    }
    if grown > MOST_MIB {
        faults.push(format!("{grown} MiB"));
    }
    let seen = endpoint.seen();
    faults.extend(
        seen.iter()
            .filter(|seen| !inside(seen))
            .map(|seen| format!("a request outside: {} {}", seen.method, seen.target)),
    );
    if !elsewhere.seen().is_empty() {
        faults.push(format!("another server was asked: {:?}", elsewhere.seen()));
    }
    let line = format!(
        "| {} | {:?} | {end} | {:.1} | {grown} | {} |",
        mode.name,
        mode.ask,
        took.as_secs_f64(),
        seen.len()
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
