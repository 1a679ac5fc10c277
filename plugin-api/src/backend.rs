//! The trait that an author writes.

use serde::de::DeserializeOwned;
use std::future::Future;

use crate::{
    AbortUpload, CompleteUpload, Copied, CopyObject, CreateUpload, Custom, Delete, DeleteMany,
    Deleted, Download, DownloadRanges, Downloaded, DownloadedRanges, Error, Head, Health, Host,
    Instance, Key, List, ListParts, ListUploads, ListVersions, ObjectInfo, Page, Part, PartPage,
    PutPart, Rename, Renamed, Result, SignUrl, Signing, Update, Upload, UploadPage, Uploaded,
    Usage, VersionPage,
};
use bytes::Bytes;

/// A storage backend. Implement the methods as `async fn`.
///
/// The host has checked what it can before a method is entered: keys follow the policy, options
/// that are not claimed as capabilities never arrive, ranges are not empty, limits hold, and a body
/// yields exactly its stated length or ends in an error.
///
/// What an implementer owes, beside each method's own words:
///
/// - a reader never sees a partial object, and data and metadata change in one step;
/// - dropping a future or a body at any moment leaves the previous object and no residue;
/// - `exists` answers `false` only for a proven absence;
/// - nothing is written to stdout or stderr; use `tracing` or [`Host::log`];
/// - no method blocks its thread (a file, a lock that is held for long, a client without `async`): it is polled on
///   the caller's thread, which serves others too. A backend that blocks says `runtime: blocking` in
///   [`export_plugin!`](crate::export_plugin), and the host calls it from a pool. The host logs each poll that
///   takes longer than 50 ms.
pub trait StorageBackend: Sized + Send + Sync + 'static {
    /// What `holdall.toml` says under `[backend.NAME.config]`.
    type Config: DeserializeOwned + Send + 'static;

    /// Opens the store. Cheap: no write, no network round trip that can wait.
    fn open(config: Self::Config, host: Host) -> impl Future<Output = Result<Self>> + Send;

    /// What this instance can do. Asked once, after `open`.
    fn instance(&self) -> Instance {
        Instance::new("")
    }

    /// Stores an object. The body's end carries its [trailers](crate::Trailers).
    fn upload(&self, upload: Upload<'_>) -> impl Future<Output = Result<Uploaded>> + Send;

    /// Reads an object: facts and bytes of one version.
    fn download(&self, download: Download<'_>) -> impl Future<Output = Result<Downloaded>> + Send;

    /// Removes an object. A missing one is success unless `must_exist`.
    fn delete(&self, delete: Delete<'_>) -> impl Future<Output = Result<Deleted>> + Send;

    /// Whether an object has exactly this key. A mere prefix is not an object.
    fn exists(&self, key: &Key) -> impl Future<Output = Result<bool>> + Send;

    /// Signs a URL, or leaves it to the gateway.
    fn signed_url(&self, sign: SignUrl<'_>) -> impl Future<Output = Result<Signing>> + Send;

    /// Facts about an object.
    fn head(&self, head: Head<'_>) -> impl Future<Output = Result<ObjectInfo>> + Send {
        let _ = head;
        unsupported("head")
    }

    /// A page of keys. `page_token` is what an earlier page of this instance called `next`.
    fn list(&self, list: List<'_>) -> impl Future<Output = Result<Page>> + Send {
        let _ = list;
        unsupported("list")
    }

    /// Copies inside the store.
    fn copy(&self, copy: CopyObject<'_>) -> impl Future<Output = Result<Copied>> + Send {
        let _ = copy;
        unsupported("copy")
    }

    /// Renames inside the store.
    fn rename(&self, rename: Rename<'_>) -> impl Future<Output = Result<Renamed>> + Send {
        let _ = rename;
        unsupported("rename")
    }

    /// Removes many objects: one answer for each key, in order.
    fn delete_many(
        &self,
        delete: DeleteMany<'_>,
    ) -> impl Future<Output = Result<Vec<Result<Deleted>>>> + Send {
        let _ = delete;
        unsupported("delete_many")
    }

    /// Cheap, without a write, within a bounded time.
    fn health(&self) -> impl Future<Output = Result<Health>> + Send {
        unsupported("health")
    }

    /// Space used and free.
    fn usage(&self) -> impl Future<Output = Result<Usage>> + Send {
        unsupported("usage")
    }

    /// Ends the instance. May be called twice. The host calls an instance that was shut down no more, so a backend
    /// without threads, connections or files to end needs none.
    fn shutdown(&self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Begins an upload in parts; answers its id, which names it in other processes too, until it is completed or
    /// aborted. Since 1.1, like all that follow.
    fn create_upload(
        &self,
        create: CreateUpload<'_>,
    ) -> impl Future<Output = Result<String>> + Send {
        let _ = create;
        unsupported("create_upload")
    }

    /// Stores a part, in the place of an earlier one of the same number. Parts of one upload arrive in any order, and
    /// at once. An id that is not known is [`Error::upload_not_found`].
    fn put_part(&self, put: PutPart<'_>) -> impl Future<Output = Result<Part>> + Send {
        let _ = put;
        unsupported("put_part")
    }

    /// A page of the parts of an upload, by number.
    fn list_parts(&self, list: ListParts<'_>) -> impl Future<Output = Result<PartPage>> + Send {
        let _ = list;
        unsupported("list_parts")
    }

    /// A page of the uploads in parts that are neither completed nor aborted, by key.
    fn list_uploads(
        &self,
        list: ListUploads<'_>,
    ) -> impl Future<Output = Result<UploadPage>> + Send {
        let _ = list;
        unsupported("list_uploads")
    }

    /// Makes the object of its parts, in one step, and forgets the upload. A part that is not there, or has another
    /// etag, is [`Error::invalid_part`]; a condition that does not hold leaves the upload as it is.
    fn complete_upload(
        &self,
        complete: CompleteUpload<'_>,
    ) -> impl Future<Output = Result<Uploaded>> + Send {
        let _ = complete;
        unsupported("complete_upload")
    }

    /// Ends an upload in parts without an object, and frees what its parts took.
    fn abort_upload(&self, abort: AbortUpload<'_>) -> impl Future<Output = Result<()>> + Send {
        let _ = abort;
        unsupported("abort_upload")
    }

    /// Reads many ranges of one version, into memory of the caller.
    fn download_ranges(
        &self,
        read: DownloadRanges<'_>,
    ) -> impl Future<Output = Result<DownloadedRanges>> + Send {
        let _ = read;
        unsupported("download_ranges")
    }

    /// A page of versions: by key, and within a key from the newest to the oldest.
    fn list_versions(
        &self,
        list: ListVersions<'_>,
    ) -> impl Future<Output = Result<VersionPage>> + Send {
        let _ = list;
        unsupported("list_versions")
    }

    /// Replaces what is kept beside the bytes, in one step; answers the object as it is then.
    fn update(&self, update: Update<'_>) -> impl Future<Output = Result<ObjectInfo>> + Send {
        let _ = update;
        unsupported("update")
    }

    /// A call of the vendor's own.
    fn custom(&self, custom: Custom<'_>) -> impl Future<Output = Result<Bytes>> + Send {
        let _ = custom;
        unsupported("custom")
    }
}

fn unsupported<T: Send>(operation: &'static str) -> impl Future<Output = Result<T>> + Send {
    std::future::ready(Err(Error::unsupported(operation)))
}
