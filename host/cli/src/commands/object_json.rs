//! Facts about an object, as programs get them.

use holdall::{Checksums, ObjectInfo, Uploaded, implied_content_type};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::address::Address;
use crate::values::{hex, moment};

/// One object. What is not known is left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ObjectJson {
    address: String,
    backend: String,
    key: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_language: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    checksums: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl ObjectJson {
    fn at(address: &Address, backend: &str) -> Self {
        Self {
            address: format!("{backend}:{}", address.key),
            backend: backend.to_owned(),
            key: address.key.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn stored(address: &Address, backend: &str, uploaded: Uploaded) -> Self {
        Self {
            size: uploaded.size,
            etag: uploaded.etag,
            version: uploaded.version,
            last_modified: uploaded.last_modified.map(moment),
            checksums: digests(&uploaded.checksums),
            url: uploaded.url,
            ..Self::at(address, backend)
        }
    }

    pub(crate) fn known(address: &Address, backend: &str, info: ObjectInfo) -> Self {
        Self {
            size: info.size,
            etag: info.etag,
            version: info.version,
            last_modified: info.last_modified.map(moment),
            content_type: info
                .content_type
                .or_else(|| implied_content_type(&*address.key).map(str::to_owned)),
            cache_control: info.cache_control,
            content_disposition: info.content_disposition,
            content_encoding: info.content_encoding,
            content_language: info.content_language,
            metadata: info
                .metadata
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
            checksums: digests(&info.checksums),
            url: info.url,
            ..Self::at(address, backend)
        }
    }
}

fn digests(checksums: &Checksums) -> Map<String, Value> {
    let known = [
        ("crc32c", checksums.crc32c.map(|crc| format!("{crc:08x}"))),
        ("md5", checksums.md5.map(|digest| hex(&digest))),
        ("sha256", checksums.sha256.map(|digest| hex(&digest))),
    ];
    let known = known
        .into_iter()
        .filter_map(|(name, digest)| Some((name.to_owned(), digest?.into())));
    known.collect()
}
