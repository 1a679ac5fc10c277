//! The promises of signed URLs, as far as they need no backend and no network. Numbers such as
//! `l_03` are those of the conformance kit's cases.

mod alteration;
mod limits;
mod signing_keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use holdall_plugin_api::{ErrorKind, Method, SignUrl};

use super::{Gateway, Grant, MAX_LIFE, Refused};
use crate::config::{Environment, GatewayConfig, Secrets};

const SECRET: &str = "correct horse battery staple";
const END: u64 = 1_767_225_600;
const NONE: [(&str, &str); 0] = [];

/// A clock that stands still until it is set, in milliseconds since 1970.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

fn gateway_of(config: &GatewayConfig) -> (Gateway, Clock) {
    let clock = Clock(Arc::new(AtomicU64::new((END - 900) * 1000)));
    let time = clock.clone();
    let gateway = Gateway::new(config, &Environment::none(), &Secrets::new())
        .unwrap_or_else(|problems| panic!("{problems}"))
        .with_clock(move || UNIX_EPOCH + Duration::from_millis(time.0.load(Ordering::Relaxed)));
    (gateway, clock)
}

fn gateway() -> (Gateway, Clock) {
    gateway_of(&GatewayConfig::new("https://files.example.org").key("2026-01", SECRET))
}

fn request(method: Method, key: &str) -> SignUrl<'_> {
    SignUrl::new(method, key, Duration::from_secs(900))
}

/// A PUT with every constraint that one can have.
fn put(key: &str) -> SignUrl<'_> {
    let mut sign = request(Method::Put, key);
    sign.content_type = Some("text/plain; charset=utf-8");
    sign.max_size = Some(1_048_576);
    sign.checksums.crc32c = Some(0xe306_9283);
    sign.checksums.md5 = Some([
        0x25, 0xf9, 0xe7, 0x94, 0x32, 0x3b, 0x45, 0x38, 0x85, 0xf5, 0x18, 0x1f, 0x1b, 0x62, 0x4d,
        0x0b,
    ]);
    sign.checksums.sha256 = Some([
        0x15, 0xe2, 0xb0, 0xd3, 0xc3, 0x38, 0x91, 0xeb, 0xb0, 0xf1, 0xef, 0x60, 0x9e, 0xc4, 0x19,
        0x42, 0x0c, 0x20, 0xe3, 0x20, 0xce, 0x94, 0xc6, 0x5f, 0xbc, 0x8c, 0x33, 0x12, 0x44, 0x8e,
        0xb2, 0x25,
    ]);
    sign
}

const PUT_HEADERS: [(&str, &str); 1] = [("Content-Type", "text/plain; charset=utf-8")];

fn get(key: &str) -> SignUrl<'_> {
    let mut sign = request(Method::Get, key);
    sign.download_name = Some("größe \"1\".png");
    sign.response_content_type = Some("image/png");
    sign
}

fn kind_of(gateway: &Gateway, sign: &SignUrl<'_>) -> Result<String, ErrorKind> {
    gateway
        .sign("avatars", sign)
        .map(|signed| signed.url)
        .map_err(|error| error.kind())
}

/// Made with Python's `hmac`, `hashlib`, `base64` and `urllib.parse.quote(s, safe="-._~")`, from
/// the description in this module's documentation alone.
#[test]
fn test_vectors() {
    let (gateway, _) = gateway();
    for (backend, sign, target) in [
        (
            "avatars",
            request(Method::Get, "u/7 é.png"),
            "/v1/avatars/u/7%20%C3%A9.png?hd-v=1&hd-m=GET&hd-exp=1767225600&hd-kid=2026-01&hd-sig=rounxb8ckZxoeTlCG3u6ACcIZedI7cl6UfKjZ7aZiYY",
        ),
        (
            "avatars",
            get("u/7 é.png"),
            "/v1/avatars/u/7%20%C3%A9.png?hd-v=1&hd-m=GET&hd-exp=1767225600&hd-kid=2026-01&hd-name=gr%C3%B6%C3%9Fe%20%221%22.png&hd-rct=image%2Fpng&hd-sig=gJRDCmA7l_h_WfvkX_5bYfwAPEH0IAyj3Ea37eWBW9Q",
        ),
        (
            "a-b",
            put("a%2Fb+c&d=e?f#g"),
            "/v1/a-b/a%252Fb%2Bc%26d%3De%3Ff%23g?hd-v=1&hd-m=PUT&hd-exp=1767225600&hd-kid=2026-01&hd-ct=text%2Fplain%3B%20charset%3Dutf-8&hd-max=1048576&hd-crc32c=e3069283&hd-md5=25f9e794323b453885f5181f1b624d0b&hd-sha256=15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225&hd-sig=SrQc8FYJ3Vwgyu4Nrpp6Hci0ZmHzrDr6RSuV0N1u8gI",
        ),
        (
            "avatars",
            request(Method::Delete, "u/7 é.png"),
            "/v1/avatars/u/7%20%C3%A9.png?hd-v=1&hd-m=DELETE&hd-exp=1767225600&hd-kid=2026-01&hd-sig=hrXDE4h0tzZkHVZC3txWg0_fel3bRCBcyf91VOVL4Qg",
        ),
        (
            "avatars",
            request(Method::Head, "u/7 é.png"),
            "/v1/avatars/u/7%20%C3%A9.png?hd-v=1&hd-m=HEAD&hd-exp=1767225600&hd-kid=2026-01&hd-sig=mIvNifslk7b2d9x5wdJaY9MAAFK8_UpC7yBBJ602CF0",
        ),
    ] {
        let signed = gateway.sign(backend, &sign).unwrap();
        assert_eq!(signed.url, format!("https://files.example.org{target}"));
        assert_eq!(signed.expires_at, UNIX_EPOCH + Duration::from_secs(END));
        let headers: &[(&str, &str)] = if sign.method == Method::Put {
            &PUT_HEADERS
        } else {
            &[]
        };
        let grant = gateway
            .verify(sign.method.name(), target, headers.iter().copied())
            .unwrap();
        assert_eq!((&*grant.backend, &*grant.key), (backend, sign.key.text()));
    }
}

#[test]
fn a_grant_has_everything_that_was_bound() {
    let (gateway, _) = gateway();
    let sign = put("k");
    let signed = gateway.sign("avatars", &sign).unwrap();
    assert_eq!(
        signed.headers,
        [("content-type".to_owned(), PUT_HEADERS[0].1.to_owned())]
    );
    let grant = gateway.verify("PUT", &signed.url, PUT_HEADERS).unwrap();
    let Grant {
        method,
        expires_at,
        key_id,
        content_type,
        max_size,
        checksums,
        ..
    } = &grant;
    assert_eq!(
        (*method, &**key_id, *expires_at),
        (Method::Put, "2026-01", signed.expires_at)
    );
    assert_eq!(content_type.as_deref(), sign.content_type);
    assert_eq!((*max_size, *checksums), (sign.max_size, sign.checksums));
    assert_eq!(grant.content_disposition(), None);

    let url = gateway.sign("avatars", &get("k")).unwrap().url;
    let grant = gateway.verify("GET", &url, NONE).unwrap();
    assert_eq!(grant.response_content_type.as_deref(), Some("image/png"));
    assert_eq!(grant.download_name.as_deref(), Some("größe \"1\".png"));
}

#[test]
fn l_13_nothing_is_looked_up() {
    let (gateway, _) = gateway();
    assert!(
        gateway
            .sign("no-such-backend", &request(Method::Get, "no/such/key"))
            .is_ok()
    );
}

#[test]
fn l_14_keys_come_back_byte_for_byte() {
    let (gateway, _) = gateway();
    let longest = format!("{}/{}", "é".repeat(127), "x".repeat(255));
    let mut keys: Vec<String> = [
        "a",
        "a/b/c/d/e/f/g/h/i/j",
        "a b",
        "a%2Fb",
        "a%20b",
        "%25",
        "test%46.txt",
        "a+b",
        "a&b=c",
        "a?b#c",
        "é",
        "e\u{301}",
        "😀",
        "שלום",
        "a\u{200b}b",
        "File",
        "file",
        "...",
        ".hidden",
        "a..b",
        "x/.y",
        "~x",
        "hd-sig=x",
        "a&hd-sig=b",
        "v1/x",
        "://",
        "\\",
        "\u{1}",
        "/lead",
        "a//b",
        "trail/",
        &longest,
    ]
    .map(str::to_owned)
    .to_vec();
    keys.extend(
        (b'!'..=b'~')
            .map(char::from)
            .filter(|c| !"./".contains(*c))
            .map(|c| c.to_string()),
    );
    for base in [
        "https://files.example.org",
        "http://127.0.0.1:8080",
        "https://h.example/some/base/",
    ] {
        let (gateway, _) = gateway_of(&GatewayConfig::new(base).key("a", SECRET));
        for key in &keys {
            let url = gateway
                .sign("avatars", &request(Method::Get, key))
                .unwrap()
                .url;
            let target = url.splitn(4, '/').nth(3).unwrap();
            let stripped = target.strip_prefix("some/base/").unwrap_or(target);
            for url in [&url, &format!("/{target}"), &format!("/{stripped}")] {
                let grant = gateway
                    .verify("GET", url, NONE)
                    .unwrap_or_else(|_| panic!("{url}"));
                assert_eq!(&grant.key, key, "{url}");
            }
        }
    }
    for (key, kind) in [
        ("", ErrorKind::InvalidKey),
        (".", ErrorKind::Unsupported),
        ("a/../b", ErrorKind::Unsupported),
    ] {
        assert_eq!(
            kind_of(&gateway, &request(Method::Get, key)),
            Err(kind),
            "{key:?}"
        );
    }
    for backend in ["", "A", "a/b", "-a", "a_b", "é"] {
        let error = gateway
            .sign(backend, &request(Method::Get, "k"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{backend:?}");
    }
}
