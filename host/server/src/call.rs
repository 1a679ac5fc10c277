//! What surrounds every request: its name, who asks, and an answer that is whole.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use holdall::{Backend, CallOptions};
use http::header::{CONNECTION, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;

use crate::access::{Access, Scope};
use crate::body;
use crate::problem::{self, Problem};
use crate::state::App;
use crate::target::Target;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// One request, as its handler sees it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) access: Arc<Access>,
    id: Arc<str>,
}

impl Call {
    /// The backend of a request that may do this with that key. It runs under the request's name.
    ///
    /// # Errors
    ///
    /// 403 before anything else is told; 404 for a name that nobody registered.
    pub(crate) fn backend(&self, scope: Scope, target: &Target) -> Result<Backend, Problem> {
        self.may(scope, &target.backend, &target.key)?;
        self.backend_named(&target.backend)
    }

    pub(crate) fn backend_named(&self, name: &str) -> Result<Backend, Problem> {
        let handle = self.app.host().handle(name);
        let backend = handle.map_err(|_| Problem::no_backend(name))?;
        Ok(backend.with(CallOptions::new().request_id(self.id.clone())))
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
    let mut request = request.map(body::lingering);
    let mut response = match Access::of(&request, &app) {
        Ok(access) => {
            let call = Call {
                app: app.clone(),
                access: Arc::new(access),
                id: id.clone(),
            };
            request.extensions_mut().insert(call);
            next.run(request).await
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    };
    problem::render(&mut response, &id, app.settings().errors);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if app.is_stopping() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    response
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
