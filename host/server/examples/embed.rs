//! Storage in an application's own server: the routes below a path of an application that has its own
//! routes, its own authentication and its own way of serving.
//!
//! `cargo run -p holdall-server --example embed -- PLUGIN_DIR [ADDRESS]`, then
//! `curl -u :sesame -T photo.jpg http://127.0.0.1:3000/files/v1/local/photo.jpg`

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use holdall::{Host, Registration};
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
    let mut args = std::env::args().skip(1);
    let plugins = args.next().unwrap_or("plugins".to_owned());
    let address = args.next().unwrap_or("127.0.0.1:3000".to_owned());
    let host = Host::builder().plugin_dir(plugins).build()?;
    let local = Registration::new("local").config(serde_json::json!({ "root": "data" }));
    host.register("local", local)?;
    let files = holdall_server::router(host).layer(from_fn(members_only));
    let app = Router::new()
        .route("/", get(async || "the application's own page"))
        .nest("/files", files);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
