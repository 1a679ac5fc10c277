//! Quotas of a server with a ledger: in SQLite; in PostgreSQL when HOLDALL_TEST_POSTGRES names a database
//! (`scripts/quotas`, which also sets the numbers of rounds).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::running::Running;
use crate::workdir::{Workdir, bytes, until};

const TENTH: usize = 10 << 10;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Rounds of a test: few, unless the variable says otherwise.
fn rounds(variable: &str, few: u64) -> u64 {
    std::env::var(variable).map_or(few, |text| text.parse().unwrap())
}

/// A backend with a quota of ten tenths for each owner.
struct Counted {
    workdir: Workdir,
    backend: String,
}

impl Counted {
    fn new() -> Self {
        let url = std::env::var("HOLDALL_TEST_POSTGRES");
        Self::with(&url.unwrap_or("sqlite:ledger.sqlite".to_owned()))
    }

    fn with(ledger: &str) -> Self {
        let workdir = Workdir::new();
        // In PostgreSQL all tests share one ledger.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let backend = format!("q{}-{number}", std::process::id());
        let quota = 10 * TENTH;
        let config = format!(
            r#"
            [backend.{backend}]
            plugin = "local"
            [backend.{backend}.config]
            root = "data"
            durability = "none"
            [backend.{backend}.policy]
            quota = {{ owner = {quota} }}
            [ledger]
            url = "{ledger}"
            [gateway]
            public_url = "https://files.example.org"
            keys = [{{ id = "1", secret = "a secret for tests only" }}]
            [server.anonymous]
            allow = ["read", "write", "delete", "list", "sign"]
            "#
        );
        workdir.write("holdall.toml", config);
        Self { workdir, backend }
    }

    fn serve(&self) -> Running {
        Running::start(&self.workdir, "--log off")
    }

    fn target(&self, key: &str) -> String {
        format!("/v1/{}/{key}", self.backend)
    }

    fn json(&self, server: &Running, query: &str) -> Value {
        let (status, body) = server.ask("GET", &format!("/v1/{}?{query}", self.backend), None, "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Used, reserved and objects of an owner, over HTTP.
    fn usage(&self, server: &Running) -> [u64; 3] {
        let answer = self.json(server, "quota");
        let rows = answer["usage"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{answer}");
        assert_eq!(rows[0]["scope"], "owner");
        assert_eq!(rows[0]["name"], "default");
        numbers(&rows[0])
    }

    /// Size by key.
    fn listing(&self, server: &Running) -> BTreeMap<String, u64> {
        let answer = self.json(server, "list&limit=1000");
        let entries = answer["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| {
                let key = entry["key"].as_str().unwrap().to_owned();
                (key, entry["size"].as_u64().unwrap())
            })
            .collect()
    }

    /// The ledger is the listing, and nothing is reserved.
    fn is_right(&self, server: &Running) {
        let listing = self.listing(server);
        let stored = [listing.values().sum(), 0, listing.len() as u64];
        assert_eq!(self.usage(server), stored);
    }

    /// What a reconciliation finds: added, removed, corrected, released, counters.
    fn reconcile(&self) -> [u64; 5] {
        let done = self.workdir.json("quota reconcile");
        ["added", "removed", "corrected", "released", "counters"]
            .map(|name| done[name].as_u64().unwrap())
    }
}

fn numbers(row: &Value) -> [u64; 3] {
    ["used", "reserved", "objects"].map(|name| row[name].as_u64().unwrap())
}

/// Twenty uploads of a tenth of the quota at once: ten are stored, again and again.
fn twenty_of_a_tenth(counted: &Counted, servers: &[Running]) {
    let body = "x".repeat(TENTH);
    for round in 0..rounds("HOLDALL_TEST_ROUNDS", 3) {
        let answers: Vec<(u16, String)> = thread::scope(|threads| {
            let uploads: Vec<_> = (0..20)
                .map(|at| {
                    let (body, server) = (&body, &servers[at % servers.len()]);
                    let target = counted.target(&format!("{round}-{at}"));
                    threads.spawn(move || server.ask("PUT", &target, None, body))
                })
                .collect();
            uploads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let stored = answers.iter().filter(|(status, _)| *status < 300).count();
        assert_eq!(stored, 10, "{answers:?}");
        for (status, body) in answers.iter().filter(|(status, _)| *status >= 300) {
            let problem: Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                (*status, &problem["code"]),
                (403, &"quota_exceeded".into()),
                "{problem}"
            );
        }
        for server in servers {
            assert_eq!(counted.usage(server), [10 * TENTH as u64, 0, 10]);
            counted.is_right(server);
        }
        for key in counted.listing(&servers[0]).keys() {
            let (status, body) = servers[0].ask("DELETE", &counted.target(key), None, "");
            assert_eq!(status, 204, "{body}");
        }
        assert_eq!(counted.usage(&servers[0]), [0, 0, 0]);
    }
    assert_eq!(counted.reconcile(), [0; 5]);
}

#[test]
fn of_twenty_uploads_of_a_tenth_ten_are_stored() {
    let counted = Counted::new();
    twenty_of_a_tenth(&counted, &[counted.serve()]);
}

#[test]
fn of_twenty_uploads_to_two_servers_ten_are_stored() {
    let counted = Counted::new();
    twenty_of_a_tenth(&counted, &[counted.serve(), counted.serve()]);
}

/// A server that is killed while it writes leaves nothing that its successor does not settle at its start.
#[test]
fn kills_leave_the_ledger_as_the_listing() {
    let counted = Counted::new();
    let mut random = 7u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut written = 0;
    for _ in 0..rounds("HOLDALL_TEST_KILLS", 3) {
        let server = counted.serve();
        let seeds: Vec<u64> = (0..4).map(|_| next(u64::MAX)).collect();
        let (first, life) = (1 + next(20), Duration::from_micros(next(30_000)));
        let done = AtomicU64::new(0);
        thread::scope(|threads| {
            let (counted, server, done) = (&counted, &server, &done);
            for seed in seeds {
                threads.spawn(move || write_until_the_end(counted, server, seed, done));
            }
            until("some writes are answered", || {
                done.load(Ordering::Relaxed) >= first
            });
            thread::sleep(life);
            server.kill_now();
        });
        written += done.into_inner();
        drop(server);
        let server = counted.serve();
        // A delete reserves no bytes: what is left of one shows in the objects only.
        until("what was left is settled", || {
            let listing = counted.listing(&server);
            let stored = [listing.values().sum(), 0, listing.len() as u64];
            counted.usage(&server) == stored
        });
    }
    assert_eq!(counted.reconcile(), [0; 5]);
    println!("{written} writes were answered");
}

/// Uploads, overwrites and deletes of a few keys, counting those that are done.
fn write_until_the_end(counted: &Counted, server: &Running, seed: u64, done: &AtomicU64) {
    let choices = bytes(4 << 10, seed);
    for choice in choices.chunks_exact(3).cycle() {
        let target = counted.target(&format!("k{}", choice[0] % 8));
        let body = "x".repeat(usize::from(choice[1]) * 40);
        let method = match choice[2] % 4 {
            0 => "DELETE",
            _ => "PUT",
        };
        match server.try_ask("kill", method, &target, &body) {
            Some(status) => done.fetch_add(u64::from(status < 300), Ordering::Relaxed),
            None => break,
        };
    }
}

#[test]
fn owners_are_charged_and_refused_with_facts() {
    let counted = Counted::new();
    let backend = &counted.backend;
    let create = |name: &str| {
        let line = format!("token create {name} --allow read,write --owner {name} --write");
        counted.workdir.json(&line)["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let [ann, bob] = [create("ann"), create("bob")];
    let admin = counted
        .workdir
        .json("token create root --allow admin --write");
    let admin = admin["token"].as_str().unwrap().to_owned();
    let server = counted.serve();
    let put = |token: &str, key: &str, size: usize| {
        server.ask("PUT", &counted.target(key), Some(token), &"x".repeat(size))
    };
    assert_eq!(put(&ann, "a", 9 * TENTH).0, 200);
    // An overwrite counts the difference.
    assert_eq!(put(&ann, "a", 10 * TENTH).0, 200);
    let (status, body) = put(&ann, "b", 1);
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 403, "{problem}");
    for (name, value) in [
        ("scope", "owner"),
        ("limit", "102400"),
        ("used", "102400"),
        ("reserved", "0"),
        ("requested", "1"),
    ] {
        let said = [&problem[name], &problem["facts"][name]];
        let said = said.map(|it| it.to_string().replace('"', ""));
        assert!(said.contains(&value.to_owned()), "{name}: {problem}");
    }
    // Another owner takes the object and its charge.
    assert_eq!(put(&bob, "a", TENTH).0, 200);
    let of = |token: &str| {
        let (_, body) = server.ask("GET", &format!("/v1/{backend}?quota"), Some(token), "");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let rows = answer["usage"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 1, "another owner is not shown: {answer}");
        (
            rows[0]["name"].as_str().unwrap().to_owned(),
            numbers(&rows[0]),
        )
    };
    assert_eq!(of(&ann), ("ann".to_owned(), [0, 0, 0]));
    assert_eq!(of(&bob), ("bob".to_owned(), [TENTH as u64, 0, 1]));
    // Of unknown length: it stops in mid-stream, and nothing is stored.
    let answer = chunked(&server, &counted.target("long"), &bob, 12 * TENTH);
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("quota_exceeded"), "{answer}");
    assert_eq!(
        server.ask("GET", &counted.target("long"), Some(&bob), "").0,
        404
    );
    assert_eq!(of(&bob), ("bob".to_owned(), [TENTH as u64, 0, 1]));
    let answer = chunked(&server, &counted.target("long"), &bob, 9 * TENTH);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(of(&bob), ("bob".to_owned(), [10 * TENTH as u64, 0, 2]));
    // Operators see every owner, and the whole backend, here and in the metrics.
    let (_, body) = server.ask("GET", &format!("/v1/{backend}?quota"), Some(&admin), "");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let rows = answer["usage"].as_array().unwrap().iter();
    let names = rows.map(|row| format!("{} {}", row["scope"], row["name"]).replace('"', ""));
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["backend ", "owner ann", "owner bob", "owner default"]
    );
    let (_, metrics) = server.ask("GET", "/metrics", Some(&admin), "");
    for line in [
        format!(
            r#"holdall_quota_used_bytes{{backend="{backend}",scope="owner",name="bob"}} 102400"#
        ),
        format!(
            r#"holdall_quota_limit_bytes{{backend="{backend}",scope="owner",name="ann"}} 102400"#
        ),
        format!(r#"holdall_quota_objects{{backend="{backend}",scope="backend",name=""}} 2"#),
        format!(r#"holdall_ledger_up{{backend="{backend}"}} 1"#),
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    // Without the right to read there is nothing to see.
    let stranger = server.ask("GET", &format!("/v1/{backend}?quota"), Some("x"), "");
    assert_eq!(stranger.0, 401);
    drop(server);
    assert_eq!(counted.reconcile(), [0; 5]);
}

/// A PUT without a length.
fn chunked(server: &Running, target: &str, token: &str, size: usize) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    let chunk = "x".repeat(size);
    // The server may answer, and close, before it has read all.
    let _ = write!(
        stream,
        "PUT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         transfer-encoding: chunked\r\n\r\n{size:x}\r\n{chunk}\r\n0\r\n\r\n"
    );
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_signed_upload_reserves_until_it_is_used_or_expires() {
    let counted = Counted::new();
    let server = counted.serve();
    let sign = |key: &str, tenths: usize, life: &str| {
        let size = tenths * TENTH;
        let asked = format!(r#"{{"method":"PUT","max_size":{size},"expires_in":"{life}"}}"#);
        server.ask(
            "POST",
            &format!("{}?sign", counted.target(key)),
            None,
            &asked,
        )
    };
    let (status, body) = sign("a", 8, "60s");
    assert_eq!(status, 200, "{body}");
    let signed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(counted.usage(&server), [0, 8 * TENTH as u64, 0]);
    assert_eq!(sign("b", 3, "60s").0, 403, "the rest is two tenths");
    let full = server.ask("PUT", &counted.target("c"), None, &"x".repeat(3 * TENTH));
    assert_eq!(full.0, 403, "{full:?}");
    let url = signed["url"].as_str().unwrap();
    let target = url.strip_prefix("https://files.example.org").unwrap();
    let (status, body) = server.ask("PUT", target, None, &"x".repeat(TENTH));
    assert_eq!(status, 200, "{body}");
    assert_eq!(counted.usage(&server), [TENTH as u64, 0, 1]);
    assert_eq!(sign("b", 9, "1s").0, 200);
    assert_eq!(counted.usage(&server), [TENTH as u64, 9 * TENTH as u64, 1]);
    until("it has expired", || counted.usage(&server)[1] == 0);
    let full = server.ask("PUT", &counted.target("c"), None, &"x".repeat(9 * TENTH));
    assert_eq!(full.0, 200, "{full:?}");
}

#[test]
fn the_command_is_counted_not_refused_and_mends_the_ledger() {
    let counted = Counted::new();
    let (workdir, backend) = (&counted.workdir, &counted.backend);
    workdir.write("large", bytes(11 * TENTH, 1));
    workdir.write("small", bytes(10, 1));
    workdir.ok(&format!("put large {backend}:large --owner ann"));
    workdir.ok(&format!(
        "put small {backend}:small --owner ann --group art"
    ));
    workdir.ok(&format!("put small {backend}:gone"));
    let usage = || {
        let text = workdir.ok("quota usage --json");
        let rows = text.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let name = format!(
                "{} {}",
                row["scope"].as_str().unwrap(),
                row["name"].as_str().unwrap()
            );
            (name, numbers(&row))
        });
        rows.collect::<BTreeMap<_, _>>()
    };
    let large = 11 * TENTH as u64;
    let expected = |rows: &[(&str, [u64; 3])]| {
        let rows = rows
            .iter()
            .map(|(name, numbers)| ((*name).to_owned(), *numbers));
        rows.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        usage(),
        expected(&[
            ("backend ", [large + 20, 0, 3]),
            ("group art", [10, 0, 1]),
            ("owner ann", [large + 10, 0, 2]),
            ("owner default", [10, 0, 1]),
        ])
    );
    let limits = workdir.json("quota limits");
    assert_eq!(limits["limits"]["owner"], 10 * TENTH);
    assert_eq!(counted.reconcile(), [0; 5]);
    // Behind the back of the host: one goes, one comes, one changes.
    std::fs::remove_file(workdir.path("data/objects/gone")).unwrap();
    workdir.write("data/objects/unknown", "1234");
    workdir.write("data/objects/small", "123");
    assert_eq!(counted.reconcile(), [1, 1, 1, 0, 0]);
    assert_eq!(
        usage(),
        expected(&[
            ("backend ", [large + 7, 0, 3]),
            ("group art", [3, 0, 1]),
            ("owner ann", [large + 3, 0, 2]),
            ("owner default", [4, 0, 1]),
        ])
    );
    assert_eq!(counted.reconcile(), [0; 5]);
    let text = workdir.ok(&format!("quota usage {backend}"));
    assert!(text.contains("owner ann: "), "{text}");
    workdir.fails(8, "quota usage nowhere");
}

#[test]
fn without_a_ledger_writes_are_unavailable_and_reads_go_on() {
    let counted = Counted::with("sqlite:missing/ledger.sqlite");
    counted.workdir.write("data/objects/there", "1234");
    let server = counted.serve();
    let (_, body) = server.ask("PUT", &counted.target("a"), None, "x");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["code"], "unavailable", "{problem}");
    let (_, body) = server.ask("DELETE", &counted.target("there"), None, "");
    assert!(body.contains("unavailable"), "{body}");
    assert_eq!(
        server.ask("GET", &counted.target("there"), None, ""),
        (200, "1234".to_owned())
    );
    assert_eq!(counted.listing(&server).len(), 1);
    assert_eq!(
        server
            .ask("GET", &format!("/v1/{}?quota", counted.backend), None, "")
            .0
            / 100,
        5
    );
    // It is there again: no restart is needed.
    std::fs::create_dir(counted.workdir.path("missing")).unwrap();
    assert_eq!(server.ask("PUT", &counted.target("a"), None, "x").0, 200);
    assert_eq!(counted.usage(&server), [1, 0, 1]);
    drop(server);
    assert_eq!(counted.reconcile(), [1, 0, 0, 0, 0]);
}

#[test]
fn a_ledger_of_a_newer_version_refuses_writes_and_reads_go_on() {
    let counted = Counted::with("sqlite:ledger.sqlite");
    let server = counted.serve();
    let put = |server: &Running| {
        let (status, body) = server.ask("PUT", &counted.target("a"), None, "x");
        (
            status / 100 == 5 && body.contains(r#""code":"unavailable""#),
            status,
        )
    };
    assert_eq!(put(&server), (false, 200));
    // Another program migrates the tables while the server runs.
    let file = counted.workdir.path("ledger.sqlite");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite:{}", file.display());
        let pool = sqlx::AnyPool::connect(&url).await.unwrap();
        let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                     execution_time) VALUES (1000, 'later', 1, X'00', 0)";
        sqlx::query(later).execute(&pool).await.unwrap();
        pool.close().await;
    });
    until("the server sees it", || put(&server).0);
    let reads_go_on = |server: &Running| {
        assert!(put(server).0);
        let answer = server.ask("GET", &counted.target("a"), None, "");
        assert_eq!(answer, (200, "x".to_owned()));
        assert_eq!(counted.listing(server).len(), 1);
    };
    reads_go_on(&server);
    drop(server);
    // And one that starts.
    reads_go_on(&counted.serve());
    let told = counted.workdir.fails(7, "quota usage");
    assert!(told.contains("newer version"), "{told}");
}
