//! The protocol of the ledger, in SQLite; in PostgreSQL by `scripts/quotas`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::ErrorKind;
use holdall::ledger::{Amount, Charged, Ledger, QuotaUsage, Reserve, Reserved, Settle, Settled};
use holdall::policy::Quota;
use holdall_ledger::Database;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

static NEXT: AtomicU64 = AtomicU64::new(1);
const MIB: u64 = 1 << 20;

/// A database, and what it lies in.
struct Store {
    url: String,
    _folder: Option<TempDir>,
}

impl Store {
    fn new() -> Self {
        if let Ok(url) = std::env::var("HOLDALL_TEST_POSTGRES") {
            return Self { url, _folder: None };
        }
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: format!("sqlite:{}", folder.path().join("ledger.sqlite").display()),
            _folder: Some(folder),
        }
    }

    fn open(&self) -> Database {
        Database::open(&self.url).unwrap()
    }
}

/// A backend of its own for each test: in PostgreSQL they share one database.
fn backend() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("b{}-{number}", std::process::id())
}

fn ask(backend: &str, key: &str, owner: &str, bytes: Amount) -> Reserve {
    let mut limits = Quota::UNLIMITED;
    limits.owner = Some(10 * MIB);
    Reserve {
        id: (u64::from(std::process::id()) << 32) | NEXT.fetch_add(1, Ordering::Relaxed),
        backend: backend.to_owned(),
        key: key.to_owned(),
        charged: Charged {
            owner: owner.to_owned(),
            group: String::new(),
        },
        bytes,
        limits,
        replaces: None,
        expires: None,
    }
}

fn done(ask: &Reserve, stored: Option<u64>) -> Settle {
    Settle {
        id: Some(ask.id),
        backend: ask.backend.clone(),
        key: ask.key.clone(),
        stored,
        done: true,
        looked_up: None,
    }
}

async fn put(ledger: &Database, backend: &str, key: &str, owner: &str, size: u64) {
    let ask = ask(backend, key, owner, Amount::Known(size));
    ledger.reserve(&ask).await.unwrap();
    assert_eq!(
        ledger.settle(&done(&ask, Some(size))).await.unwrap(),
        Settled::Done
    );
}

/// Used, reserved, objects.
async fn of(ledger: &Database, backend: &str, scope: &str, name: &str) -> [u64; 3] {
    let usage = ledger.usage(backend).await.unwrap();
    let found = usage.iter().find(|it| it.scope == scope && it.name == name);
    found.map_or([0; 3], |it: &QuotaUsage| [it.used, it.reserved, it.objects])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_writers_of_a_tenth_ten_succeed() {
    let store = Store::new();
    let ledgers = [Arc::new(store.open()), Arc::new(store.open())];
    let rounds = std::env::var("HOLDALL_TEST_ROUNDS").map_or(5, |text| text.parse().unwrap());
    for _ in 0..rounds {
        let backend = backend();
        let writers = (0..20).map(|at| {
            let (ledger, backend) = (ledgers[at % 2].clone(), backend.clone());
            tokio::spawn(async move {
                let ask = ask(&backend, &format!("k{at}"), "ann", Amount::Known(MIB));
                match ledger.reserve(&ask).await {
                    Ok(_) => {
                        let settled = ledger.settle(&done(&ask, Some(MIB))).await.unwrap();
                        assert_eq!(settled, Settled::Done);
                        true
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error:?}");
                        false
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut stored = 0;
        for writer in writers {
            stored += u64::from(writer.await.unwrap());
        }
        assert_eq!(stored, 10);
        let [first, second] = &ledgers;
        for ledger in [first, second] {
            assert_eq!(
                of(ledger, &backend, "owner", "ann").await,
                [10 * MIB, 0, 10]
            );
            assert_eq!(of(ledger, &backend, "backend", "").await, [10 * MIB, 0, 10]);
        }
        assert_eq!(first.recount(&backend).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_overwrite_counts_the_difference_and_a_delete_gives_back() {
    let store = Store::new();
    let (ledger, backend) = (store.open(), backend());
    put(&ledger, &backend, "a", "ann", 6 * MIB).await;
    // Twelve at once, but never more than nine stored.
    put(&ledger, &backend, "a", "ann", 9 * MIB).await;
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [9 * MIB, 0, 1]);
    let more = ask(&backend, "a", "ann", Amount::Known(11 * MIB));
    let refused = ledger.reserve(&more).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    let facts: Vec<_> = refused.facts().collect();
    for fact in [
        ("scope", "owner"),
        ("limit", "10485760"),
        ("used", "9437184"),
        ("reserved", "0"),
        ("requested", "11534336"),
    ] {
        assert!(facts.contains(&fact), "{facts:?}");
    }
    // Another owner takes the object and its charge.
    put(&ledger, &backend, "a", "bob", 2 * MIB).await;
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [0, 0, 0]);
    assert_eq!(of(&ledger, &backend, "owner", "bob").await, [2 * MIB, 0, 1]);
    let delete = ask(&backend, "a", "ann", Amount::Delete);
    ledger.reserve(&delete).await.unwrap();
    ledger.settle(&done(&delete, None)).await.unwrap();
    assert_eq!(of(&ledger, &backend, "owner", "bob").await, [0, 0, 0]);
    assert_eq!(of(&ledger, &backend, "backend", "").await, [0, 0, 0]);
    assert_eq!(ledger.recount(&backend).await.unwrap(), 0);
}

#[tokio::test]
async fn a_body_of_unknown_length_gets_what_is_left() {
    let store = Store::new();
    let (ledger, backend) = (store.open(), backend());
    put(&ledger, &backend, "a", "ann", 7 * MIB).await;
    let stream = ask(&backend, "b", "ann", Amount::UpTo(u64::MAX));
    let Reserved { bytes, excess } = ledger.reserve(&stream).await.unwrap();
    assert_eq!(bytes, 3 * MIB);
    assert_eq!(excess.unwrap().kind(), ErrorKind::QuotaExceeded);
    let stored = done(&stream, Some(MIB));
    assert_eq!(ledger.settle(&stored).await.unwrap(), Settled::Done);
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [8 * MIB, 0, 2]);
    let short = ask(&backend, "c", "ann", Amount::UpTo(MIB));
    assert!(ledger.reserve(&short).await.unwrap().excess.is_none());
}

#[tokio::test]
async fn writers_of_one_key_settle_by_what_is_stored() {
    let store = Store::new();
    let (ledger, backend) = (store.open(), backend());
    put(&ledger, &backend, "a", "ann", 4 * MIB).await;
    let [first, second] = [5, 6].map(|size| ask(&backend, "a", "ann", Amount::Known(size * MIB)));
    ledger.reserve(&first).await.unwrap();
    // The second has no claim to the object that the first replaces: 4 used, 1 and 6 reserved is too much.
    ledger.reserve(&second).await.unwrap_err();
    let second = ask(&backend, "a", "ann", Amount::Known(5 * MIB));
    ledger.reserve(&second).await.unwrap();
    assert_eq!(
        of(&ledger, &backend, "owner", "ann").await,
        [4 * MIB, 6 * MIB, 1]
    );
    // Nothing is booked by the answer alone.
    let mut settle = done(&first, Some(5 * MIB));
    assert_eq!(ledger.settle(&settle).await.unwrap(), Settled::Contested(0));
    settle.looked_up = Some(0);
    assert_eq!(ledger.settle(&settle).await.unwrap(), Settled::Done);
    let mut settle = done(&second, Some(5 * MIB));
    assert_eq!(ledger.settle(&settle).await.unwrap(), Settled::Contested(1));
    // What was looked up before the other settled is no longer true.
    settle.looked_up = Some(0);
    assert_eq!(ledger.settle(&settle).await.unwrap(), Settled::Contested(1));
    settle.looked_up = Some(1);
    assert_eq!(ledger.settle(&settle).await.unwrap(), Settled::Done);
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [5 * MIB, 0, 1]);
    assert_eq!(ledger.recount(&backend).await.unwrap(), 0);
}

#[tokio::test]
async fn reservations_of_the_dead_are_found_and_of_the_living_not() {
    let store = Store::new();
    let (dead, alive, backend) = (store.open(), store.open(), backend());
    let lost = ask(&backend, "lost", "ann", Amount::Known(MIB));
    dead.reserve(&lost).await.unwrap();
    let kept = ask(&backend, "kept", "ann", Amount::Known(MIB));
    alive.reserve(&kept).await.unwrap();
    assert_eq!(alive.orphans(&backend).await.unwrap(), []);
    drop(dead);
    let mut orphans = Vec::new();
    // A session of PostgreSQL ends a moment after its connection.
    for _ in 0..500 {
        orphans = alive.orphans(&backend).await.unwrap();
        if !orphans.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let keys: Vec<_> = orphans.iter().map(|orphan| &*orphan.key).collect();
    assert_eq!(keys, ["lost"]);
    let mut settle = done(&lost, Some(MIB));
    (settle.done, settle.looked_up) = (false, Some(orphans[0].contested));
    assert_eq!(alive.settle(&settle).await.unwrap(), Settled::Done);
    assert_eq!(of(&alive, &backend, "owner", "ann").await, [MIB, MIB, 1]);
}

#[tokio::test]
async fn a_failed_write_leaves_the_charge_where_it_was() {
    let store = Store::new();
    let (ledger, backend) = (store.open(), backend());
    put(&ledger, &backend, "a", "ann", MIB).await;
    let failed = ask(&backend, "a", "bob", Amount::Known(2 * MIB));
    ledger.reserve(&failed).await.unwrap();
    let mut settle = done(&failed, Some(MIB));
    (settle.done, settle.looked_up) = (false, Some(0));
    assert_eq!(ledger.settle(&settle).await.unwrap(), Settled::Done);
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [MIB, 0, 1]);
    assert_eq!(of(&ledger, &backend, "owner", "bob").await, [0, 0, 0]);
}

#[tokio::test]
async fn a_signed_url_reserves_until_it_is_used_or_expires() {
    let store = Store::new();
    let (ledger, backend) = (store.open(), backend());
    let far = u64::from(u32::MAX);
    let mut signed = ask(&backend, "a", "ann", Amount::Known(8 * MIB));
    signed.expires = Some(far);
    ledger.reserve(&signed).await.unwrap();
    ledger
        .reserve(&ask(&backend, "b", "ann", Amount::Known(3 * MIB)))
        .await
        .unwrap_err();
    let mut upload = ask(&backend, "a", "ann", Amount::Known(2 * MIB));
    upload.replaces = Some(signed.id);
    ledger.reserve(&upload).await.unwrap();
    let stored = done(&upload, Some(2 * MIB));
    assert_eq!(ledger.settle(&stored).await.unwrap(), Settled::Done);
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [2 * MIB, 0, 1]);
    let mut expired = ask(&backend, "c", "ann", Amount::Known(MIB));
    expired.expires = Some(1);
    ledger.reserve(&expired).await.unwrap();
    // The next reservation, or a look at the usage, releases it.
    assert_eq!(of(&ledger, &backend, "owner", "ann").await, [2 * MIB, 0, 1]);
}

#[tokio::test]
async fn tables_of_a_newer_version_and_a_missing_database_are_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("missing/ledger.sqlite");
    let missing = Database::open(&format!("sqlite:{}", file.display())).unwrap();
    let error = missing.usage("b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    assert!(missing.usage("b").await.unwrap().is_empty());
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", file.display());
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (1000, 'later', 1, X'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let older = Database::open(&format!("sqlite:{}", file.display())).unwrap();
    // One that begins, and one that was running when the tables were migrated.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for ledger in [&older, &missing] {
        let error = ledger.usage("b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("newer"), "{error}");
        let write = ask("b", "k", "ann", Amount::Known(1));
        let error = ledger.reserve(&write).await.unwrap_err();
        assert_eq!(error.fact("version"), Some("1000"), "{error:?}");
    }
    assert!(Database::open("mysql://x").is_err());
}

/// Writes (a reservation and its settlement) a second, each of a key of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement; scripts/quotas runs it"]
async fn writes_a_second() {
    let store = Store::new();
    let ledger = Arc::new(store.open());
    for in_flight in [1, 16, 64] {
        let backend = backend();
        let end = Instant::now() + Duration::from_secs(3);
        let writers = (0..in_flight).map(|writer| {
            let (ledger, backend) = (ledger.clone(), backend.clone());
            tokio::spawn(async move {
                let mut done = 0u32;
                while Instant::now() < end {
                    put(&ledger, &backend, &format!("{writer}/{done}"), "ann", 1).await;
                    done += 1;
                }
                done
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut done = 0;
        for writer in writers {
            done += writer.await.unwrap();
        }
        println!("{in_flight} in flight: {} writes a second", done / 3);
        assert_eq!(ledger.recount(&backend).await.unwrap(), 0);
    }
}

/// Counts what a client sends to PostgreSQL and waits for: each `Query`, and each `Sync` after other messages, is one
/// round trip (PostgreSQL's documentation, "Message Flow"). A `Sync` alone is the pool's own look at a connection
/// that comes back: no operation waits for it.
async fn counting_proxy(url: &str) -> (String, Arc<AtomicU64>) {
    let (before, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let round_trips = Arc::new(AtomicU64::new(0));
    let (server, counted) = (server.to_owned(), round_trips.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) =
                TcpStream::connect(&server).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let counted = counted.clone();
            tokio::spawn(async move {
                // The first messages have no type: a request for TLS, and the start, which is version 3.
                let (mut started, mut asked) = (false, false);
                loop {
                    let kind = match started {
                        true => Some(from_client.read_u8().await?),
                        false => None,
                    };
                    let length = from_client.read_u32().await?;
                    let mut content = vec![0; length as usize - 4];
                    from_client.read_exact(&mut content).await?;
                    started |= content.starts_with(&[0, 3]);
                    if kind == Some(b'Q') || kind == Some(b'S') && asked {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    asked = kind != Some(b'S');
                    if let Some(kind) = kind {
                        to_server.write_u8(kind).await?;
                    }
                    to_server.write_u32(length).await?;
                    to_server.write_all(&content).await?;
                }
                #[expect(unreachable_code, reason = "the type of the block")]
                std::io::Result::Ok(())
            });
        }
    });
    (format!("{before}@{address}/{database}"), round_trips)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/quotas"]
async fn an_upload_takes_two_round_trips() {
    let url = std::env::var("HOLDALL_TEST_POSTGRES").expect("HOLDALL_TEST_POSTGRES");
    let (url, round_trips) = counting_proxy(&url).await;
    let ledger = Database::open(&url).unwrap();
    let backend = backend();
    // Tables, connection and statements are prepared at the first use.
    put(&ledger, &backend, "first", "ann", 1).await;
    let mut counts = Vec::new();
    for (key, size) in [("k", 5), ("k", 7), ("other", 1), ("k", 1), ("k", 2)] {
        let before = round_trips.load(Ordering::Relaxed);
        put(&ledger, &backend, key, "ann", size).await;
        counts.push(round_trips.load(Ordering::Relaxed) - before);
    }
    println!("round trips of uploads: {counts:?}");
    // The version of the tables is compared once a second, which falls into some of them.
    assert_eq!(counts.iter().min(), Some(&2), "{counts:?}");
}
