//! `GET /v1/{backend}?list`: a page of keys.

use axum::extract::Request;
use axum::response::Response;
use futures_util::stream;
use holdall::{Backend, List, Page};
use http::StatusCode;

use super::answer::{Listing, json};
use super::webdav::original_path;
use super::{index, quota};
use crate::call::{Call, Query, Target};
use crate::problem::Problem;
use crate::rights::Scope;

pub(crate) async fn handle(
    call: Call,
    target: Target,
    mut query: Query,
    request: Request,
) -> Result<Response, Problem> {
    if index::is_asked(&call, &target, &query) {
        let (request, _) = request.into_parts();
        let path = original_path(&request);
        return index::handle(&call, &target, path, &request.headers).await;
    }
    if target.key.is_empty() && query.flag("quota")? {
        return quota::handle(call, target, query).await;
    }
    if !query.flag("list")? {
        return Err(Problem::invalid(
            "a listing is asked for by ?list, usage by ?quota, an object by its key",
        ));
    }
    let prefix = query.take("prefix").unwrap_or_default();
    let delimiter = query.take("delimiter");
    let limit = query.take("limit");
    let page_token = query.take("page_token");
    let start_after = query.take("start_after");
    query.finish()?;
    call.may(Scope::List, &target.backend, &prefix)?;
    let backend = call.backend_named(&target.backend)?;
    let mut list = List::new(&prefix).page_token(page_token.as_deref());
    list.delimiter = delimiter.as_deref();
    list.start_after = start_after.as_deref();
    if let Some(limit) = limit {
        let wrong =
            || Problem::invalid(format!("limit is a number from 1 to 1000, found {limit:?}"));
        list = list.limit(limit.parse().map_err(|_| wrong())?);
    }
    let page = backend.list(list).await?;
    Ok(json(StatusCode::OK, &Listing::from(page)))
}

/// All pages below a prefix; with `folded`, what goes on behind the next `/` is one common prefix.
pub(super) fn pages(
    backend: Backend,
    prefix: String,
    folded: bool,
) -> impl futures_core::Stream<Item = holdall::Result<Page>> + Send + use<> {
    stream::try_unfold(Some(None), move |token: Option<Option<String>>| {
        let (backend, prefix) = (backend.clone(), prefix.clone());
        async move {
            let Some(token) = token else { return Ok(None) };
            let mut list = List::new(&prefix).page_token(token.as_deref());
            list.delimiter = folded.then_some("/");
            let page = backend.list(list).await?;
            let next = page.next.clone().map(Some);
            Ok(Some((page, next)))
        }
    })
}
