//! Abandoned uploads in parts: those of a process that was killed.
//!
//! A living upload adds a part now and then. One that has had none for the configured time is taken
//! for dead and removed; the store keeps (and bills) its parts without end otherwise. Only what lies
//! below the configured prefix is looked at. S3 and the XML API of Google say it in the same words.

use crate::requests::Requests;
use crate::uploads::{Parts, Upload, Uploads, abort};
use chrono::{DateTime, TimeDelta, Utc};
use holdall_plugin_api::{ErrorKind, Result};
use http::HeaderMap;
use object_store::path::Path;
use std::time::{Duration, SystemTime};

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

async fn all(requests: &Requests, prefix: &str, idle: Duration) -> Result<usize> {
    let mut removed = 0;
    let mut after = None;
    loop {
        let page = Uploads::page(requests, prefix, after.as_ref(), None).await?;
        // By the store's clock, which its answer has just told: a clock of ours that is ahead would
        // make the living look dead.
        let ahead = requests.http().clock_skew().unwrap_or(0);
        let oldest = DateTime::<Utc>::from(SystemTime::now() - idle) + TimeDelta::seconds(ahead);
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
        after = page.next(after.as_ref())?;
        if after.is_none() {
            return Ok(removed);
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
    abort(requests, path, &upload.upload_id).await?;
    Ok(true)
}

/// When the last part of an upload came.
async fn newest(requests: &Requests, path: &Path, upload: &Upload) -> Result<DateTime<Utc>> {
    let mut newest = upload.initiated;
    let mut after = None;
    loop {
        let (id, none) = (&upload.upload_id, HeaderMap::new());
        let page = Parts::page(requests, path, id, after, None, none).await?;
        for part in &page.part {
            newest = newest.max(part.last_modified);
        }
        after = page.next(after)?;
        if after.is_none() {
            return Ok(newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::tests::of;
    use holdall_conformance::wire::{Endpoint, Reply, Seen};
    use http::Method;

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
                "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><LastModified>{time}</LastModified><ETag>e</ETag><Size>1</Size></Part></ListPartsResult>"
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
