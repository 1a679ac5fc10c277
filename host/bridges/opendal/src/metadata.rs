//! Conversion of metadata.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdall_plugin_api::{Entry, ObjectInfo};
use opendal_core::raw::Timestamp;
use opendal_core::{Metadata, MetadataBuilder};
use std::time::SystemTime;

pub(super) fn of_object(info: &ObjectInfo) -> Metadata {
    let mut built = MetadataBuilder::file(info.size);
    common(&mut built, info.etag.as_deref(), info.last_modified);
    if let Some(version) = &info.version {
        built.version(version);
    }
    if let Some(content_type) = &info.content_type {
        built.content_type(content_type);
    }
    if let Some(value) = &info.cache_control {
        built.cache_control(value);
    }
    if let Some(value) = &info.content_disposition {
        built.content_disposition(value);
    }
    if let Some(value) = &info.content_encoding {
        built.content_encoding(value);
    }
    if let Some(md5) = info.checksums.md5 {
        built.content_md5(STANDARD.encode(md5));
    }
    if !info.metadata.is_empty() {
        built.user_metadata(info.metadata.iter().cloned());
    }
    built.build()
}

pub(super) fn of_entry(entry: &Entry) -> Metadata {
    let mut built = MetadataBuilder::file(entry.size);
    common(&mut built, entry.etag.as_deref(), entry.last_modified);
    built.build()
}

pub(super) fn common(
    built: &mut MetadataBuilder,
    etag: Option<&str>,
    last_modified: Option<SystemTime>,
) {
    if let Some(etag) = etag {
        built.etag(etag);
    }
    // A time outside the range of OpenDAL is left out.
    if let Some(time) = last_modified.and_then(|time| Timestamp::try_from(time).ok()) {
        built.last_modified(time);
    }
}
