//! What `[backend.NAME.config]` may say.

use crate::client::{self, TimeLimits};
use crate::options;
use crate::services::{SERVICES, Service};
use holdall_plugin_api::{Capabilities, Capability, Problems, Result};
use holdall_plugin_api_opendal::{OpenedOperator, from_config};
use opendal::{Executor, OperationContext};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// One service of OpenDAL as a store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpendalConfig {
    service: BTreeMap<String, Map<String, Value>>,
    #[serde(default = "part_bytes")]
    part_bytes: usize,
    #[serde(default = "whole_bytes")]
    whole_bytes: usize,
    #[serde(default = "connect_timeout_ms")]
    connect_timeout_ms: u64,
    #[serde(default = "idle_timeout_ms")]
    idle_timeout_ms: u64,
    #[serde(default)]
    assert: Vec<String>,
    #[serde(default)]
    disable: Vec<String>,
}

pub(crate) fn part_bytes() -> usize {
    8 << 20
}

pub(crate) fn whole_bytes() -> usize {
    64 << 20
}

pub(crate) fn connect_timeout_ms() -> u64 {
    10_000
}

pub(crate) fn idle_timeout_ms() -> u64 {
    120_000
}

/// `, did you mean "bucket"?`, or nothing.
fn hint<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(found, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, name)| format!(", did you mean {name:?}?"))
}

impl OpendalConfig {
    pub(crate) fn open(self) -> Result<OpenedOperator> {
        let mut problems = Problems::default();
        let asserts = capabilities("assert", &self.assert, &mut problems);
        let without = capabilities("disable", &self.disable, &mut problems);
        let chosen = self.chosen(&mut problems);
        let (service, given) = problems.give(chosen)?;
        let texts = given
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), options::text(value)?)))
            .collect();
        let operator = (service.operator)(texts).map_err(from_config)?;
        let limits = TimeLimits {
            connect: Duration::from_millis(self.connect_timeout_ms),
            idle: Duration::from_millis(self.idle_timeout_ms),
        };
        let transporter = client::transporter(limits, service.is_read_elsewhere())?;
        let context = OperationContext::from_parts(transporter, Executor::new());
        let operator = operator.with_context(context);
        let info = operator.info();
        let description = format!("{}://{}{}", service.name, info.name(), info.root());
        let store = OpenedOperator::new(operator, description)
            .part_bytes(self.part_bytes)
            .whole_bytes(self.whole_bytes)
            .retries(client::RETRIES);
        Ok((service.asserts)(store, given)
            .asserts(asserts)
            .without(without))
    }

    /// The one service with its options.
    fn chosen(&self, problems: &mut Problems) -> Option<(&'static Service, &Map<String, Value>)> {
        if self.service.len() != 1 {
            problems.add(
                "service",
                format!(
                    "exactly one service is expected, found {}",
                    self.service.len()
                ),
            );
        }
        let mut chosen = None;
        for (name, given) in &self.service {
            let Some(service) = Service::named(name) else {
                let names = SERVICES.iter().map(|service| service.name);
                let known: Vec<_> = names.clone().collect();
                problems.add(
                    format!("service.{name}"),
                    format!(
                        "no such service; there are {}{}",
                        known.join(", "),
                        hint(name, names)
                    ),
                );
                continue;
            };
            check_fields(service, given, problems);
            chosen = Some((service, given));
        }
        chosen
    }
}

fn check_fields(service: &Service, given: &Map<String, Value>, problems: &mut Problems) {
    let known = (service.options)();
    let path = |option: &str| format!("service.{}.{option}", service.name);
    for (option, value) in given {
        match known.get(option) {
            None => problems.add(
                path(option),
                format!(
                    "`{}` has no such option{}",
                    service.name,
                    hint(option, known.keys().map(String::as_str))
                ),
            ),
            Some(Value::Bool(_)) if !value.is_boolean() => {
                problems.add(path(option), "true or false is expected");
            }
            Some(Value::String(_)) if !value.is_string() => {
                problems.add(path(option), "a string is expected");
            }
            Some(_) if options::text(value).is_none() => {
                problems.add(
                    path(option),
                    "a string, a number, true or false is expected",
                );
            }
            Some(_) => {}
        }
    }
    for option in service.required {
        let missing = match given.get(*option) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        };
        if missing {
            problems.add(
                path(option),
                format!("{} needs this option", service.summary),
            );
        }
    }
}

fn capabilities(field: &str, names: &[String], problems: &mut Problems) -> Capabilities {
    let known = || Capability::ALL.iter().map(|capability| capability.name());
    names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| {
            let found = Capability::from_name(name);
            if found.is_none() {
                problems.add(
                    format!("{field}.{index}"),
                    format!("{name:?} is no capability{}", hint(name, known())),
                );
            }
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;
    use serde_json::json;

    fn open(config: Value) -> Result<OpenedOperator> {
        serde_json::from_value::<OpendalConfig>(config)
            .unwrap()
            .open()
    }

    fn problems(config: Value) -> Vec<(String, String)> {
        let error = open(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        error
            .facts()
            .map(|(path, problem)| (path.to_owned(), problem.to_owned()))
            .collect()
    }

    #[test]
    fn every_bad_option_is_named_with_the_nearest_of_its_service() {
        let found = problems(json!({
            "service": { "oss": {
                "buckt": "media",
                "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
                "skip_signature": "yes",
                "access_key_sekret": "hunter2",
            } },
            "assert": ["atomic_putt"],
        }));
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "assert.0",
                "service.oss.access_key_sekret",
                "service.oss.buckt",
                "service.oss.skip_signature",
                "service.oss.bucket",
            ]
        );
        assert!(
            found[0].1.contains("did you mean \"atomic_put\"?"),
            "{found:?}"
        );
        assert!(
            found[1].1.contains("did you mean \"access_key_secret\"?"),
            "{found:?}"
        );
        assert!(found[2].1.contains("did you mean \"bucket\"?"), "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn one_service_is_chosen_and_it_exists() {
        assert_eq!(problems(json!({ "service": {} }))[0].0, "service");
        let two = json!({ "service": { "memory": {}, "fs": { "root": "/tmp" } } });
        assert_eq!(problems(two)[0].0, "service");
        let found = problems(json!({ "service": { "webdaf": {} } }));
        assert_eq!(found[0].0, "service.webdaf");
        assert!(found[0].1.contains("did you mean \"webdav\"?"), "{found:?}");
    }

    #[test]
    fn what_opendal_itself_refuses_is_a_bad_configuration() {
        let error =
            open(json!({ "service": { "cos": { "bucket": "b", "endpoint": "ht tp://" } } }))
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error:?}");
    }

    #[test]
    fn the_configuration_has_the_last_word_on_capabilities() {
        let claims = |more: Value| {
            let mut config = json!({ "service": { "s3": { "bucket": "b", "region": "r" } } });
            let object = config.as_object_mut().unwrap();
            object.extend(more.as_object().unwrap().clone());
            open(config).unwrap().capabilities()
        };
        assert!(claims(json!({})).has(Capability::CreateOnly));
        assert!(!claims(json!({ "disable": ["create_only"] })).has(Capability::CreateOnly));
        assert!(!claims(json!({})).has(Capability::IfMatchDelete));
        assert!(claims(json!({ "assert": ["if_match_delete"] })).has(Capability::IfMatchDelete));
    }

    #[test]
    fn every_service_opens_without_a_request() {
        let mut refused = Vec::new();
        for service in SERVICES {
            let mut options: Map<_, _> = service
                .required
                .iter()
                .map(|name| ((*name).to_owned(), json!("x")))
                .collect();
            let (endpoint, root) = match service.name {
                "ftp" => ("ftp://127.0.0.1:1", "/"),
                "ipfs" => (
                    "https://127.0.0.1:1",
                    "/ipfs/QmPpCt1aYGb9JWJRmXRUnmJtVgeFFTJGzWFYEEX7bo9zGJ/",
                ),
                _ => ("https://127.0.0.1:1", "/tmp/"),
            };
            for (name, value) in [
                ("endpoint", json!(endpoint)),
                ("root", json!(root)),
                ("drive_type", json!("default")),
                ("region", json!("r")),
            ] {
                if (service.options)().contains_key(name) {
                    options.insert(name.to_owned(), value);
                }
            }
            if ["dropbox", "gdrive", "onedrive", "aliyun-drive"].contains(&service.name) {
                options.insert("access_token".to_owned(), json!("x"));
            }
            if let Err(error) = open(json!({ "service": { service.name: options } })) {
                refused.push(format!("{}: {}", service.name, error));
            }
        }
        assert!(refused.is_empty(), "{refused:#?}");
    }
}
