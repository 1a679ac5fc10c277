//! Calls of a plugin, through the policies that surround each attempt: prefix, retry, breaker.
//!
//! Without such a policy a function here is the plugin's own, and costs one branch.

use super::attempts::Attempts;
use super::replay::Replay;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::policy::retry::Unknown;
use crate::policy::{Guards, Refusal};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{
    Bytes, Copied, CopyObject, Custom, Delete, DeleteMany, Deleted, Download, Downloaded, Error,
    Head, Health, Key, List, ObjectInfo, Operation, Page, Rename, Renamed, Result, SignUrl,
    Signing, Upload, Uploaded, Usage,
};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

type Instance = Arc<Opened>;

/// Repeats a call as the policy allows. The instance of an attempt need not be that of the one before.
macro_rules! attempts {
    ($guards:expr, $scope:expr, $opened:expr, $unknown:expr, |$instance:ident| $call:expr) => {{
        let mut attempts = Attempts::new($guards, $scope, $opened);
        loop {
            attempts.begin()?;
            let $instance = &attempts.opened().instance;
            let outcome = $call.await;
            if let ControlFlow::Break(answer) = attempts.end(outcome, $unknown).await {
                break answer;
            }
        }
    }};
}

/// The plugin's own function, or the guarded one: on the heap, because few backends need it and the futures of
/// the others stay small. What is `small` lies in the caller's future.
macro_rules! through {
    ($scope:expr, $plain:expr, small |$guards:ident| $guarded:expr) => {
        match $scope.guards().filter(|guards| guards.surround_calls()) {
            None => Either::Left($plain),
            Some($guards) => Either::Right($guarded),
        }
    };
    ($scope:expr, $plain:expr, |$guards:ident| $guarded:expr) => {
        through!($scope, $plain, small | $guards | $guarded.boxed())
    };
}

impl Guards {
    /// Whether a policy stands around each attempt.
    pub(super) fn surround_calls(&self) -> bool {
        self.prefix.is_some() || self.retry.is_some() || self.breaker.is_some()
    }

    pub(super) fn key<'k>(
        &self,
        key: &'k Key,
        scope: &Scope<'_>,
        terms: &Terms,
    ) -> Result<Cow<'k, str>> {
        let Some(prefix) = &self.prefix else {
            return Ok(Cow::Borrowed(key.text()));
        };
        let whole = prefix.key(key, terms);
        whole
            .map(Cow::Owned)
            .inspect_err(|_| scope.refused(Refusal::Prefix))
    }
}

pub(crate) fn exists<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    key: &'a Key,
) -> impl Future<Output = Result<bool>> + Send + 'a {
    through!(
        scope,
        opened.instance.exists(key, scope.call()),
        small
            | guards
            | async move {
                let key = guards.key(key, scope, &opened.terms)?;
                attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                    .exists(Key::new(&*key), scope.call()))
            }
    )
}

pub(crate) fn head<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    head: Head<'a>,
) -> impl Future<Output = Result<ObjectInfo>> + Send + 'a {
    through!(
        scope,
        opened.instance.head(head, scope.call()),
        |guards| async move {
            let mut head = head;
            let key = guards.key(head.key, scope, &opened.terms)?;
            head.key = Key::new(&*key);
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                .head(head.clone(), scope.call()))
        }
    )
}

pub(crate) fn download<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    download: Download<'a>,
) -> impl Future<Output = Result<Downloaded>> + Send + 'a {
    through!(
        scope,
        opened.instance.download(download, scope.call()),
        |guards| async move {
            let mut download = download;
            let key = guards.key(download.key, scope, &opened.terms)?;
            download.key = Key::new(&*key);
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                .download(download.clone(), scope.call()))
        }
    )
}

pub(crate) fn list<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    list: List<'a>,
) -> impl Future<Output = Result<Page>> + Send + 'a {
    through!(
        scope,
        opened.instance.list(list, scope.call()),
        |guards| async move {
            let mut list = list;
            let under = |text: &str| guards.prefix.as_ref().map(|prefix| prefix.join(text));
            let prefix = under(list.prefix);
            let start = list.start_after.and_then(under);
            list.prefix = prefix.as_deref().unwrap_or(list.prefix);
            list.start_after = start.as_deref().or(list.start_after);
            opened.terms.list(&list)?;
            let mut page: Page =
                attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                    .list(list, scope.call()))?;
            if let Some(prefix) = &guards.prefix {
                prefix.strip(&mut page)?;
            }
            Ok(page)
        }
    )
}

pub(crate) fn signed_url<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    sign: SignUrl<'a>,
) -> impl Future<Output = Result<Signing>> + Send + 'a {
    through!(
        scope,
        opened.instance.signed_url(sign, scope.call()),
        |guards| async move {
            let mut sign = sign;
            let key = guards.key(sign.key, scope, &opened.terms)?;
            sign.key = Key::new(&*key);
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                .signed_url(sign.clone(), scope.call()))
        }
    )
}

pub(crate) fn health<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
) -> impl Future<Output = Result<Health>> + Send + 'a {
    through!(
        scope,
        opened.instance.health(scope.call()),
        |guards| async move {
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                .health(scope.call()))
        }
    )
}

pub(crate) fn usage<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
) -> impl Future<Output = Result<Usage>> + Send + 'a {
    through!(
        scope,
        opened.instance.usage(scope.call()),
        |guards| async move {
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                .usage(scope.call()))
        }
    )
}

pub(crate) fn custom<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    custom: Custom<'a>,
) -> impl Future<Output = Result<Bytes>> + Send + 'a {
    through!(
        scope,
        opened.instance.custom(custom, scope.call()),
        |guards| async move {
            if guards.prefix.is_some() {
                scope.refused(Refusal::Prefix);
                let error = Error::unsupported("a vendor's own call could leave the prefix");
                return Err(error.with_fact("policy", "prefix"));
            }
            attempts!(guards, scope, opened, Unknown::Answer, |instance| instance
                .custom(custom.clone(), scope.call()))
        }
    )
}

pub(crate) fn rename<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    rename: Rename<'a>,
) -> impl Future<Output = Result<Renamed>> + Send + 'a {
    through!(
        scope,
        opened.instance.rename(rename, scope.call()),
        |guards| async move {
            let from = guards.key(rename.from, scope, &opened.terms)?;
            let to = guards.key(rename.to, scope, &opened.terms)?;
            let rename = Rename::new(Key::new(&*from), Key::new(&*to));
            // Done once, the source is gone: a repeat would answer `FileNotFound`.
            attempts!(guards, scope, opened, Unknown::Answer, |instance| instance
                .rename(rename, scope.call()))
        }
    )
}

pub(crate) fn copy<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    copy: CopyObject<'a>,
) -> impl Future<Output = Result<Copied>> + Send + 'a {
    through!(
        scope,
        opened.instance.copy(copy, scope.call()),
        |guards| async move {
            let mut copy = copy;
            let from = guards.key(copy.from, scope, &opened.terms)?;
            let to = guards.key(copy.to, scope, &opened.terms)?;
            (copy.from, copy.to) = (Key::new(&*from), Key::new(&*to));
            let condition = match copy.options().if_match {
                Some(etag) => Some(Condition::Etag(etag)),
                None => copy.create_only.then_some(Condition::Absent),
            };
            let mut attempts = Attempts::new(guards, scope, opened);
            loop {
                attempts.begin()?;
                let outcome = attempts
                    .opened()
                    .instance
                    .copy(copy.clone(), scope.call())
                    .await;
                let unknown = match &condition {
                    Some(condition) if attempts.depends(&outcome) => {
                        condition
                            .still_holds(scope, attempts.opened(), copy.to)
                            .await
                    }
                    _ => Unknown::Repeat,
                };
                if let ControlFlow::Break(answer) = attempts.end(outcome, unknown).await {
                    return answer;
                }
            }
        }
    )
}

pub(crate) fn delete<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    delete: Delete<'a>,
) -> impl Future<Output = Result<Deleted>> + Send + 'a {
    through!(
        scope,
        opened.instance.delete(delete, scope.call()),
        |guards| async move {
            let mut delete = delete;
            let key = guards.key(delete.key, scope, &opened.terms)?;
            delete.key = Key::new(&*key);
            let condition = delete.if_match.map(Condition::Etag);
            let mut attempts = Attempts::new(guards, scope, opened);
            let mut may_have_deleted = false;
            loop {
                attempts.begin()?;
                let outcome = attempts
                    .opened()
                    .instance
                    .delete(delete, scope.call())
                    .await;
                let unknown = match &condition {
                    Some(condition) if attempts.depends(&outcome) => {
                        condition
                            .still_holds(scope, attempts.opened(), delete.key)
                            .await
                    }
                    // Done once, it would fail.
                    None if delete.must_exist => Unknown::Answer,
                    _ => Unknown::Repeat,
                };
                let in_doubt = attempts.depends(&outcome);
                match attempts.end(outcome, unknown).await {
                    ControlFlow::Break(answer) => {
                        return answer.map(|deleted| known(deleted, may_have_deleted));
                    }
                    ControlFlow::Continue(()) => may_have_deleted |= in_doubt,
                }
            }
        }
    )
}

pub(crate) fn delete_many<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    delete: DeleteMany<'a>,
) -> impl Future<Output = Result<Vec<Result<Deleted>>>> + Send + 'a {
    through!(
        scope,
        opened.instance.delete_many(delete, scope.call()),
        |guards| async move {
            let keys: Result<Vec<_>> = delete
                .keys
                .iter()
                .map(|key| guards.key(key, scope, &opened.terms))
                .collect();
            let keys = keys?;
            let keys = keys.iter().map(|key| Key::new(&**key));
            let mut whole = DeleteMany::new::<Key>(keys);
            whole.versions = delete.versions.clone();
            let mut attempts = Attempts::new(guards, scope, opened);
            let mut may_have_deleted = false;
            loop {
                attempts.begin()?;
                let outcome = attempts
                    .opened()
                    .instance
                    .delete_many(whole.clone(), scope.call())
                    .await;
                let in_doubt = attempts.depends(&outcome);
                match attempts.end(outcome, Unknown::Repeat).await {
                    ControlFlow::Break(answers) => {
                        let each = |answer: Result<Deleted>| {
                            answer.map(|deleted| known(deleted, may_have_deleted))
                        };
                        return answers.map(|answers| answers.into_iter().map(each).collect());
                    }
                    ControlFlow::Continue(()) => may_have_deleted |= in_doubt,
                }
            }
        }
    )
}

/// The calls that ABI 1.1 added.
mod since_1_1;
pub(super) use since_1_1::{
    abort_upload, complete_upload, create_upload, download_ranges, list_parts, list_uploads,
    list_versions, put_part, update,
};

/// What is known of a deletion when an earlier attempt may have done it.
fn known(mut deleted: Deleted, may_have_deleted: bool) -> Deleted {
    if may_have_deleted && deleted.existed == Some(false) {
        deleted.existed = None;
    }
    deleted
}

/// The guarded one: `operations/upload.rs` calls the plugin's own, so that the way without policies is short.
pub(crate) fn upload<'a>(
    guards: &'a Guards,
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    upload: Upload<'a>,
    crc32c: Option<u32>,
) -> BoxFuture<'a, Result<Uploaded>> {
    guarded_upload(guards, scope, opened, upload, crc32c).boxed()
}

async fn guarded_upload(
    guards: &Guards,
    scope: &Scope<'_>,
    opened: &Instance,
    upload: Upload<'_>,
    crc32c: Option<u32>,
) -> Result<Uploaded> {
    let key = guards.key(upload.key, scope, &opened.terms)?;
    let plain = upload.is_plain();
    let (_, body, length, options) = upload.into_parts();
    let options = (!plain).then_some(options);
    let condition = match &options {
        Some(options) if options.create_only => Some(Condition::Absent),
        Some(options) => options.if_match.map(Condition::Etag),
        None => None,
    };
    let mut body = Replay::new(body, crc32c, guards.retry.is_some());
    let mut attempts = Attempts::new(guards, scope, opened);
    loop {
        attempts.begin()?;
        let mut upload = Upload::new(Key::new(&*key), body.take());
        upload.length = length;
        let upload = upload.with_options(options.clone());
        let outcome = attempts
            .opened()
            .instance
            .upload(upload, scope.call())
            .await;
        if !body.is_whole() {
            return attempts.last(outcome);
        }
        let unknown = match &condition {
            Some(condition) if attempts.depends(&outcome) => {
                condition
                    .still_holds(scope, attempts.opened(), Key::new(&*key))
                    .await
            }
            _ => Unknown::Repeat,
        };
        if let ControlFlow::Break(answer) = attempts.end(outcome, unknown).await {
            return answer;
        }
    }
}

/// The condition of a write.
enum Condition<'a> {
    Absent,
    Etag(&'a str),
}

impl Condition<'_> {
    /// Reads again after an unknown outcome. Only where the object is as the condition wants it, the write
    /// has not happened. Otherwise it may have been this one or another's, and the error is the answer.
    async fn still_holds(&self, scope: &Scope<'_>, opened: &Opened, key: &Key) -> Unknown {
        let instance = &opened.instance;
        let holds = match self {
            Self::Absent => matches!(instance.exists(key, scope.call()).await, Ok(false)),
            Self::Etag("*") => false,
            Self::Etag(_) if !opened.has(Operation::Head) => false,
            Self::Etag(etag) => match instance.head(Head::new(key), scope.call()).await {
                Ok(info) => info.etag.as_deref() == Some(*etag),
                Err(_) => false,
            },
        };
        match holds {
            true => Unknown::Repeat,
            false => Unknown::Answer,
        }
    }
}
