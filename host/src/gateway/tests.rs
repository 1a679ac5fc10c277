//! The promises of signed URLs, as far as they need no backend and no network. Numbers such as
//! `l_03` are those of the conformance kit's cases.

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
fn l_03_only_the_signed_method_and_head_for_get() {
    let (gateway, _) = gateway();
    let methods = [Method::Get, Method::Put, Method::Head, Method::Delete];
    for signed in methods {
        let url = gateway.sign("avatars", &request(signed, "k")).unwrap().url;
        for used in methods {
            let answer = gateway.verify(used.name(), &url, NONE);
            assert_eq!(
                answer.is_ok(),
                used == signed || (signed, used) == (Method::Get, Method::Head),
                "{signed:?} used for {used:?}"
            );
        }
        for used in ["", "get", "POST", "PATCH", "OPTIONS", "GET "] {
            assert_eq!(gateway.verify(used, &url, NONE), Err(Refused));
        }
    }
}

#[test]
fn l_04_every_changed_byte_is_refused() {
    let (gateway, _) = gateway();
    for (sign, headers) in [
        (get("u/7 é.png"), &[][..]),
        (put("u/7 é.png"), &PUT_HEADERS[..]),
    ] {
        let url = gateway.sign("avatars", &sign).unwrap().url;
        let target = url.strip_prefix("https://files.example.org").unwrap();
        let verify =
            |target: &str| gateway.verify(sign.method.name(), target, headers.iter().copied());
        assert!(verify(target).is_ok());
        for at in 0..target.len() {
            let (before, after) = (&target[..at], &target[at..]);
            assert_eq!(verify(before), Err(Refused), "cut at {at}");
            assert_eq!(
                verify(&format!("{before}{}", &after[1..])),
                Err(Refused),
                "without byte {at}"
            );
            for other in ["A", "0", "/", "%", "&", "=", "?", "#", "-", "+"] {
                let changed = format!("{before}{other}{}", &after[1..]);
                assert!(
                    changed == target || verify(&changed) == Err(Refused),
                    "{changed}"
                );
                assert_eq!(
                    verify(&format!("{before}{other}{after}")),
                    Err(Refused),
                    "{other} before byte {at}"
                );
            }
        }
    }
}

#[test]
fn l_04_every_bit_of_the_signature_counts() {
    let (gateway, _) = gateway();
    let url = gateway
        .sign("avatars", &request(Method::Get, "k"))
        .unwrap()
        .url;
    let (head, signature) = url.rsplit_once('=').unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for at in 0..signature.len() {
        for other in alphabet
            .chars()
            .filter(|c| !signature[at..].starts_with(*c))
        {
            let changed = format!("{head}={}{other}{}", &signature[..at], &signature[at + 1..]);
            assert_eq!(
                gateway.verify("GET", &changed, NONE),
                Err(Refused),
                "{changed}"
            );
        }
    }
    assert_eq!(
        gateway.verify("GET", &format!("{url}="), NONE),
        Err(Refused),
        "padding"
    );
}

#[test]
fn l_04_parameters_added_removed_repeated_moved_and_respelt() {
    let (gateway, _) = gateway();
    let url = gateway.sign("avatars", &put("k")).unwrap().url;
    let (path, query) = url.split_once('?').unwrap();
    let parameters: Vec<&str> = query.split('&').collect();
    let refused = |parameters: &[&str]| {
        let url = format!("{path}?{}", parameters.join("&"));
        assert_eq!(
            gateway.verify("PUT", &url, PUT_HEADERS),
            Err(Refused),
            "{url}"
        );
    };
    for at in 0..parameters.len() {
        let mut removed = parameters.clone();
        removed.remove(at);
        refused(&removed);
        for to in 0..=parameters.len() {
            let mut repeated = parameters.clone();
            repeated.insert(to, parameters[at]);
            refused(&repeated);
            for added in ["x=1", "", "hd-name=x", "hd-exp=9999999999", "hd-v=1"] {
                let mut more = parameters.clone();
                more.insert(to, added);
                refused(&more);
            }
        }
        for other in at + 1..parameters.len() {
            let mut moved = parameters.clone();
            moved.swap(at, other);
            refused(&moved);
        }
    }
    for (from, to) in [
        ("hd-m=PUT", "hd-m=%50UT"),
        ("hd-m=PUT", "hd-m=GET"),
        ("hd-max=1048576", "hd-max=%31048576"),
        ("%3B%20", "%3b%20"),
        ("%3B%20", "%3B+"),
        ("hd-exp=1767225600", "hd-exp=1767225601"),
        ("/v1/avatars/k", "/v1/avatars/l"),
        ("/v1/avatars/k", "/v1/avatars/%6B"),
        ("/v1/avatars/k", "/v1/avatars//k"),
        ("/v1/avatars/k", "/v1/avatars/./k"),
        ("/v1/avatars/k", "/v1/avatar/k"),
        ("/v1/", "/v2/"),
    ] {
        assert!(url.contains(from));
        assert_eq!(
            gateway.verify("PUT", &url.replace(from, to), PUT_HEADERS),
            Err(Refused),
            "{to}"
        );
    }
    assert_eq!(
        gateway.verify("PUT", &format!("{url}#x"), PUT_HEADERS),
        Err(Refused)
    );
    assert_eq!(
        gateway.verify("PUT", path, PUT_HEADERS),
        Err(Refused),
        "no query"
    );
}

#[test]
fn l_05_works_until_its_end_and_not_then() {
    let (gateway, clock) = gateway();
    let url = gateway
        .sign("avatars", &request(Method::Get, "k"))
        .unwrap()
        .url;
    for (millis, works) in [
        (0, true),
        (END * 1000 - 900_000, true),
        (END * 1000 - 1, true),
        (END * 1000, false),
        (END * 1000 + 1, false),
    ] {
        clock.set(millis);
        assert_eq!(gateway.verify("GET", &url, NONE).is_ok(), works, "{millis}");
    }
    let broken = gateway.with_clock(|| UNIX_EPOCH - Duration::from_secs(1));
    assert_eq!(
        broken.verify("GET", &url, NONE),
        Err(Refused),
        "a clock before 1970 judges nothing"
    );
    assert_eq!(
        kind_of(&broken, &request(Method::Get, "k")),
        Err(ErrorKind::Other)
    );
}

#[test]
fn l_06_the_end_is_the_url_s_own_and_never_later_than_asked() {
    let (gateway, clock) = gateway();
    for (now, life) in [
        (1_000_000, 1_000),
        (1_000_999, 1_000),
        (1_000_001, 1_999),
        (1_000_500, 604_800_000),
    ] {
        clock.set(now);
        let sign = SignUrl::new(Method::Get, "k", Duration::from_millis(life));
        let signed = gateway.sign("avatars", &sign).unwrap();
        let end = signed.expires_at.duration_since(UNIX_EPOCH).unwrap();
        let (asked, end_millis) = (u128::from(now + life), end.as_millis());
        assert_eq!(end.subsec_nanos(), 0);
        assert!(
            end_millis <= asked && asked - end_millis < 1000,
            "{now} + {life}"
        );
        assert!(signed.url.contains(&format!("&hd-exp={}&", end.as_secs())));
        assert_eq!(
            gateway.verify("GET", &signed.url, NONE).unwrap().expires_at,
            signed.expires_at
        );
    }
}

#[test]
fn l_07_a_life_is_one_second_to_seven_days() {
    let (gateway, _) = gateway();
    for (life, fits) in [
        (Duration::ZERO, false),
        (Duration::from_millis(999), false),
        (Duration::from_secs(1), true),
        (MAX_LIFE, true),
        (MAX_LIFE + Duration::from_nanos(1), false),
        (Duration::MAX, false),
    ] {
        let answer = kind_of(&gateway, &SignUrl::new(Method::Get, "k", life));
        assert_eq!(
            answer.err(),
            (!fits).then_some(ErrorKind::InvalidArgument),
            "{life:?}"
        );
    }
}

#[test]
fn l_08_the_bound_content_type_and_no_other() {
    let (gateway, _) = gateway();
    let mut sign = request(Method::Put, "k");
    sign.content_type = Some("image/png");
    let url = gateway.sign("avatars", &sign).unwrap().url;
    let verify =
        |headers: &[(&str, &str)]| gateway.verify("PUT", &url, headers.iter().copied()).is_ok();
    assert!(verify(&[("content-type", "image/png")]));
    assert!(verify(&[("host", "x"), ("CONTENT-TYPE", " image/png\t")]));
    assert!(!verify(&[]), "absent");
    for other in [
        "",
        "image/jpeg",
        "image/png; x=1",
        "image/pngx",
        "IMAGE/PNG",
        "image/png,image/png",
    ] {
        assert!(!verify(&[("content-type", other)]), "{other}");
    }
    assert!(
        !verify(&[("content-type", "image/png"), ("content-type", "image/png")]),
        "twice"
    );
    assert!(
        !verify(&[("content-type", "image/png"), ("Content-Type", "text/html")]),
        "and another"
    );

    let url = gateway
        .sign("avatars", &request(Method::Put, "k"))
        .unwrap()
        .url;
    assert!(
        gateway
            .verify("PUT", &url, [("content-type", "text/html")])
            .is_ok(),
        "none was bound"
    );
}

#[test]
fn l_09_a_declared_length_over_the_limit() {
    let (gateway, _) = gateway();
    let mut sign = request(Method::Put, "k");
    sign.max_size = Some(10);
    let url = gateway.sign("avatars", &sign).unwrap().url;
    for (length, fits) in [
        ("0", true),
        ("10", true),
        ("11", false),
        ("99999999999999999999", false),
        ("-1", false),
        ("+1", false),
        ("", false),
        ("1 1", false),
    ] {
        let answer = gateway.verify("PUT", &url, [("Content-Length", length)]);
        assert_eq!(answer.is_ok(), fits, "{length}");
    }
    let chunked = gateway.verify("PUT", &url, NONE).unwrap();
    assert_eq!(
        chunked.max_size,
        Some(10),
        "the reader of the body counts it"
    );
}

#[test]
fn l_11_names_cannot_inject_headers() {
    let (gateway, _) = gateway();
    let answer = |name: &str| {
        let mut sign = request(Method::Get, "k");
        sign.download_name = Some(name);
        let url = kind_of(&gateway, &sign)?;
        Ok(gateway
            .verify("GET", &url, NONE)
            .unwrap()
            .content_disposition()
            .unwrap())
    };
    assert_eq!(
        answer("größe \"1\".png").as_deref(),
        Ok(
            "attachment; filename=\"gr__e _1_.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%221%22.png"
        )
    );
    let long = "x".repeat(256);
    for name in [
        "a\r\nSet-Cookie: x=1",
        "a\nb",
        "a\0b",
        "a\u{7f}",
        "a\u{85}b",
        "",
        &long,
    ] {
        assert_eq!(answer(name), Err(ErrorKind::InvalidArgument), "{name:?}");
    }
    for text in [
        "image/png\r\nx: y",
        "image",
        "/png",
        "image/",
        "imäge/png",
        " image/png",
        "a b/c",
        "",
    ] {
        let mut sign = request(Method::Get, "k");
        sign.response_content_type = Some(text);
        assert_eq!(
            kind_of(&gateway, &sign),
            Err(ErrorKind::InvalidArgument),
            "{text:?}"
        );
        let mut sign = request(Method::Put, "k");
        sign.content_type = Some(text);
        assert_eq!(
            kind_of(&gateway, &sign),
            Err(ErrorKind::InvalidArgument),
            "{text:?}"
        );
    }
}

#[test]
fn l_12_a_constraint_that_the_method_has_not_is_refused_and_not_dropped() {
    let (gateway, _) = gateway();
    type Ask = fn(&mut SignUrl<'_>);
    let of_put: [Ask; 3] = [
        |sign| sign.content_type = Some("a/b"),
        |sign| sign.max_size = Some(0),
        |sign| sign.checksums.crc32c = Some(0),
    ];
    let of_get: [Ask; 2] = [
        |sign| sign.download_name = Some("a"),
        |sign| sign.response_content_type = Some("a/b"),
    ];
    for method in [Method::Get, Method::Put, Method::Head, Method::Delete] {
        let puts = of_put.map(|ask| (ask, method == Method::Put));
        let gets = of_get.map(|ask| (ask, matches!(method, Method::Get | Method::Head)));
        for (ask, fits) in puts.into_iter().chain(gets) {
            let mut sign = request(method, "k");
            ask(&mut sign);
            let answer = kind_of(&gateway, &sign).err();
            assert_eq!(
                answer,
                (!fits).then_some(ErrorKind::InvalidArgument),
                "{sign:?}"
            );
        }
    }
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

#[test]
fn l_17_no_secret_in_any_output() {
    let (gateway, _) = gateway();
    let url = gateway.sign("avatars", &put("k")).unwrap();
    let grant = gateway.verify("PUT", &url.url, PUT_HEADERS).unwrap();
    let config = GatewayConfig::new("https://h").key("a", SECRET);
    let short = GatewayConfig::new("https://h").key("a", "hunter2");
    let problems = Gateway::new(&short, &Environment::none(), &Secrets::new()).unwrap_err();
    let out = format!(
        "{gateway:?} {url:?} {} {grant:?} {config:?} {problems} {problems:?}",
        url.url
    );
    assert!(
        !out.contains("battery") && !out.contains("hunter2"),
        "{out}"
    );
    let signature = url.url.rsplit_once('=').unwrap().1;
    assert!(
        !format!("{url:?} {grant:?}").contains(signature),
        "whole URLs are not logged"
    );
}

#[test]
fn rotation_of_keys() {
    let config = |keys: &[&str]| {
        let config = GatewayConfig::new("https://files.example.org");
        keys.iter().fold(config, |config, id| {
            config.key(*id, format!("the secret of key {id}"))
        })
    };
    let verifies =
        |keys: &[&str], url: &str| gateway_of(&config(keys)).0.verify("GET", url, NONE).is_ok();
    let url = |keys: &[&str]| {
        gateway_of(&config(keys))
            .0
            .sign("b", &request(Method::Get, "k"))
            .unwrap()
            .url
    };
    let old = url(&["old"]);
    let new = url(&["new", "old"]);
    assert!(new.contains("hd-kid=new&"), "the first signs");
    assert!(
        verifies(&["new", "old"], &old) && verifies(&["new", "old"], &new),
        "all verify"
    );
    assert!(
        !verifies(&["new"], &old),
        "a key that is gone takes its URLs with it"
    );
    assert!(!verifies(&["old"], &new));
    let forged = old.replace("hd-kid=old", "hd-kid=new");
    assert!(
        !verifies(&["new", "old"], &forged),
        "a key verifies only what it signed"
    );
    assert_eq!(
        gateway().0.verify("GET", &old, NONE),
        Err(Refused),
        "another gateway"
    );
}

/// Altered in each of its parts, expired, with another method, under other headers, after rotation,
/// at another gateway: one refusal, which tells nothing.
#[test]
fn every_wrong_use_is_one_and_the_same_refusal() {
    let config = |id: &str| GatewayConfig::new("https://files.example.org").key(id, SECRET);
    let (gateway, clock) = gateway_of(&config("2026-01"));
    let url = gateway.sign("avatars", &put("k")).unwrap().url;
    assert!(gateway.verify("PUT", &url, PUT_HEADERS).is_ok());

    let mut refusals = Vec::new();
    let (path, query) = url.split_once('?').unwrap();
    let mut parts: Vec<String> = vec![
        path.replacen("/avatars/", "/avatar/", 1),
        path.replacen("/k", "/l", 1),
        path.replacen("/v1/", "/v2/", 1),
    ];
    parts
        .iter_mut()
        .for_each(|path| *path = format!("{path}?{query}"));
    parts.push(path.to_owned());
    let pairs: Vec<&str> = query.split('&').collect();
    assert_eq!(pairs.len(), 10, "{pairs:?}");
    for at in 0..pairs.len() {
        let (name, value) = pairs[at].split_once('=').unwrap();
        let last = if value.ends_with('1') { '2' } else { '1' };
        let first = if value.starts_with('A') { 'B' } else { 'A' };
        let altered = match name {
            "hd-sig" => format!("{name}={first}{}", &value[1..]),
            _ => format!("{name}={}{last}", &value[..value.len() - 1]),
        };
        for instead in [Some(altered.as_str()), None] {
            let mut pairs = pairs.clone();
            pairs.splice(at..=at, instead);
            parts.push(format!("{path}?{}", pairs.join("&")));
        }
    }
    for altered in &parts {
        assert_ne!(*altered, url);
        refusals.push((altered.clone(), gateway.verify("PUT", altered, PUT_HEADERS)));
    }
    for method in ["GET", "HEAD", "DELETE", "POST"] {
        refusals.push((method.to_owned(), gateway.verify(method, &url, PUT_HEADERS)));
    }
    let mut refused = |what: &str, answer| refusals.push((what.to_owned(), answer));
    refused("no content type", gateway.verify("PUT", &url, NONE));
    let large = [PUT_HEADERS[0], ("content-length", "1048577")];
    refused("too large", gateway.verify("PUT", &url, large));
    let rotated = gateway_of(&config("2026-02")).0;
    refused("rotated", rotated.verify("PUT", &url, PUT_HEADERS));
    let renewed = gateway_of(
        &GatewayConfig::new("https://files.example.org")
            .key("2026-01", "another secret under the id"),
    )
    .0;
    refused("another secret", renewed.verify("PUT", &url, PUT_HEADERS));
    refused(
        "no keys",
        Gateway::unconfigured().verify("PUT", &url, PUT_HEADERS),
    );
    refused("no URL", gateway.verify("PUT", "", PUT_HEADERS));
    clock.set(END * 1000);
    refused("expired", gateway.verify("PUT", &url, PUT_HEADERS));

    for (what, answer) in refusals {
        let Err(refusal) = answer else {
            panic!("{what}: granted");
        };
        let told = format!("{refusal} {refusal:?}");
        assert_eq!(told, "signed URL refused Refused", "{what}");
        assert!(std::error::Error::source(&refusal).is_none());
    }
}

#[test]
fn without_keys_the_error_has_the_lines_to_add() {
    let keyless = gateway_of(&GatewayConfig::new("https://files.example.org")).0;
    for gateway in [Gateway::unconfigured(), keyless] {
        assert!(!gateway.is_configured());
        let error = gateway
            .sign("avatars", &request(Method::Get, "k"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        let fix = error.fact("fix").unwrap();
        let lines = fix.split_once('\n').unwrap().1;
        // The lines to add are valid as they stand.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdall.toml");
        std::fs::write(&file, lines).unwrap();
        let mut sources = crate::config::Sources::default();
        sources.flags.config_file = Some(file);
        sources.environment = Environment::from_iter([("HOLDALL_GATEWAY_SECRET", SECRET)]);
        let config = crate::config::Config::load(&sources).unwrap();
        let told = Gateway::new(
            &config.gateway.unwrap(),
            &sources.environment,
            &Secrets::new(),
        )
        .unwrap();
        assert!(told.sign("avatars", &request(Method::Get, "k")).is_ok());
    }
}

#[test]
fn what_is_wrong_with_keys() {
    let problems = |config: GatewayConfig| {
        Gateway::new(&config, &Environment::none(), &Secrets::new())
            .unwrap_err()
            .iter()
            .map(|problem| problem.code.name())
            .collect::<Vec<_>>()
    };
    let config = || GatewayConfig::new("https://h");
    assert_eq!(
        problems(config().key("a", "fifteen bytes !")),
        ["secret_too_short"]
    );
    assert_eq!(problems(config().key("a", "env:X")), ["secret_unresolved"]);
    assert_eq!(problems(config().key("a b", SECRET)), ["invalid_name"]);
    assert_eq!(
        problems(config().key("a", SECRET).key("a", SECRET)),
        ["duplicate"]
    );
    assert_eq!(
        problems(GatewayConfig::new("ftp://h").key("a", "x")),
        ["secret_too_short", "invalid_value"]
    );
}
