//! `DELETE` of an object.

use axum::response::{IntoResponse, Response};
use holdall::Delete;
use http::StatusCode;
use http::header::HeaderMap;

use crate::access::Scope;
use crate::call::Call;
use crate::conditions::{Bound, Conditions};
use crate::problem::Problem;
use crate::query::Query;
use crate::target::Target;

/// 204 whether or not it was there: the object is gone. With `must_exist` 404 tells that it was not.
pub(crate) async fn handle(
    call: Call,
    target: Target,
    mut query: Query,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let must_exist = query.flag("must_exist")?;
    query.finish()?;
    let backend = call.backend(Scope::Delete, &target)?;
    let bound = Conditions::of(&request)?
        .bind(&backend, &target.key)
        .await?;
    let mut delete = Delete::new(&*target.key);
    delete.must_exist = must_exist;
    if let Bound::IfMatch(etag) = &bound {
        delete = delete.if_match(etag);
    }
    backend.delete(delete).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
