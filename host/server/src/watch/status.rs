//! `GET /v1/status`: every plugin file with its verdict, every backend with its counters.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;

use crate::call::Call;
use crate::objects::answer::json;
use crate::objects::list;
use crate::problem::Problem;
use crate::target::{Query, Target};

/// A backend may be called `status`: its listing says `?list`, and this says nothing.
pub(crate) async fn status(
    call: Call,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    if query.has("list") {
        let target = Target {
            backend: "status".to_owned(),
            key: String::new(),
        };
        return list::handle(call, target, query, request).await;
    }
    query.finish()?;
    call.access.check_admin()?;
    Ok(json(StatusCode::OK, &call.app.host().status()))
}
