//! Storage in an application's own server: the routes below a path of an application that has its own
//! routes, its own authentication and its own way of serving.
//!
//! `cargo run -p holdall-server --example embed -- PLUGIN_DIR`, then
//! `curl -u :sesame -T photo.jpg http://127.0.0.1:3000/files/v1/local/photo.jpg`

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use holdall::Host;
use http::StatusCode;
use http::header::AUTHORIZATION;

async fn members_only(request: Request, next: Next) -> Response {
    // base64 of ":sesame". A real application looks at its session here.
    let known = request.headers().get(AUTHORIZATION);
    match known.is_some_and(|value| value == "Basic OnNlc2FtZQ==") {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugins = std::env::args().nth(1).unwrap_or("plugins".to_owned());
    let host = Host::builder().plugin_dir(plugins).build()?;
    let files = holdall_server::router(host).layer(from_fn(members_only));
    let app = Router::new()
        .route("/", get(async || "the application's own page"))
        .nest("/files", files);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app).await?)
}
