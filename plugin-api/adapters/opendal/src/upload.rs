//! `upload`.
//!
//! The writing is a task of its own that the caller feeds. When the caller goes away, in whatever
//! way, the channel between them closes without an end, and the task takes back what it has
//! written: it is never stopped between starting a multipart upload and learning its name, nor
//! while it commits. What is held of a large object: a part that grows, one that waits, one that is
//! being sent.

use crate::adapter::{Adapter, OpenOperator};
use crate::convert;
use crate::fault::{Intent, fault};
use holdall_plugin_api::{Bytes, Error, ErrorKind, Result, Upload, Uploaded};
use opendal_core::options::WriteOptions;
use opendal_core::{Buffer, Metadata, Operator, Writer};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Times that a service is asked to take an upload back, with pauses that double: four minutes.
const TAKE_BACKS: u32 = 9;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long a failed upload waits for what it wrote to be taken back, so that usually nothing is
/// left when its caller learns of it.
const TIDYING: Duration = Duration::from_secs(2);

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

pub(crate) async fn upload<A: OpenOperator>(
    this: &Adapter<A>,
    upload: Upload<'_>,
) -> Result<Uploaded> {
    let (operator, captured) = this.begin()?;
    let (key, mut body, length, options) = upload.into_parts();
    let mut written = convert::write_options(&options)?;
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
    let metadata = task.end().await?.map_err(|error| {
        this.store
            .missing_container(fault(error, &captured, Intent::Write))
    })?;
    let mut uploaded = Uploaded::new(size);
    uploaded.etag = metadata.etag().map(str::to_owned);
    uploaded.version = metadata.version().map(str::to_owned);
    uploaded.last_modified = metadata.last_modified().map(SystemTime::from);
    Ok(uploaded)
}

fn too_large(limit: usize, requested: u64) -> Error {
    Error::new(ErrorKind::TooLarge)
        .with_message(
            "the service takes an object in one piece, and this one is too large for that",
        )
        .with_fact("limit", limit)
        .with_fact("requested", requested)
}

struct Task {
    steps: mpsc::Sender<Step>,
    outcome: oneshot::Receiver<opendal_core::Result<Metadata>>,
    task: JoinHandle<()>,
}

impl Task {
    /// Whether the task goes on; if not, its end says why.
    async fn feed(&self, step: Step) -> bool {
        self.steps.send(step).await.is_ok()
    }

    async fn end(self) -> Result<opendal_core::Result<Metadata>> {
        let Self {
            outcome, mut task, ..
        } = self;
        match outcome.await {
            Ok(Err(error)) => {
                let _ = tokio::time::timeout(TIDYING, &mut task).await;
                Ok(Err(error))
            }
            Ok(stored) => Ok(stored),
            Err(_) => match task.await {
                Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
                _ => Err(Error::new(ErrorKind::Cancelled)),
            },
        }
    }

    /// What was written is taken back.
    async fn give_up(self) {
        drop(self.steps);
        let _ = tokio::time::timeout(TIDYING, self.task).await;
    }
}

impl<A> Adapter<A> {
    fn writer(&self, operator: Operator, key: &str, options: WriteOptions) -> Task {
        let (steps, queue) = mpsc::channel(1);
        let (key, ending) = (key.to_owned(), self.writers.ending.clone());
        let (tell, outcome) = oneshot::channel();
        let task = self.writers.tasks.spawn(async move {
            let mut writer = match operator.writer_options(&key, options).await {
                Ok(writer) => writer,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let mut begun = false;
            let stored = write(&mut writer, &mut begun, queue, &ending).await;
            let failed = stored.is_err();
            // The caller learns of it at once, however long it takes to tidy up.
            let _ = tell.send(stored);
            if failed && begun {
                take_back(&mut writer, &ending).await;
            }
        });
        Task {
            steps,
            outcome,
            task,
        }
    }
}

/// Writes until the commit. `begun` once there may be something to take back.
async fn write(
    writer: &mut Writer,
    begun: &mut bool,
    mut queue: mpsc::Receiver<Step>,
    ending: &CancellationToken,
) -> opendal_core::Result<Metadata> {
    loop {
        let step = tokio::select! {
            biased;
            () = ending.cancelled() => None,
            step = queue.recv() => step,
        };
        match step {
            Some(Step::Write(buffer)) => {
                *begun = true;
                writer.write(buffer).await?;
            }
            Some(Step::Commit) => {
                *begun = true;
                return writer.close().await;
            }
            None => {
                return Err(opendal_core::Error::new(
                    opendal_core::ErrorKind::Unexpected,
                    "the upload was given up",
                ));
            }
        }
    }
}

/// Takes back what was written. A service that does not answer now may do so later, so it is asked
/// again for some minutes; what stays behind then is for the service's own rules to remove.
async fn take_back(writer: &mut Writer, ending: &CancellationToken) {
    let mut pause = FIRST_PAUSE;
    for _ in 0..TAKE_BACKS {
        match writer.abort().await {
            Ok(()) => return,
            Err(error) if error.kind() == opendal_core::ErrorKind::Unsupported => return,
            Err(error) => tracing::warn!(%error, "an unfinished upload could not be taken back"),
        }
        tokio::select! {
            () = ending.cancelled() => return,
            () = tokio::time::sleep(pause) => pause *= 2,
        }
    }
}
