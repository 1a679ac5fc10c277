//! The statements of each step, for both databases. PostgreSQL reserves and settles by `functions`, in one round trip.
//!
//! What holds between any two transactions, for each scope (owner, group, backend) and name:
//!
//! - `used` is the sum of the sizes of its objects, `objects` their number;
//! - `reserved` is the sum of the needs of its reservations;
//! - `used + reserved` is at least what will be stored, however the writes in progress end.
//!
//! An overwrite needs only the difference to the object that is there. At most one reservation of a key counts on
//! that difference; when another write settles first, the need is raised by what `used` has lost.

use crate::sql::{Tx, execute, fetch, number, text, unsigned};
use crate::{now, signed};
use holdall::ledger::{Amount, Charged, Reserve, Reserved, Row, Settle, Settled};
use holdall::{Error, ErrorKind, Result};
use sqlx::any::AnyRow;

pub(crate) struct Reservation {
    pub(crate) id: i64,
    pub(crate) holder: i64,
    pub(crate) key: String,
    pub(crate) contested: i64,
    pub(crate) expires: i64,
    charged: Charged,
    bytes: i64,
    deletes: bool,
    needs: [i64; 3],
}

/// A query of reservations, with the columns that [`reservation`] reads.
macro_rules! reservations_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, holder, key, contested, expires, owner, grp, bytes, deletes, need_owner, ",
            "need_group, need_backend FROM reservation WHERE ",
            $condition
        )
    };
}

const SCOPES: [&str; 3] = ["owner", "group", "backend"];

/// The scopes in which this is charged, with their names and their place in `SCOPES`.
fn scopes(charged: &Charged) -> impl Iterator<Item = (usize, &str)> {
    let names = [&*charged.owner, &*charged.group, ""];
    let names = names.into_iter().enumerate();
    names.filter(|(at, name)| *at != 1 || !name.is_empty())
}

/// `QuotaExceeded` in this scope.
pub(crate) fn exceeded(
    at: usize,
    limit: Option<u64>,
    used: i64,
    reserved: i64,
    requested: u64,
) -> Error {
    Error::new(ErrorKind::QuotaExceeded)
        .with_message(format!("the quota of the {} is used up", SCOPES[at]))
        .with_fact("scope", SCOPES[at])
        .with_fact("limit", limit.unwrap_or(u64::MAX))
        .with_fact("used", used)
        .with_fact("reserved", reserved)
        .with_fact("requested", requested)
}

/// Locks the backend's row until the end of the transaction.
pub(crate) async fn lock(tx: &mut Tx, backend: &str) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO usage (backend, scope, name) VALUES ($1, 'backend', '') \
         ON CONFLICT (backend, scope, name) DO UPDATE SET used = usage.used",
        backend,
    );
    Ok(())
}

async fn counters(tx: &mut Tx, backend: &str, scope: &str, name: &str) -> Result<(i64, i64)> {
    execute!(
        tx,
        "INSERT INTO usage (backend, scope, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        backend,
        scope,
        name,
    );
    let sql = "SELECT used, reserved FROM usage WHERE backend = $1 AND scope = $2 AND name = $3";
    let rows = fetch!(tx, sql, backend, scope, name);
    rows.first()
        .map_or(Ok((0, 0)), |row| Ok((number(row, 0)?, number(row, 1)?)))
}

/// Adds to the counters of one scope.
async fn add(
    tx: &mut Tx,
    backend: &str,
    (at, name): (usize, &str),
    [used, reserved, objects]: [i64; 3],
) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO usage (backend, scope, name, used, reserved, objects) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (backend, scope, name) DO UPDATE SET used = usage.used + excluded.used, \
         reserved = usage.reserved + excluded.reserved, objects = usage.objects + excluded.objects",
        backend,
        SCOPES[at],
        name,
        used,
        reserved,
        objects,
    );
    Ok(())
}

pub(crate) async fn object(tx: &mut Tx, backend: &str, key: &str) -> Result<Option<Row>> {
    let sql = "SELECT key, size, owner, grp FROM object WHERE backend = $1 AND key = $2";
    fetch!(tx, sql, backend, key).first().map(row).transpose()
}

pub(crate) async fn objects(
    tx: &mut Tx,
    backend: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<Row>> {
    let sql = "SELECT key, size, owner, grp FROM object WHERE backend = $1 AND key > $2 \
               ORDER BY key LIMIT $3";
    fetch!(tx, sql, backend, after, i64::from(limit))
        .iter()
        .map(row)
        .collect()
}

fn row(row: &AnyRow) -> Result<Row> {
    Ok(Row {
        key: text(row, 0)?,
        size: unsigned(number(row, 1)?),
        charged: Charged {
            owner: text(row, 2)?,
            group: text(row, 3)?,
        },
    })
}

pub(crate) async fn reservations(tx: &mut Tx, backend: &str) -> Result<Vec<Reservation>> {
    let sql = reservations_where!("backend = $1");
    fetch!(tx, sql, backend).iter().map(reservation).collect()
}

async fn reservations_of_key(tx: &mut Tx, backend: &str, key: &str) -> Result<Vec<Reservation>> {
    let sql = reservations_where!("backend = $1 AND key = $2");
    fetch!(tx, sql, backend, key)
        .iter()
        .map(reservation)
        .collect()
}

fn reservation(row: &AnyRow) -> Result<Reservation> {
    Ok(Reservation {
        id: number(row, 0)?,
        holder: number(row, 1)?,
        key: text(row, 2)?,
        contested: number(row, 3)?,
        expires: number(row, 4)?,
        charged: Charged {
            owner: text(row, 5)?,
            group: text(row, 6)?,
        },
        bytes: number(row, 7)?,
        deletes: number(row, 8)? != 0,
        needs: [number(row, 9)?, number(row, 10)?, number(row, 11)?],
    })
}

/// Gives the needs of a reservation back and removes it.
async fn release(tx: &mut Tx, backend: &str, reservation: &Reservation) -> Result<()> {
    for (at, name) in scopes(&reservation.charged) {
        add(tx, backend, (at, name), [0, -reservation.needs[at], 0]).await?;
    }
    execute!(tx, "DELETE FROM reservation WHERE id = $1", reservation.id);
    Ok(())
}

/// Releases what signed URLs have reserved that have expired.
pub(crate) async fn expire(tx: &mut Tx, backend: &str) -> Result<()> {
    if expired(tx, backend).await?.is_empty() {
        return Ok(());
    }
    // Again under the lock: another process may release the same ones.
    lock(tx, backend).await?;
    for reservation in expired(tx, backend).await? {
        release(tx, backend, &reservation).await?;
    }
    Ok(())
}

async fn expired(tx: &mut Tx, backend: &str) -> Result<Vec<Reservation>> {
    let sql = reservations_where!("backend = $1 AND expires > 0 AND expires <= $2");
    fetch!(tx, sql, backend, signed(now()))
        .iter()
        .map(reservation)
        .collect()
}

pub(crate) async fn reserve(tx: &mut Tx, holder: i64, ask: &Reserve) -> Result<Reserved> {
    let backend = &*ask.backend;
    lock(tx, backend).await?;
    expire(tx, backend).await?;
    let mut others = reservations_of_key(tx, backend, &ask.key).await?;
    if let Some(replaced) = ask.replaces.map(u64::cast_signed)
        && let Some(at) = others.iter().position(|other| other.id == replaced)
    {
        release(tx, backend, &others.swap_remove(at)).await?;
    }
    let old = match others.is_empty() {
        true => object(tx, backend, &ask.key).await?,
        false => None,
    };
    let limits = [ask.limits.owner, ask.limits.group, ask.limits.backend];
    let mut free = [i64::MAX; 3];
    let mut credits = [0; 3];
    let mut known = [(0, 0); 3];
    for (at, name) in scopes(&ask.charged) {
        let (used, reserved) = counters(tx, backend, SCOPES[at], name).await?;
        let same = |old: &&Row| scopes(&old.charged).any(|scope| scope == (at, name));
        credits[at] = old.as_ref().filter(same).map_or(0, |old| signed(old.size));
        known[at] = (used, reserved);
        if let Some(limit) = limits[at] {
            free[at] = signed(limit) - used - reserved + credits[at];
        }
    }
    let refusal = |at: usize, requested: u64| {
        let (used, reserved) = known[at];
        exceeded(at, limits[at], used, reserved, requested)
    };
    let narrowest = (0..3).min_by_key(|at| free[*at]).unwrap_or(0);
    let (bytes, deletes) = match ask.bytes {
        Amount::Known(bytes) => (signed(bytes), false),
        Amount::UpTo(most) => (signed(most).min(free[narrowest]).max(0), false),
        Amount::Delete => (0, true),
    };
    let needs = credits.map(|credit| (bytes - credit).max(0));
    if let Some(at) = (0..3).find(|at| needs[*at] > 0 && bytes > free[*at]) {
        return Err(refusal(at, unsigned(bytes)));
    }
    for (at, name) in scopes(&ask.charged) {
        add(tx, backend, (at, name), [0, needs[at], 0]).await?;
    }
    execute!(
        tx,
        "INSERT INTO reservation (id, holder, backend, key, owner, grp, bytes, deletes, \
         need_owner, need_group, need_backend, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        ask.id.cast_signed(),
        holder,
        backend,
        &*ask.key,
        &*ask.charged.owner,
        &*ask.charged.group,
        bytes,
        i64::from(deletes),
        needs[0],
        needs[1],
        needs[2],
        ask.expires.map_or(0, signed),
    );
    let bounded = matches!(ask.bytes, Amount::UpTo(most) if bytes < signed(most));
    Ok(Reserved {
        bytes: unsigned(bytes),
        excess: bounded.then(|| refusal(narrowest, unsigned(bytes).saturating_add(1))),
    })
}

pub(crate) async fn settle(tx: &mut Tx, ask: &Settle) -> Result<Settled> {
    let backend = &*ask.backend;
    lock(tx, backend).await?;
    let all = reservations_of_key(tx, backend, &ask.key).await?;
    let id = ask.id.map(u64::cast_signed);
    // A signed URL writes nothing before an upload has replaced its reservation.
    let now = signed(now());
    let (mine, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| Some(it.id) == id);
    let mine = mine.first();
    if id.is_some() && mine.is_none() && !ask.done {
        // Another process has taken it for an orphan and settled it.
        return Ok(Settled::Done);
    }
    let writers = others.iter().any(|other| other.expires == 0);
    let contested = mine.map_or(0, |mine| mine.contested);
    let is_current = match ask.looked_up {
        None => contested == 0 && !writers,
        // Without a reservation nothing tells of writes meanwhile.
        Some(_) if mine.is_none() => !writers,
        Some(looked_up) => signed(looked_up) == contested,
    };
    if !is_current {
        return Ok(Settled::Contested(unsigned(contested)));
    }
    if let Some(mine) = mine.filter(|mine| mine.expires != 0) {
        if mine.expires <= now {
            release(tx, backend, mine).await?;
        }
        return Ok(Settled::Done);
    }
    let old = object(tx, backend, &ask.key).await?;
    if let Some(old) = &old {
        for scope in scopes(&old.charged) {
            add(tx, backend, scope, [-signed(old.size), 0, -1]).await?;
        }
        let sql = "DELETE FROM object WHERE backend = $1 AND key = $2";
        execute!(tx, sql, backend, &*ask.key);
    }
    if let Some(size) = ask.stored {
        let charged = payer(ask, mine, old.as_ref(), size);
        let sql = "INSERT INTO object (backend, key, size, owner, grp) VALUES ($1, $2, $3, $4, $5)";
        execute!(
            tx,
            sql,
            backend,
            &*ask.key,
            signed(size),
            &*charged.owner,
            &*charged.group
        );
        for scope in scopes(&charged) {
            add(tx, backend, scope, [signed(size), 0, 1]).await?;
        }
    }
    if let Some(mine) = mine {
        release(tx, backend, mine).await?;
    }
    for other in &others {
        raise(tx, backend, other).await?;
    }
    Ok(Settled::Done)
}

/// Who is charged for what is stored now.
fn payer(ask: &Settle, mine: Option<&Reservation>, old: Option<&Row>, size: u64) -> Charged {
    let unchanged = !ask.done && old.is_some_and(|old| old.size == size);
    match (mine, old) {
        (Some(mine), _) if !mine.deletes && !unchanged => mine.charged.clone(),
        (_, Some(old)) => old.charged.clone(),
        (Some(mine), None) => mine.charged.clone(),
        (None, None) => Charged {
            owner: holdall::DEFAULT_OWNER.to_owned(),
            group: String::new(),
        },
    }
}

/// Another write to the key has settled: the object that this one counted on has gone.
async fn raise(tx: &mut Tx, backend: &str, other: &Reservation) -> Result<()> {
    for (at, name) in scopes(&other.charged) {
        let more = (other.bytes - other.needs[at]).max(0);
        if more > 0 {
            add(tx, backend, (at, name), [0, more, 0]).await?;
        }
    }
    let needs = other.needs.map(|need| need.max(other.bytes));
    execute!(
        tx,
        "UPDATE reservation SET contested = contested + 1, need_owner = $1, need_group = $2, \
         need_backend = $3 WHERE id = $4",
        needs[0],
        needs[1],
        needs[2],
        other.id,
    );
    Ok(())
}
