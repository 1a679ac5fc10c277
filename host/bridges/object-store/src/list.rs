//! Listings and bulk deletes.

use super::error::{During, fault, outward};
use super::read::time;
use super::store::BackendStore;
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use holdall::Backend;
use holdall_plugin_api::{Capability, DeleteMany, Entry, List, Page, Result};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    Error as StoreError, Extensions, ListResult, ObjectMeta, Result as StoreResult,
};

/// Keys of one bulk delete, the limit of S3.
const BATCH: usize = 1000;
/// Concurrent bulk deletes.
const AT_ONCE: usize = 4;

/// A listing, before its pages.
#[derive(Debug)]
struct Listing {
    prefix: String,
    delimiter: Option<String>,
    /// Only keys after this one.
    after: Option<String>,
    limit: Option<usize>,
}

impl Listing {
    /// All keys below a directory.
    fn directory(prefix: Option<&Path>) -> Self {
        let directory = prefix
            .map(AsRef::as_ref)
            .filter(|path: &&str| !path.is_empty());
        Self {
            prefix: directory.map_or_else(String::new, |path: &str| format!("{path}/")),
            delimiter: None,
            after: None,
            limit: None,
        }
    }

    /// Returns one page and the token of the next. Filters here where the backend does not claim
    /// `start_after`.
    async fn page(&self, backend: &Backend, token: Option<&str>) -> Result<Page> {
        let terms = backend.terms().await?;
        let max = terms.limits.max_page.clamp(1, 1000);
        let limit = self.limit.map_or(max, |limit| {
            u32::try_from(limit).unwrap_or(u32::MAX).min(max)
        });
        let mut list = List::new(&self.prefix).limit(limit).page_token(token);
        list.delimiter = self.delimiter.as_deref();
        list.start_after = self.after.as_deref();
        let begins = terms.capabilities.has(Capability::StartAfter);
        if !begins {
            list.start_after = None;
        }
        let mut page = backend.list(list).await?;
        if let Some(after) = &self.after
            && !begins
        {
            page.entries.retain(|entry| entry.key > *after);
            page.common_prefixes.retain(|group| group > after);
        }
        Ok(page)
    }
}

pub(super) fn all(
    backend: Backend,
    prefix: Option<&Path>,
    offset: Option<&Path>,
) -> BoxStream<'static, StoreResult<ObjectMeta>> {
    let mut listing = Listing::directory(prefix);
    let offset = offset
        .map(AsRef::as_ref)
        .filter(|path: &&str| !path.is_empty());
    listing.after = offset.map(str::to_owned);
    // `Some(None)`: the first page; `None`: there is no further one.
    let first = Some(None::<String>);
    let pages = stream::try_unfold(
        (backend, listing, first),
        |(backend, listing, token)| async {
            let Some(token) = token else {
                return Ok::<_, StoreError>(None);
            };
            let page = listing.page(&backend, token.as_deref()).await;
            let page = page.map_err(outward(During::Other))?;
            let entries = page.entries.into_iter().filter_map(object).map(Ok);
            Ok(Some((
                stream::iter(entries),
                (backend, listing, page.next.map(Some)),
            )))
        },
    );
    pages.try_flatten().boxed()
}

pub(super) async fn directory(backend: &Backend, prefix: Option<&Path>) -> StoreResult<ListResult> {
    let mut listing = Listing::directory(prefix);
    listing.delimiter = Some("/".to_owned());
    let mut all = empty();
    let mut token: Option<String> = None;
    loop {
        let page = listing.page(backend, token.as_deref()).await;
        let page = page.map_err(outward(During::Other))?;
        all.objects
            .extend(page.entries.into_iter().filter_map(object));
        let groups = page.common_prefixes.iter();
        all.common_prefixes
            .extend(groups.filter_map(|group| path(group)));
        token = page.next;
        if token.is_none() {
            return Ok(all);
        }
    }
}

/// Deletes in bulk; one answer for each key, in the order of the keys. A missing object is a success.
pub(super) fn delete(
    backend: Backend,
    locations: BoxStream<'static, StoreResult<Path>>,
) -> BoxStream<'static, StoreResult<Path>> {
    let batches = locations.ready_chunks(BATCH).map(move |batch| {
        let backend = backend.clone();
        async move { stream::iter(delete_batch(&backend, batch).await) }
    });
    batches.buffered(AT_ONCE).flatten().boxed()
}

async fn delete_batch(backend: &Backend, batch: Vec<StoreResult<Path>>) -> Vec<StoreResult<Path>> {
    let outward = outward(During::Other);
    let named = || batch.iter().filter_map(|location| location.as_ref().ok());
    let many = DeleteMany::new(named().map(|path| path.as_ref() as &str));
    let mut answers = match backend.delete_many(many).await {
        Ok(answers) => answers.into_iter(),
        // One error for all keys.
        Err(error) => vec![Err(error); named().count()].into_iter(),
    };
    let answer = |location: StoreResult<Path>| {
        let location = location?;
        match answers.next() {
            Some(answer) => answer.map(|_| location).map_err(outward),
            None => Err(outward(fault("fewer answers than keys"))),
        }
    };
    batch.into_iter().map(answer).collect()
}

fn empty() -> ListResult {
    ListResult {
        common_prefixes: Vec::new(),
        objects: Vec::new(),
        extensions: Extensions::new(),
    }
}

fn object(entry: Entry) -> Option<ObjectMeta> {
    Some(ObjectMeta {
        location: path(&entry.key)?,
        last_modified: time(entry.last_modified),
        size: entry.size,
        e_tag: entry.etag,
        version: None,
    })
}

/// Returns the path of a key or common prefix; `None` if no path can name it.
fn path(key: &str) -> Option<Path> {
    let text = key.strip_suffix('/').unwrap_or(key);
    let path = Path::parse(text).ok();
    // `parse` normalizes; a normalized key is another key.
    let path = path.filter(|path| path.as_ref() == text);
    if path.is_none() {
        tracing::debug!(target: "holdall", key, "left out an object that no path can name");
    }
    path
}

#[async_trait]
impl PaginatedListStore for BackendStore {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> StoreResult<PaginatedListResult> {
        let listing = Listing {
            prefix: prefix.unwrap_or_default().to_owned(),
            delimiter: options.delimiter.map(Into::into),
            after: options.offset,
            limit: options.max_keys,
        };
        let backend = self.called(&options.extensions);
        let page = listing.page(&backend, options.page_token.as_deref()).await;
        let page = page.map_err(outward(During::Other))?;
        let groups = page.common_prefixes.iter();
        let mut result = empty();
        result.common_prefixes = groups.filter_map(|group| path(group)).collect();
        result.objects = page.entries.into_iter().filter_map(object).collect();
        Ok(PaginatedListResult {
            result,
            page_token: page.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_path_can_name_have_none() {
        for key in ["a//b", "/a", "..", "a/./b", "\u{1}"] {
            assert_eq!(path(key), None, "{key:?}");
        }
        for key in ["a%2Fb", "a b#1", "é/😀", "a\\b"] {
            assert_eq!(path(key).map(String::from).as_deref(), Some(key));
        }
        assert_eq!(path("a/b/").map(String::from).as_deref(), Some("a/b"));
    }
}
