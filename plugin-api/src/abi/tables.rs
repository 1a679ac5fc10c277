//! The tables and structs that cross the boundary, exactly as C sees them.
//!
//! Nothing here is generated: `include/holdall.h` and the golden file are made *from* this file.
//! Read the numbered rules in [`super`] before changing a line.
//!
//! Conventions: texts are UTF-8; a size or count that is not known is `u64::MAX`; a time is
//! nanoseconds since 1970, `i64::MIN` when not known; `extension` is null or a chain of [`FfiExtension`] (R17).

#![allow(
    non_camel_case_types,
    missing_docs,
    unreachable_pub,
    reason = "the derived layout descriptions; every struct and field written here is documented"
)]

// Types are spelt out, never aliased, because the golden file compares their text.
#[cfg(feature = "layout-check")]
use abi_stable::StableAbi;
use core::ffi::c_void;

/// What a call came to: [`PENDING`], [`READY`], [`FAILED`], [`PANICKED`] or [`END`].
pub type Status = u8;
/// Not yet: the waker will be woken.
pub const PENDING: u8 = 0;
/// Done, `out` is filled.
pub const READY: u8 = 1;
/// Done, `err` is filled.
pub const FAILED: u8 = 2;
/// A panic was caught, `err` is filled; the instance must not be used again.
pub const PANICKED: u8 = 3;
/// The stream has ended.
pub const END: u8 = 4;

/// Bytes of storage that a caller provides for a pending operation, aligned to 16.
// An upload that reads its body and keeps little has to fit: the future of an `async fn` holds its
// arguments twice, and an `Upload` is 120 bytes.
pub const STORAGE_BYTES: usize = 512;

/// Borrowed bytes, or borrowed UTF-8 text. A null `ptr` is an absent text; an empty text has a non-null one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiSlice {
    /// First byte.
    pub ptr: *const u8,
    /// Bytes.
    pub len: usize,
}

/// A name and its value.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiPair {
    /// Text.
    pub name: FfiSlice,
    /// Text.
    pub value: FfiSlice,
}

/// An array of pairs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiPairs {
    /// First pair.
    pub ptr: *const FfiPair,
    /// Pairs.
    pub len: usize,
}

/// Owned bytes that may be read from any thread until they are released.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiBytes {
    /// First byte.
    pub ptr: *const u8,
    /// Bytes.
    pub len: usize,
    /// State of the maker; a Rust `Bytes` lies here inline.
    pub owner: [*mut c_void; 4],
    /// Frees them; called once, from any thread. Null for static bytes.
    pub release: Option<unsafe extern "C" fn(owner: *mut [*mut c_void; 4])>,
}

/// One link of a chain of causes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiCause_Ref, prefix_fields = FfiCause_Prefix)), missing_field(option))
)]
pub struct FfiCause {
    /// Short and stable, may be empty.
    pub code: FfiSlice,
    /// What was said.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub text: FfiSlice,
}

/// A flattened error. Its receiver copies it at once and then releases it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiError_Ref, prefix_fields = FfiError_Prefix)), missing_field(option))
)]
pub struct FfiError {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Number of the kind; unknown ones count as "other".
    pub kind: u32,
    /// 0 never, 1 safe, 2 if idempotent, 3 after `retry_after_ms`: nothing has happened.
    pub retry: u32,
    /// Milliseconds; 0 unless `retry` is 3.
    pub retry_after_ms: u64,
    /// Stable code; absent: the kind's own.
    pub code: FfiSlice,
    /// Safe for clients.
    pub message: FfiSlice,
    /// HTTP status or the like, 0 when unknown.
    pub provider_status: u32,
    /// Length of `causes`.
    pub cause_count: u32,
    /// Bytes of a cause.
    pub cause_size: u32,
    /// The provider's own code.
    pub provider_code: FfiSlice,
    /// The provider's id of the request.
    pub request_id: FfiSlice,
    /// From the nearest cause to the root, each `cause_size` bytes after the one before.
    pub causes: *const FfiCause,
    /// Names and values, such as `size`.
    pub facts: FfiPairs,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// How to use a waker.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiWakerTable {
    /// Makes an owned waker.
    pub clone: unsafe extern "C" fn(data: *const [*const c_void; 2]) -> FfiWaker,
    /// Wakes; callable from any thread.
    pub wake_by_ref: unsafe extern "C" fn(data: *const [*const c_void; 2]),
    /// Ends an owned waker.
    pub drop: unsafe extern "C" fn(data: *mut [*const c_void; 2]),
}

/// An owned waker.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiWaker {
    /// State of the maker.
    pub data: [*const c_void; 2],
    /// How to use it.
    #[cfg_attr(feature = "layout-check", sabi(unsafe_opaque_field))]
    pub table: *const FfiWakerTable,
}

/// What an operation runs under. Valid as long as the operation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiCall_Ref, prefix_fields = FfiCall_Prefix)), missing_field(option))
)]
pub struct FfiCall {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// On the clock `HostServices::monotonic_ns`; `u64::MAX` for none.
    pub deadline_ns: u64,
    /// Becomes non-zero when the caller has gone; null for never. Read atomically.
    pub cancelled: *const u8,
    /// W3C trace id, zero for none.
    pub trace_id: [u8; 16],
    /// W3C span id, zero for none.
    pub span_id: [u8; 8],
    /// For logs; may be absent.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub request_id: FfiSlice,
}

/// Borrowed for one call: who to wake, and what the operation runs under.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiContext {
    /// State of the waker.
    pub data: *const [*const c_void; 2],
    /// How to use it.
    pub table: *const FfiWakerTable,
    /// May be null.
    pub call: *const FfiCall,
}

/// Storage of a pending operation. Callers align it to 16; only its size is part of the ABI.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FfiStorage {
    /// The callee's.
    pub bytes: [u8; STORAGE_BYTES],
}

/// A pending operation. Null `boxed`: its state lies in the caller's storage.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiFuture {
    /// State outside the storage.
    pub boxed: *mut c_void,
    /// Goes on; anything but `PENDING` ends it.
    pub poll: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            cx: *const FfiContext,
            out: *mut c_void,
            err: *mut FfiError,
        ) -> Status,
    >,
    /// Ends it; called once, also after it is ready.
    pub drop: Option<unsafe extern "C" fn(state: *mut c_void)>,
}

/// What is known at the end of a stream.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiTrailers_Ref, prefix_fields = FfiTrailers_Prefix)), missing_field(option))
)]
pub struct FfiTrailers {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Bytes that went through; `u64::MAX` when not counted.
    pub bytes: u64,
    /// Which digests are valid: 1 crc32c, 2 md5, 4 sha256.
    pub known: u32,
    /// CRC-32C.
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub sha256: [u8; 32],
}

/// An owned stream; small state lies in `words`, larger state behind them. Moved freely, polled by one thread at a time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiStream {
    /// State of the maker.
    pub words: [*mut c_void; 5],
    /// How to use it.
    pub table: *const StreamTable,
}

/// How to use a stream.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = StreamTable_Ref, prefix_fields = StreamTable_Prefix)), missing_field(option))
)]
pub struct StreamTable {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// `READY` fills `out`, `END` fills `end`, `FAILED` and `PANICKED` fill `err`.
    pub poll_next: Option<
        unsafe extern "C" fn(
            words: *mut [*mut c_void; 5],
            cx: *const FfiContext,
            out: *mut FfiBytes,
            end: *mut FfiTrailers,
            err: *mut FfiError,
        ) -> Status,
    >,
    /// Ends it, at any moment.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub drop: Option<unsafe extern "C" fn(words: *mut [*mut c_void; 5])>,
    /// Since 1.1, optional, capability `read_into`: as `poll_next`, into memory of the caller, which is lent for the call.
    /// `READY`: 1 to `room` bytes are there, `filled` says how many. `room` is never 0. Both may be called in turn.
    pub poll_into: Option<
        unsafe extern "C" fn(
            words: *mut [*mut c_void; 5],
            cx: *const FfiContext,
            into: *mut u8,
            room: usize,
            filled: *mut usize,
            end: *mut FfiTrailers,
            err: *mut FfiError,
        ) -> Status,
    >,
    /// Since 1.1, optional, capability `lend_file`: the stream as a range of an open regular file, valid until `drop`. Asked
    /// before the first poll, on any thread; never blocks. 1: `out` is filled, 0: there is none. No host asks on Windows.
    pub file: Option<unsafe extern "C" fn(words: *mut [*mut c_void; 5], out: *mut FfiFile) -> u8>,
}

/// One line of a log.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiLogRecord_Ref, prefix_fields = FfiLogRecord_Prefix)), missing_field(option))
)]
pub struct FfiLogRecord {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// Line in `file`, 0 when unknown.
    pub line: u32,
    /// Module path.
    pub target: FfiSlice,
    /// Text.
    pub message: FfiSlice,
    /// Source file, may be absent.
    pub file: FfiSlice,
    /// Structured fields.
    pub fields: FfiPairs,
    /// The operation, or null.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub call: *const FfiCall,
}

/// What the host does for a plugin. Valid for the life of the process; callable from any thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = HostServices_Ref, prefix_fields = HostServices_Prefix)), missing_field(option))
)]
pub struct HostServices {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// First argument of every function here.
    pub host: *const c_void,
    /// 1: the plugin is linked in, so it shares globals with the program.
    pub flags: u64,
    /// The most verbose level that is wanted.
    pub log_level: Option<unsafe extern "C" fn(host: *const c_void) -> u32>,
    /// Logs; the record is borrowed for the call.
    pub log: Option<unsafe extern "C" fn(host: *const c_void, record: *const FfiLogRecord)>,
    /// Reports a panic that no caller sees: 1 in a drop, 2 in a task or thread.
    pub fault: Option<unsafe extern "C" fn(host: *const c_void, kind: u32, message: FfiSlice)>,
    /// A clock that never goes back, in nanoseconds.
    pub monotonic_ns: Option<unsafe extern "C" fn(host: *const c_void) -> u64>,
    /// Wall clock, in nanoseconds since 1970.
    pub unix_ns: Option<unsafe extern "C" fn(host: *const c_void) -> i64>,
    /// Fills `out` with unpredictable bytes.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub random: Option<unsafe extern "C" fn(host: *const c_void, out: *mut u8, len: usize)>,
    /// Since 1.1, optional.
    /// A table by its name (text), or null: "holdall.NAME.1", "unstable.MAKER.NAME". Never blocks; valid for the life
    /// of the process.
    pub get_extension:
        Option<unsafe extern "C" fn(host: *const c_void, name: FfiSlice) -> *const c_void>,
}

/// Opens a backend.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = OpenArgs_Ref, prefix_fields = OpenArgs_Prefix)), missing_field(option))
)]
pub struct OpenArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// JSON; valid only until `start` returns, so that the host can wipe it.
    pub config: FfiSlice,
    /// For logs.
    pub backend_name: FfiSlice,
    /// Valid for the life of the process.
    pub services: *const HostServices,
    /// The smaller minor of both sides.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub effective_minor: u32,
}

/// An opened backend.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = OpenOut_Ref, prefix_fields = OpenOut_Prefix)), missing_field(option))
)]
pub struct OpenOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// First argument of every operation.
    pub backend: *const c_void,
    /// The operations that this instance serves: the required ones and a subset of the descriptor's.
    pub operations: u64,
    /// What this instance can do: a subset of the descriptor's.
    pub capabilities: u64,
    /// Bytes; `u64::MAX` for none.
    pub max_object_size: u64,
    /// Bytes of an upload under a condition (`create_only`, `if_match`); `u64::MAX` for none.
    pub max_conditional_size: u64,
    /// Bytes; 0 for none.
    pub max_key_bytes: u32,
    /// Bytes.
    pub max_metadata_bytes: u32,
    /// Entries.
    pub max_page: u32,
    /// Seconds; 0 for none.
    pub max_sign_seconds: u32,
    /// Most memory of one stream, in bytes.
    pub buffer_bytes: u64,
    /// How often the plugin repeats a request.
    pub retries: u32,
    /// Milliseconds until a change is visible.
    pub eventual_ms: u32,
    /// One line for status pages.
    pub description: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// Since 1.1: capabilities 64 to 127; a subset of the descriptor's.
    pub capabilities_2: u64,
    /// Since 1.1: fewest bytes of a part but the last.
    pub min_part_bytes: u64,
    /// Since 1.1: most bytes of a part; 0 for none.
    pub max_part_bytes: u64,
    /// Since 1.1: most parts of an upload; 0 for 10 000.
    pub max_parts: u32,
    /// Since 1.1: how long the store keeps an upload in parts; 0 without a limit.
    pub max_upload_seconds: u32,
}

/// The rarer part of an upload.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = UploadOptionArgs_Ref, prefix_fields = UploadOptionArgs_Prefix)), missing_field(option))
)]
pub struct UploadOptionArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Absent: none.
    pub content_type: FfiSlice,
    /// Absent: none.
    pub cache_control: FfiSlice,
    /// Absent: none.
    pub content_disposition: FfiSlice,
    /// Absent: none.
    pub content_encoding: FfiSlice,
    /// Absent: none.
    pub content_language: FfiSlice,
    /// User metadata.
    pub metadata: FfiPairs,
    /// Absent: none.
    pub if_match: FfiSlice,
    /// 1: refuse to replace.
    pub create_only: u8,
    /// 0 the backend's own, 1 none, 2 data, 3 full.
    pub durability: u8,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// The caller's digest.
    pub crc32c: u32,
    /// The caller's digest.
    pub md5: [u8; 16],
    /// The caller's digest.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub sha256: [u8; 32],
    /// Since 1.1; absent: the store's default.
    pub storage_class: FfiSlice,
    /// Since 1.1.
    pub tags: FfiPairs,
    /// Since 1.1: 0 the store's default, 1 with keys of the store, 2 with the key `encryption_key_id`.
    pub encryption: u32,
    /// Since 1.1; absent: none.
    pub encryption_key_id: FfiSlice,
}

/// Stores an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = UploadArgs_Ref, prefix_fields = UploadArgs_Prefix)), missing_field(option))
)]
pub struct UploadArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// Bytes; `u64::MAX` when unknown.
    pub length: u64,
    /// Moved into the operation at start, whatever start returns.
    pub body: FfiStream,
    /// Null: none.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub options: *const UploadOptionArgs,
}

/// An object was stored.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = UploadOut_Ref, prefix_fields = UploadOut_Prefix)), missing_field(option))
)]
pub struct UploadOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its size.
    pub bytes: u64,
    /// Absent: none.
    pub etag: FfiSlice,
    /// Absent: none.
    pub version: FfiSlice,
    /// Absent: none.
    pub url: FfiSlice,
    /// Since 1970; `i64::MIN` when unknown.
    pub last_modified_ns: i64,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// CRC-32C.
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Conditions of a read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ReadOptionArgs_Ref, prefix_fields = ReadOptionArgs_Prefix)), missing_field(option))
)]
pub struct ReadOptionArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Absent: none.
    pub if_match: FfiSlice,
    /// Absent: none.
    pub if_none_match: FfiSlice,
    /// Absent: the current one.
    pub version: FfiSlice,
    /// Since 1970; `i64::MIN` for none.
    pub if_modified_since_ns: i64,
    /// Since 1970; `i64::MIN` for none.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub if_unmodified_since_ns: i64,
    /// Since 1.1; 1: `ObjectOut.tags` is wanted.
    pub with_tags: u32,
}

/// Reads an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = DownloadArgs_Ref, prefix_fields = DownloadArgs_Prefix)), missing_field(option))
)]
pub struct DownloadArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// 0 all, 1 from `range_a` to `range_b`, 2 from `range_a` on, 3 the last `range_a`.
    pub range_kind: u32,
    /// Bytes, 64 KiB to 1 MiB.
    pub chunk_hint: u32,
    /// See `range_kind`.
    pub range_a: u64,
    /// See `range_kind`.
    pub range_b: u64,
    /// Null: none.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub options: *const ReadOptionArgs,
}

/// Facts about an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = HeadArgs_Ref, prefix_fields = HeadArgs_Prefix)), missing_field(option))
)]
pub struct HeadArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// Null: none.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub options: *const ReadOptionArgs,
}

/// Facts about an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ObjectOut_Ref, prefix_fields = ObjectOut_Prefix)), missing_field(option))
)]
pub struct ObjectOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its size.
    pub bytes: u64,
    /// Absent: none.
    pub etag: FfiSlice,
    /// Absent: none.
    pub version: FfiSlice,
    /// Absent: none.
    pub url: FfiSlice,
    /// Absent: none.
    pub content_type: FfiSlice,
    /// Absent: none.
    pub cache_control: FfiSlice,
    /// Absent: none.
    pub content_disposition: FfiSlice,
    /// Absent: none.
    pub content_encoding: FfiSlice,
    /// Absent: none.
    pub content_language: FfiSlice,
    /// User metadata.
    pub metadata: FfiPairs,
    /// Since 1970; `i64::MIN` when unknown.
    pub last_modified_ns: i64,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// CRC-32C.
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// Since 1.1; absent: not told.
    pub storage_class: FfiSlice,
    /// Since 1.1; a null `ptr`: not told.
    pub tags: FfiPairs,
    /// Since 1.1: 0 not told, 1 with keys of the store, 2 with the key `encryption_key_id`.
    pub encryption: u32,
    /// Since 1.1; absent: none.
    pub encryption_key_id: FfiSlice,
}

/// An object's bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = DownloadOut_Ref, prefix_fields = DownloadOut_Prefix)), missing_field(option))
)]
pub struct DownloadOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Facts of the same version; owned by `owner`, its own `owner` is null.
    pub object: *const ObjectOut,
    /// First byte of `body`.
    pub range_start: u64,
    /// Byte after its last.
    pub range_end: u64,
    /// Owned by the receiver.
    pub body: FfiStream,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Removes an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = DeleteArgs_Ref, prefix_fields = DeleteArgs_Prefix)), missing_field(option))
)]
pub struct DeleteArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// Absent: none.
    pub if_match: FfiSlice,
    /// Absent: the current one.
    pub version: FfiSlice,
    /// 1: a missing one is an error.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub must_exist: u8,
}

/// An object is gone.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = DeleteOut_Ref, prefix_fields = DeleteOut_Prefix)), missing_field(option))
)]
pub struct DeleteOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// 0 unknown, 1 no, 2 yes.
    pub existed: u32,
    /// Absent: none.
    pub version: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// Since 1.1; 1: a delete marker was made, or removed.
    pub marker: u32,
}

/// Asks for an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ExistsArgs_Ref, prefix_fields = ExistsArgs_Prefix)), missing_field(option))
)]
pub struct ExistsArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its name.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub key: FfiSlice,
}

/// Whether it is there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ExistsOut_Ref, prefix_fields = ExistsOut_Prefix)), missing_field(option))
)]
pub struct ExistsOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// 0 or 1.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub exists: u32,
}

/// Signs a URL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = SignArgs_Ref, prefix_fields = SignArgs_Prefix)), missing_field(option))
)]
pub struct SignArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// The object.
    pub key: FfiSlice,
    /// 1 GET, 2 PUT, 3 HEAD, 4 DELETE.
    pub method: u32,
    /// Life of the URL.
    pub expires_seconds: u32,
    /// PUT; absent: none.
    pub content_type: FfiSlice,
    /// PUT; `u64::MAX` for none.
    pub max_size: u64,
    /// GET; absent: none.
    pub download_name: FfiSlice,
    /// GET; absent: none.
    pub response_content_type: FfiSlice,
    /// 1: a missing object is an error.
    pub must_exist: u8,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// PUT.
    pub crc32c: u32,
    /// PUT.
    pub md5: [u8; 16],
    /// PUT.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub sha256: [u8; 32],
}

/// A signed URL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = SignOut_Ref, prefix_fields = SignOut_Prefix)), missing_field(option))
)]
pub struct SignOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// 1: the host signs, the rest is empty.
    pub at_gateway: u32,
    /// Percent-encoded.
    pub url: FfiSlice,
    /// What the request must carry.
    pub headers: FfiPairs,
    /// Since 1970.
    pub expires_at_ns: i64,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// A page of keys.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListArgs_Ref, prefix_fields = ListArgs_Prefix)), missing_field(option))
)]
pub struct ListArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// May be empty.
    pub prefix: FfiSlice,
    /// Absent: none.
    pub delimiter: FfiSlice,
    /// Absent: first page.
    pub page_token: FfiSlice,
    /// Absent: from the start.
    pub start_after: FfiSlice,
    /// 1 to 1000.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub limit: u32,
}

/// One object of a listing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiEntry_Ref, prefix_fields = FfiEntry_Prefix)), missing_field(option))
)]
pub struct FfiEntry {
    /// Its name.
    pub key: FfiSlice,
    /// Its size.
    pub bytes: u64,
    /// Absent: none.
    pub etag: FfiSlice,
    /// Since 1970; `i64::MIN` when unknown.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub last_modified_ns: i64,
}

/// A page of a listing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListOut_Ref, prefix_fields = ListOut_Prefix)), missing_field(option))
)]
pub struct ListOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Objects, each `entry_size` bytes after the one before.
    pub entries: *const FfiEntry,
    /// Objects.
    pub entry_count: usize,
    /// Bytes of an entry.
    pub entry_size: usize,
    /// Common prefixes.
    pub prefixes: *const FfiSlice,
    /// Common prefixes.
    pub prefix_count: usize,
    /// Absent: the listing ends.
    pub next: FfiSlice,
    /// Objects left out because of their names.
    pub skipped: u64,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Copies an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CopyArgs_Ref, prefix_fields = CopyArgs_Prefix)), missing_field(option))
)]
pub struct CopyArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Source.
    pub from: FfiSlice,
    /// Target.
    pub to: FfiSlice,
    /// 1: refuse to replace.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub create_only: u8,
    /// Since 1.1: of the target; absent: none.
    pub if_match: FfiSlice,
    /// Since 1.1; absent: none.
    pub source_if_match: FfiSlice,
    /// Since 1.1; absent: none.
    pub source_if_none_match: FfiSlice,
    /// Since 1.1; absent: the current one.
    pub source_version: FfiSlice,
    /// Since 1.1: what replaces type, headers, metadata and the rest of the source; null: they are kept.
    pub options: *const UploadOptionArgs,
}

/// A copy was made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CopyOut_Ref, prefix_fields = CopyOut_Prefix)), missing_field(option))
)]
pub struct CopyOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Size of the target; `u64::MAX` when unknown.
    pub bytes: u64,
    /// Absent: none.
    pub etag: FfiSlice,
    /// Since 1970; `i64::MIN` when unknown.
    pub last_modified_ns: i64,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// Since 1.1; absent: none.
    pub version: FfiSlice,
    /// Since 1.1; absent: none.
    pub source_version: FfiSlice,
}

/// Renames an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = RenameArgs_Ref, prefix_fields = RenameArgs_Prefix)), missing_field(option))
)]
pub struct RenameArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Source.
    pub from: FfiSlice,
    /// Target.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub to: FfiSlice,
}

/// An object has another name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = RenameOut_Ref, prefix_fields = RenameOut_Prefix)), missing_field(option))
)]
pub struct RenameOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// 1: in one step.
    pub atomic: u32,
    /// Absent: none.
    pub etag: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Removes many objects.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = DeleteManyArgs_Ref, prefix_fields = DeleteManyArgs_Prefix)), missing_field(option))
)]
pub struct DeleteManyArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Their names.
    pub keys: *const FfiSlice,
    /// Names.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub key_count: usize,
    /// Since 1.1: a version for each key, absent for the current one; null: none.
    pub versions: *const FfiSlice,
}

/// What became of one of them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiDeleteResult_Ref, prefix_fields = FfiDeleteResult_Prefix)), missing_field(option))
)]
pub struct FfiDeleteResult {
    /// 0 unknown, 1 no, 2 yes.
    pub existed: u32,
    /// 1: `error` is filled.
    pub failed: u32,
    /// Owned by the answer, its own `owner` is null.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub error: *const FfiError,
    /// Since 1.1; absent: none.
    pub version: FfiSlice,
    /// Since 1.1; 1: a delete marker was made, or removed.
    pub marker: u32,
}

/// One result for each key, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = DeleteManyOut_Ref, prefix_fields = DeleteManyOut_Prefix)), missing_field(option))
)]
pub struct DeleteManyOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Results, each `result_size` bytes after the one before.
    pub results: *const FfiDeleteResult,
    /// Results.
    pub result_count: usize,
    /// Bytes of a result.
    pub result_size: usize,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// No arguments.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = EmptyArgs_Ref, prefix_fields = EmptyArgs_Prefix)), missing_field(option))
)]
pub struct EmptyArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Zero.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub reserved: u64,
}

/// State of a store.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = HealthOut_Ref, prefix_fields = HealthOut_Prefix)), missing_field(option))
)]
pub struct HealthOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// 0 or 1.
    pub healthy: u32,
    /// One line.
    pub message: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Space of a store, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = UsageOut_Ref, prefix_fields = UsageOut_Prefix)), missing_field(option))
)]
pub struct UsageOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// `u64::MAX` when unknown.
    pub used: u64,
    /// `u64::MAX` when unknown.
    pub free: u64,
    /// `u64::MAX` when unknown.
    pub total: u64,
    /// `u64::MAX` when unknown.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub objects: u64,
}

/// No answer but success.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = EmptyOut_Ref, prefix_fields = EmptyOut_Prefix)), missing_field(option))
)]
pub struct EmptyOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Zero.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub reserved: u64,
}

/// A vendor's own call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CustomArgs_Ref, prefix_fields = CustomArgs_Prefix)), missing_field(option))
)]
pub struct CustomArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Its name.
    pub name: FfiSlice,
    /// Moved into the operation at start, whatever start returns.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub payload: FfiBytes,
}

/// Answer of a vendor's own call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CustomOut_Ref, prefix_fields = CustomOut_Prefix)), missing_field(option))
)]
pub struct CustomOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Owned by the receiver.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub payload: FfiBytes,
}

/// One link of a chain; what follows depends on its kind. An unknown kind is skipped.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiExtension {
    /// Below 0x80000000: assigned by the ABI; the others are free for experiments.
    pub kind: u32,
    /// Bytes of this link: at least 16, a multiple of 8.
    pub size: u32,
    /// The next link, or null; at most 64 are read.
    pub next: *const c_void,
}

/// Link of kind 1 in `OpenArgs`: who loads.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiHostAbout {
    /// 1.
    pub kind: u32,
    /// 48.
    pub size: u32,
    /// The next link, or null.
    pub next: *const c_void,
    /// Of the host library.
    pub name: FfiSlice,
    /// Of the host library.
    pub version: FfiSlice,
}

/// A range of an open file, lent by a stream.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiFile_Ref, prefix_fields = FfiFile_Prefix)), missing_field(option))
)]
pub struct FfiFile {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Open for reading: a file descriptor, on Windows a `HANDLE`. Neither closed nor moved by who reads.
    pub descriptor: i64,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub length: u64,
}

/// Begins an upload in parts.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CreateUploadArgs_Ref, prefix_fields = CreateUploadArgs_Prefix)), missing_field(option))
)]
pub struct CreateUploadArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// Null: none. No condition and no checksum: they come when the upload is completed.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub options: *const UploadOptionArgs,
}

/// An upload in parts was begun.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CreateUploadOut_Ref, prefix_fields = CreateUploadOut_Prefix)), missing_field(option))
)]
pub struct CreateUploadOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Names it, also in another process.
    pub upload_id: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Stores a part. One of the same number is replaced.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = PutPartArgs_Ref, prefix_fields = PutPartArgs_Prefix)), missing_field(option))
)]
pub struct PutPartArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// What `create_upload` answered.
    pub upload_id: FfiSlice,
    /// 1 to 10 000.
    pub number: u32,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// CRC-32C.
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Bytes; `u64::MAX` when unknown.
    pub length: u64,
    /// Moved into the operation at start, whatever start returns.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub body: FfiStream,
}

/// A part was stored.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = PutPartOut_Ref, prefix_fields = PutPartOut_Prefix)), missing_field(option))
)]
pub struct PutPartOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its size.
    pub bytes: u64,
    /// Names these bytes when the upload is completed.
    pub etag: FfiSlice,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// CRC-32C.
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// One part of an upload.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiPart_Ref, prefix_fields = FfiPart_Prefix)), missing_field(option))
)]
pub struct FfiPart {
    /// 1 to 10 000.
    pub number: u32,
    /// 1 crc32c.
    pub checksums_known: u32,
    /// Its size.
    pub bytes: u64,
    /// As `put_part` answered it.
    pub etag: FfiSlice,
    /// Since 1970; `i64::MIN` when unknown.
    pub last_modified_ns: i64,
    /// CRC-32C.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub crc32c: u32,
}

/// A page of the parts of an upload, by number.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListPartsArgs_Ref, prefix_fields = ListPartsArgs_Prefix)), missing_field(option))
)]
pub struct ListPartsArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// What `create_upload` answered.
    pub upload_id: FfiSlice,
    /// Absent: first page.
    pub page_token: FfiSlice,
    /// 1 to 1000.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub limit: u32,
}

/// A page of parts.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListPartsOut_Ref, prefix_fields = ListPartsOut_Prefix)), missing_field(option))
)]
pub struct ListPartsOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Parts, each `part_size` bytes after the one before.
    pub parts: *const FfiPart,
    /// Parts.
    pub part_count: usize,
    /// Bytes of a part's item.
    pub part_size: usize,
    /// Absent: the listing ends.
    pub next: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// One upload in parts that is neither completed nor aborted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiUpload_Ref, prefix_fields = FfiUpload_Prefix)), missing_field(option))
)]
pub struct FfiUpload {
    /// The object.
    pub key: FfiSlice,
    /// Names it.
    pub upload_id: FfiSlice,
    /// Since 1970; `i64::MIN` when unknown.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub created_ns: i64,
}

/// A page of uploads in parts, by key.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListUploadsArgs_Ref, prefix_fields = ListUploadsArgs_Prefix)), missing_field(option))
)]
pub struct ListUploadsArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// May be empty.
    pub prefix: FfiSlice,
    /// Absent: first page.
    pub page_token: FfiSlice,
    /// 1 to 1000.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub limit: u32,
}

/// A page of uploads in parts.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListUploadsOut_Ref, prefix_fields = ListUploadsOut_Prefix)), missing_field(option))
)]
pub struct ListUploadsOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Uploads, each `upload_size` bytes after the one before.
    pub uploads: *const FfiUpload,
    /// Uploads.
    pub upload_count: usize,
    /// Bytes of an upload's item.
    pub upload_size: usize,
    /// Absent: the listing ends.
    pub next: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// A part that belongs to the object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiPartRef_Ref, prefix_fields = FfiPartRef_Prefix)), missing_field(option))
)]
pub struct FfiPartRef {
    /// 1 to 10 000.
    pub number: u32,
    /// As `put_part` answered it.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub etag: FfiSlice,
}

/// Makes the object of its parts, in the order of their numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = CompleteUploadArgs_Ref, prefix_fields = CompleteUploadArgs_Prefix)), missing_field(option))
)]
pub struct CompleteUploadArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// What `create_upload` answered.
    pub upload_id: FfiSlice,
    /// Parts, each `part_size` bytes after the one before; numbers ascend.
    pub parts: *const FfiPartRef,
    /// Parts.
    pub part_count: usize,
    /// Bytes of a part's item.
    pub part_size: usize,
    /// Absent: none.
    pub if_match: FfiSlice,
    /// 1: refuse to replace.
    pub create_only: u8,
    /// 1 crc32c, 2 md5, 4 sha256.
    pub checksums_known: u32,
    /// CRC-32C.
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub sha256: [u8; 32],
}

/// Ends an upload in parts without an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = AbortUploadArgs_Ref, prefix_fields = AbortUploadArgs_Prefix)), missing_field(option))
)]
pub struct AbortUploadArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// What `create_upload` answered.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub upload_id: FfiSlice,
}

/// Bytes of an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiRange {
    /// First byte.
    pub start: u64,
    /// Byte after the last.
    pub end: u64,
}

/// Memory of the caller for one range.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiBuffer {
    /// First byte.
    pub ptr: *mut u8,
    /// Bytes.
    pub len: usize,
}

/// One range is complete.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiRangeDone {
    /// Of the range in the request.
    pub index: usize,
}

/// An owned reader of many ranges. Moved freely, polled by one thread at a time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
pub struct FfiRangeStream {
    /// State of the maker.
    pub words: [*mut c_void; 5],
    /// How to use it.
    pub table: *const RangeStreamTable,
}

/// How to use a reader of many ranges.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = RangeStreamTable_Ref, prefix_fields = RangeStreamTable_Prefix)), missing_field(option))
)]
pub struct RangeStreamTable {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// One buffer for each range, as long as the range, the same in every call and lent until `drop` has returned. `READY`:
    /// 1 to `done_room` ranges have become complete, `done_count` says how many. `END`: all are. `FAILED`, `PANICKED`: `err`.
    pub poll_into: Option<
        unsafe extern "C" fn(
            words: *mut [*mut c_void; 5],
            cx: *const FfiContext,
            buffers: *const FfiBuffer,
            buffer_count: usize,
            done: *mut FfiRangeDone,
            done_room: usize,
            done_count: *mut usize,
            err: *mut FfiError,
        ) -> Status,
    >,
    /// Ends it, at any moment. It returns when nothing writes into the buffers any more.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub drop: Option<unsafe extern "C" fn(words: *mut [*mut c_void; 5])>,
}

/// Reads many ranges of one version of an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = RangesArgs_Ref, prefix_fields = RangesArgs_Prefix)), missing_field(option))
)]
pub struct RangesArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// Ranges; none is empty.
    pub ranges: *const FfiRange,
    /// Ranges, 1 to 4096.
    pub range_count: usize,
    /// Ranges with at most that many bytes between them may be read as one; `u64::MAX`: as the plugin likes.
    pub coalesce_bytes: u64,
    /// Null: none.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub options: *const ReadOptionArgs,
}

/// The ranges of an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = RangesOut_Ref, prefix_fields = RangesOut_Prefix)), missing_field(option))
)]
pub struct RangesOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Facts of the version that is read; owned by `owner`, its own `owner` is null.
    pub object: *const ObjectOut,
    /// Owned by the receiver.
    pub stream: FfiRangeStream,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// One version of an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = FfiVersion_Ref, prefix_fields = FfiVersion_Prefix)), missing_field(option))
)]
pub struct FfiVersion {
    /// Its name.
    pub key: FfiSlice,
    /// Names the version.
    pub version: FfiSlice,
    /// Its size, 0 for a delete marker.
    pub bytes: u64,
    /// Absent: none.
    pub etag: FfiSlice,
    /// Since 1970; `i64::MIN` when unknown.
    pub last_modified_ns: i64,
    /// 1: the current one; 2: a delete marker.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub flags: u32,
}

/// A page of versions: by key, then from the newest to the oldest.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListVersionsArgs_Ref, prefix_fields = ListVersionsArgs_Prefix)), missing_field(option))
)]
pub struct ListVersionsArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// May be empty.
    pub prefix: FfiSlice,
    /// Absent: none.
    pub delimiter: FfiSlice,
    /// Absent: first page.
    pub page_token: FfiSlice,
    /// 1 to 1000.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub limit: u32,
}

/// A page of versions.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = ListVersionsOut_Ref, prefix_fields = ListVersionsOut_Prefix)), missing_field(option))
)]
pub struct ListVersionsOut {
    /// Bytes that the caller has room for; then, bytes that were filled.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Versions, each `version_size` bytes after the one before.
    pub versions: *const FfiVersion,
    /// Versions.
    pub version_count: usize,
    /// Bytes of a version's item.
    pub version_size: usize,
    /// Common prefixes.
    pub prefixes: *const FfiSlice,
    /// Common prefixes.
    pub prefix_count: usize,
    /// Absent: the listing ends.
    pub next: FfiSlice,
    /// Owns every text of this answer; null when nothing is owned.
    pub owner: *mut c_void,
    /// Frees `owner`; called once, as soon as the texts are copied.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Replaces what is kept beside the bytes of an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = UpdateArgs_Ref, prefix_fields = UpdateArgs_Prefix)), missing_field(option))
)]
pub struct UpdateArgs {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// A chain of `FfiExtension`, or null.
    pub extension: *const c_void,
    /// Its name.
    pub key: FfiSlice,
    /// Absent: none.
    pub if_match: FfiSlice,
    /// Absent: the current one.
    pub version: FfiSlice,
    /// What of `options` replaces what is there: 1 content type, 2 cache control, 4 disposition, 8 encoding, 16 language,
    /// 32 metadata, 64 tags, 128 storage class.
    pub mask: u32,
    /// An absent text removes what was there.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub options: *const UploadOptionArgs,
}

/// Operations of a backend: the five required ones, then the optional ones, null where absent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = BackendTable_Ref, prefix_fields = BackendTable_Prefix)), missing_field(option))
)]
pub struct BackendTable {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// Ends an opened backend; called once, after its last operation.
    pub drop: Option<unsafe extern "C" fn(backend: *const c_void)>,
    /// Required.
    pub start_upload: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const UploadArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut UploadOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Required.
    pub start_download: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const DownloadArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut DownloadOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Required.
    pub start_delete: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const DeleteArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut DeleteOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Required.
    pub start_exists: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const ExistsArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ExistsOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Required.
    pub start_signed_url: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const SignArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut SignOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_head: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const HeadArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ObjectOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_list: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const ListArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ListOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_copy: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const CopyArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut CopyOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_rename: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const RenameArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut RenameOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_delete_many: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const DeleteManyArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut DeleteManyOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_health: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const EmptyArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut HealthOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_usage: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const EmptyArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut UsageOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    pub start_shutdown: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const EmptyArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut EmptyOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Optional.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub start_custom: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const CustomArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut CustomOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_create_upload: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const CreateUploadArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut CreateUploadOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_put_part: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const PutPartArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut PutPartOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_list_parts: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const ListPartsArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ListPartsOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_list_uploads: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const ListUploadsArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ListUploadsOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_complete_upload: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const CompleteUploadArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut UploadOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_abort_upload: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const AbortUploadArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut EmptyOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_download_ranges: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const RangesArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut RangesOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_list_versions: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const ListVersionsArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ListVersionsOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Since 1.1, optional.
    pub start_update: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const UpdateArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut ObjectOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
}

/// What the entry symbol returns. Valid for the life of the process.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(StableAbi))]
#[cfg_attr(
    feature = "layout-check",
    sabi(kind(Prefix(prefix_ref = PluginTable_Ref, prefix_fields = PluginTable_Prefix)), missing_field(option))
)]
pub struct PluginTable {
    /// Bytes of this table that its maker knows.
    pub size: usize,
    /// Reserved, null.
    pub extension: *const c_void,
    /// As in the descriptor.
    pub abi_major: u32,
    /// As in the descriptor.
    pub abi_minor: u32,
    /// The bytes of the section, without padding.
    pub descriptor: FfiSlice,
    /// Layout description of these tables for plugins in Rust; null otherwise.
    pub rust_layout: *const c_void,
    /// Opens a backend; `backend` is null.
    pub open: Option<
        unsafe extern "C" fn(
            backend: *const c_void,
            args: *const OpenArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut OpenOut,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status,
    >,
    /// Operations of every backend that `open` returns.
    #[cfg_attr(feature = "layout-check", sabi(last_prefix_field))]
    pub ops: *const BackendTable,
    /// Since 1.1, optional.
    /// A table by its name (text), or null: "holdall.NAME.1", "unstable.MAKER.NAME". Never blocks; valid for the life
    /// of the process.
    pub get_extension: Option<unsafe extern "C" fn(name: FfiSlice) -> *const c_void>,
}
