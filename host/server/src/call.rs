//! What surrounds every request: its name, who asks, and an answer that is whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use holdall::{Backend, CallOptions};
use http::header::{CONNECTION, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::Limited;
use tower_http::timeout::TimeoutBody;

use crate::access::{Access, Scope};
use crate::problem::{self, Problem};
use crate::settings::Settings;
use crate::state::App;
use crate::target::Target;
use crate::trace::Trace;
use crate::watch::Entry;
use crate::{body, cors};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
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
    /// 401 or 403 before anything else is told; 404 for a name that nobody registered.
    pub(crate) fn backend(&self, scope: Scope, target: &Target) -> Result<Backend, Problem> {
        self.may(scope, &target.backend, &target.key)?;
        self.backend_named(&target.backend)
    }

    pub(crate) fn backend_named(&self, name: &str) -> Result<Backend, Problem> {
        let handle = self.app.host().handle(name);
        let backend = handle.map_err(|_| Problem::no_backend(name))?;
        let options = CallOptions::new().request_id(self.id.clone());
        Ok(backend.with(options.trace(self.trace.trace_id, self.trace.span_id)))
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

/// The layer around all routes.
pub(crate) async fn surround(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = name_of(&request).unwrap_or_else(|| app.next_request_id());
    let settings = app.settings();
    let trace = Trace::of(request.headers());
    let mut entry = Entry::of(&request, &id, trace);
    let running = Running::new(&app);
    let mut access = None;
    // A page may see why it is refused, too.
    let mut response = cors::around(&settings, request, async |request| {
        let (mut request, known) = match admitted(request, &app, &settings) {
            Ok(admitted) => admitted,
            Err(problem) => return problem.into_response(),
        };
        let known = access.insert(Arc::new(known)).clone();
        request.extensions_mut().insert(Call {
            app: app.clone(),
            access: known,
            settings: settings.clone(),
            id: id.clone(),
            trace,
        });
        next.run(request).await
    })
    .await;
    if let Some(entry) = &mut entry {
        entry.token(access.as_deref().and_then(Access::token_name));
    }
    problem::render(&mut response, &id, settings.errors);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if app.is_stopping() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
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

/// The request of somebody known, with a body within bounds.
fn admitted(
    request: Request,
    app: &App,
    settings: &Arc<Settings>,
) -> Result<(Request, Access), Problem> {
    // First of all: whoever is refused may be sending still.
    let request = body::lingering(request);
    let access = Access::of(&request, app, settings)?;
    if request.body().is_end_stream() {
        return Ok((request, access));
    }
    let limit = settings.max_body.unwrap_or(u64::MAX);
    if request.body().size_hint().lower() > limit {
        return Err(Problem::body_too_large(limit));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let request = request.map(|body| {
        let body = TimeoutBody::new(settings.stall_timeout, body);
        Body::new(Limited::new(body, limit))
    });
    Ok((request, access))
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
