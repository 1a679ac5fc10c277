#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod audit;
mod functions;
mod holder;
mod protocol;
mod schema;
mod sql;
mod sums;

use audit::Audit;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdall::audit::AuditLog;
use holdall::ledger::{Ledger, Orphan, QuotaUsage, Reserve, Reserved, Row, Settle, Settled};
use holdall::{Error, ErrorKind, Result};
use holder::Holder;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, AssertSqlSafe, Connection, Executor, Transaction};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// Longest wait for a connection of PostgreSQL.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for the one writer of SQLite: 64 writes may stand before it on a busy machine. Deadlines of operations
/// end it earlier.
const TURN: Duration = Duration::from_secs(30);
/// A connection that was used within this time is taken to live.
const FRESH: Duration = Duration::from_secs(1);
const POSTGRES_CONNECTIONS: u32 = 8;

/// A ledger in a database.
///
/// It connects at the first use, and again after a failure: until then, writes to backends with a quota are
/// `Unavailable`.
pub struct Database {
    /// The file of SQLite; `None`: PostgreSQL.
    file: Option<PathBuf>,
    url: String,
    /// Made at the first use: a program may open the ledger outside of its runtime.
    pool: OnceCell<AnyPool>,
    holder: OnceCell<Holder>,
    /// Second, since 1970, in which the version of the tables was compared last.
    compared: AtomicU64,
}

/// Opens a ledger for [`Builder::open_ledger`](holdall::Builder::open_ledger).
///
/// # Errors
///
/// As [`Database::open`].
pub fn open(url: &str) -> Result<Arc<dyn Ledger>> {
    Ok(Arc::new(Database::open(url)?))
}

impl Database {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: neither of them.
    pub fn open(url: &str) -> Result<Self> {
        install_default_drivers();
        let file = url
            .strip_prefix("sqlite:")
            .map(|path| PathBuf::from(path.trim_start_matches("//")));
        let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if file.is_none() && !postgres {
            return Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message("expected sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        let address = match &file {
            Some(path) => {
                // What would end or escape the path in a URL.
                let path = path.display().to_string();
                let path = path
                    .replace('%', "%25")
                    .replace('?', "%3F")
                    .replace('#', "%23");
                format!("sqlite:{path}?mode=rwc")
            }
            None => url.to_owned(),
        };
        // Not shown when it is wrong: the address may hold a password.
        AnyConnectOptions::from_str(&address).map_err(|_| {
            Error::new(ErrorKind::ConfigInvalid).with_message("the address of the ledger is wrong")
        })?;
        Ok(Self {
            file,
            url: address,
            pool: OnceCell::new(),
            holder: OnceCell::new(),
            compared: AtomicU64::new(0),
        })
    }

    async fn connect(&self) -> Result<AnyPool> {
        let is_sqlite = self.file.is_some();
        let options = AnyPoolOptions::new()
            // SQLite has one writer: waiting for the connection is fair, waiting for the file's lock is not.
            .max_connections(if is_sqlite { 1 } else { POSTGRES_CONNECTIONS })
            .acquire_timeout(if is_sqlite { TURN } else { PATIENCE })
            // A connection that was used just now is not asked whether it lives, which takes a round trip.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                async move {
                    if used.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                }
                .boxed()
            })
            .after_connect(move |connection, _| {
                async move {
                    if is_sqlite {
                        let turn = TURN.as_millis();
                        let pragmas = format!(
                            "PRAGMA busy_timeout = {turn}; PRAGMA journal_mode = WAL; \
                             PRAGMA synchronous = NORMAL;"
                        );
                        connection.execute(AssertSqlSafe(pragmas)).await?;
                    }
                    Ok(())
                }
                .boxed()
            });
        options.connect_lazy(&self.url).map_err(unavailable)
    }

    async fn pool(&self) -> Result<&AnyPool> {
        self.pool.get_or_try_init(|| self.connect()).await
    }

    /// The holder of this process's reservations; the tables are of this version then, or were a second ago.
    async fn holder(&self) -> Result<&Holder> {
        let holder = self
            .holder
            .get_or_try_init(|| async {
                schema::migrate(self.pool().await?, self.file.is_none()).await?;
                self.compared.store(now(), Ordering::Relaxed);
                Holder::new(self.file.as_deref(), &self.url).await
            })
            .await?;
        let now = now();
        if self.compared.load(Ordering::Relaxed) != now {
            schema::compare(self.pool().await?).await?;
            self.compared.store(now, Ordering::Relaxed);
        }
        Ok(holder)
    }

    async fn begin(&self) -> Result<Transaction<'static, Any>> {
        let statement = match self.file {
            Some(_) => "BEGIN IMMEDIATE",
            None => "BEGIN",
        };
        let pool = self.pool().await?;
        pool.begin_with(statement).await.map_err(unavailable)
    }

    async fn orphans_of(&self, backend: &str) -> Result<Vec<Orphan>> {
        self.holder().await?;
        let mut transaction = self.begin().await?;
        let all = protocol::reservations(&mut transaction, backend).await?;
        let mut orphans = Vec::new();
        let now = signed(now());
        for reservation in all {
            let alive = match reservation.expires {
                0 => {
                    holder::is_alive(self.file.as_deref(), &mut transaction, reservation.holder)
                        .await?
                }
                expires => now < expires,
            };
            if !alive {
                orphans.push(Orphan {
                    id: reservation.id.cast_unsigned(),
                    key: reservation.key,
                    contested: reservation.contested.cast_unsigned(),
                });
            }
        }
        Ok(orphans)
    }
}

impl Ledger for Database {
    fn reserve<'a>(&'a self, ask: &'a Reserve) -> BoxFuture<'a, Result<Reserved>> {
        async move {
            let holder = self.holder().await?.id();
            if self.file.is_none() {
                return functions::reserve(self.pool().await?, holder, ask).await;
            }
            let mut transaction = self.begin().await?;
            let reserved = protocol::reserve(&mut transaction, holder, ask).await?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(reserved)
        }
        .boxed()
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> BoxFuture<'a, Result<Settled>> {
        async move {
            self.holder().await?;
            if self.file.is_none() {
                return functions::settle(self.pool().await?, settle).await;
            }
            let mut transaction = self.begin().await?;
            let settled = protocol::settle(&mut transaction, settle).await?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(settled)
        }
        .boxed()
    }

    fn orphans<'a>(&'a self, backend: &'a str) -> BoxFuture<'a, Result<Vec<Orphan>>> {
        self.orphans_of(backend).boxed()
    }

    fn object<'a>(&'a self, backend: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Row>>> {
        async move {
            self.holder().await?;
            let mut transaction = self.begin().await?;
            protocol::object(&mut transaction, backend, key).await
        }
        .boxed()
    }

    fn objects<'a>(
        &'a self,
        backend: &'a str,
        after: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        async move {
            self.holder().await?;
            let mut transaction = self.begin().await?;
            protocol::objects(&mut transaction, backend, after, limit).await
        }
        .boxed()
    }

    fn usage<'a>(&'a self, backend: &'a str) -> BoxFuture<'a, Result<Vec<QuotaUsage>>> {
        async move {
            self.holder().await?;
            let mut transaction = self.begin().await?;
            protocol::expire(&mut transaction, backend).await?;
            let usage = sums::usage(&mut transaction, backend).await?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(usage)
        }
        .boxed()
    }

    fn recount<'a>(&'a self, backend: &'a str) -> BoxFuture<'a, Result<u64>> {
        async move {
            self.holder().await?;
            let mut transaction = self.begin().await?;
            let mended = sums::recount(&mut transaction, backend).await?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(mended)
        }
        .boxed()
    }

    fn audit(self: Arc<Self>) -> Option<Arc<dyn AuditLog>> {
        Some(Arc::new(Audit(self)))
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

fn unavailable(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_message("the ledger of quotas does not answer")
        .because(why)
}

/// Databases have signed numbers only.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_secs())
}
