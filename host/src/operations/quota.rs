//! Writes to a backend with a quota: reserved before the plugin is called, booked after it by what is stored.
//!
//! A write that fails, whose caller goes away, or whose booking fails is looked up in the backend and booked by what
//! is there, in a task of its own when need be. What a process leaves behind is found by the next one, before its
//! first write to the backend.

use super::download;
use crate::backend::Backend;
use crate::backend::generation::Opened;
use crate::backend::options::DEFAULT_OWNER;
use crate::backend::scope::Scope;
use crate::host::no_ledger;
use crate::ledger::{Amount, Charged, Ledger, Orphan, Reserve, Reserved, Row, Settle, Settled};
use crate::policy::{Quota, Refusal};
use holdall_plugin_api::{Error, ErrorKind, Head, Key, Method, Result, SignUrl};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Look-ups of one settlement, while other writers of the key settle too.
const LOOK_UPS: u32 = 8;
/// Later tries of a settlement, with waits of 1 s, doubling.
const TRIES: u32 = 8;

/// A write between its reservation and its settlement.
pub(super) struct Write(Option<State>);

struct State {
    backend: Backend,
    ledger: Arc<dyn Ledger>,
    settle: Settle,
    /// Runs to its end even when the caller goes away: its outcome decides whether there is something to settle.
    reserving: Option<JoinHandle<Result<Reserved>>>,
    runtime: Handle,
}

/// What a write asks for.
pub(super) struct Wanted {
    pub(super) bytes: Amount,
    /// Who is charged, when it is not the caller; no limit applies then.
    pub(super) moved: Option<Charged>,
}

impl From<Amount> for Wanted {
    fn from(bytes: Amount) -> Self {
        Self { bytes, moved: None }
    }
}

/// The ledger of a backend that has a quota, and what this caller may not exceed.
pub(super) fn of<'s>(scope: &'s Scope<'_>) -> Result<Option<(&'s Arc<dyn Ledger>, Quota)>> {
    let Some(quota) = scope.guards().and_then(|guards| guards.quota) else {
        return Ok(None);
    };
    let ledger = scope.context().ledger.as_ref().ok_or_else(no_ledger)?;
    let options = scope.backend.options();
    Ok(Some(
        match options.is_some_and(|options| options.unlimited) {
            true => (ledger, Quota::UNLIMITED),
            false => (ledger, quota),
        },
    ))
}

/// Reserves for a write; `None` when the backend has no quota.
///
/// # Errors
///
/// `QuotaExceeded`, `Unavailable`.
pub(super) async fn begin(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    key: &Key,
    wanted: impl Into<Wanted>,
) -> Result<Option<(Write, Reserved)>> {
    let Some((ledger, limits)) = of(scope)? else {
        return Ok(None);
    };
    let wanted = wanted.into();
    let runtime = Handle::try_current().map_err(|why| {
        let error = Error::new(ErrorKind::Unavailable).because(why);
        error.with_message("a backend with a quota is written to inside of a Tokio runtime")
    })?;
    repair_once(scope, opened, ledger).await;
    let mut ask = match wanted.moved {
        Some(payer) => ask(scope, key, wanted.bytes, payer, Quota::UNLIMITED)?,
        None => ask(scope, key, wanted.bytes, charged(scope), limits)?,
    };
    let options = scope.backend.options();
    ask.replaces = options.and_then(|options| options.reservation);
    let settle = settlement(&ask.backend, &ask.key, Some(ask.id));
    let asked = ledger.clone();
    let mut write = Write(Some(State {
        backend: scope.backend.plain(scope.generation()?.clone()),
        ledger: ledger.clone(),
        settle,
        reserving: Some(runtime.spawn(async move { asked.reserve(&ask).await })),
        runtime,
    }));
    let reserved = counted(scope, write.reserved().await)?;
    Ok(Some((write, reserved)))
}

/// Reserves the bound size of a signed PUT until it expires; returns the number of the reservation. `None`: no quota,
/// or no bound.
///
/// # Errors
///
/// `QuotaExceeded`, `Unavailable`.
pub(super) async fn reserve_for_url(scope: &Scope<'_>, sign: &SignUrl<'_>) -> Result<Option<u64>> {
    let (Method::Put, Some(max)) = (sign.method, sign.max_size) else {
        return Ok(None);
    };
    let Some((ledger, limits)) = of(scope)? else {
        return Ok(None);
    };
    let end = SystemTime::now().checked_add(sign.expires_in);
    let end = end.and_then(|end| end.duration_since(UNIX_EPOCH).ok());
    let bytes = Amount::Known(max);
    let mut ask = ask(scope, sign.key, bytes, charged(scope), limits)?;
    ask.expires = end.map(|end| end.as_secs() + 1);
    counted(scope, ledger.reserve(&ask).await)?;
    Ok(Some(ask.id))
}

/// Counts a refusal.
fn counted<T>(scope: &Scope<'_>, outcome: Result<T>) -> Result<T> {
    outcome.inspect_err(|error| {
        if error.kind() == ErrorKind::QuotaExceeded {
            scope.refused(Refusal::Quota);
        }
    })
}

/// Who is charged for what the caller stores.
pub(super) fn charged(scope: &Scope<'_>) -> Charged {
    let account = scope.backend.account();
    Charged {
        owner: account.owner.unwrap_or(DEFAULT_OWNER).to_owned(),
        group: account.group.unwrap_or_default().to_owned(),
    }
}

fn ask(
    scope: &Scope<'_>,
    key: &Key,
    bytes: Amount,
    charged: Charged,
    limits: Quota,
) -> Result<Reserve> {
    // A number that no other reservation has.
    let id = getrandom::u64().map_err(|why| Error::new(ErrorKind::Other).because(why))?;
    Ok(Reserve {
        id: id >> 1,
        backend: scope.backend.name().to_owned(),
        key: key.text().to_owned(),
        charged,
        bytes,
        limits,
        replaces: None,
        expires: None,
    })
}

impl Write {
    async fn reserved(&mut self) -> Result<Reserved> {
        let reserving = self.0.as_mut().and_then(|state| state.reserving.as_mut());
        let outcome = match reserving {
            Some(reserving) => reserving.await,
            None => unreachable!("asked once"),
        };
        let outcome = outcome.unwrap_or_else(|why| {
            let error = Error::new(ErrorKind::Unavailable).because(why);
            Err(error.with_message("the ledger of quotas does not answer"))
        });
        match (&outcome, &mut self.0) {
            (Ok(_), Some(state)) => state.reserving = None,
            // Refused or unknown: of the latter the next start, or a reconciliation, finds what there is.
            _ => self.0 = None,
        }
        outcome
    }

    /// Books what is stored: `stored` tells the size, or that there is none, of an answer that says it.
    pub(super) async fn end<T>(
        mut self,
        scope: &Scope<'_>,
        opened: &Arc<Opened>,
        outcome: Result<T>,
        stored: impl FnOnce(&T) -> Option<Option<u64>>,
    ) -> Result<T> {
        let Some(state) = &mut self.0 else {
            return outcome;
        };
        state.settle.done = outcome.is_ok();
        let mut others = 0;
        if let Some(stored) = outcome.as_ref().ok().and_then(stored) {
            state.settle.stored = stored;
            match state.ledger.settle(&state.settle).await {
                Ok(Settled::Done) => {
                    self.0 = None;
                    return outcome;
                }
                Ok(Settled::Contested(number)) => others = number,
                // The write is done. Its booking is tried again when this ends.
                Err(_) => return outcome,
            }
        }
        let look_up = LookUp::Within(scope, opened);
        if let Ok(true) = settle_by(&state.ledger, &mut state.settle, others, look_up).await {
            self.0 = None;
        }
        outcome
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            let runtime = state.runtime.clone();
            runtime.spawn(state.resolve());
        }
    }
}

impl State {
    /// Settles by what the backend says, again and again for some minutes.
    async fn resolve(mut self) {
        if let Some(reserving) = self.reserving.take()
            && !matches!(reserving.await, Ok(Ok(_)))
        {
            return;
        }
        let mut wait = Duration::from_secs(1);
        for _ in 0..TRIES {
            let look_up = LookUp::Of(&self.backend);
            if let Ok(true) = settle_by(&self.ledger, &mut self.settle, 0, look_up).await {
                return;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        tracing::warn!(
            target: "holdall",
            backend = self.backend.name(),
            "a write could not be booked; the next start or a reconciliation will"
        );
    }
}

/// How the object of a key is looked up.
#[derive(Clone, Copy)]
pub(super) enum LookUp<'a> {
    /// As a part of a running operation.
    Within(&'a Scope<'a>, &'a Arc<Opened>),
    /// By an operation of its own.
    Of(&'a Backend),
}

impl LookUp<'_> {
    async fn size(self, key: &Key) -> Result<Option<u64>> {
        let found = match self {
            Self::Within(scope, opened) => download::facts(scope, opened, Head::new(key)).await,
            Self::Of(backend) => backend.head(key).await,
        };
        match found {
            Ok(info) => Ok(Some(info.size)),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Looks the object up and settles by it; `false` when others settle again and again.
///
/// # Errors
///
/// The backend's or the ledger's.
pub(super) async fn settle_by(
    ledger: &Arc<dyn Ledger>,
    settle: &mut Settle,
    mut others: u64,
    look_up: LookUp<'_>,
) -> Result<bool> {
    for _ in 0..LOOK_UPS {
        settle.stored = look_up.size(Key::new(&*settle.key)).await?;
        settle.looked_up = Some(others);
        match ledger.settle(settle).await? {
            Settled::Done => return Ok(true),
            Settled::Contested(number) => others = number,
        }
    }
    Ok(false)
}

/// Before the first write of this process to the backend.
async fn repair_once(scope: &Scope<'_>, opened: &Arc<Opened>, ledger: &Arc<dyn Ledger>) {
    let once = &scope.backend.slot.repaired;
    let repaired = once.get_or_try_init(|| async {
        let orphans = ledger.orphans(scope.backend.name()).await?;
        repair(scope, opened, ledger, orphans).await;
        Ok::<_, Error>(())
    });
    // An unreachable ledger refuses the write itself.
    let _ = repaired.await;
}

/// Settles what ended processes have left; returns how many.
pub(super) async fn repair(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    ledger: &Arc<dyn Ledger>,
    orphans: Vec<Orphan>,
) -> u64 {
    let mut released = 0;
    for Orphan { id, key, contested } in orphans {
        let mut settle = settlement(scope.backend.name(), &key, Some(id));
        let look_up = LookUp::Within(scope, opened);
        match settle_by(ledger, &mut settle, contested, look_up).await {
            Ok(true) => released += 1,
            Ok(false) => {}
            Err(error) => tracing::warn!(
                target: "holdall",
                backend = scope.backend.name(),
                %error,
                "a write of an ended process could not be looked up"
            ),
        }
    }
    released
}

/// A settlement of what is still to be looked up.
fn settlement(backend: &str, key: &str, id: Option<u64>) -> Settle {
    Settle {
        id,
        backend: backend.to_owned(),
        key: key.to_owned(),
        stored: None,
        done: false,
        looked_up: None,
    }
}

/// The row of an object that is renamed.
pub(super) async fn row(scope: &Scope<'_>, key: &Key) -> Result<Option<Row>> {
    match of(scope)? {
        None => Ok(None),
        Some((ledger, _)) => ledger.object(scope.backend.name(), key.text()).await,
    }
}
