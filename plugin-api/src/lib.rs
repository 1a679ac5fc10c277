#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod answer;
mod backend;
mod bridge;
mod capability;
pub mod contract;
pub mod descriptor;
mod disposition;
mod error;
mod host;
mod key;
mod problems;
mod request;
pub mod rules;
#[cfg(feature = "tokio")]
mod runtime;

#[allow(
    unsafe_code,
    reason = "the boundary itself: raw tables, erased state and panic guards; its rules are numbered in abi/mod.rs"
)]
pub mod abi;

pub use abi::stream::{Body, Trailers};
pub use answer::{
    Checksums, Copied, Deleted, Downloaded, Entry, Health, Instance, ObjectInfo, Page, Renamed,
    SignedUrl, Signing, Uploaded, Usage,
};
pub use backend::StorageBackend;
pub use bytes::Bytes;
pub use capability::{Capabilities, Capability, Limits, Operation, Operations};
pub use disposition::attachment;
pub use error::{Cause, Error, ErrorKind, Family, Place, ProviderReply, Result, Retry};
pub use host::{CallContext, Host, Level};
pub use key::{Key, KeyFault, KeyPolicy, MAX_KEY_BYTES, MAX_SEGMENT_BYTES};
pub use problems::Problems;
pub use request::{
    ByteRange, Copy, Custom, Delete, DeleteMany, Download, Durability, Head, Headers, List,
    MAX_CHUNK, MIN_CHUNK, Method, ReadOptions, Rename, SignUrl, Upload, UploadOptions,
};
