//! The plugin: `memory` behind the faults.
#![allow(unreachable_pub, reason = "`export_plugin!` needs public types")]

use crate::State;
use crate::fault::Action;
use futures_util::stream;
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, Capabilities, CompleteUpload, Copied, CopyObject, CreateUpload,
    Delete, Deleted, Download, DownloadRanges, Downloaded, DownloadedRanges, Error, ErrorKind,
    Head, Health, Host, Instance, Key, List, ListParts, ListUploads, ListVersions, ObjectInfo,
    Operation, Page, Part, PartPage, PutPart, Rename, Renamed, Result, SignUrl, Signing,
    StorageBackend, Update, Upload, UploadPage, Uploaded, Usage, VersionPage,
};
use holdall_plugin_memory::{CLAIMS, Memory};
use serde::Deserialize;
use std::sync::Arc;

/// What names the state of one [`TestBackend`](crate::TestBackend).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Config {
    /// Number of the `TestBackend`.
    id: u64,
}

pub struct Faulty {
    state: Arc<State>,
    store: Arc<Memory>,
    capabilities: Option<Capabilities>,
}

impl Faulty {
    /// Counts the call and applies the fault that is in force. Returns where the body is cut.
    async fn enter(&self, operation: Operation, key: Option<&Key>) -> Result<Option<Cut>> {
        self.state.count(operation);
        match self.state.take(operation, key.map(Key::text)) {
            None => return Ok(None),
            Some(Action::Fail(error)) => return Err(error),
            Some(Action::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Pause) => match self.state.permits.acquire().await {
                Ok(permit) => permit.forget(),
                Err(closed) => return Err(Error::new(ErrorKind::Other).because(closed)),
            },
            #[allow(clippy::panic, reason = "the test asked for it")]
            Some(Action::Panic) => panic!("injected by the test"),
            Some(Action::Cut(after, error)) => return Ok(Some(Cut { after, error })),
        }
        Ok(None)
    }
}

/// Where a body ends early, and how.
struct Cut {
    after: u64,
    error: Option<Error>,
}

impl Cut {
    fn body(self, body: Body) -> Body {
        let chunks = stream::unfold((body, self.after, Some(self.error)), |state| async move {
            let (mut body, left, error) = state;
            let error = error?;
            if left == 0 {
                return error.map(|error| (Err(error), (body, 0, None)));
            }
            let mut chunk = match body.chunk().await? {
                Ok(chunk) => Bytes::from(chunk),
                Err(error) => return Some((Err(error), (body, 0, None))),
            };
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let left = left - chunk.len() as u64;
            Some((Ok(chunk), (body, left, Some(error))))
        });
        Body::stream(chunks)
    }
}

impl StorageBackend for Faulty {
    type Config = Config;

    async fn open(config: Config, host: Host) -> Result<Self> {
        let state = State::of(config.id)
            .ok_or_else(|| Error::invalid("the TestBackend of this registration is gone"))?;
        Ok(Self {
            store: state.store(host).await?,
            capabilities: state.capabilities,
            state,
        })
    }

    fn instance(&self) -> Instance {
        let store = self.store.instance();
        Instance::new("memory of the test")
            .operations(store.operations)
            .capabilities(self.capabilities.or(store.capabilities))
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let cut = self.enter(Operation::Upload, Some(upload.key)).await?;
        let Some(cut) = cut else {
            return self.store.upload(upload).await;
        };
        let (key, body, _, options) = upload.into_parts();
        let short = Upload::new(key, cut.body(body)).with_options(Some(options));
        self.store.upload(short).await
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let cut = self.enter(Operation::Download, Some(download.key)).await?;
        let mut downloaded = self.store.download(download).await?;
        if let Some(cut) = cut {
            downloaded.body = cut.body(downloaded.body);
        }
        Ok(downloaded)
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        self.enter(Operation::Delete, Some(delete.key)).await?;
        self.store.delete(delete).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.enter(Operation::Exists, Some(key)).await?;
        self.store.exists(key).await
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        self.enter(Operation::SignedUrl, Some(sign.key)).await?;
        self.store.signed_url(sign).await
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        self.enter(Operation::Head, Some(head.key)).await?;
        self.store.head(head).await
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        self.enter(Operation::List, None).await?;
        self.store.list(list).await
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        self.enter(Operation::Copy, Some(copy.from)).await?;
        self.store.copy(copy).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        self.enter(Operation::Rename, Some(rename.from)).await?;
        self.store.rename(rename).await
    }

    async fn health(&self) -> Result<Health> {
        self.enter(Operation::Health, None).await?;
        self.store.health().await
    }

    async fn usage(&self) -> Result<Usage> {
        self.enter(Operation::Usage, None).await?;
        self.store.usage().await
    }

    async fn shutdown(&self) -> Result<()> {
        self.enter(Operation::Shutdown, None).await?;
        self.store.shutdown().await?;
        self.state.forget_store().await;
        Ok(())
    }

    async fn create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        self.enter(Operation::CreateUpload, Some(create.key))
            .await?;
        self.store.create_upload(create).await
    }

    async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        self.enter(Operation::ListParts, Some(list.key)).await?;
        self.store.list_parts(list).await
    }

    async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        self.enter(Operation::ListUploads, None).await?;
        self.store.list_uploads(list).await
    }

    async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        self.enter(Operation::CompleteUpload, Some(complete.key))
            .await?;
        self.store.complete_upload(complete).await
    }

    async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        self.enter(Operation::AbortUpload, Some(abort.key)).await?;
        self.store.abort_upload(abort).await
    }

    async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<DownloadedRanges> {
        self.enter(Operation::DownloadRanges, Some(read.key))
            .await?;
        self.store.download_ranges(read).await
    }

    async fn list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage> {
        self.enter(Operation::ListVersions, None).await?;
        self.store.list_versions(list).await
    }

    async fn update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        self.enter(Operation::Update, Some(update.key)).await?;
        self.store.update(update).await
    }

    async fn put_part(&self, mut put: PutPart<'_>) -> Result<Part> {
        let cut = self.enter(Operation::PutPart, Some(put.key)).await?;
        if let Some(cut) = cut {
            let whole = std::mem::replace(&mut put.body, Body::empty());
            (put.body, put.length) = (cut.body(whole), None);
        }
        self.store.put_part(put).await
    }
}

holdall_plugin_api::export_plugin! {
    backend: Faulty,
    name: "testing",
    schemes: [],
    runtime: none,
    operations: [
        head, list, copy, rename, health, usage, shutdown, create_upload, put_part, list_parts,
        list_uploads, complete_upload, abort_upload, download_ranges, list_versions, update,
    ],
    capabilities: CLAIMS,
    config_schema: "config.schema.json",
}
