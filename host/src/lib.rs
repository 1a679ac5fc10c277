#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

pub mod config;
pub mod gateway;
mod plugin;

mod backend;
mod operations;

mod host;

#[cfg(feature = "object-store")]
pub mod object_store;
#[cfg(feature = "object-store-0_13")]
#[path = "object_store/v0_13.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "the files of `object_store`, for another version of the trait"
)]
pub mod object_store_0_13;
#[cfg(feature = "opendal")]
mod opendal;

pub use backend::{Backend, CallOptions, Cancel, CounterReport, Facts, Latency, OperationReport};
pub use host::{
    BackendStatus, Builder, ErrorStatus, Host, PluginFaults, PluginState, PluginStatus,
    Reconfigured, Registration, Status,
};
pub use operations::DeletedPrefix;
pub use plugin::{PluginRef, fault, inspect, scan};

pub use holdall_plugin_api::StaticPlugin;
pub use holdall_plugin_api::{
    Body, ByteRange, Bytes, Capabilities, Capability, Cause, Checksums, Copied, Copy, Custom,
    Delete, DeleteMany, Deleted, Download, Downloaded, Durability, Entry, Error, ErrorKind, Family,
    Head, Headers, Health, Key, KeyFault, KeyPolicy, Limits, List, Method, ObjectInfo, Operation,
    Operations, Page, Place, ProviderReply, ReadOptions, Rename, Renamed, Result, Retry, SignUrl,
    SignedUrl, Trailers, Upload, UploadOptions, Uploaded, Usage,
};
