//! Pages of a listing: <https://learn.microsoft.com/rest/api/storageservices/list-blobs>.
//!
//! The store's own client leaves out the blob whose name is the prefix itself (to it, a folder), and
//! takes etags without the quotes that every other answer has.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use holdall_plugin_api_object_store::Requests;
use http::{HeaderMap, Method};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{Error, ListResult, ObjectMeta, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Blobs {
    blob: Vec<Blob>,
    blob_prefix: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: String,
    properties: Properties,
}

#[derive(Debug, Deserialize)]
struct Properties {
    #[serde(rename = "Content-Length")]
    size: u64,
    #[serde(rename = "Last-Modified")]
    last_modified: String,
    #[serde(rename = "Etag")]
    etag: Option<String>,
    /// `directory` in accounts with a hierarchical namespace: no object.
    #[serde(rename = "ResourceType")]
    resource: Option<String>,
}

/// Lists a container.
pub(crate) struct Lister(pub(crate) Requests);

#[async_trait]
impl PaginatedListStore for Lister {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        if options.offset.is_some() {
            return Err(Error::NotSupported {
                source: "a listing begins at its beginning".into(),
            });
        }
        let limit = options.max_keys.map(|keys| keys.to_string());
        let query: Vec<_> = [
            ("restype", Some("container")),
            ("comp", Some("list")),
            ("prefix", prefix),
            ("delimiter", options.delimiter.as_deref()),
            ("marker", options.page_token.as_deref()),
            ("maxresults", limit.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        // Within the adapter's own call, which takes foreign entries out of the answer.
        let asked = self
            .0
            .send(Method::GET, None, &query, HeaderMap::new(), Bytes::new());
        parse(&asked.await.map_err(generic)?)
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic {
        store: "azblob",
        source,
    }
}

fn parse(document: &[u8]) -> Result<PaginatedListResult> {
    // Some versions of the service begin with a mark of the byte order.
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let page: Page = quick_xml::de::from_reader(document).map_err(|cause| generic(cause.into()))?;
    let mut objects = Vec::with_capacity(page.blobs.blob.len());
    for blob in page.blobs.blob {
        if blob.properties.resource.as_deref() == Some("directory") {
            continue;
        }
        let time = DateTime::parse_from_rfc2822(&blob.properties.last_modified);
        objects.push(ObjectMeta {
            location: Path::parse(&blob.name)?,
            last_modified: time.map_err(|cause| generic(cause.into()))?.to_utc(),
            size: blob.properties.size,
            e_tag: blob.properties.etag.map(quoted),
            version: None,
        });
    }
    let groups = page.blobs.blob_prefix.into_iter();
    let common_prefixes = groups.map(|group| Ok(Path::parse(group.name)?));
    Ok(PaginatedListResult {
        result: ListResult {
            common_prefixes: common_prefixes.collect::<Result<_>>()?,
            objects,
            extensions: Default::default(),
        },
        page_token: page.next_marker.filter(|token| !token.is_empty()),
    })
}

/// As in the headers of all other answers.
fn quoted(etag: String) -> String {
    match etag.starts_with('"') {
        true => etag,
        false => format!("\"{etag}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let page = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a/\"><Prefix>foo</Prefix><Blobs><Blob><Name>foo</Name><Properties><Last-Modified>Mon, 09 Nov 2026 08:49:37 GMT</Last-Modified><Etag>0x8D</Etag><Content-Length>7</Content-Length></Properties></Blob><BlobPrefix><Name>foo/</Name></BlobPrefix><Blob><Name>foo&amp;b</Name><Properties><Last-Modified>Mon, 09 Nov 2026 08:49:37 GMT</Last-Modified><Content-Length>0</Content-Length><ResourceType>directory</ResourceType></Properties></Blob></Blobs><NextMarker>next</NextMarker></EnumerationResults>";
        let page = parse(page.as_bytes()).unwrap();
        assert_eq!(page.page_token.as_deref(), Some("next"));
        assert_eq!(page.result.common_prefixes, [Path::from("foo")]);
        let [object] = &page.result.objects[..] else {
            panic!("{page:?}");
        };
        assert_eq!((object.location.as_ref(), object.size), ("foo", 7));
        assert_eq!(object.e_tag.as_deref(), Some("\"0x8D\""));
        assert_eq!(object.last_modified.timestamp(), 1_794_214_177);
    }

    #[test]
    fn an_empty_page() {
        let page = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        let page = parse(page.as_bytes()).unwrap();
        assert!(page.result.objects.is_empty() && page.page_token.is_none());
    }
}
