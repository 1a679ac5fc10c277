//! Sums of what is stored and reserved: read, and computed anew.

use crate::protocol::lock;
use crate::sql::{Tx, execute, fetch, number, text, unsigned};
use holdall::Result;
use holdall::ledger::QuotaUsage;
use std::collections::BTreeMap;

pub(crate) async fn usage(tx: &mut Tx, backend: &str) -> Result<Vec<QuotaUsage>> {
    let sql = "SELECT scope, name, used, reserved, objects FROM usage WHERE backend = $1 \
               ORDER BY scope, name";
    fetch!(tx, sql, backend)
        .iter()
        .map(|row| {
            let [used, reserved, objects] = [number(row, 2)?, number(row, 3)?, number(row, 4)?];
            Ok(QuotaUsage::new(
                &text(row, 0)?,
                &text(row, 1)?,
                unsigned(used),
                unsigned(reserved),
                unsigned(objects),
            ))
        })
        .collect()
}

/// Sums by scope: the statement, and where its numbers stand among used, reserved and objects.
const SUMS: [(&str, &str, bool); 6] = [
    (
        "owner",
        "SELECT owner, CAST(SUM(size) AS BIGINT), COUNT(*) FROM object WHERE backend = $1 GROUP BY owner",
        true,
    ),
    (
        "group",
        "SELECT grp, CAST(SUM(size) AS BIGINT), COUNT(*) FROM object WHERE backend = $1 AND grp <> '' GROUP BY grp",
        true,
    ),
    (
        "backend",
        "SELECT '', CAST(COALESCE(SUM(size), 0) AS BIGINT), COUNT(*) FROM object WHERE backend = $1",
        true,
    ),
    (
        "owner",
        "SELECT owner, CAST(SUM(need_owner) AS BIGINT) FROM reservation WHERE backend = $1 GROUP BY owner",
        false,
    ),
    (
        "group",
        "SELECT grp, CAST(SUM(need_group) AS BIGINT) FROM reservation WHERE backend = $1 AND grp <> '' GROUP BY grp",
        false,
    ),
    (
        "backend",
        "SELECT '', CAST(COALESCE(SUM(need_backend), 0) AS BIGINT) FROM reservation WHERE backend = $1",
        false,
    ),
];

pub(crate) async fn recount(tx: &mut Tx, backend: &str) -> Result<u64> {
    lock(tx, backend).await?;
    let mut right: BTreeMap<(String, String), [i64; 3]> = BTreeMap::new();
    for (scope, sql, is_stored) in SUMS {
        for row in &fetch!(tx, sql, backend) {
            let numbers = right.entry((scope.to_owned(), text(row, 0)?)).or_default();
            match is_stored {
                true => (numbers[0], numbers[2]) = (number(row, 1)?, number(row, 2)?),
                false => numbers[1] = number(row, 1)?,
            }
        }
    }
    let mut wrong = 0;
    let sql = "SELECT scope, name, used, reserved, objects FROM usage WHERE backend = $1";
    for row in &fetch!(tx, sql, backend) {
        let (scope, name) = (text(row, 0)?, text(row, 1)?);
        let found = [number(row, 2)?, number(row, 3)?, number(row, 4)?];
        let numbers = right
            .remove(&(scope.clone(), name.clone()))
            .unwrap_or_default();
        if found != numbers {
            wrong += 1;
            set(tx, backend, &scope, &name, numbers).await?;
        }
    }
    for ((scope, name), numbers) in right {
        wrong += 1;
        set(tx, backend, &scope, &name, numbers).await?;
    }
    Ok(wrong)
}

async fn set(
    tx: &mut Tx,
    backend: &str,
    scope: &str,
    name: &str,
    [used, reserved, objects]: [i64; 3],
) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO usage (backend, scope, name, used, reserved, objects) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (backend, scope, name) \
         DO UPDATE SET used = excluded.used, reserved = excluded.reserved, objects = excluded.objects",
        backend,
        scope,
        name,
        used,
        reserved,
        objects,
    );
    Ok(())
}
