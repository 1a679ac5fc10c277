//! HTTPS, by rustls.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key, ready to serve with. TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// The key of the configuration that is wrong, what was expected there, and what was found.
pub(crate) type Wrong = (&'static str, &'static str, String);

impl Tls {
    /// The name of HTTP/2 in a handshake.
    pub(crate) const HTTP2: &[u8] = b"h2";

    /// From PEM: the chain with the server's own certificate first, and its private key.
    pub(crate) fn from_pem(certificate: &str, key: &str) -> Result<Self, Wrong> {
        const CHAIN: &str = "a chain of certificates in PEM, the server's own first";
        const KEY: &str = "the private key of the certificate, in PEM";
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| ("certificate", CHAIN, why.to_string()))?;
        if chain.is_empty() {
            return Err(("certificate", CHAIN, "no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|why| ("key", KEY, why.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|why| ("certificate", CHAIN, why.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|why| ("key", KEY, why.to_string()))?;
        config.alpn_protocols = vec![Self::HTTP2.to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.clone())
    }
}

/// Equal when they are one and the same.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
