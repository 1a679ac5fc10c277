//! A hostile WebDAV server, or what stands between it and us.

use crate::rig::{Ask, End, Judged, Limits, Mode, SECRET, Script, always, run_all, script};
use holdall::ErrorKind as K;
use holdall_conformance::wire::{Reply, Seen};
use serde_json::json;
use std::time::Duration;

const NOW: Duration = Duration::ZERO;

/// What a captive portal answers to everything.
fn login() -> Reply {
    Reply::new(200)
        .header("content-type", "text/html; charset=utf-8")
        .body("<!DOCTYPE html><html><body>please log in</body></html>")
}

fn multistatus(members: &str) -> Reply {
    Reply::new(207)
        .header("content-type", "application/xml")
        .body(format!(
            r#"<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{members}</d:multistatus>"#
        ))
}

fn member(href: &str, size: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype/><d:getcontentlength>{size}</d:getcontentlength><d:getlastmodified>Thu, 01 Jan 2026 00:00:00 GMT</d:getlastmodified></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

fn folder(href: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

/// The folder of the objects with these members, and nothing at any other place.
fn listing(seen: &Seen, members: &str) -> Reply {
    let own = folder("/dav/objects/");
    match seen.target.as_str() {
        "/dav/objects/" | "/dav/objects" => multistatus(&format!("{own}{members}")),
        _ => Reply::new(404),
    }
}

/// An honest server of one object `k` of five bytes, in which `but` answers first.
fn honest_but(but: impl Fn(&Seen) -> Option<Reply> + Send + 'static) -> Script {
    script(move |seen| {
        if let Some(reply) = but(seen) {
            return reply;
        }
        match (seen.method.as_str(), seen.target.as_str()) {
            ("PROPFIND", "/dav/objects/k") => multistatus(&member("/dav/objects/k", "5")),
            ("PROPFIND", "/dav/objects/") => listing(seen, &member("/dav/objects/k", "5")),
            ("PROPFIND" | "GET", _) if seen.target != "/dav/objects/k" => Reply::new(404),
            ("GET", _) => Reply::new(200)
                .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
                .body("bytes"),
            ("PUT" | "MOVE" | "COPY" | "MKCOL" | "PROPPATCH", _) => Reply::new(201),
            ("DELETE", _) => Reply::new(204),
            _ => Reply::new(405),
        }
    })
}

fn of(method: &'static str, reply: impl Fn() -> Reply + Send + 'static) -> Script {
    honest_but(move |seen| (seen.method == method).then(&reply))
}

fn members(members: &[String]) -> Script {
    let members = members.concat();
    honest_but(move |seen| (seen.method == "PROPFIND").then(|| listing(seen, &members)))
}

fn many_members() -> String {
    (0..1000)
        .map(|name| member(&format!("/dav/objects/{name:08}"), "1"))
        .collect()
}

fn redirecting(status: u16, elsewhere: &str) -> Script {
    always(Reply::new(status).header(
        "location",
        &format!("{elsewhere}/dav/objects/k?token={SECRET}"),
    ))
}

use End::{Fails, FailsAs, Gives};

const MODES: &[Mode] = modes! {
    // The modes that prove the rig: an honest server.
    "honest, get", Get, Gives("bytes"), |_| honest_but(|_| None);
    "honest, put", Put, Gives("stored"), |_| honest_but(|_| None);
    "honest, delete", Delete, Gives("deleted"), |_| honest_but(|_| None);
    "honest, copy", Copy, Gives("copied"), |_| honest_but(|_| None);
    "honest, list", List, Gives("k"), |_| honest_but(|_| None);

    // Row 50: a success without the proof of the method.
    "login page for everything, put", Put, Fails(K::Unavailable), |_| always(login());
    "login page for everything, get", Get, Fails(K::Unavailable), |_| always(login());
    "login page for everything, range", GetRange, Fails(K::Unavailable), |_| always(login());
    "login page for everything, head", Head, Fails(K::Unavailable), |_| always(login());
    "login page for everything, list", List, Fails(K::Unavailable), |_| always(login());
    "login page for everything, delete", Delete, Fails(K::Unavailable), |_| always(login());
    "login page for everything, copy", Copy, Fails(K::Unavailable), |_| always(login());
    "login page with a date, get", Get, Fails(K::Unavailable), |_| always(
        login().header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"));
    "login page for PUT", Put, Fails(K::Unavailable), |_| of("PUT", login);
    "login page for MOVE", Put, Fails(K::Unavailable), |_| of("MOVE", login);
    "login page for DELETE", Delete, Fails(K::Unavailable), |_| of("DELETE", login);
    "login page for GET in a copy", Copy, Fails(K::Unavailable), |_| of("GET", login);
    "PUT answered by an empty 200", Put, Fails(K::Unavailable), |_| of("PUT", || Reply::new(200));
    "MOVE answered by an empty 200", Put, Fails(K::Unavailable), |_| of("MOVE", || Reply::new(200));
    "MOVE accepted and not done", Put, Fails(K::Unavailable), |_| of("MOVE", || Reply::new(202));
    "MOVE that failed in part", Put, Fails(K::Unavailable), |_| of("MOVE", || multistatus(
        "<d:response><d:href>/dav/objects/k</d:href><d:status>HTTP/1.1 423 Locked</d:status></d:response>"));
    "DELETE accepted and not done", Delete, Fails(K::Unavailable), |_| of("DELETE", || Reply::new(202));
    "DELETE done by its status only", Delete, Fails(K::Unavailable), |_| of("DELETE", || Reply::new(200));
    "a page longer than the object", Get, FailsAs(&[K::Unavailable, K::Conflict]), |_| of("GET", || Reply::new(200).header("content-type", "text/html").header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT").body("x".repeat(100)));
    "a chunked answer longer than the object", Get, Fails(K::Unavailable), |_| of("GET", || Reply::new(200).header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT").body("more").endless("bytes", NOW));

    // Row 58: members that cannot be listed.
    "a negative size", List, Gives("k 1 left out"), |_| members(&[member("/dav/objects/a", "-1"), member("/dav/objects/k", "5")]);
    "a size of 20 digits", List, Gives("k 1 left out"), |_| members(&[member("/dav/objects/a", "99999999999999999999"), member("/dav/objects/k", "5")]);
    "a size that is a word", List, Gives("k 1 left out"), |_| members(&[member("/dav/objects/a", "many"), member("/dav/objects/k", "5")]);
    "a member of status 403", List, Gives("k 1 left out"), |_| members(&[
        "<d:response><d:href>/dav/objects/a</d:href><d:status>HTTP/1.1 403 Forbidden</d:status></d:response>".to_owned(),
        member("/dav/objects/k", "5")]);
    "a size of status 403", List, Gives("k 1 left out"), |_| members(&[
        member("/dav/objects/a", "5").replace("200 OK", "403 Forbidden"), member("/dav/objects/k", "5")]);
    "a name that is not UTF-8", List, Gives("k 1 left out"), |_| members(&[member("/dav/objects/%FF", "1"), member("/dav/objects/k", "5")]);
    "a name of a control character", List, Gives("k 1 left out"), |_| members(&[member("/dav/objects/a%01", "1"), member("/dav/objects/k", "5")]);
    "the folder above as a member", List, Gives("k 1 left out"), |_| members(&[member("/dav/objects/..", "1"), member("/dav/objects/k", "5")]);
    "a member outside the folder", List, Fails(K::ConfigInvalid), |_| members(&[member("/etc/passwd", "1")]);
    "a member on another server", List, Fails(K::ConfigInvalid), |elsewhere| members(&[member(&format!("{elsewhere}/x"), "1")]);
    "an object of a negative size", Head, Fails(K::Unavailable), |_| of("PROPFIND", || multistatus(&member("/dav/objects/k", "-1")));

    // Row 59: no end.
    "members without end", List, Fails(K::Timeout), |_| of("PROPFIND", || Reply::new(207).body(member("/dav/objects/k", "5").repeat(64)).endless(r#"<d:multistatus xmlns:d="DAV:">"#, NOW));
    "new members without end", List, Fails(K::Timeout), |_| of("PROPFIND", || Reply::new(207).body(many_members()).endless(r#"<d:multistatus xmlns:d="DAV:">"#, NOW));
    "a listing at one byte a second", List, Fails(K::Timeout), |_| of("PROPFIND", || multistatus(&member("/dav/objects/k", "5")).slowly(1, Duration::from_secs(1)));
    "a listing that stops", List, Fails(K::Timeout), |_| of("PROPFIND", || multistatus(&member("/dav/objects/k", "5")).stalled(60));
    "a listing that is cut", List, Fails(K::Unavailable), |_| of("PROPFIND", || multistatus(&member("/dav/objects/k", "5")).cut(60));
    "folders in folders without end", List, Gives("1 left out"), |_| script(|seen| {
        let own = seen.target.clone();
        multistatus(&format!("{}{}", folder(&own), folder(&format!("{own}a/"))))
    });
    "an entity bomb", List, Fails(K::Unavailable), |_| of("PROPFIND", || Reply::new(207).body(format!(
        r#"<!DOCTYPE a [<!ENTITY b "{}">]><d:multistatus xmlns:d="DAV:"><d:response><d:href>&b;</d:href></d:response></d:multistatus>"#, "x".repeat(1000))));
    "elements nested without end", List, Fails(K::Unavailable), |_| of("PROPFIND", || multistatus(&"<a>".repeat(500_000)));
    "a name of two megabytes", List, Fails(K::Unavailable), |_| of("PROPFIND", || multistatus(&member(&"x".repeat(2 << 20), "1")));
    "an answer about nothing", Head, Fails(K::Unavailable), |_| of("PROPFIND", || multistatus(""));
    "an answer that is no XML", Head, Fails(K::Unavailable), |_| of("PROPFIND", || Reply::new(207).body("not XML"));

    // Row 54: texts without a bound.
    "an endless 403", Get, Fails(K::PermissionDenied), |_| of("GET", || Reply::new(403).body("x".repeat(64 << 10)).endless("<d:error>", NOW));
    "an endless 403 to PROPFIND", List, Fails(K::PermissionDenied), |_| of("PROPFIND", || Reply::new(403).body("x".repeat(64 << 10)).endless("<d:error>", NOW));
    "an endless 201 to a PUT", Put, Gives("stored"), |_| of("PUT", || Reply::new(201).body("x".repeat(64 << 10)).endless("", NOW));
    "a code of 7 KB", Get, Fails(K::PermissionDenied), |_| of("GET", || Reply::new(403).body(format!(r#"<d:error xmlns:d="DAV:"><d:{}/></d:error>"#, "x".repeat(7000))));
    "a request id of 8 KB, to a GET", Get, Fails(K::PermissionDenied), |_| of("GET", || Reply::new(403).header("x-request-id", &"x".repeat(8 << 10)));

    // Row 60 and credentials: redirects are named and not followed.
    "a redirect of a GET", Get, Fails(K::ConfigInvalid), |elsewhere| redirecting(302, elsewhere);
    "a redirect of PROPFIND", List, Fails(K::ConfigInvalid), |elsewhere| redirecting(301, elsewhere);
    "a redirect of a PUT", Put, Fails(K::ConfigInvalid), |elsewhere| redirecting(307, elsewhere);
    "a redirect of a DELETE", Delete, Fails(K::ConfigInvalid), |elsewhere| redirecting(308, elsewhere);
    "a redirect of a MOVE", Put, Fails(K::ConfigInvalid), |elsewhere| {
        let reply = Reply::new(307).header("location", &format!("{elsewhere}/dav/objects/k?token={SECRET}"));
        of("MOVE", move || reply.clone())
    };

    // Other lies.
    "a MOVE that is locked", Put, Fails(K::Conflict), |_| of("MOVE", || Reply::new(423));
    "a quota", Put, Fails(K::QuotaExceeded), |_| of("PUT", || Reply::new(507).body(r#"<d:error xmlns:d="DAV:"><d:quota-not-exceeded/></d:error>"#));
    "a full disk", Put, Fails(K::QuotaExceeded), |_| of("PUT", || Reply::new(507));
    "a reader that does not read", PutLarge, Fails(K::Timeout), |_| of("PUT", Reply::unread);
    "no answer", Get, Fails(K::Timeout), |_| always(Reply::never());
    "a connection that ends", Put, Fails(K::Unavailable), |_| always(Reply::lost());
    "a wait of ten years", Put, Fails(K::RateLimited), |_| of("PUT", || Reply::new(429).header("retry-after", "315360000"));
    "a status of 999", Get, FailsAs(&[K::Other, K::Unavailable]), |_| of("GET", || Reply::new(999));
    "another part than asked for", GetRange, Fails(K::Unavailable), |_| of("GET", || Reply::new(206).header("content-range", "bytes 3-4/5").body("xy"));
    "a part without saying which", GetRange, Fails(K::Unavailable), |_| of("GET", || Reply::new(206).body("yt"));
    "an object that is cut", Get, Fails(K::Unavailable), |_| of("GET", || Reply::new(200).body("bytes").cut(2));
    "an object that stops", Get, Fails(K::Timeout), |_| of("GET", || Reply::new(200).body("bytes").stalled(2));
};

/// Whether a request stays in the folder.
fn inside(seen: &Seen) -> bool {
    let target = seen.header("destination");
    let target = target.find("/dav/").map_or(target, |at| &target[at..]);
    let is_ours = |path: &str| path.starts_with("/dav/") && !path.contains("..");
    is_ours(&seen.target) && (target.is_empty() || is_ours(target))
}

#[test]
fn every_mode_ends_as_it_must() {
    let config = |url: &str, limits: Limits| {
        json!({
            "url": format!("{url}/dav/"),
            "username": "user",
            "password": SECRET,
            "create": false,
            "probe": false,
            "timeout_seconds": limits.wait.as_secs(),
            "stale_after_seconds": 0,
        })
    };
    run_all("webdav", MODES, Judged::Ends, config, inside);
}

/// The client of OpenDAL, which is not ours: bounds, places and secrets hold.
#[test]
#[ignore = "needs the plugin opendal: scripts/hostile-servers"]
fn opendal_is_bounded() {
    let config = |url: &str, _: Limits| {
        json!({ "service": { "webdav": {
            "endpoint": format!("{url}/dav/objects/"),
            "username": "user",
            "password": SECRET,
        } }, "connect_timeout_ms": 1000, "idle_timeout_ms": 1000 })
    };
    run_all("opendal", MODES, Judged::Bounds, config, inside);
}
