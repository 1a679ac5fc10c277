//! Listings as streams: pages until the end.

use std::collections::VecDeque;

use futures_util::stream::{Stream, try_unfold};
use holdall::{Backend, Entry, List, Page};

use crate::exit;
use crate::failure::{Failure, Result};

/// Most entries of a page.
const PAGE: u32 = 1000;

/// Most names that are shown of those that are left out.
const NAMED: usize = 20;

fn left_out(count: u64, names: &[String]) -> Failure {
    let shown: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    let names = match shown.len() as u64 {
        0 => String::new(),
        shown_count if shown_count < count => format!(", among them {}", shown.join(", ")),
        _ => format!(": {}", shown.join(", ")),
    };
    Failure::refused(
        exit::BAD_INPUT,
        "names_left_out",
        format!("{count} names below that cannot be keys are left out{names}"),
        "rename or remove them with another tool of the store, or set key_policy = \"opaque\" where the store allows it",
    )
}

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

/// Every object whose key begins so. Names that cannot be keys are counted, and are a failure at the
/// end of the stream.
pub(crate) fn entries<'a>(
    backend: &'a Backend,
    prefix: &'a str,
) -> impl Stream<Item = Result<Entry>> + 'a {
    struct State<S> {
        pages: S,
        waiting: VecDeque<Entry>,
        skipped: u64,
        names: Vec<String>,
    }
    let state = State {
        pages: Box::pin(pages(backend, prefix, None, None)),
        waiting: VecDeque::new(),
        skipped: 0,
        names: Vec::new(),
    };
    try_unfold(state, |mut state| async move {
        use futures_util::TryStreamExt;
        loop {
            if let Some(entry) = state.waiting.pop_front() {
                return Ok(Some((entry, state)));
            }
            match state.pages.try_next().await? {
                Some(page) => {
                    state.skipped += page.skipped;
                    let room = NAMED.saturating_sub(state.names.len());
                    let names = page.skipped_keys.into_iter().take(room);
                    state.names.extend(names);
                    state.waiting = page.entries.into();
                }
                None if state.skipped > 0 => return Err(left_out(state.skipped, &state.names)),
                None => return Ok(None),
            }
        }
    })
}
