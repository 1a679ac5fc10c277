//! `[server]` of `holdall.toml`, and what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use holdall::config::{Config, ConfigProblems, Problem, Secrets, Section, parse_duration};
use ipnet::IpNet;
use serde::Deserialize;

use super::Settings;
use crate::cors::Cors;
use crate::problem::Profile;
use crate::rights::{Rule, Scope, Token};
use crate::tls::Tls;

const SCHEMA: &str = include_str!("../../config.schema.json");
const TIME: &str = "a time such as \"500ms\", \"30s\" or \"5m\"";

/// The server: where it listens, who may do what, and how it answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Written {
    /// Address and port, such as "127.0.0.1:8080" or "[::]:8080".
    #[cfg_attr(test, schemars(extend("default" = "127.0.0.1:8080")))]
    listen: Option<String>,
    /// Status of storage failures.
    #[serde(default)]
    #[cfg_attr(test, schemars(extend("default" = "contract")))]
    errors: Profile,
    /// Longest duration of requests in progress after the server was asked to stop.
    #[cfg_attr(test, schemars(extend("default" = "30s")))]
    drain: Option<String>,
    /// Time after the server was asked to stop in which it still accepts connections and `/readyz`
    /// answers 503, so that load balancers send requests elsewhere.
    #[cfg_attr(test, schemars(extend("default" = "0s")))]
    shutdown_delay: Option<String>,
    /// Memory that the chunks of all downloads share, in bytes. A download gets chunks of 64 KiB to 1
    /// MiB. Default: 64 MiB, and at most an eighth of the memory limit of the process's control group
    /// (cgroup v1 and v2).
    transfer_memory: Option<u64>,
    /// Rights of requests without a token. Default: none.
    #[serde(default)]
    anonymous: Rule,
    /// Tokens by name, as `holdall token create` writes them.
    #[serde(default)]
    tokens: BTreeMap<String, WrittenToken>,
    /// Origins whose pages may use a backend from a browser, by backend name.
    #[serde(default)]
    cors: BTreeMap<String, WrittenCors>,
    /// Certificate and key. With them the server speaks HTTPS only.
    tls: Option<WrittenTls>,
    /// Largest request body, in bytes; a larger one is answered 413. Without it, no limit.
    max_body: Option<u64>,
    /// Most concurrent connections; more wait in the kernel's queue, unless a stalled reader makes
    /// room.
    #[cfg_attr(test, schemars(range(min = 1)))]
    #[cfg_attr(test, schemars(extend("default" = 10_000)))]
    max_connections: Option<u32>,
    /// Longest time for the headers of a request, and longest idle time of a connection.
    #[cfg_attr(test, schemars(extend("default" = "30s")))]
    header_timeout: Option<String>,
    /// Longest time in which a request body makes no progress. A reader that took no byte for so long
    /// is disconnected to make room when all connections are in use.
    #[cfg_attr(test, schemars(extend("default" = "60s")))]
    stall_timeout: Option<String>,
    /// Longest time in which a reader takes no byte of its answer, such as "10m". Without it, no
    /// limit.
    send_timeout: Option<String>,
    /// Lowest rate of a request body, in bytes a second. A slower client is disconnected to make room
    /// when all connections are in use. 0: no limit.
    #[cfg_attr(test, schemars(extend("default" = 256)))]
    min_body_rate: Option<u64>,
    /// Period over which `min_body_rate` is averaged.
    #[cfg_attr(test, schemars(extend("default" = "60s")))]
    body_rate_window: Option<String>,
    /// Most requests of one client in a minute with missing or wrong credentials; more are answered
    /// 429. 0: no limit.
    #[cfg_attr(test, schemars(extend("default" = 60)))]
    max_auth_failures: Option<u32>,
    /// Proxies whose header `Forwarded` names the client, such as "10.0.0.0/8".
    #[serde(default)]
    trusted_proxies: Vec<String>,
    /// Backends whose HTML, SVG and XML is served without `Content-Security-Policy: sandbox`, because
    /// every writer is trusted.
    #[serde(default)]
    unsandboxed: BTreeSet<String>,
    /// Backends whose objects are sent without a comparison with their stored checksum: more a second where a backend lends
    /// its files (`local`), and no sign of a damaged disk. Default: none.
    #[serde(default)]
    unverified: BTreeSet<String>,
    /// Indexes of directories.
    #[serde(default)]
    index: WrittenIndex,
    /// Limits of WebDAV.
    #[serde(default)]
    webdav: WrittenWebdav,
}

/// Indexes of directories: HTML, or JSON where `Accept` prefers it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WrittenIndex {
    /// Backends that answer `GET` of a path that ends in "/" with the names below it, to clients with
    /// the right to list. Default: none.
    backends: BTreeSet<String>,
}

/// Limits of WebDAV.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WrittenWebdav {
    /// Backends that answer `PROPFIND` with `Depth: infinity`, which lists every key below the path.
    /// Default: none.
    infinite_depth: BTreeSet<String>,
}

/// A token, as `holdall token create` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WrittenToken {
    /// SHA-256 of the token: "sha256:" and 64 hexadecimal digits.
    hash: String,
    /// Granted rights.
    allow: BTreeSet<Scope>,
    /// Backends to which the rights apply. Default: all.
    #[serde(default)]
    backends: BTreeSet<String>,
    /// Prefix of the keys to which the rights apply, as plain text.
    #[serde(default)]
    prefix: String,
    /// End of validity, such as "2027-01-01T00:00:00Z". Default: none.
    expires: Option<String>,
    /// Owner to whom uploads are charged. Default: "default".
    #[cfg_attr(test, schemars(length(min = 1, max = 255)))]
    owner: Option<String>,
    /// Group to which uploads are charged. Default: none.
    #[cfg_attr(test, schemars(length(min = 1, max = 255)))]
    group: Option<String>,
}

/// Pages that may use a backend from a browser.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WrittenCors {
    /// Origins, such as "https://app.example.org"; "*" is every origin.
    origins: BTreeSet<String>,
    /// Time for which a browser may cache the answer to a preflight request.
    #[cfg_attr(test, schemars(extend("default" = "10m")))]
    max_age: Option<String>,
}

/// Certificate and key, in PEM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WrittenTls {
    /// Certificate chain in PEM, the server's own first: usually "file:PATH".
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    certificate: String,
    /// Private key in PEM: usually "file:PATH".
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    key: String,
}

impl Settings {
    /// What `[server]` and the variables `HOLDALL_SERVER_<FIELD>` say. Files that it refers to are
    /// read now.
    ///
    /// # Errors
    ///
    /// Every problem, with its place.
    pub fn of(config: &Config) -> Result<Self, ConfigProblems> {
        let section = &config.server;
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let resolved = section.resolve(&schema.into(), config.environment(), &Secrets::new())?;
        let written: Written = serde_json::from_str(resolved.json.expose())
            .expect("the schema admits nothing that does not fit the type");
        let mut reader = Reader {
            section,
            problems: Vec::new(),
        };
        let settings = reader.settings(written);
        let problems: ConfigProblems = reader.problems.into_iter().collect();
        problems.into_result().map(|()| settings)
    }
}

/// Reads what a schema cannot judge, and keeps every problem.
struct Reader<'a> {
    section: &'a Section,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn settings(&mut self, written: Written) -> Settings {
        let usual = Settings::default();
        self.rule(&["anonymous"], &written.anonymous);
        Settings {
            listen: self.listen(written.listen).unwrap_or(usual.listen),
            errors: written.errors,
            drain: self.time(&["drain"], written.drain, usual.drain),
            shutdown_delay: self.time(
                &["shutdown_delay"],
                written.shutdown_delay,
                usual.shutdown_delay,
            ),
            transfer_memory: written.transfer_memory.unwrap_or(usual.transfer_memory),
            anonymous: written.anonymous,
            tokens: written
                .tokens
                .into_iter()
                .filter_map(|(name, token)| self.token(name, token))
                .map(|token| (token.name.clone(), Arc::new(token)))
                .collect(),
            cors: written
                .cors
                .into_iter()
                .map(|(backend, cors)| {
                    let cors = self.cors(&backend, cors);
                    (backend, cors)
                })
                .collect(),
            tls: written.tls.and_then(|tls| self.tls(&tls)),
            max_body: written.max_body,
            max_connections: written
                .max_connections
                .map_or(usual.max_connections, |most| most as usize),
            header_timeout: self.time(
                &["header_timeout"],
                written.header_timeout,
                usual.header_timeout,
            ),
            stall_timeout: self.time(
                &["stall_timeout"],
                written.stall_timeout,
                usual.stall_timeout,
            ),
            send_timeout: written
                .send_timeout
                .map(|text| self.time(&["send_timeout"], Some(text), Duration::ZERO)),
            min_body_rate: written.min_body_rate.unwrap_or(usual.min_body_rate),
            body_rate_window: self.time(
                &["body_rate_window"],
                written.body_rate_window,
                usual.body_rate_window,
            ),
            max_auth_failures: written.max_auth_failures.unwrap_or(usual.max_auth_failures),
            trusted_proxies: written
                .trusted_proxies
                .iter()
                .filter_map(|text| self.network(text))
                .collect(),
            unsandboxed: written.unsandboxed,
            unverified: written.unverified,
            index: written.index.backends,
            infinite_depth: written.webdav.infinite_depth,
        }
    }

    fn wrong(&mut self, keys: &[&str], expected: impl Into<String>, found: impl Into<String>) {
        self.problems
            .push(self.section.problem(keys, expected, found));
    }

    fn listen(&mut self, text: Option<String>) -> Option<SocketAddr> {
        let text = text?;
        let address = text.parse();
        if address.is_err() {
            let expected = "an address and a port, such as \"127.0.0.1:8080\"";
            self.wrong(&["listen"], expected, format!("{text:?}"));
        }
        address.ok()
    }

    fn network(&mut self, text: &str) -> Option<IpNet> {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let network = text.parse().ok().or_else(address);
        if network.is_none() {
            let expected = "an address or a network, such as \"10.0.0.0/8\"";
            self.wrong(&["trusted_proxies"], expected, format!("{text:?}"));
        }
        network
    }

    fn time(&mut self, keys: &[&str], text: Option<String>, usual: Duration) -> Duration {
        let Some(text) = text else { return usual };
        parse_duration(&text).unwrap_or_else(|| {
            self.wrong(keys, TIME, format!("{text:?}"));
            usual
        })
    }

    /// The operator's views belong to no backend: who sees them sees all of them.
    fn rule(&mut self, keys: &[&str], rule: &Rule) {
        if rule.is_admin() && !(rule.backends.is_empty() && rule.prefix.is_empty()) {
            let keys = [keys, &["allow"]].concat();
            let expected = "no \"admin\" beside backends or a prefix: it shows every backend";
            self.wrong(&keys, expected, "both");
        }
    }

    fn token(&mut self, name: String, written: WrittenToken) -> Option<Token> {
        let at = ["tokens", name.as_str()];
        if !holdall::config::is_backend_name(&name) {
            let expected = "a name of a token: a-z, 0-9 and -, at most 63";
            self.wrong(&at, expected, format!("{name:?}"));
            return None;
        }
        let rule = Rule {
            allow: written.allow,
            backends: written.backends,
            prefix: written.prefix,
        };
        self.rule(&at, &rule);
        let expires = written.expires.and_then(|text| {
            let time = humantime::parse_rfc3339(&text);
            if time.is_err() {
                let expected = "a moment such as \"2027-01-01T00:00:00Z\"";
                self.wrong(&[at[0], at[1], "expires"], expected, format!("{text:?}"));
            }
            time.ok()
        });
        for (key, account) in [("owner", &written.owner), ("group", &written.group)] {
            let is_wrong = |text: &&String| text.len() > 255 || text.chars().any(char::is_control);
            if let Some(text) = account.as_ref().filter(is_wrong) {
                let expected = "at most 255 bytes without control characters";
                self.wrong(&[at[0], at[1], key], expected, format!("{text:?}"));
            }
        }
        let token = Token::of(&name, &written.hash, rule, expires);
        let token = token.map(|token| token.charge(written.owner, written.group));
        if token.is_none() {
            // Not shown: it may be the token itself.
            let expected = "\"sha256:\" and 64 hexadecimal digits, as `holdall token create` tells";
            self.wrong(&[at[0], at[1], "hash"], expected, "another text");
        }
        token
    }

    fn cors(&mut self, backend: &str, written: WrittenCors) -> Cors {
        let at = ["cors", backend];
        for origin in &written.origins {
            if origin != "*" && !Cors::is_origin(origin) {
                let expected = "origins such as \"https://app.example.org\", or \"*\"";
                self.wrong(&[at[0], at[1], "origins"], expected, format!("{origin:?}"));
            }
        }
        let mut cors = Cors::new(written.origins);
        cors.max_age = self.time(&[at[0], at[1], "max_age"], written.max_age, cors.max_age);
        cors
    }

    fn tls(&mut self, written: &WrittenTls) -> Option<Tls> {
        Tls::from_pem(&written.certificate, &written.key)
            .map_err(|(key, expected, found)| self.wrong(&["tls", key], expected, found))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall::config::{Environment, Sources};

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdall.toml");
        std::fs::write(&file, text).unwrap();
        let mut sources = Sources::default();
        sources.environment = Environment::from_iter(variables.iter().copied());
        sources.default_file = Some(file);
        let (config, problems) = Config::read(&sources);
        assert!(problems.is_empty(), "{problems}");
        let lines = |problems: ConfigProblems| {
            let folder = format!("{}/", folder.path().display());
            let line =
                |problem: &holdall::config::Problem| problem.to_string().replace(&folder, "");
            problems.iter().map(line).collect()
        };
        Settings::of(&config).map_err(lines)
    }

    #[test]
    fn the_schema_is_current() {
        let derived = schemars::schema_for!(Written).to_value();
        let kept: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        if derived != kept {
            if std::env::var_os("HOLDALL_UPDATE").is_some() {
                let text = serde_json::to_string_pretty(&derived).unwrap();
                let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.schema.json");
                std::fs::write(file, text + "\n").unwrap();
            }
            panic!(
                "config.schema.json is not what the type says: run this test with HOLDALL_UPDATE=1"
            );
        }
    }

    #[test]
    fn defaults_of_the_schema_are_those_of_the_settings() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let mut text = String::from("[server]\n");
        for (key, property) in schema["properties"].as_object().unwrap() {
            match &property["default"] {
                serde_json::Value::Null | serde_json::Value::Object(_) => {}
                default => text += &format!("{key} = {default}\n"),
            }
        }
        assert!(text.contains("listen"), "{text}");
        assert_eq!(read(&text, &[]).unwrap(), Settings::default(), "{text}");
    }

    #[test]
    fn nothing_written_means_this_machine_only() {
        let settings = read("", &[]).unwrap();
        assert_eq!(settings, Settings::default());
        assert!(settings.listen.ip().is_loopback());
    }

    #[test]
    fn variables_win_over_the_file() {
        let text = "[server]\nlisten = \"[::1]:9\"\nerrors = \"refined\"\ndrain = \"2m\"\ntransfer_memory = 7";
        let settings = read(text, &[]).unwrap();
        assert_eq!(settings.listen.to_string(), "[::1]:9");
        assert_eq!(settings.errors, Profile::Refined);
        assert_eq!(settings.drain, Duration::from_secs(120));
        assert_eq!(settings.transfer_memory, 7);
        let settings = read(text, &[("HOLDALL_SERVER_LISTEN", "0.0.0.0:1")]).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:1");
    }

    #[test]
    fn every_slip_is_reported_with_its_place_and_the_nearest_name() {
        let told = read("[server]\nlisen = \"x\"\nerrors = \"refind\"\n", &[]).unwrap_err();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(
            told[0].starts_with("server.errors: expected one of"),
            "{told:#?}"
        );
        assert!(told[0].contains("did you mean \"refined\"?"), "{told:#?}");
        assert!(told[1].starts_with("server.lisen: "), "{told:#?}");
        assert!(
            told[1].contains("(holdall.toml:2:9); did you mean \"listen\"?"),
            "{told:#?}"
        );
        let token = format!(
            "[server.tokens.x]\nallow = [\"read\"]\nhash = \"sha256:{:064}\"\nowner = \"{}\"\ngroup = \"a\\u0007\"\n",
            0,
            "é".repeat(128)
        );
        let told = read(&token, &[]).unwrap_err();
        for (told, key) in told.iter().zip(["group", "owner"]) {
            let start = format!("server.tokens.x.{key}: expected at most 255 bytes");
            assert!(told.starts_with(&start), "{told}");
        }
        assert_eq!(told.len(), 2, "{told:#?}");
        let told = read(
            "[server]\ndrain = \"soon\"",
            &[("HOLDALL_SERVER_LISTEN", "here")],
        )
        .unwrap_err();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(
            told[0].contains("found \"soon\" (holdall.toml:2:9)"),
            "{told:#?}"
        );
        assert!(
            told[1].contains("found \"here\" ($HOLDALL_SERVER_LISTEN)"),
            "{told:#?}"
        );
    }
}
