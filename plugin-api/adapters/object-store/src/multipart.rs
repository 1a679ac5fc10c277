//! Uploads in parts that a caller leads, in the protocol of S3, which the XML API of Google speaks too.
//!
//! Beginning, and parts that are held in memory, go through the store's own client, with what it adds to
//! them. Larger parts are streamed. Lists and completions are requests of our own: the client's completion
//! numbers parts without gaps, and knows no condition.

use crate::opened_store::{Condition, OpenedStore};
use crate::reply::Call;
use crate::requests::Requests;
use crate::streamed::Content;
use crate::upload::{self, Gathering, lost, stored};
use crate::uploads::{self, Marker, Parts, Uploads, odd};
use bytes::Bytes;
use holdall_plugin_api::{
    AbortUpload, CompleteUpload, CreateUpload, Error, ErrorKind, ListParts, ListUploads, MAX_PARTS,
    Part, PartPage, PendingUpload, PutPart, Result, UploadPage, Uploaded,
};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{PutMultipartOptions, PutPayload, PutResult};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Fewest bytes of a part but the last, and most of any:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>,
/// <https://cloud.google.com/storage/quotas#requests>.
pub(crate) const PART_BYTES: (u64, u64) = (5 << 20, 5 << 30);

/// Where the parts of callers go, for [`OpenedStore::multipart`].
#[derive(Clone)]
pub struct Multipart {
    store: Arc<dyn MultipartStore>,
    requests: Requests,
    headers: HeaderMap,
    is_digested: bool,
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Multipart").field(&self.requests).finish()
    }
}

impl Multipart {
    /// A bucket, by its client and by requests of our own.
    pub fn new(store: Arc<dyn MultipartStore>, requests: Requests) -> Self {
        Self {
            store,
            requests,
            headers: HeaderMap::new(),
            is_digested: false,
        }
    }

    /// Headers of every request about a part, such as the key that the customer holds. The store's client
    /// adds them itself.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The store's client sends a digest before the bytes: a part is held in memory.
    #[must_use]
    pub fn digested(mut self, is_digested: bool) -> Self {
        self.is_digested = is_digested;
        self
    }

    /// Most bytes of a part.
    pub(crate) fn max_part_bytes(&self, store: &OpenedStore) -> u64 {
        match self.is_digested {
            true => store.buffer_bytes(),
            false => PART_BYTES.1,
        }
    }

    pub(crate) async fn create(
        &self,
        store: &OpenedStore,
        create: &CreateUpload<'_>,
    ) -> Result<String> {
        let path = store.path(create.key.text())?;
        let options = PutMultipartOptions {
            attributes: upload::attributes(store, create.options())?,
            ..PutMultipartOptions::default()
        };
        let call = Call::document();
        let begun = call.run(self.store.create_multipart_opts(&path, options));
        begun.await.map_err(|error| crate::error_of(error, &call))
    }

    /// A part of at most one part of an upload is held in memory and sent again when that helps, and so is
    /// one of unknown length: the store wants to know it first. A larger one is streamed.
    pub(crate) async fn put(&self, store: &OpenedStore, put: PutPart<'_>) -> Result<Part> {
        let path = store.path(put.key.text())?;
        let (number, id) = (put.number, put.upload_id.to_owned());
        let streamed = put.length.filter(|length| {
            *length > store.part_bytes as u64 && !self.is_digested && put.body.as_once().is_none()
        });
        if let Some(length) = streamed {
            let content = Content {
                body: put.body,
                length,
                sha256: put.checksums.sha256,
            };
            let number_text = number.to_string();
            let query = [("partNumber", &*number_text), ("uploadId", &*id)];
            let headers = self.headers.clone();
            let requests = &self.requests;
            let sent = requests.stream(Method::PUT, &path, &query, headers, content);
            let answered = match sent.await {
                Ok(answered) => answered,
                // A store that refuses a part before it has read it may end the connection first.
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    self.parts(&path, &id, None, Some(1)).await?;
                    return Err(error);
                }
                Err(error) => return Err(of_upload(error)),
            };
            let etag = answered.get(ETAG).and_then(|etag| etag.to_str().ok());
            return Ok(Part::new(number, etag.ok_or_else(no_etag)?, length));
        }
        let most = store.buffer_bytes();
        let mut gathering = Gathering::new(put.body, usize::try_from(most).unwrap_or(usize::MAX));
        let whole = gathering.next().await?;
        if !gathering.ended {
            return Err(Error::new(ErrorKind::TooLarge)
                .with_message("a part without a stated length is held in memory: state its length")
                .with_fact("limit", most));
        }
        let payload: PutPayload = whole.into_iter().collect();
        let size = payload.content_length() as u64;
        let call = Call::new();
        // The client counts from 0.
        let index = (number as usize).saturating_sub(1);
        let sent = call.run(self.store.put_part(&path, &id, index, payload));
        let sent = sent.await;
        let part = sent.map_err(|error| of_upload(crate::error_of(error, &call)))?;
        let etag = etag_of(part.content_id);
        match etag.is_empty() {
            true => Err(no_etag()),
            false => Ok(Part::new(number, etag, size)),
        }
    }

    pub(crate) async fn list_parts(
        &self,
        store: &OpenedStore,
        list: &ListParts<'_>,
    ) -> Result<PartPage> {
        let path = store.path(list.key.text())?;
        let after = list.page_token.map(str::parse).transpose();
        let after = after.map_err(|_| foreign_token())?;
        let page = self
            .parts(&path, list.upload_id, after, Some(list.limit))
            .await?;
        let next = page.next(after)?.map(|next| next.to_string());
        let parts = page.part.into_iter();
        let parts = parts.map(|part| {
            Part::new(part.part_number, part.etag, part.size)
                .last_modified(Some(part.last_modified.into()))
        });
        Ok(PartPage::new(parts).next(next))
    }

    async fn parts(
        &self,
        path: &Path,
        id: &str,
        after: Option<u32>,
        limit: Option<u32>,
    ) -> Result<Parts> {
        let headers = self.headers.clone();
        let page = Parts::page(&self.requests, path, id, after, limit, headers);
        page.await.map_err(of_upload)
    }

    pub(crate) async fn list_uploads(
        &self,
        store: &OpenedStore,
        list: &ListUploads<'_>,
    ) -> Result<UploadPage> {
        let prefix = format!("{}{}", store.prefix, list.prefix);
        let after = list.page_token.map(marker).transpose()?;
        let page = Uploads::page(&self.requests, &prefix, after.as_ref(), Some(list.limit));
        let page = page.await?;
        let next = page.next(after.as_ref())?;
        let next = next.map(|next| format!("{}:{}{}", next.id.len(), next.id, next.key));
        let uploads = page.upload.into_iter().filter_map(|upload| {
            let key = upload.key.strip_prefix(&store.prefix)?;
            let created = Some(upload.initiated.into());
            Some(PendingUpload::new(key, upload.upload_id).created(created))
        });
        Ok(UploadPage::new(uploads).next(next))
    }

    /// The parts are looked up first: their sizes are that of the object, a part that is not there has a
    /// number, and a completion names the digests of its parts where there are any.
    pub(crate) async fn complete(
        &self,
        store: &OpenedStore,
        complete: &CompleteUpload<'_>,
    ) -> Result<Uploaded> {
        let (path, id) = (store.path(complete.key.text())?, complete.upload_id);
        let mut known = BTreeMap::new();
        let mut after = None;
        while known.len() < MAX_PARTS as usize {
            let page = self.parts(&path, id, after, None).await?;
            after = page.next(after)?;
            known.extend(page.part.into_iter().map(|part| (part.part_number, part)));
            if after.is_none() {
                break;
            }
        }
        let mut size = 0u64;
        let mut document = Completion { parts: Vec::new() };
        for (number, etag) in &complete.parts {
            match known.remove(number) {
                Some(part) if unquoted(&part.etag) == unquoted(etag) => {
                    size = size.saturating_add(part.size);
                    document.parts.push(Named {
                        number: *number,
                        etag: part.etag,
                        sha256: part.sha256,
                        crc64nvme: part.crc64nvme,
                    });
                }
                _ => return Err(Error::invalid_part(*number)),
            }
        }
        let condition = match complete.if_match {
            Some(etag) => Some(Condition::Etag(etag.to_owned())),
            None => complete.create_only.then_some(Condition::Absent),
        };
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.extend(condition.iter().flat_map(Condition::headers));
        let document = quick_xml::se::to_string(&document);
        let document = document.map_err(|cause| Error::new(ErrorKind::Other).because(cause))?;
        let query = [("uploadId", id)];
        let asked = self
            .requests
            .ask(Method::POST, Some(&path), &query, headers, document.into());
        match asked.await {
            Ok(answer) => stored(store, &path, size, completed(&answer)?).await,
            // Of a repeated request the first may have done it.
            Err(error) if is_unknown(&error) && error.place().attempts > 1 => Err(Error::new(
                ErrorKind::Conflict,
            )
            .with_message(
                "the upload is gone after an attempt whose answer was lost: look at the object",
            )
            .with_provider(error.provider().clone())),
            Err(error) if error.provider().code.as_deref() == Some("InvalidPart") => {
                // All were there. Another completion may have come between, or another part.
                self.parts(&path, id, None, Some(1)).await?;
                let refused = match known.keys().next() {
                    Some(number) => Error::invalid_part(*number)
                        .with_message("this store wants every part named that was stored"),
                    None => Error::invalid("a part of the object was replaced meanwhile")
                        .with_code("invalid_part"),
                };
                Err(refused.with_provider(error.provider().clone()))
            }
            Err(error) => Err(of_completion(error, condition.is_some())),
        }
    }

    pub(crate) async fn abort(&self, store: &OpenedStore, abort: &AbortUpload<'_>) -> Result<()> {
        let path = store.path(abort.key.text())?;
        match uploads::abort(&self.requests, &path, abort.upload_id).await {
            // Of a repeated request the first may have done it.
            Err(error) if is_unknown(&error) && error.place().attempts > 1 => Ok(()),
            Err(error) => Err(of_upload(error)),
            Ok(()) => Ok(()),
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
#[derive(Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
struct Completion {
    #[serde(rename = "Part")]
    parts: Vec<Named>,
}

#[derive(Serialize)]
struct Named {
    #[serde(rename = "PartNumber")]
    number: u32,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "ChecksumSHA256", skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME", skip_serializing_if = "Option::is_none")]
    crc64nvme: Option<String>,
}

/// What a completion answers.
fn completed(answer: &http::Response<Bytes>) -> Result<PutResult> {
    #[derive(Deserialize)]
    struct Completed {
        #[serde(rename = "ETag")]
        etag: Option<String>,
    }
    let text = String::from_utf8_lossy(answer.body());
    // Any other document would pass for a success.
    if !text.contains("<CompleteMultipartUploadResult") {
        return Err(odd());
    }
    let completed: Completed =
        quick_xml::de::from_str(&text).map_err(|cause| odd().because(cause))?;
    let version = ["x-amz-version-id", "x-goog-generation"]
        .iter()
        .find_map(|name| answer.headers().get(*name)?.to_str().ok());
    Ok(PutResult {
        e_tag: completed.etag,
        version: version.map(str::to_owned),
        extensions: Default::default(),
    })
}

/// Where digests are sent, the client's name of a part is a document with its etag.
fn etag_of(content_id: String) -> String {
    #[derive(Deserialize)]
    struct Described {
        e_tag: String,
    }
    match quick_xml::de::from_str::<Described>(&content_id) {
        Ok(described) => described.e_tag,
        Err(_) => content_id,
    }
}

/// Where a page of uploads ended, as its token says it. A length does not lie, whatever is in the two texts.
fn marker(token: &str) -> Result<Marker> {
    let (length, rest) = token.split_once(':').unwrap_or_default();
    let split = length.parse().ok().and_then(|at| rest.split_at_checked(at));
    let (id, key) = split.ok_or_else(foreign_token)?;
    let (id, key) = (id.to_owned(), key.to_owned());
    Ok(Marker { key, id })
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// Ceph has the code of a missing object for a list of parts.
fn is_unknown(error: &Error) -> bool {
    let code = error.provider().code.as_deref();
    error.kind() == ErrorKind::FileNotFound || code == Some("NoSuchUpload")
}

/// The store's own words for an upload that it does not know.
fn of_upload(error: Error) -> Error {
    match is_unknown(&error) {
        true => Error::upload_not_found().with_provider(error.provider().clone()),
        false => error,
    }
}

fn of_completion(error: Error, conditional: bool) -> Error {
    match error.provider().code.as_deref() {
        Some("EntityTooSmall") => {
            Error::invalid("a part but the last is smaller than the store takes")
                .with_provider(error.provider().clone())
        }
        Some("NoSuchUpload") => of_upload(error),
        _ => lost(error, conditional),
    }
}

fn no_etag() -> Error {
    Error::new(ErrorKind::Unavailable).with_message("the store's answer to a part has no etag")
}

fn foreign_token() -> Error {
    Error::invalid("not a page token of this backend")
}

#[cfg(test)]
mod tests;
