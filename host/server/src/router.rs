//! Which handler a request goes to.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use holdall::Host;

use crate::access::Rule;
use crate::objects::{batch, copy, delete, form, list, read, write};
use crate::problem::Problem;
use crate::query::Query;
use crate::settings::Settings;
use crate::state::App;
use crate::{call, cors, openapi, signing, watch};

/// The routes under `/v1/`, for a program that has a server of its own. Mount it where you like:
/// `Router::new().nest("/files", holdall_server::router(host))`.
///
/// Whoever reaches the routes may use them: put your own authentication around, or before, them.
/// The `public_url` of `[gateway]` is the address of the mount, `https://example.org/files` here.
pub fn router(host: Host) -> Router {
    let settings = Settings {
        anonymous: Rule::everything(),
        ..Settings::default()
    };
    routes(&App::new(host, settings))
}

pub(crate) fn routes(app: &App) -> Router {
    around(objects(), app)
}

/// The routes of a server of our own, where every other path is ours to answer too.
pub(crate) fn whole(app: &App) -> Router {
    let routes = objects()
        .route("/healthz", get(watch::alive))
        .route("/readyz", get(watch::ready))
        .route("/metrics", get(watch::metrics))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/v1/status", get(watch::status).post(post_to_backend))
        .fallback(async || Problem::no_route());
    around(routes, app)
}

fn objects() -> Router {
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
}

fn around(routes: Router, app: &App) -> Router {
    routes
        .layer(cors::layer(app))
        .layer(from_fn_with_state(app.clone(), call::surround))
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
