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
    let mut copy = CopyObject::new(&*from, &*target.key);
    match Conditions::of(&request)?
        .bind(&backend, &target.key, false)
        .await?
    {
        Bound::Nothing => {}
        Bound::CreateOnly => copy = copy.create_only(),
        // No backend can bind a copy to the target's etag, and to drop it would be a lie.
        Bound::IfMatch(_) => {
            return Err(Problem::invalid(
                "a copy takes no condition but If-None-Match: *",
            ));
        }
    }
    let copied = backend.copy(copy).await?;
    let status = match copy.create_only {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok(stored(status, Stored::copied(&target.key, copied)))
}
