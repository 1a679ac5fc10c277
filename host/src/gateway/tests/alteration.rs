//! What is altered is refused, and nothing else is said.

use super::*;

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
