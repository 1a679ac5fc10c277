//! What the cases drive: an opened backend, and the place that opens it.
//!
//! Object-safe with boxed futures, so that every case is compiled once, whatever it drives.

use crate::wire::Dialect;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{
    AbortUpload, Bytes, Capabilities, Capability, CompleteUpload, Copied, CopyObject, CreateUpload,
    Custom, Delete, DeleteMany, Deleted, Download, DownloadRanges, Downloaded, Head, Health, Key,
    KeyPolicy, Limits, List, ListParts, ListUploads, ListVersions, ObjectInfo, Operation,
    Operations, Page, Part, PartPage, PutPart, Rename, Renamed, Result, SignUrl, Signing, Update,
    Upload, UploadPage, Uploaded, Usage, VersionPage,
};
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How near to production a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The Rust type, with the host's checks around it.
    Rust,
    /// The plugin's tables, linked into the program.
    Linked,
    /// The built library, through the loader.
    Loaded,
}

/// What a subject says of itself.
#[derive(Clone, Debug)]
pub struct SubjectInfo {
    /// Name of the plugin.
    pub plugin: String,
    /// What is driven.
    pub level: Level,
    /// Operations that answer, the host's emulations included.
    pub operations: Operations,
    /// What it claims.
    pub capabilities: Capabilities,
    /// Its numbers.
    pub limits: Limits,
    /// The keys that it takes.
    pub policy: KeyPolicy,
}

impl SubjectInfo {
    /// Whether the operation answers.
    pub fn has(&self, operation: Operation) -> bool {
        self.operations.has(operation)
    }

    /// Whether the capability is claimed.
    pub fn claims(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }
}

/// An opened backend behind the checks of the host. The methods are those of the host's handle.
pub trait Subject: Send + Sync {
    /// What it is.
    fn info(&self) -> &SubjectInfo;

    /// Stores an object.
    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Result<Uploaded>>;
    /// Reads an object.
    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Result<Downloaded>>;
    /// Removes an object.
    fn delete<'a>(&'a self, delete: Delete<'a>) -> BoxFuture<'a, Result<Deleted>>;
    /// Whether an object is there.
    fn exists<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool>>;
    /// Signs a URL. `AtGateway` means that there is no gateway here to do it.
    fn signed_url<'a>(&'a self, sign: SignUrl<'a>) -> BoxFuture<'a, Result<Signing>>;
    /// Facts about an object.
    fn head<'a>(&'a self, head: Head<'a>) -> BoxFuture<'a, Result<ObjectInfo>>;
    /// A page of keys.
    fn list<'a>(&'a self, list: List<'a>) -> BoxFuture<'a, Result<Page>>;
    /// Copies an object.
    fn copy<'a>(&'a self, copy: CopyObject<'a>) -> BoxFuture<'a, Result<Copied>>;
    /// Renames an object.
    fn rename<'a>(&'a self, rename: Rename<'a>) -> BoxFuture<'a, Result<Renamed>>;
    /// Removes many objects.
    fn delete_many<'a>(
        &'a self,
        delete: DeleteMany<'a>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted>>>>;
    /// Whether the store answers.
    fn health(&self) -> BoxFuture<'_, Result<Health>>;
    /// Space.
    fn usage(&self) -> BoxFuture<'_, Result<Usage>>;
    /// Ends *this instance*: later calls fail, they do not open another one.
    fn shutdown(&self) -> BoxFuture<'_, Result<()>>;
    /// A vendor's own call.
    fn custom<'a>(&'a self, custom: Custom<'a>) -> BoxFuture<'a, Result<Bytes>>;

    /// Begins an upload in parts.
    fn create_upload<'a>(&'a self, create: CreateUpload<'a>) -> BoxFuture<'a, Result<String>>;
    /// Stores a part.
    fn put_part<'a>(&'a self, put: PutPart<'a>) -> BoxFuture<'a, Result<Part>>;
    /// A page of the parts of an upload.
    fn list_parts<'a>(&'a self, list: ListParts<'a>) -> BoxFuture<'a, Result<PartPage>>;
    /// A page of uploads in parts.
    fn list_uploads<'a>(&'a self, list: ListUploads<'a>) -> BoxFuture<'a, Result<UploadPage>>;
    /// Makes the object of its parts.
    fn complete_upload<'a>(
        &'a self,
        complete: CompleteUpload<'a>,
    ) -> BoxFuture<'a, Result<Uploaded>>;
    /// Ends an upload in parts without an object.
    fn abort_upload<'a>(&'a self, abort: AbortUpload<'a>) -> BoxFuture<'a, Result<()>>;
    /// Reads many ranges of one version.
    fn download_ranges<'a>(
        &'a self,
        read: DownloadRanges<'a>,
    ) -> BoxFuture<'a, Result<(ObjectInfo, Vec<Vec<u8>>)>>;
    /// A page of versions.
    fn list_versions<'a>(&'a self, list: ListVersions<'a>) -> BoxFuture<'a, Result<VersionPage>>;
    /// Replaces what is kept beside the bytes.
    fn update<'a>(&'a self, update: Update<'a>) -> BoxFuture<'a, Result<ObjectInfo>>;

    /// `exists` under a deadline; `None` where calls have none (the Rust type).
    fn exists_within<'a>(
        &'a self,
        key: &'a Key,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<bool>>> {
        let _ = (key, timeout);
        None
    }

    /// `upload` under a deadline; `None` where calls have none.
    fn upload_within<'a>(
        &'a self,
        upload: Upload<'a>,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<Uploaded>>> {
        let _ = (upload, timeout);
        None
    }

    /// Whether the backend has a method of its own for an operation, past the host's checks. `None` where
    /// only the tables are known.
    fn is_written(&self, operation: Operation) -> Option<BoxFuture<'_, bool>> {
        let _ = operation;
        None
    }

    /// Payload bytes that went through the plugin so far, where they are counted.
    fn bytes_moved(&self) -> Option<u64> {
        None
    }
}

/// A subject on its way.
pub type Opening<'a> = BoxFuture<'a, Result<Arc<dyn Subject>>>;

/// What came back for a signed URL, on its way; the error says why nothing came back.
pub type Following<'a> = BoxFuture<'a, Result<Response<Bytes>, String>>;

/// Where subjects come from. All but [`Stage::open`] is optional: a case that needs what a stage
/// does not have is not applicable, and says what it lacks.
pub trait Stage: Send + Sync {
    /// Another instance on store `store`. Equal numbers are one store; each number that was not
    /// used before is an empty one.
    fn open(&self, store: u32) -> Opening<'_>;

    /// Whether a second instance on the same store sees the objects of the first.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether stores of different numbers are different stores. `false` where the configuration that
    /// is there names one store only; cases that need a second one then do not apply.
    fn has_stores(&self) -> bool {
        true
    }

    /// A look at a store from outside.
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let _ = store;
        None
    }

    /// An instance on store `store` that sees only what is below `prefix` (which ends in `/`).
    fn scoped(&self, store: u32, prefix: &str) -> Option<Opening<'_>> {
        let _ = (store, prefix);
        None
    }

    /// Whether the plugin's descriptor lists this operation; `None` where it is not known.
    fn lists(&self, operation: Operation) -> Option<bool> {
        let _ = operation;
        None
    }

    /// The JSON Schema that the plugin publishes for its configuration.
    fn schema(&self) -> Option<serde_json::Value> {
        None
    }

    /// The configuration with which [`Stage::open`] opens store `store`.
    fn configuration(&self, store: u32) -> Option<serde_json::Value> {
        let _ = store;
        None
    }

    /// An instance with this configuration, which may be a wrong one. B-02, B-03, B-04, B-06.
    fn open_with(&self, config: serde_json::Value) -> Option<Opening<'_>> {
        let _ = config;
        None
    }

    /// An instance with which something is wrong from its beginning. Opening it may fail, which is
    /// judged as its operations are. B-07, B-08, I-04.
    fn broken(&self, how: Broken) -> Option<Opening<'_>> {
        let _ = how;
        None
    }

    /// An instance on store `store` whose HTTP server is at this URL (`http://HOST:PORT`, sometimes
    /// `https`) instead of the real one. `None`: it speaks no HTTP, and nothing tagged `NEED:http`
    /// applies. Otherwise the same configuration as in [`Stage::open`], credentials and container
    /// included, but
    ///
    /// - nothing is made at the server beforehand: there may be none, or one that plays dead;
    /// - connecting and waiting for an answer may take two seconds at most, so that a black hole is
    ///   found out within the limit of a case;
    /// - waits between the plugin's own repeats, if it claims some, are short.
    ///
    /// The server is an [`Endpoint`](crate::wire::Endpoint), which answers what the case wants in
    /// the words of [`Stage::dialect`].
    fn at(&self, store: u32, url: &str) -> Option<Opening<'_>> {
        let _ = (store, url);
        None
    }

    /// How the servers of this plugin word what goes wrong.
    fn dialect(&self) -> Dialect {
        Dialect::Plain
    }

    /// Where the real HTTP server of the stores listens, if there is one and it takes requests that
    /// name another `Host`. O-07 puts an endpoint between, which loses answers.
    fn server(&self) -> Option<SocketAddr> {
        None
    }

    /// Uses a signed URL as a client that has nothing else does: sends this request as it stands and
    /// answers what came back. `None`: URLs cannot be used here, and most of group L does not apply.
    ///
    /// `method` and `uri` (absolute, its query not to be touched) are the request line; the headers
    /// are all that go, beside `Host`. A request with `content-length` sends its body in one piece; one with a
    /// body and without that header sends it chunked. Nothing is followed (redirects), repeated,
    /// or decoded.
    ///
    /// How a stage supplies it depends on who signs:
    ///
    /// - *The store itself* (`sign_get` and others): a real HTTP client. `holdall_conformance::wire::send` is one
    ///   that does no more than is said above: `Some(Box::pin(holdall_conformance::wire::send(request)))`.
    /// - *The gateway, in process*: hand method, URI and headers to the host's gateway; refused is
    ///   403; then do what the grant says and answer as a server would.
    /// - *The gateway, behind a server*: as for the store, with the server's address as
    ///   `gateway.public_url`.
    ///
    /// A stage whose host signs some URLs natively and others at the gateway tells them apart by
    /// the beginning of the URI.
    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        let _ = request;
        None
    }

    /// What is known of the loaded file.
    fn loader(&self) -> Option<&dyn Loader> {
        None
    }

    /// Does a case in the stage's own way: those that need another process, a full disk or a trace
    /// of system calls (E-09, E-10, E-11).
    fn supplies(&self, case: &str) -> Option<BoxFuture<'_, Result<(), String>>> {
        let _ = case;
        None
    }

    /// The size of the parts in which the backend uploads, in bytes.
    fn part_bytes(&self) -> usize {
        1 << 20
    }

    /// Texts that must not be in any error.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What can be wrong with an instance from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The store is there and refuses these credentials.
    Credentials,
    /// The bucket, container or root is not there.
    Container,
}

/// A look at a store that does not go through the plugin.
pub trait DirectAccess: Send + Sync {
    /// Everything that is neither an object nor the store's fixed furniture: temporary files,
    /// unfinished uploads, staging blobs.
    fn leftovers(&self) -> Vec<String>;

    /// Puts an object there as another tool would, also with a name that is not portable.
    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let _ = (name, bytes);
        false
    }

    /// Changes a stored byte in such a way that the backend can only notice by the checksum.
    fn tamper(&self, key: &str) -> bool {
        let _ = key;
        false
    }

    /// The directory in which keys are paths, for backends that keep plain files.
    fn objects_dir(&self) -> Option<PathBuf> {
        None
    }
}

/// What the loader tells of a file. Cases of group A.
pub trait Loader: Send + Sync {
    /// Maps the file and shakes hands, once more each time.
    fn handshake(&self) -> Result<Handshake, String>;

    /// What a host with this ABI major says of the file: `Err` is a clean refusal.
    fn accepts_major(&self, major: u16) -> Option<Result<(), String>>;

    /// Loads and uses the plugin through tables cut or grown by `change` bytes.
    fn with_table_size(&self, change: isize) -> Option<BoxFuture<'_, Result<(), String>>>;

    /// What the process wrote to stdout and stderr while it opened, used and closed the plugin.
    fn output(&self) -> Option<Result<Vec<u8>, String>>;
}

/// Facts of a loaded plugin, as its tables give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The ABI that it was built for.
    pub abi: (u16, u16),
    /// What the descriptor claims.
    pub operations: Operations,
    /// The slots that are filled.
    pub filled: Operations,
    /// What the descriptor claims.
    pub capabilities: Capabilities,
}
