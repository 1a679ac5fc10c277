//! Uploads in parts.

use super::page_token::{check_page, inner_token, outer_token, stray};
use super::upload::{accepted, compare, patience, too_large, wrong_length};
use super::upload_body::{Checked, Expected};
use super::{calls, etag, fault, may_write, needs, spool};
use crate::backend::Backend;
use crate::backend::counters::add;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use holdall_plugin_api::{
    AbortUpload, Body, Capability, Checksums, CompleteUpload, CreateUpload, Error, ListParts,
    ListUploads, MAX_CHUNK, Operation, Part, PartPage, PutPart, Result, UploadPage, Uploaded,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Backend {
    /// Begins an upload in parts: a large object is stored in pieces, also in parallel and by several processes.
    ///
    /// Returns the id of the upload. It is valid on every host with the same backend until
    /// [`Backend::complete_upload`] or [`Backend::abort_upload`]. No object is visible before the upload is completed.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::{CompleteUpload, CreateUpload, PutPart};
    ///
    /// let id = photos.create_upload(CreateUpload::new("disk.img")).await?;
    /// let first = photos.put_part(PutPart::new("disk.img", &id, 1, vec![0; 5 << 20]));
    /// let last = photos.put_part(PutPart::new("disk.img", &id, 2, "the end"));
    /// let parts = futures_util::future::try_join(first, last).await?;
    /// let stored = CompleteUpload::new("disk.img", &id, [&parts.0, &parts.1]);
    /// println!("{} bytes", photos.complete_upload(stored).await?.size);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `Unsupported`: the backend does not claim `parts` or an option, or it has a policy that judges whole uploads
    ///   (`quota`, `types`).
    /// - `InvalidKey`, `InvalidArgument`.
    pub fn create_upload<'a>(
        &self,
        create: impl Into<CreateUpload<'a>>,
    ) -> impl Future<Output = Result<String>> + Send {
        let create = create.into();
        async move {
            let scope = self.scope(Operation::CreateUpload, Some(create.key));
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    needs(opened, Operation::CreateUpload)?;
                    opened.terms.create_upload(&create)?;
                    may_write(&scope)?;
                    whole_uploads_only(&scope)?;
                    calls::create_upload(&scope, opened, create).await
                }))
                .await
        }
    }

    /// Stores a part. It replaces an earlier part of the same number. Parts may be stored in any order and in parallel.
    ///
    /// # Errors
    ///
    /// - `FileNotFound` with the code `upload_not_found`: no upload has this id.
    /// - `InvalidArgument`: a number outside 1 to `max_parts`, or a body that does not have the stated length.
    /// - `TooLarge`: the part is larger than `max_part_bytes`.
    /// - `ChecksumMismatch`: the bytes do not have the stated digest; the part is not stored.
    /// - `InvalidKey`, `Unsupported`, as [`Backend::create_upload`].
    pub async fn put_part(&self, put: PutPart<'_>) -> Result<Part> {
        let scope = self.scope(Operation::PutPart, Some(put.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::PutPart)?;
                may_write(&scope)?;
                store(&scope, opened, put).await
            }))
            .await
    }

    /// Returns a page of the parts of an upload, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// - `FileNotFound` with the code `upload_not_found`: no upload has this id.
    /// - `InvalidArgument`: a limit outside 1 to 1000, a damaged page token, or one of another listing.
    /// - `InvalidKey`, `Unsupported`.
    pub async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        let scope = self.scope(Operation::ListParts, Some(list.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::ListParts)?;
                parts(&scope, opened, list).await
            }))
            .await
    }

    /// Returns a page of the uploads in parts that are neither completed nor aborted, in the order of their keys. Such an
    /// upload takes space until it is aborted, unless the store ends it after some time (`max_upload_seconds`).
    ///
    /// # Errors
    ///
    /// - `InvalidKey`: the prefix.
    /// - `InvalidArgument`: a limit outside 1 to 1000, a damaged page token, or one of another listing.
    /// - `Unsupported`: the backend does not claim `parts`.
    pub async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        let scope = self.scope(Operation::ListUploads, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::ListUploads)?;
                uploads(&scope, opened, list).await
            }))
            .await
    }

    /// Makes the object of its parts, in the order of their numbers and in one step: readers see the old object or the
    /// new one. Ends the upload; stored parts that the request does not name are discarded, or the request is
    /// `invalid_part` where the store wants all of them (Ceph).
    ///
    /// # Errors
    ///
    /// - `FileNotFound` with the code `upload_not_found`: no upload has this id, or it was completed before.
    /// - `InvalidArgument` with the code `invalid_part` and the fact `part`: this part was not stored, or it has another
    ///   etag.
    /// - `InvalidArgument`: the numbers do not ascend, or a part before the last is smaller than `min_part_bytes`.
    /// - `PreconditionFailed`: the condition `create_only` or `if_match` does not hold; the upload stays as it is.
    /// - `TooLarge`: the object is larger than the backend or its policy allows.
    /// - `InvalidKey`, `Unsupported`.
    pub async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        let scope = self.scope(Operation::CompleteUpload, Some(complete.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::CompleteUpload)?;
                complete_parts(&scope, opened, complete).await
            }))
            .await
    }

    /// Ends an upload in parts without an object, and frees the space of its parts.
    ///
    /// # Errors
    ///
    /// - `FileNotFound` with the code `upload_not_found`: no upload has this id, or it was completed before.
    /// - `InvalidKey`, `Unsupported`.
    pub async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        let scope = self.scope(Operation::AbortUpload, Some(abort.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::AbortUpload)?;
                opened.terms.abort_upload(&abort)?;
                may_write(&scope)?;
                calls::abort_upload(&scope, opened, abort).await
            }))
            .await
    }
}

/// Refuses uploads in parts where a policy judges whole uploads: it would see only pieces of them.
///
/// # Errors
///
/// `Unsupported`, naming the policy.
fn whole_uploads_only(scope: &Scope<'_>) -> Result<()> {
    let Some(guards) = scope.guards() else {
        return Ok(());
    };
    let policy = match (guards.quota.is_some(), guards.types.is_some()) {
        (true, _) => "quota",
        (_, true) => "types",
        _ => return Ok(()),
    };
    Err(
        Error::unsupported("this backend takes whole uploads only: a policy judges each of them")
            .with_fact("policy", policy),
    )
}

async fn store(scope: &Scope<'_>, opened: &Arc<Opened>, mut put: PutPart<'_>) -> Result<Part> {
    whole_uploads_only(scope)?;
    if let Some(known) = put.body.known_length() {
        if put.length.is_some_and(|stated| stated != known) {
            return Err(wrong_length(put.length.unwrap_or_default(), known));
        }
        put.length = Some(known);
    }
    opened.terms.put_part(&put)?;
    let most = scope.guards().and_then(|guards| guards.bound(None));
    if let (Some(max), Some(length)) = (most, put.length)
        && length > max
    {
        return Err(too_large(max).with_fact("requested", length));
    }
    let (number, wanted) = (put.number, put.checksums);
    if let Some(bytes) = put.body.as_once()
        && bytes.len() <= MAX_CHUNK as usize
        && wanted.md5.is_none()
        && wanted.sha256.is_none()
    {
        let length = bytes.len() as u64;
        let mut found = Checksums::NONE;
        let crc32c = crc_fast::crc32_iscsi(bytes);
        found.crc32c = Some(crc32c);
        compare(&wanted, &found)?;
        put.body = std::mem::replace(&mut put.body, Body::empty()).with_crc32c(crc32c);
        scope.moved.store(length, Ordering::Relaxed);
        add(&scope.counters().bytes_in, length);
        let part = calls::put_part(scope, opened, put, Some(crc32c)).await?;
        return accept(part, number, length, found);
    }
    if put.length.is_none() && !opened.claims(Capability::UnknownLength) {
        let body = std::mem::replace(&mut put.body, Body::empty());
        let spooled = spool::spool(body, &scope.context().spool, most, patience(scope)).await?;
        add(&scope.counters().spooled, 1);
        (put.length, put.body) = (Some(spooled.0), spooled.1);
        opened.terms.put_part(&put)?;
    }
    let expected = Expected {
        reserved: None,
        length: put.length,
        limit: opened.terms.limits.max_part_bytes,
        max_size: most,
        checksums: wanted,
        idle: patience(scope).limit,
    };
    let body = std::mem::replace(&mut put.body, Body::empty());
    let (body, outcome) = Checked::new(body, expected, scope.counters().clone());
    put.body = Body::source(body);
    let answer = calls::put_part(scope, opened, put, None).await;
    let bytes = outcome.bytes();
    scope.moved.store(bytes, Ordering::Relaxed);
    let found = outcome.judge(answer.as_ref().err())?;
    accept(answer?, number, bytes, found)
}

fn accept(mut part: Part, number: u32, bytes: u64, found: Checksums) -> Result<Part> {
    part.number = number;
    part.checksums = accepted(part.size, part.checksums, bytes, found)?;
    Ok(part)
}

async fn parts(scope: &Scope<'_>, opened: &Arc<Opened>, list: ListParts<'_>) -> Result<PartPage> {
    opened.terms.list_parts(&list)?;
    let backend = scope.backend.name();
    let listing = format!("parts\0{}\0{}", list.key.text(), list.upload_id);
    let inner = inner_token(backend, &listing, list.page_token)?;
    let asked = list.page_token(inner.as_deref());
    let mut page = calls::list_parts(scope, opened, asked).await?;
    let next = page.next.as_deref();
    check_page(page.parts.len(), list.limit, next, asked.page_token)?;
    if !page
        .parts
        .is_sorted_by(|one, next| one.number < next.number)
    {
        return Err(fault(
            "a page of parts that are not in the order of their numbers",
        ));
    }
    page.next = page.next.map(|next| outer_token(backend, &listing, &next));
    Ok(page)
}

async fn uploads(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    list: ListUploads<'_>,
) -> Result<UploadPage> {
    opened.terms.list_uploads(&list)?;
    let backend = scope.backend.name();
    let listing = format!("uploads\0{}", list.prefix);
    let inner = inner_token(backend, &listing, list.page_token)?;
    let asked = list.page_token(inner.as_deref());
    let mut page = calls::list_uploads(scope, opened, asked).await?;
    let next = page.next.as_deref();
    check_page(page.uploads.len(), list.limit, next, asked.page_token)?;
    let mut keys = page.uploads.iter().map(|upload| &upload.key);
    if let Some(key) = keys.find(|key| !key.starts_with(list.prefix)) {
        return Err(stray("an upload outside the prefix", list.prefix, key));
    }
    let policy = opened.terms.policy;
    page.uploads
        .retain(|upload| policy.check(&upload.key).is_ok());
    page.next = page.next.map(|next| outer_token(backend, &listing, &next));
    Ok(page)
}

async fn complete_parts(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut complete: CompleteUpload<'_>,
) -> Result<Uploaded> {
    opened.terms.complete_upload(&complete)?;
    may_write(scope)?;
    whole_uploads_only(scope)?;
    let most = scope.guards().and_then(|guards| guards.bound(None));
    if let Some(most) = most {
        let size = size_of(scope, opened, &complete).await?;
        if size > most {
            return Err(too_large(most).with_fact("requested", size));
        }
    }
    let condition;
    if let Some(given) = complete.if_match {
        condition = etag::native(scope, opened, complete.key, given).await;
        complete.if_match = Some(&condition);
    }
    let mut uploaded = calls::complete_upload(scope, opened, complete).await?;
    opened.etags.show(&mut uploaded.etag);
    Ok(uploaded)
}

/// Size of the object that the parts will make, in bytes: the sum of the sizes that the store lists.
async fn size_of(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    complete: &CompleteUpload<'_>,
) -> Result<u64> {
    let (mut size, mut token) = (0u64, None::<String>);
    loop {
        let list = ListParts::new(complete.key, complete.upload_id);
        let list = list.limit(opened.terms.limits.max_page.clamp(1, 1000));
        let page = parts(scope, opened, list.page_token(token.as_deref())).await?;
        for part in page.parts {
            if complete
                .parts
                .iter()
                .any(|(number, _)| *number == part.number)
            {
                size = size.saturating_add(part.size);
            }
        }
        token = page.next;
        if token.is_none() {
            return Ok(size);
        }
    }
}
