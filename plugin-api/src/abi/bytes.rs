//! Owned bytes and their release: rules R3, R4 and R10. Exporting allocates nothing, because a
//! `Bytes` lies inline.

use super::tables::FfiBytes;
use super::text::breach;
use crate::Error;
use bytes::Bytes;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Room for the state of the bytes' owner.
pub(crate) type Owner = [*mut c_void; 4];

const _: () =
    assert!(size_of::<Bytes>() <= size_of::<Owner>() && align_of::<Bytes>() <= align_of::<Owner>());

/// A chunk of an object, freed by its maker. Derefs to its bytes; turn it into [`Bytes`] to
/// keep or share it (one small allocation, no copy).
#[derive(Debug)]
pub struct Chunk(FfiBytes);

// SAFETY: R3: the bytes may be read and released from any thread.
unsafe impl Send for Chunk {}
// SAFETY: as above; a shared chunk is only read.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Takes over what the other side made.
    ///
    /// # Errors
    ///
    /// A length without an address, or a length that no memory has. The owner is released.
    ///
    /// # Safety
    ///
    /// `raw` follows R3 and is not used again.
    pub unsafe fn from_ffi(raw: FfiBytes) -> Result<Self, Error> {
        let mut chunk = Self(raw);
        if chunk.0.len == 0 {
            return Ok(chunk);
        }
        // Judged here, because a slice of such a length must not even be made: not for `deref`, and
        // not for the message.
        let len = chunk.0.len;
        let problem = if chunk.0.ptr.is_null() {
            "bytes have a length but no address"
        } else if isize::try_from(len).is_err() {
            "bytes have a length that no memory has"
        } else {
            return Ok(chunk);
        };
        chunk.0.len = 0;
        Err(breach(format_args!(
            "{problem}: {len} (`FfiBytes.ptr`, `len`)"
        )))
    }

    /// Hands over to the other side.
    pub fn into_ffi(self) -> FfiBytes {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.0.len == 0 {
            return &[];
        }
        // SAFETY: R3 and the checks of `from_ffi`: `len` bytes at `ptr` are readable until the release, which is in `drop`.
        unsafe { std::slice::from_raw_parts(self.0.ptr, self.0.len) }
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(release) = self.0.release.take() {
            // SAFETY: R3: called once, with the very owner that was handed over.
            unsafe { release(&raw mut self.0.owner) }
        }
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        unsafe extern "C" fn release(owner: *mut Owner) {
            contained(|| {
                // SAFETY: R3: `owner` holds the `Bytes` written below, dropped here once.
                unsafe { owner.cast::<Bytes>().drop_in_place() }
            });
        }
        let (ptr, len) = (bytes.as_ptr(), bytes.len());
        let mut owner = MaybeUninit::<Owner>::zeroed();
        // SAFETY: the constant above: a `Bytes` fits and is no more strictly aligned.
        unsafe { owner.as_mut_ptr().cast::<Bytes>().write(bytes) };
        // SAFETY: zeroes are null pointers; the words of the `Bytes` are pointers and lengths.
        let owner = unsafe { owner.assume_init() };
        Self(FfiBytes {
            ptr,
            len,
            owner,
            release: Some(release),
        })
    }
}

impl From<Chunk> for Bytes {
    fn from(chunk: Chunk) -> Self {
        if chunk.is_empty() {
            Bytes::new()
        } else {
            Bytes::from_owner(chunk)
        }
    }
}

/// The guard of the SDK, which reports panics to the host. Set once, by the first plugin that is opened.
static GUARD: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// Lets `guard` run every later release. Only the first call has an effect.
pub(crate) fn run_releases_under(guard: fn(&mut dyn FnMut())) {
    let _ = GUARD.set(guard);
}

/// Runs a release function. A panic never crosses; without a plugin in this library it is discarded.
pub(super) fn contained(release: impl FnOnce()) {
    let mut release = Some(release);
    let mut once = || {
        if let Some(release) = release.take() {
            release();
        }
    };
    match GUARD.get() {
        Some(guard) => guard(&mut once),
        None => {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(once)) {
                discard(payload);
            }
        }
    }
}

/// Drops the payload of a panic, whose own `Drop` may panic. The payload of that second panic is
/// dropped if it is text and leaked otherwise, so that this ends.
pub(crate) fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
        && !(second.is::<&str>() || second.is::<String>())
    {
        std::mem::forget(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cross_without_a_copy() {
        let bytes = Bytes::from(vec![7u8; 1000]);
        let address = bytes.as_ptr();
        let raw = Chunk::from(bytes).into_ffi();
        // SAFETY: made by `Chunk::from` above, used once.
        let back = Bytes::from(unsafe { Chunk::from_ffi(raw) }.unwrap());
        assert_eq!(back.as_ptr(), address);
        assert_eq!(back.len(), 1000);
    }

    #[test]
    fn impossible_lengths_are_breaches_and_release_their_owner() {
        for (ptr, len) in [
            (std::ptr::null(), 1),
            (std::ptr::null(), usize::MAX),
            (b"abc".as_ptr(), usize::MAX),
            (b"abc".as_ptr(), isize::MAX as usize + 1),
        ] {
            let count = std::sync::Arc::new(());
            let kept = count.clone();
            struct Owned(#[expect(dead_code, reason = "held")] std::sync::Arc<()>);
            impl AsRef<[u8]> for Owned {
                fn as_ref(&self) -> &[u8] {
                    b"abc"
                }
            }
            let mut raw = Chunk::from(Bytes::from_owner(Owned(kept))).into_ffi();
            (raw.ptr, raw.len) = (ptr, len);
            // SAFETY: made by `Chunk::from`, used once; the length is refused.
            let refused = unsafe { Chunk::from_ffi(raw) }.unwrap_err();
            assert_eq!(refused.kind(), crate::ErrorKind::PluginFault);
            assert_eq!(std::sync::Arc::strong_count(&count), 1, "{len} bytes");
        }
    }

    #[test]
    fn an_owner_is_dropped_once() {
        struct Owned {
            _count: std::sync::Arc<()>,
        }
        impl AsRef<[u8]> for Owned {
            fn as_ref(&self) -> &[u8] {
                b"abc"
            }
        }
        let count = std::sync::Arc::new(());
        let chunk = Chunk::from(Bytes::from_owner(Owned {
            _count: count.clone(),
        }));
        assert_eq!(
            (&*chunk, std::sync::Arc::strong_count(&count)),
            (&b"abc"[..], 2)
        );
        drop(Bytes::from(chunk));
        assert_eq!(std::sync::Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_panic_in_a_release_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("second");
            }
        }
        contained(|| std::panic::panic_any(Bomb));
        let mut ran = false;
        contained(|| ran = true);
        assert!(ran);
    }
}
