//! `[server]` of `holdall.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use holdall::config::{Config, Problems, Secrets, parse_duration};
use serde::Deserialize;

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
    /// Bytes that the chunks of running downloads share; default 64 MiB. A download gets chunks of
    /// up to 1 MiB while there is plenty and of 64 KiB in any case, so that many slow readers need
    /// `transfer_memory` and 64 KiB each, and few fast ones lose nothing.
    pub transfer_memory: u64,
}

/// Which status the faults of storage have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Profile {
    /// 500 for every fault that is not the request's own.
    #[default]
    Contract,
    /// As before, with 503 and 504 where a provider throttles, is unavailable or too slow.
    Refined,
}

/// The server: where it listens and how it answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Written {
    /// Address and port, such as "127.0.0.1:8080" or "[::]:8080".
    listen: Option<String>,
    /// Which status the faults of storage have.
    #[serde(default)]
    errors: Profile,
    /// How long requests may still take after the server was told to stop, such as "30s".
    drain: Option<String>,
    /// Bytes that the chunks of running downloads share.
    transfer_memory: Option<u64>,
}

const SCHEMA: &str = include_str!("../config.schema.json");

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            errors: Profile::default(),
            drain: Duration::from_secs(30),
            transfer_memory: 64 << 20,
        }
    }
}

impl Settings {
    /// What `[server]` and the variables `HOLDALL_SERVER_<FIELD>` say.
    ///
    /// # Errors
    ///
    /// Every problem, with its place.
    pub fn of(config: &Config) -> Result<Self, Problems> {
        let section = &config.server;
        let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let resolved = section.resolve(&schema, config.environment(), &Secrets::new())?;
        let written: Written = serde_json::from_str(resolved.json.expose())
            .expect("the schema admits nothing that does not fit the type");
        let mut settings = Self {
            errors: written.errors,
            ..Self::default()
        };
        let mut problems = Vec::new();
        if let Some(text) = &written.listen {
            match text.parse() {
                Ok(address) => settings.listen = address,
                Err(_) => problems.push(section.problem(
                    "listen",
                    "an address and a port, such as \"127.0.0.1:8080\"",
                    format!("{text:?}"),
                )),
            }
        }
        if let Some(text) = &written.drain {
            match parse_duration(text) {
                Some(time) => settings.drain = time,
                None => problems.push(section.problem(
                    "drain",
                    "a time such as \"500ms\", \"30s\" or \"5m\"",
                    format!("{text:?}"),
                )),
            }
        }
        if let Some(bytes) = written.transfer_memory {
            settings.transfer_memory = bytes;
        }
        let problems: Problems = problems.into_iter().collect();
        problems.into_result().map(|()| settings)
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
        let lines = |problems: Problems| {
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
            if std::env::var_os("HOLDALL_BLESS").is_some() {
                let text = serde_json::to_string_pretty(&derived).unwrap();
                let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.schema.json");
                std::fs::write(file, text + "\n").unwrap();
            }
            panic!(
                "config.schema.json is not what the type says: run this test with HOLDALL_BLESS=1"
            );
        }
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
    fn every_slip_is_told_with_its_place_and_the_nearest_name() {
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
