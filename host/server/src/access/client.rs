//! The address of a client: its peer, or what trusted proxies say.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;
use http::header::{FORWARDED, HeaderMap};
use ipnet::IpNet;

use crate::serve::Connection;

/// `None` in a server that is not ours, which alone knows its peers.
pub(crate) fn client_of<B>(request: &Request<B>, trusted: &[IpNet]) -> Option<IpAddr> {
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
