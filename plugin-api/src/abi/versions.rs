//! Listings of versions, both ways.

use super::answer::{Kept, Release, keep, text as text_in};
use super::grow::{self, copy_in, strided};
use super::request::{Args, Texts, refused, text};
use super::tables::*;
use super::text::{At, array, breach, time_in, time_out};
use crate::{ListVersions, ObjectVersion, Result, VersionPage};

const LATEST: u32 = 1;
const DELETE_MARKER: u32 = 2;

/// Writes a request for versions.
pub fn write_list<'a>(list: &ListVersions<'a>) -> Args<'a, ListVersionsArgs> {
    Args::new(ListVersionsArgs {
        prefix: text(list.prefix),
        delimiter: FfiSlice::text(list.delimiter),
        page_token: FfiSlice::text(list.page_token),
        limit: list.limit,
        ..grow::empty()
    })
}

/// Reads a request for versions.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// R1 and R5; and `'a` ends before `texts`.
pub unsafe fn read_list<'a>(
    args: *const ListVersionsArgs,
    texts: &mut Texts,
) -> Result<ListVersions<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let mut list = ListVersions::new(unsafe { texts.or_empty(args.prefix) }).limit(args.limit);
    // SAFETY: R5.
    list.delimiter = unsafe { texts.get(args.delimiter) };
    // SAFETY: R5.
    list.page_token = unsafe { texts.get(args.page_token) };
    Ok(list)
}

/// Writes a page of versions.
pub fn write_page(page: VersionPage) -> ListVersionsOut {
    let views: (Vec<FfiVersion>, Vec<FfiSlice>) = (Vec::new(), Vec::new());
    let (kept, owner, release) = keep(Kept { value: page, views });
    kept.views
        .0
        .extend(kept.value.versions.iter().map(|version| {
            let mut item: FfiVersion = grow::nothing();
            item.key = FfiSlice::of(version.key.as_bytes());
            item.version = FfiSlice::of(version.version.as_bytes());
            item.bytes = version.size;
            item.etag = FfiSlice::owned(&version.etag);
            item.last_modified_ns = time_out(version.last_modified);
            item.flags = u32::from(version.is_latest) * LATEST
                + u32::from(version.is_delete_marker) * DELETE_MARKER;
            item
        }));
    let prefixes = kept.value.common_prefixes.iter();
    kept.views
        .1
        .extend(prefixes.map(|prefix| FfiSlice::of(prefix.as_bytes())));
    ListVersionsOut {
        versions: kept.views.0.as_ptr(),
        version_count: kept.views.0.len(),
        version_size: size_of::<FfiVersion>(),
        prefixes: kept.views.1.as_ptr(),
        prefix_count: kept.views.1.len(),
        next: FfiSlice::owned(&kept.value.next),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads a page of versions.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// R6: `out` was filled by the other side and is not used again.
pub unsafe fn read_page(out: &ListVersionsOut) -> Result<VersionPage> {
    let _release = Release(out.owner, out.release);
    // SAFETY: R6.
    let raw = unsafe { strided(out.versions, out.version_count, out.version_size) }
        .at("ListVersionsOut.versions, version_count, version_size")?;
    let mut page = VersionPage::default();
    for version in raw {
        // SAFETY: R6.
        let name = unsafe { text_in(version.key) }.at("FfiVersion.key")?;
        // SAFETY: R6.
        let id = unsafe { text_in(version.version) }.at("FfiVersion.version")?;
        let present = |text: &String| !text.is_empty();
        let (Some(name), Some(id)) = (name.filter(present), id.filter(present)) else {
            return Err(breach(
                "a version without key or name (`FfiVersion.key`, `version`)",
            ));
        };
        page.versions.push(
            ObjectVersion::new(name, id, version.bytes)
                // SAFETY: R6.
                .etag(unsafe { text_in(version.etag) }.at("FfiVersion.etag")?)
                .last_modified(time_in(version.last_modified_ns))
                .latest(version.flags & LATEST != 0)
                .delete_marker(version.flags & DELETE_MARKER != 0),
        );
    }
    // SAFETY: R6.
    let prefixes = unsafe { array(out.prefixes, out.prefix_count) };
    for prefix in prefixes.at("ListVersionsOut.prefixes, prefix_count")? {
        // SAFETY: R6.
        let prefix = unsafe { text_in(*prefix) }.at("ListVersionsOut.prefixes")?;
        page.common_prefixes.push(prefix.unwrap_or_default());
    }
    // SAFETY: R6.
    page.next = unsafe { text_in(out.next) }.at("ListVersionsOut.next")?;
    Ok(page)
}
