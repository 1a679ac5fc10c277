//! `upload`.
//!
//! The writing is a task of its own that the caller feeds. When the caller goes away, in whatever
//! way, the channel between them closes without an end, and the task takes back what it has
//! written: it is never stopped between starting a multipart upload and learning its name, nor
//! while it commits. What is held of a large object: a part that grows, one that waits, one that is
//! being sent.

use crate::adapter::{Adapted, Adapter};
use crate::convert;
use crate::fault::{Intent, fault};
use holdall_plugin_api::{Bytes, Error, ErrorKind, Result, Upload, Uploaded};
use opendal_core::options::WriteOptions;
use opendal_core::{Buffer, Metadata, Operator, Writer};
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The writing tasks of an instance.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Writers {
    /// Takes back every upload under way, and waits for that.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

enum Step {
    Write(Buffer),
    Commit,
}

pub(crate) async fn upload<A: Adapted>(this: &Adapter<A>, upload: Upload<'_>) -> Result<Uploaded> {
    let (operator, heard) = this.begin()?;
    let (key, mut body, length, options) = upload.into_parts();
    let mut written = convert::write_options(&options.map(|options| *options).unwrap_or_default());
    let parts = this.store.takes_parts();
    written.chunk = parts.then(|| this.store.part_for(length));

    let mut task: Option<Task> = None;
    let mut whole = Vec::new();
    let mut size = 0;
    while let Some(chunk) = body.chunk().await {
        let chunk = match chunk {
            Ok(chunk) => Bytes::from(chunk),
            Err(of_body) => {
                if let Some(task) = task {
                    task.give_up().await;
                }
                return Err(of_body);
            }
        };
        size += chunk.len() as u64;
        if !parts {
            if size > this.store.whole_bytes as u64 {
                return Err(too_large(this.store.whole_bytes, size));
            }
            whole.push(chunk);
            continue;
        }
        let start = || this.writer(operator.clone(), key.text(), written.clone());
        if !task
            .get_or_insert_with(start)
            .feed(Step::Write(chunk.into()))
            .await
        {
            break;
        }
    }
    let task = task.unwrap_or_else(|| this.writer(operator, key.text(), written));
    if !whole.is_empty() {
        task.feed(Step::Write(whole.into())).await;
    }
    task.feed(Step::Commit).await;
    let metadata = task
        .end()
        .await?
        .map_err(|error| fault(error, &heard, Intent::Write))?;
    let mut uploaded = Uploaded::new(size);
    uploaded.etag = metadata.etag().map(convert::etag);
    uploaded.version = metadata.version().map(str::to_owned);
    uploaded.last_modified = metadata.last_modified().map(SystemTime::from);
    Ok(uploaded)
}

fn too_large(limit: usize, requested: u64) -> Error {
    Error::new(ErrorKind::TooLarge)
        .message("the service takes an object in one piece, and this one is too large for that")
        .fact("limit", limit)
        .fact("requested", requested)
}

struct Task {
    steps: mpsc::Sender<Step>,
    outcome: JoinHandle<opendal_core::Result<Metadata>>,
}

impl Task {
    /// Whether the task goes on; if not, its end says why.
    async fn feed(&self, step: Step) -> bool {
        self.steps.send(step).await.is_ok()
    }

    async fn end(self) -> Result<opendal_core::Result<Metadata>> {
        match self.outcome.await {
            Ok(outcome) => Ok(outcome),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Cancelled)),
        }
    }

    /// Returns when what was written has been taken back.
    async fn give_up(self) {
        let Self { steps, outcome } = self;
        drop(steps);
        let _ = outcome.await;
    }
}

impl<A> Adapter<A> {
    fn writer(&self, operator: Operator, key: &str, options: WriteOptions) -> Task {
        let (steps, queue) = mpsc::channel(1);
        let (key, ending) = (key.to_owned(), self.writers.ending.clone());
        let outcome = self
            .writers
            .tasks
            .spawn(async move { write(operator, key, options, queue, ending).await });
        Task { steps, outcome }
    }
}

async fn write(
    operator: Operator,
    key: String,
    options: WriteOptions,
    mut queue: mpsc::Receiver<Step>,
    ending: CancellationToken,
) -> opendal_core::Result<Metadata> {
    let mut writer = operator.writer_options(&key, options).await?;
    let mut begun = false;
    loop {
        let step = tokio::select! {
            biased;
            () = ending.cancelled() => None,
            step = queue.recv() => step,
        };
        let done = match step {
            Some(Step::Write(buffer)) => {
                begun = true;
                writer.write(buffer).await
            }
            Some(Step::Commit) => match writer.close().await {
                Ok(metadata) => return Ok(metadata),
                Err(error) => {
                    begun = true;
                    Err(error)
                }
            },
            None => Err(opendal_core::Error::new(
                opendal_core::ErrorKind::Unexpected,
                "the upload was given up",
            )),
        };
        if let Err(error) = done {
            if begun {
                take_back(&mut writer).await;
            }
            return Err(error);
        }
    }
}

/// Whatever this fails with, the upload's own error says more; what stays behind then is what the
/// service itself cannot remove now.
async fn take_back(writer: &mut Writer) {
    if let Err(error) = writer.abort().await
        && error.kind() != opendal_core::ErrorKind::Unsupported
    {
        tracing::warn!(%error, "an unfinished upload could not be taken back");
    }
}
