//! Listings as streams: pages until the end.

use std::collections::VecDeque;

use futures_util::stream::{Stream, try_unfold};
use holdall::{Backend, Entry, List, Page};

use crate::failure::{Failure, Result};

/// Most entries of a page.
const PAGE: u32 = 1000;

/// Every page of a listing.
pub(crate) fn pages<'a>(
    backend: &'a Backend,
    prefix: &'a str,
    delimiter: Option<&'a str>,
    limit: Option<u64>,
) -> impl Stream<Item = Result<Page>> + 'a {
    let begin = (Some(None::<String>), limit.unwrap_or(u64::MAX));
    try_unfold(begin, move |(next, left)| async move {
        let Some(token) = next else { return Ok(None) };
        if left == 0 {
            return Ok(None);
        }
        let mut list = List::new(prefix)
            .limit(left.min(PAGE.into()) as u32)
            .page_token(token.as_deref());
        list.delimiter = delimiter;
        let mut page = backend.list(list).await.map_err(Failure::from)?;
        let count = page.entries.len() + page.common_prefixes.len();
        let next = page.next.take().map(Some);
        Ok(Some((page, (next, left.saturating_sub(count as u64)))))
    })
}

/// Every object whose key begins so.
pub(crate) fn entries<'a>(
    backend: &'a Backend,
    prefix: &'a str,
) -> impl Stream<Item = Result<Entry>> + 'a {
    struct State<S> {
        pages: S,
        waiting: VecDeque<Entry>,
    }
    let state = State {
        pages: Box::pin(pages(backend, prefix, None, None)),
        waiting: VecDeque::new(),
    };
    try_unfold(state, |mut state| async move {
        use futures_util::TryStreamExt;
        loop {
            if let Some(entry) = state.waiting.pop_front() {
                return Ok(Some((entry, state)));
            }
            match state.pages.try_next().await? {
                Some(page) => state.waiting = page.entries.into(),
                None => return Ok(None),
            }
        }
    })
}
