//! Listings, and what they leave out.

use super::Local;
use crate::engine::left_out::LeftOut;
use crate::engine::list::{Entry as Found, Query};
use holdall_plugin_api::{Bytes, Custom, Entry, Error, Level, List, Page, Result};

pub(super) async fn list(local: &Local, list: List<'_>) -> Result<Page> {
    let grouped = match list.delimiter {
        None => false,
        Some("/") => true,
        Some(_) => return Err(Error::unsupported("the only delimiter is \"/\"")),
    };
    let prefix = list.prefix.to_owned();
    let (start_after, token) = (
        list.start_after.map(str::to_owned),
        list.page_token.map(str::to_owned),
    );
    let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let page = local.job(move |store| {
        let (start_after, token) = (start_after.as_deref(), token.as_deref());
        store.list(&Query {
            prefix: &prefix,
            grouped,
            start_after,
            token,
            limit,
        })
    });
    let found = page.await?;
    for path in &found.unreadable {
        let note = format_args!("the directory {path:?} cannot be read: a listing leaves it out");
        local.host.log(Level::Warn, note);
    }
    let store = local.store();
    let entry = |found: Found| {
        let mut entry = Entry::new(found.key, found.size);
        entry.etag = store.etag(found.stamp, found.changed, found.size);
        entry.last_modified = Some(found.stamp.time());
        entry
    };
    let mut page = Page::default();
    page.entries = found.entries.into_iter().map(entry).collect();
    page.common_prefixes = found.groups;
    page.next = found.next;
    page.skipped = found.skipped;
    Ok(page)
}

/// `left_out`: what listings leave out below the prefix in the payload.
pub(super) async fn custom(local: &Local, custom: Custom<'_>) -> Result<Bytes> {
    if custom.name != "left_out" {
        let error = Error::unsupported("the plugin does not know this call");
        return Err(error.with_fact("call", custom.name));
    }
    let prefix = String::from_utf8(custom.payload.to_vec())
        .map_err(|_| Error::invalid("the payload of left_out is a prefix"))?;
    let (found, more) = local.job(move |store| store.left_out(&prefix)).await?;
    let one = |found: LeftOut| serde_json::json!({ "name": found.path, "why": found.why });
    let names: Vec<_> = found.into_iter().map(one).collect();
    let answer = serde_json::json!({ "left_out": names, "more": more });
    Ok(answer.to_string().into_bytes().into())
}
