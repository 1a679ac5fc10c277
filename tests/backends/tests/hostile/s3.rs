//! A hostile S3 server, or what stands between it and us.

use crate::rig::{Ask, End, Judged, Limits, Mode, SECRET, Script, always, run_all, script};
use holdall::ErrorKind as K;
use holdall_conformance::wire::{Dialect, Fault, Reply, Seen};
use serde_json::json;
use std::time::Duration;

use End::{Fails, FailsAs, Gives, Within};

const NOW: Duration = Duration::ZERO;

fn document(text: &str) -> Reply {
    Reply::new(200)
        .header("content-type", "application/xml")
        .body(format!("<?xml version=\"1.0\"?>{text}"))
}

fn login() -> Reply {
    Reply::new(200)
        .header("content-type", "text/html; charset=utf-8")
        .body("<!DOCTYPE html><html><body>please log in</body></html>")
}

fn entry(key: &str, size: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>{size}</Size></Contents>"
    )
}

fn entries(keys: &[&str]) -> String {
    keys.iter().map(|key| entry(key, "1")).collect()
}

fn page(inner: &str) -> Reply {
    document(&format!("<ListBucketResult>{inner}</ListBucketResult>"))
}

/// A page, and the token of the next one.
fn page_then(keys: &[&str], token: &str) -> Reply {
    page(&format!(
        "{}<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>",
        entries(keys)
    ))
}

fn is_list(seen: &Seen) -> bool {
    seen.target.contains("list-type=2")
}

/// An honest bucket of one object `k` of five bytes, in which `but` answers first.
fn honest_but(mut but: impl FnMut(&Seen) -> Option<Reply> + Send + 'static) -> Script {
    script(move |seen| {
        if let Some(reply) = but(seen) {
            return reply;
        }
        let path = seen.target.split('?').next().unwrap_or_default();
        match seen.method.as_str() {
            "GET" if is_list(seen) => page(&entries(&["k"])),
            "GET" if seen.target.contains("uploads") => {
                document("<ListMultipartUploadsResult></ListMultipartUploadsResult>")
            }
            "GET" | "HEAD" if path == "/bucket/k" => Dialect::S3.object("bytes"),
            "GET" | "HEAD" => Dialect::S3.fault(Fault::NoSuchKey),
            "PUT" if !seen.header("x-amz-copy-source").is_empty() => document(
                "<CopyObjectResult><ETag>&quot;e&quot;</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></CopyObjectResult>",
            ),
            "PUT" => Dialect::S3.stored(),
            "POST" if seen.target.contains("uploads") => document(
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
            ),
            "POST" if seen.target.contains("uploadId") => document(
                "<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>",
            ),
            "POST" if seen.target.contains("delete") => document("<DeleteResult></DeleteResult>"),
            "DELETE" => Reply::new(204),
            _ => Reply::new(405),
        }
    })
}

fn listing(reply: impl Fn() -> Reply + Send + 'static) -> Script {
    honest_but(move |seen| is_list(seen).then(&reply))
}

fn of(method: &'static str, reply: impl Fn() -> Reply + Send + 'static) -> Script {
    honest_but(move |seen| (seen.method == method).then(&reply))
}

/// The first page, and to each token the page of this number.
fn pages(pages: Vec<Reply>) -> Script {
    honest_but(move |seen| {
        is_list(seen).then(|| {
            let (_, after) = seen
                .target
                .split_once("continuation-token=")
                .unwrap_or_default();
            let number = after.split('&').next().unwrap_or_default();
            pages[number.parse().unwrap_or(0)].clone()
        })
    })
}

fn denied_with(body: String) -> Reply {
    Reply::new(403)
        .header("content-type", "application/xml")
        .body(body)
}

fn bomb() -> String {
    let mut text = String::from("<!DOCTYPE l [<!ENTITY l0 \"lol\">");
    for level in 1..12 {
        let inner = format!("&l{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY l{level} \"{inner}\">"));
    }
    text + "]><ListBucketResult><Contents><Key>&l11;</Key></Contents></ListBucketResult>"
}

const MODES: &[Mode] = modes! {
    // The modes that prove the rig: an honest server.
    "honest, get", Get, Gives("bytes"), |_| honest_but(|_| None);
    "honest, put", Put, Gives("stored"), |_| honest_but(|_| None);
    "honest, put in parts", PutLarge, Gives("stored"), |_| honest_but(|_| None);
    "honest, copy", Copy, Gives("copied"), |_| honest_but(|_| None);
    "honest, delete many", DeleteMany, Gives("deleted deleted"), |_| honest_but(|_| None);
    "honest, list", List, Gives("k"), |_| honest_but(|_| None);
    "honest, two pages", ListAll, Gives("a b; c"), |_| pages(vec![page_then(&["a", "b"], "1"), page(&entries(&["c"]))]);

    // Row 51: contradictory pages.
    "truncated without a token", List, Fails(K::Unavailable), |_| listing(|| page(&format!("{}<IsTruncated>true</IsTruncated>", entries(&["a"]))));
    "truncated with an empty token", List, Fails(K::Unavailable), |_| listing(|| page("<IsTruncated>true</IsTruncated><NextContinuationToken/>"));
    "more entries than were asked for", List, Fails(K::Unavailable), |_| listing(|| {
        let keys: String = (0..1001).map(|key| entry(&format!("{key:05}"), "1")).collect();
        page(&keys)
    });
    "a page of another document", List, Fails(K::Unavailable), |_| listing(|| document("<ListAllMyBucketsResult/>"));
    "a page in JSON", List, Fails(K::Unavailable), |_| listing(|| Reply::new(200).body("{}"));
    "an empty page of no bytes", List, Fails(K::Unavailable), |_| listing(|| Reply::new(200));
    "half a page", List, Fails(K::Unavailable), |_| listing(|| document("<ListBucketResult><Contents><Key>a"));

    // Row 52: keys that XML cannot carry.
    "a key of a control character", List, Gives("k 1 left out"), |_| listing(|| page(&entries(&["&#1;", "k"])));
    "a key of NUL", List, Gives("k 1 left out"), |_| listing(|| page(&entries(&["&#0;", "k"])));
    "a key that is not UTF-8, encoded", List, Gives("k 1 left out"), |_| listing(|| page(&format!("<EncodingType>url</EncodingType>{}", entries(&["a%FF", "k"]))));
    "a key of U+FFFE, encoded", List, Gives("a\u{fffe} k"), |_| listing(|| page(&format!("<EncodingType>url</EncodingType>{}", entries(&["a%EF%BF%BE", "k"]))));
    "keys that lead out", List, Gives("k 3 left out"), |_| listing(|| page(&entries(&["../x", "/etc/passwd", "k", "k/../../x"])));
    "placeholders", List, Gives("k 2 left out"), |_| listing(|| page(&entries(&["a/", "a//b", "k"])));
    "a group that leads out", ListGroups, Gives("k 1 left out"), |_| listing(|| page(&format!("{}<CommonPrefixes><Prefix>../</Prefix></CommonPrefixes>", entries(&["k"]))));

    // Row 55: order.
    "a page that goes backwards", List, Fails(K::Unavailable), |_| listing(|| page(&entries(&["b", "a"])));
    "a page that repeats a key", List, Fails(K::Unavailable), |_| listing(|| page(&entries(&["a", "a"])));
    "pages that go backwards", ListAll, Fails(K::Unavailable), |_| pages(vec![page_then(&["b", "c"], "1"), page(&entries(&["a"]))]);
    "pages that repeat a key", ListAll, Fails(K::Unavailable), |_| pages(vec![page_then(&["a", "b"], "1"), page(&entries(&["b", "c"]))]);
    "the same page again and again", ListAll, Fails(K::Unavailable), |_| {
        let mut count = 0;
        honest_but(move |seen| is_list(seen).then(|| { count += 1; page_then(&["a"], &format!("t{count}")) }))
    };
    "two tokens in a circle", ListAll, FailsAs(&[K::Unavailable, K::PluginFault]), |_| pages(vec![page_then(&["a"], "1"), page_then(&["b"], "2"), page_then(&["a"], "1")]);

    // Row 57: a copy without its result.
    "a copy answered by nothing", Copy, Fails(K::Unavailable), |_| of("PUT", || Reply::new(200));
    "a copy answered by another document", Copy, Fails(K::Unavailable), |_| of("PUT", || document("<ListBucketResult/>"));
    "a copy answered by an error with status 200", Copy, Fails(K::Unavailable), |_| of("PUT", || document("<Error><Code>InternalError</Code></Error>"));
    "a copy answered by a login page", Copy, Fails(K::Unavailable), |_| of("PUT", login);

    // Row 58: absurd sizes.
    "a negative size", List, Gives("k 1 left out"), |_| listing(|| page(&format!("{}{}", entry("a", "-1"), entry("k", "1"))));
    "a size of 20 digits", List, Gives("k 1 left out"), |_| listing(|| page(&format!("{}{}", entry("a", "99999999999999999999"), entry("k", "1"))));
    "an entry without a size", List, Gives("k 1 left out"), |_| listing(|| page(&format!("<Contents><Key>a</Key><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>{}", entry("k", "1"))));
    "an entry of no known time", List, Gives("k 1 left out"), |_| listing(|| page(&format!("{}{}", entry("a", "1").replace("2026-01", "2026-77"), entry("k", "1"))));

    // Row 59: no end.
    // Bounds that count: a slow machine changes nothing.
    "empty pages without end", List, Within(K::Unavailable, 1000, 1), |_| {
        let mut count = 0;
        listing_of(move || { count += 1; page_then(&[], &format!("t{count}")) })
    };
    "empty pages with one token", List, Fails(K::Unavailable), |_| listing(|| page_then(&[], "t"));
    "a page without end", List, Within(K::Unavailable, 2, 40), |_| listing(|| Reply::new(200).body(entry("a", "1").repeat(64)).endless("<ListBucketResult>", NOW));
    "a page at one byte a second", List, Fails(K::Timeout), |_| listing(|| page(&entries(&["a"])).slowly(1, Duration::from_secs(1)));
    "a page that stops", List, Fails(K::Timeout), |_| listing(|| page(&entries(&["a"])).stalled(40));
    "an entity bomb", List, Fails(K::Unavailable), |_| listing(|| document(&bomb()));
    "elements nested without end", List, Fails(K::Unavailable), |_| listing(|| document(&format!("<ListBucketResult>{}", "<a>".repeat(500_000))));
    "attributes without end", List, Fails(K::Unavailable), |_| listing(|| document(&format!("<ListBucketResult {}", "a='b' ".repeat(1_000_000))));
    "a key of a megabyte", List, Gives("k 1 left out"), |_| listing(|| page(&format!("{}{}", entry(&"a".repeat(1 << 20), "1"), entry("k", "1"))));

    // Row 54: texts without a bound.
    "an error of 5 MB", Get, Fails(K::PermissionDenied), |_| of("GET", || denied_with(format!("<Error><Code>AccessDenied</Code><Message>{}", "x".repeat(5 << 20))));
    "a code of 100 KB", Get, Fails(K::PermissionDenied), |_| of("GET", || denied_with(format!("<Error><Code>{}</Code></Error>", "x".repeat(100 << 10))));
    "an endless 403", Get, Fails(K::PermissionDenied), |_| of("GET", || Reply::new(403).body("x".repeat(64 << 10)).endless("<Error><Code>AccessDenied</Code>", NOW));
    "an endless 403 to a PUT", Put, Fails(K::PermissionDenied), |_| of("PUT", || Reply::new(403).body("x".repeat(64 << 10)).endless("<Error><Code>AccessDenied</Code>", NOW));
    "an endless 403 to a listing", List, Fails(K::PermissionDenied), |_| listing(|| Reply::new(403).body("x".repeat(64 << 10)).endless("<Error><Code>AccessDenied</Code>", NOW));
    "an endless 503", Get, FailsAs(&[K::Unavailable, K::RateLimited]), |_| of("GET", || Reply::new(503).body("x".repeat(64 << 10)).endless("", NOW));
    "a request id of 8 KB", Get, Fails(K::PermissionDenied), |_| of("GET", || Reply::new(403).header("x-amz-request-id", &"x".repeat(8 << 10)).body("<Error><Code>AccessDenied</Code></Error>"));
    "a copy with an endless error of status 200", Copy, Within(K::Unavailable, 2, 40), |_| of("PUT", || Reply::new(200).body("x".repeat(64 << 10)).endless("<Error><Code>InternalError</Code><Message>", NOW));

    // Row 60 and credentials: redirects are named and not followed.
    "a redirect of a GET", Get, Fails(K::ConfigInvalid), |elsewhere| redirecting(307, elsewhere);
    "a permanent redirect", Head, Fails(K::ConfigInvalid), |elsewhere| redirecting(301, elsewhere);
    "a redirect of a PUT", Put, Fails(K::ConfigInvalid), |elsewhere| redirecting(307, elsewhere);
    "a redirect of a listing", List, Fails(K::ConfigInvalid), |elsewhere| redirecting(302, elsewhere);
    "a redirect of a copy", Copy, Fails(K::ConfigInvalid), |elsewhere| redirecting(308, elsewhere);
    "a redirect of a delete", Delete, Fails(K::ConfigInvalid), |elsewhere| redirecting(307, elsewhere);
    "a redirect without a target", Get, Fails(K::ConfigInvalid), |_| of("GET", || Reply::new(302));

    // Lies.
    "login page for everything, get", Get, Fails(K::Unavailable), |_| always(login());
    "login page for everything, put", Put, Fails(K::Unavailable), |_| always(login());
    "login page for everything, head", Head, Fails(K::Unavailable), |_| always(login());
    "login page for everything, delete", Delete, Fails(K::Unavailable), |_| always(login());
    "login page for everything, delete many", DeleteMany, Fails(K::Unavailable), |_| always(login());
    "login page for everything, list", List, Fails(K::Unavailable), |_| always(login());
    "a completion answered by an error with status 200", PutLarge, FailsAs(&[K::Unavailable, K::Conflict]), |_| honest_but(|seen| {
        (seen.method == "POST" && seen.target.contains("uploadId")).then(|| document("<Error><Code>InvalidPart</Code></Error>"))
    });
    "a completion answered by nothing", PutLarge, Fails(K::Unavailable), |_| honest_but(|seen| {
        (seen.method == "POST" && seen.target.contains("uploadId")).then(|| Reply::new(200))
    });
    "parts without etags", PutLarge, FailsAs(&[K::Unavailable, K::Other]), |_| honest_but(|seen| {
        (seen.method == "PUT" && seen.target.contains("partNumber")).then(|| Reply::new(200))
    });
    "a PUT without an etag", Put, FailsAs(&[K::Unavailable, K::Other]), |_| of("PUT", || Reply::new(200));
    "a batch with a failure of another key", DeleteMany, Fails(K::Unavailable), |_| of("POST", || document("<DeleteResult><Error><Key>zzz</Key><Code>AccessDenied</Code></Error></DeleteResult>"));
    "a batch answered by nothing", DeleteMany, Fails(K::Unavailable), |_| of("POST", || Reply::new(200));
    "another part than asked for", GetRange, Fails(K::Unavailable), |_| of("GET", || Dialect::S3.part("xy", 3, 5));
    "the whole object for a part", GetRange, Fails(K::Unavailable), |_| of("GET", || Dialect::S3.object("bytes"));
    "an object that is cut", Get, Fails(K::Unavailable), |_| of("GET", || Dialect::S3.object("bytes").cut(2));
    // The time-out of the first answer, or the wrong answer to the repeat from the third byte.
    "an object that stops", Get, FailsAs(&[K::Timeout, K::Unavailable]), |_| of("GET", || Dialect::S3.object("bytes").stalled(2));
    "no answer", Get, Fails(K::Timeout), |_| always(Reply::never());
    "a connection that ends", Put, Fails(K::Unavailable), |_| always(Reply::lost());
    "a reader that does not read", PutLarge, Fails(K::Timeout), |_| honest_but(|seen| (seen.method == "PUT").then(Reply::unread));
    "a quota", Put, Fails(K::QuotaExceeded), |_| of("PUT", || denied_with("<Error><Code>QuotaExceeded</Code></Error>".to_owned()));
    "a full store", Put, Fails(K::QuotaExceeded), |_| of("PUT", || Reply::new(507).body("<Error><Code>XMinioStorageFull</Code></Error>"));
    "a wait of ten years", Get, Fails(K::RateLimited), |_| of("GET", || Dialect::S3.fault(Fault::SlowDown).header("retry-after", "315360000"));
    "a status of 999", Get, FailsAs(&[K::Other, K::Unavailable]), |_| of("GET", || Reply::new(999));
};

fn listing_of(mut reply: impl FnMut() -> Reply + Send + 'static) -> Script {
    honest_but(move |seen| is_list(seen).then(&mut reply))
}

fn redirecting(status: u16, elsewhere: &str) -> Script {
    let location = format!("{elsewhere}/bucket/k?X-Amz-Signature={SECRET}");
    always(Reply::new(status).header("location", &location))
}

/// Whether a request stays in the bucket.
fn inside(seen: &Seen) -> bool {
    let path = seen.target.split('?').next().unwrap_or_default();
    let source = seen.header("x-amz-copy-source").trim_start_matches('/');
    let is_ours = path == "/bucket" || path.starts_with("/bucket/");
    let is_signed = seen.header("authorization").starts_with("AWS4-HMAC-SHA256");
    is_ours
        && is_signed
        && !path.contains("..")
        && (source.is_empty() || source.starts_with("bucket/"))
}

#[test]
fn every_mode_ends_as_it_must() {
    let config = |url: &str, limits: Limits| {
        json!({
            "bucket": "bucket",
            "endpoint": url,
            "access_key_id": "id",
            "secret_access_key": SECRET,
            "part_size_mib": 5,
            "retries": 1,
            "connect_timeout_seconds": 5,
            "answer_timeout_seconds": limits.wait.as_secs(),
            "idle_timeout_seconds": limits.wait.as_secs(),
        })
    };
    run_all("s3", MODES, Judged::Ends, config, inside);
}

/// The client of OpenDAL, which is not ours: bounds, places and secrets hold.
#[test]
#[ignore = "needs the plugin opendal: scripts/hostile-servers"]
fn opendal_is_bounded() {
    let config = |url: &str, _: Limits| {
        json!({ "service": { "s3": {
            "bucket": "bucket",
            "endpoint": url,
            "region": "us-east-1",
            "access_key_id": "id",
            "secret_access_key": SECRET,
        } }, "connect_timeout_ms": 1000, "idle_timeout_ms": 1000 })
    };
    run_all("opendal", MODES, Judged::Bounds, config, inside);
}
