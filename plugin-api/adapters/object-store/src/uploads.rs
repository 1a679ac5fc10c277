//! Unfinished uploads in the protocol of S3, which the XML API of Google speaks too: pages of uploads
//! and of their parts. For callers (`multipart`) and for what killed processes leave (`sweep`).

use crate::requests::Requests;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use holdall_plugin_api::{Error, ErrorKind, Result};
use http::{HeaderMap, Method};
use object_store::path::Path;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// A page of uploads: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Uploads {
    #[serde(default)]
    pub(crate) upload: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    encoding_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) upload_id: String,
    pub(crate) initiated: DateTime<Utc>,
}

/// A page of parts: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Parts {
    #[serde(default)]
    pub(crate) part: Vec<Part>,
    #[serde(default)]
    is_truncated: bool,
    next_part_number_marker: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Part {
    pub(crate) part_number: u32,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) last_modified: DateTime<Utc>,
    /// Its digests, where the upload was begun with an algorithm.
    #[serde(rename = "ChecksumSHA256")]
    pub(crate) sha256: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME")]
    pub(crate) crc64nvme: Option<String>,
}

/// Where a page of uploads ended: the key and the id of its last upload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marker {
    pub(crate) key: String,
    pub(crate) id: String,
}

impl Uploads {
    /// A page of the uploads below a prefix.
    pub(crate) async fn page(
        requests: &Requests,
        prefix: &str,
        after: Option<&Marker>,
        limit: Option<u32>,
    ) -> Result<Self> {
        let limit = limit.map(|limit| limit.to_string());
        let mut query = vec![("uploads", ""), ("encoding-type", "url")];
        query.push(("prefix", prefix));
        if let Some(after) = after {
            query.push(("key-marker", &after.key));
            query.push(("upload-id-marker", &after.id));
        }
        if let Some(limit) = &limit {
            query.push(("max-uploads", limit));
        }
        let text = document(requests, None, &query, HeaderMap::new()).await?;
        Self::read(&text)
    }

    fn read(text: &str) -> Result<Self> {
        let mut page: Self = quick_xml::de::from_str(text).map_err(|cause| odd().because(cause))?;
        if page.encoding_type.as_deref() == Some("url") {
            let keys = page.upload.iter_mut().map(|upload| &mut upload.key);
            for name in keys.chain(&mut page.next_key_marker) {
                let plain = name.replace('+', " ");
                let plain = percent_decode_str(&plain).decode_utf8();
                *name = plain.map_err(|cause| odd().because(cause))?.into_owned();
            }
        }
        Ok(page)
    }

    /// Where the next page begins, of a page that began after that marker.
    ///
    /// # Errors
    ///
    /// `Unavailable`: not behind it. Such a store would be asked without end.
    pub(crate) fn next(&self, after: Option<&Marker>) -> Result<Option<Marker>> {
        let key = self.next_key_marker.clone().unwrap_or_default();
        if !self.is_truncated || key.is_empty() {
            return Ok(None);
        }
        let id = self.next_upload_id_marker.clone().unwrap_or_default();
        let next = Marker { key, id };
        match after {
            // The order of the ids of one key is the store's.
            Some(after) if next.key < after.key || next == *after => Err(odd()),
            _ => Ok(Some(next)),
        }
    }
}

impl Parts {
    /// A page of the parts of an upload, after that number. `headers`: what every request about the
    /// object has.
    pub(crate) async fn page(
        requests: &Requests,
        path: &Path,
        id: &str,
        after: Option<u32>,
        limit: Option<u32>,
        headers: HeaderMap,
    ) -> Result<Self> {
        let after = after.map(|after| after.to_string());
        let limit = limit.map(|limit| limit.to_string());
        let mut query = vec![("uploadId", id)];
        if let Some(after) = &after {
            query.push(("part-number-marker", after));
        }
        if let Some(limit) = &limit {
            query.push(("max-parts", limit));
        }
        let text = document(requests, Some(path), &query, headers).await?;
        quick_xml::de::from_str(&text).map_err(|cause| odd().because(cause))
    }

    /// The number after which the next page begins, of a page that began after that number.
    ///
    /// # Errors
    ///
    /// `Unavailable`: not behind it. Such a store would be asked without end.
    pub(crate) fn next(&self, after: Option<u32>) -> Result<Option<u32>> {
        let next = self.next_part_number_marker.filter(|_| self.is_truncated);
        match next {
            Some(_) if next <= after => Err(odd()),
            next => Ok(next),
        }
    }
}

/// Ends an upload; the store frees its parts.
pub(crate) async fn abort(requests: &Requests, path: &Path, id: &str) -> Result<()> {
    let (query, none) = ([("uploadId", id)], HeaderMap::new());
    let asked = requests.make(Method::DELETE, Some(path), &query, none, Bytes::new());
    asked.await.map(drop)
}

async fn document(
    requests: &Requests,
    path: Option<&Path>,
    query: &[(&str, &str)],
    headers: HeaderMap,
) -> Result<String> {
    let asked = requests.make(Method::GET, path, query, headers, Bytes::new());
    Ok(String::from_utf8_lossy(&asked.await?).into_owned())
}

/// An answer of another form.
pub(crate) fn odd() -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_message("the store's answer is not what the request asks for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documents_are_read() {
        let uploads = Uploads::read(
            "<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker><IsTruncated>true</IsTruncated><Upload><Key>a&amp;b</Key><UploadId>u1</UploadId><Initiated>2026-11-26T08:00:00.000Z</Initiated></Upload><Upload><Key>c</Key><UploadId>u2</UploadId><Initiated>2026-11-26T08:00:01.000Z</Initiated></Upload></ListMultipartUploadsResult>",
        )
        .unwrap();
        assert_eq!(uploads.upload.len(), 2);
        assert_eq!(uploads.upload[0].key, "a&b");
        let (key, id) = ("k".to_owned(), "i".to_owned());
        assert_eq!(uploads.next(None).unwrap(), Some(Marker { key, id }));
        let parts: Parts = quick_xml::de::from_str(
            "<ListPartsResult><IsTruncated>false</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1</PartNumber><LastModified>2026-11-26T08:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Part></ListPartsResult>",
        )
        .unwrap();
        assert_eq!((parts.part.len(), parts.next(None).unwrap()), (1, None));
        assert_eq!(
            (parts.part[0].etag.as_str(), parts.part[0].size),
            ("\"e\"", 7)
        );
        let none = Uploads::read("<ListMultipartUploadsResult/>").unwrap();
        assert!(none.upload.is_empty() && none.next(None).unwrap().is_none());
    }

    #[test]
    fn a_page_has_to_end_behind_its_beginning() {
        let marker = |key: &str, id: &str| {
            let (key, id) = (key.to_owned(), id.to_owned());
            Marker { key, id }
        };
        let page = Uploads {
            is_truncated: true,
            next_key_marker: Some("k".to_owned()),
            next_upload_id_marker: Some("i".to_owned()),
            ..Uploads::default()
        };
        for before in [marker("j", "z"), marker("k", "h"), marker("k", "j")] {
            assert_eq!(page.next(Some(&before)).unwrap(), Some(marker("k", "i")));
        }
        for behind in [marker("k", "i"), marker("l", "a")] {
            let refused = page.next(Some(&behind)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
        }
        let page = Parts {
            part: Vec::new(),
            is_truncated: true,
            next_part_number_marker: Some(7),
        };
        assert_eq!(page.next(None).unwrap(), Some(7));
        assert_eq!(page.next(Some(6)).unwrap(), Some(7));
        for behind in [7, 8] {
            let refused = page.next(Some(behind)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn keys_are_decoded_where_they_are_encoded() {
        let page = |encoding: &str| {
            let text = format!(
                "<ListMultipartUploadsResult>{encoding}<NextKeyMarker>a%2Bb+c</NextKeyMarker><IsTruncated>true</IsTruncated><Upload><Key>a%2Bb+c</Key><UploadId>u</UploadId><Initiated>2026-11-26T08:00:00Z</Initiated></Upload></ListMultipartUploadsResult>"
            );
            let page = Uploads::read(&text).unwrap();
            let next = page.next(None).unwrap().unwrap();
            (page.upload[0].key.clone(), next.key)
        };
        let both = |key: &str| (key.to_owned(), key.to_owned());
        assert_eq!(page("<EncodingType>url</EncodingType>"), both("a+b c"));
        assert_eq!(page(""), both("a%2Bb+c"));
    }
}
