//! Who holds reservations, and whether that process still runs: a lock that the system frees with the process.
//!
//! SQLite: a locked file in `<database>.holders`. PostgreSQL: an advisory lock of a session.

use crate::unavailable;
use holdall::Result;
use sqlx::{Any, AnyConnection, Connection, Transaction};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Files of ended processes are removed when they are older than this: a younger one may not be locked yet.
const SETTLED: Duration = Duration::from_secs(60);

/// This process, or another that has opened the ledger.
pub(crate) struct Holder {
    id: i64,
    // Open for as long as the process holds reservations.
    _lock: Lock,
}

enum Lock {
    File(
        #[expect(dead_code, reason = "held, not read")] File,
        PathBuf,
    ),
    /// A mutex, because the driver is not `Sync`.
    Session(#[expect(dead_code, reason = "held, not read")] Mutex<AnyConnection>),
}

/// A process that ends in order leaves no file. What it has reserved and not settled counts as left by a dead one.
impl Drop for Lock {
    fn drop(&mut self) {
        if let Self::File(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Holder {
    pub(crate) async fn new(file: Option<&Path>, url: &str) -> Result<Self> {
        let id = getrandom::u64().map_err(unavailable)? >> 1;
        let id = id.cast_signed().max(1);
        let lock = match file {
            Some(file) => {
                let directory = directory(file);
                std::fs::create_dir_all(&directory).map_err(unavailable)?;
                sweep(&directory);
                let path = directory.join(id.to_string());
                let file = File::create_new(&path).map_err(unavailable)?;
                file.try_lock().map_err(unavailable)?;
                Lock::File(file, path)
            }
            None => {
                let mut session = AnyConnection::connect(url).await.map_err(unavailable)?;
                sqlx::query("SELECT CAST(pg_advisory_lock($1) AS TEXT)")
                    .bind(id)
                    .execute(&mut session)
                    .await
                    .map_err(unavailable)?;
                Lock::Session(Mutex::new(session))
            }
        };
        Ok(Self { id, _lock: lock })
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }
}

fn directory(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".holders");
    name.into()
}

/// Removes the files of ended processes.
fn sweep(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let age = entry
            .metadata()
            .ok()
            .and_then(|it| it.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > SETTLED)
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

pub(crate) async fn is_alive(
    file: Option<&Path>,
    transaction: &mut Transaction<'static, Any>,
    id: i64,
) -> Result<bool> {
    let Some(file) = file else {
        let sql =
            "SELECT CAST(CASE WHEN pg_try_advisory_xact_lock($1) THEN 0 ELSE 1 END AS BIGINT)";
        let alive: i64 = sqlx::query_scalar(sql)
            .bind(id)
            .fetch_one(&mut **transaction)
            .await
            .map_err(unavailable)?;
        return Ok(alive == 1);
    };
    let file = match File::open(directory(file).join(id.to_string())) {
        Ok(file) => file,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(false),
        Err(why) => return Err(unavailable(why)),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(why)) => Err(unavailable(why)),
    }
}
