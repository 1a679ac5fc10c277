//! Times, sizes, types and names that a URL is bound to.

use super::*;

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
