//! How the server behaves; `written` reads it from `[server]` of `holdall.toml`.

mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use holdall::config::{Config, ConfigProblems};
use holdall::platform::limits;
use ipnet::IpNet;

use crate::cors::Cors;
use crate::problem::Profile;
use crate::rights::{Rule, Token};
use crate::tls::Tls;

/// How the server behaves. [`Settings::default`] is what a configuration without `[server]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where it listens; default `127.0.0.1:8080`. Only this machine reaches a loopback address.
    pub listen: SocketAddr,
    /// Which status the faults of storage have.
    pub errors: Profile,
    /// How long requests that have begun may still take after the server was told to stop; default
    /// 30 s.
    pub drain: Duration,
    /// How long the server still accepts connections after it was told to stop, while `/readyz` answers
    /// 503: load balancers send requests elsewhere before it stops accepting. Default zero.
    pub shutdown_delay: Duration,
    /// Bytes that the chunks of running downloads share; default 64 MiB, and at most an eighth of the
    /// memory limit of the process's control group. A download gets chunks of
    /// up to 1 MiB while there is plenty and of 64 KiB in any case, so that many slow readers need
    /// `transfer_memory` and 64 KiB each, and few fast ones lose nothing.
    pub transfer_memory: u64,
    /// What requests without a token may do; default nothing.
    pub anonymous: Rule,
    /// Tokens by name; default none. Without any, `Authorization` headers mean nothing here.
    pub tokens: BTreeMap<String, Arc<Token>>,
    /// Which pages may use a backend from a browser, by the name of the backend; default none.
    pub cors: BTreeMap<String, Cors>,
    /// Serves HTTPS and nothing else; default: HTTP.
    pub tls: Option<Tls>,
    /// Largest body of one request, in bytes; larger is 413. Default: no bound of the server's own.
    pub max_body: Option<u64>,
    /// Most connections at once, default 10 000; more wait in the kernel's queue, unless a reader
    /// that stands still makes room.
    pub max_connections: usize,
    /// How long a client may take over the headers of a request, and a connection idle between two;
    /// default 30 s.
    pub header_timeout: Duration,
    /// How long the body of a request may stand still before it is given up; default 60 s. So long
    /// must a reader have taken nothing of its answer, too, before its connection is ended to make
    /// room when all of [`max_connections`](Self::max_connections) are taken.
    pub stall_timeout: Duration,
    /// How long a reader may take nothing of its answer while there is room for others; default: as
    /// long as it likes. Of a reader of a byte a second nothing is seen for hours, because its kernel
    /// asks for more when half of a buffer is free; a machine that has gone is found by TCP. A
    /// download from a backend that serves few at once (`max_in_flight`) keeps others out: bound it.
    pub send_timeout: Option<Duration>,
    /// Least rate of a request's body in bytes a second, averaged over
    /// [`body_rate_window`](Self::body_rate_window); default 256, 0 for none. A slower client is ended
    /// only when all of [`max_connections`](Self::max_connections) are taken and another one waits.
    pub min_body_rate: u64,
    /// What [`min_body_rate`](Self::min_body_rate) is averaged over; default 60 s.
    pub body_rate_window: Duration,
    /// Requests of one client with no or wrong credentials that are answered 401 or 403 in a minute;
    /// more are 429. Default 60, 0 for any number.
    pub max_auth_failures: u32,
    /// Proxies whose header `Forwarded` names the client; default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Backends whose HTML, SVG and XML is shown without `Content-Security-Policy: sandbox`, because
    /// all who may write there are trusted; default none.
    pub unsandboxed: BTreeSet<String>,
    /// Backends whose objects are sent without a comparison with their stored checksum; one that lends its files
    /// (`local`) is then read without the plugin. Default none.
    pub unverified: BTreeSet<String>,
    /// Backends that answer `GET` of a path that ends in `/` with an index of the names below it;
    /// default none.
    pub index: BTreeSet<String>,
    /// Backends that answer `PROPFIND` with `Depth: infinity`, which is a listing of everything below;
    /// default none.
    pub infinite_depth: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            errors: Profile::default(),
            drain: Duration::from_secs(30),
            shutdown_delay: Duration::ZERO,
            transfer_memory: usual_transfer_memory(limits::memory()),
            anonymous: Rule::default(),
            tokens: BTreeMap::new(),
            cors: BTreeMap::new(),
            tls: None,
            max_body: None,
            max_connections: 10_000,
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            send_timeout: None,
            min_body_rate: 256,
            body_rate_window: Duration::from_secs(60),
            max_auth_failures: 60,
            trusted_proxies: Vec::new(),
            unsandboxed: BTreeSet::new(),
            unverified: BTreeSet::new(),
            index: BTreeSet::new(),
            infinite_depth: BTreeSet::new(),
        }
    }
}

/// 64 MiB, but at most an eighth of what the process may use. The rest is for connections, buffers of
/// uploads and the kernel's own memory, which a control group counts too.
fn usual_transfer_memory(limit: Option<u64>) -> u64 {
    limit.map_or(64 << 20, |limit| (limit / 8).min(64 << 20))
}

impl Settings {
    /// Problems of references to backends that the configuration does not have, in tokens, CORS and
    /// the rule for requests without a token. For programs that register no backends in code.
    pub fn unknown_backends(&self, config: &Config) -> ConfigProblems {
        let mut problems = Vec::new();
        let mut look = |keys: &[&str], names: &BTreeSet<String>| {
            let unknown = names
                .iter()
                .filter_map(|it| config.unknown_backend(keys, it));
            problems.extend(unknown);
        };
        look(&["anonymous", "backends"], &self.anonymous.backends);
        for (name, token) in &self.tokens {
            look(&["tokens", name, "backends"], &token.rule.backends);
        }
        look(&["unverified"], &self.unverified);
        look(&["index", "backends"], &self.index);
        look(&["webdav", "infinite_depth"], &self.infinite_depth);
        for name in self.cors.keys() {
            look(&["cors", name], &BTreeSet::from([name.clone()]));
        }
        problems.into_iter().collect()
    }

    /// Lets the holder of this token in.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.insert(token.name.clone(), Arc::new(token));
        self
    }

    /// Whether anybody could do anything here without a signed URL.
    pub fn admits_no_one(&self) -> bool {
        self.tokens.is_empty() && self.anonymous.allow.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_memory_is_a_share_of_the_control_group() {
        assert_eq!(usual_transfer_memory(None), 64 << 20);
        assert_eq!(usual_transfer_memory(Some(64 << 20)), 8 << 20);
        assert_eq!(usual_transfer_memory(Some(1 << 40)), 64 << 20);
    }
}
