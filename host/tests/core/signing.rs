//! Who signs a URL: the store when it can bind everything, else the gateway.

use crate::plugin::{Act, Switches};
use crate::{probe, store};
use holdall::config::{Config, GatewayConfig};
use holdall::{Backend, ErrorKind, Host, Method, SignUrl};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const LIFE: Duration = Duration::from_secs(60);

async fn with_gateway() -> (Host, Backend, Arc<Switches>) {
    let mut config = Config::default();
    let gateway = GatewayConfig::new("https://files.example").key("1", "a secret of 16 or more");
    config.gateway = Some(gateway);
    let host = Host::builder()
        .built_in(&crate::plugin::probe::PLUGIN)
        .config(config)
        .build()
        .unwrap();
    let switches = Switches::new();
    host.register("store", probe(&switches)).unwrap();
    let backend = host.backend("store").await.unwrap();
    (host, backend, switches)
}

#[tokio::test]
async fn the_store_signs_what_it_can_bind_and_the_gateway_the_rest() {
    let (host, backend, switches) = with_gateway().await;
    let get = || SignUrl::new(Method::Get, "a/b", LIFE);
    let native = backend.signed_url(get()).await.unwrap();
    assert!(
        native.url.starts_with("https://store.example/"),
        "{native:?}"
    );
    let mut named = get();
    named.download_name = Some("c.txt");
    for sign in [named, SignUrl::new(Method::Put, "a/b", LIFE)] {
        let signed = backend.signed_url(sign.clone()).await.unwrap();
        assert!(
            signed
                .url
                .starts_with("https://files.example/v1/store/a/b?"),
            "{signed:?}"
        );
        assert!(signed.expires_at <= SystemTime::now() + LIFE);
        let grant = host
            .gateway()
            .verify(sign.method.name(), &signed.url, [("host", "files.example")])
            .unwrap();
        assert_eq!((&*grant.backend, &*grant.key), ("store", "a/b"));
    }
    switches.on("signed_url", Act::Lie("at gateway"));
    let signed = backend.signed_url(get()).await.unwrap();
    assert!(signed.url.starts_with("https://files.example/"));
}

#[tokio::test]
async fn without_a_key_the_error_says_what_to_add() {
    let (_host, backend, _) = store().await;
    let put = SignUrl::new(Method::Put, "k", LIFE);
    let error = backend.signed_url(put).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(error.fact("fix").unwrap().contains("[gateway]"));
}

#[tokio::test]
async fn life_existence_and_lies() {
    let (_host, backend, switches) = store().await;
    for life in [Duration::ZERO, Duration::from_secs(7 * 86_400 + 1)] {
        let error = backend
            .signed_url(SignUrl::new(Method::Get, "k", life))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    let mut sign = SignUrl::new(Method::Get, "k", LIFE);
    backend.signed_url(sign.clone()).await.unwrap();
    sign.must_exist = true;
    let error = backend.signed_url(sign.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileNotFound);
    switches.put("k", "x");
    backend.signed_url(sign.clone()).await.unwrap();
    switches.on("signed_url", Act::Lie("long"));
    let error = backend.signed_url(sign).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
}
