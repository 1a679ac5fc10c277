//! Uploads of unknown length, for backends that must be told the length first: through a temporary
//! file that has no name, so that nothing stays behind whatever happens.

use super::upload::too_large;
use crate::backend::context::SpoolSettings;
use crate::policy::idle_timeout::Patience;
use holdall_plugin_api::Source;
use holdall_plugin_api::{Body, Bytes, Error, ErrorKind, MAX_CHUNK, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Reads a body to its end: its length, and the same bytes again.
///
/// What fits into one chunk never touches the disk.
///
/// # Errors
///
/// The body's own, `Timeout` of its policy, `TooLarge`, or `Other` when the temporary file cannot be written.
pub(crate) async fn spool(
    mut body: Body,
    settings: &SpoolSettings,
    max_size: Option<u64>,
    patience: Patience<'_>,
) -> Result<(u64, Body)> {
    let mut length = 0;
    let mut small: Vec<u8> = Vec::new();
    let mut file: Option<File> = None;
    while let Some(chunk) = patience.next(&mut body).await {
        let chunk = chunk?;
        length += chunk.len() as u64;
        if let Some(max) = max_size.filter(|max| length > *max) {
            return Err(too_large(max));
        }
        if length > settings.limit {
            return Err(Error::new(ErrorKind::TooLarge)
                .with_message(
                    "the backend must be told the length, and the body is too long to be kept",
                )
                .with_fact("limit", settings.limit)
                .with_fact("fix", "state the length of the upload"));
        }
        if file.is_none() && length <= u64::from(MAX_CHUNK) {
            small.extend_from_slice(&chunk);
            continue;
        }
        let (before, dir) = (std::mem::take(&mut small), settings.dir.clone());
        let chunk = Bytes::from(chunk);
        let write = spawn_blocking(move || -> std::io::Result<File> {
            let mut file = match (file, dir) {
                (Some(file), _) => file,
                (None, Some(dir)) => tempfile::tempfile_in(dir)?,
                (None, None) => tempfile::tempfile()?,
            };
            file.write_all(&before)?;
            file.write_all(&chunk)?;
            Ok(file)
        });
        file = Some(write.await.map_err(cut_off)?.map_err(failed)?);
    }
    let Some(mut file) = file else {
        return Ok((length, Body::from(small)));
    };
    let file = spawn_blocking(move || file.seek(SeekFrom::Start(0)).map(|_| file));
    let file = file.await.map_err(cut_off)?.map_err(failed)?;
    Ok((length, Body::source(Spooled::Idle(Some(file)))))
}

fn failed(why: std::io::Error) -> Error {
    Error::new(ErrorKind::Other)
        .with_message("the temporary file of the upload failed")
        .because(why)
}

fn cut_off(ended: JoinError) -> Error {
    Error::new(ErrorKind::Cancelled).because(ended)
}

enum Spooled {
    Idle(Option<File>),
    Reading(JoinHandle<std::io::Result<(File, Bytes)>>),
}

impl Source for Spooled {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            match &mut *self {
                Spooled::Idle(file) => {
                    let Some(mut file) = file.take() else {
                        return Poll::Ready(None);
                    };
                    // The plugin polls this, perhaps outside the host's runtime.
                    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                        let outcome = read(&mut file).map(|bytes| (file, bytes));
                        return Poll::Ready(self.step(outcome));
                    };
                    let job = runtime.spawn_blocking(move || {
                        let bytes = read(&mut file)?;
                        Ok((file, bytes))
                    });
                    *self = Spooled::Reading(job);
                }
                Spooled::Reading(job) => {
                    let read = ready!(Pin::new(job).poll(cx));
                    *self = Spooled::Idle(None);
                    return Poll::Ready(match read {
                        Ok(outcome) => self.step(outcome),
                        Err(ended) => Some(Err(cut_off(ended))),
                    });
                }
            }
        }
    }
}

impl Spooled {
    fn step(&mut self, outcome: std::io::Result<(File, Bytes)>) -> Option<Result<Bytes>> {
        match outcome {
            Ok((_, bytes)) if bytes.is_empty() => None,
            Ok((file, bytes)) => {
                *self = Spooled::Idle(Some(file));
                Some(Ok(bytes))
            }
            Err(why) => Some(Err(failed(why))),
        }
    }
}

fn read(file: &mut File) -> std::io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(MAX_CHUNK as usize);
    file.take(u64::from(MAX_CHUNK)).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
