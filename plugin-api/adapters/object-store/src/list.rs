//! One page of a listing.

use crate::download::{etag, modified};
use crate::error::of_read;
use crate::opened_store::OpenedStore;
use crate::reply::Call;
use futures_util::{Stream, StreamExt};
use holdall_plugin_api::{Entry, List, Page, Result};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ObjectMeta, Result as StoreResult};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) async fn page(store: &OpenedStore, list: &List<'_>) -> Result<Page> {
    match &store.pages {
        Some(pages) => of_pages(store, pages.as_ref(), list).await,
        None => of_everything(store, list).await,
    }
}

/// The store makes the page.
async fn of_pages(
    store: &OpenedStore,
    pages: &dyn PaginatedListStore,
    list: &List<'_>,
) -> Result<Page> {
    let prefix = format!("{}{}", store.prefix, list.prefix);
    let offset = list
        .start_after
        .map(|start| format!("{}{start}", store.prefix));
    let options = PaginatedListOptions {
        // A token knows where it is; a start beside it would hide what follows.
        offset: offset.filter(|_| list.page_token.is_none()),
        delimiter: list.delimiter.map(|delimiter| delimiter.to_owned().into()),
        max_keys: Some(list.limit as usize),
        page_token: list.page_token.map(str::to_owned),
        ..PaginatedListOptions::default()
    };
    let call = Call::document();
    let listing = pages.list_paginated(Some(prefix.as_str()).filter(|p| !p.is_empty()), options);
    let found = call
        .run(listing)
        .await
        .map_err(|error| of_read(error, &call))?;
    let mut page = Page::default();
    page.skipped = call.skipped();
    page.next = found.page_token.filter(|token| !token.is_empty());
    for object in found.result.objects {
        match object.location.as_ref().strip_prefix(&store.prefix) {
            Some(key) if !key.is_empty() => page.entries.push(entry(key, &object)),
            _ => page.skipped += 1,
        }
    }
    for group in found.result.common_prefixes {
        // `Path` trims a slash at the end.
        let mut group = String::from(group);
        if list
            .delimiter
            .is_some_and(|delimiter| delimiter.ends_with('/'))
        {
            group.push('/');
        }
        match group.strip_prefix(&store.prefix) {
            Some(group) if !group.is_empty() => page.common_prefixes.push(group.to_owned()),
            _ => page.skipped += 1,
        }
    }
    Ok(page)
}

fn entry(key: &str, object: &ObjectMeta) -> Entry {
    let mut entry = Entry::new(key, object.size);
    entry.etag = etag(object.e_tag.clone());
    entry.last_modified = modified(object.last_modified.into());
    entry
}

/// The store has no pages, and promises no order: of all keys after the token the smallest are the
/// page. A page costs a whole listing, and holds no more than itself in memory.
async fn of_everything(store: &OpenedStore, list: &List<'_>) -> Result<Page> {
    // Prefixes of stores are folders: the folder above ours has all of ours.
    let whole = format!("{}{}", store.prefix, list.prefix);
    let folder = whole.rsplit_once('/').map(|(folder, _)| folder);
    let folder = folder.and_then(|folder| Path::parse(folder).ok());
    let call = Call::document();
    let found: Arc<dyn object_store::ObjectStore> = Arc::clone(&store.objects);
    let listing = found.list(folder.as_ref());
    call.run(smallest(store, list, listing))
        .await
        .map_err(|error| of_read(error, &call))
}

enum Found {
    Object(Entry),
    Group,
}

async fn smallest(
    store: &OpenedStore,
    list: &List<'_>,
    mut listing: impl Stream<Item = StoreResult<ObjectMeta>> + Unpin,
) -> StoreResult<Page> {
    let limit = list.limit as usize;
    let mut kept: BTreeMap<String, Found> = BTreeMap::new();
    let mut more = false;
    while let Some(object) = listing.next().await {
        let object = object?;
        let Some(key) = object.location.as_ref().strip_prefix(&store.prefix) else {
            continue;
        };
        let Some(rest) = key.strip_prefix(list.prefix) else {
            continue;
        };
        let grouped = list.delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(&key[..list.prefix.len() + end])
        });
        // A group whose end lies before the start is over; one that holds the start is not.
        let name = grouped.unwrap_or(key);
        let past = list.page_token.is_none_or(|last| name > last)
            && list.start_after.is_none_or(|start| key > start);
        if !past || kept.contains_key(name) {
            continue;
        }
        let found = match grouped {
            Some(_) => Found::Group,
            None => Found::Object(entry(key, &object)),
        };
        kept.insert(name.to_owned(), found);
        if kept.len() > limit {
            kept.pop_last();
            more = true;
        }
    }
    let mut page = Page::default();
    page.next = kept
        .last_key_value()
        .filter(|_| more)
        .map(|(last, _)| last.clone());
    for (name, found) in kept {
        match found {
            Found::Object(entry) => page.entries.push(entry),
            Found::Group => page.common_prefixes.push(name),
        }
    }
    Ok(page)
}
