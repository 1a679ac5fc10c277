//! Pages of a listing, by requests of our own: S3 and the XML API of Google
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>), and Azure
//! (<https://learn.microsoft.com/rest/api/storageservices/list-blobs>).
//!
//! The store's own client refuses a whole page for one key that is no path of its own, asks for keys in
//! a form that cannot carry every character, takes a contradictory page, and, on Azure, leaves out the
//! blob whose name is the prefix. Here, keys arrive exactly, an entry that is not usable is left out,
//! counted and named in the log, and a page that contradicts itself is an error.

use crate::reply::Call;
use crate::requests::Requests;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{Error, ListResult, ObjectMeta, Result};
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use std::fmt;

/// Empty pages in a row after which a listing is given up. Stores send some where many objects were
/// removed.
const EMPTY_PAGES: usize = 1000;
/// Deeper than any document of a listing.
const DEEPEST: usize = 8;

/// Which protocol a listing speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    S3,
    Azure,
}

/// Lists a bucket or a container, for [`OpenedStore::pages`](crate::OpenedStore::pages).
#[derive(Clone, Debug)]
pub struct Lister {
    requests: Requests,
    dialect: Dialect,
}

impl Lister {
    /// A bucket that speaks S3: `ListObjectsV2`.
    pub fn s3(requests: Requests) -> Self {
        Self {
            requests,
            dialect: Dialect::S3,
        }
    }

    /// A container of Azure. `start_after` is not available.
    pub fn azure(requests: Requests) -> Self {
        Self {
            requests,
            dialect: Dialect::Azure,
        }
    }
}

#[async_trait]
impl PaginatedListStore for Lister {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        if options.offset.is_some() && self.dialect == Dialect::Azure {
            return Err(Error::NotSupported {
                source: "a listing begins at its beginning".into(),
            });
        }
        let limit = options.max_keys.map(|keys| keys.to_string());
        let fixed: [(&str, Option<&str>); 6] = match self.dialect {
            Dialect::S3 => [
                ("list-type", Some("2")),
                ("encoding-type", Some("url")),
                ("prefix", prefix),
                ("delimiter", options.delimiter.as_deref()),
                ("start-after", options.offset.as_deref()),
                ("max-keys", limit.as_deref()),
            ],
            Dialect::Azure => [
                ("restype", Some("container")),
                ("comp", Some("list")),
                ("prefix", prefix),
                ("delimiter", options.delimiter.as_deref()),
                ("", None),
                ("maxresults", limit.as_deref()),
            ],
        };
        let token_field = match self.dialect {
            Dialect::S3 => "continuation-token",
            Dialect::Azure => "marker",
        };
        let mut token = options.page_token;
        for _ in 0..EMPTY_PAGES {
            let query = fixed
                .into_iter()
                .chain([(token_field, token.as_deref())])
                .filter_map(|(name, value)| Some((name, value?)))
                .collect::<Vec<_>>();
            let asked =
                self.requests
                    .send(Method::GET, None, &query, HeaderMap::new(), Bytes::new());
            let document = asked.await.map_err(generic)?;
            let page = Document::parse(&document).map_err(odd)?;
            let (page, left_out) = page.checked(prefix.unwrap_or_default(), options.max_keys)?;
            if let Some(call) = Call::current() {
                call.skip(left_out);
            }
            let found = &page.result;
            let is_empty =
                found.objects.is_empty() && found.common_prefixes.is_empty() && left_out == 0;
            if !is_empty || page.page_token.is_none() {
                return Ok(page);
            }
            if page.page_token == token {
                return Err(odd("an empty page that leads to itself"));
            }
            token = page.page_token;
        }
        Err(odd(format!("{EMPTY_PAGES} empty pages in a row")))
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic {
        store: "holdall",
        source,
    }
}

/// A page that is not what a listing has.
fn odd(what: impl fmt::Display) -> Error {
    generic(format!("the store's listing is not usable: {what}").into())
}

/// An entry or a group, as the document has it; `None` for a text that XML cannot have.
#[derive(Debug, Default)]
struct Item {
    name: Option<String>,
    size: Option<u64>,
    last_modified: Option<DateTime<Utc>>,
    etag: Option<String>,
    /// In Azure's accounts with a hierarchical namespace: no object.
    is_directory: bool,
}

/// A page, as the document has it.
#[derive(Debug, Default)]
struct Document {
    objects: Vec<Item>,
    groups: Vec<Option<String>>,
    /// Names are encoded as in a URL.
    is_encoded: bool,
    is_truncated: bool,
    next: Option<String>,
}

impl Document {
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut document = Self::default();
        let mut reader = Reader::from_reader(bytes);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Vec<u8>> = Vec::new();
        let mut text = Some(String::new());
        let mut item = Item::default();
        let mut is_encoded_name = false;
        loop {
            match reader.read_event().map_err(|cause| cause.to_string())? {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_vec();
                    if open.is_empty()
                        && !matches!(name.as_slice(), b"ListBucketResult" | b"EnumerationResults")
                    {
                        let name = String::from_utf8_lossy(&name).into_owned();
                        return Err(format!("a document that begins with <{name}>"));
                    }
                    if open.len() == DEEPEST {
                        return Err("elements nested too deeply".to_owned());
                    }
                    match name.as_slice() {
                        b"Contents" | b"Blob" => item = Item::default(),
                        _ => {}
                    }
                    is_encoded_name = name == b"Name"
                        && start
                            .try_get_attribute("Encoded")
                            .is_ok_and(|value| value.is_some_and(|value| &*value.value == b"true"));
                    open.push(name);
                    text = Some(String::new());
                }
                Event::Text(piece) => push(&mut text, piece.decode().ok()),
                Event::CData(piece) => push(&mut text, piece.decode().ok()),
                Event::GeneralRef(reference) => push(&mut text, resolved(&reference)),
                Event::End(_) => {
                    let Some(name) = open.pop() else {
                        return Err("an end without a start".to_owned());
                    };
                    let mut value = text.take();
                    if is_encoded_name {
                        value = value.and_then(|value| decoded(&value));
                        is_encoded_name = false;
                    }
                    document.end(open.last(), &name, value, &mut item);
                    if open.is_empty() {
                        return Ok(document);
                    }
                }
                Event::DocType(_) => return Err("a document type".to_owned()),
                Event::Eof => return Err("the document ends too early".to_owned()),
                _ => {}
            }
        }
    }

    /// An element with this text ends.
    fn end(
        &mut self,
        parent: Option<&Vec<u8>>,
        name: &[u8],
        text: Option<String>,
        item: &mut Item,
    ) {
        let filled = || text.clone().filter(|text| !text.is_empty());
        match (parent.map_or(&b""[..], Vec::as_slice), name) {
            (b"ListBucketResult", b"IsTruncated") => {
                self.is_truncated = text.is_some_and(|text| text.trim() == "true");
            }
            (b"ListBucketResult", b"EncodingType") => {
                self.is_encoded = text.is_some_and(|text| text.trim() == "url");
            }
            (b"ListBucketResult", b"NextContinuationToken")
            | (b"EnumerationResults", b"NextMarker") => self.next = filled(),
            (b"Contents", b"Key") | (b"Blob", b"Name") => item.name = text,
            (b"Contents", b"Size") | (b"Properties", b"Content-Length") => {
                item.size = text.and_then(|text| text.trim().parse().ok());
            }
            (b"Contents", b"LastModified") => {
                let time = text.and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
                item.last_modified = time.map(|time| time.to_utc());
            }
            (b"Properties", b"Last-Modified") => {
                let time = text.and_then(|text| DateTime::parse_from_rfc2822(text.trim()).ok());
                item.last_modified = time.map(|time| time.to_utc());
            }
            (b"Contents", b"ETag") => item.etag = filled(),
            // Without the quotes that every other answer has.
            (b"Properties", b"Etag") => {
                item.etag = filled().map(|etag| match etag.starts_with('"') {
                    true => etag,
                    false => format!("\"{etag}\""),
                });
            }
            (b"Properties", b"ResourceType") => {
                item.is_directory = text.is_some_and(|text| text == "directory");
            }
            (b"CommonPrefixes", b"Prefix") | (b"BlobPrefix", b"Name") => self.groups.push(text),
            (_, b"Contents" | b"Blob") => self.objects.push(std::mem::take(item)),
            _ => {}
        }
    }

    /// The page, and the number of entries that were left out.
    ///
    /// # Errors
    ///
    /// A page that contradicts itself, or the request.
    fn checked(self, prefix: &str, limit: Option<usize>) -> Result<(PaginatedListResult, u64)> {
        if self.is_truncated && self.next.is_none() {
            return Err(odd(
                "it goes on (`IsTruncated`) and has no continuation token",
            ));
        }
        let count = self.objects.len() + self.groups.len();
        if limit.is_some_and(|limit| count > limit) {
            return Err(odd(format!(
                "{count} entries, at most {} were asked for",
                limit.unwrap_or_default()
            )));
        }
        let name_of = |name: Option<String>| match self.is_encoded {
            true => name.and_then(|name| decoded(&name.replace('+', " "))),
            false => name,
        };
        let mut left_out = 0;
        let mut leave_out = |name: Option<&str>, why: &str| {
            left_out += 1;
            let name = name.map(crate::answer::short);
            tracing::debug!(name, why, "an entry of a listing is left out");
        };
        let mut result = ListResult {
            objects: Vec::with_capacity(self.objects.len()),
            common_prefixes: Vec::with_capacity(self.groups.len()),
            extensions: Default::default(),
        };
        for object in self.objects.into_iter().filter(|item| !item.is_directory) {
            let Some(name) = name_of(object.name) else {
                leave_out(None, "its name is not text");
                continue;
            };
            if !name.starts_with(prefix) {
                return Err(odd(format!("{name:?} is outside the prefix {prefix:?}")));
            }
            match (path(&name), object.size, object.last_modified) {
                (Some(location), Some(size), Some(last_modified)) => {
                    result.objects.push(ObjectMeta {
                        location,
                        last_modified,
                        size,
                        e_tag: object.etag,
                        version: None,
                    });
                }
                (None, _, _) => leave_out(Some(&name), "its name is not portable"),
                (_, None, _) => leave_out(Some(&name), "its size is not a number of bytes"),
                (_, _, None) => leave_out(Some(&name), "its time is not a time"),
            }
        }
        for name in self.groups {
            let Some(name) = name_of(name) else {
                leave_out(None, "its name is not text");
                continue;
            };
            // The slash at the end of a group is its delimiter.
            match path(name.strip_suffix('/').unwrap_or(&name)) {
                Some(path) => result.common_prefixes.push(path),
                None => leave_out(Some(&name), "its name is not portable"),
            }
        }
        let page_token = self.next;
        Ok((PaginatedListResult { result, page_token }, left_out))
    }
}

fn push(text: &mut Option<String>, piece: Option<impl AsRef<str>>) {
    match (text.as_mut(), piece) {
        (Some(text), Some(piece)) => text.push_str(piece.as_ref()),
        _ => *text = None,
    }
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref().ok()? {
        Some(character) => Some(character.to_string()),
        None => {
            let name = reference.decode().ok()?;
            quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// The path of exactly this name.
fn path(name: &str) -> Option<Path> {
    let path = Path::parse(name).ok()?;
    (!name.is_empty() && path.as_ref() == name).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(inner: &str) -> Result<(PaginatedListResult, u64)> {
        let text = format!("<?xml version=\"1.0\"?><ListBucketResult>{inner}</ListBucketResult>");
        let document = Document::parse(text.as_bytes()).map_err(odd)?;
        document.checked("", Some(1000))
    }

    fn contents(keys: &[&str]) -> String {
        keys.iter()
            .map(|key| format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"))
            .collect()
    }

    fn keys(found: &PaginatedListResult) -> Vec<&str> {
        let objects = found.result.objects.iter();
        objects.map(|object| object.location.as_ref()).collect()
    }

    #[test]
    fn keys_that_are_no_paths_are_left_out_and_counted() {
        let mixed = contents(&[
            "a", "a//b", "a/", "/a", "a/../b", "x&amp;y", "&#x1;", "&#0;", "z",
        ]);
        let (found, left_out) = s3(&mixed).unwrap();
        assert_eq!((keys(&found), left_out), (vec!["a", "x&y", "z"], 6));
        assert_eq!(found.result.objects[0].e_tag.as_deref(), Some("\"e\""));
    }

    #[test]
    fn encoded_keys_are_exact() {
        let odd = contents(&["a+b%2Bc%25", "%EF%BF%BE", "%01", "%FF", "p%2Fq"]);
        let (found, left_out) = s3(&format!("{odd}<EncodingType>url</EncodingType>")).unwrap();
        assert_eq!(keys(&found), ["a b+c%", "\u{fffe}", "p/q"]);
        assert_eq!(left_out, 2);
        // A store that does not know the parameter does not encode.
        let (found, _) = s3(&contents(&["a+b%2B"])).unwrap();
        assert_eq!(keys(&found), ["a+b%2B"]);
    }

    #[test]
    fn sizes_and_times_that_are_none_are_left_out() {
        for (what, with) in [
            ("<Size>1<", "<Size>-1<"),
            ("<Size>1<", "<Size>99999999999999999999<"),
            ("2026-01", "2026-13"),
        ] {
            let page = contents(&["a"]).replace(what, with);
            assert_ne!(page, contents(&["a"]), "{what}");
            let (found, left_out) = s3(&page).unwrap();
            assert_eq!((keys(&found).len(), left_out), (0, 1), "{with}");
        }
    }

    #[test]
    fn a_page_that_contradicts_itself_is_refused() {
        let truncated = "<IsTruncated>true</IsTruncated>";
        assert!(s3(truncated).is_err());
        assert!(s3(&format!("{truncated}<NextContinuationToken/>")).is_err());
        let next = "<NextContinuationToken>t</NextContinuationToken>";
        let (found, _) = s3(&format!("{truncated}{next}")).unwrap();
        assert_eq!(found.page_token.as_deref(), Some("t"));
        let two = format!(
            "<ListBucketResult>{}</ListBucketResult>",
            contents(&["a", "b"])
        );
        let document = || Document::parse(two.as_bytes()).unwrap();
        assert!(document().checked("", Some(1)).is_err(), "too many");
        assert!(document().checked("a", None).is_err(), "outside the prefix");
        assert!(document().checked("", None).is_ok());
    }

    #[test]
    fn another_document_is_no_listing() {
        for other in [
            "",
            "{}",
            "<html/>",
            "<ListBucketResult><Contents>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult/>",
        ] {
            assert!(Document::parse(other.as_bytes()).is_err(), "{other}");
        }
        assert!(Document::parse(b"<ListBucketResult/>").is_ok());
    }

    #[test]
    fn groups_keep_their_slash() {
        let groups = "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>a//</Prefix></CommonPrefixes>";
        let (found, left_out) = s3(groups).unwrap();
        assert_eq!(found.result.common_prefixes, [Path::from("a")]);
        assert_eq!(left_out, 1);
    }

    #[test]
    fn a_page_of_azure() {
        let page = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a/\"><Prefix>foo</Prefix><Blobs><Blob><Name>foo</Name><Properties><Last-Modified>Mon, 09 Nov 2026 08:49:37 GMT</Last-Modified><Etag>0x8D</Etag><Content-Length>7</Content-Length></Properties></Blob><BlobPrefix><Name>foo/</Name></BlobPrefix><Blob><Name>foo&amp;b</Name><Properties><Last-Modified>Mon, 09 Nov 2026 08:49:37 GMT</Last-Modified><Content-Length>0</Content-Length><ResourceType>directory</ResourceType></Properties></Blob><Blob><Name Encoded=\"true\">foo%EF%BF%BE+</Name><Properties><Last-Modified>Mon, 09 Nov 2026 08:49:37 GMT</Last-Modified><Content-Length>1</Content-Length></Properties></Blob></Blobs><NextMarker>next</NextMarker></EnumerationResults>";
        let document = Document::parse(page.as_bytes()).unwrap();
        let (page, left_out) = document.checked("foo", Some(4)).unwrap();
        assert_eq!((page.page_token.as_deref(), left_out), (Some("next"), 0));
        assert_eq!(page.result.common_prefixes, [Path::from("foo")]);
        assert_eq!(keys(&page), ["foo", "foo\u{fffe}+"]);
        let object = &page.result.objects[0];
        assert_eq!(
            (object.size, object.e_tag.as_deref()),
            (7, Some("\"0x8D\""))
        );
        assert_eq!(object.last_modified.timestamp(), 1_794_214_177);
        let empty = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        let (page, _) = Document::parse(empty.as_bytes())
            .unwrap()
            .checked("", None)
            .unwrap();
        assert!(page.result.objects.is_empty() && page.page_token.is_none());
    }
}
