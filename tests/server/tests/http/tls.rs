//! HTTPS.

use std::sync::Arc;

use holdall_server::{Rule, Settings};
use holdall_server_tests::Served;
use rcgen::generate_simple_self_signed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Settings as a configuration file has them, with this certificate and key beside it.
fn settings(certificate: &str, key: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), key).unwrap();
    let text = "[server.tls]\ncertificate = \"file:cert.pem\"\nkey = \"file:key.pem\"\n";
    let file = folder.path().join("holdall.toml");
    std::fs::write(&file, text).unwrap();
    let mut sources = holdall::config::Sources::default();
    sources.default_file = Some(file);
    let (config, problems) = holdall::config::Config::read(&sources);
    assert!(problems.is_empty(), "{problems}");
    Settings::of(&config).map_err(|problems| problems.to_string())
}

/// Settings with a certificate of their own, and a client's configuration that trusts it.
pub(crate) fn secured() -> (Settings, ClientConfig) {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut settings = settings(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
    settings.anonymous = Rule::everything();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (settings, config)
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_talks_to_it() {
    let (settings, config) = secured();
    let server = Served::with(settings).await;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = "PUT /v1/memory/a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    stream.write_all(request.as_bytes()).await.unwrap();
    let lowered = server.control.apply(holdall_server_tests::open());
    assert_eq!(lowered.unwrap_err().missing, "tls", "a reload ends no TLS");
    let mut answer = Vec::new();
    // A server may close without the alert that a strict client waits for.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let hsts = "strict-transport-security: max-age=63072000\r\n";
    assert!(answer.contains(hsts), "{answer}");
    assert!(
        server
            .host
            .handle("memory")
            .unwrap()
            .exists("a")
            .await
            .unwrap()
    );

    let plain = server
        .raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(
        !plain.contains("HTTP/1.1 200"),
        "plain HTTP is not answered: {plain}"
    );
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test]
async fn what_is_no_certificate_or_not_its_key_is_reported() {
    let one = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = one.signing_key.serialize_pem();
    let told = settings("nothing", &key).unwrap_err();
    assert!(
        told.contains("server.tls.certificate: expected a chain of certificates in PEM"),
        "{told}"
    );
    let told = settings(&one.cert.pem(), "nothing").unwrap_err();
    assert!(
        told.contains("server.tls.key: expected the private key"),
        "{told}"
    );
    let told = settings(&one.cert.pem(), &other.signing_key.serialize_pem()).unwrap_err();
    assert!(
        told.contains("server.tls.key: expected the private key of the certificate"),
        "{told}"
    );
    assert!(!told.contains("PRIVATE KEY"), "{told}");
}
