//! Answers as result tables, both ways: rules R2, R3 and R6.
//!
//! Each answer is written (by a plugin) and read (by the host) here, side by side. An answer without
//! texts owns nothing and allocates nothing.

use super::bytes::Chunk;
use super::bytes::contained;
use super::error::{flatten, read as read_error};
use super::extension::links;
use super::grow::{self, copy_in, strided};
use super::stream::OwnedStream;
use super::tables::*;
use super::text::{
    At, array, breach, checksums_in, checksums_out, copied, copied_pairs, number_in, number_out,
    pair_views, pairs_of, time_in, time_out,
};
use crate::{
    Body, Capabilities, Copied, Deleted, Downloaded, Encrypted, Entry, Health, Instance, Limits,
    MAX_PARTS, ObjectInfo, Operations, Page, ProviderFacts, Renamed, Result, SignedUrl, Signing,
    Uploaded, Usage,
};
use bytes::Bytes;
use std::ffi::c_void;

pub(super) type ReleaseFn = Option<unsafe extern "C" fn(owner: *mut c_void)>;

/// Releases an answer once its texts are copied, whatever happens in between.
pub(super) struct Release(pub(super) *mut c_void, pub(super) ReleaseFn);

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(release) = self.1 {
            // SAFETY: R3: once.
            unsafe { release(self.0) }
        }
    }
}

/// Moves a value to the heap and lends it until its release.
pub(super) fn keep<T: Send + 'static>(value: T) -> (&'static mut T, *mut c_void, ReleaseFn) {
    unsafe extern "C" fn release<T>(owner: *mut c_void) {
        contained(|| {
            // SAFETY: R3: made by `keep`, released once.
            drop(unsafe { Box::from_raw(owner.cast::<T>()) });
        });
    }
    let owner = Box::into_raw(Box::new(value));
    // SAFETY: just made; the views into it end with the release.
    (unsafe { &mut *owner }, owner.cast(), Some(release::<T>))
}

/// A value and the views into it. The views are raw, and go to one receiver with their owner.
pub(super) struct Kept<T, V> {
    pub(super) value: T,
    pub(super) views: V,
}

// SAFETY: the views lead into `value`, which is `Send`; nothing else has them.
unsafe impl<T: Send, V> Send for Kept<T, V> {}

fn has(texts: &[&Option<String>]) -> bool {
    texts.iter().any(|text| text.is_some())
}

/// # Safety
///
/// R6: lent by an answer that is not released yet.
pub(super) unsafe fn text(slice: FfiSlice) -> Result<Option<String>> {
    // SAFETY: by the contract.
    unsafe { copied(slice) }
}

/// Writes an upload's answer.
pub fn write_uploaded(uploaded: Uploaded) -> UploadOut {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&uploaded.checksums);
    let mut out = UploadOut {
        bytes: uploaded.size,
        last_modified_ns: time_out(uploaded.last_modified),
        checksums_known,
        crc32c,
        md5,
        sha256,
        ..grow::empty()
    };
    if has(&[&uploaded.etag, &uploaded.version, &uploaded.url]) {
        let (kept, owner, release) = keep(uploaded);
        out.etag = FfiSlice::owned(&kept.etag);
        out.version = FfiSlice::owned(&kept.version);
        out.url = FfiSlice::owned(&kept.url);
        (out.owner, out.release) = (owner, release);
    }
    out
}

/// Reads an upload's answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// R6: `out` was filled by the other side and is not used again.
pub unsafe fn read_uploaded(out: &UploadOut) -> Result<Uploaded> {
    let _release = Release(out.owner, out.release);
    Ok(Uploaded {
        size: out.bytes,
        // SAFETY: R6.
        etag: unsafe { text(out.etag) }.at("UploadOut.etag")?,
        // SAFETY: R6.
        version: unsafe { text(out.version) }.at("UploadOut.version")?,
        last_modified: time_in(out.last_modified_ns),
        checksums: checksums_in(out.checksums_known, out.crc32c, out.md5, out.sha256),
        // SAFETY: R6.
        url: unsafe { text(out.url) }.at("UploadOut.url")?,
    })
}

/// Views of the metadata and of the tags of an object.
pub(super) type ObjectViews = [Vec<FfiPair>; 2];

pub(super) fn object_views(info: &ObjectInfo) -> ObjectViews {
    [
        pair_views(&info.metadata),
        info.tags().map(pair_views).unwrap_or_default(),
    ]
}

pub(super) fn object_out(info: &ObjectInfo, [pairs, tags]: &ObjectViews) -> ObjectOut {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&info.checksums);
    let (encryption, encryption_key_id) = match info.encryption() {
        None => (0, None),
        Some(Encrypted::Managed) => (1, None),
        Some(Encrypted::Key(id)) => (2, Some(id.as_str())),
    };
    ObjectOut {
        storage_class: FfiSlice::text(info.storage_class()),
        tags: match info.tags() {
            Some(_) => pairs_of(tags),
            None => grow::empty::<ObjectOut>().tags,
        },
        encryption,
        encryption_key_id: FfiSlice::text(encryption_key_id),
        bytes: info.size,
        etag: FfiSlice::owned(&info.etag),
        version: FfiSlice::owned(&info.version),
        url: FfiSlice::owned(&info.url),
        content_type: FfiSlice::owned(&info.content_type),
        cache_control: FfiSlice::owned(&info.cache_control),
        content_disposition: FfiSlice::owned(&info.content_disposition),
        content_encoding: FfiSlice::owned(&info.content_encoding),
        content_language: FfiSlice::owned(&info.content_language),
        metadata: pairs_of(pairs),
        last_modified_ns: time_out(info.last_modified),
        checksums_known,
        crc32c,
        md5,
        sha256,
        ..grow::empty()
    }
}

/// Writes the facts about an object.
pub fn write_object(info: ObjectInfo) -> ObjectOut {
    let (kept, owner, release) = keep(Kept {
        value: info,
        views: ObjectViews::default(),
    });
    kept.views = object_views(&kept.value);
    ObjectOut {
        owner,
        release,
        ..object_out(&kept.value, &kept.views)
    }
}

/// Reads the facts about an object.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_object(out: &ObjectOut) -> Result<ObjectInfo> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    unsafe { object_in(out) }
}

/// # Safety
///
/// R6: lent by an answer that is not released yet.
pub(super) unsafe fn object_in(out: &ObjectOut) -> Result<ObjectInfo> {
    let mut info = ObjectInfo {
        size: out.bytes,
        last_modified: time_in(out.last_modified_ns),
        // SAFETY: R6.
        metadata: unsafe { copied_pairs(out.metadata) }.at("ObjectOut.metadata")?,
        checksums: checksums_in(out.checksums_known, out.crc32c, out.md5, out.sha256),
        ..ObjectInfo::default()
    };
    macro_rules! texts {
        ($($field:ident)+) => { $(
            // SAFETY: R6.
            info.$field = unsafe { text(out.$field) }.at(concat!("ObjectOut.", stringify!($field)))?;
        )+ };
    }
    texts!(etag version url content_type cache_control content_disposition content_encoding content_language);
    // The usual answer says nothing of these.
    let said = |text: FfiSlice| !text.ptr.is_null() || text.len != 0;
    let tagged = !out.tags.ptr.is_null() || out.tags.len != 0;
    if out.encryption != 0 || tagged || said(out.storage_class) || said(out.encryption_key_id) {
        // SAFETY: R6.
        info = info.provider(unsafe { provider_in(out) }?);
    }
    Ok(info)
}

/// # Safety
///
/// As [`object_in`].
#[cold]
unsafe fn provider_in(out: &ObjectOut) -> Result<ProviderFacts> {
    // SAFETY: R6.
    let class = unsafe { text(out.storage_class) }.at("ObjectOut.storage_class")?;
    let mut facts = ProviderFacts::new().storage_class(class);
    if !out.tags.ptr.is_null() || out.tags.len != 0 {
        // SAFETY: R6.
        facts = facts.tags(unsafe { copied_pairs(out.tags) }.at("ObjectOut.tags")?);
    }
    // SAFETY: R6.
    let id = unsafe { text(out.encryption_key_id) }.at("ObjectOut.encryption_key_id")?;
    Ok(facts.encryption(match out.encryption {
        0 => None,
        1 => Some(Encrypted::Managed),
        _ => Some(Encrypted::Key(id.unwrap_or_default())),
    }))
}

/// Writes a download's answer.
pub fn write_downloaded(downloaded: Downloaded) -> DownloadOut {
    let Downloaded { info, range, body } = downloaded;
    let views: (ObjectViews, ObjectOut) = (ObjectViews::default(), grow::empty());
    let (kept, owner, release) = keep(Kept { value: info, views });
    kept.views.0 = object_views(&kept.value);
    kept.views.1 = object_out(&kept.value, &kept.views.0);
    DownloadOut {
        object: &raw const kept.views.1,
        range_start: range.start,
        range_end: range.end,
        body: body.into_stream().into_ffi(),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a download's answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_downloaded(out: &DownloadOut) -> Result<Downloaded> {
    let _release = Release(out.owner, out.release);
    if out.body.table.is_null() {
        return Err(breach("a download without a body (`DownloadOut.body`)"));
    }
    // SAFETY: R3: owned by us now, so it ends also when the rest is refused.
    let body = Body::of(unsafe { OwnedStream::from_ffi(out.body) }.at("DownloadOut.body")?);
    // SAFETY: R1, R6.
    let object = unsafe { copy_in(out.object) }
        .map_err(breach)
        .at("DownloadOut.object")?;
    // SAFETY: R6.
    let info = unsafe { object_in(&object) }?;
    if out.range_start > out.range_end || out.range_end > info.size {
        return Err(breach(format_args!(
            "bytes {}..{} of an object of {} (`DownloadOut.range_start`, `range_end`)",
            out.range_start, out.range_end, info.size
        )));
    }
    Ok(Downloaded {
        info,
        range: out.range_start..out.range_end,
        body,
    })
}

fn existed_out(existed: Option<bool>) -> u32 {
    existed.map_or(0, |existed| 1 + u32::from(existed))
}

fn existed_in(existed: u32) -> Option<bool> {
    match existed {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

/// Writes a delete's answer.
pub fn write_deleted(deleted: Deleted) -> DeleteOut {
    let mut out = DeleteOut {
        existed: existed_out(deleted.existed),
        marker: deleted.marker.into(),
        ..grow::empty()
    };
    if deleted.version.is_some() {
        let (kept, owner, release) = keep(deleted);
        out.version = FfiSlice::owned(&kept.version);
        (out.owner, out.release) = (owner, release);
    }
    out
}

/// Reads a delete's answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_deleted(out: &DeleteOut) -> Result<Deleted> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    Ok(Deleted {
        existed: existed_in(out.existed),
        // SAFETY: R6.
        version: unsafe { text(out.version) }.at("DeleteOut.version")?,
        marker: out.marker != 0,
    })
}

/// Writes an exists' answer.
pub fn write_exists(exists: bool) -> ExistsOut {
    ExistsOut {
        exists: exists.into(),
        ..grow::empty()
    }
}

/// Reads an exists' answer.
pub fn read_exists(out: &ExistsOut) -> bool {
    out.exists != 0
}

/// Writes a sign's answer.
pub fn write_signing(signing: Signing) -> SignOut {
    match signing {
        Signing::AtGateway => SignOut {
            at_gateway: 1,
            ..grow::empty()
        },
        Signing::Url(url) => {
            let (kept, owner, release) = keep(Kept {
                value: url,
                views: Vec::new(),
            });
            kept.views = pair_views(&kept.value.headers);
            SignOut {
                url: FfiSlice::of(kept.value.url.as_bytes()),
                headers: pairs_of(&kept.views),
                expires_at_ns: time_out(Some(kept.value.expires_at)),
                owner,
                release,
                ..grow::empty()
            }
        }
    }
}

/// Reads a sign's answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_signing(out: &SignOut) -> Result<Signing> {
    let _release = Release(out.owner, out.release);
    if out.at_gateway != 0 {
        return Ok(Signing::AtGateway);
    }
    let Some(expires_at) = time_in(out.expires_at_ns) else {
        return Err(breach(
            "a signed URL without an end (`SignOut.expires_at_ns`)",
        ));
    };
    // SAFETY: R6.
    let url = unsafe { text(out.url) }
        .at("SignOut.url")?
        .ok_or_else(|| breach("a signed URL without a URL (`SignOut.url`)"))?;
    // SAFETY: R6.
    Ok(Signing::Url(SignedUrl {
        url,
        // SAFETY: R6.
        headers: unsafe { copied_pairs(out.headers) }.at("SignOut.headers")?,
        expires_at,
    }))
}

/// Writes a page.
pub fn write_page(page: Page) -> ListOut {
    let skipped = page.skipped;
    let views: (Vec<FfiEntry>, Vec<FfiSlice>) = (Vec::new(), Vec::new());
    let (kept, owner, release) = keep(Kept { value: page, views });
    kept.views.0.extend(kept.value.entries.iter().map(|entry| {
        let mut item: FfiEntry = grow::nothing();
        item.key = FfiSlice::of(entry.key.as_bytes());
        item.bytes = entry.size;
        item.etag = FfiSlice::owned(&entry.etag);
        item.last_modified_ns = time_out(entry.last_modified);
        item
    }));
    kept.views.1.extend(
        kept.value
            .common_prefixes
            .iter()
            .map(|prefix| FfiSlice::of(prefix.as_bytes())),
    );
    ListOut {
        entries: kept.views.0.as_ptr(),
        entry_count: kept.views.0.len(),
        entry_size: size_of::<FfiEntry>(),
        prefixes: kept.views.1.as_ptr(),
        prefix_count: kept.views.1.len(),
        next: FfiSlice::owned(&kept.value.next),
        skipped,
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a page.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_page(out: &ListOut) -> Result<Page> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let raw = unsafe { strided(out.entries, out.entry_count, out.entry_size) }
        .at("ListOut.entries, entry_count, entry_size")?;
    let mut page = Page {
        skipped: out.skipped,
        ..Page::default()
    };
    for entry in raw {
        page.entries.push(Entry {
            // SAFETY: R6.
            key: unsafe { text(entry.key) }
                .at("FfiEntry.key")?
                .unwrap_or_default(),
            size: entry.bytes,
            // SAFETY: R6.
            etag: unsafe { text(entry.etag) }.at("FfiEntry.etag")?,
            last_modified: time_in(entry.last_modified_ns),
        });
    }
    // SAFETY: R6.
    let prefixes = unsafe { array(out.prefixes, out.prefix_count) };
    for prefix in prefixes.at("ListOut.prefixes, prefix_count")? {
        // SAFETY: R6.
        page.common_prefixes.push(
            unsafe { text(*prefix) }
                .at("ListOut.prefixes")?
                .unwrap_or_default(),
        );
    }
    // SAFETY: R6.
    page.next = unsafe { text(out.next) }.at("ListOut.next")?;
    Ok(page)
}

/// Writes a copy's answer.
pub fn write_copied(copied: Copied) -> CopyOut {
    let mut out = CopyOut {
        bytes: number_out(copied.size),
        last_modified_ns: time_out(copied.last_modified),
        ..grow::empty()
    };
    if has(&[&copied.etag, &copied.version, &copied.source_version]) {
        let (kept, owner, release) = keep(copied);
        out.etag = FfiSlice::owned(&kept.etag);
        out.version = FfiSlice::owned(&kept.version);
        out.source_version = FfiSlice::owned(&kept.source_version);
        (out.owner, out.release) = (owner, release);
    }
    out
}

/// Reads a copy's answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_copied(out: &CopyOut) -> Result<Copied> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let etag = unsafe { text(out.etag) }.at("CopyOut.etag")?;
    Ok(Copied {
        size: number_in(out.bytes),
        etag,
        last_modified: time_in(out.last_modified_ns),
        // SAFETY: R6.
        version: unsafe { text(out.version) }.at("CopyOut.version")?,
        // SAFETY: R6.
        source_version: unsafe { text(out.source_version) }.at("CopyOut.source_version")?,
    })
}

/// Writes a rename's answer.
pub fn write_renamed(renamed: Renamed) -> RenameOut {
    let mut out = RenameOut {
        atomic: renamed.atomic.into(),
        ..grow::empty()
    };
    if renamed.etag.is_some() {
        let (kept, owner, release) = keep(renamed);
        out.etag = FfiSlice::owned(&kept.etag);
        (out.owner, out.release) = (owner, release);
    }
    out
}

/// Reads a rename's answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_renamed(out: &RenameOut) -> Result<Renamed> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    Ok(Renamed {
        atomic: out.atomic != 0,
        // SAFETY: R6.
        etag: unsafe { text(out.etag) }.at("RenameOut.etag")?,
    })
}

/// The errors of a batch, released with it.
struct Errors(Vec<FfiError>);

impl Drop for Errors {
    fn drop(&mut self) {
        for error in &self.0 {
            drop(Release(error.owner, error.release));
        }
    }
}

/// Writes the answer of a batch of deletes.
pub fn write_deleted_many(results: Vec<Result<Deleted>>) -> DeleteManyOut {
    let errors: Vec<FfiError> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .map(|error| flatten(error.clone()))
        .collect();
    let views: Vec<FfiDeleteResult> = Vec::with_capacity(results.len());
    let (kept, owner, release) = keep(Kept {
        value: Vec::new(),
        views: (Errors(errors), views),
    });
    kept.value = results;
    let mut errors = kept.views.0.0.iter();
    kept.views.1.extend(kept.value.iter().map(|result| {
        let mut item: FfiDeleteResult = grow::nothing();
        match result {
            Ok(deleted) => {
                item.existed = existed_out(deleted.existed);
                item.version = FfiSlice::owned(&deleted.version);
                item.marker = deleted.marker.into();
            }
            Err(_) => {
                item.failed = 1;
                item.error = errors.next().map_or(std::ptr::null(), |e| e);
            }
        }
        item
    }));
    DeleteManyOut {
        results: kept.views.1.as_ptr(),
        result_count: kept.views.1.len(),
        result_size: size_of::<FfiDeleteResult>(),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads the answer of a batch of deletes.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_deleted_many(out: &DeleteManyOut) -> Result<Vec<Result<Deleted>>> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let raw = unsafe { strided(out.results, out.result_count, out.result_size) }
        .at("DeleteManyOut.results, result_count, result_size")?;
    raw.into_iter()
        .map(|result| {
            if result.failed == 0 {
                return Ok(Ok(Deleted {
                    existed: existed_in(result.existed),
                    // SAFETY: R6.
                    version: unsafe { text(result.version) }.at("FfiDeleteResult.version")?,
                    marker: result.marker != 0,
                }));
            }
            // SAFETY: R1, R6.
            let error = unsafe { copy_in(result.error) }
                .map_err(breach)
                .at("FfiDeleteResult.error")?;
            // SAFETY: R6: lent by the answer, which is released at the end.
            Ok(Err(unsafe { read_error(&error) }))
        })
        .collect()
}

/// Writes a state of health.
pub fn write_health(health: Health) -> HealthOut {
    let healthy = health.healthy.into();
    let (kept, owner, release) = keep(health);
    HealthOut {
        healthy,
        message: FfiSlice::of(kept.message.as_bytes()),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a state of health.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_health(out: &HealthOut) -> Result<Health> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    Ok(Health {
        healthy: out.healthy != 0,
        // SAFETY: R6.
        message: unsafe { text(out.message) }
            .at("HealthOut.message")?
            .unwrap_or_default(),
    })
}

/// Writes a usage.
pub fn write_usage(usage: Usage) -> UsageOut {
    UsageOut {
        used: number_out(usage.used),
        free: number_out(usage.free),
        total: number_out(usage.total),
        objects: number_out(usage.objects),
        ..grow::empty()
    }
}

/// Reads a usage.
pub fn read_usage(out: &UsageOut) -> Usage {
    Usage {
        used: number_in(out.used),
        free: number_in(out.free),
        total: number_in(out.total),
        objects: number_in(out.objects),
    }
}

/// Writes no answer but success.
pub fn write_empty((): ()) -> EmptyOut {
    grow::empty()
}

/// Writes the answer of a vendor's call.
pub fn write_custom(payload: Bytes) -> CustomOut {
    CustomOut {
        payload: Chunk::from(payload).into_ffi(),
        ..grow::empty()
    }
}

/// Reads the answer of a vendor's call.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_custom(out: &CustomOut) -> Result<Bytes> {
    // SAFETY: R3: owned by us now.
    unsafe { Chunk::from_ffi(out.payload) }
        .at("CustomOut.payload")
        .map(Bytes::from)
}

/// Writes an opened backend. It serves at most the operations that the plugin declares, and what it
/// says nothing of is as declared.
pub fn write_opened(
    backend: *const c_void,
    operations: Operations,
    capabilities: Capabilities,
    instance: Instance,
    effective_minor: u16,
) -> OpenOut {
    let limits = instance.limits;
    let operations = match instance.operations {
        Some(served) => served.with(Operations::REQUIRED).both(operations),
        None => operations,
    };
    let capabilities = instance.capabilities.unwrap_or(capabilities);
    let [capabilities, capabilities_2] = capabilities.of_minor(effective_minor).words();
    let mut out = OpenOut {
        backend,
        operations: operations.of_minor(effective_minor).bits(),
        capabilities,
        capabilities_2,
        min_part_bytes: limits.min_part_bytes,
        max_part_bytes: limits.max_part_bytes.unwrap_or(0),
        max_parts: limits.max_parts,
        max_upload_seconds: limits.max_upload_seconds.unwrap_or(0),
        max_object_size: number_out(limits.max_object_size),
        max_conditional_size: number_out(limits.max_conditional_size),
        max_key_bytes: limits.max_key_bytes.unwrap_or(0),
        max_metadata_bytes: limits.max_metadata_bytes,
        max_page: limits.max_page,
        max_sign_seconds: limits.max_sign_seconds.unwrap_or(0),
        buffer_bytes: limits.buffer_bytes,
        retries: limits.retries,
        eventual_ms: limits.eventual_ms,
        ..grow::empty()
    };
    if !instance.description.is_empty() {
        let (kept, owner, release) = keep(instance);
        out.description = FfiSlice::of(kept.description.as_bytes());
        (out.owner, out.release) = (owner, release);
    }
    out
}

/// Reads an opened backend: what it can do. The backend itself stays in `out`.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_uploaded`].
pub unsafe fn read_opened(out: &OpenOut, effective_minor: u16) -> Result<Instance> {
    let _release = Release(out.owner, out.release);
    if effective_minor > 0 {
        // No kind is known here yet: what can be read is skipped.
        // SAFETY: R6, R17.
        unsafe { links(out.extension) }.at("OpenOut.extension")?;
    }
    let nonzero = |number: u32| (number != 0).then_some(number);
    Ok(Instance {
        operations: Some(Operations::from_bits(out.operations).of_minor(effective_minor)),
        capabilities: Some(
            Capabilities::from_words([out.capabilities, out.capabilities_2])
                .of_minor(effective_minor),
        ),
        limits: Limits {
            max_object_size: number_in(out.max_object_size),
            max_conditional_size: number_in(out.max_conditional_size),
            max_key_bytes: nonzero(out.max_key_bytes),
            max_metadata_bytes: out.max_metadata_bytes,
            max_page: out.max_page,
            max_sign_seconds: nonzero(out.max_sign_seconds),
            buffer_bytes: out.buffer_bytes,
            retries: out.retries,
            eventual_ms: out.eventual_ms,
            min_part_bytes: out.min_part_bytes,
            max_part_bytes: (out.max_part_bytes != 0).then_some(out.max_part_bytes),
            max_parts: nonzero(out.max_parts).unwrap_or(MAX_PARTS),
            max_upload_seconds: nonzero(out.max_upload_seconds),
        },
        // SAFETY: R6.
        description: unsafe { text(out.description) }
            .at("OpenOut.description")?
            .unwrap_or_default(),
    })
}
