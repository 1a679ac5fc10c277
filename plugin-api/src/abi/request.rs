//! Requests as arguments, both ways: rules R4, R5 and R8.
//!
//! Each request is written (by the host) and read (by a plugin) here, side by side, so that no field
//! is forgotten on one of them.

use super::bytes::Chunk;
use super::grow::{self, Grows, TableFault, copy_in};
use super::stream::OwnedStream;
use super::tables::*;
use super::text::{
    array, checksums_in, checksums_out, number_in, number_out, pair_views, pairs_of, time_in,
    time_out,
};
use crate::{
    Body, ByteRange, CopyObject, CopyOptions, Custom, Delete, DeleteMany, Download, Durability,
    Encryption, Error, Head, Headers, Key, List, Method, ReadOptions, Rename, Result, SignUrl,
    Update, Upload, UploadOptions,
};
use std::marker::PhantomData;
use std::time::Duration;

// ---- what the writer keeps alive

/// Arguments of one operation, with all that they point to and that a request does not hold itself.
#[derive(Debug)]
pub struct Args<'a, A: Owned> {
    pub(super) raw: A,
    pub(super) keep: Kept,
    _request: PhantomData<&'a ()>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "the vectors are held for the pointers into them")]
pub(super) enum Keep {
    Upload(UploadOptionArgs, [Vec<FfiPair>; 2]),
    Read(ReadOptionArgs),
    Keys(Vec<FfiSlice>, Vec<FfiSlice>),
    Parts(Vec<FfiPartRef>),
    Ranges(Vec<FfiRange>, ReadOptionArgs),
}

/// Owns a [`Keep`]. Not a `Box`: moving one would end the borrows that the arguments hold.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<std::ptr::NonNull<Keep>>);

impl Kept {
    pub(super) fn new(keep: Keep) -> Self {
        Self(std::ptr::NonNull::new(Box::into_raw(Box::new(keep))))
    }

    pub(super) fn get(&self) -> Option<&Keep> {
        // SAFETY: made by `new`, freed by `drop` only.
        self.0.map(|keep| unsafe { keep.as_ref() })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(keep) = self.0 {
            // SAFETY: made by `new`, freed once.
            drop(unsafe { Box::from_raw(keep.as_ptr()) });
        }
    }
}

// SAFETY: the raw pointers lead to shared texts of the request, to the box, and to bodies, all of
// which may be used from any thread.
unsafe impl<A: Owned> Send for Args<'_, A> {}

/// Arguments that may own something which moves at `start`.
pub trait Owned: Grows {
    /// Frees what would have moved, when there was no start.
    fn discard(&mut self) {}
}

impl<A: Owned> Args<'_, A> {
    pub(super) fn new(raw: A) -> Self {
        Self {
            raw,
            keep: Kept::default(),
            _request: PhantomData,
        }
    }

    /// The table to pass.
    pub fn raw(&mut self) -> &mut A {
        &mut self.raw
    }
}

macro_rules! plain {
    ($($args:ty),+) => { $(impl Owned for $args {})+ };
}
plain!(
    OpenArgs,
    DownloadArgs,
    HeadArgs,
    DeleteArgs,
    ExistsArgs,
    SignArgs,
    ListArgs,
    CopyArgs,
    RenameArgs,
    DeleteManyArgs,
    EmptyArgs,
    CreateUploadArgs,
    ListPartsArgs,
    ListUploadsArgs,
    CompleteUploadArgs,
    AbortUploadArgs,
    RangesArgs,
    ListVersionsArgs,
    UpdateArgs
);

impl Owned for UploadArgs {
    fn discard(&mut self) {
        // SAFETY: R8: not moved, because there was no start.
        drop(unsafe { OwnedStream::from_ffi(self.body) });
    }
}

impl Owned for PutPartArgs {
    fn discard(&mut self) {
        // SAFETY: R8: not moved, because there was no start.
        drop(unsafe { OwnedStream::from_ffi(self.body) });
    }
}

impl Owned for CustomArgs {
    fn discard(&mut self) {
        // SAFETY: R8: not moved, because there was no start.
        drop(unsafe { Chunk::from_ffi(self.payload) });
    }
}

pub(super) fn text(text: &str) -> FfiSlice {
    FfiSlice::of(text.as_bytes())
}

pub(super) fn key(key: &Key) -> FfiSlice {
    text(key.text())
}

// ---- what the reader may hold

/// How a plugin gets at lent texts: in place, or (for a spawned task, which may outlive the
/// operation) copied into an arena that the task owns.
#[derive(Debug, Default)]
pub struct Texts {
    arena: Option<Vec<*mut str>>,
}

// SAFETY: the arena owns its texts, like a `Vec<Box<str>>`; raw pointers, because moving a box would
// end the borrows that were handed out.
unsafe impl Send for Texts {}

impl Texts {
    /// Texts in place.
    pub fn lent() -> Self {
        Self { arena: None }
    }

    /// Texts that live as long as this value.
    pub fn copied() -> Self {
        Self {
            arena: Some(Vec::new()),
        }
    }

    /// # Safety
    ///
    /// R4 and R5; and `'a` ends before this value, when it copies.
    pub(super) unsafe fn get<'a>(&mut self, slice: FfiSlice) -> Option<&'a str> {
        if slice.ptr.is_null() {
            return None;
        }
        // SAFETY: R5: readable.
        let bytes = unsafe { std::slice::from_raw_parts(slice.ptr, slice.len) };
        // SAFETY: R4: the host lends UTF-8 only; it holds every text as a `str`.
        let lent = unsafe { std::str::from_utf8_unchecked(bytes) };
        let Some(arena) = &mut self.arena else {
            return Some(lent);
        };
        let own = Box::into_raw(Box::<str>::from(lent));
        arena.push(own);
        // SAFETY: freed with the arena only.
        Some(unsafe { &*own })
    }

    /// # Safety
    ///
    /// As [`Texts::get`].
    pub(super) unsafe fn or_empty<'a>(&mut self, slice: FfiSlice) -> &'a str {
        // SAFETY: by the contract.
        unsafe { self.get(slice) }.unwrap_or("")
    }

    /// # Safety
    ///
    /// As [`Texts::get`].
    pub(super) unsafe fn key<'a>(&mut self, slice: FfiSlice) -> &'a Key {
        // SAFETY: by the contract.
        Key::new(unsafe { self.or_empty(slice) })
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        for own in self.arena.iter_mut().flatten() {
            // SAFETY: made by `Box::into_raw` in `get`, freed once.
            drop(unsafe { Box::from_raw(*own) });
        }
    }
}

pub(super) fn refused(fault: TableFault) -> Error {
    Error::new(crate::ErrorKind::Other)
        .with_message("the host passed a table that cannot be read")
        .because(fault)
}

// ---- each request, written and read

/// Writes an upload. The body moves.
pub fn write_upload(upload: Upload<'_>) -> Args<'_, UploadArgs> {
    let (name, body, length, options) = upload.into_raw_parts();
    let mut args = Args::new(UploadArgs {
        key: key(name),
        length: number_out(length),
        body: body.into_stream().into_ffi(),
        ..grow::empty()
    });
    if let Some(options) = options {
        args.keep = write_upload_options(&options);
        args.raw.options = upload_options_pointer(args.keep.get());
    }
    args
}

/// Options of a write.
pub(super) fn write_upload_options(options: &UploadOptions<'_>) -> Kept {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&options.checksums);
    let pairs = [pair_views(&options.metadata), pair_views(&options.tags)];
    let (encryption, encryption_key_id) = match options.encryption {
        None => (0, None),
        Some(Encryption::Managed) => (1, None),
        Some(Encryption::Key(id)) => (2, Some(id)),
    };
    Kept::new(Keep::Upload(
        UploadOptionArgs {
            content_type: FfiSlice::text(options.content_type),
            cache_control: FfiSlice::text(options.headers.cache_control),
            content_disposition: FfiSlice::text(options.headers.content_disposition),
            content_encoding: FfiSlice::text(options.headers.content_encoding),
            content_language: FfiSlice::text(options.headers.content_language),
            if_match: FfiSlice::text(options.if_match),
            create_only: options.create_only.into(),
            durability: options.durability.map_or(0, |durability| durability as u8),
            checksums_known,
            crc32c,
            md5,
            sha256,
            metadata: pairs_of(&pairs[0]),
            storage_class: FfiSlice::text(options.storage_class),
            tags: pairs_of(&pairs[1]),
            encryption,
            encryption_key_id: FfiSlice::text(encryption_key_id),
            ..grow::empty()
        },
        pairs,
    ))
}

pub(super) fn upload_options_pointer(keep: Option<&Keep>) -> *const UploadOptionArgs {
    match keep {
        Some(Keep::Upload(raw, _)) => raw,
        _ => std::ptr::null(),
    }
}

/// Reads an upload. The body moves.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// R1, R5 and R8; and `'a` ends before `texts`.
pub unsafe fn read_upload<'a>(args: *const UploadArgs, texts: &mut Texts) -> Result<Upload<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R8.
    let body = Body::of(unsafe { OwnedStream::from_ffi(args.body) }?);
    // SAFETY: R5.
    let mut upload = Upload::new(unsafe { texts.key(args.key) }, body);
    upload.length = number_in(args.length);
    // SAFETY: R1, R5.
    let options = unsafe { read_upload_options(args.options, texts) }?;
    Ok(if options.is_some() {
        upload.with_options(options)
    } else {
        upload
    })
}

/// # Safety
///
/// R4 and R5; and `'a` ends before `texts`.
unsafe fn pairs_in<'a>(raw: FfiPairs, texts: &mut Texts) -> Result<Vec<(&'a str, &'a str)>> {
    // SAFETY: R5.
    let pairs = unsafe { array(raw.ptr, raw.len) }?;
    let mut read = Vec::with_capacity(pairs.len());
    for pair in pairs {
        // SAFETY: R5.
        let name = unsafe { texts.or_empty(pair.name) };
        // SAFETY: R5.
        read.push((name, unsafe { texts.or_empty(pair.value) }));
    }
    Ok(read)
}

/// # Safety
///
/// As [`read_upload`].
pub(super) unsafe fn read_upload_options<'a>(
    raw: *const UploadOptionArgs,
    texts: &mut Texts,
) -> Result<Option<UploadOptions<'a>>> {
    if raw.is_null() {
        return Ok(None);
    }
    // SAFETY: R1.
    let raw = unsafe { copy_in(raw) }.map_err(refused)?;
    let mut options = UploadOptions {
        create_only: raw.create_only != 0,
        checksums: checksums_in(raw.checksums_known, raw.crc32c, raw.md5, raw.sha256),
        durability: match raw.durability {
            1 => Some(Durability::None),
            2 => Some(Durability::Data),
            3 => Some(Durability::Full),
            _ => None,
        },
        // SAFETY: R5.
        metadata: unsafe { pairs_in(raw.metadata, texts) }?,
        // SAFETY: R5.
        tags: unsafe { pairs_in(raw.tags, texts) }?,
        encryption: match raw.encryption {
            0 => None,
            1 => Some(Encryption::Managed),
            // SAFETY: R5.
            2 => Some(Encryption::Key(unsafe {
                texts.or_empty(raw.encryption_key_id)
            })),
            _ => return Err(Error::unsupported("this kind of encryption")),
        },
        ..UploadOptions::default()
    };
    for (slot, slice) in [
        (&mut options.content_type, raw.content_type),
        (&mut options.headers.cache_control, raw.cache_control),
        (
            &mut options.headers.content_disposition,
            raw.content_disposition,
        ),
        (&mut options.headers.content_encoding, raw.content_encoding),
        (&mut options.headers.content_language, raw.content_language),
        (&mut options.if_match, raw.if_match),
        (&mut options.storage_class, raw.storage_class),
    ] {
        // SAFETY: R5.
        *slot = unsafe { texts.get(slice) };
    }
    Ok(Some(options))
}

pub(super) fn read_option_args(options: &ReadOptions<'_>) -> ReadOptionArgs {
    ReadOptionArgs {
        if_match: FfiSlice::text(options.if_match),
        if_none_match: FfiSlice::text(options.if_none_match),
        version: FfiSlice::text(options.version),
        if_modified_since_ns: time_out(options.if_modified_since),
        if_unmodified_since_ns: time_out(options.if_unmodified_since),
        with_tags: options.with_tags.into(),
        ..grow::empty()
    }
}

fn write_read_options(options: &ReadOptions<'_>) -> Kept {
    Kept::new(Keep::Read(read_option_args(options)))
}

fn read_options_pointer(keep: Option<&Keep>) -> *const ReadOptionArgs {
    match keep {
        Some(Keep::Read(raw)) => raw,
        _ => std::ptr::null(),
    }
}

/// # Safety
///
/// As [`read_upload`].
pub(super) unsafe fn read_read_options<'a>(
    raw: *const ReadOptionArgs,
    texts: &mut Texts,
) -> Result<Option<ReadOptions<'a>>> {
    if raw.is_null() {
        return Ok(None);
    }
    // SAFETY: R1.
    let raw = unsafe { copy_in(raw) }.map_err(refused)?;
    let mut options = ReadOptions {
        if_modified_since: time_in(raw.if_modified_since_ns),
        if_unmodified_since: time_in(raw.if_unmodified_since_ns),
        with_tags: raw.with_tags != 0,
        ..ReadOptions::default()
    };
    for (slot, slice) in [
        (&mut options.if_match, raw.if_match),
        (&mut options.if_none_match, raw.if_none_match),
        (&mut options.version, raw.version),
    ] {
        // SAFETY: R5.
        *slot = unsafe { texts.get(slice) };
    }
    Ok(Some(options))
}

/// Writes a download.
pub fn write_download<'a>(download: &Download<'a>) -> Args<'a, DownloadArgs> {
    let (range_kind, range_a, range_b) = match download.range {
        None => (0, 0, 0),
        Some(ByteRange::Bounded(ref range)) => (1, range.start, range.end),
        Some(ByteRange::From(start)) => (2, start, 0),
        Some(ByteRange::Last(count)) => (3, count, 0),
    };
    let mut args = Args::new(DownloadArgs {
        key: key(download.key),
        range_kind,
        chunk_hint: download.chunk_hint,
        range_a,
        range_b,
        ..grow::empty()
    });
    if !download.is_plain() {
        args.keep = write_read_options(download.options());
        args.raw.options = read_options_pointer(args.keep.get());
    }
    args
}

/// Reads a download.
///
/// # Errors
///
/// A table that cannot be read, or a kind of range that is not known.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_download<'a>(
    args: *const DownloadArgs,
    texts: &mut Texts,
) -> Result<Download<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let mut download = Download::new(unsafe { texts.key(args.key) }).chunk_hint(args.chunk_hint);
    download.range = match args.range_kind {
        0 => None,
        1 => Some(ByteRange::Bounded(args.range_a..args.range_b)),
        2 => Some(ByteRange::From(args.range_a)),
        3 => Some(ByteRange::Last(args.range_a)),
        _ => return Err(Error::unsupported("this kind of range")),
    };
    // SAFETY: R5.
    let options = unsafe { read_read_options(args.options, texts) }?;
    Ok(if options.is_some() {
        download.with_options(options)
    } else {
        download
    })
}

/// Writes a head.
pub fn write_head<'a>(head: &Head<'a>) -> Args<'a, HeadArgs> {
    let mut args = Args::new(HeadArgs {
        key: key(head.key),
        ..grow::empty()
    });
    if !head.is_plain() {
        args.keep = write_read_options(head.options());
        args.raw.options = read_options_pointer(args.keep.get());
    }
    args
}

/// Reads a head.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_head<'a>(args: *const HeadArgs, texts: &mut Texts) -> Result<Head<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let head = Head::new(unsafe { texts.key(args.key) });
    // SAFETY: R5.
    let options = unsafe { read_read_options(args.options, texts) }?;
    Ok(if options.is_some() {
        head.with_options(options)
    } else {
        head
    })
}

/// Writes a delete.
pub fn write_delete<'a>(delete: &Delete<'a>) -> Args<'a, DeleteArgs> {
    Args::new(DeleteArgs {
        key: key(delete.key),
        if_match: FfiSlice::text(delete.if_match),
        version: FfiSlice::text(delete.version),
        must_exist: delete.must_exist.into(),
        ..grow::empty()
    })
}

/// Reads a delete.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_delete<'a>(args: *const DeleteArgs, texts: &mut Texts) -> Result<Delete<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let mut delete = Delete::new(unsafe { texts.key(args.key) });
    delete.must_exist = args.must_exist != 0;
    // SAFETY: R5.
    delete.if_match = unsafe { texts.get(args.if_match) };
    // SAFETY: R5.
    delete.version = unsafe { texts.get(args.version) };
    Ok(delete)
}

/// Writes an exists.
pub fn write_exists(name: &Key) -> Args<'_, ExistsArgs> {
    Args::new(ExistsArgs {
        key: key(name),
        ..grow::empty()
    })
}

/// Reads an exists.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_exists<'a>(args: *const ExistsArgs, texts: &mut Texts) -> Result<&'a Key> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    Ok(unsafe { texts.key(args.key) })
}

/// Writes a sign.
pub fn write_sign<'a>(sign: &SignUrl<'a>) -> Args<'a, SignArgs> {
    let (checksums_known, crc32c, md5, sha256) = checksums_out(&sign.checksums);
    Args::new(SignArgs {
        key: key(sign.key),
        method: sign.method as u32,
        expires_seconds: u32::try_from(sign.expires_in.as_secs()).unwrap_or(u32::MAX),
        content_type: FfiSlice::text(sign.content_type),
        max_size: number_out(sign.max_size),
        download_name: FfiSlice::text(sign.download_name),
        response_content_type: FfiSlice::text(sign.response_content_type),
        must_exist: sign.must_exist.into(),
        checksums_known,
        crc32c,
        md5,
        sha256,
        ..grow::empty()
    })
}

/// Reads a sign.
///
/// # Errors
///
/// A table that cannot be read, or a method that is not known.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_sign<'a>(args: *const SignArgs, texts: &mut Texts) -> Result<SignUrl<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    let method = match args.method {
        1 => Method::Get,
        2 => Method::Put,
        3 => Method::Head,
        4 => Method::Delete,
        _ => return Err(Error::unsupported("this method")),
    };
    let expires_in = Duration::from_secs(args.expires_seconds.into());
    // SAFETY: R5.
    let mut sign = SignUrl::new(method, unsafe { texts.key(args.key) }, expires_in);
    sign.max_size = number_in(args.max_size);
    sign.must_exist = args.must_exist != 0;
    sign.checksums = checksums_in(args.checksums_known, args.crc32c, args.md5, args.sha256);
    for (slot, slice) in [
        (&mut sign.content_type, args.content_type),
        (&mut sign.download_name, args.download_name),
        (&mut sign.response_content_type, args.response_content_type),
    ] {
        // SAFETY: R5.
        *slot = unsafe { texts.get(slice) };
    }
    Ok(sign)
}

/// Writes a list.
pub fn write_list<'a>(list: &List<'a>) -> Args<'a, ListArgs> {
    Args::new(ListArgs {
        prefix: text(list.prefix),
        delimiter: FfiSlice::text(list.delimiter),
        page_token: FfiSlice::text(list.page_token),
        start_after: FfiSlice::text(list.start_after),
        limit: list.limit,
        ..grow::empty()
    })
}

/// Reads a list.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_list<'a>(args: *const ListArgs, texts: &mut Texts) -> Result<List<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let mut list = List::new(unsafe { texts.or_empty(args.prefix) }).limit(args.limit);
    for (slot, slice) in [
        (&mut list.delimiter, args.delimiter),
        (&mut list.page_token, args.page_token),
        (&mut list.start_after, args.start_after),
    ] {
        // SAFETY: R5.
        *slot = unsafe { texts.get(slice) };
    }
    Ok(list)
}

/// Writes a copy.
pub fn write_copy<'a>(copy: &CopyObject<'a>) -> Args<'a, CopyArgs> {
    let options = copy.options();
    let mut args = Args::new(CopyArgs {
        from: key(copy.from),
        to: key(copy.to),
        create_only: copy.create_only.into(),
        if_match: FfiSlice::text(options.if_match),
        source_if_match: FfiSlice::text(options.source_if_match),
        source_if_none_match: FfiSlice::text(options.source_if_none_match),
        source_version: FfiSlice::text(options.source_version),
        ..grow::empty()
    });
    if let Some(replace) = &options.replace {
        args.keep = write_upload_options(replace);
        args.raw.options = upload_options_pointer(args.keep.get());
    }
    args
}

/// Reads a copy.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_copy<'a>(args: *const CopyArgs, texts: &mut Texts) -> Result<CopyObject<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let from = unsafe { texts.key(args.from) };
    // SAFETY: R5.
    let mut copy = CopyObject::new(from, unsafe { texts.key(args.to) });
    copy.create_only = args.create_only != 0;
    let mut options = CopyOptions {
        // SAFETY: R1, R5.
        replace: unsafe { read_upload_options(args.options, texts) }?,
        ..CopyOptions::default()
    };
    let mut plain = options.replace.is_none();
    for (slot, slice) in [
        (&mut options.if_match, args.if_match),
        (&mut options.source_if_match, args.source_if_match),
        (&mut options.source_if_none_match, args.source_if_none_match),
        (&mut options.source_version, args.source_version),
    ] {
        // SAFETY: R5.
        *slot = unsafe { texts.get(slice) };
        plain &= slot.is_none();
    }
    Ok(if plain {
        copy
    } else {
        copy.with_options(Some(options))
    })
}

/// Writes a rename.
pub fn write_rename<'a>(rename: &Rename<'a>) -> Args<'a, RenameArgs> {
    Args::new(RenameArgs {
        from: key(rename.from),
        to: key(rename.to),
        ..grow::empty()
    })
}

/// Reads a rename.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_rename<'a>(args: *const RenameArgs, texts: &mut Texts) -> Result<Rename<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let from = unsafe { texts.key(args.from) };
    // SAFETY: R5.
    Ok(Rename::new(from, unsafe { texts.key(args.to) }))
}

/// Writes a batch of deletes.
pub fn write_delete_many<'a>(delete: &DeleteMany<'a>) -> Args<'a, DeleteManyArgs> {
    let keys: Vec<FfiSlice> = delete.keys.iter().map(|name| key(name)).collect();
    let versions = delete.versions.iter().copied().map(FfiSlice::text);
    let versions: Vec<FfiSlice> = versions.collect();
    let mut args = Args::new(DeleteManyArgs {
        keys: keys.as_ptr(),
        key_count: keys.len(),
        versions: match versions.len() == keys.len() {
            true => versions.as_ptr(),
            false => std::ptr::null(),
        },
        ..grow::empty()
    });
    args.keep = Kept::new(Keep::Keys(keys, versions));
    args
}

/// Reads a batch of deletes.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_delete_many<'a>(
    args: *const DeleteManyArgs,
    texts: &mut Texts,
) -> Result<DeleteMany<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let keys = unsafe { array(args.keys, args.key_count) }?;
    let mut delete = DeleteMany::new::<Key>([]);
    for slice in keys {
        // SAFETY: R5.
        delete.keys.push(unsafe { texts.key(*slice) });
    }
    if !args.versions.is_null() {
        // SAFETY: R5.
        for slice in unsafe { array(args.versions, args.key_count) }? {
            // SAFETY: R5.
            delete.versions.push(unsafe { texts.get(*slice) });
        }
    }
    Ok(delete)
}

/// Writes a change of what is kept beside the bytes.
pub fn write_update<'a>(update: &Update<'a>) -> Args<'a, UpdateArgs> {
    let flat = |text: Option<Option<&'a str>>| text.flatten();
    let options = UploadOptions {
        content_type: flat(update.content_type),
        headers: Headers {
            cache_control: flat(update.cache_control),
            content_disposition: flat(update.content_disposition),
            content_encoding: flat(update.content_encoding),
            content_language: flat(update.content_language),
        },
        metadata: update.metadata.clone().unwrap_or_default(),
        tags: update.tags.clone().unwrap_or_default(),
        storage_class: update.storage_class,
        ..UploadOptions::default()
    };
    let mask = [
        update.content_type.is_some(),
        update.cache_control.is_some(),
        update.content_disposition.is_some(),
        update.content_encoding.is_some(),
        update.content_language.is_some(),
        update.metadata.is_some(),
        update.tags.is_some(),
        update.storage_class.is_some(),
    ];
    let mask = (0..).zip(mask).map(|(bit, is)| u32::from(is) << bit).sum();
    let mut args = Args::new(UpdateArgs {
        key: key(update.key),
        if_match: FfiSlice::text(update.if_match),
        version: FfiSlice::text(update.version),
        mask,
        ..grow::empty()
    });
    args.keep = write_upload_options(&options);
    args.raw.options = upload_options_pointer(args.keep.get());
    args
}

/// Reads a change of what is kept beside the bytes.
///
/// # Errors
///
/// A table that cannot be read, or a bit of `mask` that is not known.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_update<'a>(args: *const UpdateArgs, texts: &mut Texts) -> Result<Update<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    if args.mask >> 8 != 0 {
        return Err(Error::unsupported("this change"));
    }
    // SAFETY: R1, R5.
    let options = unsafe { read_upload_options(args.options, texts) }?.unwrap_or_default();
    // SAFETY: R5.
    let mut update = Update::new(unsafe { texts.key(args.key) });
    // SAFETY: R5.
    update.if_match = unsafe { texts.get(args.if_match) };
    // SAFETY: R5.
    update.version = unsafe { texts.get(args.version) };
    let named = |bit: u32| args.mask & 1 << bit != 0;
    update.content_type = named(0).then_some(options.content_type);
    update.cache_control = named(1).then_some(options.headers.cache_control);
    update.content_disposition = named(2).then_some(options.headers.content_disposition);
    update.content_encoding = named(3).then_some(options.headers.content_encoding);
    update.content_language = named(4).then_some(options.headers.content_language);
    update.metadata = named(5).then_some(options.metadata);
    update.tags = named(6).then_some(options.tags);
    update.storage_class = options.storage_class.filter(|_| named(7));
    Ok(update)
}

/// Writes no arguments.
pub fn write_empty() -> Args<'static, EmptyArgs> {
    Args::new(grow::empty())
}

/// Writes a vendor's call. The payload moves.
pub fn write_custom(custom: Custom<'_>) -> Args<'_, CustomArgs> {
    Args::new(CustomArgs {
        name: text(custom.name),
        payload: Chunk::from(custom.payload).into_ffi(),
        ..grow::empty()
    })
}

/// Reads a vendor's call. The payload moves.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// As [`read_upload`].
pub unsafe fn read_custom<'a>(args: *const CustomArgs, texts: &mut Texts) -> Result<Custom<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R8.
    let payload = unsafe { Chunk::from_ffi(args.payload) }?;
    // SAFETY: R5.
    Ok(Custom::new(unsafe { texts.or_empty(args.name) }, payload))
}

/// Writes an open. The services live as long as the process (R13).
pub fn write_open<'a>(
    config: &'a str,
    backend_name: &'a str,
    services: *const HostServices,
    effective_minor: u16,
    about: &'a FfiHostAbout,
) -> Args<'a, OpenArgs> {
    let about: *const FfiHostAbout = about;
    Args::new(OpenArgs {
        // 1.0 says that it is null.
        extension: if effective_minor > 0 {
            about.cast()
        } else {
            std::ptr::null()
        },
        config: text(config),
        backend_name: text(backend_name),
        services,
        effective_minor: effective_minor.into(),
        ..grow::empty()
    })
}
