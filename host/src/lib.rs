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
pub use operations::DeletedPrefix;
pub use plugin::{PluginRef, fault, inspect, quarantine, scan, trial, trust};
pub use policy::file_type::implied_content_type;

pub use tokio_util::sync::CancellationToken;

pub use holdall_plugin_api::StaticPlugin;
pub use holdall_plugin_api::contract::Terms;
pub use holdall_plugin_api::{
    Body, ByteRange, Bytes, Capabilities, Capability, Cause, Checksums, Copied, CopyObject, Custom,
    Delete, DeleteMany, Deleted, Download, Downloaded, Durability, Entry, Error, ErrorKind, Family,
    Head, Headers, Health, Key, KeyFault, KeyPolicy, Limits, List, Method, ObjectInfo, Operation,
    Operations, Page, Place, ProviderReply, ReadOptions, Rename, Renamed, Result, Retry, SignUrl,
    SignedUrl, Trailers, Upload, UploadOptions, Uploaded, Usage,
};
