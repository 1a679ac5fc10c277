//! `list`.

use super::calls;
use super::needs;
use super::page_token::{self, Last, check_page};
use crate::backend::Backend;
use crate::backend::counters::add;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use futures_core::Stream;
use futures_util::{TryStreamExt, stream};
use holdall_plugin_api::{
    Capability, Entry, Error, ErrorKind, KeyPolicy, List, Operation, Page, Result, Retry,
};
use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;

impl Backend {
    /// A page of keys that begin with a prefix: any text, which need not be a key or a folder.
    ///
    /// `next` of the answer asks for the page after it, on this host and on every other with the
    /// same configuration. Keys come in byte order where the backend claims `ordered_list`, which
    /// [`Backend::info`] tells. Keys that the key policy forbids are left out and counted in
    /// `skipped`, so a page may be empty and still have a next one.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::List;
    ///
    /// let page = photos.list(List::new("2026/").delimiter("/").limit(100)).await?;
    /// for entry in &page.entries {
    ///     println!("{} ({} bytes)", entry.key, entry.size);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `InvalidArgument`: a limit outside 1 to 1000, a damaged token, or one of another listing.
    /// - `InvalidKey`: a prefix of more than 1024 bytes or with a control character.
    /// - `Unsupported`: a delimiter beside `/`, or `start_after`, that the backend does not claim.
    pub fn list<'a>(&self, list: impl Into<List<'a>>) -> impl Future<Output = Result<Page>> + Send {
        let list = list.into();
        async move {
            let scope = self.scope(Operation::List, None);
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    page(&scope, opened, list).await
                }))
                .await
        }
    }
}

impl Backend {
    /// All pages of a listing, one after another: each is asked for when the one before was taken.
    /// `limit` of the request is the size of a page. The stream ends at its first error.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use futures_util::TryStreamExt;
    /// use holdall::List;
    ///
    /// let mut pages = std::pin::pin!(photos.pages(List::new("2026/").limit(100)));
    /// while let Some(page) = pages.try_next().await? {
    ///     println!("{} objects", page.entries.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// In the stream, as [`Backend::list`].
    pub fn pages<'a, L: Into<List<'a>>>(
        &self,
        list: L,
    ) -> impl Stream<Item = Result<Page>> + Send + use<'a, L> {
        let list = list.into();
        let first = list.page_token.map(str::to_owned);
        let backend = self.clone();
        stream::try_unfold(Some(first), move |token: Option<Option<String>>| {
            let backend = backend.clone();
            async move {
                let Some(token) = token else {
                    return Ok(None);
                };
                let page = backend.list(list.page_token(token.as_deref())).await?;
                let next = page.next.clone().map(Some);
                Ok(Some((page, next)))
            }
        })
    }

    /// All objects of a listing, over all its pages. Common prefixes are in [`Backend::pages`].
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use futures_util::TryStreamExt;
    ///
    /// let photos = photos.entries("2026/");
    /// let total: u64 = photos.try_fold(0, |sum, entry| async move { Ok(sum + entry.size) }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// In the stream, as [`Backend::list`].
    pub fn entries<'a, L: Into<List<'a>>>(
        &self,
        list: L,
    ) -> impl Stream<Item = Result<Entry>> + Send + use<'a, L> {
        let pages = self.pages(list);
        pages
            .map_ok(|page| stream::iter(page.entries.into_iter().map(Ok)))
            .try_flatten()
    }
}

pub(super) async fn page(scope: &Scope<'_>, opened: &Arc<Opened>, list: List<'_>) -> Result<Page> {
    needs(opened, Operation::List)?;
    let policy = opened.terms.policy;
    policy.check_prefix(list.prefix).map_err(|fault| {
        Error::new(ErrorKind::InvalidKey).with_message(format!("prefix: {fault}"))
    })?;
    let prefix = plugin_prefix(policy, list.prefix);
    let mut narrowed = list;
    narrowed.prefix = prefix.unwrap_or_default();
    opened.terms.list(&narrowed)?;
    let Some(prefix) = prefix else {
        return Ok(Page::default());
    };
    let beyond = &list.prefix[prefix.len()..];
    if list.delimiter.is_some_and(|it| may_begin_in(it, beyond)) {
        return Err(Error::unsupported(
            "this delimiter with a prefix that ends in a part of it",
        ));
    }
    let backend = scope.backend.name();
    let (inner, mut last) = match list.page_token {
        None => (None, Last::default()),
        Some(token) => {
            let (inner, last) = page_token::decode(backend, &list, token)?;
            (Some(inner), last)
        }
    };
    let asked = narrowed.page_token(inner.as_deref());
    let mut page = calls::list(scope, opened, asked).await?;
    verify(&page, &asked)?;
    opened.etags.show_page(&mut page);
    if opened.claims(Capability::OrderedList) {
        let keys = page.entries.iter().map(|entry| entry.key.as_str());
        last.key = ascending(last.key, keys)?;
        let groups = page.common_prefixes.iter().map(String::as_str);
        last.group = ascending(last.group, groups)?;
    }
    leave_out(&mut page, policy);
    if !beyond.is_empty() {
        let ordered = opened.claims(Capability::OrderedList);
        keep(&mut page, list.prefix, ordered);
    }
    add(&scope.counters().skipped_keys, page.skipped);
    page.next = page
        .next
        .map(|next| page_token::encode(backend, &list, &next, &last));
    Ok(page)
}

/// The longest part of a prefix that ABI 1.0 hands to plugins; `None` when no key begins with the
/// prefix.
fn plugin_prefix(policy: KeyPolicy, prefix: &str) -> Option<&str> {
    if policy.check_plugin_prefix(prefix).is_ok() {
        return Some(prefix);
    }
    let mut longer = ["x", "/x"]
        .map(|more| format!("{prefix}{more}"))
        .into_iter();
    if !longer.any(|key| policy.check(&key).is_ok()) {
        return None;
    }
    let ends = prefix.char_indices().rev().map(|(end, _)| end);
    ends.map(|end| &prefix[..end])
        .find(|shorter| policy.check_plugin_prefix(shorter).is_ok())
}

/// Whether an occurrence of the delimiter may begin within this text.
fn may_begin_in(delimiter: &str, text: &str) -> bool {
    text.char_indices().any(|(at, _)| {
        let rest = &text[at..];
        rest.starts_with(delimiter) || delimiter.starts_with(rest)
    })
}

/// Keeps what begins with the prefix, in a page of a shorter one.
fn keep(page: &mut Page, prefix: &str, ordered: bool) {
    let last_key = page.entries.last().map(|entry| entry.key.as_str());
    let last = last_key.max(page.common_prefixes.last().map(String::as_str));
    if ordered && last.is_some_and(|last| last > prefix && !last.starts_with(prefix)) {
        page.next = None;
    }
    page.entries.retain(|entry| entry.key.starts_with(prefix));
    page.common_prefixes
        .retain(|group| group.starts_with(prefix));
}

/// The plugin's page is what was asked for.
fn verify(page: &Page, asked: &List<'_>) -> Result<()> {
    let count = page.entries.len() + page.common_prefixes.len();
    check_page(count, asked.limit, page.next.as_deref(), asked.page_token)?;
    let stray = |what: &'static str, text: &str| -> Result<()> {
        Err(page_token::stray(what, asked.prefix, text))
    };
    for entry in &page.entries {
        let Some(rest) = entry.key.strip_prefix(asked.prefix) else {
            return stray("an entry outside the prefix", &entry.key);
        };
        if asked
            .delimiter
            .is_some_and(|delimiter| rest.contains(delimiter))
        {
            return stray("an entry that belongs into a common prefix", &entry.key);
        }
        if asked
            .start_after
            .is_some_and(|start| entry.key.as_str() <= start)
        {
            return stray("an entry before the start", &entry.key);
        }
    }
    for group in &page.common_prefixes {
        let rest = group.strip_prefix(asked.prefix);
        let ends = |rest: &str| {
            asked
                .delimiter
                .is_some_and(|delimiter| rest.ends_with(delimiter))
        };
        if !rest.is_some_and(ends) {
            return stray("a common prefix that is none", group);
        }
    }
    Ok(())
}

/// The last of these names, which come after `last`, each after the one before.
///
/// # Errors
///
/// `Unavailable`: the listing goes backwards or repeats a name, with both names.
fn ascending<'a>(
    last: Option<String>,
    names: impl Iterator<Item = &'a str>,
) -> Result<Option<String>> {
    let mut last = last.map(Cow::Owned);
    for name in names {
        if let Some(before) = last.as_deref().filter(|before| *before >= name) {
            return Err(Error::new(ErrorKind::Unavailable)
                .with_message("the store's listing is not in order, which this backend claims")
                .with_retry(Retry::Never)
                .with_fact("before", before)
                .with_fact("found", name));
        }
        last = Some(Cow::Borrowed(name));
    }
    Ok(last.map(Cow::into_owned))
}

/// Takes out what the key policy forbids, and counts it: placeholder objects such as `a/`, and
/// whatever other programs left in the store.
fn leave_out(page: &mut Page, policy: KeyPolicy) {
    let keys = page
        .entries
        .extract_if(.., |entry| policy.check(&entry.key).is_err())
        .map(|entry| entry.key);
    let groups = page
        .common_prefixes
        .extract_if(.., |group| policy.check_plugin_prefix(group).is_err());
    page.skipped_keys.extend(keys.chain(groups));
    page.skipped += page.skipped_keys.len() as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ascend_over_pages() {
        let after = |last: Option<&str>, names: &[&str]| {
            ascending(last.map(str::to_owned), names.iter().copied())
        };
        assert_eq!(after(None, &[]).unwrap(), None);
        assert_eq!(after(Some("b"), &[]).unwrap().as_deref(), Some("b"));
        assert_eq!(after(Some("b"), &["c", "d"]).unwrap().as_deref(), Some("d"));
        for (last, names) in [
            (Some("b"), &["b"][..]),
            (Some("b"), &["a"]),
            (None, &["b", "a"]),
        ] {
            let error = after(last, names).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.fact("before"), Some("b"));
            assert_eq!(error.fact("found"), names.last().copied());
        }
    }
}
