//! `GET /v1/{backend}?list`: a page of keys.

use axum::response::Response;
use holdall::List;
use http::StatusCode;

use super::answer::{Listing, json};
use crate::call::Call;
use crate::problem::Problem;
use crate::rights::Scope;
use crate::target::{Query, Target};

pub(crate) async fn handle(
    call: Call,
    target: Target,
    mut query: Query,
) -> Result<Response, Problem> {
    if !query.flag("list")? {
        return Err(Problem::invalid(
            "a listing is asked for by ?list, an object by its key",
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
