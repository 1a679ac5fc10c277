//! An upload form in an application with a server of its own. What a browser sends goes into a
//! backend as it comes, never whole in memory, and is shown by signed URLs: by the store's own where
//! it signs, else by the gateway's, which the routes under `/files` answer, and nothing else.
//!
//! `cargo run -p holdall-server --example upload_form -- PLUGIN_DIR [ADDRESS]`, then <http://127.0.0.1:3000/>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::TryStreamExt;
use holdall::config::{Config, GatewayConfig};
use holdall::{Backend, Body, Error, ErrorKind, Host, List, Method, Registration, SignUrl, Upload};
use holdall_server::{Server, Settings};
use http::StatusCode;

/// Largest photograph, in bytes.
const MOST_BYTES: u64 = 20 << 20;
const FORM: &str = r#"<form method="post" enctype="multipart/form-data">
  <input type="file" name="photo" accept="image/jpeg,image/png,image/webp" required>
  <button>Upload</button>
</form>"#;

/// The application: its own page, and the files that its signed URLs lead to.
fn app(host: &Host, photos: Backend) -> Router {
    // Settings without tokens and without anonymous rights: a request without a signed URL gets nothing.
    let files = Server::new(host.clone(), Settings::default()).router();
    Router::new()
        .route("/", get(page).post(upload))
        // Axum's limit is for bodies in memory. This one is a stream, and each upload has its own bound.
        .layer(DefaultBodyLimit::disable())
        .with_state(photos)
        .nest("/files", files)
}

async fn page(State(photos): State<Backend>) -> Result<Html<String>, Failed> {
    let mut html = format!("<!doctype html><title>Photos</title>{FORM}");
    for photo in photos.list(List::new("photos/").limit(50)).await?.entries {
        let sign = SignUrl::new(Method::Get, &*photo.key, Duration::from_secs(300));
        let url = photos.signed_url(sign).await?.url.replace('&', "&amp;");
        html += &format!("<p><img src=\"{url}\" width=\"320\" alt=\"\"></p>");
    }
    Ok(Html(html))
}

async fn upload(State(photos): State<Backend>, request: Request) -> Result<Redirect, Failed> {
    let (head, body) = request.into_parts();
    let form = head.headers.get(http::header::CONTENT_TYPE);
    let boundary = multer::parse_boundary(form.and_then(|it| it.to_str().ok()).unwrap_or_default());
    let boundary = boundary.map_err(|why| Error::invalid("this is no form").because(why))?;
    let mut form = multer::Multipart::new(body.into_data_stream(), boundary);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        // The browser's name and type are the user's word: neither becomes a key or a page of ours.
        let content_type = match field.content_type().map(AsRef::as_ref) {
            Some(known @ ("image/jpeg" | "image/png" | "image/webp")) => known.to_owned(),
            _ => return Err(Error::invalid("JPEG, PNG and WebP are photographs here").into()),
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let key = format!("photos/{}", now.as_nanos());
        let body = Body::stream(field.map_err(broken));
        let upload = Upload::new(&*key, body)
            .content_type(&content_type)
            .max_size(MOST_BYTES);
        // A form that breaks off stores nothing of this file.
        photos.upload(upload.create_only()).await?;
    }
    Ok(Redirect::to("/"))
}

fn broken(why: multer::Error) -> Error {
    Error::new(ErrorKind::Cancelled)
        .with_message("the form does not come to its end")
        .because(why)
}

/// An error as the application shows it: the kind's status, and words only where it is the user's own.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind().status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match status.is_client_error() {
            true => (status, self.0.message().to_owned()).into_response(),
            false => {
                eprintln!("{}", self.0);
                status.into_response()
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let plugins = args.next().unwrap_or("plugins".to_owned());
    let address = args.next().unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    // A real application takes the key from its secrets: it must outlive a restart.
    let gateway = GatewayConfig::new(format!("{url}files"));
    let mut config = Config::default();
    config.gateway = Some(gateway.key("example", "no secret, because everybody can read it"));
    let host = Host::builder().config(config).plugin_dir(plugins).build()?;
    let photos = Registration::new("local").config(serde_json::json!({ "root": "data" }));
    host.register("photos", photos)?;
    let app = app(&host, host.backend("photos").await?);
    println!("{url}");
    Ok(axum::serve(listener, app).await?)
}
