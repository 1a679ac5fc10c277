#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

pub mod audit;
pub mod config;
pub mod gateway;
pub mod ledger;
#[allow(
    unsafe_code,
    reason = "asks the operating system for what no safe library offers"
)]
pub mod platform;
mod plugin;
pub mod policy;

mod backend;
mod operations;

mod host;

pub use backend::{
    Backend, BackendInfo, CallOptions, CounterReport, DEFAULT_OWNER, Latency, OperationReport,
};
pub use config::Mount;
pub use host::{
    BackendStatus, Builder, ErrorStatus, FileState, Host, OpenLedger, PluginFaults, PluginState,
    PluginStatus, Reconfigured, Registration, Status, Upgraded,
};
pub use operations::{DeletedPrefix, Ranges};
pub use plugin::extensions::offer_extension;
pub use plugin::{PluginRef, fault, inspect, quarantine, scan, trial, trust};
pub use policy::file_type::implied_content_type;

pub use tokio_util::sync::CancellationToken;

#[cfg(unix)]
pub use holdall_plugin_api::LentFile;
pub use holdall_plugin_api::StaticPlugin;
pub use holdall_plugin_api::contract::Terms;
pub use holdall_plugin_api::{
    AbortUpload, Body, ByteRange, Bytes, Capabilities, Capability, Cause, Checksums,
    CompleteUpload, Copied, CopyObject, CopyOptions, CreateUpload, Custom, Delete, DeleteMany,
    Deleted, Download, DownloadRanges, Downloaded, Durability, Encrypted, Encryption, Entry, Error,
    ErrorKind, Family, Head, Headers, Health, Key, KeyFault, KeyPolicy, Limits, List, ListParts,
    ListUploads, ListVersions, Method, ObjectInfo, ObjectVersion, Operation, Operations, Page,
    Part, PartPage, PendingUpload, Place, ProviderFacts, ProviderReply, PutPart, ReadOptions,
    Rename, Renamed, Result, Retry, SignUrl, SignedUrl, Trailers, Update, Upload, UploadOptions,
    UploadPage, Uploaded, Usage, VersionPage,
};
