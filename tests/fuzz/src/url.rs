//! Texts that clients hand back: page tokens and signed URLs.

use crate::http::{RUNTIME, TEST};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdall::config::{Environment, GatewayConfig, Secrets};
use holdall::gateway::Gateway;
use holdall::{Backend, ErrorKind, List};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;

static BACKEND: LazyLock<Backend> = LazyLock::new(|| RUNTIME.block_on(TEST.backend()).unwrap());

static GATEWAY: LazyLock<Gateway> = LazyLock::new(|| {
    // Random: no input can have been signed with it.
    let secret: String = (0..4)
        .map(|_| format!("{:016x}", RandomState::new().build_hasher().finish()))
        .collect();
    let config = GatewayConfig::new("https://files.example.org/base").key("1", secret);
    Gateway::new(&config, &Environment::none(), &Secrets::new()).unwrap()
});

/// A page token as text, and one with these bytes under a right checksum. A listing or `InvalidArgument`.
pub(crate) fn page_token(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    whole.extend(crc_fast::crc32_iscsi(bytes).to_le_bytes());
    let tokens = [
        String::from_utf8_lossy(bytes).into_owned(),
        URL_SAFE_NO_PAD.encode(whole),
    ];
    for token in tokens {
        let list = List::new("a/").delimiter("/").page_token(Some(&token));
        if let Err(error) = RUNTIME.block_on(BACKEND.list(list)) {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
}

/// Lines: method, URL, then headers `NAME:VALUE`. A forged URL never verifies.
pub(crate) fn signed_url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let (method, url) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let headers: Vec<(String, Vec<u8>)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .collect();
    assert!(GATEWAY.verify(method, url, headers).is_err());
}
