//! The side of the child: maps and opens one plugin, and says how far it came.

#[cfg_attr(unix, path = "child/unix.rs")]
#[cfg_attr(windows, path = "child/windows.rs")]
mod system;

pub(super) use system::this_executable;

use super::said::{Opening, Request, Said, Told};
use crate::config::Polling;
use crate::platform::{exit, files};
use crate::plugin::load::{Call, Image, Plugin};
use holdall_plugin_api::{Error, Key};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A request is one line; its configuration is at most a few hundred kilobytes.
const MAX_REQUEST: usize = 16 << 20;
/// The longest wait for open, health and `exists` together is the parent's.
const ANSWER: Duration = Duration::from_secs(600);

/// What the child says, to a file that the parent reads at its end.
struct Answers(File);

impl Answers {
    fn say(&mut self, said: &Said) {
        if let Ok(mut line) = serde_json::to_vec(said) {
            line.push(b'\n');
            // In one write. The parent takes silence for the end of the process.
            let _ = self.0.write_all(&line);
        }
    }
}

pub(super) fn main() -> ! {
    // An error here is of the child itself; the parent reports what it wrote.
    if let Err(cause) = run() {
        let _ = writeln!(io::stderr(), "trial: {cause}");
    }
    exit::leave(0)
}

fn run() -> io::Result<()> {
    let (image, answers) = system::begin()?;
    let request = request(&answers)?;
    let mut answers = Answers(answers);
    system::take_orphans()?;
    let image = Image::of_file(image)?;
    if crate::config::hex(&image.sha256()) != request.sha256 {
        return Err(io::Error::other("the child got other bytes"));
    }
    let memory = system::limit(&request)?;
    answers.say(&Said::Limit(memory));
    system::report_crashes(&answers.0);
    let before = system::Before::now();
    fill_stack();
    let loaded = Plugin::load(image, Path::new(&request.name), |_, _, _| Ok(()));
    if before.is_copy() {
        // A copy of this process that a constructor has made.
        exit::leave(0);
    }
    before.compare(|said| answers.say(&said));
    let plugin = match loaded {
        Ok(plugin) => plugin,
        Err(faults) => {
            answers.say(&Said::Refused(faults.iter().map(Told::from).collect()));
            answers.say(&Said::Done);
            return Ok(());
        }
    };
    if !plugin.signals().is_empty() {
        let names = plugin.signals().iter().map(|name| (*name).to_owned());
        answers.say(&Said::Signals(names.collect()));
    }
    answers.say(&Said::Mapped);
    if let Some(open) = &request.open {
        answers.say(&opened(&plugin, open)?);
    }
    answers.say(&Said::Done);
    Ok(())
}

/// Leaves no zeroes below this frame, where the plugin is about to run: one that reads a local variable before it
/// has written it fails in its trial, as with memory from the heap (`MALLOC_PERTURB_`).
#[inline(never)]
fn fill_stack() {
    let mut below = [0xa5_u8; 256 << 10];
    std::hint::black_box(&mut below);
}

fn request(file: &File) -> io::Result<Request> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_REQUEST);
    let mut bytes = zeroize::Zeroizing::new(vec![0; size.min(MAX_REQUEST)]);
    files::read_exact_at(file, &mut bytes, 0)?;
    // The answers follow: reading by position moves the position on some systems.
    let mut end = file;
    io::Seek::seek(&mut end, io::SeekFrom::End(0))?;
    Ok(serde_json::from_slice(bytes.trim_ascii_end())?)
}

fn opened(plugin: &Arc<Plugin>, open: &Opening) -> io::Result<Said> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    fill_stack();
    let outcome = runtime.block_on(async {
        let asked = tokio::time::timeout(ANSWER, ask(plugin, open)).await;
        asked.unwrap_or_else(|_| Err(Error::new(holdall_plugin_api::ErrorKind::Timeout)))
    });
    // Instance and runtime end here, before the answer: their end is code of the plugin.
    drop(runtime);
    Ok(match outcome {
        Ok(()) => Said::Opened,
        Err(error) => Said::NotOpened(error.to_string()),
    })
}

/// What changes nothing in a store.
async fn ask(plugin: &Arc<Plugin>, open: &Opening) -> holdall_plugin_api::Result<()> {
    let max_wait = Duration::from_millis(open.max_wait_ms);
    let instance = plugin.open(
        &open.backend,
        open.config.clone(),
        max_wait,
        Polling::default(),
    );
    let instance = Arc::new(instance.await?);
    if instance
        .operations()
        .has(holdall_plugin_api::Operation::Health)
    {
        instance.health(Call::default()).await?;
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|cause| {
        Error::new(holdall_plugin_api::ErrorKind::Other).with_message(cause.to_string())
    })?;
    let key = format!("holdall-trial-{}", crate::config::hex(&random));
    instance
        .exists(Key::new(&key), Call::default())
        .await
        .map(drop)
}
