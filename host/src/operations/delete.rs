//! `delete`, `delete_many` and `delete_prefix`.

use super::calls;
use super::etag;
use super::fault;
use super::quota;
use super::{list, may_write, needs};
use crate::backend::Backend;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::ledger::Amount;
use futures_util::StreamExt;
use holdall_plugin_api::{
    Capability, Delete, DeleteMany, Deleted, Error, Key, List, Operation, Result,
};
use std::pin::pin;
use std::sync::Arc;

/// Deletes at once, where the store removes one object at a time.
const AT_ONCE: usize = 16;

/// What [`Backend::delete_prefix`] did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeletedPrefix {
    /// Objects that are gone.
    pub deleted: u64,
    /// Objects that are not, and why.
    pub failed: Vec<(String, Error)>,
    /// Foreign objects that the listing left out.
    pub skipped: u64,
}

impl Backend {
    /// Removes an object. A missing one is success, unless `must_exist`.
    ///
    /// A store that does not claim `exact_delete` is asked for the object first; then another
    /// writer may come between the two steps, and `must_exist` may be answered from before that.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::Delete;
    ///
    /// photos.delete("2026/cat.txt").await?;
    /// photos.delete(Delete::new("2026/dog.txt").must_exist()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `FileNotFound`: `must_exist`, and there is none.
    /// - `PreconditionFailed`: `if_match` lost.
    /// - `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn delete<'a>(
        &self,
        delete: impl Into<Delete<'a>>,
    ) -> impl Future<Output = Result<Deleted>> + Send {
        let delete = delete.into();
        async move {
            let scope = self.scope(Operation::Delete, Some(delete.key));
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    remove(&scope, opened, delete).await
                }))
                .await
        }
    }

    /// Removes many objects: one answer for each, in order. A key that fails stops no other.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let keys = ["2026/cat.txt", "2026/dog.txt"];
    /// let answers = photos.delete_many(&keys[..]).await?;
    /// for (key, answer) in keys.iter().zip(answers) {
    ///     if let Err(error) = answer {
    ///         println!("{key}: {error}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Only what concerns all of them; the rest is in the answers.
    pub fn delete_many<'a>(
        &self,
        delete: impl Into<DeleteMany<'a>>,
    ) -> impl Future<Output = Result<Vec<Result<Deleted>>>> + Send {
        let delete = delete.into();
        async move {
            let scope = self.scope(Operation::DeleteMany, None);
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    remove_many(&scope, opened, &delete).await
                }))
                .await
        }
    }

    /// Removes every object whose key begins so, page by page. `*` means itself; an empty prefix is
    /// everything.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let done = photos.delete_prefix("2026/").await?;
    /// println!("{} deleted, {} failed", done.deleted, done.failed.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `Unsupported`: the plugin cannot list.
    /// - What keeps the listing from going on; objects that could not be removed are in the answer.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<DeletedPrefix> {
        let scope = self.scope(Operation::DeleteMany, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                let limit = opened.terms.limits.max_page.clamp(1, 1000);
                let mut done = DeletedPrefix::default();
                let mut token: Option<String> = None;
                loop {
                    let wanted = List::new(prefix).limit(limit).page_token(token.as_deref());
                    let page = list::page(&scope, opened, wanted).await?;
                    done.skipped += page.skipped;
                    let keys: Vec<_> = page
                        .entries
                        .iter()
                        .map(|entry| Key::new(&entry.key))
                        .collect();
                    let answers = remove_many(&scope, opened, &DeleteMany::new(keys)).await?;
                    for (entry, answer) in page.entries.into_iter().zip(answers) {
                        match answer {
                            Ok(_) => done.deleted += 1,
                            Err(error) => done.failed.push((entry.key, error)),
                        }
                    }
                    token = page.next;
                    if token.is_none() {
                        return Ok(done);
                    }
                }
            }))
            .await
    }
}

pub(super) async fn remove(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut delete: Delete<'_>,
) -> Result<Deleted> {
    opened.terms.delete(&delete)?;
    may_write(scope)?;
    let must_exist = delete.must_exist;
    if must_exist && !opened.claims(Capability::ExactDelete) {
        if !calls::exists(scope, opened, delete.key).await? {
            return Err(Error::not_found());
        }
        delete.must_exist = false;
    }
    let mut delete = delete;
    let condition;
    if let Some(given) = delete.if_match {
        condition = etag::native(scope, opened, delete.key, given).await;
        delete.if_match = Some(&condition);
    }
    let begun = quota::begin(scope, opened, delete.key, Amount::Delete).await?;
    let deleted = calls::delete(scope, opened, delete).await;
    let deleted = match begun {
        None => deleted?,
        Some((write, _)) => write.end(scope, opened, deleted, |_| Some(None)).await?,
    };
    // Another writer was faster, and the store reports it.
    if must_exist && deleted.existed == Some(false) {
        return Err(Error::not_found());
    }
    Ok(deleted)
}

async fn remove_many(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    delete: &DeleteMany<'_>,
) -> Result<Vec<Result<Deleted>>> {
    may_write(scope)?;
    let keys = &delete.keys[..];
    let versioned = !delete.versions.is_empty();
    if versioned && delete.versions.len() != keys.len() {
        return Err(Error::invalid("a version for each key, or none at all")
            .with_fact("keys", keys.len())
            .with_fact("versions", delete.versions.len()));
    }
    let version = |at: usize| delete.versions.get(at).copied().flatten();
    let named = async |key: &Key, answer: Result<Deleted>| {
        let answer = scope.record(Some(key), answer).await;
        answer.map_err(|error| {
            let error = error.at(|place| place.key = Some(key.text().to_owned()));
            scope.completed(error)
        })
    };
    if needs(opened, Operation::DeleteMany).is_err()
        || versioned && !opened.claims(Capability::DeleteManyVersions)
    {
        // A loop: as a closure of an iterator the futures would not be known to be `Send`.
        let mut each = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            each.push(async move {
                let mut one = Delete::new(*key);
                one.version = version(at);
                named(key, remove(scope, opened, one).await).await
            });
        }
        let each = futures_util::stream::iter(each);
        return Ok(each.buffered(AT_ONCE).collect().await);
    }
    let checks: Vec<_> = keys
        .iter()
        .map(|key| opened.terms.key(key.text()))
        .collect();
    let mut good = DeleteMany::new::<Key>([]);
    for (at, (key, _)) in keys
        .iter()
        .zip(&checks)
        .enumerate()
        .filter(|(_, (_, check))| check.is_ok())
    {
        good.keys.push(*key);
        if versioned {
            good.versions.push(version(at));
        }
    }
    let asked = good.keys.len();
    let mut begun = Vec::new();
    for key in &good.keys {
        begun.extend(quota::begin(scope, opened, key, Amount::Delete).await?);
    }
    let mut answers = match asked {
        0 => Vec::new(),
        // Writes that have no answer are looked up when they are dropped.
        _ => calls::delete_many(scope, opened, good).await?,
    };
    if answers.len() == asked && !begun.is_empty() {
        let mut booked = Vec::with_capacity(asked);
        for ((write, _), answer) in begun.into_iter().zip(answers) {
            booked.push(write.end(scope, opened, answer, |_| Some(None)).await);
        }
        answers = booked;
    }
    if answers.len() != asked {
        return Err(
            fault("the plugin answered for another number of keys (`result_count`)")
                .with_fact("expected", asked)
                .with_fact("found", answers.len()),
        );
    }
    let mut answers = answers.into_iter();
    let mut merged = Vec::with_capacity(keys.len());
    for (key, check) in keys.iter().zip(checks) {
        let answer = check.and_then(|()| answers.next().unwrap_or_else(|| Err(Error::not_found())));
        merged.push(named(key, answer).await);
    }
    Ok(merged)
}
