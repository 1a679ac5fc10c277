//! Usage of a quota, and its reconciliation with what is stored.

use super::quota::{self, Wanted};
use crate::backend::{Backend, DEFAULT_OWNER};
use crate::host::no_ledger;
use crate::ledger::{Amount, Charged, Ledger, QuotaUsage, Reconciled};
use crate::policy::Quota;
use futures_util::TryStreamExt;
use holdall_plugin_api::{Key, List, Operation, Result};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError};

/// Rows of the ledger that are read at once.
const ROWS: u32 = 1000;

impl Backend {
    /// Whether the backend has a quota.
    pub fn has_quota(&self) -> bool {
        self.quota_limits().is_ok_and(|limits| limits.is_some())
    }

    /// Usage and limits by owner, by group and of the whole backend, sorted by scope and name. The caller's own
    /// owner and group stand in it even when they store nothing. `None`: the backend has no quota.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// for usage in photos.quota().await?.unwrap_or_default() {
    ///     println!("{} {}: {} of {:?} bytes", usage.scope, usage.name, usage.used, usage.limit);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unavailable`: the ledger does not answer.
    pub async fn quota(&self) -> Result<Option<Vec<QuotaUsage>>> {
        let Some((ledger, limits)) = self.counted()? else {
            return Ok(None);
        };
        let mut all = ledger.usage(self.name()).await?;
        let account = self.account();
        let own = [
            ("backend", Some("")),
            ("owner", Some(account.owner.unwrap_or(DEFAULT_OWNER))),
            ("group", account.group),
        ];
        for (scope, name) in own {
            let Some(name) = name else { continue };
            if !all.iter().any(|row| row.scope == scope && row.name == name) {
                all.push(QuotaUsage::new(scope, name, 0, 0, 0));
            }
        }
        for row in &mut all {
            row.limit = match &*row.scope {
                "owner" => limits.owner,
                "group" => limits.group,
                _ => limits.backend,
            };
        }
        all.sort_by(|a, b| (&a.scope, &a.name).cmp(&(&b.scope, &b.name)));
        Ok(Some(all))
    }

    /// The backend's quota; `None` when it has none.
    ///
    /// # Errors
    ///
    /// `BackendNotRegistered`: the backend was removed.
    pub fn quota_limits(&self) -> Result<Option<Quota>> {
        let generation = self.generation()?;
        let guards = generation.guards.as_deref();
        Ok(guards.and_then(|guards| guards.quota))
    }

    /// Compares the ledger with a listing of the whole backend and mends it: corrects sizes, removes rows of
    /// objects that have gone, charges unknown objects to the owner `default`, ends what ended processes have
    /// reserved, and computes the sums anew. Writes go on meanwhile. It keeps the keys of the backend in memory.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// println!("{:?}", photos.reconcile_quota().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unavailable`: the ledger does not answer; and those of a listing. What was mended before stays.
    pub async fn reconcile_quota(&self) -> Result<Reconciled> {
        let Some((ledger, _)) = self.counted()? else {
            return Ok(Reconciled::default());
        };
        let mut done = Reconciled {
            runs: 1,
            released: self.settle_interrupted().await?,
            ..Reconciled::default()
        };
        let mut booked: HashMap<String, u64> = HashMap::new();
        let mut after = String::new();
        loop {
            let rows = ledger.objects(self.name(), &after, ROWS).await?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.key);
            booked.extend(rows.into_iter().map(|row| (row.key, row.size)));
        }
        let mut doubtful = Vec::new();
        let mut pages = pin!(self.pages(List::new("")));
        while let Some(page) = pages.try_next().await? {
            for entry in page.entries {
                done.objects += 1;
                if booked.remove(&entry.key) != Some(entry.size) {
                    doubtful.push(entry.key);
                }
            }
        }
        // Only now that the listing is whole: what it lacks has gone.
        doubtful.extend(booked.into_keys());
        for key in doubtful {
            match self.mend(&ledger, Key::new(&*key)).await? {
                (None, Some(_)) => done.added += 1,
                (Some(_), None) => done.removed += 1,
                (Some(before), Some(after)) if before != after => done.corrected += 1,
                _ => {}
            }
        }
        done.counters = ledger.recount(self.name()).await?;
        let mut mended = self
            .slot
            .mended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mended.add(&done);
        Ok(done)
    }

    /// Looks up and books the writes that ended processes have left unfinished; returns how many. The first write
    /// of a process to a backend does the same.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the ledger does not answer; or the backend cannot be opened.
    pub async fn settle_interrupted(&self) -> Result<u64> {
        let Some((ledger, _)) = self.counted()? else {
            return Ok(0);
        };
        let orphans = ledger.orphans(self.name()).await?;
        if orphans.is_empty() {
            return Ok(0);
        }
        let scope = self.scope(Operation::Head, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                Ok(quota::repair(&scope, opened, &ledger, orphans).await)
            }))
            .await
    }

    /// What the reconciliations of this process have mended so far.
    pub fn reconciled(&self) -> Reconciled {
        *self
            .slot
            .mended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self) -> Result<Option<(Arc<dyn Ledger>, Quota)>> {
        let Some(limits) = self.quota_limits()? else {
            return Ok(None);
        };
        let ledger = self.slot.context.ledger.clone();
        Ok(Some((ledger.ok_or_else(no_ledger)?, limits)))
    }

    /// Books what is stored under a key; returns the sizes before and after.
    async fn mend(
        &self,
        ledger: &Arc<dyn Ledger>,
        key: &Key,
    ) -> Result<(Option<u64>, Option<u64>)> {
        let scope = self.scope(Operation::Head, Some(key));
        let booked = async || {
            let row = ledger.object(self.name(), key.text()).await?;
            Ok::<_, holdall_plugin_api::Error>(row.map(|row| row.size))
        };
        let before = booked().await?;
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                // As a delete, which reserves nothing: writes meanwhile make it look up the object again.
                let wanted = Wanted {
                    bytes: Amount::Delete,
                    moved: Some(Charged {
                        owner: DEFAULT_OWNER.to_owned(),
                        group: String::new(),
                    }),
                };
                match quota::begin(&scope, opened, key, wanted).await? {
                    Some((write, _)) => write.end(&scope, opened, Ok(()), |()| None).await,
                    None => Ok(()),
                }
            }))
            .await?;
        Ok((before, booked().await?))
    }
}
