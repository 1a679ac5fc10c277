//! The sections `[trust]`, `[trial]`, `[quarantine]` and `[upgrade]`.

use super::document::{Document, Table, join};
use super::file::{read_timeout, read_wait, unhex};
use super::{Problem, ProblemCode};
use super::{Quarantine, Signatures, TrialRules, TrustPolicy, TrustRule, TrustedKey, UpgradeRules};
use minisign_verify::PublicKey;
use std::time::{Duration, SystemTime};

const RULES: &[(&str, TrustRule)] = &[
    ("refuse", TrustRule::Refuse),
    ("warn", TrustRule::Warn),
    ("allow", TrustRule::Allow),
];
const SIGNATURES: &[(&str, Signatures)] = &[
    ("optional", Signatures::Optional),
    ("required", Signatures::Required),
];

pub(super) fn read<'d>(document: &mut Document<'d>, mut section: Table<'d>) -> TrustPolicy {
    let mut policy = TrustPolicy::default();
    let it = &mut section;
    let rules: [(&str, &mut TrustRule); 6] = [
        ("owner", &mut policy.owner),
        ("world_writable", &mut policy.world_writable),
        ("links", &mut policy.links),
        ("secret_files", &mut policy.secret_files),
        ("readable_secrets", &mut policy.readable_secrets),
        ("history", &mut policy.history),
    ];
    for (key, rule) in rules {
        *rule = document.word(it, key, RULES).unwrap_or(*rule);
    }
    policy.group_writable = document.word(it, "group_writable", RULES);
    policy.signatures = document
        .word(it, "signatures", SIGNATURES)
        .unwrap_or_default();
    let revoked = document.strings(it, "revoked_keys").unwrap_or_default();
    for found in revoked {
        let is_id = found.value.len() == 16 && found.value.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id || is_key(found.value) {
            policy.revoked_keys.push(found.value.to_owned());
        } else {
            let expected = "the id of a key (16 hexadecimal digits) or the key";
            document.problems.push(Problem::new(
                ProblemCode::InvalidValue,
                found.path,
                found.place,
                expected,
                "another text",
            ));
        }
    }
    let revoked = document.strings(it, "revoked_sha256").unwrap_or_default();
    for found in revoked {
        match unhex(found.value) {
            Some(digest) => policy.revoked_sha256.push(digest),
            None => document.problems.push(Problem::new(
                ProblemCode::InvalidValue,
                found.path,
                found.place,
                "a SHA-256 as 64 hexadecimal digits",
                "another text",
            )),
        }
    }
    for entry in document.tables(it, "keys") {
        let key = read_key(document, entry);
        policy.keys.extend(key);
    }
    document.finish(section, None);
    policy
}

pub(super) fn read_trial<'d>(document: &mut Document<'d>, mut section: Table<'d>) -> TrialRules {
    let it = &mut section;
    let mut rules = TrialRules::default();
    rules.enabled = document.boolean(it, "enabled").unwrap_or(rules.enabled);
    for (key, time) in [("timeout", &mut rules.timeout), ("cpu", &mut rules.cpu)] {
        *time = time_of(document, it, key).unwrap_or(*time);
    }
    let least = [
        ("memory", &mut rules.memory, 16 << 20),
        ("descriptors", &mut rules.descriptors, 16),
    ];
    for (key, number, least) in least {
        *number = document.number(it, key, least).unwrap_or(*number);
    }
    for (key, rule) in [
        ("threads", &mut rules.threads),
        ("signals", &mut rules.signals),
    ] {
        *rule = document.word(it, key, RULES).unwrap_or(*rule);
    }
    document.finish(section, None);
    rules
}

pub(super) fn read_quarantine<'d>(
    document: &mut Document<'d>,
    mut section: Table<'d>,
) -> Quarantine {
    let it = &mut section;
    let mut rules = Quarantine::default();
    let crashes = document.number(it, "crashes", 1);
    let crashes = crashes.and_then(|crashes| u32::try_from(crashes).ok());
    rules.crashes = crashes.unwrap_or(rules.crashes);
    rules.within = time_of(document, it, "within").unwrap_or(rules.within);
    if let Some(found) = document.string(it, "backoff") {
        match read_wait(found.value, &found.path, &found.place) {
            Ok(read) => rules.backoff = read,
            Err(problem) => document.problems.push(*problem),
        }
    }
    rules.expires = time_of(document, it, "expires");
    document.finish(section, None);
    rules
}

pub(super) fn read_upgrade<'d>(
    document: &mut Document<'d>,
    mut section: Table<'d>,
) -> UpgradeRules {
    let it = &mut section;
    let mut rules = UpgradeRules::default();
    rules.watch = document.boolean(it, "watch").unwrap_or(rules.watch);
    let generations = document.number(it, "generations", 1);
    rules.generations = generations.unwrap_or(rules.generations);
    document.finish(section, None);
    rules
}

/// A time above zero.
fn time_of<'d>(
    document: &mut Document<'d>,
    section: &mut Table<'d>,
    key: &'static str,
) -> Option<Duration> {
    let found = document.string(section, key)?;
    read_timeout(found.value, &found.path, &found.place)
        .map_err(|problem| document.problems.push(*problem))
        .ok()
}

fn read_key<'d>(document: &mut Document<'d>, mut entry: Table<'d>) -> Option<TrustedKey> {
    let it = &mut entry;
    let before = document.problems.len();
    let publisher = document.string(it, "publisher");
    let key = document.string(it, "key");
    let plugins = document.strings(it, "plugins");
    let not_after = document.string(it, "not_after");
    if document.problems.len() == before {
        let missing = [
            ("publisher", "a string", publisher.is_none()),
            ("key", "a string", key.is_none()),
            ("plugins", "an array of strings", plugins.is_none()),
        ];
        for (name, expected, _) in missing.into_iter().filter(|(_, _, missing)| *missing) {
            let path = join(&entry.path, name);
            document.problems.push(
                Problem::new(
                    ProblemCode::MissingKey,
                    path,
                    entry.place.clone(),
                    expected,
                    "nothing",
                )
                .fix(format!("add {name}")),
            );
        }
    }
    document.finish(entry, None);
    let (publisher, key, plugins) = (publisher?, key?, plugins?);
    if !is_key(key.value) {
        document.problems.push(Problem::new(
            ProblemCode::InvalidValue,
            key.path,
            key.place,
            "a public key of minisign: the second line of its .pub file",
            "another text",
        ));
        return None;
    }
    let plugins = plugins.iter().map(|name| name.value);
    let mut trusted = TrustedKey::new(publisher.value, key.value, plugins);
    if let Some(found) = not_after {
        match parse_time(found.value) {
            Some(time) => trusted = trusted.not_after(time),
            None => document.problems.push(Problem::new(
                ProblemCode::InvalidValue,
                found.path,
                found.place,
                "a day (\"2027-01-31\") or a time of RFC 3339",
                format!("{:?}", found.value),
            )),
        }
    }
    Some(trusted)
}

/// Whether a text is a public key of minisign.
fn is_key(text: &str) -> bool {
    PublicKey::from_base64(text).is_ok()
}

/// A time of RFC 3339, or the end of a day (`2027-01-31`).
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    if text.len() != "YYYY-MM-DD".len() {
        return humantime::parse_rfc3339(text).ok();
    }
    let start = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
    start.checked_add(Duration::from_secs(24 * 60 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_itself() {
        let end = parse_time("2027-01-31").unwrap();
        assert_eq!(parse_time("2027-02-01T00:00:00Z"), Some(end));
        for text in ["", "2027-1-31", "2027-13-01", "tomorrow"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
