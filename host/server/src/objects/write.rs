//! `PUT` of an object, which is a copy with `?copy_from=KEY`.

use axum::body::Body;
use axum::response::Response;
use holdall::{
    Backend, Capability, Checksums, Error, ErrorKind, Head, List, Upload, implied_content_type,
};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, EXPECT, HeaderMap};
use http_body::Body as _;

use super::answer::{Stored, stored};
use super::copy;
use crate::body;
use crate::call::{Call, Query, Target};
use crate::conditions::{Bound, Conditions};
use crate::digests;
use crate::headers::Facts;
use crate::problem::Problem;
use crate::rights::Scope;

/// Segments of a key that are looked at before a body is asked for.
const MOST_ANCESTORS: usize = 32;

pub(crate) async fn handle(
    call: Call,
    target: Target,
    query: Query,
    request: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if query.has("copy_from") {
        return copy::handle(call, target, query, request, body).await;
    }
    query.finish()?;
    let backend = call.backend(Scope::Write, &target)?;
    if request.contains_key(CONTENT_RANGE) {
        // RFC 9110, 14.5: a part must not be stored as if it were the whole.
        return Err(Problem::invalid(
            "an object is stored whole: Content-Range has no meaning here",
        ));
    }
    if body.is_end_stream() && !request.contains_key(CONTENT_LENGTH) {
        return Err(Problem::length_required());
    }
    let mut facts = Facts::of(&request)?;
    if facts.content_type.is_none() {
        facts.content_type = implied_content_type(&*target.key).map(str::to_owned);
    }
    let mut checksums = match digests::HEADERS.iter().any(|it| request.contains_key(it)) {
        true => digests::stated(&request)?,
        false => Checksums::NONE,
    };
    let mut max_size = None;
    if let Some(grant) = call.access.grant() {
        max_size = grant.max_size;
        checksums = both(checksums, grant.checksums)?;
    }
    // A client that waits for `100 Continue` learns now what would fail after its body.
    let early = request.contains_key(EXPECT);
    if early {
        check_neighbours(&backend, &target.key).await?;
    }
    let bound = Conditions::of(&request)?
        .bind(&backend, &target.key, early)
        .await?;
    let (body, length) = body::incoming(body, early).await?;
    let mut upload = Upload::new(&*target.key, body);
    upload.length = length;
    if !facts.is_empty() {
        upload = facts.apply(upload);
    }
    if !checksums.is_empty() {
        upload = upload.checksums(checksums);
    }
    if let Some(max_size) = max_size {
        upload = upload.max_size(max_size);
    }
    upload = match &bound {
        Bound::Nothing => upload,
        Bound::CreateOnly => upload.create_only(),
        Bound::IfMatch(etag) => upload.if_match(etag),
    };
    let uploaded = backend.upload(upload).await?;
    // Whether a plain upload created or replaced, only some stores know: 200 says neither.
    let status = match bound {
        Bound::CreateOnly => StatusCode::CREATED,
        Bound::Nothing | Bound::IfMatch(_) => StatusCode::OK,
    };
    Ok(stored(status, Stored::uploaded(&target.key, uploaded)))
}

/// Whether the key would stand below another object, or above some, where the backend cannot keep both.
///
/// # Errors
///
/// 409. What the backend does not answer here it answers to the upload.
async fn check_neighbours(backend: &Backend, key: &str) -> Result<(), Problem> {
    let capabilities = backend.info().await?.capabilities;
    if capabilities.has(Capability::KeyAndPrefix) {
        return Ok(());
    }
    let conflict = |other: &str| {
        let error = Error::new(ErrorKind::Conflict);
        Problem::from(error.with_message(format!("the key {other:?} stands in the way")))
    };
    for (end, _) in key.match_indices('/').take(MOST_ANCESTORS) {
        match backend.head(Head::new(&key[..end])).await {
            Ok(_) => return Err(conflict(&key[..end])),
            Err(error) if error.kind() == ErrorKind::FileNotFound => {}
            Err(_) => return Ok(()),
        }
    }
    let below = format!("{key}/");
    let page = backend.list(List::new(&below).limit(1)).await;
    let below = page.ok().and_then(|page| page.entries.into_iter().next());
    below.map_or(Ok(()), |entry| Err(conflict(&entry.key)))
}

/// The digests of the request and those that its URL binds.
fn both(mut stated: Checksums, bound: Checksums) -> Result<Checksums, Problem> {
    fn one<T: PartialEq>(stated: &mut Option<T>, bound: Option<T>) -> bool {
        match (stated.as_ref(), bound) {
            (_, None) => true,
            (None, bound) => {
                *stated = bound;
                true
            }
            (Some(stated), Some(bound)) => *stated == bound,
        }
    }
    let agree = one(&mut stated.crc32c, bound.crc32c)
        & one(&mut stated.md5, bound.md5)
        & one(&mut stated.sha256, bound.sha256);
    match agree {
        true => Ok(stated),
        false => Err(Problem::invalid(
            "the request states another digest than its URL allows",
        )),
    }
}
