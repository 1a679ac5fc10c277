//! Tables and their migrations. A migration that is released never changes.

use crate::unavailable;
use holdall::{Error, ErrorKind, Result};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, AssertSqlSafe, SqlSafeStr};
use std::time::Duration;

/// A migration: its name, its statements, and whether it is for PostgreSQL alone.
type Step = (&'static str, &'static str, bool);

/// In order: the place is the version.
const MIGRATIONS: [Step; 4] = [
    ("ledger", include_str!("../migrations/1_ledger.sql"), false),
    (
        "functions",
        include_str!("../migrations/2_functions.postgres.sql"),
        true,
    ),
    ("audit", include_str!("../migrations/3_audit.sql"), false),
    (
        "audit number",
        include_str!("../migrations/4_audit_number.postgres.sql"),
        true,
    ),
];

const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// Brings the tables to this version.
///
/// # Errors
///
/// `Unavailable`: no connection, or tables of a newer version.
pub(crate) async fn migrate(pool: &AnyPool, is_postgres: bool) -> Result<()> {
    let steps = MIGRATIONS.into_iter().zip(1i64..);
    let steps = steps.filter(|((_, _, postgres_only), _)| is_postgres || !postgres_only);
    let migrations = steps.map(|((name, sql, _), version)| {
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    let mut outcome = migrator.run(pool).await;
    // Two processes that create one file of SQLite at once are in each other's way.
    for _ in 0..TRIES {
        if is_postgres || matches!(outcome, Ok(()) | Err(MigrateError::VersionMissing(_))) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        outcome = migrator.run(pool).await;
    }
    match outcome {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(newer(version)),
        Err(why) => Err(unavailable(why)),
    }
}

/// Another process may have brought the tables to a later version meanwhile.
///
/// # Errors
///
/// `Unavailable`: they are of a newer version, or cannot be read.
pub(crate) async fn compare(pool: &AnyPool) -> Result<()> {
    let sql = "SELECT version FROM _sqlx_migrations ORDER BY version DESC LIMIT 1";
    let version: i64 = sqlx::query_scalar(sql)
        .fetch_one(pool)
        .await
        .map_err(unavailable)?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(()),
        _ => Err(newer(version)),
    }
}

fn newer(version: i64) -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_message("the ledger's tables are of a newer version of Holdall")
        .with_fact("version", version)
        .with_fact("fix", "update this program")
}
