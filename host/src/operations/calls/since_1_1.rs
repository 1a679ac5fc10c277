//! Calls of what ABI 1.1 added, through the policies that surround each attempt.

use super::{Attempts, Condition, Either, Instance, Unknown};
use crate::backend::scope::Scope;
use crate::operations::replay::Replay;
use futures_util::FutureExt;
use holdall_plugin_api::{
    AbortUpload, CompleteUpload, CreateUpload, DownloadRanges, ErrorKind, Key, ListParts,
    ListUploads, ListVersions, ObjectInfo, Part, PartPage, PutPart, Result, Update, UploadPage,
    Uploaded, VersionPage,
};
use std::ops::ControlFlow;

pub(crate) fn create_upload<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    create: CreateUpload<'a>,
) -> impl Future<Output = Result<String>> + Send + 'a {
    through!(
        scope,
        opened.instance.create_upload(create, scope.call()),
        |guards| async move {
            let mut create = create;
            let key = guards.key(create.key, scope, &opened.terms)?;
            create.key = Key::new(&*key);
            // Done twice, one of the two uploads would stay behind.
            attempts!(guards, scope, opened, Unknown::Answer, |instance| instance
                .create_upload(create.clone(), scope.call()))
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
            let mut put = put;
            let key = guards.key(put.key, scope, &opened.terms)?;
            let empty = holdall_plugin_api::Body::empty();
            let body = std::mem::replace(&mut put.body, empty);
            let mut body = Replay::new(body, crc32c, guards.retry.is_some());
            let mut attempts = Attempts::new(guards, scope, opened);
            loop {
                attempts.begin()?;
                let mut part =
                    PutPart::new(Key::new(&*key), put.upload_id, put.number, body.take());
                part.length = put.length;
                let part = part.checksums(put.checksums);
                let instance = &attempts.opened().instance;
                let outcome = instance.put_part(part, scope.call()).await;
                if !body.is_whole() {
                    return attempts.last(outcome);
                }
                // A part that is sent again takes the place of itself.
                let ended = attempts.end(outcome, Unknown::Repeat).await;
                if let ControlFlow::Break(answer) = ended {
                    return answer;
                }
            }
        }
    )
}

pub(crate) fn list_parts<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    list: ListParts<'a>,
) -> impl Future<Output = Result<PartPage>> + Send + 'a {
    through!(
        scope,
        opened.instance.list_parts(list, scope.call()),
        |guards| async move {
            let mut list = list;
            let key = guards.key(list.key, scope, &opened.terms)?;
            list.key = Key::new(&*key);
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                .list_parts(list, scope.call()))
        }
    )
}

pub(crate) fn list_uploads<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    list: ListUploads<'a>,
) -> impl Future<Output = Result<UploadPage>> + Send + 'a {
    through!(
        scope,
        opened.instance.list_uploads(list, scope.call()),
        |guards| async move {
            let mut list = list;
            let prefix = guards
                .prefix
                .as_ref()
                .map(|prefix| prefix.join(list.prefix));
            list.prefix = prefix.as_deref().unwrap_or(list.prefix);
            opened.terms.list_uploads(&list)?;
            let mut page: UploadPage =
                attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                    .list_uploads(list, scope.call()))?;
            if let Some(prefix) = &guards.prefix {
                let keys = page.uploads.iter_mut().map(|upload| &mut upload.key);
                prefix.strip_names(keys)?;
            }
            Ok(page)
        }
    )
}

pub(crate) fn complete_upload<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    complete: CompleteUpload<'a>,
) -> impl Future<Output = Result<Uploaded>> + Send + 'a {
    through!(
        scope,
        opened.instance.complete_upload(complete, scope.call()),
        |guards| async move {
            let mut complete = complete;
            let key = guards.key(complete.key, scope, &opened.terms)?;
            complete.key = Key::new(&*key);
            // Done once, the upload is gone: a repeat would answer `upload_not_found`.
            attempts!(guards, scope, opened, Unknown::Answer, |instance| instance
                .complete_upload(complete.clone(), scope.call()))
        }
    )
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
            let mut abort = abort;
            let key = guards.key(abort.key, scope, &opened.terms)?;
            abort.key = Key::new(&*key);
            let mut attempts = Attempts::new(guards, scope, opened);
            let mut in_doubt = false;
            loop {
                attempts.begin()?;
                let instance = &attempts.opened().instance;
                let outcome = instance.abort_upload(abort, scope.call()).await;
                // An earlier attempt may have done it.
                let outcome = match outcome {
                    Err(error) if in_doubt && error.kind() == ErrorKind::FileNotFound => Ok(()),
                    outcome => outcome,
                };
                in_doubt |= attempts.depends(&outcome);
                let ended = attempts.end(outcome, Unknown::Repeat).await;
                if let ControlFlow::Break(answer) = ended {
                    return answer;
                }
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
            let mut read = read;
            let key = guards.key(read.key, scope, &opened.terms)?;
            read.key = Key::new(&*key);
            let mut memory = Some(memory);
            attempts!(guards, scope, opened, Unknown::Repeat, |instance| {
                // An attempt that failed has taken its memory with it.
                let memory = memory
                    .take()
                    .unwrap_or_else(|| crate::operations::ranges::memory(&read));
                instance.download_ranges(read.clone(), memory, scope.call())
            })
        }
    )
}

pub(crate) fn list_versions<'a>(
    scope: &'a Scope<'a>,
    opened: &'a Instance,
    list: ListVersions<'a>,
) -> impl Future<Output = Result<VersionPage>> + Send + 'a {
    through!(
        scope,
        opened.instance.list_versions(list, scope.call()),
        |guards| async move {
            let mut list = list;
            let prefix = guards
                .prefix
                .as_ref()
                .map(|prefix| prefix.join(list.prefix));
            list.prefix = prefix.as_deref().unwrap_or(list.prefix);
            opened.terms.list_versions(&list)?;
            let mut page: VersionPage =
                attempts!(guards, scope, opened, Unknown::Repeat, |instance| instance
                    .list_versions(list, scope.call()))?;
            if let Some(prefix) = &guards.prefix {
                let keys = page.versions.iter_mut().map(|version| &mut version.key);
                prefix.strip_names(keys.chain(&mut page.common_prefixes))?;
                page.versions.retain(|version| !version.key.is_empty());
                page.common_prefixes.retain(|group| !group.is_empty());
            }
            Ok(page)
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
            let mut update = update;
            let key = guards.key(update.key, scope, &opened.terms)?;
            update.key = Key::new(&*key);
            let condition = update.if_match.map(Condition::Etag);
            let mut attempts = Attempts::new(guards, scope, opened);
            loop {
                attempts.begin()?;
                let instance = &attempts.opened().instance;
                let outcome = instance.update(update.clone(), scope.call()).await;
                let unknown = match &condition {
                    Some(condition) if attempts.depends(&outcome) => {
                        condition
                            .still_holds(scope, attempts.opened(), update.key)
                            .await
                    }
                    _ => Unknown::Repeat,
                };
                let ended = attempts.end(outcome, unknown).await;
                if let ControlFlow::Break(answer) = ended {
                    return answer;
                }
            }
        }
    )
}
