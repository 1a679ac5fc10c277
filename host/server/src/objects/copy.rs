//! `PUT ...?copy_from=KEY`: a copy inside the backend.

use axum::body::Body;
use axum::response::Response;
use holdall::CopyObject;
use http::StatusCode;
use http::header::HeaderMap;
use http_body::Body as _;

use super::answer::{Stored, stored};
use crate::call::{Call, Query, Target};
use crate::conditions::{Bound, Conditions};
use crate::headers::Facts;
use crate::problem::Problem;
use crate::rights::Scope;

pub(crate) async fn handle(
    call: Call,
    target: Target,
    mut query: Query,
    request: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let from = query.take("copy_from").unwrap_or_default();
    query.finish()?;
    call.may(Scope::Read, &target.backend, &from)?;
    let backend = call.backend(Scope::Write, &target)?;
    if !body.is_end_stream() || !Facts::of(&request)?.is_empty() {
        return Err(Problem::invalid(
            "a copy has neither a body nor headers of its own: all comes from the source",
        ));
    }
    let copy = CopyObject::new(&*from, &*target.key);
    let bound = Conditions::of(&request)?
        .bind(&backend, &target.key, false)
        .await?;
    let copy = match &bound {
        Bound::Nothing => copy,
        Bound::CreateOnly => copy.create_only(),
        Bound::IfMatch(etag) => copy.if_match(etag),
    };
    let status = match copy.create_only {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let copied = backend.copy(copy).await?;
    Ok(stored(status, Stored::copied(&target.key, copied)))
}
