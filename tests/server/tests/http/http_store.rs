//! object_store's `HttpStore` as a client, by the integration functions of its own crate.
//!
//! `HttpStore` takes the path of a listed object for its key and does not remove the path of its own
//! URL, so its store has to be the root of a host: here one backend is mounted there.

use std::net::SocketAddr;

use axum::extract::{OriginalUri, Request};
use holdall_server::{Server, Settings};
use holdall_server_tests::{Served, open};
use object_store::http::HttpBuilder;
use object_store::{ClientOptions, integration};
use tokio::net::TcpListener;
use tower::ServiceExt;

/// A server whose root is the backend `memory` of this one.
async fn at_the_root(server: &Served, settings: Settings) -> SocketAddr {
    let router = Server::new(server.host.clone(), settings).router();
    let service = router.map_request(|mut request: Request| {
        let original = request.uri().clone();
        let target = original.path_and_query().map_or("/", |it| it.as_str());
        *request.uri_mut() = format!("/v1/memory{target}").parse().unwrap();
        request.extensions_mut().insert(OriginalUri(original));
        request
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = tower::make::Shared::new(service);
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn its_integration_functions_pass() {
    let server = Served::start().await;
    let mut settings = open();
    settings.infinite_depth.insert("memory".to_owned());
    let address = at_the_root(&server, settings).await;
    let store = HttpBuilder::new()
        .with_url(format!("http://{address}"))
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .unwrap();
    integration::put_get_delete_list(&store).await;
    integration::list_uses_directories_correctly(&store).await;
    integration::list_with_delimiter(&store).await;
    integration::rename_and_copy(&store).await;
    integration::copy_if_not_exists(&store).await;
    // Something was stored by all of that.
    let status = server.host.status();
    let memory = status
        .backends
        .iter()
        .find(|it| it.name == "memory")
        .unwrap();
    assert!(memory.counters.operations["upload"].calls > 10);
    assert!(memory.counters.operations["copy"].calls > 0);
}
