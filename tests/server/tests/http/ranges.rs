//! Ranges: RFC 9110, 14.

use holdall_server_tests::Served;

/// Status, `Content-Range` and body for each `Range` of an object of ten bytes.
const TEN: &[(&str, u16, &str, &str)] = &[
    ("bytes=0-0", 206, "bytes 0-0/10", "0"),
    ("bytes=0-4", 206, "bytes 0-4/10", "01234"),
    ("bytes=9-9", 206, "bytes 9-9/10", "9"),
    ("bytes=3-", 206, "bytes 3-9/10", "3456789"),
    ("bytes=0-", 206, "bytes 0-9/10", "0123456789"),
    ("bytes=-3", 206, "bytes 7-9/10", "789"),
    ("bytes=-10", 206, "bytes 0-9/10", "0123456789"),
    // A last byte past the end is cut to it, however large.
    ("bytes=5-10", 206, "bytes 5-9/10", "56789"),
    ("bytes=5-18446744073709551615", 206, "bytes 5-9/10", "56789"),
    (
        "bytes=5-99999999999999999999999",
        206,
        "bytes 5-9/10",
        "56789",
    ),
    (
        "bytes=-99999999999999999999999",
        206,
        "bytes 0-9/10",
        "0123456789",
    ),
    ("BYTES=1-2", 206, "bytes 1-2/10", "12"),
    // A first byte past the end cannot be satisfied, nor can the last nothing.
    ("bytes=10-", 416, "bytes */10", ""),
    ("bytes=10-20", 416, "bytes */10", ""),
    ("bytes=99999999999999999999999-", 416, "bytes */10", ""),
    ("bytes=-0", 416, "bytes */10", ""),
    // Another unit, several ranges and what is no range are ignored.
    ("items=0-4", 200, "", "0123456789"),
    ("bytes=0-1,4-5", 200, "", "0123456789"),
    ("bytes=4-3", 200, "", "0123456789"),
    ("bytes=a-b", 200, "", "0123456789"),
    ("bytes=-", 200, "", "0123456789"),
    ("nonsense", 200, "", "0123456789"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_range_of_ten_bytes() {
    let server = Served::start().await;
    server.put("/v1/local/ten", "0123456789").await;
    server.put("/v1/memory/ten", "0123456789").await;
    // `faults` claims nothing: the server counts the last bytes itself.
    for backend in ["local", "memory", "faults"] {
        let path = format!("/v1/{backend}/ten");
        for (range, status, content_range, body) in TEN {
            let answer = server.send("GET", &path, &[("range", range)], "").await;
            let what = format!("{range} of {backend}: {answer:?}");
            assert_eq!(answer.code(), *status, "{what}");
            assert_eq!(answer.header("content-range"), *content_range, "{what}");
            if *status == 416 {
                assert_eq!(answer.json()["code"], "invalid_range", "{what}");
                assert_eq!(answer.json()["size"], 10, "{what}");
            } else {
                assert_eq!(answer.text(), *body, "{what}");
                assert_eq!(
                    answer.header("content-length"),
                    body.len().to_string(),
                    "{what}"
                );
            }
            let head = server.send("HEAD", &path, &[("range", range)], "").await;
            assert_eq!(
                (head.code(), head.header("content-length")),
                (200, "10"),
                "{what}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_has_no_range_to_give() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/empty");
        server.put(&path, "").await;
        for (range, status) in [
            ("bytes=0-", 416),
            ("bytes=0-0", 416),
            ("bytes=-1", 200),
            ("bytes=-0", 416),
        ] {
            let answer = server.send("GET", &path, &[("range", range)], "").await;
            assert_eq!(answer.code(), status, "{range} of {backend}: {answer:?}");
            let expected = if status == 416 { "bytes */0" } else { "" };
            assert_eq!(answer.header("content-range"), expected);
        }
        let whole = server.get(&path).await;
        assert_eq!(
            (whole.code(), whole.text(), whole.header("content-length")),
            (200, "", "0")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_object_is_404_whatever_the_range() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        for range in ["bytes=0-1", "bytes=-1", "bytes=-0", "bytes=9-"] {
            let path = format!("/v1/{backend}/missing");
            let answer = server.send("GET", &path, &[("range", range)], "").await;
            assert_eq!(answer.code(), 404, "{range}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_come_before_the_range_and_if_range_decides_about_it() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/ten");
        let put = server.put(&path, "0123456789").await;
        let etag = put.header("etag").to_owned();
        let head = server.send("HEAD", &path, &[], "").await;
        let date = head.header("last-modified").to_owned();
        let table: &[(&[(&str, &str)], u16)] = &[
            (&[("if-range", &etag), ("range", "bytes=1-2")], 206),
            (&[("if-range", "\"other\""), ("range", "bytes=1-2")], 200),
            (
                &[("if-range", &format!("W/{etag}")), ("range", "bytes=1-2")],
                200,
            ),
            // A date is weak: two objects of one second have the same.
            (&[("if-range", &date), ("range", "bytes=1-2")], 200),
            (
                &[
                    ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("range", "bytes=1-2"),
                ],
                200,
            ),
            // Ignored, so it cannot fail either.
            (&[("if-range", "\"other\""), ("range", "bytes=99-")], 200),
            (&[("if-range", &etag), ("range", "bytes=99-")], 416),
            (&[("if-none-match", &etag), ("range", "bytes=1-2")], 304),
            (&[("if-none-match", &etag), ("range", "bytes=99-")], 304),
            (&[("if-match", "\"other\""), ("range", "bytes=1-2")], 412),
            (&[("if-match", "\"other\""), ("range", "bytes=99-")], 412),
            (&[("if-match", &etag), ("range", "bytes=1-2")], 206),
        ];
        for (headers, status) in table {
            let answer = server.send("GET", &path, headers, "").await;
            assert_eq!(answer.code(), *status, "{headers:?}: {answer:?}");
        }
    }
}
