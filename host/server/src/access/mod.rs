//! Who asks, and what that allows.
//!
//! It is found out once, before the routes ([`Access::of`]), and asked by each handler as soon as it
//! knows what is to be done with which key ([`Access::check`]): keys may stand in a body.

mod client;
mod rule;
mod throttle;
mod token;

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::Request;
use holdall::Method;
use holdall::gateway::Grant;
use http::header::AUTHORIZATION;

use crate::problem::Problem;
use crate::settings::Settings;
use crate::state::App;

pub(crate) use client::client_of;
pub use rule::{Rule, Scope};
pub(crate) use throttle::Throttle;
pub use token::Token;

/// Who asks.
pub(crate) enum Access {
    /// A client without credentials: the anonymous rights.
    Anonymous(Arc<Settings>),
    /// The holder of a token.
    Holder(Arc<Token>),
    /// The holder of a URL that the gateway signed, verified.
    Signed(Box<Grant>),
}

impl Access {
    /// # Errors
    ///
    /// - 401: a token that is none of ours, or no longer; one body for every reason.
    /// - 403, one body for every reason: a signed URL that is not, or no longer, or not for this.
    pub(crate) fn of(
        request: &Request,
        app: &App,
        settings: &Arc<Settings>,
    ) -> Result<Self, Problem> {
        if let Some(query) = request.uri().query().filter(|query| is_signed(query)) {
            return signed(request, query, app);
        }
        let given = request.headers().get(AUTHORIZATION);
        let Some(given) = given.filter(|_| !settings.tokens.is_empty()) else {
            return Ok(Access::Anonymous(settings.clone()));
        };
        let token = given
            .to_str()
            .ok()
            .and_then(bearer)
            .and_then(|text| Some((text, settings.tokens.get(Token::name_in(text)?)?)))
            .filter(|(text, token)| token.admits(text, SystemTime::now()));
        match token {
            Some((_, token)) => Ok(Access::Holder(token.clone())),
            None => Err(Problem::unauthorized("the token is refused")),
        }
    }

    /// Whether this may be done.
    ///
    /// # Errors
    ///
    /// The same whether or not there is such an object or backend: 401 for a client without
    /// credentials, who may have some; 403 for others.
    pub(crate) fn check(&self, scope: Scope, backend: &str, key: &str) -> Result<(), Problem> {
        match self {
            Access::Anonymous(settings) if settings.anonymous.allows(scope, backend, key) => Ok(()),
            Access::Anonymous(_) => Err(Problem::unauthorized("this needs a token")),
            Access::Holder(token) if token.rule.allows(scope, backend, key) => Ok(()),
            Access::Holder(_) => Err(Problem::forbidden("the token does not allow this")),
            Access::Signed(grant) => {
                let granted = match grant.method {
                    Method::Get | Method::Head => Scope::Read,
                    Method::Put => Scope::Write,
                    Method::Delete => Scope::Delete,
                    _ => return Err(Problem::forbidden("the signed URL is refused")),
                };
                if scope == granted && grant.backend == backend && grant.key == key {
                    return Ok(());
                }
                Err(Problem::forbidden("the signed URL is refused"))
            }
        }
    }

    /// As [`Access::check`], for a request whose keys are not known yet: whether there is any key with
    /// which this may be done. Asked before a body is read.
    ///
    /// # Errors
    ///
    /// 401 or 403.
    pub(crate) fn check_any(&self, scope: Scope, backend: &str) -> Result<(), Problem> {
        let rule = match self {
            Access::Anonymous(settings) => &settings.anonymous,
            Access::Holder(token) => &token.rule,
            Access::Signed(_) => return Err(Problem::forbidden("the signed URL is refused")),
        };
        match (rule.allows_some(scope, backend), self) {
            (true, _) => Ok(()),
            (false, Access::Anonymous(_)) => Err(Problem::unauthorized("this needs a token")),
            (false, _) => Err(Problem::forbidden("the token does not allow this")),
        }
    }

    /// Whether this is an operator.
    pub(crate) fn is_admin(&self) -> bool {
        match self {
            Access::Anonymous(settings) => settings.anonymous.is_admin(),
            Access::Holder(token) => token.rule.is_admin(),
            Access::Signed(_) => false,
        }
    }

    /// As [`Access::check`], for what only operators see.
    ///
    /// # Errors
    ///
    /// 401 or 403.
    pub(crate) fn check_admin(&self) -> Result<(), Problem> {
        match self {
            _ if self.is_admin() => Ok(()),
            Access::Anonymous(_) => Err(Problem::unauthorized("this needs a token")),
            _ => Err(Problem::forbidden("this needs the scope admin")),
        }
    }

    /// The name of the token, for logs.
    pub(crate) fn token_name(&self) -> Option<&str> {
        match self {
            Access::Holder(token) => Some(&token.name),
            _ => None,
        }
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match self {
            Access::Signed(grant) => Some(grant),
            _ => None,
        }
    }
}

fn signed(request: &Request, query: &str, app: &App) -> Result<Access, Problem> {
    let target = format!("{}?{query}", request.uri().path());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let gateway = app.host().gateway();
    let grant = gateway.verify(request.method().as_str(), &target, headers);
    grant
        .map(|grant| Access::Signed(Box::new(grant)))
        .map_err(|_| Problem::forbidden("the signed URL is refused"))
}

/// The credentials of the scheme `Bearer`, whose name has no case (RFC 9110, 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    let token = rest.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether the query claims to be signed: any parameter of ours makes it so, lest a URL that lost
/// its signature becomes one that never had any.
fn is_signed(query: &str) -> bool {
    query
        .split('&')
        .any(|parameter| parameter.starts_with("hd-"))
}
