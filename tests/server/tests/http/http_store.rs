//! object_store's `HttpStore` as a client, by the integration functions of its own crate.
//!
//! `HttpStore` takes the path of a listed object for its key and does not remove the path of its own
//! URL. So its URL is that of the server, and its own `PrefixStore` has the path of the backend.

use holdall_server_tests::{Served, open};
use object_store::http::HttpBuilder;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, integration};

#[tokio::test(flavor = "multi_thread")]
async fn its_integration_functions_pass() {
    let mut settings = open();
    let backends = ["memory", "local"];
    settings.infinite_depth = backends.iter().map(|&name| name.to_owned()).collect();
    let server = Served::with(settings).await;
    for backend in backends {
        let whole = HttpBuilder::new()
            .with_url(format!("http://{}", server.address))
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build()
            .unwrap();
        let store = PrefixStore::new(whole, format!("v1/{backend}"));
        integration::put_get_delete_list(&store).await;
        integration::list_uses_directories_correctly(&store).await;
        integration::list_with_delimiter(&store).await;
        integration::rename_and_copy(&store).await;
        integration::copy_if_not_exists(&store).await;
        // All of that reached this backend.
        let status = server.host.status();
        let mut all = status.backends.iter();
        let operations = &all
            .find(|it| it.name == backend)
            .unwrap()
            .counters
            .operations;
        assert!(operations["upload"].calls > 10);
        assert!(operations["copy"].calls > 0);
    }
}
