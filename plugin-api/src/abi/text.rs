//! Texts, pairs, times and digests, both ways.

use super::tables::{FfiPair, FfiPairs, FfiSlice};
use crate::{Checksums, Error, ErrorKind, Key};
use std::time::{Duration, SystemTime};

/// A number that is not known.
pub const UNKNOWN: u64 = u64::MAX;
/// A time that is not known.
pub const NO_TIME: i64 = i64::MIN;
/// No text of a plugin is longer, in bytes.
const MAX_TEXT: usize = 16 << 20;
/// No array of a plugin is longer.
pub(crate) const MAX_ITEMS: usize = 1 << 20;

impl FfiSlice {
    /// Absent.
    pub const NONE: FfiSlice = FfiSlice {
        ptr: std::ptr::null(),
        len: 0,
    };

    /// Borrows bytes. The caller sees to it that they live long enough.
    pub const fn of(bytes: &[u8]) -> Self {
        FfiSlice {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// Borrows a text, or is absent.
    pub fn text(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, |text| Self::of(text.as_bytes()))
    }

    /// Borrows a text that an answer owns, or is absent.
    pub fn owned(text: &Option<String>) -> Self {
        Self::text(text.as_deref())
    }
}

/// The plugin broke a rule of the boundary: which one, in the message.
pub fn breach(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::PluginFault)
        .with_message(format!("the plugin broke the contract: {what}"))
}

/// Names the field in which a rule was broken.
pub(super) trait At<T> {
    fn at(self, field: &'static str) -> Result<T, Error>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, field: &'static str) -> Result<T, Error> {
        self.map_err(|broken| in_field(broken, field))
    }
}

#[cold]
fn in_field(broken: Error, field: &'static str) -> Error {
    let message = format!("{} (`{field}`)", broken.message());
    broken.with_message(message)
}

/// Bytes that the other side lends.
///
/// # Errors
///
/// A length without a pointer, or an impossible length.
///
/// # Safety
///
/// `slice.len` bytes at `slice.ptr` are readable for `'a`, unless the checks refuse them.
pub unsafe fn bytes<'a>(slice: FfiSlice) -> Result<Option<&'a [u8]>, Error> {
    if slice.ptr.is_null() {
        return if slice.len == 0 {
            Ok(None)
        } else {
            Err(breach("a text has a length but no address"))
        };
    }
    if slice.len > MAX_TEXT {
        return Err(breach(format_args!(
            "a text of {} bytes, at most {MAX_TEXT} expected",
            slice.len
        )));
    }
    // SAFETY: non-null, and readable by the contract.
    Ok(Some(unsafe {
        std::slice::from_raw_parts(slice.ptr, slice.len)
    }))
}

/// A copy of a text that the other side lends; ill-formed UTF-8 is a breach.
///
/// # Errors
///
/// As [`bytes()`], or not UTF-8.
///
/// # Safety
///
/// As [`bytes()`], for the call.
pub unsafe fn copied(slice: FfiSlice) -> Result<Option<String>, Error> {
    // SAFETY: by the contract of this function.
    match unsafe { bytes(slice) }? {
        None => Ok(None),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(breach("a text is not UTF-8")),
        },
    }
}

/// An array that the other side lends.
///
/// # Errors
///
/// A count without an address, or an impossible count.
///
/// # Safety
///
/// `count` values at `first` are readable for `'a`, unless the checks refuse them.
pub unsafe fn array<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() || !first.is_aligned() || count > MAX_ITEMS {
        return Err(breach(format_args!(
            "an array of {count} items at {first:?}"
        )));
    }
    // SAFETY: non-null, aligned, and readable by the contract.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// Copies of pairs that the other side lends.
///
/// # Errors
///
/// As [`array()`] and [`copied`].
///
/// # Safety
///
/// As [`array()`] and [`copied`].
pub unsafe fn copied_pairs(pairs: FfiPairs) -> Result<Vec<(String, String)>, Error> {
    // SAFETY: by the contract of this function.
    let pairs = unsafe { array(pairs.ptr, pairs.len) }?;
    pairs
        .iter()
        .map(|pair| {
            // SAFETY: by the contract of this function.
            let name = unsafe { copied(pair.name) }?.unwrap_or_default();
            // SAFETY: by the contract of this function.
            let value = unsafe { copied(pair.value) }?.unwrap_or_default();
            Ok((name, value))
        })
        .collect()
}

/// Views pairs of texts; the views live as long as the texts.
pub fn pair_views<A: AsRef<str>, B: AsRef<str>>(pairs: &[(A, B)]) -> Vec<FfiPair> {
    pairs
        .iter()
        .map(|(name, value)| FfiPair {
            name: FfiSlice::of(name.as_ref().as_bytes()),
            value: FfiSlice::of(value.as_ref().as_bytes()),
        })
        .collect()
}

/// Views an array of pairs.
pub fn pairs_of(views: &[FfiPair]) -> FfiPairs {
    FfiPairs {
        ptr: views.as_ptr(),
        len: views.len(),
    }
}

/// Nanoseconds since 1970, cut to what an `i64` holds (the year 2262).
pub fn time_out(time: Option<SystemTime>) -> i64 {
    let Some(time) = time else { return NO_TIME };
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN + 1, |ns| -ns),
    }
}

/// The time of so many nanoseconds since 1970.
pub fn time_in(ns: i64) -> Option<SystemTime> {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    match ns {
        NO_TIME => None,
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    }
}

/// Digests as (known, crc32c, md5, sha256).
pub fn checksums_out(sums: &Checksums) -> (u32, u32, [u8; 16], [u8; 32]) {
    let known = u32::from(sums.crc32c.is_some())
        | u32::from(sums.md5.is_some()) << 1
        | u32::from(sums.sha256.is_some()) << 2;
    (
        known,
        sums.crc32c.unwrap_or(0),
        sums.md5.unwrap_or([0; 16]),
        sums.sha256.unwrap_or([0; 32]),
    )
}

/// Digests from (known, crc32c, md5, sha256).
pub fn checksums_in(known: u32, crc32c: u32, md5: [u8; 16], sha256: [u8; 32]) -> Checksums {
    Checksums {
        crc32c: (known & 1 != 0).then_some(crc32c),
        md5: (known & 2 != 0).then_some(md5),
        sha256: (known & 4 != 0).then_some(sha256),
    }
}

/// A number that may not be known.
pub fn number_out(number: Option<u64>) -> u64 {
    number.unwrap_or(UNKNOWN)
}

/// A number that may not be known.
pub fn number_in(number: u64) -> Option<u64> {
    (number != UNKNOWN).then_some(number)
}

impl AsRef<Key> for str {
    fn as_ref(&self) -> &Key {
        // SAFETY: `Key` is `repr(transparent)` over `str`, so the pointers have the same layout and
        // metadata, and every `str` is a valid `Key`.
        unsafe { &*(std::ptr::from_ref(self) as *const Key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for ns in [0, 1, -1, 1_700_000_000_123_456_789, i64::MAX, i64::MIN + 1] {
            assert_eq!(time_out(time_in(ns)), ns);
        }
        assert_eq!(time_in(NO_TIME), None);
        assert_eq!(time_out(None), NO_TIME);
    }

    #[test]
    fn impossible_slices_are_breaches() {
        let read = |ptr: *const u8, len| {
            // SAFETY: readable, or refused before anything is read.
            unsafe { copied(FfiSlice { ptr, len }) }
        };
        assert!(read(std::ptr::null(), 3).is_err());
        assert!(read(b"x".as_ptr(), usize::MAX).is_err());
        assert!(read(b"\xff".as_ptr(), 1).is_err());
        assert_eq!(read(b"".as_ptr(), 0).unwrap().as_deref(), Some(""));
        assert_eq!(read(std::ptr::null(), 0).unwrap(), None);
        // SAFETY: refused before anything is read.
        assert!(unsafe { array(std::ptr::null::<u64>(), 1) }.is_err());
    }

    #[test]
    fn digests_go_there_and_back() {
        let sums = Checksums {
            crc32c: Some(7),
            md5: None,
            sha256: Some([3; 32]),
        };
        let (known, crc32c, md5, sha256) = checksums_out(&sums);
        assert_eq!(checksums_in(known, crc32c, md5, sha256), sums);
    }
}
