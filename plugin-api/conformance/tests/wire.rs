//! The endpoint does what its script says, and the client nothing beyond its request.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

use bytes::Bytes;
use holdall_conformance::wire::{Dialect, Endpoint, Fault, REQUEST_ID, Reply, refused_url, send};
use http::{Request, Response};
use std::time::{Duration, Instant};

async fn get(endpoint: &Endpoint) -> Result<Response<Bytes>, String> {
    let request = Request::get(format!("{}/b/a%2Fb?x=%20&y", endpoint.url()));
    send(request.body(Bytes::new()).unwrap()).await
}

async fn put(
    endpoint: &Endpoint,
    body: &'static str,
    length: bool,
) -> Result<Response<Bytes>, String> {
    let mut request = Request::put(format!("{}/b/k", endpoint.url()));
    if length {
        request = request.header("content-length", body.len());
    }
    send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn requests_arrive_as_they_were_written() {
    let endpoint = Endpoint::always(Reply::new(204)).await;
    get(&endpoint).await.unwrap();
    put(&endpoint, "with a length", true).await.unwrap();
    put(&endpoint, "chunked", false).await.unwrap();
    let seen = endpoint.take_seen();
    assert_eq!(
        (seen[0].method.as_str(), &*seen[0].target),
        ("GET", "/b/a%2Fb?x=%20&y")
    );
    assert_eq!(seen[0].header("host"), endpoint.address().to_string());
    assert_eq!(
        (&seen[1].body[..], seen[1].header("content-length")),
        (&b"with a length"[..], "13")
    );
    assert_eq!(
        (&seen[2].body[..], seen[2].header("transfer-encoding")),
        (&b"chunked"[..], "chunked")
    );
    assert!(endpoint.seen().is_empty());
}

#[tokio::test]
async fn answers_come_whole_slow_short_or_not_at_all() {
    let endpoint = Endpoint::always(Reply::new(200).body("0123456789")).await;
    assert_eq!(get(&endpoint).await.unwrap().body(), "0123456789");
    assert_eq!(endpoint.sent(), 10);

    endpoint.then_always(
        Reply::new(200)
            .body("0123456789")
            .slowly(5, Duration::from_millis(100)),
    );
    let began = Instant::now();
    assert_eq!(get(&endpoint).await.unwrap().body(), "0123456789");
    assert!(began.elapsed() >= Duration::from_millis(200));

    endpoint.then_always(Reply::new(200).body("0123456789").cut(4));
    get(&endpoint).await.unwrap_err();
    endpoint.then_always(Reply::lost());
    get(&endpoint).await.unwrap_err();
    for silent in [
        Reply::never(),
        Reply::unread(),
        Reply::new(200).body("0123456789").stalled(4),
    ] {
        endpoint.then_always(silent);
        let waited = tokio::time::timeout(Duration::from_millis(300), get(&endpoint)).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    let url = refused_url();
    let refused = send(Request::get(url).body(Bytes::new()).unwrap()).await;
    assert!(refused.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn connections_are_counted_while_they_are_there() {
    let endpoint = Endpoint::always(Reply::never()).await;
    let waiting = tokio::time::timeout(Duration::from_millis(300), get(&endpoint));
    let counting = async {
        while endpoint.open() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        endpoint.open()
    };
    let (waited, open) = tokio::join!(waiting, counting);
    assert!(waited.is_err() && open == 1);
    let until = Instant::now() + Duration::from_secs(10);
    while endpoint.open() > 0 {
        assert!(Instant::now() < until, "a connection outlives its client");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_lost_answer_had_its_effect() {
    let real = Endpoint::always(Reply::new(201)).await;
    let between = Endpoint::always(Reply::forwarded(real.address())).await;
    assert_eq!(put(&between, "one", true).await.unwrap().status(), 201);
    between.then_always(Reply::forwarded_but_lost(real.address()));
    put(&between, "two", true).await.unwrap_err();
    let bodies: Vec<_> = real.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["one", "two"]);
    assert_eq!(real.seen()[0].header("host"), between.address().to_string());
}

#[tokio::test]
async fn faults_speak_the_provider_s_language() {
    let endpoint = Endpoint::always(Dialect::S3.fault(Fault::SlowDown)).await;
    let answer = get(&endpoint).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(answer.headers()["x-amz-request-id"], REQUEST_ID);
    assert!(String::from_utf8_lossy(answer.body()).contains("<Code>SlowDown</Code>"));

    endpoint.then_always(Dialect::Azure.fault(Fault::NoSuchContainer));
    let answer = get(&endpoint).await.unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            &answer.headers()["x-ms-error-code"]
        ),
        (404, &"ContainerNotFound".parse().unwrap())
    );

    endpoint.then_always(Dialect::Plain.fault(Fault::Full));
    let answer = get(&endpoint).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (507, 0));

    endpoint.then_always(Dialect::Gcs.part("345", 3, 10));
    let answer = get(&endpoint).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-range"]),
        (206, &"bytes 3-5/10".parse().unwrap())
    );
}
