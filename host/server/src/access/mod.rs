//! Who asks: the address of the client and its credentials; and what that allows.
//!
//! It is found out once, before the routes ([`Access::of`]), and asked by each handler as soon as it
//! knows what is to be done with which key ([`Access::check`]): keys may stand in a body.

mod throttle;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::Request;
use holdall::Method;
use holdall::gateway::{Gateway, Grant};
use http::header::{AUTHORIZATION, FORWARDED, HeaderMap};
use ipnet::IpNet;

use crate::connection::Connection;
use crate::problem::Problem;
use crate::rights::{Scope, Token};
use crate::settings::Settings;

pub(crate) use throttle::Throttle;

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
        gateway: impl FnOnce() -> Arc<Gateway>,
        settings: &Arc<Settings>,
    ) -> Result<Self, Problem> {
        if let Some(query) = request.uri().query().filter(|query| is_signed(query)) {
            return signed(request, query, &gateway());
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

    /// Owner and group to whom uploads are charged.
    pub(crate) fn account(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Access::Anonymous(_) => (None, None),
            Access::Holder(token) => (token.owner.as_deref(), token.group.as_deref()),
            Access::Signed(grant) => (grant.owner.as_deref(), grant.group.as_deref()),
        }
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match self {
            Access::Signed(grant) => Some(grant),
            _ => None,
        }
    }
}

fn signed(request: &Request, query: &str, gateway: &Gateway) -> Result<Access, Problem> {
    let target = format!("{}?{query}", request.uri().path());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
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

/// `None` in a server that is not ours, which alone knows its peers.
pub(crate) fn client_of(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let connection = request.extensions().get::<Arc<Connection>>()?;
    Some(client_behind(connection.peer, request.headers(), trusted))
}

/// Follows `Forwarded` (RFC 7239) from the nearest proxy outwards, as long as the address that wrote an
/// element is trusted. What a client itself put there is never reached.
fn client_behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer;
    if !is_trusted(&client) {
        return client;
    }
    let lines = headers.get_all(FORWARDED).iter();
    let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    let elements = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for element in elements {
        let Some(address) = forwarded_for(element) else {
            break;
        };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// The address of `for=`; none for `unknown` and names that hide one.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let node = node.trim().trim_matches('"');
    let bare = node
        .strip_prefix('[')
        .and_then(|node| node.strip_suffix(']'));
    let with_port = || node.parse::<SocketAddr>().ok().map(|it| it.ip());
    let address = bare.unwrap_or(node).parse().ok().or_else(with_port);
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
        for (peer, lines, client) in [
            ("192.0.2.1", &["for=203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["for=203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["for=1.2.3.4, for=203.0.113.9"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["for=1.2.3.4", "For=203.0.113.9;proto=https"],
                "203.0.113.9",
            ),
            (
                "10.0.0.1",
                &["for=203.0.113.9, for=10.0.0.2"],
                "203.0.113.9",
            ),
            (
                "10.0.0.1",
                &["proto=https;for=\"203.0.113.9:4711\""],
                "203.0.113.9",
            ),
            (
                "2001:db8::1",
                &["for=\"[2001:db9::7]:4711\""],
                "2001:db9::7",
            ),
            ("2001:db8::1", &["for=\"[2001:db9::7]\""], "2001:db9::7"),
            ("10.0.0.1", &["for=203.0.113.9, for=unknown"], "10.0.0.1"),
            (
                "10.0.0.1",
                &["for=\"1.2.3.4, for=203.0.113.9"],
                "203.0.113.9",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED, line.parse().unwrap());
            }
            let found = client_behind(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
