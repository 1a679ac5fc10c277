//! Listing of uploads, by key.

use super::{PendingUpload, ids};
use crate::engine::fault::{FaultKind, Outcome};
use crate::engine::stamp::Stamp;
use crate::engine::store::LocalStore;
use std::collections::BinaryHeap;

/// An upload of a listing; the order is that of the listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListedUpload {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) begun: Stamp,
}

impl LocalStore {
    /// Uploads of keys that begin with the prefix, after a key and an id, and whether there are more. Looks at every
    /// upload of the root, of which there are [`super::MOST_UPLOADS`] at most, and holds those of one page.
    pub(crate) fn list_uploads(
        &self,
        prefix: &str,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Outcome<(Vec<ListedUpload>, bool)> {
        self.usable()?;
        self.present()?;
        let Some(all) = self.uploads()? else {
            return Ok((Vec::new(), false));
        };
        let mut page = BinaryHeap::new();
        for id in ids(&all)? {
            let upload = match PendingUpload::open(&all, &id) {
                Ok(Some(upload)) => upload,
                Ok(None) => continue,
                // It has no key to be listed under, and is swept in its time.
                Err(fault) if fault.kind == FaultKind::Corrupt => continue,
                Err(fault) => return Err(fault),
            };
            let wanted = upload.key.starts_with(prefix)
                && after.is_none_or(|after| (upload.key.as_str(), id.as_str()) > after);
            if wanted {
                let (key, begun) = (upload.key, upload.begun);
                page.push(ListedUpload { key, id, begun });
            }
            if page.len() > limit.saturating_add(1) {
                page.pop();
            }
        }
        let mut page = page.into_sorted_vec();
        let more = page.len() > limit;
        page.truncate(limit);
        Ok((page, more))
    }
}
