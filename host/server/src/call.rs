//! What surrounds every request: its name, who asks, the backend and key that its path names, the parameters
//! of its query, and an answer that is whole. A path is percent-decoded exactly once and never normalised.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use holdall::{Backend, CallOptions};
use http::StatusCode;
use http::header::{
    CONNECTION, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http_body::Body as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::access::{Access, client_of};
use crate::connection::{Connection, NoPlace};
use crate::problem::Problem;
use crate::rights::Scope;
use crate::settings::Settings;
use crate::state::App;
use crate::trace::Trace;
use crate::watch::Entry;
use crate::{body, cors, message};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// Two years, as browsers' preload lists ask.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=63072000");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// One request, as its handler sees it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) access: Arc<Access>,
    /// What was in force when the request began.
    pub(crate) settings: Arc<Settings>,
    id: Arc<str>,
    trace: Trace,
}

impl Call {
    /// The backend of a request that may do this with that key. It runs under the request's name.
    ///
    /// # Errors
    ///
    /// 401 or 403 before any other answer; 404 for a name that is not registered.
    pub(crate) fn backend(&self, scope: Scope, target: &Target) -> Result<Backend, Problem> {
        self.may(scope, &target.backend, &target.key)?;
        self.backend_named(&target.backend)
    }

    pub(crate) fn backend_named(&self, name: &str) -> Result<Backend, Problem> {
        let handle = self.app.host().handle(name);
        let backend = handle.map_err(|_| Problem::no_backend(name))?;
        let mut options = CallOptions::new().request_id(self.id.clone());
        if let Some(name) = self.access.token_name() {
            options = options.actor(name);
        }
        let (owner, group) = self.access.account();
        if let Some(owner) = owner {
            options = options.owner(owner);
        }
        if let Some(group) = group {
            options = options.group(group);
        }
        if let Some(id) = self.access.grant().and_then(|grant| grant.reservation) {
            options = options.reservation(id);
        }
        Ok(backend.with(options.trace(self.trace.trace_id, self.trace.span_id)))
    }

    /// The backend of a request whose keys stand in its body.
    ///
    /// # Errors
    ///
    /// 401 or 403 when no key would be allowed; 404 for a name that is not registered.
    pub(crate) fn backend_for_some_key(
        &self,
        scope: Scope,
        name: &str,
    ) -> Result<Backend, Problem> {
        self.access.check_any(scope, name)?;
        self.backend_named(name)
    }

    pub(crate) fn may(&self, scope: Scope, backend: &str, key: &str) -> Result<(), Problem> {
        self.access.check(scope, backend, key)
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let call = parts.extensions.get::<Call>().cloned();
        Ok(call.expect("every route lies behind `call::surround`"))
    }
}

/// A signed URL is verified as a whole: nothing in its query is a parameter of the request.
impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let call = parts.extensions.get::<Call>();
        let signed = call.is_some_and(|call| call.access.grant().is_some());
        match parts.uri.query() {
            Some(query) if !signed => Self::of(query),
            _ => Ok(Self::default()),
        }
    }
}

/// Backend and key of `/v1/{backend}/{key}`. The key is empty for the backend itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) backend: String,
    pub(crate) key: String,
}

impl Target {
    /// Reads a path, as on the wire. Not by the router's own parameters: those forgive a `%` that
    /// begins no escape.
    pub(crate) fn of(path: &str) -> Result<Self, Problem> {
        let rest = path.strip_prefix("/v1/").ok_or_else(Problem::no_route)?;
        let (backend, key) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            backend: decoded(backend)?,
            key: decoded(key)?,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut target = Self::of(parts.uri.path())?;
        // Rights are those of the backend, under whichever of its names.
        let host = parts.extensions.get::<Call>().map(|call| call.app.host());
        if let Some(name) = host.and_then(|host| host.resolve_name(&target.backend)) {
            target.backend = name;
        }
        Ok(target)
    }
}

/// Parameters that were not taken yet. [`Query::finish`] refuses the rest: a misspelt
/// `must_exist` that is dropped in silence would change what the request means.
#[derive(Debug, Default)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// Reads `a=b&c`. A `+` is a space, as forms and most clients write it.
    pub(crate) fn of(query: &str) -> Result<Self, Problem> {
        let text = |text: &str| decode(&text.replace('+', " ")).map_err(Problem::invalid);
        let mut parameters: Vec<(String, String)> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (name, value) = (text(name)?, text(value)?);
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid(format!(
                    "the parameter {name:?} stands twice"
                )));
            }
            parameters.push((name, value));
        }
        Ok(Self {
            parameters,
            known: Vec::new(),
        })
    }

    /// Takes a parameter; `None` when it is absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let at = self.parameters.iter().position(|(it, _)| it == name)?;
        Some(self.parameters.swap_remove(at).1)
    }

    /// Takes a parameter that is there or not; `=true` and `=false` say it in full.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(Problem::invalid(format!(
                "{name} is \"true\", \"false\" or nothing, found {other:?}"
            ))),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether this parameter is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(it, _)| it == name)
    }

    /// # Errors
    ///
    /// 400: a parameter that the request does not have.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.parameters.first() else {
            return Ok(());
        };
        let known = match self.known.as_slice() {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        Err(Problem::invalid(format!(
            "unknown parameter {name:?}; this request has: {known}"
        )))
    }
}

fn decoded(text: &str) -> Result<String, Problem> {
    decode(text).map_err(Problem::invalid_key)
}

/// Everything but what stands for itself in a path (RFC 3986, 2.3), and `/`.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A key, or a part of one, as it stands in a path.
pub(crate) fn encoded(key: &str) -> String {
    utf8_percent_encode(key, IN_PATH).to_string()
}

/// Percent-decodes once.
///
/// # Errors
///
/// Why the text has no one meaning.
pub(crate) fn decode(text: &str) -> Result<String, &'static str> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(
                "a \"%\" is followed by two hexadecimal digits; one that means itself is \"%25\"",
            );
        }
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "the percent-decoded bytes are not UTF-8")?;
    Ok(decoded.into_owned())
}

/// The layer around all routes.
pub(crate) async fn surround(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = name_of(&request).unwrap_or_else(|| app.next_request_id());
    let settings = app.settings();
    let trace = Trace::of(request.headers());
    let client = client_of(&request, &settings.trusted_proxies);
    let mut entry = Entry::of(&request, &id, trace, client);
    let running = Running::new(&app);
    let mut access = None;
    let mut refused = false;
    let respond = async |request: Request| {
        // First of all: a client that is refused may still be sending.
        let request = body::bounded(request, settings.max_body, settings.stall_timeout);
        if request.extensions().get::<NoPlace>().is_some() {
            return Problem::busy().into_response();
        }
        // On a connection of ours the message is as the client sent it.
        if request.extensions().get::<Arc<Connection>>().is_some()
            && let Err(problem) = message::check(&request)
        {
            return problem.into_response();
        }
        let known = match Access::of(&request, || app.host().gateway(), &settings) {
            Ok(known) => known,
            Err(problem) => {
                refused = true;
                return problem.into_response();
            }
        };
        let limit = settings.max_body.unwrap_or(u64::MAX);
        if request.body().size_hint().lower() > limit {
            return Problem::from(body::too_large(limit)).into_response();
        }
        let mut request = request;
        let known = access.insert(Arc::new(known)).clone();
        request.extensions_mut().insert(Call {
            app: app.clone(),
            access: known,
            settings: settings.clone(),
            id: id.clone(),
            trace,
        });
        next.run(request).await
    };
    let handled = async {
        match settings.cors.is_empty() {
            true => respond(request).await,
            // A page may see why it is refused, too.
            false => cors::around(&settings.cors, request, respond).await,
        }
    };
    let handled = AssertUnwindSafe(handled).catch_unwind().await;
    let mut response = handled.unwrap_or_else(|_| Problem::panicked().into_response());
    refused |= response.status() == StatusCode::UNAUTHORIZED;
    if refused
        && let Some(client) = client
        && let Some(wait) = app.throttle().failed(client, settings.max_auth_failures)
    {
        response = Problem::too_many_failures(wait).into_response();
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    if let Some(entry) = &mut entry {
        entry.token(access.as_deref().and_then(Access::token_name));
    }
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        problem.render(&mut response, &id, settings.errors);
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if settings.tls.is_some() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    if app.is_stopping() {
        headers.insert(CONNECTION, CLOSE);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    running.0.requests().answered(response.status());
    match entry {
        Some(entry) => entry.follow(response),
        None => response,
    }
}

/// Counted as long as its handler runs, which ends early when the client goes away.
struct Running(App);

impl Running {
    fn new(app: &App) -> Self {
        app.requests().began();
        Self(app.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.requests().ended();
    }
}

/// The name that the client gave its request, when it is one: it goes into logs.
fn name_of(request: &Request) -> Option<Arc<str>> {
    let given = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=128).contains(&given.len())
        && given
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte));
    fits.then(|| given.into())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;

    async fn panicking() -> StatusCode {
        panic!("a fault of a handler");
    }

    #[tokio::test]
    async fn a_panic_of_a_handler_is_500_with_a_body() {
        let host = holdall::Host::builder().build().unwrap();
        let app = App::new(host, Settings::default());
        let router = Router::new()
            .route("/", get(panicking))
            .layer(from_fn_with_state(app, surround));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "storage_error");
        assert!(problem.get("detail").is_none());
    }

    #[test]
    fn keys_are_decoded_once_and_stay_as_they_are() {
        for (path, backend, key) in [
            ("/v1/local/a/b.png", "local", "a/b.png"),
            ("/v1/local/a%2Fb", "local", "a/b"),
            ("/v1/local/a%252Fb", "local", "a%2Fb"),
            ("/v1/local//a/../b/", "local", "/a/../b/"),
            ("/v1/local/%C3%A9+%20", "local", "é+ "),
            ("/v1/local", "local", ""),
            ("/v1/local/", "local", ""),
            ("/v1//x", "", "x"),
        ] {
            let target = Target::of(path).unwrap();
            assert_eq!((&*target.backend, &*target.key), (backend, key), "{path}");
        }
        for path in [
            "/v1/local/%",
            "/v1/local/%4",
            "/v1/local/%zz",
            "/v1/local/%+1",
            "/v1/%ff/a",
            "/v2/a",
        ] {
            assert!(Target::of(path).is_err(), "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_once_and_counted() {
        let mut query = Query::of("list&prefix=a%2Bb+c%252F&limit=&&x=1=2").unwrap();
        assert_eq!(query.take("prefix").as_deref(), Some("a+b c%2F"));
        assert!(query.flag("list").unwrap());
        assert!(!query.flag("deep").unwrap());
        assert_eq!(query.take("limit").as_deref(), Some(""));
        assert_eq!(query.take("x").as_deref(), Some("1=2"));
        query.finish().unwrap();
    }

    #[test]
    fn slips_are_reported() {
        let mut query = Query::of("must_exists=true").unwrap();
        assert!(!query.flag("must_exist").unwrap());
        let Problem::Storage(error) = query.finish().unwrap_err() else {
            panic!("another problem");
        };
        assert!(
            error
                .message()
                .contains("\"must_exists\"; this request has: must_exist")
        );
        assert!(Query::of("a=1&a=2").is_err());
        assert!(Query::of("a=%").is_err());
        assert!(Query::of("a=%ff").is_err());
        assert!(Query::of("list=yes").unwrap().flag("list").is_err());
    }
}
