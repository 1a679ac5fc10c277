//! Abandoned uploads in parts: those of a process that was killed.
//!
//! A living upload adds a part now and then. One that has had none for the configured time is taken
//! for dead and removed; the store keeps (and bills) its parts without end otherwise. Only what lies
//! below the configured prefix is looked at. S3 and the XML API of Google say it in the same words.

use crate::requests::Requests;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use holdall_plugin_api::{Error, ErrorKind, Result};
use http::{HeaderMap, Method};
use object_store::path::Path;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    #[serde(default)]
    upload: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parts {
    #[serde(default)]
    part: Vec<Part>,
    #[serde(default)]
    is_truncated: bool,
    next_part_number_marker: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    last_modified: DateTime<Utc>,
}

/// Removes the unfinished uploads below a prefix to which no part was added for so long; says in the
/// log how that went.
pub(crate) async fn sweep(requests: Requests, prefix: String, after: Duration) {
    match all(&requests, &prefix, after).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "unfinished uploads of others were removed"),
        // Many a key may write and not list. The uploads stay, and nothing else is wrong.
        Err(error) => tracing::debug!(%error, "unfinished uploads cannot be looked for"),
    }
}

async fn all(requests: &Requests, prefix: &str, after: Duration) -> Result<usize> {
    let mut removed = 0;
    let mut markers = (String::new(), String::new());
    loop {
        let mut query = vec![("uploads", ""), ("prefix", prefix)];
        if !markers.0.is_empty() {
            query.push(("key-marker", &markers.0));
            query.push(("upload-id-marker", &markers.1));
        }
        let page: Uploads = document(requests, None, &query).await?;
        // By the store's clock, which its answer has just told: a clock of ours that is ahead would
        // make the living look dead.
        let ahead = requests.http().clock_skew().unwrap_or(0);
        let oldest = DateTime::<Utc>::from(SystemTime::now() - after) + TimeDelta::seconds(ahead);
        for upload in &page.upload {
            // Keys that are no path are not ours.
            let Ok(path) = Path::parse(&upload.key) else {
                continue;
            };
            if path.as_ref() != upload.key || upload.initiated > oldest {
                continue;
            }
            match remove_stale(requests, &path, upload, oldest).await {
                Ok(true) => removed += 1,
                Ok(false) => {}
                // Completed, or removed by another sweep.
                Err(error)
                    if matches!(error.kind(), ErrorKind::FileNotFound | ErrorKind::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        match (page.is_truncated, page.next_key_marker) {
            (true, Some(key)) if !key.is_empty() => {
                markers = (key, page.next_upload_id_marker.unwrap_or_default());
            }
            _ => return Ok(removed),
        }
    }
}

/// Removes an upload unless a part came later than that.
async fn remove_stale(
    requests: &Requests,
    path: &Path,
    upload: &Upload,
    oldest: DateTime<Utc>,
) -> Result<bool> {
    if newest(requests, path, upload).await? > oldest {
        return Ok(false);
    }
    let query = [("uploadId", upload.upload_id.as_str())];
    let asked = requests.make(
        Method::DELETE,
        Some(path),
        &query,
        HeaderMap::new(),
        Bytes::new(),
    );
    asked.await.map(|_| true)
}

/// When the last part of an upload came.
async fn newest(requests: &Requests, path: &Path, upload: &Upload) -> Result<DateTime<Utc>> {
    let mut newest = upload.initiated;
    let mut marker = String::new();
    loop {
        let mut query = vec![("uploadId", upload.upload_id.as_str())];
        if !marker.is_empty() {
            query.push(("part-number-marker", &marker));
        }
        let page: Parts = document(requests, Some(path), &query).await?;
        for part in &page.part {
            newest = newest.max(part.last_modified);
        }
        match (page.is_truncated, page.next_part_number_marker) {
            (true, Some(next)) => marker = next.to_string(),
            _ => return Ok(newest),
        }
    }
}

async fn document<T: for<'a> Deserialize<'a>>(
    requests: &Requests,
    path: Option<&Path>,
    query: &[(&str, &str)],
) -> Result<T> {
    let asked = requests.make(Method::GET, path, query, HeaderMap::new(), Bytes::new());
    let text = asked.await?;
    quick_xml::de::from_str(&String::from_utf8_lossy(&text)).map_err(|cause| {
        Error::new(ErrorKind::Unavailable)
            .with_message("the store's answer is not what the request asks for")
            .because(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::tests::of;
    use holdall_conformance::wire::{Endpoint, Reply, Seen};

    #[test]
    fn both_documents_are_read() {
        let uploads: Uploads = quick_xml::de::from_str(
            "<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker><IsTruncated>true</IsTruncated><Upload><Key>a&amp;b</Key><UploadId>u1</UploadId><Initiated>2026-11-26T08:00:00.000Z</Initiated></Upload><Upload><Key>c</Key><UploadId>u2</UploadId><Initiated>2026-11-26T08:00:01.000Z</Initiated></Upload></ListMultipartUploadsResult>",
        )
        .unwrap();
        assert_eq!((uploads.upload.len(), uploads.is_truncated), (2, true));
        assert_eq!(uploads.upload[0].key, "a&b");
        let parts: Parts = quick_xml::de::from_str(
            "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><LastModified>2026-11-26T08:00:00.000Z</LastModified></Part></ListPartsResult>",
        )
        .unwrap();
        assert_eq!(parts.part.len(), 1);
        let none: Uploads = quick_xml::de::from_str("<ListMultipartUploadsResult/>").unwrap();
        assert!(none.upload.is_empty());
    }

    const UPLOADS: &str = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\
        <Upload><Key>gone</Key><UploadId>u1</UploadId><Initiated>2020-11-20T08:00:00Z</Initiated></Upload>\
        <Upload><Key>dead</Key><UploadId>u2</UploadId><Initiated>2020-11-20T08:00:00Z</Initiated></Upload>\
        <Upload><Key>slow</Key><UploadId>u3</UploadId><Initiated>2020-11-20T08:00:00Z</Initiated></Upload>\
        <Upload><Key>young</Key><UploadId>u4</UploadId><Initiated>2020-11-26T08:00:00Z</Initiated></Upload>\
        </ListMultipartUploadsResult>";

    /// A store whose clock says the 26th of November, 9 h, whatever ours says.
    fn store(asked: &Seen) -> Reply {
        let part = |time: &str| {
            format!(
                "<ListPartsResult><IsTruncated>false</IsTruncated><Part><LastModified>{time}</LastModified></Part></ListPartsResult>"
            )
        };
        let reply = match (asked.method.as_str(), asked.target.as_str()) {
            ("GET", target) if target.contains("uploads") => Reply::new(200).body(UPLOADS),
            ("GET", target) if target.contains("/gone") => {
                Reply::new(404).body("<Error><Code>NoSuchUpload</Code></Error>")
            }
            ("GET", target) if target.contains("/slow") => {
                Reply::new(200).body(part("2020-11-26T08:00:00Z"))
            }
            ("GET", _) => Reply::new(200).body(part("2020-11-20T08:00:00Z")),
            _ => Reply::new(204),
        };
        reply.header("date", "Thu, 26 Nov 2020 09:00:00 GMT")
    }

    #[tokio::test]
    async fn only_the_dead_go_by_the_store_s_own_clock() {
        let endpoint = Endpoint::start(store).await;
        let requests = of(&endpoint.url());
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(all(&requests, "", day).await.unwrap(), 1);
        let seen = endpoint.seen().into_iter();
        let removed: Vec<_> = seen.filter(|seen| seen.method == Method::DELETE).collect();
        assert_eq!(removed.len(), 1);
        assert!(removed[0].target.contains("/dead"), "{removed:?}");
    }
}
