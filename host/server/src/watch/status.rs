//! `GET /v1/status`: every plugin file with its verdict, every backend with its counters.

use axum::extract::Request;
use axum::response::Response;
use holdall::Status;
use http::StatusCode;
use serde::Serialize;

use super::LastReload;
use crate::call::{Call, Query, Target};
use crate::objects::answer::json;
use crate::objects::list;
use crate::problem::Problem;

/// The host, and what the server adds.
#[derive(Serialize)]
struct ServerStatus {
    #[serde(flatten)]
    host: Status,
    last_reload: LastReload,
}

/// A backend may be called `status`: its listing says `?list` and its usage `?quota`, and this says nothing.
pub(crate) async fn status(
    call: Call,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    if query.has("list") || query.has("quota") {
        let target = Target {
            backend: "status".to_owned(),
            key: String::new(),
        };
        return list::handle(call, target, query, request).await;
    }
    query.finish()?;
    call.access.check_admin()?;
    let status = ServerStatus {
        host: call.app.host().status(),
        last_reload: call.app.requests().last_reload(),
    };
    Ok(json(StatusCode::OK, &status))
}
