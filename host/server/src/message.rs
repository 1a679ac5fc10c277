//! Rules of messages that the connection leaves to the server (RFC 9112, 3.2 and 6.1; RFC 9113, 8.3.1).

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{Request, Uri, Version};

use crate::problem::Problem;

/// # Errors
///
/// 400 for a `Host` that is missing, repeated or none; 501 for a transfer coding other than one
/// `chunked`, which would be stored undecoded.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => {}
        (None, None) if request.version() < Version::HTTP_11 => {}
        // In HTTP/2 the authority is part of the target.
        (None, None) if request.version() == Version::HTTP_2 && is_named(request.uri()) => {}
        _ => {
            return Err(Problem::invalid(
                "a request has one header Host with the name of a host",
            ));
        }
    }
    let codings = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = codings.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let codings: Vec<_> = codings.map(<[u8]>::trim_ascii).collect();
    match codings.as_slice() {
        [] => Ok(()),
        [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Problem::unknown_coding()),
    }
}

fn is_named(uri: &Uri) -> bool {
    let authority = uri.authority();
    authority.is_some_and(|it| is_host(it.as_str().as_bytes()))
}

fn is_host(value: &[u8]) -> bool {
    let authority = Authority::try_from(value);
    authority.is_ok_and(|it| !it.host().is_empty() && !it.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for good in ["x", "files.example.org:8443", "127.0.0.1", "[::1]:80"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a/b", "u@a", "[::1", ":80", "a?b", "a#b"] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
