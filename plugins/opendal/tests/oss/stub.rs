//! A small strict Aliyun OSS: one bucket in memory, path style, V1 signatures.
//!
//! What it does not know it refuses, so that a request in a form that the real service would not
//! take fails here too. Behaviour from the OSS API reference, action by action.

use crate::signature::{Signed, query};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

pub(crate) const BUCKET: &str = "media";
pub(crate) const ID: &str = "LTAI-test";
pub(crate) const SECRET: &str = "a-secret-of-the-test";
/// Smallest part but the last.
const MIN_PART: usize = 100 << 10;

/// Headers that belong to an object.
const KEPT: [&str; 4] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
];

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    headers: HeaderMap,
    etag: String,
    modified: SystemTime,
}

struct Unfinished {
    key: String,
    headers: HeaderMap,
    parts: BTreeMap<u32, Bytes>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    unfinished: BTreeMap<String, Unfinished>,
    uploads: u64,
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    requests: Arc<AtomicU64>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Stub {
    /// On a thread of its own: the tests come and go with runtimes of theirs.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let requests = Arc::new(AtomicU64::new(0));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let (shared, counted) = (state.clone(), requests.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let stream = tokio::select! {
                        _ = &mut stopped => return,
                        accepted = listener.accept() => accepted.unwrap().0,
                    };
                    let (state, counted) = (shared.clone(), counted.clone());
                    let service = hyper::service::service_fn(move |request| {
                        counted.fetch_add(1, Ordering::Relaxed);
                        answer(state.clone(), request)
                    });
                    let io = hyper_util::rt::TokioIo::new(stream);
                    // A connection that breaks is the client's affair.
                    tokio::spawn(
                        hyper::server::conn::http1::Builder::new().serve_connection(io, service),
                    );
                }
            });
        });
        Self {
            address,
            state,
            requests,
            _stop: stop,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keys of multipart uploads that were begun and neither completed nor aborted.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .unfinished
            .values()
            .map(|upload| upload.key.clone())
            .collect()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

type Answer = Response<Full<Bytes>>;

fn refusal(status: u16, code: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>no</Message></Error>"
    );
    reply(status).body(body.into()).unwrap()
}

fn reply(status: u16) -> http::response::Builder {
    Response::builder()
        .status(status)
        .header("x-oss-request-id", "534B371674E88A4D8906008B")
}

fn empty(status: u16) -> Answer {
    reply(status).body(Full::default()).unwrap()
}

fn xml(body: String) -> Answer {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    reply(200)
        .header("content-type", "application/xml")
        .body(body.into())
        .unwrap()
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let head_only = parts.method == Method::HEAD;
    let asked = Asked::of(&parts);
    // The bucket itself: in path style the resource is the path as it stands.
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let signed = Signed {
        method: &parts.method,
        resource: &path,
        query: &asked.query,
        headers: &parts.headers,
    };
    let checked = signed.check(ID, SECRET);
    let Ok(body) = body.collect().await else {
        return Ok(refusal(400, "IncompleteBody"));
    };
    let body = body.to_bytes();
    let mut answer = match checked {
        Err(code) => refusal(403, code),
        Ok(()) if asked.bucket != BUCKET => refusal(404, "NoSuchBucket"),
        Ok(()) => asked.act(
            &parts.method,
            &parts.headers,
            body,
            &mut state.lock().unwrap(),
        ),
    };
    if head_only {
        *answer.body_mut() = Full::default();
    }
    Ok(answer)
}

struct Asked {
    bucket: String,
    key: String,
    query: Vec<(String, Option<String>)>,
}

impl Asked {
    fn of(parts: &http::request::Parts) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = parts.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self {
            bucket: decoded(bucket),
            key: decoded(key),
            query: query(parts.uri.query().unwrap_or_default()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(found, _)| found == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(found, _)| found == name)?;
        found.1.as_deref()
    }

    fn act(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: Bytes,
        state: &mut MutexGuard<'_, State>,
    ) -> Answer {
        let sums = headers
            .get("content-md5")
            .map(|value| value.to_str().unwrap_or_default());
        if sums.is_some_and(|sum| sum != STANDARD.encode(Md5::digest(&body))) {
            return refusal(400, "InvalidDigest");
        }
        match (method.as_str(), self.key.is_empty()) {
            ("GET", true) if self.value("list-type") == Some("2") => self.list(state),
            ("GET" | "HEAD", false) => self.read(headers, state),
            ("PUT", false) if self.has("partNumber") => self.part(body, state),
            ("PUT", false) if headers.contains_key("x-oss-copy-source") => {
                self.copy(headers, state)
            }
            ("PUT", false) => self.put(headers, body, state),
            ("POST", false) if self.has("uploads") => self.begin(headers, state),
            ("POST", false) if self.has("uploadId") => self.complete(headers, &body, state),
            ("DELETE", false) if self.has("uploadId") => self.abort(state),
            ("DELETE", false) => {
                state.objects.remove(&self.key);
                empty(204)
            }
            _ => refusal(400, "InvalidArgument"),
        }
    }

    fn may_not_replace(&self, headers: &HeaderMap, state: &State) -> bool {
        headers
            .get("x-oss-forbid-overwrite")
            .is_some_and(|value| value == "true")
            && state.objects.contains_key(&self.key)
    }

    fn put(&self, headers: &HeaderMap, body: Bytes, state: &mut State) -> Answer {
        if self.may_not_replace(headers, state) {
            return refusal(409, "FileAlreadyExists");
        }
        let etag = format!("\"{}\"", hex(&Md5::digest(&body)));
        let object = Object {
            bytes: body,
            headers: kept(headers),
            etag: etag.clone(),
            modified: SystemTime::now(),
        };
        state.objects.insert(self.key.clone(), object);
        reply(200)
            .header("etag", etag)
            .body(Full::default())
            .unwrap()
    }

    fn read(&self, headers: &HeaderMap, state: &State) -> Answer {
        let Some(object) = state.objects.get(&self.key) else {
            return refusal(404, "NoSuchKey");
        };
        let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if says("if-match").is_some_and(|etag| etag != object.etag) {
            return refusal(412, "PreconditionFailed");
        }
        if says("if-none-match").is_some_and(|etag| etag == object.etag) {
            return empty(304);
        }
        let size = object.bytes.len();
        let range = says("range").map(|range| range_of(range, size));
        let (status, range) = match range {
            None => (200, 0..size),
            Some(Some(range)) => (206, range),
            // Without this header OSS answers a range past the end with the whole object.
            Some(None) if says("x-oss-range-behavior") != Some("standard") => (200, 0..size),
            Some(None) => {
                let answer = reply(416).header("content-range", format!("bytes */{size}"));
                return answer
                    .body("<Error><Code>InvalidRange</Code></Error>".into())
                    .unwrap();
            }
        };
        let mut answer = reply(status)
            .header("etag", &object.etag)
            .header("last-modified", httpdate::fmt_http_date(object.modified))
            .header("content-length", range.len());
        if status == 206 {
            let span = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            answer = answer.header("content-range", span);
        }
        for (name, value) in &object.headers {
            answer = answer.header(name, value);
        }
        if let Some(value) = self.value("response-content-disposition") {
            answer = answer.header(header::CONTENT_DISPOSITION, value);
        }
        answer.body(object.bytes.slice(range).into()).unwrap()
    }

    fn copy(&self, headers: &HeaderMap, state: &mut State) -> Answer {
        let source = headers["x-oss-copy-source"].to_str().unwrap_or_default();
        let source = percent_decode_str(source).decode_utf8_lossy();
        let Some(key) = source.strip_prefix(&format!("/{BUCKET}/")) else {
            return refusal(400, "InvalidArgument");
        };
        let Some(mut object) = state.objects.get(key).cloned() else {
            return refusal(404, "NoSuchKey");
        };
        object.modified = SystemTime::now();
        let etag = object.etag.clone();
        state.objects.insert(self.key.clone(), object);
        xml(format!(
            "<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>"
        ))
    }

    fn begin(&self, headers: &HeaderMap, state: &mut State) -> Answer {
        if self.may_not_replace(headers, state) {
            return refusal(409, "FileAlreadyExists");
        }
        state.uploads += 1;
        let id = format!("upload-{}", state.uploads);
        let upload = Unfinished {
            key: self.key.clone(),
            headers: kept(headers),
            parts: BTreeMap::new(),
        };
        state.unfinished.insert(id.clone(), upload);
        xml(format!(
            "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
            escaped(&self.key)
        ))
    }

    fn part(&self, body: Bytes, state: &mut State) -> Answer {
        let number = self
            .value("partNumber")
            .and_then(|number| number.parse().ok());
        let Some(number @ 1..=10_000) = number else {
            return refusal(400, "InvalidArgument");
        };
        let Some(upload) = self.unfinished(state) else {
            return refusal(404, "NoSuchUpload");
        };
        let etag = format!("\"{}\"", hex(&Md5::digest(&body)));
        upload.parts.insert(number, body);
        reply(200)
            .header("etag", etag)
            .body(Full::default())
            .unwrap()
    }

    fn unfinished<'s>(&self, state: &'s mut State) -> Option<&'s mut Unfinished> {
        let upload = state.unfinished.get_mut(self.value("uploadId")?)?;
        (upload.key == self.key).then_some(upload)
    }

    fn complete(&self, headers: &HeaderMap, body: &[u8], state: &mut State) -> Answer {
        if self.may_not_replace(headers, state) {
            return refusal(409, "FileAlreadyExists");
        }
        let Ok(wanted) = quick_xml::de::from_reader::<_, Complete>(body) else {
            return refusal(400, "MalformedXML");
        };
        let Some(upload) = self.unfinished(state) else {
            return refusal(404, "NoSuchUpload");
        };
        let mut whole = Vec::new();
        let last = wanted.part.len();
        for (index, part) in wanted.part.iter().enumerate() {
            let Some(bytes) = upload.parts.get(&part.number) else {
                return refusal(400, "InvalidPart");
            };
            if part.etag.trim_matches('"') != hex(&Md5::digest(bytes)) {
                return refusal(400, "InvalidPart");
            }
            if bytes.len() < MIN_PART && index + 1 < last {
                return refusal(400, "EntityTooSmall");
            }
            whole.extend_from_slice(bytes);
        }
        if !wanted.part.is_sorted_by(|a, b| a.number < b.number) || last == 0 {
            return refusal(400, "InvalidPartOrder");
        }
        let etag = format!("\"{}-{last}\"", hex(&Md5::digest(&whole)));
        let object = Object {
            bytes: whole.into(),
            headers: upload.headers.clone(),
            etag: etag.clone(),
            modified: SystemTime::now(),
        };
        state.objects.insert(self.key.clone(), object);
        let id = self.value("uploadId").unwrap_or_default();
        state.unfinished.remove(id);
        xml(format!(
            "<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><ETag>{etag}</ETag></CompleteMultipartUploadResult>",
            escaped(&self.key)
        ))
    }

    fn abort(&self, state: &mut State) -> Answer {
        match self.unfinished(state) {
            None => refusal(404, "NoSuchUpload"),
            Some(_) => {
                state
                    .unfinished
                    .remove(self.value("uploadId").unwrap_or_default());
                empty(204)
            }
        }
    }

    fn list(&self, state: &State) -> Answer {
        let prefix = self.value("prefix").unwrap_or_default();
        let delimiter = self.value("delimiter");
        let most = match self.value("max-keys").map(str::parse) {
            None => 100,
            Some(Ok(most @ 1..=1000)) => most,
            Some(_) => return refusal(400, "InvalidArgument"),
        };
        let token = self.value("continuation-token");
        let after = token.or(self.value("start-after")).unwrap_or_default();
        let (mut contents, mut groups, mut last) = (String::new(), String::new(), "");
        let (mut count, mut truncated): (usize, bool) = (0, false);
        let begins = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        for (key, object) in begins.filter(|(key, _)| key.as_str() > after) {
            let rest = &key[prefix.len()..];
            let group = delimiter
                .and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()))
                .map(|end| &key[..prefix.len() + end]);
            // A continuation begins after the whole group that it ended with.
            if group.is_some_and(|group| group == last || token == Some(group)) {
                continue;
            }
            if count == most {
                truncated = true;
                break;
            }
            count += 1;
            match group {
                Some(group) => {
                    groups += &format!(
                        "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                        escaped(group)
                    );
                    last = group;
                }
                None => {
                    contents += &format!(
                        "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                        escaped(key),
                        iso(object.modified),
                        escaped(&object.etag),
                        object.bytes.len()
                    );
                    last = key;
                }
            }
        }
        let next = match truncated {
            true => format!(
                "<NextContinuationToken>{}</NextContinuationToken>",
                escaped(last)
            ),
            false => String::new(),
        };
        xml(format!(
            "<ListBucketResult><Name>{BUCKET}</Name><Prefix>{}</Prefix><MaxKeys>{most}</MaxKeys><IsTruncated>{truncated}</IsTruncated><KeyCount>{count}</KeyCount>{contents}{groups}{next}</ListBucketResult>",
            escaped(prefix)
        ))
    }
}

#[derive(serde::Deserialize)]
struct Complete {
    #[serde(rename = "Part", default)]
    part: Vec<Part>,
}

#[derive(serde::Deserialize)]
struct Part {
    #[serde(rename = "PartNumber")]
    number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let belongs = |name: &str| KEPT.contains(&name) || name.starts_with("x-oss-meta-");
    headers
        .iter()
        .filter(|(name, _)| belongs(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The bytes of a range, `None` when it begins past the end.
fn range_of(text: &str, size: usize) -> Option<std::ops::Range<usize>> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start.parse::<u64>(), end.parse::<u64>()) {
        (Ok(start), Ok(end)) => start..end.saturating_add(1).min(size as u64),
        (Ok(start), Err(_)) => start..size as u64,
        (Err(_), Ok(last)) => (size as u64).saturating_sub(last)..size as u64,
        _ => return None,
    };
    (range.start < range.end).then_some(range.start as usize..range.end as usize)
}

fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `2026-11-26T08:09:10.000Z`, of an HTTP date.
fn iso(time: SystemTime) -> String {
    let http = httpdate::fmt_http_date(time);
    let parts: Vec<_> = http.split(' ').collect();
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = months.find(parts[2]).map_or(0, |at| at / 3 + 1);
    format!("{}-{month:02}-{}T{}.000Z", parts[3], parts[1], parts[4])
}
