//! The protocol in PostgreSQL: one call of a function, one round trip, for each step.

use crate::protocol::exceeded;
use crate::sql::unsigned;
use crate::{now, signed, unavailable};
use holdall::ledger::{Amount, Reserve, Reserved, Settle, Settled};
use holdall::{DEFAULT_OWNER, Result};
use sqlx::{AnyPool, Row as _};

pub(crate) async fn reserve(pool: &AnyPool, holder: i64, ask: &Reserve) -> Result<Reserved> {
    let (kind, most) = match ask.bytes {
        Amount::Known(bytes) => (0i64, signed(bytes)),
        Amount::UpTo(most) => (1, signed(most)),
        Amount::Delete => (2, 0),
    };
    let limits = [ask.limits.owner, ask.limits.group, ask.limits.backend];
    let [owner, group, backend] = limits.map(|limit| limit.map_or(-1, signed));
    let sql = "SELECT bytes, exceeded, used, reserved FROM \
               holdall_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let row = sqlx::query(sql)
        .bind(ask.id.cast_signed())
        .bind(holder)
        .bind(&*ask.backend)
        .bind(&*ask.key)
        .bind(&*ask.charged.owner)
        .bind(&*ask.charged.group)
        .bind(kind)
        .bind(most)
        .bind(owner)
        .bind(group)
        .bind(backend)
        .bind(ask.replaces.map_or(0, u64::cast_signed))
        .bind(ask.expires.map_or(0, signed))
        .bind(signed(now()))
        .fetch_one(pool)
        .await
        .map_err(unavailable)?;
    let number = |at: usize| row.try_get::<i64, _>(at).map_err(unavailable);
    let (bytes, scope, used, reserved) = (number(0)?, number(1)?, number(2)?, number(3)?);
    let at = usize::try_from(scope.unsigned_abs()).unwrap_or(0);
    let refusal = |requested| {
        let at = at.clamp(1, 3) - 1;
        exceeded(at, limits[at], used, reserved, requested)
    };
    match scope {
        1.. => Err(refusal(unsigned(bytes))),
        _ => Ok(Reserved {
            bytes: unsigned(bytes),
            excess: (scope < 0).then(|| refusal(unsigned(bytes).saturating_add(1))),
        }),
    }
}

pub(crate) async fn settle(pool: &AnyPool, ask: &Settle) -> Result<Settled> {
    let sql = "SELECT holdall_settle($1, $2, $3, $4, $5, $6, $7, $8)";
    let others: i64 = sqlx::query_scalar(sql)
        .bind(ask.id.map_or(0, u64::cast_signed))
        .bind(&*ask.backend)
        .bind(&*ask.key)
        .bind(ask.stored.map_or(-1, signed))
        .bind(i64::from(ask.done))
        .bind(ask.looked_up.map_or(-1, signed))
        .bind(signed(now()))
        .bind(DEFAULT_OWNER)
        .fetch_one(pool)
        .await
        .map_err(unavailable)?;
    Ok(match others {
        ..0 => Settled::Done,
        others => Settled::Contested(unsigned(others)),
    })
}
