//! WebDAV (RFC 4918), as far as libraries and file managers ask for it to list, copy and rename:
//! `PROPFIND`, `COPY`, `MOVE` and `MKCOL`.
//!
//! A backend has keys and no directories. A collection is a prefix that ends in `/`, and it is there as
//! long as a key begins with it; so `MKCOL` has nothing to store.

mod properties;

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdall::{Backend, CopyObject, Delete, ErrorKind, Head, List, Page, Rename};
use http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, Uri};
use http_body::Body as _;

use self::properties::{Asked, Resource};
use super::list::pages;
use crate::body;
use crate::call::{Call, Query, Target, encoded};
use crate::conditions::Conditions;
use crate::problem::Problem;
use crate::rights::Scope;

const DEPTH: HeaderName = HeaderName::from_static("depth");
const DESTINATION: HeaderName = HeaderName::from_static("destination");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");
/// A condition on locks and etags, of which this server has no part.
const IF: HeaderName = HeaderName::from_static("if");
const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
/// Largest body of a `PROPFIND`, in bytes.
const MOST_BYTES: usize = 64 << 10;

const METHODS: [&str; 4] = ["PROPFIND", "COPY", "MOVE", "MKCOL"];

/// 405. The router knows half of the methods only.
fn not_allowed(target: &Target) -> Response {
    let methods = match target.key.is_empty() {
        true => "GET,HEAD,POST,PROPFIND",
        false => "GET,HEAD,PUT,DELETE,POST,PROPFIND,COPY,MOVE,MKCOL",
    };
    let mut response = Problem::method_not_allowed().into_response();
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// Requests whose method the router does not know.
pub(crate) async fn handle(
    call: Call,
    target: Target,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let (request, body) = request.into_parts();
    let method = request.method.as_str();
    if !METHODS.contains(&method) {
        return Ok(not_allowed(&target));
    }
    query.finish()?;
    if request.headers.contains_key(IF) {
        return Err(Problem::invalid("the header If has no meaning here"));
    }
    match method {
        "PROPFIND" => find(&call, &target, &request, body).await,
        _ if !body.is_end_stream() => Err(Problem::unexpected_body()),
        "COPY" => transfer(&call, &target, &request, false).await,
        "MOVE" => transfer(&call, &target, &request, true).await,
        _ => make(&call, &target).await,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Zero,
    One,
    Infinity,
}

impl Depth {
    /// An absent one is infinite (RFC 4918, 9.1).
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = headers.get(DEPTH).map(HeaderValue::as_bytes);
        match text.map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"0") => Ok(Depth::Zero),
            Some(b"1") => Ok(Depth::One),
            Some(b"infinity") | None => Ok(Depth::Infinity),
            Some(_) => Err(Problem::invalid("Depth is 0, 1 or infinity")),
        }
    }
}

async fn find(
    call: &Call,
    target: &Target,
    request: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    call.may(Scope::List, &target.backend, &target.key)?;
    let depth = Depth::of(&request.headers)?;
    if depth == Depth::Infinity && !call.settings.infinite_depth.contains(&target.backend) {
        return Err(Problem::infinite_depth());
    }
    let backend = call.backend_named(&target.backend)?;
    let path = original_path(request);
    let asked = body::read_small(body, MOST_BYTES).await?;
    let asked = Asked::read(&asked)?;
    let is_collection = target.key.is_empty() || target.key.ends_with('/');
    if !is_collection {
        match backend.head(Head::new(&*target.key)).await {
            Ok(info) => {
                let text =
                    asked.start() + &asked.response(&Resource::object(path.to_owned(), info));
                return Ok(multi_status((text + Asked::END).into()));
            }
            Err(error) if error.kind() == ErrorKind::FileNotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let prefix = match is_collection {
        true => target.key.clone(),
        false => format!("{}/", target.key),
    };
    let path = format!("{}/", path.trim_end_matches('/'));
    let first = first_page(&backend, &prefix, depth).await?;
    let itself = asked.start() + &asked.response(&Resource::collection(path.clone()));
    let Some((page, more)) = first.filter(|_| depth != Depth::Zero) else {
        return Ok(multi_status((itself + Asked::END).into()));
    };
    let of_page = move |page: Page| {
        let collections = page.common_prefixes.iter();
        let collections = collections.filter_map(|it| it.strip_prefix(&*prefix));
        let collections =
            collections.map(|it| Resource::collection(format!("{path}{}", encoded(it))));
        let objects = page.entries.iter();
        let objects = objects.filter_map(|entry| {
            // The marker of a collection, as some stores have it, is the collection.
            let name = entry.key.strip_prefix(&*prefix)?;
            (!name.is_empty()).then(|| Resource::entry(format!("{path}{}", encoded(name)), entry))
        });
        let responses = collections.chain(objects).map(|it| asked.response(&it));
        responses.collect::<String>()
    };
    let text = itself + &of_page(page);
    // A page that cannot be listed ends the connection short of the end, which a client sees.
    let rest = more.map_ok(of_page);
    let parts = stream::iter([Ok(text)])
        .chain(rest)
        .chain(stream::iter([Ok(Asked::END.to_owned())]));
    Ok(multi_status(Body::from_stream(parts)))
}

/// The first page of what is below, and the pages after it; nothing where only the root itself is
/// asked for.
///
/// # Errors
///
/// 404: there is nothing.
async fn first_page(
    backend: &Backend,
    prefix: &str,
    depth: Depth,
) -> Result<
    Option<(
        Page,
        impl futures_core::Stream<Item = holdall::Result<Page>> + Send + use<>,
    )>,
    Problem,
> {
    if depth == Depth::Zero && prefix.is_empty() {
        return Ok(None);
    }
    let delimiter = depth == Depth::One;
    let mut more = Box::pin(pages(backend.clone(), prefix.to_owned(), delimiter));
    let page = more.try_next().await?.unwrap_or_default();
    let nothing = page.entries.is_empty() && page.common_prefixes.is_empty() && page.next.is_none();
    match nothing && !prefix.is_empty() {
        true => Err(holdall::Error::not_found().into()),
        false => Ok(Some((page, more))),
    }
}

fn multi_status(body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::MULTI_STATUS;
    response.headers_mut().insert(CONTENT_TYPE, XML);
    response
}

/// `COPY` and `MOVE` of an object.
async fn transfer(
    call: &Call,
    target: &Target,
    request: &Parts,
    moved: bool,
) -> Result<Response, Problem> {
    let headers = &request.headers;
    call.may(Scope::Read, &target.backend, &target.key)?;
    if moved {
        call.may(Scope::Delete, &target.backend, &target.key)?;
    }
    let to = destination(request)?;
    call.may(Scope::Write, &to.backend, &to.key)?;
    let backend = call.backend_named(&target.backend)?;
    if to.backend != target.backend {
        call.backend_named(&to.backend)?;
        return Err(Problem::elsewhere(
            "the Destination is in the backend of the source",
        ));
    }
    if !Conditions::of(headers)?.is_empty() {
        return Err(Problem::invalid(
            "this request takes no condition but Overwrite: F",
        ));
    }
    if target.key.ends_with('/') || to.key.ends_with('/') {
        return Err(Problem::invalid_key(
            "objects are copied and moved one by one, not whole collections",
        ));
    }
    let overwrite = match headers.get(OVERWRITE).map(HeaderValue::as_bytes) {
        None | Some(b"T" | b"t") => true,
        Some(b"F" | b"f") => false,
        Some(_) => return Err(Problem::invalid("Overwrite is T or F")),
    };
    let copy = CopyObject::new(&*target.key, &*to.key);
    let existed = match overwrite {
        true => match backend.head(Head::new(&*to.key)).await {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::FileNotFound => false,
            Err(error) => return Err(error.into()),
        },
        false => false,
    };
    match (moved, overwrite) {
        (false, true) => drop(backend.copy(copy).await?),
        (false, false) => drop(backend.copy(copy.create_only()).await?),
        (true, true) => drop(backend.rename(Rename::new(&*target.key, &*to.key)).await?),
        // A rename replaces what is there. This does not, also when both requests come at once.
        (true, false) => {
            backend.copy(copy.create_only()).await?;
            backend.delete(Delete::new(&*target.key)).await?;
        }
    }
    let status = match existed {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::CREATED,
    };
    Ok(status.into_response())
}

/// `MKCOL`: 201 where a collection could be. It is there when its first object is.
async fn make(call: &Call, target: &Target) -> Result<Response, Problem> {
    let backend = call.backend(Scope::Write, target)?;
    let key = target.key.strip_suffix('/').unwrap_or(&target.key);
    if key.is_empty() {
        return Ok(not_allowed(target));
    }
    match backend.head(Head::new(key)).await {
        Ok(_) => return Ok(not_allowed(target)),
        Err(error) if error.kind() == ErrorKind::FileNotFound => {}
        Err(error) => return Err(error.into()),
    }
    let below = format!("{key}/");
    let page = backend.list(List::new(&below).limit(1)).await?;
    match page.entries.is_empty() && page.next.is_none() {
        true => Ok(StatusCode::CREATED.into_response()),
        false => Ok(not_allowed(target)),
    }
}

/// The path as the client sent it, which has the mount of a nested router too.
pub(super) fn original_path(request: &Parts) -> &str {
    let original = request.extensions.get::<OriginalUri>();
    original.map_or(&request.uri, |it| &it.0).path()
}

/// What `Destination` names: a URL of this host, or its path. It is read as the path of the request is,
/// below the same mount.
///
/// # Errors
///
/// 400: it is missing, or none; 502: it is on another host.
fn destination(request: &Parts) -> Result<Target, Problem> {
    let text = request.headers.get(DESTINATION);
    let uri = text.and_then(|it| Uri::try_from(it.as_bytes()).ok());
    let uri = uri.ok_or_else(|| Problem::invalid("Destination is a URL"))?;
    if uri.query().is_some() {
        return Err(Problem::invalid("the Destination has no query"));
    }
    if let Some(authority) = uri.authority() {
        let host = request.headers.get(HOST);
        let host = host.and_then(|it| Authority::try_from(it.as_bytes()).ok());
        let host = host.or_else(|| request.uri.authority().cloned());
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !http || host.as_ref() != Some(authority) {
            return Err(Problem::elsewhere("the Destination is on this host"));
        }
    }
    let original = original_path(request);
    let (mount, inner) = apart(original, request.uri.path());
    let below = uri.path().strip_prefix(mount);
    let below = below.ok_or_else(|| Problem::elsewhere("the Destination is below another path"))?;
    Target::of(&format!("{inner}{below}"))
}

/// What is before the longest common end of both texts.
fn apart<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let pairs = one.bytes().rev().zip(other.bytes().rev());
    let same = pairs.take_while(|(one, other)| one == other).count();
    (&one[..one.len() - same], &other[..other.len() - same])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(destination: &str, original: &str, path: &str) -> Option<Target> {
        let mut request = Request::builder()
            .uri(path)
            .header("host", "h:1")
            .header("destination", destination)
            .body(Body::empty())
            .unwrap();
        let original = OriginalUri(original.parse().unwrap());
        request.extensions_mut().insert(original);
        super::destination(&request.into_parts().0).ok()
    }

    #[test]
    fn a_destination_is_on_this_host_and_below_the_same_mount() {
        let target = |key: &str| {
            Some(Target {
                backend: "b".to_owned(),
                key: key.to_owned(),
            })
        };
        let plain = "/v1/b/a/k";
        for good in [
            "http://h:1/v1/b/x%20y",
            "https://H:1/v1/b/x%20y",
            "/v1/b/x%20y",
        ] {
            assert_eq!(of(good, plain, plain), target("x y"), "{good}");
        }
        let nested = "http://h:1/files/v1/b/x";
        assert_eq!(of(nested, "/files/v1/b/a/k", plain), target("x"));
        assert_eq!(
            of("/x", "/a/k", plain),
            target("x"),
            "one backend is the root"
        );
        for bad in [
            "http://h/v1/b/x",
            "http://h:2/v1/b/x",
            "ftp://h:1/v1/b/x",
            "http://h:1/v1/b/x?list",
            "http://h:1/files/v1/b/x",
            "http://h:1/v1/b/%",
            "",
        ] {
            assert_eq!(of(bad, plain, plain), None, "{bad}");
        }
        assert_eq!(of("/v1/b/x", "/files/v1/b/a/k", plain), None);
    }
}
