//! What stands in `holdall.toml`, key by key.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::owner::FileRules;
use super::{Polling, Quarantine, TrialRules, TrustPolicy, TrustRule, UpgradeRules};
use holdall_plugin_api::KeyPolicy;
use url::Url;

use crate::platform::files::MEND_RIGHTS;
use crate::policy as guards;

use super::backend_policy;
use super::document::{self, Document, Found, Table};
use super::resolve::judged;
use super::{
    AuditConfig, BackendConfig, ContentTypePolicy, GatewayConfig, GatewayKey, LedgerConfig,
    Location, PluginRule, Problem, ProblemCode, SecretText, Section, audit, check_name, ledger,
    parse_duration, read, relative_to, trust,
};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

pub(super) const KEY_POLICIES: &[(&str, KeyPolicy)] = &[
    ("portable", KeyPolicy::Portable),
    ("opaque", KeyPolicy::Opaque),
];
pub(super) const CONTENT_TYPES: &[(&str, ContentTypePolicy)] = &[
    ("exact", ContentTypePolicy::Exact),
    ("by_extension", ContentTypePolicy::ByExtension),
];
pub(super) const POLLINGS: &[(&str, Polling)] = &[
    ("declared", Polling::Declared),
    ("spawned", Polling::Spawned),
];

/// The parts of a file; what is absent is not there.
#[derive(Default)]
pub(super) struct FileConfig {
    pub(super) plugin_dirs: Option<Vec<PathBuf>>,
    pub(super) default_backend: Option<(String, Location)>,
    pub(super) backends: BTreeMap<String, BackendConfig>,
    pub(super) plugins: BTreeMap<String, PluginRule>,
    pub(super) gateway: Option<GatewayConfig>,
    pub(super) audit: Option<AuditConfig>,
    pub(super) ledger: LedgerConfig,
    pub(super) server: Section,
    pub(super) trust: TrustPolicy,
    pub(super) trial: TrialRules,
    pub(super) quarantine: Quarantine,
    pub(super) upgrade: UpgradeRules,
}

/// Reads the text of a file.
///
/// Who can write it decides what is loaded, so its owner and mode are judged first. `rule` comes from
/// outside of the file: one that others write cannot vouch for itself.
pub(super) fn load(
    file: &Path,
    rule: TrustRule,
    group_writable: Option<TrustRule>,
) -> Result<String, Box<Problem>> {
    let place = Location::File {
        file: file.to_owned(),
        line: 0,
        column: 0,
    };
    let unreadable = |found: String| -> Box<Problem> {
        Problem::new(
            ProblemCode::Unreadable,
            "",
            place.clone(),
            "a readable configuration file",
            found,
        )
        .fix("name it by --config, HOLDALL_CONFIG or Builder::config_file")
        .into()
    };
    let rules = FileRules {
        foreign: rule,
        group_writable: match rule {
            TrustRule::Refuse => group_writable,
            rule => Some(rule),
        },
        readable: TrustRule::Allow,
    };
    let bytes = read::regular_file(file, MAX_FILE + 1, Some(rules)).map_err(|why| match why {
        read::Refused::Rule(code, found) => Problem::new(
            ProblemCode::of_rule(code),
            "",
            place.clone(),
            "a file of root or of this user, which no one else can write",
            found,
        )
        .fix(format!(
            "{MEND_RIGHTS}, or set HOLDALL_TRUST_CONFIG=allow in the environment"
        ))
        .into(),
        read::Refused::Unreadable(why) => unreadable(why),
    })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unreadable("more than 4 MiB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("text that is not UTF-8".to_owned()))
}

/// Reads a document. Every problem lands in `problems`; what is right is kept.
pub(super) fn parse(file: &Path, text: &str, problems: &mut Vec<Problem>) -> FileConfig {
    let (root, mut faults) = document::parse(file, text);
    if !faults.is_empty() {
        problems.append(&mut faults);
        return FileConfig::default();
    }
    let mut document = Document::new(file, text);
    let config = read(&mut document, root.get_ref(), file.parent());
    problems.append(&mut document.problems);
    config
}

fn read<'d>(
    document: &mut Document<'d>,
    root: &'d toml::de::DeTable<'d>,
    folder: Option<&Path>,
) -> FileConfig {
    let mut config = FileConfig::default();
    let mut root = document.section(String::new(), root, document.whole());
    config.plugin_dirs = document.strings(&mut root, "plugin_dirs").map(|dirs| {
        dirs.iter()
            .map(|dir| relative_to(folder, dir.value))
            .collect()
    });
    config.default_backend = document
        .string(&mut root, "default_backend")
        .map(|found| (found.value.to_owned(), found.place));
    for (name, section) in document.named_tables(&mut root, "backend") {
        if let Err(problem) = check_name(name, "backend", &section.place) {
            document.problems.push(*problem);
        }
        let backend = read_backend(document, name, section);
        config.backends.insert(name.to_owned(), backend);
    }
    for (name, section) in document.named_tables(&mut root, "plugin") {
        let rule = read_plugin(document, section);
        config.plugins.insert(name.to_owned(), rule);
    }
    config.gateway = document
        .table(&mut root, "gateway")
        .map(|section| read_gateway(document, section));
    config.trust = document
        .table(&mut root, "trust")
        .map(|section| trust::read(document, section))
        .unwrap_or_default();
    config.trial = document
        .table(&mut root, "trial")
        .map(|section| trust::read_trial(document, section))
        .unwrap_or_default();
    config.quarantine = document
        .table(&mut root, "quarantine")
        .map(|section| trust::read_quarantine(document, section))
        .unwrap_or_default();
    config.upgrade = document
        .table(&mut root, "upgrade")
        .map(|section| trust::read_upgrade(document, section))
        .unwrap_or_default();
    config.audit = document
        .table(&mut root, "audit")
        .and_then(|section| audit::read(document, section, folder));
    config.ledger = document
        .table(&mut root, "ledger")
        .map(|section| ledger::read(document, section))
        .unwrap_or_default();
    config.server = Section::new("server", document.settings(&mut root, "server"));
    document.finish(root, None);
    config
}

fn read_backend<'d>(
    document: &mut Document<'d>,
    name: &str,
    mut section: Table<'d>,
) -> BackendConfig {
    let section_ref = &mut section;
    let plugin = document
        .string(section_ref, "plugin")
        .map_or(name, |found| found.value);
    let mut backend = BackendConfig::bare(name.to_owned(), plugin.to_owned());
    backend.mount.key_policy = document
        .word(section_ref, "key_policy", KEY_POLICIES)
        .unwrap_or_default();
    backend.mount.content_type = document
        .word(section_ref, "content_type", CONTENT_TYPES)
        .unwrap_or_default();
    backend.mount.timeout = document.string(section_ref, "timeout").and_then(|found| {
        read_timeout(found.value, &found.path, &found.place)
            .map_err(|problem| document.problems.push(*problem))
            .ok()
    });
    let max_wait = document.string(section_ref, "max_wait").and_then(|found| {
        read_wait(found.value, &found.path, &found.place)
            .map_err(|problem| document.problems.push(*problem))
            .ok()
    });
    backend.mount.max_wait = max_wait.unwrap_or(backend.mount.max_wait);
    backend.mount.polling = document
        .word(section_ref, "polling", POLLINGS)
        .unwrap_or_default();
    backend.mount.allow_non_atomic_put = document
        .boolean(section_ref, "allow_non_atomic_put")
        .unwrap_or_default();
    backend.required = document.boolean(section_ref, "required").unwrap_or(true);
    for alias in document.strings(section_ref, "aliases").unwrap_or_default() {
        match check_name(alias.value, "alias", &alias.place) {
            Ok(()) => backend.mount.aliases.push(alias.value.to_owned()),
            Err(problem) => document.problems.push(*problem),
        }
    }
    backend.mount.policy = read_policy(document, name, section_ref);
    backend.settings = document.settings(section_ref, "config");
    let fix = format!("what belongs to the plugin goes into [backend.{name}.config]");
    document.finish(section, Some(&fix));
    backend
}

fn read_policy<'d>(
    document: &mut Document<'d>,
    name: &str,
    section: &mut Table<'d>,
) -> guards::Policy {
    let table = document.settings(section, "policy");
    if table.values.is_empty() {
        return guards::Policy::default();
    }
    let path = format!("{}.policy", document::join("backend", name));
    if let Err(problems) = judged(&table, &path, &backend_policy::SCHEMA) {
        document.problems.extend(problems);
        return guards::Policy::default();
    }
    let policy = backend_policy::read(&table.values);
    let checked = policy.check().map_err(|(key, found)| {
        let pointer = document::child("", key);
        let place = table.place(&pointer).clone();
        let path = document::join(&path, key);
        Problem::new(
            ProblemCode::InvalidValue,
            path,
            place,
            guards::PREFIX_RULE,
            found,
        )
    });
    document.problems.extend(checked.err());
    policy
}

pub(super) fn read_timeout(
    text: &str,
    path: &str,
    place: &Location,
) -> Result<Duration, Box<Problem>> {
    parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| {
            Problem::new(
                ProblemCode::InvalidValue,
                path,
                place.clone(),
                "a time above zero, such as \"500ms\", \"30s\" or \"5m\"",
                format!("{text:?}"),
            )
            .into()
        })
}

/// As a time-out, but for zero, which has a meaning of its own.
pub(super) fn read_wait(
    text: &str,
    path: &str,
    place: &Location,
) -> Result<Duration, Box<Problem>> {
    parse_duration(text).ok_or_else(|| {
        Problem::new(
            ProblemCode::InvalidValue,
            path,
            place.clone(),
            "a time such as \"500ms\", \"30s\" or \"0s\"",
            format!("{text:?}"),
        )
        .into()
    })
}

fn read_plugin<'d>(document: &mut Document<'d>, mut section: Table<'d>) -> PluginRule {
    let rule = PluginRule {
        required: document
            .boolean(&mut section, "required")
            .unwrap_or_default(),
        disabled: document
            .boolean(&mut section, "disabled")
            .unwrap_or_default(),
        sha256: document.string(&mut section, "sha256").and_then(|found| {
            let digest = unhex(found.value);
            if digest.is_none() {
                document.problems.push(Problem::new(
                    ProblemCode::InvalidValue,
                    found.path,
                    found.place,
                    "a SHA-256 as 64 hexadecimal digits",
                    format!("{} characters", found.value.chars().count()),
                ));
            }
            digest
        }),
    };
    if rule.required && rule.disabled {
        document.problems.push(
            Problem::new(
                ProblemCode::Contradiction,
                section.path.clone(),
                section.place.clone(),
                "required or disabled",
                "both",
            )
            .fix("remove one"),
        );
    }
    document.finish(section, None);
    rule
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

fn read_gateway<'d>(document: &mut Document<'d>, mut section: Table<'d>) -> GatewayConfig {
    let public_url = match document.string(&mut section, "public_url") {
        Some(found) => check_public_url(found.value, &found.path, &found.place)
            .map_err(|problem| document.problems.push(*problem))
            .unwrap_or_default(),
        None => {
            // A value of another type is reported already.
            if !document
                .problems
                .iter()
                .any(|problem| problem.path == "gateway.public_url")
            {
                document
                    .problems
                    .push(missing(&section, "public_url", "a URL"));
            }
            String::new()
        }
    };
    let mut keys: Vec<GatewayKey> = Vec::new();
    let mut ids = HashSet::new();
    for mut entry in document.tables(&mut section, "keys") {
        let before = document.problems.len();
        let id = document.string(&mut entry, "id");
        let secret = document.string(&mut entry, "secret");
        if document.problems.len() == before {
            for (key, found) in [("id", &id), ("secret", &secret)] {
                if found.is_none() {
                    document.problems.push(missing(&entry, key, "a string"));
                }
            }
        }
        document.finish(entry, None);
        let (
            Some(Found {
                value: id,
                path,
                place,
            }),
            Some(secret),
        ) = (id, secret)
        else {
            continue;
        };
        if let Err(problem) = check_key_id(id, &path, &place) {
            document.problems.push(*problem);
        } else if !ids.insert(id) {
            document.problems.push(Problem::new(
                ProblemCode::Duplicate,
                path,
                place,
                "an id that no other key has",
                format!("{id:?} a second time"),
            ));
        } else {
            keys.push(GatewayKey {
                id: id.to_owned(),
                secret: SecretText::new(secret.value),
                place: secret.place,
                path: secret.path,
            });
        }
    }
    document.finish(section, None);
    GatewayConfig { public_url, keys }
}

pub(super) fn missing(section: &Table<'_>, key: &str, expected: &str) -> Problem {
    Problem::new(
        ProblemCode::MissingKey,
        document::join(&section.path, key),
        section.place.clone(),
        expected,
        "nothing",
    )
    .fix(format!("add {key}"))
}

/// The URL without a `/` at its end.
pub(crate) fn check_public_url(
    text: &str,
    path: &str,
    place: &Location,
) -> Result<String, Box<Problem>> {
    // The text is never shown: a password may stand in it.
    let problem = |found: &str| {
        let expected = "an http or https URL of a host and perhaps a path";
        Err(Box::new(Problem::new(
            ProblemCode::InvalidValue,
            path,
            place.clone(),
            expected,
            found,
        )))
    };
    let Ok(url) = Url::parse(text) else {
        return problem("no absolute URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return problem(&format!("a URL of scheme {:?}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem("a URL with a user or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return problem("a URL with \"?\" or \"#\"");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

pub(crate) fn check_key_id(id: &str, path: &str, place: &Location) -> Result<(), Box<Problem>> {
    let fits = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if fits {
        return Ok(());
    }
    let expected = "1 to 64 characters: letters, digits, \"-\", \".\", \"_\" and \"~\"";
    Err(Problem::new(
        ProblemCode::InvalidName,
        path,
        place.clone(),
        expected,
        format!("{id:?}"),
    )
    .into())
}
