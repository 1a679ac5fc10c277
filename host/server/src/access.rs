//! Who asks, and what that allows.
//!
//! It is found out once, before the routes ([`Access::of`]), and asked by each handler as soon as it
//! knows what is to be done with which key ([`Access::check`]): keys may stand in a body.

use axum::extract::Request;
use holdall::Method;
use holdall::gateway::Grant;

use crate::problem::Problem;
use crate::state::App;

/// What somebody wants to do with a key, or with the keys under a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Read,
    Write,
    Delete,
    List,
    Sign,
}

/// Who asks.
pub(crate) enum Access {
    /// Somebody who needs no credentials.
    Open,
    /// The holder of a URL that the gateway signed, verified.
    Signed(Box<Grant>),
}

impl Access {
    /// # Errors
    ///
    /// 403, one body for every reason: a signed URL that is not, or no longer, or not for this.
    pub(crate) fn of(request: &Request, app: &App) -> Result<Self, Problem> {
        let Some(query) = request.uri().query().filter(|query| is_signed(query)) else {
            return Ok(Access::Open);
        };
        let target = format!("{}?{query}", request.uri().path());
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let gateway = app.host().gateway();
        let grant = gateway.verify(request.method().as_str(), &target, headers);
        grant
            .map(|grant| Access::Signed(Box::new(grant)))
            .map_err(|_| Problem::forbidden("the signed URL is refused"))
    }

    /// Whether this may be done.
    ///
    /// # Errors
    ///
    /// 403, the same whether or not there is such an object.
    pub(crate) fn check(&self, scope: Scope, backend: &str, key: &str) -> Result<(), Problem> {
        match self {
            Access::Open => Ok(()),
            Access::Signed(grant) => {
                let granted = match grant.method {
                    Method::Get | Method::Head => Scope::Read,
                    Method::Put => Scope::Write,
                    Method::Delete => Scope::Delete,
                };
                if scope == granted && grant.backend == backend && grant.key == key {
                    return Ok(());
                }
                Err(Problem::forbidden("the signed URL is refused"))
            }
        }
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match self {
            Access::Signed(grant) => Some(grant),
            Access::Open => None,
        }
    }
}

/// Whether the query claims to be signed: any parameter of ours makes it so, lest a URL that lost
/// its signature becomes one that never had any.
fn is_signed(query: &str) -> bool {
    query
        .split('&')
        .any(|parameter| parameter.starts_with("hd-"))
}
