//! L: a signed URL does one thing to one object until its end, and nothing else.
//!
//! The questions are the same for both signers, the store and the gateway. A URL is used through
//! [`Stage::follow`](crate::Stage::follow).

use super::remote;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::follow::{Answer, LIFE, Use, end_of, is_of_gateway, parameters, signs_whole_query};
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use holdall_plugin_api::{
    Capability, Checksums, Delete, ErrorKind, Method, SignUrl, SignedUrl, Signing, Upload,
};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant, SystemTime};

pub(super) const CASES: &[Case] = &[
    case!(
        "L-01",
        Tag::Core,
        "a GET URL gives bytes and content type",
        get
    )
    .proves(&[Capability::SignGet]),
    case!("L-02", Tag::Core, "a PUT URL stores", put).proves(&[Capability::SignPut]),
    case!(
        "L-03",
        Tag::Core,
        "a URL works for its own method only, and a refusal changes nothing",
        methods
    ),
    case!(
        "L-04",
        Tag::Core,
        "a URL altered in any of its parts is refused, at a gateway always in the same way",
        altered
    )
    .within(60),
    case!(
        "L-05",
        Tag::Core,
        "it works before its end and not after it",
        expiry
    )
    .within(90),
    case!(
        "L-06",
        Tag::Core,
        "the end that is answered is the one that the URL has, and not later than asked",
        honest_end
    ),
    case!(
        "L-07",
        Tag::Core,
        "a life of nothing, or of more than seven days, is refused; seven days work",
        life
    ),
    case!(
        "L-08",
        Tag::Core,
        "a PUT with another content type than the bound one, or none, stores nothing",
        bound_type
    )
    .proves(&[Capability::SignContentType]),
    case!(
        "L-09",
        Tag::Core,
        "a PUT of one byte over the bound size stores nothing, chunked or not",
        bound_size
    )
    .proves(&[Capability::SignMaxSize]),
    case!(
        "L-10",
        Tag::Core,
        "a PUT of other bytes than the bound digest's stores nothing",
        bound_digest
    )
    .proves(&[Capability::SignChecksum]),
    case!(
        "L-11",
        Tag::Core,
        "name and type of the answer are as bound, and no name breaks out of its header",
        answer_headers
    )
    .proves(&[Capability::SignDisposition]),
    case!(
        "L-12",
        Tag::Core,
        "a constraint that the store cannot bind never comes back as its URL without it",
        unbound
    ),
    case!(
        "L-13",
        Tag::Core,
        "a missing key is signed and answers 404; with must_exist it is not signed",
        missing
    ),
    case!(
        "L-14",
        Tag::Core,
        "every name of group C comes through a URL, and a root counts once",
        names
    )
    .within(60),
    case!(
        "L-15",
        Tag::Core,
        "a GET URL answers 404 once the object is deleted",
        deleted
    ),
    case!(
        "L-16",
        Tag::Core,
        "ranges and if-none-match work on a GET URL, HEAD and DELETE where they are signed",
        requests
    )
    .proves(&[Capability::SignHead, Capability::SignDelete]),
    case!(
        "L-17",
        Tag::Core,
        "a URL carries no secret, and is not shown whole",
        secrecy
    ),
    case!(
        "L-18",
        Tag::Need("http"),
        "a clock that is off is named, where signatures are refused for it",
        remote::clock_skew
    ),
];

/// An object and the bytes that it has.
async fn object(t: &Trial, name: &str) -> Outcome<(String, Bytes)> {
    let (key, bytes) = (t.key(name), data::bytes(1000, 1));
    t.put(&key, bytes.clone()).await?;
    Ok((key, bytes))
}

async fn signed_put(t: &Trial, key: &str) -> Outcome<SignedUrl> {
    t.signed(SignUrl::new(Method::Put, key, LIFE)).await
}

async fn get(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(100_000, 2));
    let mut upload = Upload::new(&key, bytes.clone());
    let content_type = "image/svg+xml; charset=utf-8";
    if t.claims(Capability::ContentType) {
        upload = upload.content_type(content_type);
    }
    t.upload(upload).await?;
    let answer = t.getting(&key).await?.send(t).await?.status_is(200)?;
    if let Some(difference) = data::difference(&answer.body, &bytes) {
        return Err(Stop::Failed(format!(
            "the URL gives other bytes: {difference}"
        )));
    }
    if t.claims(Capability::ContentType) {
        let found = answer.header("content-type");
        ensure!(found == content_type, "the content type is {found:?}");
    }
    Ok(())
}

async fn put(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(100_000, 3));
    let put = Use::of(&signed_put(t, &key).await?, "PUT")?;
    put.clone().body(bytes.clone()).send(t).await?.success()?;
    t.holds(&key, &bytes).await?;
    // Nothing says that it works once.
    put.body("again").send(t).await?.success()?;
    t.holds(&key, b"again").await
}

async fn methods(t: &Trial) -> Outcome {
    let (key, bytes) = object(t, "object").await?;
    let getting = t.signed(SignUrl::new(Method::Get, &key, LIFE)).await?;
    let mut refusals = Vec::new();
    // HEAD is left to the signer: the gateway allows it for a GET URL, some stores do not.
    for method in ["PUT", "DELETE"] {
        let mut used = Use::of(&getting, method)?;
        if method == "PUT" {
            used = used.body("written through a GET URL");
        }
        refusals.push(used.send(t).await?.refused()?);
        t.holds(&key, &bytes).await?;
    }
    let putting = signed_put(t, &key).await?;
    for method in ["GET", "DELETE"] {
        refusals.push(Use::of(&putting, method)?.send(t).await?.refused()?);
        t.holds(&key, &bytes).await?;
    }
    // A store may sign one of the two itself.
    if is_of_gateway(&getting.url) && is_of_gateway(&putting.url) {
        are_one(&refusals)?;
    }
    Ok(())
}

/// At the gateway all refusals are equal.
fn are_one(refusals: &[Answer]) -> Outcome {
    for refusal in refusals {
        let (ours, first) = (refusal.told(), refusals[0].told());
        ensure!(ours.0 == 403, "refused with {}", ours.0);
        ensure!(ours == first, "two refusals differ: {ours:?} and {first:?}");
    }
    Ok(())
}

/// Another character of the same kind, so that what is altered keeps its form.
fn other_than(c: char) -> char {
    match c {
        '1' => '2',
        '0'..='9' => '1',
        'b' => 'c',
        'B' => 'C',
        'a'..='z' => 'b',
        _ => 'B',
    }
}

/// The URL in each of its alterations, with what was done to it. `key` and `sibling` are last
/// segments of keys, without anything that a URL encodes.
fn alterations(url: &str, key: &str, sibling: &str) -> Vec<(String, String)> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let with_query = |query: &str| format!("{path}?{query}");
    // The last segment: the others may be spelt in more than one way.
    let elsewhere = path.rfind(key).map(|at| {
        let after = &path[at + key.len()..];
        format!("{}{sibling}{after}?{query}", &path[..at])
    });
    let mut all = vec![
        ("without its query".to_owned(), path.to_owned()),
        (
            "of another key".to_owned(),
            elsewhere.unwrap_or_else(|| url.to_owned()),
        ),
    ];
    let pairs = parameters(url);
    for (at, (name, value)) in pairs.iter().enumerate() {
        let others = |changed: Option<String>| {
            let mut parts: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            parts.splice(at..=at, changed);
            with_query(&parts.join("&"))
        };
        all.push((format!("without {name}"), others(None)));
        // The last letter or digit, past what names a version; of a signature the first, as the
        // last character of base64 may carry bits that are not read.
        let plain = |(_, c): &(usize, char)| c.is_ascii_alphanumeric();
        let signature = name.to_ascii_lowercase().contains("sig");
        let found = match signature {
            true => value.char_indices().find(plain),
            false => value.char_indices().rfind(plain),
        };
        // A digit of a percent sequence would make another sequence, which is an alteration too.
        if let Some((place, c)) = found {
            let mut changed = (*value).to_owned();
            changed.replace_range(place..=place, &other_than(c).to_string());
            all.push((
                format!("with another {name}"),
                others(Some(format!("{name}={changed}"))),
            ));
        }
    }
    let later = [
        ("hd-exp", "9999999999"),
        ("X-Amz-Expires", "604800"),
        ("X-Goog-Expires", "604800"),
        ("se", "2099-01-01T00%3A00%3A00Z"),
    ];
    for (name, value) in later {
        if let Some((_, old)) = pairs.iter().find(|(own, _)| *own == name) {
            let raised = url.replacen(&format!("{name}={old}"), &format!("{name}={value}"), 1);
            all.push(("that lives longer".to_owned(), raised));
        }
    }
    if signs_whole_query(url) {
        // Before the signature, where the gateway's stands last.
        all.push((
            "with one more parameter in front".to_owned(),
            with_query(&format!("x=y&{query}")),
        ));
        all.push((
            "with one more parameter at its end".to_owned(),
            format!("{url}&x=y"),
        ));
    }
    all
}

async fn altered(t: &Trial) -> Outcome {
    let (key, _) = object(t, "signed").await?;
    let sibling = t.key("sibling");
    t.put(&sibling, "not for the holder of this URL").await?;
    let signed = t.signed(SignUrl::new(Method::Get, &key, LIFE)).await?;
    let used = Use::of(&signed, "GET")?;
    used.clone().send(t).await?.status_is(200)?;
    let mut refusals = Vec::new();
    for (what, url) in alterations(&signed.url, "signed", "sibling") {
        ensure!(
            url != signed.url,
            "the key does not stand in the path of the URL"
        );
        let answer = used.clone().at(url).send(t).await?;
        ensure!(
            answer.status.is_client_error(),
            "a URL {what} answers {}",
            answer.status
        );
        // Without its query it is no signed URL at all.
        if what != "without its query" {
            refusals.push(answer);
        }
    }
    let fresh = t.key("fresh");
    let putting = signed_put(t, &fresh).await?;
    let elsewhere = t.key("elsewhere");
    for (what, url) in alterations(&putting.url, "fresh", "elsewhere") {
        let put = Use::of(&putting, "PUT")?.at(url).body("x");
        let answer = put.send(t).await?;
        ensure!(
            answer.status.is_client_error(),
            "a PUT URL {what} answers {}",
            answer.status
        );
    }
    t.is_absent(&fresh).await?;
    t.is_absent(&elsewhere).await?;
    if is_of_gateway(&signed.url) {
        are_one(&refusals)?;
    }
    Ok(())
}

async fn expiry(t: &Trial) -> Outcome {
    let (key, bytes) = object(t, "object").await?;
    // Once more with a longer life, should this machine sleep through the first.
    for life in [3, 30] {
        let life = Duration::from_secs(life);
        let signed = t.signed(SignUrl::new(Method::Get, &key, life)).await?;
        let used = Use::of(&signed, "GET")?;
        let before = used.clone().send(t).await?;
        if before.status != 200 && SystemTime::now() >= signed.expires_at {
            continue;
        }
        ensure!(before.status_is(200)?.body == bytes, "other bytes");
        let left = signed.expires_at.duration_since(SystemTime::now());
        tokio::time::sleep(left.unwrap_or_default()).await;
        // The store's own clock may be behind a little.
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let after = used.clone().send(t).await?;
            if after.status.is_client_error() {
                if is_of_gateway(&signed.url) {
                    let altered = used.clone().at(format!("{}x", signed.url)).send(t).await?;
                    are_one(&[after, altered])?;
                }
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "it still answers {} ten seconds after its end",
                after.status
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Err(Stop::Failed(
        "a URL of 30 seconds expired at its first use".into(),
    ))
}

async fn honest_end(t: &Trial) -> Outcome {
    let key = t.key("object");
    let mut read = 0;
    for seconds in [1, 60, 3600, 86_400] {
        let life = Duration::from_secs(seconds);
        let signed = t.signed(SignUrl::new(Method::Get, &key, life)).await?;
        // Whole seconds on the wire, and clocks that differ a little.
        let slack = Duration::from_secs(5);
        ensure!(
            signed.expires_at <= SystemTime::now() + life + slack,
            "it ends later than the {seconds} s that were asked"
        );
        ensure!(
            signed.expires_at + life + slack >= SystemTime::now() + life,
            "it has ended before it was answered"
        );
        if let Some(end) = end_of(&signed.url) {
            read += 1;
            let apart = end
                .duration_since(signed.expires_at)
                .or_else(|_| signed.expires_at.duration_since(end));
            ensure!(
                apart.is_ok_and(|apart| apart < Duration::from_secs(2)),
                "the answer says {}, the URL {}",
                humantime::format_rfc3339(signed.expires_at),
                humantime::format_rfc3339(end)
            );
        }
    }
    match read {
        0 => not_applicable("the URL does not say when it ends in a way that is known here"),
        _ => Ok(()),
    }
}

async fn life(t: &Trial) -> Outcome {
    let key = t.key("object");
    let week = Duration::from_secs(7 * 86_400);
    for method in [Method::Get, Method::Put] {
        for bad in [
            Duration::ZERO,
            Duration::from_millis(999),
            week + Duration::from_secs(1),
            Duration::MAX,
        ] {
            let answer = t.signed_url(SignUrl::new(method, &key, bad)).await;
            refused(
                answer,
                ErrorKind::InvalidArgument,
                &format!("a life of {bad:?}"),
            )?;
        }
        for good in [Duration::from_secs(1), week] {
            let answer = t.signed_url(SignUrl::new(method, &key, good)).await?;
            if let Signing::Url(url) = answer {
                let end = SystemTime::now() + good;
                let slack = Duration::from_secs(10);
                ensure!(
                    url.expires_at > end - slack && url.expires_at < end + slack,
                    "a life of {good:?} ends at {}",
                    humantime::format_rfc3339(url.expires_at)
                );
            }
        }
    }
    Ok(())
}

async fn bound_type(t: &Trial) -> Outcome {
    if !t.claims(Capability::ContentType) {
        return not_applicable("it keeps no content type");
    }
    let key = t.key("object");
    let mut sign = SignUrl::new(Method::Put, &key, LIFE);
    sign.content_type = Some("image/png");
    let signed = t.signed(sign).await?;
    let bare = Use::of(&signed, "PUT")?.without("content-type");
    let wrong = bare.clone().header("content-type", "text/html")?;
    for used in [bare.clone(), wrong] {
        used.body("x").send(t).await?.refused()?;
        t.is_absent(&key).await?;
    }
    let right = bare.header("content-type", "image/png")?;
    right.body("x").send(t).await?.success()?;
    let (info, _) = t.read(&key).await?;
    let found = info.content_type.as_deref();
    ensure!(
        found == Some("image/png"),
        "the object's content type is {found:?}"
    );
    Ok(())
}

async fn bound_size(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(1001, 4));
    let mut sign = SignUrl::new(Method::Put, &key, LIFE);
    sign.max_size = Some(1000);
    let signed = t.signed(sign).await?;
    let put = Use::of(&signed, "PUT")?;
    for over in [
        put.clone().body(bytes.clone()),
        put.clone().chunked(bytes.clone()),
    ] {
        over.send(t).await?.refused()?;
        t.is_absent(&key).await?;
    }
    let within = bytes.slice(..1000);
    put.clone().body(within.clone()).send(t).await?.success()?;
    t.holds(&key, &within).await?;
    // Stores of their own need not take a body of unknown length.
    if is_of_gateway(&signed.url) {
        put.chunked("chunked").send(t).await?.success()?;
        t.holds(&key, b"chunked").await?;
    }
    Ok(())
}

async fn bound_digest(t: &Trial) -> Outcome {
    let bytes = b"the bytes that were promised";
    let (mut sha256, mut crc32c) = (Checksums::NONE, Checksums::NONE);
    sha256.sha256 = Some(Sha256::digest(bytes).into());
    crc32c.crc32c = Some(checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32);
    let mut bound = 0;
    for (name, checksums) in [("sha256", sha256), ("crc32c", crc32c)] {
        let key = t.key(name);
        let mut sign = SignUrl::new(Method::Put, &key, LIFE);
        sign.checksums = checksums;
        let signed = match t.signed_url(sign).await {
            Ok(Signing::Url(signed)) => signed,
            Ok(_) => {
                return not_applicable("it signs at the gateway, and there is none at this level");
            }
            // One digest is enough for the claim.
            Err(error) if error.kind() == ErrorKind::Unsupported => continue,
            Err(error) => return Err(error.into()),
        };
        let put = Use::of(&signed, "PUT")?;
        put.clone()
            .body("the bytes that were not")
            .send(t)
            .await?
            .refused()?;
        t.is_absent(&key).await?;
        put.body(&bytes[..]).send(t).await?.success()?;
        t.holds(&key, bytes).await?;
        bound += 1;
    }
    match bound {
        0 if t.claims(Capability::SignChecksum) => {
            Err(Stop::Failed("claimed, but no digest can be bound".into()))
        }
        0 => not_applicable("no digest can be bound"),
        _ => Ok(()),
    }
}

/// The name that a browser would save as: `filename*` where it is there (RFC 6266, 4.3).
fn saved_name(disposition: &str) -> Option<String> {
    let after = |part: &str| disposition.split_once(part).map(|(_, rest)| rest);
    if let Some(encoded) = after("filename*=UTF-8''") {
        let encoded = encoded.split(';').next().unwrap_or_default().trim();
        return Some(
            percent_encoding::percent_decode_str(encoded)
                .decode_utf8()
                .ok()?
                .into_owned(),
        );
    }
    let quoted = after("filename=\"")?;
    Some(quoted.strip_suffix('"').unwrap_or(quoted).to_owned())
}

async fn answer_headers(t: &Trial) -> Outcome {
    let (key, _) = object(t, "object").await?;
    for name in [
        "report 7.pdf",
        "say \"cheese\".png",
        "gr\u{f6}\u{df}e;\u{1f392}.txt",
    ] {
        let mut sign = SignUrl::new(Method::Get, &key, LIFE);
        sign.download_name = Some(name);
        sign.response_content_type = Some("application/x-holdall-kit");
        let signed = t.signed(sign).await?;
        let answer = Use::of(&signed, "GET")?.send(t).await?.status_is(200)?;
        let disposition = answer.header("content-disposition");
        ensure!(
            disposition.starts_with("attachment"),
            "the disposition is {disposition:?}"
        );
        let found = saved_name(disposition);
        ensure!(
            found.as_deref() == Some(name),
            "{name:?} became {found:?} in {disposition:?}"
        );
        let found = answer.header("content-type");
        ensure!(
            found == "application/x-holdall-kit",
            "the content type is {found:?}"
        );
    }
    for name in ["a\r\nset-cookie: a=b", "a\nb", "a\0b", ""] {
        let mut sign = SignUrl::new(Method::Get, &key, LIFE);
        sign.download_name = Some(name);
        let answer = t.signed_url(sign).await;
        refused(
            answer,
            ErrorKind::InvalidArgument,
            &format!("the name {name:?}"),
        )?;
    }
    let mut sign = SignUrl::new(Method::Get, &key, LIFE);
    sign.response_content_type = Some("text/plain\r\nset-cookie: a=b");
    let answer = t.signed_url(sign).await;
    refused(
        answer,
        ErrorKind::InvalidArgument,
        "a content type of two lines",
    )?;
    Ok(())
}

type Constrain = fn(&mut SignUrl<'_>);

async fn unbound(t: &Trial) -> Outcome {
    let key = t.key("object");
    let constraints: [(&str, Capability, Method, Constrain); 5] = [
        (
            "content_type",
            Capability::SignContentType,
            Method::Put,
            |sign| sign.content_type = Some("image/png"),
        ),
        ("max_size", Capability::SignMaxSize, Method::Put, |sign| {
            sign.max_size = Some(10)
        }),
        ("checksums", Capability::SignChecksum, Method::Put, |sign| {
            sign.checksums.sha256 = Some([7; 32])
        }),
        (
            "download_name",
            Capability::SignDisposition,
            Method::Get,
            |sign| sign.download_name = Some("a"),
        ),
        (
            "response_content_type",
            Capability::SignDisposition,
            Method::Get,
            |sign| sign.response_content_type = Some("a/b"),
        ),
    ];
    for (name, capability, own, constrain) in constraints {
        for method in [Method::Get, Method::Put, Method::Delete] {
            let mut sign = SignUrl::new(method, &key, LIFE);
            constrain(&mut sign);
            let answer = t.signed_url(sign).await;
            if method != own {
                let what = format!("{name} for {}", method.name());
                refused(answer, ErrorKind::InvalidArgument, &what)?;
                continue;
            }
            match answer {
                Ok(Signing::Url(url)) if !t.claims(capability) && !is_of_gateway(&url.url) => {
                    return Err(Stop::Lied(format!(
                        "`{capability}` is not claimed, but a URL of the store comes back for {name}"
                    )));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Unsupported && !t.claims(capability) => {}
                // Of several digests one may be beyond the store.
                Err(error) if error.kind() == ErrorKind::Unsupported && name == "checksums" => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn missing(t: &Trial) -> Outcome {
    let key = t.key("missing");
    let mut sign = SignUrl::new(Method::Get, &key, LIFE);
    sign.must_exist = true;
    let answer = t.signed_url(sign.clone()).await;
    refused(
        answer,
        ErrorKind::FileNotFound,
        "signing a missing key with must_exist",
    )?;
    t.getting(&key).await?.send(t).await?.status_is(404)?;
    t.put(&key, "there").await?;
    let signed = t.signed(sign).await?;
    Use::of(&signed, "GET")?.send(t).await?.status_is(200)?;
    Ok(())
}

async fn names(t: &Trial) -> Outcome {
    let mut keys: Vec<String> = super::keys::NAMES.iter().map(|name| t.key(name)).collect();
    // As long as a key may be in all: a URL has room for it.
    let most = t.info().limits.max_key_bytes;
    let room = most.map_or(1024, |max| max.min(1024) as usize) - t.prefix().len();
    let long: String = "0123456789/".chars().cycle().take(room - 1).collect();
    keys.push(t.key(&format!("{long}x")));
    for key in &keys {
        t.put(key, key.clone()).await?;
    }
    for key in &keys {
        let answer = t.getting(key).await?.send(t).await?.status_is(200)?;
        ensure!(
            answer.body == *key,
            "the URL of {key:?} gives {:?}",
            answer.body
        );
        let put = Use::of(&signed_put(t, key).await?, "PUT")?;
        put.body(format!("new {key}")).send(t).await?.success()?;
    }
    for key in &keys {
        t.holds(key, format!("new {key}").as_bytes()).await?;
    }
    let store = t.new_store();
    let Some(opening) = t.stage().scoped(store, "root/of/it/") else {
        return Ok(());
    };
    let scoped = t.watch(opening.await?);
    scoped.put("object", "below the root").await?;
    if let Signing::Url(signed) = scoped
        .signed_url(SignUrl::new(Method::Get, "object", LIFE))
        .await?
    {
        let answer = Use::of(&signed, "GET")?.send(t).await?.status_is(200)?;
        ensure!(
            answer.body == "below the root",
            "the root is applied otherwise to URLs"
        );
    }
    Ok(())
}

async fn deleted(t: &Trial) -> Outcome {
    let (key, _) = object(t, "object").await?;
    let used = t.getting(&key).await?;
    used.clone().send(t).await?.status_is(200)?;
    t.delete(Delete::new(&key)).await?;
    used.clone().send(t).await?.status_is(404)?;
    t.put(&key, "again").await?;
    ensure!(
        used.send(t).await?.status_is(200)?.body == "again",
        "not what is there now"
    );
    Ok(())
}

async fn requests(t: &Trial) -> Outcome {
    let (key, bytes) = object(t, "object").await?;
    let used = t.getting(&key).await?;
    let part = used
        .clone()
        .header("range", "bytes=10-19")?
        .send(t)
        .await?
        .status_is(206)?;
    ensure!(part.body == bytes[10..20], "another part");
    let range = part.header("content-range");
    ensure!(
        range == "bytes 10-19/1000",
        "the content range is {range:?}"
    );
    let past = used.clone().header("range", "bytes=1000-")?;
    let past = past.send(t).await?;
    // RFC 9110 (14.2) lets a server leave a range unheeded, and Aliyun OSS does so with one that
    // begins past the end; what counts is that the whole is not taken for a part.
    let unheeded = past.status == 200 && past.body == bytes;
    ensure!(
        past.status == 416 || unheeded,
        "a range past the end: {}",
        past.status
    );
    // Without etags (a plain file has none) there is nothing to ask with.
    if t.read(&key).await?.0.etag.is_some() {
        unless_known(t, used).await?;
    }

    for (method, capability) in [
        (Method::Head, Capability::SignHead),
        (Method::Delete, Capability::SignDelete),
    ] {
        let signed = match t.signed_url(SignUrl::new(method, &key, LIFE)).await {
            Ok(Signing::Url(signed)) => signed,
            Err(error) if error.kind() == ErrorKind::Unsupported && !t.claims(capability) => {
                continue;
            }
            Ok(_) => continue,
            Err(error) => return Err(error.into()),
        };
        let answer = Use::of(&signed, method.name())?.send(t).await?.success()?;
        if method == Method::Head {
            let size = answer.header("content-length");
            ensure!(
                size == "1000" && answer.body.is_empty(),
                "HEAD says {size:?} bytes"
            );
        } else {
            t.is_absent(&key).await?;
        }
    }
    Ok(())
}

/// A GET URL under `If-None-Match`.
async fn unless_known(t: &Trial, used: Use) -> Outcome {
    let whole = used.clone().send(t).await?.status_is(200)?;
    let etag = whole.header("etag");
    ensure!(
        etag.len() > 2 && etag.ends_with('"'),
        "the etag is {etag:?}"
    );
    let known = used.clone().header("if-none-match", etag)?.send(t).await?;
    let known = known.status_is(304)?;
    ensure!(known.body.is_empty(), "304 with a body");
    let another = used.header("if-none-match", "\"another\"")?;
    another.send(t).await?.status_is(200).map(drop)
}

async fn secrecy(t: &Trial) -> Outcome {
    let key = t.key("object");
    for method in [Method::Get, Method::Put] {
        let signed = t.signed(SignUrl::new(method, &key, LIFE)).await?;
        let decoded = percent_encoding::percent_decode_str(&signed.url).decode_utf8_lossy();
        let headers = format!("{:?}", signed.headers);
        for secret in t.stage().secrets() {
            ensure!(
                !signed.url.contains(&secret)
                    && !decoded.contains(&secret)
                    && !headers.contains(&secret),
                "the URL for {} carries a secret",
                method.name()
            );
        }
        let shown = format!("{signed:?}");
        for (name, value) in parameters(&signed.url) {
            ensure!(
                value.len() < 16 || !shown.contains(value),
                "Debug shows the parameter {name}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_url_is_altered() {
        let url = "http://h/v1/b/dir/signed?hd-v=1&hd-exp=1767225600&hd-kid=a&hd-sig=Abc";
        let all = alterations(url, "signed", "sibling");
        for expected in [
            "http://h/v1/b/dir/signed",
            "http://h/v1/b/dir/sibling?hd-v=1&hd-exp=1767225600&hd-kid=a&hd-sig=Abc",
            "http://h/v1/b/dir/signed?hd-exp=1767225600&hd-kid=a&hd-sig=Abc",
            "http://h/v1/b/dir/signed?hd-v=2&hd-exp=1767225600&hd-kid=a&hd-sig=Abc",
            "http://h/v1/b/dir/signed?hd-v=1&hd-exp=9999999999&hd-kid=a&hd-sig=Abc",
            "http://h/v1/b/dir/signed?hd-v=1&hd-exp=1767225600&hd-kid=a&hd-sig=Bbc",
            "http://h/v1/b/dir/signed?x=y&hd-v=1&hd-exp=1767225600&hd-kid=a&hd-sig=Abc",
        ] {
            assert!(
                all.iter().any(|(_, url)| url == expected),
                "{expected} in {all:#?}"
            );
        }
        assert!(all.iter().all(|(_, altered)| altered != url));
    }

    #[test]
    fn names_are_read_as_a_browser_does() {
        let name = |header| saved_name(header).unwrap_or_default();
        assert_eq!(name("attachment; filename=\"a b\""), "a b");
        assert_eq!(
            name("attachment; filename=\"a_\"; filename*=UTF-8''a%22%C3%B6"),
            "a\"\u{f6}"
        );
        assert_eq!(saved_name("inline"), None);
    }
}
