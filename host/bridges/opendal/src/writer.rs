//! Writes: one upload for each writer.
//!
//! The writer holds the future of the upload and polls it while it passes chunks on. No task is
//! started; dropping or aborting the writer drops the upload, which leaves nothing.

use super::error::error;
use super::metadata;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream;
use holdall::Backend;
use holdall_plugin_api::{Body, Bytes, Error, Upload, Uploaded};
use opendal_core::raw::OpWrite;
use opendal_core::raw::oio::Write;
use opendal_core::{Buffer, ErrorKind, Metadata, MetadataBuilder, Result};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// An item of the upload's body. The end is explicit: a dropped writer is not the end of the object.
enum Step {
    Chunk(Bytes),
    End,
}

pub(super) struct Writer {
    state: Mutex<State>,
}

enum State {
    Open {
        steps: mpsc::Sender<Step>,
        upload: BoxFuture<'static, holdall_plugin_api::Result<Uploaded>>,
    },
    Closed,
}

impl Writer {
    pub(super) fn new(backend: Backend, key: String, args: OpWrite) -> Self {
        let (steps, queue) = mpsc::channel(1);
        let upload = Box::pin(async move { upload(&backend, &key, &args, queue).await });
        Self {
            state: Mutex::new(State::Open { steps, upload }),
        }
    }

    fn state(&mut self) -> &mut State {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a step on while polling the upload. An upload that ends meanwhile has failed, because
    /// it has not seen the end of its body.
    async fn feed(&mut self, step: Step) -> Result<()> {
        let State::Open { steps, upload } = self.state() else {
            return Err(closed());
        };
        let ended = {
            let fed = pin!(steps.send(step));
            match select(fed, &mut *upload).await {
                Either::Left((Ok(()), _)) => return Ok(()),
                Either::Left((Err(_), _)) => upload.await,
                Either::Right((ended, _)) => ended,
            }
        };
        *self.state() = State::Closed;
        Err(match ended {
            Err(of_upload) => error(of_upload),
            Ok(_) => opendal_core::Error::new(
                ErrorKind::Unexpected,
                "the upload ended before its bytes did",
            ),
        })
    }
}

fn closed() -> opendal_core::Error {
    opendal_core::Error::new(ErrorKind::Unexpected, "the writer has ended")
}

async fn upload(
    backend: &Backend,
    key: &str,
    args: &OpWrite,
    queue: mpsc::Receiver<Step>,
) -> holdall_plugin_api::Result<Uploaded> {
    let body = stream::unfold(Some(queue), |queue| async move {
        let mut queue = queue?;
        match queue.recv().await {
            Some(Step::Chunk(chunk)) => Some((Ok(chunk), Some(queue))),
            Some(Step::End) => None,
            None => Some((Err(Error::invalid("the writer was dropped")), None)),
        }
    });
    let mut upload = Upload::new(key, Body::stream(body));
    let options = upload.options_mut();
    options.content_type = args.content_type();
    options.headers.cache_control = args.cache_control();
    options.headers.content_disposition = args.content_disposition();
    options.headers.content_encoding = args.content_encoding();
    options.metadata = args.user_metadata().into_iter().flatten().collect();
    options.create_only = args.if_not_exists();
    options.if_match = args.if_match();
    backend.upload(upload).await
}

impl Write for Writer {
    async fn write(&mut self, buffer: Buffer) -> Result<()> {
        for chunk in buffer {
            if !chunk.is_empty() {
                self.feed(Step::Chunk(chunk)).await?;
            }
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<Metadata> {
        self.feed(Step::End).await?;
        let State::Open { upload, .. } = std::mem::replace(self.state(), State::Closed) else {
            return Err(closed());
        };
        let uploaded = upload.await.map_err(error)?;
        let mut built = MetadataBuilder::file(uploaded.size);
        metadata::common(&mut built, uploaded.etag.as_deref(), uploaded.last_modified);
        if let Some(version) = uploaded.version {
            built.version(version);
        }
        Ok(built.build())
    }

    async fn abort(&mut self) -> Result<()> {
        *self.state() = State::Closed;
        Ok(())
    }
}
