//! Calls of a plugin, through the policies that surround each attempt: prefix, retry, breaker.
//!
//! Without such a policy a function here is the plugin's own, and costs one branch.

mod condition;

use super::attempts::Attempts;
use super::ranges;
use super::replay::Replay;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::policy::retry::Unknown;
use crate::policy::{Guards, Refusal};
use condition::Condition;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, CompleteUpload, Copied, CopyObject, CreateUpload, Custom, Delete,
    DeleteMany, Deleted, Download, DownloadRanges, Downloaded, Error, ErrorKind, Head, Health, Key,
    List, ListParts, ListUploads, ListVersions, ObjectInfo, Page, Part, PartPage, PutPart, Rename,
    Renamed, Result, SignUrl, Signing, Update, Upload, UploadPage, Uploaded, Usage, VersionPage,
};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

type Instance = Arc<Opened>;

/// Repeats a call as the policy allows. The instance of an attempt need not be that of the one before. What may follow
/// an unknown outcome is known from the start, or found out from the outcome.
macro_rules! attempts {
    ($attempts:ident, |$instance:ident| $call:expr, |$outcome:ident| $unknown:expr) => {
        loop {
            $attempts.begin()?;
            let $instance = &$attempts.opened().instance;
            let $outcome = $call.await;
            let unknown: Unknown = $unknown;
            if let ControlFlow::Break(answer) = $attempts.end($outcome, unknown).await {
                break answer;
            }
        }
    };
    ($guards:expr, $scope:expr, $opened:expr, $unknown:expr, |$instance:ident| $call:expr) => {{
        let mut attempts = Attempts::new($guards, $scope, $opened);
        attempts!(attempts, |$instance| $call, |outcome| $unknown)
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

/// Puts the key of a request under the prefix. The other key of two: with its name.
macro_rules! with_key {
    ($request:ident, $guards:ident, $scope:ident, $opened:ident) => {
        with_key!($request.key, $guards, $scope, $opened);
    };
    ($request:ident.$key:ident, $guards:ident, $scope:ident, $opened:ident) => {
        let mut $request = $request;
        let key = $guards.key($request.$key, $scope, &$opened.terms)?;
        $request.$key = Key::new(&*key);
    };
}

/// Operations on one key: with it under the prefix, then repeated. After an unknown outcome some are not.
macro_rules! on_a_key {
    ($( $operation:ident($Request:ident) -> $Answer:ty, $unknown:expr; )*) => {$(
        pub(crate) fn $operation<'a>(
            scope: &'a Scope<'a>,
            opened: &'a Instance,
            request: $Request<'a>,
        ) -> impl Future<Output = Result<$Answer>> + Send + 'a {
            through!(
                scope,
                opened.instance.$operation(request, scope.call()),
                |guards| async move {
                    with_key!(request, guards, scope, opened);
                    attempts!(guards, scope, opened, $unknown, |instance| {
                        instance.$operation(Clone::clone(&request), scope.call())
                    })
                }
            )
        }
    )*};
}

/// Operations on the whole backend.
macro_rules! on_the_backend {
    ($( $operation:ident() -> $Answer:ty; )*) => {$(
        pub(crate) fn $operation<'a>(
            scope: &'a Scope<'a>,
            opened: &'a Instance,
        ) -> impl Future<Output = Result<$Answer>> + Send + 'a {
            through!(
                scope,
                opened.instance.$operation(scope.call()),
                |guards| async move {
                    attempts!(guards, scope, opened, Unknown::Repeat, |instance| {
                        instance.$operation(scope.call())
                    })
                }
            )
        }
    )*};
}

/// Pages of names: asked for below the prefix, and without it in the answer.
macro_rules! pages {
    ($( $operation:ident($Request:ident) -> $Page:ty, |$list:ident, $guards:ident| { $($more:tt)* } )*) => {$(
        pub(crate) fn $operation<'a>(
            scope: &'a Scope<'a>,
            opened: &'a Instance,
            $list: $Request<'a>,
        ) -> impl Future<Output = Result<$Page>> + Send + 'a {
            through!(
                scope,
                opened.instance.$operation($list, scope.call()),
                |$guards| async move {
                    let mut $list = $list;
                    let prefix = $guards.under($list.prefix);
                    $list.prefix = &prefix;
                    $($more)*
                    opened.terms.$operation(&$list)?;
                    let mut page: $Page =
                        attempts!($guards, scope, opened, Unknown::Repeat, |instance| {
                            instance.$operation($list, scope.call())
                        })?;
                    if let Some(prefix) = &$guards.prefix {
                        prefix.strip(&mut page)?;
                    }
                    Ok(page)
                }
            )
        }
    )*};
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

    /// The beginning of keys, under the prefix.
    fn under<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.prefix {
            Some(prefix) => Cow::Owned(prefix.join(text)),
            None => Cow::Borrowed(text),
        }
    }
}

on_a_key! {
    head(Head) -> ObjectInfo, Unknown::Repeat;
    download(Download) -> Downloaded, Unknown::Repeat;
    signed_url(SignUrl) -> Signing, Unknown::Repeat;
    list_parts(ListParts) -> PartPage, Unknown::Repeat;
    // Done twice, one of the two uploads would stay behind.
    create_upload(CreateUpload) -> String, Unknown::Answer;
    // Done once, the upload is gone: a repeat would answer `upload_not_found`.
    complete_upload(CompleteUpload) -> Uploaded, Unknown::Answer;
}

on_the_backend! {
    health() -> Health;
    usage() -> Usage;
}

pages! {
    list(List) -> Page, |list, guards| {
        let start = list.start_after.map(|start| guards.under(start));
        list.start_after = start.as_deref();
    }
    list_uploads(ListUploads) -> UploadPage, |list, guards| {}
    list_versions(ListVersions) -> VersionPage, |list, guards| {}
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
            with_key!(rename.from, guards, scope, opened);
            with_key!(rename.to, guards, scope, opened);
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
            with_key!(copy.from, guards, scope, opened);
            with_key!(copy.to, guards, scope, opened);
            let condition = Condition::of(copy.create_only, copy.options().if_match);
            let mut attempts = Attempts::new(guards, scope, opened);
            attempts!(
                attempts,
                |instance| instance.copy(copy.clone(), scope.call()),
                |outcome| match copy.from == copy.to {
                    // Done once, the object has another etag, and the condition on the source would fail.
                    true => Unknown::Answer,
                    false => Condition::after(condition, &outcome, &attempts, scope, copy.to).await,
                }
            )
        }
    )
}

pub(crate) fn update<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    update: Update<'a>,
) -> impl Future<Output = Result<ObjectInfo>> + Send + 'a {
    through!(
        scope,
        opened.instance.update(update, scope.call()),
        |guards| async move {
            with_key!(update, guards, scope, opened);
            let condition = Condition::of(false, update.if_match);
            let mut attempts = Attempts::new(guards, scope, opened);
            attempts!(
                attempts,
                |instance| instance.update(update.clone(), scope.call()),
                |outcome| Condition::after(condition, &outcome, &attempts, scope, update.key).await
            )
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
            with_key!(delete, guards, scope, opened);
            let condition = Condition::of(false, delete.if_match);
            let mut attempts = Attempts::new(guards, scope, opened);
            let deleted = attempts!(
                attempts,
                |instance| instance.delete(delete, scope.call()),
                |outcome| match condition {
                    // Done once, it would fail.
                    None if delete.must_exist => Unknown::Answer,
                    _ => {
                        Condition::after(condition, &outcome, &attempts, scope, delete.key).await
                    }
                }
            );
            deleted.map(|deleted| known(deleted, attempts.in_doubt()))
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
            let answers = attempts!(
                attempts,
                |instance| instance.delete_many(whole.clone(), scope.call()),
                |outcome| Unknown::Repeat
            );
            let each = |answer: Result<Deleted>| answer.map(|it| known(it, attempts.in_doubt()));
            answers.map(|answers| answers.into_iter().map(each).collect())
        }
    )
}

/// What is known of a deletion when an earlier attempt may have done it.
fn known(mut deleted: Deleted, may_have_deleted: bool) -> Deleted {
    if may_have_deleted && deleted.existed == Some(false) {
        deleted.existed = None;
    }
    deleted
}

pub(crate) fn abort_upload<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    abort: AbortUpload<'a>,
) -> impl Future<Output = Result<()>> + Send + 'a {
    through!(
        scope,
        opened.instance.abort_upload(abort, scope.call()),
        |guards| async move {
            with_key!(abort, guards, scope, opened);
            let mut attempts = Attempts::new(guards, scope, opened);
            let aborted = attempts!(
                attempts,
                |instance| instance.abort_upload(abort, scope.call()),
                |outcome| Unknown::Repeat
            );
            match aborted {
                // An earlier attempt may have done it.
                Err(error) if attempts.in_doubt() && error.kind() == ErrorKind::FileNotFound => {
                    Ok(())
                }
                aborted => aborted,
            }
        }
    )
}

/// `memory`: a piece for each range.
pub(crate) fn download_ranges<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    read: DownloadRanges<'a>,
    memory: Vec<Vec<u8>>,
) -> impl Future<Output = Result<(ObjectInfo, Vec<Vec<u8>>)>> + Send + 'a {
    through!(
        scope,
        opened.instance.download_ranges(read, memory, scope.call()),
        |guards| async move {
            with_key!(read, guards, scope, opened);
            let mut memory = Some(memory);
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| {
                // An attempt that failed has taken its memory with it.
                let memory = memory.take().unwrap_or_else(|| ranges::memory(&read));
                instance.download_ranges(read.clone(), memory, scope.call())
            })
        }
    )
}

/// `crc32c`: of a body that is bytes.
pub(crate) fn put_part<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    put: PutPart<'a>,
    crc32c: Option<u32>,
) -> impl Future<Output = Result<Part>> + Send + 'a {
    through!(
        scope,
        opened.instance.put_part(put, scope.call()),
        |guards| async move {
            with_key!(put, guards, scope, opened);
            let body = std::mem::replace(&mut put.body, Body::empty());
            let mut body = Replay::new(body, crc32c, guards.retry.is_some());
            let mut attempts = Attempts::new(guards, scope, opened);
            attempts!(
                attempts,
                |instance| {
                    let mut part = PutPart::new(put.key, put.upload_id, put.number, body.take());
                    part.length = put.length;
                    instance.put_part(part.checksums(put.checksums), scope.call())
                },
                |outcome| {
                    if !body.is_whole() {
                        return attempts.last(outcome);
                    }
                    // A part that is sent again takes the place of itself.
                    Unknown::Repeat
                }
            )
        }
    )
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
    with_key!(upload, guards, scope, opened);
    let plain = upload.is_plain();
    let (key, body, length, options) = upload.into_parts();
    let options = (!plain).then_some(options);
    let condition = options
        .as_ref()
        .and_then(|options| Condition::of(options.create_only, options.if_match));
    let mut body = Replay::new(body, crc32c, guards.retry.is_some());
    let mut attempts = Attempts::new(guards, scope, opened);
    attempts!(
        attempts,
        |instance| {
            let mut upload = Upload::new(key, body.take());
            upload.length = length;
            instance.upload(upload.with_options(options.clone()), scope.call())
        },
        |outcome| {
            if !body.is_whole() {
                return attempts.last(outcome);
            }
            Condition::after(condition, &outcome, &attempts, scope, key).await
        }
    )
}
