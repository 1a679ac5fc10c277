//! Tables, and items of arrays, that grow at their end: rule R1.

use super::tables::*;
use super::text::{MAX_ITEMS, breach};
use crate::Error;
use core::mem::{MaybeUninit, offset_of};

/// A table whose first field is `size: usize`.
///
/// # Safety
///
/// The type is `repr(C)`, its first field is `size: usize`, and all-zero bytes are a valid value.
pub unsafe trait Grows: Sized + Copy {
    /// Bytes up to and with the last field of its first version.
    const FIRST: usize;
    /// Name, for messages.
    const NAME: &'static str;
    /// Whether there is anything in it but its size.
    const HAS_CONTENT: bool;
}

/// An item of an array that states how long its items are: it has no `size` of its own.
///
/// # Safety
///
/// The type is `repr(C)`, and all-zero bytes are a valid value.
pub unsafe trait Item: Sized + Copy {
    /// Bytes up to and with the last field of its first version.
    const FIRST: usize;
}

/// Bytes that this side knows of a table or an item.
pub const fn known<T>() -> usize {
    size_of::<T>()
}

const fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// `Table / layout description . last field of its first version`
macro_rules! grows {
    ($($table:ident / $prefix:ident . $last:ident;)+) => { $(
        // SAFETY: every table in `tables.rs` is `repr(C)` and begins with `size: usize` (the next
        // line would not compile or hold otherwise); integers, null pointers and `None` functions
        // are all zero bytes.
        unsafe impl Grows for $table {
            const FIRST: usize = offset_of!($table, $last) + field_size(|t: &$table| &t.$last);
            const NAME: &'static str = stringify!($table);
            const HAS_CONTENT: bool = !matches!(stringify!($table).as_bytes(), b"EmptyOut");
        }
        const _: () = assert!(offset_of!($table, size) == 0);
        prefix_layout! { $table / $prefix }
    )+ };
}

/// `Item / layout description . last field of its first version`
macro_rules! items {
    ($($item:ident / $prefix:ident . $last:ident;)+) => { $(
        // SAFETY: every struct in `tables.rs` is `repr(C)`; integers and null pointers are zeroes.
        unsafe impl Item for $item {
            const FIRST: usize = offset_of!($item, $last) + field_size(|t: &$item| &t.$last);
        }
        prefix_layout! { $item / $prefix }
    )+ };
}

macro_rules! prefix_layout {
    ($table:ident / $prefix:ident) => {
        // The layout of the derived prefix stands for the table, so that `*const Table` is checked
        // with the rules of things that may grow, while the table stays a plain struct.
        #[cfg(feature = "layout-check")]
        // SAFETY: the type is its own static equivalent: it has no lifetime.
        unsafe impl abi_stable::abi_stability::GetStaticEquivalent_ for $table {
            type StaticEquivalent = $table;
        }
        #[cfg(feature = "layout-check")]
        // SAFETY: the layout describes the very fields of this struct; it is derived from them.
        unsafe impl abi_stable::StableAbi for $table {
            type IsNonZeroType = abi_stable::type_level::bools::False;
            const LAYOUT: &'static abi_stable::type_layout::TypeLayout =
                <$prefix as abi_stable::abi_stability::PrefixStableAbi>::LAYOUT;
        }
    };
}

grows! {
    FfiError / FfiError_Prefix . release;
    FfiCall / FfiCall_Prefix . request_id;
    FfiTrailers / FfiTrailers_Prefix . sha256;
    StreamTable / StreamTable_Prefix . drop;
    FfiLogRecord / FfiLogRecord_Prefix . call;
    HostServices / HostServices_Prefix . random;
    OpenArgs / OpenArgs_Prefix . effective_minor;
    OpenOut / OpenOut_Prefix . release;
    UploadOptionArgs / UploadOptionArgs_Prefix . sha256;
    UploadArgs / UploadArgs_Prefix . options;
    UploadOut / UploadOut_Prefix . release;
    ReadOptionArgs / ReadOptionArgs_Prefix . if_unmodified_since_ns;
    DownloadArgs / DownloadArgs_Prefix . options;
    HeadArgs / HeadArgs_Prefix . options;
    ObjectOut / ObjectOut_Prefix . release;
    DownloadOut / DownloadOut_Prefix . release;
    DeleteArgs / DeleteArgs_Prefix . must_exist;
    DeleteOut / DeleteOut_Prefix . release;
    ExistsArgs / ExistsArgs_Prefix . key;
    ExistsOut / ExistsOut_Prefix . exists;
    SignArgs / SignArgs_Prefix . sha256;
    SignOut / SignOut_Prefix . release;
    ListArgs / ListArgs_Prefix . limit;
    ListOut / ListOut_Prefix . release;
    CopyArgs / CopyArgs_Prefix . create_only;
    CopyOut / CopyOut_Prefix . release;
    RenameArgs / RenameArgs_Prefix . to;
    RenameOut / RenameOut_Prefix . release;
    DeleteManyArgs / DeleteManyArgs_Prefix . key_count;
    DeleteManyOut / DeleteManyOut_Prefix . release;
    EmptyArgs / EmptyArgs_Prefix . reserved;
    HealthOut / HealthOut_Prefix . release;
    UsageOut / UsageOut_Prefix . objects;
    EmptyOut / EmptyOut_Prefix . reserved;
    CustomArgs / CustomArgs_Prefix . payload;
    CustomOut / CustomOut_Prefix . payload;
    FfiFile / FfiFile_Prefix . length;
    CreateUploadArgs / CreateUploadArgs_Prefix . options;
    CreateUploadOut / CreateUploadOut_Prefix . release;
    PutPartArgs / PutPartArgs_Prefix . body;
    PutPartOut / PutPartOut_Prefix . release;
    ListPartsArgs / ListPartsArgs_Prefix . limit;
    ListPartsOut / ListPartsOut_Prefix . release;
    ListUploadsArgs / ListUploadsArgs_Prefix . limit;
    ListUploadsOut / ListUploadsOut_Prefix . release;
    CompleteUploadArgs / CompleteUploadArgs_Prefix . sha256;
    AbortUploadArgs / AbortUploadArgs_Prefix . upload_id;
    RangeStreamTable / RangeStreamTable_Prefix . drop;
    RangesArgs / RangesArgs_Prefix . options;
    RangesOut / RangesOut_Prefix . release;
    ListVersionsArgs / ListVersionsArgs_Prefix . limit;
    ListVersionsOut / ListVersionsOut_Prefix . release;
    UpdateArgs / UpdateArgs_Prefix . options;
    BackendTable / BackendTable_Prefix . start_custom;
    PluginTable / PluginTable_Prefix . ops;
}

items! {
    FfiCause / FfiCause_Prefix . text;
    FfiEntry / FfiEntry_Prefix . last_modified_ns;
    FfiDeleteResult / FfiDeleteResult_Prefix . error;
    FfiPart / FfiPart_Prefix . crc32c;
    FfiUpload / FfiUpload_Prefix . created_ns;
    FfiPartRef / FfiPartRef_Prefix . etag;
    FfiVersion / FfiVersion_Prefix . flags;
}

// SAFETY: tables are read only, and lead to functions and statics.
unsafe impl Sync for PluginTable {}
// SAFETY: as above.
unsafe impl Sync for BackendTable {}
// SAFETY: R13: callable from any thread.
unsafe impl Sync for HostServices {}
// SAFETY: a stream table holds functions only.
unsafe impl Sync for StreamTable {}
// SAFETY: as above.
unsafe impl Sync for RangeStreamTable {}

/// Why a table cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableFault {
    /// No table at all.
    #[error("{table}: a table expected, null found")]
    Null {
        /// Its name.
        table: &'static str,
    },
    /// Not aligned for its fields.
    #[error("{table}: an aligned table expected, an unaligned address found")]
    Unaligned {
        /// Its name.
        table: &'static str,
    },
    /// Shorter than its first version, or absurdly long.
    #[error("{table}: {expected} to 65536 bytes expected, {found} found")]
    Size {
        /// Its name.
        table: &'static str,
        /// Bytes of its first version.
        expected: usize,
        /// Bytes that it claims.
        found: usize,
    },
}

/// Copies what both sides know of `*source` into zeroes.
///
/// # Errors
///
/// The pointer or the stated size is impossible.
///
/// # Safety
///
/// `source` is null, or points to a table of at least its stated `size` readable bytes.
pub unsafe fn copy_in<T: Grows>(source: *const T) -> Result<T, TableFault> {
    let table = T::NAME;
    if source.is_null() {
        return Err(TableFault::Null { table });
    }
    if !source.is_aligned() {
        return Err(TableFault::Unaligned { table });
    }
    // SAFETY: by the contract a `size` is readable at the start of every table.
    let size = unsafe { source.cast::<usize>().read() };
    if !(T::FIRST..=65_536).contains(&size) {
        return Err(TableFault::Size {
            table,
            expected: T::FIRST,
            found: size,
        });
    }
    if size == known::<T>() && size == size_of::<T>() {
        // The usual case as one plain read: a copy of variable length is a call.
        // SAFETY: the whole table is readable by the contract.
        return Ok(unsafe { source.read() });
    }
    let taken = size.min(known::<T>());
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: `taken` bytes are readable by the contract and fit into the copy.
    unsafe {
        core::ptr::copy_nonoverlapping(source.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), taken)
    };
    // SAFETY: `size` is the first field, so this writes into the copy.
    unsafe { copy.as_mut_ptr().cast::<usize>().write(taken) };
    // SAFETY: zeroes are valid (`Grows`), and the fields over them came from a valid table.
    Ok(unsafe { copy.assume_init() })
}

/// Copies what both sides know of an item of `stride` bytes into zeroes.
///
/// # Safety
///
/// `stride` bytes are readable at `source`, at least those of the item's first version.
pub unsafe fn copy_item<T: Item>(source: *const T, stride: usize) -> T {
    let mut copy = MaybeUninit::<T>::zeroed();
    let taken = stride.min(known::<T>());
    // SAFETY: readable by the contract, and fits into the copy.
    unsafe {
        core::ptr::copy_nonoverlapping(source.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), taken)
    };
    // SAFETY: zeroes are valid (`Item`), and the fields over them came from a valid item.
    unsafe { copy.assume_init() }
}

/// The values of an array whose items may be longer or shorter than we know.
///
/// # Errors
///
/// An impossible count, address or stride.
///
/// # Safety
///
/// `count` items of `stride` bytes, each the start of a valid `T` or longer, are readable.
pub(super) unsafe fn strided<T: Item>(
    first: *const T,
    count: usize,
    stride: usize,
) -> Result<Vec<T>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if first.is_null()
        || !first.is_aligned()
        || count > MAX_ITEMS
        || stride < T::FIRST
        || !stride.is_multiple_of(align_of::<T>())
        || stride > 4096
    {
        return Err(breach(format_args!(
            "an array of {count} items of {stride} bytes"
        )));
    }
    let item = |index: usize| {
        // SAFETY: inside the array by the contract.
        let item = unsafe { first.byte_add(index * stride) };
        // SAFETY: readable by the contract, as long as the first version by the checks.
        unsafe { copy_item(item, stride) }
    };
    Ok((0..count).map(item).collect())
}

/// Writes the part of `value` that the caller has room for.
///
/// # Safety
///
/// `out` points to a writable table whose `size` states its room, at least the first version's.
pub unsafe fn copy_out<T: Grows>(out: *mut T, value: T) {
    // SAFETY: by the contract a `size` is readable at the start.
    let room = unsafe { out.cast::<usize>().read() };
    // The usual case as one plain write: a copy of variable length is a call.
    if room >= size_of::<T>() {
        // SAFETY: there is room for the whole value.
        return unsafe { out.write(value) };
    }
    // SAFETY: `room` bytes are writable and fewer than the value has.
    unsafe {
        core::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), out.cast::<u8>(), room)
    };
    // SAFETY: `size` is the first field.
    unsafe { out.cast::<usize>().write(room) };
}

/// An empty table with `size` set: what a caller provides for an answer, and the rest of every table
/// that is written down, so that a field that is added changes nothing for code that does not fill it.
pub const fn empty<T: Grows>() -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `size` is the first field.
    unsafe { value.as_mut_ptr().cast::<usize>().write(known::<T>()) };
    // SAFETY: zeroes are valid (`Grows`).
    unsafe { value.assume_init() }
}

/// Room for an answer, a word larger than the answer. Who fills it states how many bytes are filled, so
/// that an answer that was never filled shows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Room<T> {
    table: T,
    /// Written by a plugin of a later minor only, whose table is longer.
    spare: u64,
}

/// What a host puts into the spare word.
const UNTOUCHED: u64 = 0x5a17_ed00_0b5e_55ed;

impl<T: Grows> Room<T> {
    const fn bytes() -> usize {
        known::<T>() + size_of::<u64>()
    }

    /// Room in which nothing is filled.
    pub const fn new() -> Self {
        let mut room = Self {
            table: empty::<T>(),
            spare: UNTOUCHED,
        };
        // SAFETY: `size` is the first field of the table.
        unsafe { (&raw mut room.table).cast::<usize>().write(Self::bytes()) };
        room
    }

    /// Where the answer goes.
    pub const fn as_mut_ptr(&mut self) -> *mut T {
        // Of the whole room: a longer table is written past the end of ours.
        (&raw mut *self).cast()
    }

    /// The answer, when there is one.
    ///
    /// # Errors
    ///
    /// A breach of the contract: it was not filled, or states an impossible size.
    #[inline(always)]
    pub fn filled(&self) -> Result<&T, Error> {
        // SAFETY: `size` is the first field of the table.
        let size = unsafe { (&raw const self.table).cast::<usize>().read() };
        if size == size_of::<T>() {
            return Ok(&self.table);
        }
        self.unusual(size)
    }

    #[cold]
    fn unusual(&self, size: usize) -> Result<&T, Error> {
        let table = T::NAME;
        if !(T::FIRST..=Self::bytes()).contains(&size) {
            return Err(breach(format_args!(
                "{table} of {size} bytes, {} to {} expected",
                T::FIRST,
                Self::bytes()
            )));
        }
        // A table of a later minor is longer, and its fields lie in the spare word.
        if size == Self::bytes() && self.spare == UNTOUCHED && T::HAS_CONTENT {
            return Err(breach(format_args!(
                "READY without filling {table}: its `size` still states the room"
            )));
        }
        Ok(&self.table)
    }
}

impl<T: Grows> Default for Room<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// An item of which nothing is filled yet.
pub const fn nothing<T: Item>() -> T {
    // SAFETY: zeroes are valid (`Item`).
    unsafe { MaybeUninit::<T>::zeroed().assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_table_reads_as_absent_fields() {
        let mut table = empty::<BackendTable>();
        table.size = BackendTable::FIRST;
        // SAFETY: a table of the stated size.
        let copy = unsafe { copy_in(&raw const table) }.unwrap();
        assert_eq!(copy.size, BackendTable::FIRST);
        table.size = BackendTable::FIRST - 1;
        // SAFETY: as before.
        let fault = unsafe { copy_in(&raw const table) }.err();
        assert!(
            matches!(fault, Some(TableFault::Size { found, .. }) if found == BackendTable::FIRST - 1)
        );
    }

    #[test]
    fn a_longer_table_is_cut_to_what_is_known() {
        #[repr(C)]
        struct Newer(ExistsArgs, [u64; 4]);
        let mut newer = Newer(empty(), [7; 4]);
        newer.0.size = size_of::<Newer>();
        // SAFETY: a table of the stated size.
        let copy = unsafe { copy_in((&raw const newer).cast::<ExistsArgs>()) }.unwrap();
        assert_eq!(copy.size, size_of::<ExistsArgs>());
        assert_eq!(newer.1, [7; 4]);
    }

    #[test]
    fn items_are_read_at_the_stride_that_the_array_states() {
        let mut first: FfiEntry = nothing();
        (first.bytes, first.last_modified_ns) = (5, 9);
        #[repr(C)]
        struct Newer(FfiEntry, [u64; 2]);
        let newer = [Newer(first, [7; 2]), Newer(first, [7; 2])];
        let item = (&raw const newer[1]).cast::<FfiEntry>();
        // SAFETY: an item of that many bytes.
        let read = unsafe { copy_item(item, size_of::<Newer>()) };
        assert_eq!((read.bytes, read.last_modified_ns), (5, 9));
        // SAFETY: the first version is all of it today.
        let read = unsafe { copy_item(item, FfiEntry::FIRST) };
        assert_eq!((read.bytes, read.last_modified_ns), (5, 9));
    }

    #[test]
    fn null_and_unaligned_are_different_faults() {
        // SAFETY: null is allowed.
        let null = unsafe { copy_in(core::ptr::null::<ExistsArgs>()) };
        assert!(matches!(
            null,
            Err(TableFault::Null {
                table: "ExistsArgs"
            })
        ));
        let bytes = [0usize; 8];
        let odd = bytes
            .as_ptr()
            .cast::<u8>()
            .wrapping_add(1)
            .cast::<ExistsArgs>();
        // SAFETY: the alignment is refused before anything is read.
        let refused = unsafe { copy_in(odd) };
        assert!(matches!(refused, Err(TableFault::Unaligned { .. })));
    }

    #[test]
    fn an_answer_that_was_not_filled_differs_from_one_of_zeros() {
        let untouched = Room::<ExistsOut>::new();
        let refused = untouched.filled().map(|out| out.exists).unwrap_err();
        assert!(
            refused
                .message()
                .contains("READY without filling ExistsOut")
        );
        let mut answered = Room::<ExistsOut>::new();
        // SAFETY: room for a whole table.
        unsafe { copy_out(answered.as_mut_ptr(), empty::<ExistsOut>()) };
        assert_eq!(answered.filled().map(|out| out.exists).unwrap(), 0);
        // A plugin of a later minor fills all the room there is, with zeros here.
        let mut newer = Room::<ExistsOut>::new();
        newer.spare = 0;
        assert_eq!(newer.filled().map(|out| out.exists).unwrap(), 0);
        for size in [0, 8, ExistsOut::FIRST - 1, 1 << 20, usize::MAX] {
            let mut lies = Room::<ExistsOut>::new();
            // SAFETY: as above.
            unsafe { (*lies.as_mut_ptr()).size = size };
            assert!(lies.filled().is_err(), "{size}");
        }
        // Nothing to fill.
        assert!(Room::<EmptyOut>::new().filled().is_ok());
    }

    #[test]
    fn a_smaller_caller_gets_what_fits() {
        let mut room = empty::<UploadOut>();
        room.size = 24;
        let mut value = empty::<UploadOut>();
        (value.bytes, value.crc32c) = (5, 9);
        // SAFETY: 24 bytes are writable.
        unsafe { copy_out(&raw mut room, value) };
        assert_eq!((room.size, room.bytes, room.crc32c), (24, 5, 0));
    }
}
