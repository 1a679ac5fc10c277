//! Errors across the boundary, flattened and copied: rule R6.

use super::bytes::contained;
use super::grow::{self, Grows, strided};
use super::tables::{FfiCause, FfiError, FfiPair, FfiSlice};
use super::text::{At, breach, copied, copied_pairs, pair_views, pairs_of};
use crate::{Cause, Error, ErrorKind, ProviderReply, Retry};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// An error and the views into it.
struct Kept {
    error: Error,
    causes: Vec<FfiCause>,
    facts: Vec<FfiPair>,
}

/// Bytes that nothing else refers to: a function that uses it is equal to no other, so that no linker
/// folds [`release`] together with another (identical code folding) and gives both one address.
static MARK: AtomicU8 = AtomicU8::new(0);

unsafe extern "C" fn release(owner: *mut c_void) {
    MARK.store(1, Ordering::Relaxed);
    contained(|| {
        // SAFETY: R3: made by `flatten`, released once.
        drop(unsafe { Box::from_raw(owner.cast::<Kept>()) });
    });
}

/// The address by which this side knows its own errors. In one place, because a function that is
/// named twice may have two addresses.
static RELEASE: unsafe extern "C" fn(*mut c_void) = release;

/// Longest text of an error that leaves a plugin, in bytes. Texts of providers may be of any length.
const LONGEST_TEXT: usize = 8 << 10;
/// Most causes of an error that leave a plugin.
const MOST_CAUSES: usize = 32;

/// Cuts what is too long.
fn bounded(error: Error) -> Error {
    let causes = || error.cause().into_iter().flat_map(Cause::chain);
    let provider = error.provider();
    let is_long = |text: &str| text.len() > LONGEST_TEXT;
    let any = is_long(error.message())
        || is_long(error.code())
        || error
            .facts()
            .any(|(name, value)| is_long(name) || is_long(value))
        || [&provider.code, &provider.request_id]
            .into_iter()
            .flatten()
            .any(|text| is_long(text))
        || causes().any(|cause| is_long(&cause.text) || is_long(&cause.code))
        || causes().nth(MOST_CAUSES).is_some();
    if !any {
        return error;
    }
    let mut cause = error.cause().cloned();
    let mut link = cause.as_mut();
    for _ in 1..MOST_CAUSES {
        link = link.and_then(|cause| cause.source.as_deref_mut());
    }
    if let Some(last) = link {
        last.source = None;
    }
    error
        .with_cause(cause)
        .map_texts(|text| text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned())
}

/// Views an error; it lives until its release. Its texts are cut to 8 KiB.
pub fn flatten(error: Error) -> FfiError {
    let error = bounded(error);
    let kept = Box::into_raw(Box::new(Kept {
        error,
        causes: Vec::new(),
        facts: Vec::new(),
    }));
    // SAFETY: just made, not shared yet.
    let Kept {
        error,
        causes,
        facts,
    } = unsafe { &mut *kept };
    causes.extend(
        error
            .cause()
            .into_iter()
            .flat_map(Cause::chain)
            .map(|cause| {
                let mut item: FfiCause = grow::nothing();
                item.code = FfiSlice::of(cause.code.as_bytes());
                item.text = FfiSlice::of(cause.text.as_bytes());
                item
            }),
    );
    facts.extend(pair_views(&error.facts().collect::<Vec<_>>()));
    let (retry, after) = match error.retry() {
        Retry::Never => (0, 0),
        Retry::Safe => (1, 0),
        Retry::IfIdempotent => (2, 0),
        Retry::After(wait) => (3, u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    };
    FfiError {
        kind: error.kind() as u32,
        retry,
        retry_after_ms: after,
        code: FfiSlice::of(error.code().as_bytes()),
        message: FfiSlice::of(error.message().as_bytes()),
        provider_status: error.provider().status.map_or(0, u32::from),
        cause_count: u32::try_from(causes.len()).unwrap_or(0),
        cause_size: const { size_of::<FfiCause>() as u32 },
        provider_code: FfiSlice::owned(&error.provider().code),
        request_id: FfiSlice::owned(&error.provider().request_id),
        causes: causes.as_ptr(),
        facts: pairs_of(facts),
        owner: kept.cast(),
        release: Some(RELEASE),
        ..grow::empty()
    }
}

/// Copies an error of the other side and releases it.
///
/// # Safety
///
/// `raw` was filled by the other side (R6) and is not used again.
pub unsafe fn unflatten(raw: &FfiError) -> Error {
    if raw.size >= FfiError::FIRST
        && let Some(theirs) = raw.release
        && std::ptr::fn_addr_eq(theirs, RELEASE)
    {
        // It was flattened on this side, by a body of the host's own for instance, so it is taken
        // back whole: with its place, which does not cross the boundary.
        // SAFETY: R3: only `flatten` names this function, with what it made; owned by us now.
        return unsafe { Box::from_raw(raw.owner.cast::<Kept>()) }.error;
    }
    // SAFETY: by the contract.
    let error = unsafe { read(raw) };
    if raw.size >= FfiError::FIRST
        && let Some(release) = raw.release
    {
        // SAFETY: R3: once, after the copy.
        unsafe { release(raw.owner) }
    }
    error
}

/// Copies an error of the other side.
///
/// # Safety
///
/// As [`unflatten`], but the error stays with its owner.
pub(super) unsafe fn read(raw: &FfiError) -> Error {
    // SAFETY: by the contract.
    unsafe { try_read(raw) }.unwrap_or_else(|breach| breach)
}

/// # Safety
///
/// As [`read`].
unsafe fn try_read(raw: &FfiError) -> Result<Error, Error> {
    // Kinds begin with 1.
    if raw.size < FfiError::FIRST || (raw.kind == 0 && raw.message.ptr.is_null()) {
        return Err(breach(
            "an error was announced and not filled (`FfiError.size`, `kind`, `message`)",
        ));
    }
    let kind = ErrorKind::from_number(raw.kind);
    let retry = match raw.retry {
        0 => Retry::Never,
        1 => Retry::Safe,
        2 => Retry::IfIdempotent,
        3 => Retry::After(Duration::from_millis(raw.retry_after_ms)),
        // A newer class: what the kind says.
        _ => kind.retry(),
    };
    // SAFETY: R6.
    let code = unsafe { copied(raw.code) }.at("FfiError.code")?;
    // SAFETY: R6.
    let message = unsafe { copied(raw.message) }
        .at("FfiError.message")?
        .unwrap_or_default();
    // SAFETY: R6.
    let provider_code = unsafe { copied(raw.provider_code) }.at("FfiError.provider_code")?;
    // SAFETY: R6.
    let request_id = unsafe { copied(raw.request_id) }.at("FfiError.request_id")?;
    // SAFETY: R6.
    let facts = unsafe { copied_pairs(raw.facts) }.at("FfiError.facts")?;
    let (count, stride) = (raw.cause_count as usize, raw.cause_size as usize);
    // SAFETY: R6.
    let causes = unsafe { strided(raw.causes, count, stride) }
        .at("FfiError.causes, cause_count, cause_size")?;

    let mut cause = None;
    for link in causes.iter().rev() {
        // SAFETY: R6.
        let code = unsafe { copied(link.code) }
            .at("FfiCause.code")?
            .unwrap_or_default();
        // SAFETY: R6.
        let text = unsafe { copied(link.text) }
            .at("FfiCause.text")?
            .unwrap_or_default();
        cause = Some(Cause {
            code,
            text,
            source: cause.map(Box::new),
        });
    }
    let mut error = Error::new(kind)
        .with_message(message)
        .with_retry(retry)
        .with_cause(cause);
    if let Some(code) = code.filter(|code| code != kind.code() && !code.is_empty()) {
        error = error.with_code(code);
    }
    let provider = ProviderReply {
        status: u16::try_from(raw.provider_status)
            .ok()
            .filter(|status| *status != 0),
        code: provider_code,
        request_id,
    };
    Ok(facts
        .into_iter()
        .fold(error.with_provider(provider), |error, (name, value)| {
            error.with_fact(name, value)
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_one_side_an_error_comes_back_whole() {
        let error = Error::not_found().at(|place| place.key = Some("k".into()));
        let raw = flatten(error);
        // SAFETY: just made, used once.
        let back = unsafe { unflatten(&raw) };
        assert_eq!(back.place().key.as_deref(), Some("k"));
    }

    #[test]
    fn every_field_comes_across() {
        let error = Error::new(ErrorKind::RateLimited)
            .with_message("slow down")
            .with_code("throttled_here")
            .with_retry(Retry::After(Duration::from_millis(1500)))
            .with_fact("size", 7)
            .with_fact("limit", 9)
            .with_provider(ProviderReply {
                status: Some(503),
                code: Some("SlowDown".into()),
                request_id: Some("r-1".into()),
            })
            .with_cause(Some(Cause {
                code: "a".into(),
                text: "outer".into(),
                source: Some(Box::new(Cause {
                    code: String::new(),
                    text: "inner".into(),
                    source: None,
                })),
            }));
        let raw = flatten(error.clone());
        // SAFETY: just made; only read, as from another side.
        let back = unsafe { read(&raw) };
        assert_eq!(format!("{back:?}"), format!("{error:?}"));
        // SAFETY: used once.
        drop(unsafe { unflatten(&raw) });
    }

    #[test]
    fn texts_of_providers_are_cut() {
        let long = "\u{e9}".repeat(16 << 10);
        let mut cause = None;
        for _ in 0..100 {
            cause = Some(Cause {
                code: long.clone(),
                text: long.clone(),
                source: cause.map(Box::new),
            });
        }
        let error = Error::new(ErrorKind::PermissionDenied)
            .with_message(long.clone())
            .with_fact("x", &long)
            .with_provider(ProviderReply {
                status: Some(403),
                code: Some(long.clone()),
                request_id: Some(long.clone()),
            })
            .with_cause(cause);
        let raw = flatten(error);
        // SAFETY: just made; only read, as from another side.
        let back = unsafe { read(&raw) };
        // SAFETY: used once.
        drop(unsafe { unflatten(&raw) });
        assert_eq!(back.kind(), ErrorKind::PermissionDenied);
        assert_eq!(back.message().len(), LONGEST_TEXT);
        assert_eq!(back.fact("x").map(str::len), Some(LONGEST_TEXT));
        let causes: Vec<_> = back.cause().into_iter().flat_map(Cause::chain).collect();
        assert_eq!(causes.len(), MOST_CAUSES);
        assert!(causes.iter().all(|cause| cause.text.len() == LONGEST_TEXT));
    }

    #[test]
    fn an_unfilled_error_is_a_breach() {
        let raw: FfiError = FfiError {
            size: 0,
            ..grow::empty()
        };
        // SAFETY: nothing in it is read.
        assert_eq!(unsafe { unflatten(&raw) }.kind(), ErrorKind::PluginFault);
        let raw: FfiError = grow::empty();
        // SAFETY: as above.
        assert_eq!(unsafe { unflatten(&raw) }.kind(), ErrorKind::PluginFault);
    }

    /// A release of another type, with the very instructions of ours but for its mark. Compilers fold
    /// equal functions into one when they optimise, and linkers may.
    #[test]
    fn a_release_that_looks_like_ours_is_another() {
        struct Other {
            _error: Error,
            _causes: Vec<FfiCause>,
            _facts: Vec<FfiPair>,
        }
        unsafe extern "C" fn lookalike(owner: *mut c_void) {
            contained(|| {
                // SAFETY: never called.
                drop(unsafe { Box::from_raw(owner.cast::<Other>()) });
            });
        }
        let theirs: unsafe extern "C" fn(*mut c_void) = std::hint::black_box(lookalike);
        assert!(!std::ptr::fn_addr_eq(theirs, std::hint::black_box(RELEASE)));
    }

    #[test]
    fn an_unknown_kind_keeps_code_and_message() {
        let mut raw = flatten(
            Error::new(ErrorKind::Other)
                .with_message("new thing")
                .with_code("too_new"),
        );
        raw.kind = 4_000;
        raw.retry = 77;
        // SAFETY: just made; only read, as from another side.
        let back = unsafe { read(&raw) };
        // SAFETY: used once.
        drop(unsafe { unflatten(&raw) });
        assert_eq!(
            (back.kind(), back.code(), back.message()),
            (ErrorKind::Other, "too_new", "new thing")
        );
    }
}
