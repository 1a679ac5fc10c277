//! `GET` and `HEAD` of an object.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use holdall::gateway::attachment;
use holdall::{Backend, ByteRange, Download, Downloaded, Error, ErrorKind, Head, ObjectInfo};
use http::StatusCode;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderMap, HeaderValue,
};

use super::index;
use super::webdav::original_path;
use crate::body::{Outgoing, Reservation};
use crate::call::{Call, Query, Target};
use crate::conditions::{Conditions, Evaluation, if_range};
use crate::problem::Problem;
use crate::rights::Scope;
use crate::{headers, ranges};

const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");

pub(crate) async fn get(
    call: Call,
    target: Target,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    if index::is_asked(&call, &target, &query) {
        let (request, _) = request.into_parts();
        let path = original_path(&request);
        return index::handle(&call, &target, path, &request.headers).await;
    }
    let shown = Shown::of(&call, &target, query)?;
    let backend = call.backend(Scope::Read, &target)?;
    let conditions = Conditions::of(request.headers())?;
    if conditions.revalidates() {
        // Most copies are good: no download is begun to be dropped. What is read after this is judged
        // again, on its own facts.
        let info = backend.head(Head::new(&*target.key)).await?;
        if let Some(refusal) = judged(&conditions, &info)? {
            return Ok(refusal);
        }
    }
    let read = Read {
        backend: &backend,
        key: &target.key,
        conditions: &conditions,
        request: request.headers(),
        room: call.app.transfers().reserve(),
        unverified: call.settings.unverified.contains(&target.backend),
    };
    let mut response = read.answer().await?;
    shown.write(response.headers_mut());
    Ok(response)
}

pub(crate) async fn head(
    call: Call,
    target: Target,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    if index::is_asked(&call, &target, &query) {
        let (request, _) = request.into_parts();
        let path = original_path(&request);
        return index::handle(&call, &target, path, &request.headers).await;
    }
    let shown = Shown::of(&call, &target, query)?;
    let backend = call.backend(Scope::Read, &target)?;
    let conditions = Conditions::of(request.headers())?;
    let info = backend.head(Head::new(&*target.key)).await?;
    // A range means nothing here (RFC 9110, 14.2).
    if let Some(refusal) = judged(&conditions, &info)? {
        return Ok(refusal);
    }
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers::write(headers, &target.key, &info);
    headers.insert(CONTENT_LENGTH, info.size.into());
    shown.write(headers);
    Ok(response)
}

/// The answer to a read that its conditions end: 304, or the error 412.
fn judged(conditions: &Conditions, info: &ObjectInfo) -> Result<Option<Response>, Problem> {
    match conditions.judge(info) {
        Evaluation::Go => Ok(None),
        Evaluation::Failed => Err(Problem::precondition_failed()),
        Evaluation::NotModified => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            headers::validators(response.headers_mut(), info);
            Ok(Some(response))
        }
    }
}

struct Read<'a> {
    backend: &'a Backend,
    key: &'a str,
    conditions: &'a Conditions,
    request: &'a HeaderMap,
    room: Reservation,
    unverified: bool,
}

impl Read<'_> {
    async fn answer(self) -> Result<Response, Problem> {
        let Some(range) = ranges::asked(self.request) else {
            return self.whole().await;
        };
        let downloaded = match self.download(Some(range.clone())).await {
            Ok(downloaded) => downloaded,
            // Boxed, because all layers above would carry the room for what hardly ever happens.
            Err(error) if error.kind() == ErrorKind::InvalidRange => {
                return Box::pin(self.unsatisfiable(&range, error)).await;
            }
            // No such range here, and no such object perhaps: the whole tells.
            Err(error) if matches!(range, ByteRange::Last(_)) && is_refused(&error) => {
                return Box::pin(self.suffix(&range)).await;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(refusal) = judged(self.conditions, &downloaded.info)? {
            return Ok(refusal);
        }
        match if_range(self.request, &downloaded.info) {
            true => Ok(self.part(downloaded)),
            false => self.whole().await,
        }
    }

    async fn download(&self, range: Option<ByteRange>) -> holdall::Result<Downloaded> {
        let mut download = Download::new(self.key).chunk_hint(self.room.chunk());
        download.range = range;
        download.unverified = self.unverified;
        self.backend.download(download).await
    }

    async fn whole(self) -> Result<Response, Problem> {
        let downloaded = self.download(None).await?;
        if let Some(refusal) = judged(self.conditions, &downloaded.info)? {
            return Ok(refusal);
        }
        Ok(self.respond(StatusCode::OK, downloaded))
    }

    fn part(self, downloaded: Downloaded) -> Response {
        let (range, size) = (downloaded.range.clone(), downloaded.info.size);
        let mut response = self.respond(StatusCode::PARTIAL_CONTENT, downloaded);
        let text = format!(
            "bytes {}-{}/{size}",
            range.start,
            range.end.saturating_sub(1)
        );
        let value = HeaderValue::try_from(text).expect("digits are a header's value");
        response.headers_mut().insert(CONTENT_RANGE, value);
        response
    }

    /// The range starts past the end. The conditions come first (RFC 9110, 13.2.2), and so does
    /// `If-Range`.
    async fn unsatisfiable(self, range: &ByteRange, error: Error) -> Result<Response, Problem> {
        let info = self.backend.head(Head::new(self.key)).await?;
        if let Some(refusal) = judged(self.conditions, &info)? {
            return Ok(refusal);
        }
        // The last bytes of an object that has none are none (14.1.2): no error, but nothing that a
        // 206 could tell either.
        let nothing = info.size == 0 && matches!(range, ByteRange::Last(1..));
        match nothing || !if_range(self.request, &info) {
            true => self.whole().await,
            false => Err(error.into()),
        }
    }

    /// The last bytes, from a backend that counts from the start only, and `-0`, which no object
    /// can satisfy.
    async fn suffix(self, range: &ByteRange) -> Result<Response, Problem> {
        let info = self.backend.head(Head::new(self.key)).await?;
        let bounds = match range {
            ByteRange::Last(0) => Err(Error::invalid_range(info.size)),
            range => range.within(info.size),
        };
        let bounds = match bounds {
            Ok(bounds) => bounds,
            Err(error) => return self.unsatisfiable(range, error).await,
        };
        let downloaded = self.download(Some(ByteRange::Bounded(bounds))).await?;
        if let Some(refusal) = judged(self.conditions, &downloaded.info)? {
            return Ok(refusal);
        }
        // Another object by now: its last bytes are elsewhere.
        let same = downloaded.info.size == info.size;
        match same && if_range(self.request, &downloaded.info) {
            true => Ok(self.part(downloaded)),
            false => self.whole().await,
        }
    }

    fn respond(mut self, status: StatusCode, downloaded: Downloaded) -> Response {
        let Downloaded {
            info, range, body, ..
        } = downloaded;
        let length = range.end - range.start;
        self.room.shrink(length);
        let mut response = Response::new(Body::new(Outgoing::new(body, length, self.room)));
        *response.status_mut() = status;
        headers::write(response.headers_mut(), self.key, &info);
        response
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::InvalidArgument
    )
}

/// How the answer is to be shown, where the request has a say in it.
struct Shown {
    disposition: Option<String>,
    content_type: Option<String>,
    sandboxed: bool,
}

impl Shown {
    /// `?download` saves under the key's last segment, `?download=NAME` under this name.
    fn of(call: &Call, target: &Target, mut query: Query) -> Result<Self, Problem> {
        let mut shown = Self {
            disposition: None,
            content_type: None,
            sandboxed: !call.settings.unsandboxed.contains(&target.backend),
        };
        if let Some(grant) = call.access.grant() {
            shown.disposition = grant.content_disposition();
            shown.content_type.clone_from(&grant.response_content_type);
        }
        if let Some(name) = query.take("download") {
            let last = target.key.rsplit('/').next().unwrap_or_default();
            shown.disposition = Some(attachment(if name.is_empty() { last } else { &name }));
        }
        query.finish()?;
        Ok(shown)
    }

    fn write(self, headers: &mut HeaderMap) {
        for (name, text) in [
            (CONTENT_DISPOSITION, self.disposition),
            (CONTENT_TYPE, self.content_type),
        ] {
            // Not into a 304, which has none of it.
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok())
                && headers.contains_key(CONTENT_TYPE)
            {
                headers.insert(name, value);
            }
        }
        // What strangers may have stored runs in no origin that others trust.
        if self.sandboxed && headers.get(CONTENT_TYPE).is_some_and(headers::is_active) {
            headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
        }
    }
}
