//! `list`: pages in byte order, whatever order the service has.
//!
//! A page token is the last name of its page, so that objects may come and go between two pages. A
//! page is the smallest names after that one: where the service lists in byte order it is asked to
//! begin there, and where it does not all names are looked at and the smallest kept, which costs a
//! whole listing for each page but only a page of memory.
//!
//! Services with folders are walked, folder by folder (`holdall-plugin-api-hierarchical-list`, `walk`).

use crate::adapter::{Adapter, OpenOperator};
use crate::claims::Namespace;
use crate::convert;
use crate::fault::{Intent, fault};
use crate::opened_operator::OpenedOperator;
use crate::provider_reply::ReplyCapture;
use futures_util::StreamExt;
use holdall_plugin_api::{Entry, Error, ErrorKind, List, Page, Result};
use holdall_plugin_api_hierarchical_list as folders;
use opendal_core::options::ListOptions;
use opendal_core::{EntryMode, Lister, Metadata, Operator};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Names of one request, where the service lets us say.
const NATIVE_PAGE: usize = 1000;

/// A key with its facts, or a group of keys.
#[derive(Clone, Debug)]
enum Item {
    Object(Metadata),
    Group,
}

/// The smallest names beyond a point, at most so many.
#[derive(Debug)]
struct Smallest {
    after: Option<String>,
    most: usize,
    found: BTreeMap<String, Item>,
}

impl Smallest {
    fn new(after: Option<String>, most: usize) -> Self {
        Self {
            after,
            most,
            found: BTreeMap::new(),
        }
    }

    fn offer(&mut self, name: &str, item: impl FnOnce() -> Item) {
        if self.after.as_deref().is_some_and(|after| name <= after) {
            return;
        }
        if self.is_full() {
            match self.found.last_key_value() {
                Some((last, _)) if name < last.as_str() => {}
                _ => return,
            }
        }
        self.found.entry(name.to_owned()).or_insert_with(item);
        if self.found.len() > self.most {
            self.found.pop_last();
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    fn into_found(self) -> BTreeMap<String, Item> {
        self.found
    }
}

/// What is asked of a listing, without its token.
#[derive(Clone, Debug)]
struct Wanted<'a> {
    prefix: &'a str,
    grouped: bool,
    /// Names up to this one have been named.
    after: Option<String>,
    /// Keys up to this one are of no interest; a group with later keys is.
    start_after: Option<&'a str>,
    most: usize,
}

pub(crate) async fn page<A: OpenOperator>(this: &Adapter<A>, list: &List<'_>) -> Result<Page> {
    let (operator, captured) = this.begin()?;
    if !this.store.capability.list {
        return Err(Error::unsupported("the service cannot list"));
    }
    let listing = Listing {
        operator: &operator,
        captured: &captured,
        store: &this.store,
    };
    match this.store.namespace() {
        Namespace::Flat => listing.page(list).await,
        Namespace::Folders => folders::page(&listing, list).await,
    }
}

/// Looks whether the container answers: at one name, of whatever is there.
pub(crate) async fn container(
    operator: &Operator,
    captured: &ReplyCapture,
    store: &OpenedOperator,
) -> Result<()> {
    let options = ListOptions {
        limit: Some(1),
        ..ListOptions::default()
    };
    let first = match operator.lister_options("/", options).await {
        Ok(mut lister) => lister.next().await.transpose().map(drop),
        Err(error) => Err(error),
    };
    match first.map_err(|error| failed(error, captured, store)) {
        // A folder that is not there yet is an empty one.
        Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(()),
        answer => answer,
    }
}

/// What a listing failed with. Without folders there is nothing in a listing that could be missing
/// but the container, whether the service has a word for that (S3) or not (Swift).
fn failed(error: opendal_core::Error, captured: &ReplyCapture, store: &OpenedOperator) -> Error {
    store.missing_container(fault(error, captured, Intent::Read))
}

const TOKEN: &str = "after:";

fn token(last: &str) -> String {
    format!("{TOKEN}{last}")
}

fn cursor(token: &str, list: &List<'_>) -> Result<String> {
    match token.strip_prefix(TOKEN) {
        Some(last) if last.starts_with(list.prefix) => Ok(last.to_owned()),
        _ => Err(Error::invalid("not a page token of this listing")),
    }
}

pub(crate) struct Listing<'a> {
    pub(crate) operator: &'a Operator,
    captured: &'a ReplyCapture,
    store: &'a OpenedOperator,
}

impl Listing<'_> {
    pub(crate) fn failed(&self, error: opendal_core::Error) -> Error {
        failed(error, self.captured, self.store)
    }

    pub(crate) fn entry(&self, key: String, metadata: &Metadata) -> Entry {
        let mut entry = Entry::new(key, metadata.content_length());
        let quotes = self.store.quoted_etags;
        entry.etag = metadata
            .etag()
            .map(|etag| convert::listed_etag(etag, quotes));
        entry.last_modified = metadata.last_modified().map(SystemTime::from);
        entry
    }

    /// A page of a service without folders.
    async fn page(&self, list: &List<'_>) -> Result<Page> {
        let after = list.page_token.map(|token| cursor(token, list));
        let wanted = Wanted {
            prefix: list.prefix,
            grouped: list.delimiter.is_some(),
            after: after.transpose()?,
            start_after: list.start_after,
            // One more, to know whether there is a next page.
            most: list.limit as usize + 1,
        };
        let mut found = self.flat(&wanted).await?;
        let mut page = Page::default();
        if found.len() == wanted.most {
            found.pop_last();
            page.next = found.last_key_value().map(|(last, _)| token(last));
        }
        for (name, item) in found {
            match item {
                Item::Object(metadata) => page.entries.push(self.entry(name, &metadata)),
                Item::Group => page.common_prefixes.push(name),
            }
        }
        Ok(page)
    }

    async fn flat(&self, wanted: &Wanted<'_>) -> Result<BTreeMap<String, Item>> {
        let after = wanted.after.as_deref().max(wanted.start_after);
        let mut smallest = Smallest::new(wanted.after.clone(), wanted.most);
        let window = wanted.most.min(NATIVE_PAGE);
        let mut lister = self.lister(wanted, after, window).await?;
        // How many more names may be smaller than those that are kept.
        let mut unsure = None;
        while let Some(entry) = lister.next().await {
            let (path, metadata) = entry.map_err(|error| self.failed(error))?.into_parts();
            unsure = match unsure {
                Some(0) => break,
                Some(left) => Some(left - 1),
                None => None,
            };
            let Some(name) = self.name(&path, &metadata, wanted).await? else {
                continue;
            };
            smallest.offer(name, || match metadata.mode() {
                EntryMode::DIR => Item::Group,
                _ => Item::Object(metadata.clone()),
            });
            if smallest.is_full() && unsure.is_none() && self.store.in_byte_order {
                unsure = self.unsure(wanted, window);
            }
        }
        Ok(smallest.into_found())
    }

    /// Keys alone come in order. Groups and keys come in order only from one answer of the service
    /// to the next, and where the size of an answer is not ours to say all must be looked at.
    fn unsure(&self, wanted: &Wanted<'_>, window: usize) -> Option<usize> {
        match (wanted.grouped, self.store.capability.list_with_limit) {
            (false, _) => Some(0),
            (true, true) => Some(window),
            (true, false) => None,
        }
    }

    async fn lister(
        &self,
        wanted: &Wanted<'_>,
        after: Option<&str>,
        window: usize,
    ) -> Result<Lister> {
        let capability = &self.store.capability;
        let options = ListOptions {
            recursive: !wanted.grouped,
            start_after: after
                .filter(|_| capability.list_with_start_after && self.store.in_byte_order)
                .map(str::to_owned),
            limit: capability.list_with_limit.then_some(window),
            ..ListOptions::default()
        };
        self.operator
            .lister_options(wanted.prefix, options)
            .await
            .map_err(|error| self.failed(error))
    }

    /// The name that an entry of a listing stands for: a key, or a group that ends in `/`.
    async fn name<'e>(
        &self,
        path: &'e str,
        metadata: &Metadata,
        wanted: &Wanted<'_>,
    ) -> Result<Option<&'e str>> {
        let Some(rest) = path.strip_prefix(wanted.prefix) else {
            return Ok(None);
        };
        if metadata.mode() == EntryMode::DIR || path.ends_with('/') {
            // In a listing of keys these are markers of folders, and the prefix itself is no group.
            if !wanted.grouped || rest.is_empty() || path == "/" {
                return Ok(None);
            }
            return match wanted.start_after {
                Some(start) if path <= start => {
                    let later = start.starts_with(path) && self.has_after(path, start).await?;
                    Ok(later.then_some(path))
                }
                _ => Ok(Some(path)),
            };
        }
        let later = wanted.start_after.is_none_or(|start| path > start);
        Ok(later.then_some(path))
    }

    /// Whether a group has a key after this one.
    async fn has_after(&self, group: &str, start: &str) -> Result<bool> {
        let wanted = Wanted {
            prefix: group,
            grouped: false,
            after: None,
            start_after: Some(start),
            most: 1,
        };
        Ok(!Box::pin(self.flat(&wanted)).await?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_names_are_kept() {
        let mut smallest = Smallest::new(Some("b".to_owned()), 3);
        for name in ["z", "a", "d", "b", "c", "e", "d"] {
            smallest.offer(name, || Item::Group);
        }
        assert!(smallest.is_full());
        let found: Vec<_> = smallest.into_found().into_keys().collect();
        assert_eq!(found, ["c", "d", "e"]);
    }

    #[test]
    fn a_token_of_another_listing_is_refused() {
        let list = List::new("logs/");
        assert_eq!(cursor("after:logs/07", &list).unwrap(), "logs/07");
        for foreign in ["", "logs/07", "after:data/07"] {
            assert!(cursor(foreign, &list).is_err(), "{foreign}");
        }
    }
}
