#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod answer;
mod backend;
mod body;
mod capability;
mod checksums;
pub mod contract;
pub mod descriptor;
mod disposition;
mod error;
mod key;
mod parts;
mod problems;
mod ranges;
mod request;
pub mod rules;
mod secret;
mod update;
mod versions;

#[allow(
    unsafe_code,
    reason = "the wire format: raw tables and erased state; its rules are numbered in abi/mod.rs"
)]
pub mod abi;
#[allow(
    unsafe_code,
    reason = "the plugin's side of the boundary: panic guards and pinned operations, by the rules of abi/mod.rs"
)]
#[doc(hidden)]
pub mod sdk;

pub use abi::bytes::Chunk;
#[cfg(unix)]
pub use abi::file::LentFile;
pub use answer::{
    Copied, Deleted, Downloaded, Encrypted, Entry, Health, Instance, ObjectInfo, Page,
    ProviderFacts, Renamed, SignedUrl, Signing, Uploaded, Usage,
};
pub use backend::StorageBackend;
pub use body::{Body, Source, Trailers};
pub use bytes::Bytes;
pub use capability::{Capabilities, Capability, Limits, Operation, Operations};
pub use checksums::Checksums;
pub use disposition::attachment;
pub use error::{Cause, Error, ErrorKind, Family, Place, ProviderReply, Result, Retry};
#[doc(hidden)]
pub use holdall_plugin_api_macros::config_schema as __config_schema;
pub use key::{Key, KeyBuf, KeyFault, KeyPolicy, MAX_KEY_BYTES, MAX_SEGMENT_BYTES};
pub use parts::{
    AbortUpload, CompleteUpload, CreateUpload, ListParts, ListUploads, MAX_PARTS, Part, PartPage,
    PendingUpload, PutPart, UploadPage,
};
pub use problems::Problems;
pub use ranges::{
    DownloadRanges, DownloadedRanges, MAX_RANGES, RangeBuffers, RangeReader, RangeSource,
};
pub use request::{
    ByteRange, CopyObject, CopyOptions, Custom, Delete, DeleteMany, Download, Durability,
    Encryption, Head, Headers, List, MAX_CHUNK, MIN_CHUNK, Method, ReadOptions, Rename, SignUrl,
    Upload, UploadOptions,
};
pub use sdk::export::StaticPlugin;
pub use sdk::host::{CallContext, Host, Level};
pub use secret::Secret;
pub use update::Update;
pub use versions::{ListVersions, ObjectVersion, VersionPage};
