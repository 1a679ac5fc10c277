//! Names and minors of every field, the operations, the fingerprints.
//!
//! The compiler refuses a field that is missing, misspelt or out of order; the golden test holds the
//! signatures. One fingerprint for each table and minor: the hash of its part of the golden file.

use super::tables::*;
use crate::Operation;

/// A version of the ABI, apart from the versions of the crates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Raised when old plugins stop working.
    pub major: u16,
    /// Raised when tables grow.
    pub minor: u16,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The version of these tables.
pub const VERSION: Version = Version { major: 1, minor: 1 };

/// Whether the newest minor is a draft: it is spoken by a host and a plugin with equal fingerprints only, and with
/// everything else the minor before it.
pub const DRAFT: bool = true;

/// The newest minor that is frozen.
pub const FROZEN_MINOR: u16 = if DRAFT {
    VERSION.minor - 1
} else {
    VERSION.minor
};

/// The lowest minor of a host that a plugin built with this crate works with.
pub const MIN_HOST_MINOR: u16 = 0;

/// One field of a table.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The minor in which it came.
    pub since: u16,
    /// Bytes from the start of its table.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// Bytes.
    pub align: usize,
}

/// One table or struct.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// Its fields, in order.
    pub fields: &'static [Field],
}

const fn layout<T, F>(_: fn(&T) -> &F) -> (usize, usize) {
    (size_of::<F>(), align_of::<F>())
}

macro_rules! list {
    ($($ty:ident { $($since:literal: $($name:ident)+;)+ })+) => {
        /// Every table and struct, in the order of `tables.rs`.
        pub const TABLES: &[Table] = &[$({
            // Exhaustive: a field that is not listed is a compile error.
            let _ = |t: &$ty| { let $ty { $($($name: _,)+)+ } = t; };
            const FIELDS: &[Field] = &[$($({
                let (size, align) = layout(|t: &$ty| &t.$name);
                Field { name: stringify!($name), since: $since, offset: core::mem::offset_of!($ty, $name), size, align }
            },)+)+];
            appended(FIELDS);
            Table { name: stringify!($ty), size: size_of::<$ty>(), fields: FIELDS }
        },)+];
    };
}

const fn appended(fields: &[Field]) {
    let mut i = 1;
    while i < fields.len() {
        assert!(
            fields[i].offset >= fields[i - 1].offset + fields[i - 1].size
                && fields[i].since >= fields[i - 1].since,
            "the list is not in the order of the struct"
        );
        assert!(
            fields[i].since == fields[i - 1].since || fields[i].offset.is_multiple_of(8),
            "a new field lies where an older side has padding, which it may leave as it was"
        );
        i += 1;
    }
}

list! {
    FfiSlice { 0: ptr len; }
    FfiPair { 0: name value; }
    FfiPairs { 0: ptr len; }
    FfiBytes { 0: ptr len owner release; }
    FfiCause { 0: code text; }
    FfiError { 0: size extension kind retry retry_after_ms code message provider_status cause_count cause_size provider_code request_id causes facts owner release; }
    FfiWakerTable { 0: clone wake_by_ref drop; }
    FfiWaker { 0: data table; }
    FfiCall { 0: size extension deadline_ns cancelled trace_id span_id request_id; }
    FfiContext { 0: data table call; }
    FfiStorage { 0: bytes; }
    FfiFuture { 0: boxed poll drop; }
    FfiTrailers { 0: size extension bytes known crc32c md5 sha256; }
    FfiStream { 0: words table; }
    StreamTable { 0: size extension poll_next drop; 1: poll_into file; }
    FfiLogRecord { 0: size extension level line target message file fields call; }
    HostServices { 0: size extension host flags log_level log fault monotonic_ns unix_ns random; 1: get_extension; }
    OpenArgs { 0: size extension config backend_name services effective_minor; }
    OpenOut { 0: size extension backend operations capabilities max_object_size max_conditional_size max_key_bytes max_metadata_bytes max_page max_sign_seconds buffer_bytes retries eventual_ms description owner release; 1: capabilities_2 min_part_bytes max_part_bytes max_parts max_upload_seconds; }
    UploadOptionArgs { 0: size extension content_type cache_control content_disposition content_encoding content_language metadata if_match create_only durability checksums_known crc32c md5 sha256; 1: storage_class tags encryption encryption_key_id; }
    UploadArgs { 0: size extension key length body options; }
    UploadOut { 0: size extension bytes etag version url last_modified_ns checksums_known crc32c md5 sha256 owner release; }
    ReadOptionArgs { 0: size extension if_match if_none_match version if_modified_since_ns if_unmodified_since_ns; 1: with_tags; }
    DownloadArgs { 0: size extension key range_kind chunk_hint range_a range_b options; }
    HeadArgs { 0: size extension key options; }
    ObjectOut { 0: size extension bytes etag version url content_type cache_control content_disposition content_encoding content_language metadata last_modified_ns checksums_known crc32c md5 sha256 owner release; 1: storage_class tags encryption encryption_key_id; }
    DownloadOut { 0: size extension object range_start range_end body owner release; }
    DeleteArgs { 0: size extension key if_match version must_exist; }
    DeleteOut { 0: size extension existed version owner release; 1: marker; }
    ExistsArgs { 0: size extension key; }
    ExistsOut { 0: size extension exists; }
    SignArgs { 0: size extension key method expires_seconds content_type max_size download_name response_content_type must_exist checksums_known crc32c md5 sha256; }
    SignOut { 0: size extension at_gateway url headers expires_at_ns owner release; }
    ListArgs { 0: size extension prefix delimiter page_token start_after limit; }
    FfiEntry { 0: key bytes etag last_modified_ns; }
    ListOut { 0: size extension entries entry_count entry_size prefixes prefix_count next skipped owner release; }
    CopyArgs { 0: size extension from to create_only; 1: if_match source_if_match source_if_none_match source_version options; }
    CopyOut { 0: size extension bytes etag last_modified_ns owner release; 1: version source_version; }
    RenameArgs { 0: size extension from to; }
    RenameOut { 0: size extension atomic etag owner release; }
    DeleteManyArgs { 0: size extension keys key_count; 1: versions; }
    FfiDeleteResult { 0: existed failed error; 1: version marker; }
    DeleteManyOut { 0: size extension results result_count result_size owner release; }
    EmptyArgs { 0: size extension reserved; }
    HealthOut { 0: size extension healthy message owner release; }
    UsageOut { 0: size extension used free total objects; }
    EmptyOut { 0: size extension reserved; }
    CustomArgs { 0: size extension name payload; }
    CustomOut { 0: size extension payload; }
    FfiExtension { 1: kind size next; }
    FfiHostAbout { 1: kind size next name version; }
    FfiFile { 1: size extension descriptor offset length; }
    CreateUploadArgs { 1: size extension key options; }
    CreateUploadOut { 1: size extension upload_id owner release; }
    PutPartArgs { 1: size extension key upload_id number checksums_known crc32c md5 sha256 length body; }
    PutPartOut { 1: size extension bytes etag checksums_known crc32c md5 sha256 owner release; }
    FfiPart { 1: number checksums_known bytes etag last_modified_ns crc32c; }
    ListPartsArgs { 1: size extension key upload_id page_token limit; }
    ListPartsOut { 1: size extension parts part_count part_size next owner release; }
    FfiUpload { 1: key upload_id created_ns; }
    ListUploadsArgs { 1: size extension prefix page_token limit; }
    ListUploadsOut { 1: size extension uploads upload_count upload_size next owner release; }
    FfiPartRef { 1: number etag; }
    CompleteUploadArgs { 1: size extension key upload_id parts part_count part_size if_match create_only checksums_known crc32c md5 sha256; }
    AbortUploadArgs { 1: size extension key upload_id; }
    FfiRange { 1: start end; }
    FfiBuffer { 1: ptr len; }
    FfiRangeDone { 1: index; }
    FfiRangeStream { 1: words table; }
    RangeStreamTable { 1: size extension poll_into drop; }
    RangesArgs { 1: size extension key ranges range_count coalesce_bytes options; }
    RangesOut { 1: size extension object stream owner release; }
    FfiVersion { 1: key version bytes etag last_modified_ns flags; }
    ListVersionsArgs { 1: size extension prefix delimiter page_token limit; }
    ListVersionsOut { 1: size extension versions version_count version_size prefixes prefix_count next owner release; }
    UpdateArgs { 1: size extension key if_match version mask options; }
    BackendTable { 0: size extension drop start_upload start_download start_delete start_exists start_signed_url start_head start_list start_copy start_rename start_delete_many start_health start_usage start_shutdown start_custom; 1: start_create_upload start_put_part start_list_parts start_list_uploads start_complete_upload start_abort_upload start_download_ranges start_list_versions start_update; }
    PluginTable { 0: size extension abi_major abi_minor descriptor rust_layout open ops; 1: get_extension; }
}

/// Where the slot of an operation lies in [`BackendTable`].
pub const fn slot(operation: Operation) -> usize {
    use core::mem::offset_of;
    match operation {
        Operation::Upload => offset_of!(BackendTable, start_upload),
        Operation::Download => offset_of!(BackendTable, start_download),
        Operation::Delete => offset_of!(BackendTable, start_delete),
        Operation::Exists => offset_of!(BackendTable, start_exists),
        Operation::SignedUrl => offset_of!(BackendTable, start_signed_url),
        Operation::Head => offset_of!(BackendTable, start_head),
        Operation::List => offset_of!(BackendTable, start_list),
        Operation::Copy => offset_of!(BackendTable, start_copy),
        Operation::Rename => offset_of!(BackendTable, start_rename),
        Operation::DeleteMany => offset_of!(BackendTable, start_delete_many),
        Operation::Health => offset_of!(BackendTable, start_health),
        Operation::Usage => offset_of!(BackendTable, start_usage),
        Operation::Shutdown => offset_of!(BackendTable, start_shutdown),
        Operation::Custom => offset_of!(BackendTable, start_custom),
        Operation::CreateUpload => offset_of!(BackendTable, start_create_upload),
        Operation::PutPart => offset_of!(BackendTable, start_put_part),
        Operation::ListParts => offset_of!(BackendTable, start_list_parts),
        Operation::ListUploads => offset_of!(BackendTable, start_list_uploads),
        Operation::CompleteUpload => offset_of!(BackendTable, start_complete_upload),
        Operation::AbortUpload => offset_of!(BackendTable, start_abort_upload),
        Operation::DownloadRanges => offset_of!(BackendTable, start_download_ranges),
        Operation::ListVersions => offset_of!(BackendTable, start_list_versions),
        Operation::Update => offset_of!(BackendTable, start_update),
    }
}

/// The golden file of each minor.
const GOLDEN: [&str; VERSION.minor as usize + 1] = [
    include_str!("../../golden/abi-1.0.json"),
    include_str!("../../golden/abi-1.1.json"),
];

/// How many tables a minor has.
pub const fn table_count(minor: u16) -> usize {
    let (text, mut count, mut i) = (GOLDEN[minor as usize].as_bytes(), 0, 0);
    while i + 3 < text.len() {
        if starts_table(text, i) {
            count += 1;
        }
        i += 1;
    }
    count
}

/// A table of the golden file starts at a line of two spaces and a quote.
const fn starts_table(text: &[u8], at: usize) -> bool {
    text[at] == b'\n' && text[at + 1] == b' ' && text[at + 2] == b' ' && text[at + 3] == b'"'
}

const fn fingerprint_count() -> usize {
    let last = fingerprints_of(VERSION.minor);
    last.end
}

/// Where the fingerprints of a minor begin in [`FINGERPRINTS`], and how many there are.
pub const fn fingerprints_of(minor: u16) -> core::ops::Range<usize> {
    let (mut start, mut m) = (0, 0);
    while m < minor {
        start += table_count(m);
        m += 1;
    }
    start..start + table_count(minor)
}

/// 128 bits of FNV-1a over each table's part of the golden file, white space left out; every table
/// of minor 0, then every table of minor 1, and so on. Against accidents, not adversaries.
pub static FINGERPRINTS: [[u64; 2]; fingerprint_count()] = fingerprints();

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

const fn fingerprints() -> [[u64; 2]; fingerprint_count()] {
    let mut out = [[0; 2]; fingerprint_count()];
    let (mut index, mut minor) = (0, 0);
    while (minor as usize) < GOLDEN.len() {
        let text = GOLDEN[minor as usize].as_bytes();
        let (mut hash, mut inside, mut i) = (FNV_OFFSET, false, 0);
        while i < text.len() {
            if i + 3 < text.len() && starts_table(text, i) {
                if inside {
                    out[index] = [hash as u64, (hash >> 64) as u64];
                    index += 1;
                }
                (hash, inside) = (FNV_OFFSET, true);
            }
            if inside && !text[i].is_ascii_whitespace() && text[i] != b',' {
                hash = (hash ^ text[i] as u128).wrapping_mul(FNV_PRIME);
            }
            i += 1;
        }
        if inside {
            out[index] = [hash as u64, (hash >> 64) as u64];
            index += 1;
        }
        minor += 1;
    }
    out
}
