//! Which handler a request goes to.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get};
use holdall::Host;

use crate::call::{Query, Target};
use crate::objects::{batch, delete, form, list, read, webdav, write};
use crate::problem::Problem;
use crate::rights::Rule;
use crate::settings::Settings;
use crate::state::App;
use crate::{call, openapi, signing, watch};

/// Answered even when no place is free.
pub(crate) const HEALTH: &str = "/healthz";

/// The routes under `/v1/`, for a program that has a server of its own. Mount it where you like:
/// `Router::new().nest("/files", holdall_server::router(host))`.
///
/// Every client that reaches the routes may use them: put your own authentication around, or before, them.
/// The `public_url` of `[gateway]` is the address of the mount, `https://example.org/files` here.
pub fn router(host: Host) -> Router {
    let settings = Settings {
        anonymous: Rule::everything(),
        ..Settings::default()
    };
    routes(&App::new(host, settings))
}

pub(crate) fn routes(app: &App) -> Router {
    around(of(objects()), app)
}

/// The routes of a server of our own, where every other path is ours to answer too.
pub(crate) fn whole(app: &App) -> Router {
    let routes = of(objects().into_iter().chain(operations()));
    around(routes.fallback(async || Problem::no_route()), app)
}

/// What is done with objects. A test of `openapi` holds the paths against the document.
pub(crate) fn objects() -> [(&'static str, MethodRouter); 3] {
    let backend = get(list::handle)
        .post(post_to_backend)
        .fallback(webdav::handle);
    let object = get(read::get)
        .head(read::head)
        .put(write::handle)
        .delete(delete::handle)
        .post(signing::handle)
        .fallback(webdav::handle);
    [
        ("/v1/{backend}", backend.clone()),
        ("/v1/{backend}/", backend),
        ("/v1/{backend}/{*key}", object),
    ]
}

/// What operators and their tools ask for.
pub(crate) fn operations() -> [(&'static str, MethodRouter); 5] {
    [
        (HEALTH, get(watch::alive)),
        ("/readyz", get(watch::ready)),
        ("/metrics", get(watch::metrics)),
        ("/v1/openapi.json", get(openapi::document)),
        ("/v1/status", get(watch::status).post(post_to_backend)),
    ]
}

fn of(routes: impl IntoIterator<Item = (&'static str, MethodRouter)>) -> Router {
    let add = |router: Router, (path, methods)| router.route(path, methods);
    let router = routes.into_iter().fold(Router::new(), add);
    router.method_not_allowed_fallback(async || Problem::method_not_allowed())
}

fn around(routes: Router, app: &App) -> Router {
    routes
        .layer(from_fn_with_state(app.clone(), call::surround))
        // No state of axum's own: said here once, or it makes every route anew for every request.
        .with_state(())
}

async fn post_to_backend(
    call: call::Call,
    target: Target,
    query: Query,
    headers: http::HeaderMap,
    body: axum::body::Body,
) -> Result<axum::response::Response, Problem> {
    match query.has("delete") {
        true => batch::handle(call, target, query, headers, body).await,
        false => form::handle(call, target, query, headers, body).await,
    }
}
