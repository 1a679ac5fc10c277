//! A subject whose errors and objects are noted: the errors are judged at the end of a run (N-01),
//! the objects are removed at the end of the case.

use crate::case::{Outcome, Stop, ensure};
use crate::data;
use crate::subject::{Subject, SubjectInfo};
use holdall_plugin_api::{
    AbortUpload, Bytes, Capability, CompleteUpload, Copied, CopyObject, CreateUpload, Custom,
    Delete, DeleteMany, Deleted, Download, DownloadRanges, Downloaded, Error, ErrorKind, Head,
    Health, Key, List, ListParts, ListUploads, ListVersions, MAX_CHUNK, ObjectInfo, Operation,
    Page, Part, PartPage, PutPart, Rename, Renamed, Result, SignUrl, Signing, Update, Upload,
    UploadPage, Uploaded, Usage, VersionPage,
};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An error that a case has met.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    pub(crate) case: &'static str,
    pub(crate) operation: Operation,
    /// The keys of the request; none for operations without one.
    pub(crate) keys: Vec<String>,
    pub(crate) error: Error,
}

#[derive(Default)]
struct Journal {
    met: Vec<Met>,
    made: BTreeSet<String>,
}

/// A subject under observation. Clones share their notes.
#[derive(Clone)]
pub(crate) struct Watched {
    subject: Arc<dyn Subject>,
    journal: Arc<Mutex<Journal>>,
    case: &'static str,
    /// Calls that were answered, of all subjects of the case.
    answers: Arc<AtomicU64>,
}

impl Watched {
    pub(crate) fn new(subject: Arc<dyn Subject>, case: &'static str) -> Self {
        Self {
            subject,
            journal: Arc::default(),
            case,
            answers: Arc::default(),
        }
    }

    /// Another subject of the same case, with notes of its own.
    pub(crate) fn another(&self, subject: Arc<dyn Subject>) -> Self {
        Self {
            answers: Arc::clone(&self.answers),
            ..Self::new(subject, self.case)
        }
    }

    /// Counts the answers of all subjects of the case.
    pub(crate) fn answers(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.answers)
    }

    pub(crate) fn info(&self) -> &SubjectInfo {
        self.subject.info()
    }

    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.info().has(operation)
    }

    pub(crate) fn claims(&self, capability: Capability) -> bool {
        self.info().claims(capability)
    }

    pub(crate) fn subject(&self) -> &Arc<dyn Subject> {
        &self.subject
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn noted<T>(
        &self,
        operation: Operation,
        keys: Vec<String>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let answer = call.await;
        self.answers.fetch_add(1, Ordering::Relaxed);
        answer.inspect_err(|error| {
            self.journal().met.push(Met {
                case: self.case,
                operation,
                keys,
                error: error.clone(),
            });
        })
    }

    pub(crate) async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let key = upload.key.text().to_owned();
        self.journal().made.insert(key.clone());
        self.noted(Operation::Upload, vec![key], self.subject.upload(upload))
            .await
    }

    /// `None` where calls have no deadline.
    pub(crate) async fn upload_within(
        &self,
        upload: Upload<'_>,
        timeout: Duration,
    ) -> Option<Result<Uploaded>> {
        let key = upload.key.text().to_owned();
        self.journal().made.insert(key.clone());
        let call = self.subject.upload_within(upload, timeout)?;
        Some(self.noted(Operation::Upload, vec![key], call).await)
    }

    pub(crate) async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let key = download.key.text().to_owned();
        let call = self.subject.download(download);
        self.noted(Operation::Download, vec![key], call).await
    }

    pub(crate) async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let key = delete.key.text().to_owned();
        self.noted(Operation::Delete, vec![key], self.subject.delete(delete))
            .await
    }

    pub(crate) async fn exists(&self, key: &str) -> Result<bool> {
        let call = self.subject.exists(Key::new(key));
        self.noted(Operation::Exists, vec![key.to_owned()], call)
            .await
    }

    pub(crate) async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        let key = sign.key.text().to_owned();
        let call = self.subject.signed_url(sign);
        self.noted(Operation::SignedUrl, vec![key], call).await
    }

    pub(crate) async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let key = head.key.text().to_owned();
        self.noted(Operation::Head, vec![key], self.subject.head(head))
            .await
    }

    pub(crate) async fn list(&self, list: List<'_>) -> Result<Page> {
        self.noted(Operation::List, Vec::new(), self.subject.list(list))
            .await
    }

    pub(crate) async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let keys = vec![copy.from.text().to_owned(), copy.to.text().to_owned()];
        self.journal().made.insert(keys[1].clone());
        self.noted(Operation::Copy, keys, self.subject.copy(copy))
            .await
    }

    pub(crate) async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let keys = vec![rename.from.text().to_owned(), rename.to.text().to_owned()];
        self.journal().made.insert(keys[1].clone());
        self.noted(Operation::Rename, keys, self.subject.rename(rename))
            .await
    }

    pub(crate) async fn delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        let call = self.subject.delete_many(delete);
        self.noted(Operation::DeleteMany, Vec::new(), call).await
    }

    pub(crate) async fn health(&self) -> Result<Health> {
        self.noted(Operation::Health, Vec::new(), self.subject.health())
            .await
    }

    pub(crate) async fn usage(&self) -> Result<Usage> {
        self.noted(Operation::Usage, Vec::new(), self.subject.usage())
            .await
    }

    pub(crate) async fn shutdown(&self) -> Result<()> {
        self.noted(Operation::Shutdown, Vec::new(), self.subject.shutdown())
            .await
    }

    pub(crate) async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        self.noted(Operation::Custom, Vec::new(), self.subject.custom(custom))
            .await
    }

    pub(crate) async fn create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        let keys = vec![create.key.text().to_owned()];
        self.journal().made.insert(keys[0].clone());
        let call = self.subject.create_upload(create);
        self.noted(Operation::CreateUpload, keys, call).await
    }

    pub(crate) async fn put_part(&self, put: PutPart<'_>) -> Result<Part> {
        let keys = vec![put.key.text().to_owned()];
        let call = self.subject.put_part(put);
        self.noted(Operation::PutPart, keys, call).await
    }

    pub(crate) async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        let keys = vec![list.key.text().to_owned()];
        let call = self.subject.list_parts(list);
        self.noted(Operation::ListParts, keys, call).await
    }

    pub(crate) async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        let keys = Vec::new();
        let call = self.subject.list_uploads(list);
        self.noted(Operation::ListUploads, keys, call).await
    }

    pub(crate) async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        let keys = vec![complete.key.text().to_owned()];
        self.journal().made.insert(keys[0].clone());
        let call = self.subject.complete_upload(complete);
        self.noted(Operation::CompleteUpload, keys, call).await
    }

    pub(crate) async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        let keys = vec![abort.key.text().to_owned()];
        let call = self.subject.abort_upload(abort);
        self.noted(Operation::AbortUpload, keys, call).await
    }

    pub(crate) async fn download_ranges(
        &self,
        read: DownloadRanges<'_>,
    ) -> Result<(ObjectInfo, Vec<Vec<u8>>)> {
        let keys = vec![read.key.text().to_owned()];
        let call = self.subject.download_ranges(read);
        self.noted(Operation::DownloadRanges, keys, call).await
    }

    pub(crate) async fn list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage> {
        let keys = Vec::new();
        let call = self.subject.list_versions(list);
        self.noted(Operation::ListVersions, keys, call).await
    }

    pub(crate) async fn update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        let keys = vec![update.key.text().to_owned()];
        let call = self.subject.update(update);
        self.noted(Operation::Update, keys, call).await
    }

    /// Removes what the case has made. Best effort: an instance may be shut down by now.
    pub(crate) async fn clean(&self) -> Vec<Met> {
        let journal = std::mem::take(&mut *self.journal());
        let made: Vec<&str> = journal.made.iter().map(String::as_str).collect();
        for keys in made.chunks(1000) {
            let _ = self
                .subject
                .delete_many(DeleteMany::new(keys.iter().copied()))
                .await;
        }
        // Last: a delete makes a marker where versions are kept.
        self.abort_uploads(&made).await;
        self.delete_versions(&made).await;
        journal.met
    }
}

impl Watched {
    /// Ends every upload in parts of these keys, which are sorted.
    async fn abort_uploads(&self, made: &[&str]) {
        if made.is_empty() || !self.claims(Capability::Parts) {
            return;
        }
        let mut token = None;
        // A listing is bounded here, because a backend that is wrong may never end it.
        for _ in 0..MAX_PAGES {
            let list = ListUploads::new(common_start(made)).page_token(token.as_deref());
            let Ok(page) = self.subject.list_uploads(list).await else {
                return;
            };
            for upload in &page.uploads {
                if made.contains(&upload.key.as_str()) {
                    let abort = AbortUpload::new(&upload.key, &upload.upload_id);
                    let _ = self.subject.abort_upload(abort).await;
                }
            }
            token = page.next;
            if token.is_none() {
                return;
            }
        }
    }

    /// Removes every version of these keys, which are sorted.
    async fn delete_versions(&self, made: &[&str]) {
        if made.is_empty() || !self.claims(Capability::ListVersions) {
            return;
        }
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let list = ListVersions::new(common_start(made)).page_token(token.as_deref());
            let Ok(page) = self.subject.list_versions(list).await else {
                return;
            };
            for version in &page.versions {
                if made.contains(&version.key.as_str()) {
                    let delete = Delete::new(&version.key).version(&version.version);
                    let _ = self.subject.delete(delete).await;
                }
            }
            token = page.next;
            if token.is_none() {
                return;
            }
        }
    }
}

/// Most pages of a listing that is read to clean up.
const MAX_PAGES: usize = 1000;

/// What all of these keys, which are sorted, begin with, up to a `/`.
fn common_start<'a>(made: &[&'a str]) -> &'a str {
    let (Some(first), Some(last)) = (made.first(), made.last()) else {
        return "";
    };
    let same = first.bytes().zip(last.bytes());
    let same = same.take_while(|(one, other)| one == other).count();
    // At a `/`, which no character in UTF-8 has a part of.
    let end = first.as_bytes()[..same]
        .iter()
        .rposition(|byte| *byte == b'/');
    end.map_or("", |end| &first[..=end])
}

/// What most cases do, in their words.
impl Watched {
    /// Stores bytes of known length, in one piece.
    pub(crate) async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Outcome<Uploaded> {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let uploaded = self.upload(Upload::new(key, bytes)).await?;
        ensure!(
            uploaded.size == size,
            "upload of {size} bytes answered a size of {}",
            uploaded.size
        );
        Ok(uploaded)
    }

    /// The whole object.
    pub(crate) async fn read(&self, key: &str) -> Result<(ObjectInfo, Bytes)> {
        let downloaded = self.download(Download::new(key)).await?;
        let info = downloaded.info.clone();
        Ok((info, drain(downloaded).await?))
    }

    /// Fails unless the object has exactly these bytes, and says so everywhere.
    pub(crate) async fn holds(&self, key: &str, expected: &[u8]) -> Outcome {
        let (info, bytes) = self.read(key).await?;
        if let Some(difference) = data::difference(&bytes, expected) {
            return Err(Stop::Failed(format!(
                "{key:?} is not what was stored: {difference}"
            )));
        }
        ensure!(
            info.size == expected.len() as u64,
            "{key:?}: download announced {} bytes",
            info.size
        );
        ensure!(
            self.exists(key).await?,
            "{key:?} can be read, but exists says no"
        );
        Ok(())
    }

    /// Fails unless no operation sees an object of this key.
    pub(crate) async fn is_absent(&self, key: &str) -> Outcome {
        ensure!(
            !self.exists(key).await?,
            "exists says that {key:?} is there"
        );
        refused(
            self.read(key).await,
            ErrorKind::FileNotFound,
            "download of a missing key",
        )?;
        if self.has(Operation::Head) {
            let head = self.head(Head::new(key)).await;
            refused(head, ErrorKind::FileNotFound, "head of a missing key")?;
        }
        if self.has(Operation::List) {
            let page = self.list(List::new(key)).await?;
            let named = page.entries.iter().any(|entry| entry.key == key);
            ensure!(!named, "the listing shows {key:?}");
        }
        Ok(())
    }

    /// Every key with this prefix, page by page, in the order of the answers.
    pub(crate) async fn keys(&self, prefix: &str, limit: u32) -> Outcome<Vec<String>> {
        let mut all = Vec::new();
        let pages = self.pages(List::new(prefix).limit(limit)).await?;
        for page in pages {
            ensure!(
                page.common_prefixes.is_empty(),
                "common prefixes without a delimiter"
            );
            all.extend(page.entries.into_iter().map(|entry| entry.key));
        }
        Ok(all)
    }

    /// All pages of a listing.
    pub(crate) async fn pages(&self, list: List<'_>) -> Outcome<Vec<Page>> {
        let mut pages: Vec<Page> = Vec::new();
        loop {
            let token = pages.last().and_then(|page| page.next.as_deref());
            // Only the first page has a start.
            let mut asked = list.page_token(token);
            if token.is_some() {
                asked.start_after = None;
            }
            let page = self.list(asked).await?;
            let count = page.entries.len() + page.common_prefixes.len();
            ensure!(
                count <= list.limit as usize,
                "a page of {count} entries, {} asked",
                list.limit
            );
            let last = page.next.is_none();
            pages.push(page);
            if last {
                return Ok(pages);
            }
            ensure!(pages.len() < 10_000, "the listing does not end");
        }
    }
}

/// Reads a body to its end.
pub(crate) async fn drain(mut downloaded: Downloaded) -> Result<Bytes> {
    let mut all = Vec::new();
    while let Some(chunk) = downloaded.body.chunk().await {
        let chunk = chunk?;
        if chunk.len() > MAX_CHUNK as usize {
            return Err(
                Error::new(ErrorKind::PluginFault).with_message("a chunk of more than 1 MiB")
            );
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

/// Fails unless the answer is an error of this kind.
pub(crate) fn refused<T>(answer: Result<T>, kind: ErrorKind, what: &str) -> Outcome<Error> {
    match answer {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Stop::Failed(format!(
            "{what}: expected {}, found {error} [{}]",
            kind.code(),
            error.code()
        ))),
        Ok(_) => Err(Stop::Failed(format!(
            "{what}: expected {}, found success",
            kind.code()
        ))),
    }
}
