//! The names of a service with folders, in byte order.
//!
//! Folder by folder: in byte order a folder stands among its neighbours by its name with the `/` at
//! its end, so that what is below it comes where a sorted list of all keys would have it. Of a
//! folder no more names are kept than the page can need; a larger one is looked at again where the
//! names ran out. Folders that hold no object are not shown, which costs a look into each.

use crate::list::{Item, Listing, Smallest, Wanted};
use futures_util::StreamExt;
use holdall_plugin_api::Result;
use opendal_core::options::ListOptions;
use opendal_core::{EntryMode, ErrorKind};
use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;

/// A folder that is being walked: its smallest names so far.
struct Frame {
    folder: String,
    names: IntoIter<String, Item>,
    /// The last name, when there may be more behind it.
    more: Option<String>,
}

pub(crate) async fn names(
    listing: &Listing<'_>,
    wanted: &Wanted<'_>,
) -> Result<BTreeMap<String, Item>> {
    let mut found = BTreeMap::new();
    let folder = wanted.prefix.rfind('/').map_or(0, |at| at + 1);
    let mut walk = vec![look(listing, wanted, &wanted.prefix[..folder], None).await?];
    while let Some(frame) = walk.last_mut() {
        let Some((name, item)) = frame.names.next() else {
            match frame.more.take() {
                None => {
                    walk.pop();
                }
                more => *frame = look(listing, wanted, &frame.folder.clone(), more).await?,
            }
            continue;
        };
        match item {
            Item::Object(_) => {
                found.insert(name, item);
            }
            Item::Group if !wanted.grouped => {
                walk.push(look(listing, wanted, &name, None).await?);
            }
            Item::Group => {
                if holds_later(listing, &name, wanted.start_after).await? {
                    found.insert(name, item);
                }
            }
        }
        if found.len() == wanted.most {
            break;
        }
    }
    Ok(found)
}

/// Whether there is an object in a folder, or below it, after this key.
async fn holds_later(listing: &Listing<'_>, folder: &str, start: Option<&str>) -> Result<bool> {
    let wanted = Wanted {
        prefix: folder,
        grouped: false,
        after: None,
        start_after: start,
        most: 1,
    };
    Ok(!Box::pin(names(listing, &wanted)).await?.is_empty())
}

/// The smallest names of a folder that a page can still need, those after `from`.
async fn look(
    listing: &Listing<'_>,
    wanted: &Wanted<'_>,
    folder: &str,
    from: Option<String>,
) -> Result<Frame> {
    let mut smallest = Smallest::new(from, wanted.most);
    let path = if folder.is_empty() { "/" } else { folder };
    let mut frame = Frame {
        folder: folder.to_owned(),
        names: BTreeMap::new().into_iter(),
        more: None,
    };
    let absent = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    let mut lister = match listing
        .operator
        .lister_options(path, ListOptions::default())
        .await
    {
        Ok(lister) => lister,
        Err(error) if absent(error.kind()) => return absence(listing, error, frame),
        Err(error) => return Err(listing.failed(error)),
    };
    while let Some(entry) = lister.next().await {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if absent(error.kind()) => return absence(listing, error, frame),
            Err(error) => return Err(listing.failed(error)),
        };
        let (path, metadata) = entry.into_parts();
        let is_folder = metadata.mode() == EntryMode::DIR;
        // The folder lists itself too.
        if path == folder || path == "/" || is_folder != path.ends_with('/') {
            continue;
        }
        let begins = if is_folder {
            path.starts_with(wanted.prefix) || wanted.prefix.starts_with(&path)
        } else {
            path.starts_with(wanted.prefix)
        };
        if !begins || !is_later(&path, is_folder, wanted) {
            continue;
        }
        smallest.offer(&path, || match is_folder {
            true => Item::Group,
            false => Item::Object(metadata.clone()),
        });
    }
    let full = smallest.is_full();
    let names = smallest.into_found();
    frame.more = names
        .last_key_value()
        .filter(|_| full)
        .map(|(last, _)| last.clone());
    frame.names = names.into_iter();
    Ok(frame)
}

/// A folder that is not there holds nothing, unless it is the container itself.
fn absence(listing: &Listing<'_>, error: opendal_core::Error, empty: Frame) -> Result<Frame> {
    match listing.failed(error) {
        error if error.kind() == holdall_plugin_api::ErrorKind::ContainerMissing => Err(error),
        _ => Ok(empty),
    }
}

/// Whether a name, or what is below it, comes after what has been named and asked for.
fn is_later(name: &str, is_folder: bool, wanted: &Wanted<'_>) -> bool {
    let later = |after: &str| name > after || is_folder && after.starts_with(name);
    // A group that was named is done with.
    let named = wanted.after.as_deref();
    let past_named = match named {
        Some(after) if wanted.grouped => name > after,
        Some(after) => later(after),
        None => true,
    };
    past_named && wanted.start_after.is_none_or(later)
}
