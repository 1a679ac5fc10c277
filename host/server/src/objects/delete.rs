//! `DELETE` of an object.

use axum::response::{IntoResponse, Response};
use holdall::{Delete, Error};
use http::StatusCode;
use http::header::HeaderMap;

use crate::call::{Call, Query, Target};
use crate::conditions::{Bound, Conditions};
use crate::problem::Problem;
use crate::rights::Scope;

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
    let conditions = Conditions::of(&request)?;
    let bound = conditions
        .bind(&backend, &target.key, conditions.want_absence())
        .await?;
    let mut delete = Delete::new(&*target.key);
    delete.must_exist = must_exist;
    match &bound {
        Bound::Nothing => {}
        Bound::IfMatch(etag) => delete = delete.if_match(etag),
        // It is absent, as the request demands: nothing is deleted, also if it is created now.
        Bound::CreateOnly if must_exist => return Err(Error::not_found().into()),
        Bound::CreateOnly => return Ok(StatusCode::NO_CONTENT.into_response()),
    }
    backend.delete(delete).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
