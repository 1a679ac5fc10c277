//! The operations of the contract on top of the engine, one file for each concern.
//!
//! Each operation is one job of the plugin's blocking pool, not one for each system call: a switch
//! between threads costs several times what a small put costs. Data in the kernel's caches is read
//! on the caller's thread without a job.

mod answers;
mod change;
mod list;
mod parts;
mod read;
mod receive;
mod state;
mod upload;

use crate::config::{Durability, LocalConfig};
use crate::engine::current::Current;
use crate::engine::fault::{FaultKind, Outcome};
use crate::engine::store::LocalStore;
use crate::error::{from_fault, from_join};
use crate::instance::instance_of;
use holdall_plugin_api::{
    AbortUpload, Bytes, Capabilities, CompleteUpload, Copied, CopyObject, CreateUpload, Custom,
    Delete, Deleted, Download, DownloadRanges, Downloaded, DownloadedRanges, Head, Health, Host,
    Instance, Key, List, ListParts, ListUploads, ObjectInfo, Page, Part, PartPage, PutPart, Rename,
    Renamed, Result, SignUrl, Signing, StorageBackend, Update, Upload, UploadPage, Uploaded, Usage,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// A directory of the local file system as a store.
#[derive(Debug)]
pub struct Local {
    current: Arc<Current>,
    /// As the instance claimed them when it was opened.
    claimed: Capabilities,
    durability: Durability,
    host: Host,
}

impl Drop for Local {
    fn drop(&mut self) {
        // A sweep in the background may hold the store for longer than the process lives.
        self.store().release();
    }
}

/// The longest wait for the lock of a key.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between two attempts to lock a key, growing; no thread is held meanwhile.
const LOCK_PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(32)];

impl Local {
    /// Runs one job of the blocking pool.
    async fn job<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Arc<LocalStore>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store();
        spawn_blocking(move || job(&store))
            .await
            .map_err(from_join)?
            .map_err(from_fault)
    }

    /// Runs a job that changes a key; the root is opened again where that helps.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Fn(&Arc<LocalStore>) -> Outcome<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let current = Arc::clone(&self.current);
        if current.store().sweep_is_due() {
            let swept = current.store();
            drop(spawn_blocking(move || swept.sweep()));
        }
        while_locked(Arc::new(move || current.change(&change))).await
    }

    fn store(&self) -> Arc<LocalStore> {
        self.current.store()
    }
}

impl StorageBackend for Local {
    type Config = LocalConfig;

    async fn open(config: LocalConfig, host: Host) -> Result<Self> {
        state::open(config, host).await
    }

    fn instance(&self) -> Instance {
        instance_of(&self.store())
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        upload::upload(self, upload).await
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        read::download(self, download).await
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        change::delete(self, delete).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        read::exists(self, key).await
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        read::signed_url(self, sign).await
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        read::head(self, head).await
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        list::list(self, list).await
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        change::copy(self, copy).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        change::rename(self, rename).await
    }

    async fn health(&self) -> Result<Health> {
        state::health(self).await
    }

    async fn usage(&self) -> Result<Usage> {
        state::usage(self).await
    }

    async fn create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        parts::create_upload(self, create).await
    }

    async fn put_part(&self, put: PutPart<'_>) -> Result<Part> {
        parts::put_part(self, put).await
    }

    async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        parts::list_parts(self, list).await
    }

    async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        parts::list_uploads(self, list).await
    }

    async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        parts::complete_upload(self, complete).await
    }

    async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        parts::abort_upload(self, abort).await
    }

    async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<DownloadedRanges> {
        read::download_ranges(self, read).await
    }

    async fn update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        change::update(self, update).await
    }

    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        list::custom(self, custom).await
    }

    async fn shutdown(&self) -> Result<()> {
        state::shutdown(self).await
    }
}

/// Runs a job of the blocking pool, again after a pause while another writer holds the key's lock.
async fn while_locked<T, F>(job: Arc<F>) -> Result<T>
where
    T: Send + 'static,
    F: Fn() -> Outcome<T> + Send + Sync + 'static,
{
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let [mut pause, longest] = LOCK_PAUSES;
    loop {
        let this = Arc::clone(&job);
        match spawn_blocking(move || this()).await.map_err(from_join)? {
            Err(fault) if fault.kind == FaultKind::Locked && Instant::now() < deadline => {}
            outcome => return outcome.map_err(from_fault),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
