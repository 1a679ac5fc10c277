//! Uploads in parts, both ways.

use super::answer::{Kept as Views, Release, keep, text as text_in};
use super::grow::{self, copy_in, strided};
use super::request::{
    Args, Keep, Kept, Texts, key, read_upload_options, refused, text, upload_options_pointer,
    write_upload_options,
};
use super::stream::OwnedStream;
use super::tables::*;
use super::text::{
    At, breach, checksums_in, checksums_out, number_in, number_out, time_in, time_out,
};
use crate::{
    AbortUpload, Body, CompleteUpload, CreateUpload, ListParts, ListUploads, MAX_PARTS, Part,
    PartPage, PendingUpload, PutPart, Result, UploadPage,
};

/// Writes the beginning of an upload.
pub fn write_create<'a>(create: &CreateUpload<'a>) -> Args<'a, CreateUploadArgs> {
    let mut args = Args::new(CreateUploadArgs {
        key: key(create.key),
        ..grow::empty()
    });
    if !create.is_plain() {
        args.keep = write_upload_options(create.options());
        args.raw.options = upload_options_pointer(args.keep.get());
    }
    args
}

/// Reads the beginning of an upload.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// R1 and R5; and `'a` ends before `texts`.
pub unsafe fn read_create<'a>(
    args: *const CreateUploadArgs,
    texts: &mut Texts,
) -> Result<CreateUpload<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let create = CreateUpload::new(unsafe { texts.key(args.key) });
    // SAFETY: R1, R5.
    Ok(create.with_options(unsafe { read_upload_options(args.options, texts) }?))
}

/// Writes the name of an upload.
pub fn write_created(upload_id: String) -> CreateUploadOut {
    let (kept, owner, release) = keep(upload_id);
    CreateUploadOut {
        upload_id: FfiSlice::of(kept.as_bytes()),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads the name of an upload.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// R6: `out` was filled by the other side and is not used again.
pub unsafe fn read_created(out: &CreateUploadOut) -> Result<String> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let id = unsafe { text_in(out.upload_id) };
    id.and_then(upload_id).at("CreateUploadOut.upload_id")
}

/// Checks the id of an upload: a longer one would be refused in every later request.
fn upload_id(id: Option<String>) -> Result<String> {
    let id = id.ok_or_else(|| breach("an upload without an id"))?;
    if id.is_empty() || id.len() > MAX_UPLOAD_ID {
        return Err(breach(format_args!(
            "an upload id of {} bytes, 1 to {MAX_UPLOAD_ID} expected",
            id.len()
        )));
    }
    Ok(id)
}

/// Checks the etag of a part: without one no upload can be completed.
fn part_etag(etag: Option<String>) -> Result<String> {
    let etag = etag.filter(|etag| !etag.is_empty());
    etag.ok_or_else(|| breach("a part without an etag"))
}

/// Longest id of an upload, in bytes: those of S3 have about 200.
pub const MAX_UPLOAD_ID: usize = 4096;

/// Writes a part. The body moves.
pub fn write_put(put: PutPart<'_>) -> Args<'_, PutPartArgs> {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&put.checksums);
    Args::new(PutPartArgs {
        key: key(put.key),
        upload_id: text(put.upload_id),
        number: put.number,
        checksums_known,
        crc32c,
        md5,
        sha256,
        length: number_out(put.length),
        body: put.body.into_stream().into_ffi(),
        ..grow::empty()
    })
}

/// Reads a part. The body moves.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// R1, R5 and R8; and `'a` ends before `texts`.
pub unsafe fn read_put<'a>(args: *const PutPartArgs, texts: &mut Texts) -> Result<PutPart<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R8.
    let body = Body::of(unsafe { OwnedStream::from_ffi(args.body) }?);
    // SAFETY: R5.
    let name = unsafe { texts.key(args.key) };
    // SAFETY: R5.
    let upload_id = unsafe { texts.or_empty(args.upload_id) };
    let mut put = PutPart::new(name, upload_id, args.number, body);
    put.length = number_in(args.length);
    put.checksums = checksums_in(args.checksums_known, args.crc32c, args.md5, args.sha256);
    Ok(put)
}

/// Writes a stored part.
pub fn write_stored(part: Part) -> PutPartOut {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&part.checksums);
    let (kept, owner, release) = keep(part);
    PutPartOut {
        bytes: kept.size,
        etag: FfiSlice::of(kept.etag.as_bytes()),
        checksums_known,
        crc32c,
        md5,
        sha256,
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a stored part; its number is the request's.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_created`].
pub unsafe fn read_stored(out: &PutPartOut) -> Result<Part> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let etag = unsafe { text_in(out.etag) };
    let etag = etag.and_then(part_etag).at("PutPartOut.etag")?;
    let checksums = checksums_in(out.checksums_known, out.crc32c, out.md5, out.sha256);
    Ok(Part::new(0, etag, out.bytes).checksums(checksums))
}

/// Writes a request for parts.
pub fn write_list<'a>(list: &ListParts<'a>) -> Args<'a, ListPartsArgs> {
    Args::new(ListPartsArgs {
        key: key(list.key),
        upload_id: text(list.upload_id),
        page_token: FfiSlice::text(list.page_token),
        limit: list.limit,
        ..grow::empty()
    })
}

/// Reads a request for parts.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_create`].
pub unsafe fn read_list<'a>(
    args: *const ListPartsArgs,
    texts: &mut Texts,
) -> Result<ListParts<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let name = unsafe { texts.key(args.key) };
    // SAFETY: R5.
    let list = ListParts::new(name, unsafe { texts.or_empty(args.upload_id) });
    // SAFETY: R5.
    let token = unsafe { texts.get(args.page_token) };
    Ok(list.limit(args.limit).page_token(token))
}

/// Writes a page of parts.
pub fn write_parts(page: PartPage) -> ListPartsOut {
    let views: Vec<FfiPart> = Vec::new();
    let (kept, owner, release) = keep(Views { value: page, views });
    kept.views.extend(kept.value.parts.iter().map(|part| {
        let mut item: FfiPart = grow::nothing();
        item.number = part.number;
        item.bytes = part.size;
        item.etag = FfiSlice::of(part.etag.as_bytes());
        item.last_modified_ns = time_out(part.last_modified);
        (item.checksums_known, item.crc32c, _, _) = checksums_out(&part.checksums);
        item
    }));
    ListPartsOut {
        parts: kept.views.as_ptr(),
        part_count: kept.views.len(),
        part_size: size_of::<FfiPart>(),
        next: FfiSlice::owned(&kept.value.next),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a page of parts.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_created`].
pub unsafe fn read_parts(out: &ListPartsOut) -> Result<PartPage> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let raw = unsafe { strided(out.parts, out.part_count, out.part_size) }
        .at("ListPartsOut.parts, part_count, part_size")?;
    let mut page = PartPage::default();
    for part in raw {
        if !(1..=MAX_PARTS).contains(&part.number) {
            return Err(breach(format_args!(
                "a part of number {}, 1 to {MAX_PARTS} expected (`FfiPart.number`)",
                part.number
            )));
        }
        // SAFETY: R6.
        let etag = unsafe { text_in(part.etag) };
        let etag = etag.and_then(part_etag).at("FfiPart.etag")?;
        let checksums = checksums_in(part.checksums_known & 1, part.crc32c, [0; 16], [0; 32]);
        page.parts.push(
            Part::new(part.number, etag, part.bytes)
                .last_modified(time_in(part.last_modified_ns))
                .checksums(checksums),
        );
    }
    // SAFETY: R6.
    page.next = unsafe { text_in(out.next) }.at("ListPartsOut.next")?;
    Ok(page)
}

/// Writes a request for uploads.
pub fn write_list_uploads<'a>(list: &ListUploads<'a>) -> Args<'a, ListUploadsArgs> {
    Args::new(ListUploadsArgs {
        prefix: text(list.prefix),
        page_token: FfiSlice::text(list.page_token),
        limit: list.limit,
        ..grow::empty()
    })
}

/// Reads a request for uploads.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_create`].
pub unsafe fn read_list_uploads<'a>(
    args: *const ListUploadsArgs,
    texts: &mut Texts,
) -> Result<ListUploads<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let list = ListUploads::new(unsafe { texts.or_empty(args.prefix) });
    // SAFETY: R5.
    let token = unsafe { texts.get(args.page_token) };
    Ok(list.limit(args.limit).page_token(token))
}

/// Writes a page of uploads.
pub fn write_uploads(page: UploadPage) -> ListUploadsOut {
    let views: Vec<FfiUpload> = Vec::new();
    let (kept, owner, release) = keep(Views { value: page, views });
    kept.views.extend(kept.value.uploads.iter().map(|upload| {
        let mut item: FfiUpload = grow::nothing();
        item.key = FfiSlice::of(upload.key.as_bytes());
        item.upload_id = FfiSlice::of(upload.upload_id.as_bytes());
        item.created_ns = time_out(upload.created);
        item
    }));
    ListUploadsOut {
        uploads: kept.views.as_ptr(),
        upload_count: kept.views.len(),
        upload_size: size_of::<FfiUpload>(),
        next: FfiSlice::owned(&kept.value.next),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a page of uploads.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// As [`read_created`].
pub unsafe fn read_uploads(out: &ListUploadsOut) -> Result<UploadPage> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let raw = unsafe { strided(out.uploads, out.upload_count, out.upload_size) }
        .at("ListUploadsOut.uploads, upload_count, upload_size")?;
    let mut page = UploadPage::default();
    for upload in raw {
        // SAFETY: R6.
        let name = unsafe { text_in(upload.key) }.at("FfiUpload.key")?;
        let name = name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| breach("an upload without a key (`FfiUpload.key`)"))?;
        // SAFETY: R6.
        let id = unsafe { text_in(upload.upload_id) };
        let id = id.and_then(upload_id).at("FfiUpload.upload_id")?;
        page.uploads
            .push(PendingUpload::new(name, id).created(time_in(upload.created_ns)));
    }
    // SAFETY: R6.
    page.next = unsafe { text_in(out.next) }.at("ListUploadsOut.next")?;
    Ok(page)
}

/// Writes the end of an upload.
pub fn write_complete<'a>(complete: &CompleteUpload<'a>) -> Args<'a, CompleteUploadArgs> {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&complete.checksums);
    let parts = complete.parts.iter().map(|(number, etag)| {
        let mut item: FfiPartRef = grow::nothing();
        (item.number, item.etag) = (*number, text(etag));
        item
    });
    let parts: Vec<FfiPartRef> = parts.collect();
    let mut args = Args::new(CompleteUploadArgs {
        key: key(complete.key),
        upload_id: text(complete.upload_id),
        parts: parts.as_ptr(),
        part_count: parts.len(),
        part_size: size_of::<FfiPartRef>(),
        if_match: FfiSlice::text(complete.if_match),
        create_only: complete.create_only.into(),
        checksums_known,
        crc32c,
        md5,
        sha256,
        ..grow::empty()
    });
    args.keep = Kept::new(Keep::Parts(parts));
    args
}

/// Reads the end of an upload.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_create`].
pub unsafe fn read_complete<'a>(
    args: *const CompleteUploadArgs,
    texts: &mut Texts,
) -> Result<CompleteUpload<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let name = unsafe { texts.key(args.key) };
    // SAFETY: R5.
    let id = unsafe { texts.or_empty(args.upload_id) };
    let mut complete = CompleteUpload::new(name, id, []);
    // SAFETY: R5.
    for part in unsafe { strided(args.parts, args.part_count, args.part_size) }? {
        // SAFETY: R5.
        let etag = unsafe { texts.or_empty(part.etag) };
        complete.parts.push((part.number, etag));
    }
    // SAFETY: R5.
    complete.if_match = unsafe { texts.get(args.if_match) };
    complete.create_only = args.create_only != 0;
    complete.checksums = checksums_in(args.checksums_known, args.crc32c, args.md5, args.sha256);
    Ok(complete)
}

/// Writes the end of an upload without an object.
pub fn write_abort<'a>(abort: &AbortUpload<'a>) -> Args<'a, AbortUploadArgs> {
    Args::new(AbortUploadArgs {
        key: key(abort.key),
        upload_id: text(abort.upload_id),
        ..grow::empty()
    })
}

/// Reads the end of an upload without an object.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_create`].
pub unsafe fn read_abort<'a>(
    args: *const AbortUploadArgs,
    texts: &mut Texts,
) -> Result<AbortUpload<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let name = unsafe { texts.key(args.key) };
    // SAFETY: R5.
    Ok(AbortUpload::new(name, unsafe {
        texts.or_empty(args.upload_id)
    }))
}
