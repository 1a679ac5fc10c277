//! Chains of extensions (R17) and extensions by name (R18).

use super::tables::{FfiExtension, FfiHostAbout, FfiSlice};
use super::text::{breach, copied};
use crate::Error;
use std::ffi::c_void;

/// Most links of a chain that are read.
pub const MAX_LINKS: usize = 64;
/// Kind of [`FfiHostAbout`].
pub const HOST_ABOUT: u32 = 1;
/// Kinds from here on are free for experiments between a host and a plugin of one maker.
pub const FIRST_FREE_KIND: u32 = 0x8000_0000;

/// The links of a chain, in order.
///
/// # Errors
///
/// A breach: a link that is not aligned or has an impossible size, or more than [`MAX_LINKS`], as a loop has.
///
/// # Safety
///
/// `first` is null, or leads to links of at least their stated sizes that are readable for the call.
pub unsafe fn links(first: *const c_void) -> Result<Vec<*const FfiExtension>, Error> {
    let mut found = Vec::new();
    let mut next = first.cast::<FfiExtension>();
    while !next.is_null() {
        if found.len() == MAX_LINKS {
            return Err(breach(format_args!(
                "a chain of more than {MAX_LINKS} extensions, or a loop"
            )));
        }
        if !next.is_aligned() {
            return Err(breach("an extension at an unaligned address"));
        }
        // SAFETY: by the contract; the first fields are those of every link.
        let link = unsafe { next.read() };
        if link.size < size_of::<FfiExtension>() as u32 || !link.size.is_multiple_of(8) {
            return Err(breach(format_args!(
                "an extension of {} bytes, a multiple of 8 from 16 on expected",
                link.size
            )));
        }
        found.push(next);
        next = link.next.cast();
    }
    Ok(found)
}

/// The first link of this kind with at least these bytes; every other kind is skipped.
///
/// # Errors
///
/// As [`links`].
///
/// # Safety
///
/// As [`links`].
pub unsafe fn find<T>(first: *const c_void, kind: u32) -> Result<Option<*const T>, Error> {
    // SAFETY: by the contract.
    let links = unsafe { links(first) }?;
    Ok(links.into_iter().find_map(|link| {
        // SAFETY: `links` has read it.
        let FfiExtension { kind: of, size, .. } = unsafe { link.read() };
        (of == kind && size as usize >= size_of::<T>()).then_some(link.cast::<T>())
    }))
}

/// Who loads, for [`OpenArgs`](super::tables::OpenArgs). The texts live as long as the link.
pub const fn host_about(name: &'static str, version: &'static str) -> FfiHostAbout {
    FfiHostAbout {
        kind: HOST_ABOUT,
        size: size_of::<FfiHostAbout>() as u32,
        next: std::ptr::null(),
        name: FfiSlice::of(name.as_bytes()),
        version: FfiSlice::of(version.as_bytes()),
    }
}

/// Name and version of who loads, when the chain says them.
///
/// # Errors
///
/// As [`links`], or texts that cannot be read.
///
/// # Safety
///
/// As [`links`].
pub unsafe fn read_host_about(first: *const c_void) -> Result<Option<(String, String)>, Error> {
    // SAFETY: by the contract.
    let found = unsafe { find::<FfiHostAbout>(first, HOST_ABOUT) }?;
    let Some(about) = found else {
        return Ok(None);
    };
    // SAFETY: `find` has checked its size.
    let about = unsafe { about.read() };
    // SAFETY: R4: lent with the link.
    let name = unsafe { copied(about.name) }?.unwrap_or_default();
    // SAFETY: as above.
    let version = unsafe { copied(about.version) }?.unwrap_or_default();
    Ok(Some((name, version)))
}

/// Whether a name is that of an extension: `holdall.NAME.VERSION`, or `unstable.MAKER.NAME`.
pub fn is_extension_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let word = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    name.len() <= 127
        && parts.len() == 3
        && parts.iter().all(word)
        && match parts[0] {
            "holdall" => parts[2].bytes().all(|b| b.is_ascii_digit()),
            "unstable" => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Unknown {
        link: FfiExtension,
        value: u64,
    }

    fn unknown(kind: u32, next: *const c_void) -> Unknown {
        let size = size_of::<Unknown>() as u32;
        Unknown {
            link: FfiExtension { kind, size, next },
            value: 7,
        }
    }

    #[test]
    fn unknown_links_are_skipped() {
        let about = host_about("holdall", "1.2.3");
        let second = unknown(0x8000_0001, (&raw const about).cast());
        let first = unknown(77, (&raw const second).cast());
        let chain = (&raw const first).cast();
        // SAFETY: links of their stated sizes.
        let read = unsafe { read_host_about(chain) }.unwrap();
        assert_eq!(read, Some(("holdall".to_owned(), "1.2.3".to_owned())));
        // SAFETY: as above.
        let found = unsafe { find::<Unknown>(chain, 0x8000_0001) }
            .unwrap()
            .unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { found.read() }.value, 7);
        // SAFETY: null is allowed.
        assert_eq!(unsafe { read_host_about(std::ptr::null()) }.unwrap(), None);
    }

    #[test]
    fn a_loop_and_impossible_links_are_breaches() {
        let mut looped = unknown(5, std::ptr::null());
        looped.link.next = (&raw const looped).cast();
        let mut short = unknown(5, std::ptr::null());
        short.link.size = 8;
        let mut uneven = unknown(5, std::ptr::null());
        uneven.link.size = 20;
        for (link, expected) in [
            (&looped, "or a loop"),
            (&short, "of 8 bytes"),
            (&uneven, "of 20 bytes"),
        ] {
            let first: *const Unknown = link;
            // SAFETY: links of at least 16 bytes.
            let refused = unsafe { links(first.cast()) }.unwrap_err();
            assert!(refused.message().contains(expected), "{refused}");
        }
        let odd = (&raw const short).cast::<u8>().wrapping_add(1);
        // SAFETY: the alignment is refused before anything is read.
        assert!(unsafe { links(odd.cast()) }.is_err());
        // A link that is too short for its kind is no such link.
        let mut about = host_about("a", "b");
        about.size = 16;
        // SAFETY: 16 bytes of it are read.
        let read = unsafe { read_host_about((&raw const about).cast()) };
        assert_eq!(read.unwrap(), None);
    }

    #[test]
    fn names_of_extensions() {
        for good in ["holdall.inner.1", "unstable.acme.fast-path", "holdall.a.10"] {
            assert!(is_extension_name(good), "{good}");
        }
        for bad in [
            "",
            "holdall.inner",
            "holdall.inner.x",
            "acme.a.1",
            "unstable..x",
            "holdall.a.1.2",
            "holdall.A.1",
        ] {
            assert!(!is_extension_name(bad), "{bad}");
        }
    }
}
