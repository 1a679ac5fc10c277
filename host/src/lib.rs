//! Finds, checks, loads and calls storage plugins.
//!
//! For programs that embed the host. Plugin authors want the `holdall-plugin-api` crate instead.
//!
//! ```no_run
//! # async fn example() -> holdall::Result<()> {
//! use holdall::{Download, Host, Upload};
//!
//! // Reads the configuration, scans the directory, runs nothing of what is in it.
//! let host = Host::builder().plugin_dir("plugins").config_file("holdall.toml").build()?;
//! // Loads the plugin and opens the backend, once.
//! let avatars = host.backend("avatars").await?;
//! avatars.upload(Upload::new("u/7.txt", "hello").content_type("text/plain")).await?;
//! let text = avatars.download(Download::new("u/7.txt")).await?.body.collect(1 << 20).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! Naming a plugin directory, in code or in the configuration, is the act of trust: the code of its
//! plugins runs in this process. Loading itself is safe to call.
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

pub use holdall_plugin_api::abi::export::StaticPlugin;
pub use holdall_plugin_api::{
    Body, ByteRange, Bytes, Capabilities, Capability, Cause, Checksums, Copied, Copy, Custom,
    Delete, DeleteMany, Deleted, Download, Downloaded, Durability, Entry, Error, ErrorKind, Family,
    Head, Headers, Health, Key, KeyFault, KeyPolicy, Limits, List, Method, ObjectInfo, Operation,
    Operations, Page, Place, ProviderReply, ReadOptions, Rename, Renamed, Result, Retry, SignUrl,
    SignedUrl, Trailers, Upload, UploadOptions, Uploaded, Usage,
};
