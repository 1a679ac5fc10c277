//! A server whose certificate is that of a certificate authority, as `openssl req -x509` makes it.

use crate::rig::{Ask, Loaded, SECRET, asked};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::json;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

#[tokio::test]
async fn a_ca_file_that_is_the_servers_own_certificate_is_explained() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let made = params.self_signed(&key).unwrap();
    let tls = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, made.pem()).unwrap();
    let s3 = json!({
        "bucket": "bucket",
        "endpoint": format!("https://localhost:{port}"),
        "access_key_id": "id",
        "secret_access_key": SECRET,
        "ca_file": ca_file,
        "retries": 1,
    });
    let webdav = json!({
        "url": format!("https://localhost:{port}/dav/"),
        "password": SECRET,
        "username": "user",
        "ca_file": ca_file,
        "create": false,
        "probe": false,
    });
    for (plugin, config) in [("s3", s3), ("webdav", webdav)] {
        let loaded = Loaded::new(plugin);
        let ended = match loaded.open("tls", config).await {
            Ok(backend) => asked(&backend, Ask::Get).await.map(drop),
            Err(error) => Err(error),
        };
        let error = ended.unwrap_err();
        let text = format!("{error}");
        assert!(
            text.contains("certificate authority"),
            "{plugin}: {error:?}"
        );
        assert!(text.contains("CA:FALSE"), "{plugin}: {error:?}");
    }
}
