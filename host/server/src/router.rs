//! Which handler a request goes to.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use holdall::Host;

use crate::objects::{batch, copy, delete, form, list, read, write};
use crate::problem::Problem;
use crate::query::Query;
use crate::settings::Settings;
use crate::state::App;
use crate::{call, signing};

/// The routes under `/v1/`, for a program that has a server of its own. Mount it where you like:
/// `Router::new().nest("/files", holdall_server::router(host))`.
///
/// Whoever reaches the routes may use them: put your own authentication around, or before, them.
/// The `public_url` of `[gateway]` is the address of the mount, `https://example.org/files` here.
pub fn router(host: Host) -> Router {
    routes(&App::new(host, Settings::default()))
}

pub(crate) fn routes(app: &App) -> Router {
    let backend = get(list::handle).post(post_to_backend);
    Router::new()
        .route("/v1/{backend}", backend.clone())
        .route("/v1/{backend}/", backend)
        .route(
            "/v1/{backend}/{*key}",
            get(read::get)
                .head(read::head)
                .put(put)
                .delete(delete::handle)
                .post(signing::handle),
        )
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(app.clone(), call::surround))
}

/// The routes of a server of our own, where every other path is ours to answer too.
pub(crate) fn whole(app: &App) -> Router {
    let nowhere = Router::new()
        .fallback(async || Problem::no_route())
        .layer(from_fn_with_state(app.clone(), call::surround));
    routes(app).merge(nowhere)
}

async fn put(
    call: call::Call,
    target: crate::target::Target,
    query: Query,
    headers: http::HeaderMap,
    body: axum::body::Body,
) -> Result<axum::response::Response, Problem> {
    match query.has("copy_from") {
        true => copy::handle(call, target, query, headers, body).await,
        false => write::handle(call, target, query, headers, body).await,
    }
}

async fn post_to_backend(
    call: call::Call,
    target: crate::target::Target,
    query: Query,
    headers: http::HeaderMap,
    body: axum::body::Body,
) -> Result<axum::response::Response, Problem> {
    match query.has("delete") {
        true => batch::handle(call, target, query, body).await,
        false => form::handle(call, target, query, headers, body).await,
    }
}
