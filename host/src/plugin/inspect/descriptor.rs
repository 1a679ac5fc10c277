//! Whether this host would load what a descriptor says. No file is needed, so that a plugin that is
//! linked in is judged by the same lines.

use super::negotiation::{OURS, Refusal, compared, effective_minor};
use crate::config::Schema;
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::abi::list::TABLES;
use holdall_plugin_api::abi::{DRAFT, FINGERPRINTS, FROZEN_MINOR, VERSION};
use holdall_plugin_api::descriptor::is_name;
use holdall_plugin_api::descriptor::{self as api, Descriptor, DescriptorFault, Flags};
use holdall_plugin_api::{Operations, rules};

/// Reads and judges the content of a section.
pub(super) fn read(section: &[u8]) -> (Option<Descriptor>, Vec<Fault>) {
    match Descriptor::parse(section) {
        Ok(descriptor) => {
            let faults = check(&descriptor);
            (Some(descriptor), faults)
        }
        Err(faults) => {
            let unreadable = |fault: &DescriptorFault| match fault {
                DescriptorFault::Duplicate { offset } if !is_descriptor(section, *offset) => {
                    uncounted(*offset)
                }
                fault => unreadable(fault),
            };
            (None, faults.iter().map(unreadable).collect())
        }
    }
}

/// Whether another descriptor begins here.
fn is_descriptor(section: &[u8], offset: u64) -> bool {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|at| section.get(at..));
    rest.is_some_and(|rest| rest.starts_with(api::MAGIC.as_slice()))
}

/// Bytes after the lengths that the header states, a usual mistake in C.
fn uncounted(offset: u64) -> Fault {
    let expected = "no more than `fingerprint_count` fingerprints and `json_len` bytes of JSON";
    let mut fault = Fault::new(Code::MalformedDescriptor).expected(expected);
    fault.fix =
        "state in the header how many fingerprints and how many bytes of JSON follow it".into();
    fault.found(format!("more bytes at offset {offset}"))
}

fn unreadable(fault: &DescriptorFault) -> Fault {
    let (code, expected, found) = match fault {
        DescriptorFault::Short { needed, found } => (
            Code::MalformedDescriptor,
            format!("{needed} bytes"),
            format!("{found} bytes"),
        ),
        DescriptorFault::Magic { found } => (
            Code::MalformedDescriptor,
            format!("the magic {}", api::MAGIC.escape_ascii()),
            found.escape_ascii().to_string(),
        ),
        DescriptorFault::Version { found } => (
            Code::DescriptorVersion,
            format!("descriptor version {}", api::VERSION),
            format!("version {found}"),
        ),
        DescriptorFault::JsonTooLong { found } => (
            Code::MalformedDescriptor,
            format!("at most {} bytes of JSON", api::MAX_JSON_BYTES),
            format!("{found} bytes"),
        ),
        DescriptorFault::Json { problem } => (
            Code::DescriptorJson,
            "name, version, schemes and entry as JSON".to_owned(),
            problem.clone(),
        ),
        DescriptorFault::Duplicate { offset } => (
            Code::DuplicateDescriptor,
            "one descriptor".to_owned(),
            format!("more bytes at offset {offset}"),
        ),
        other => (
            Code::MalformedDescriptor,
            "a descriptor".to_owned(),
            other.to_string(),
        ),
    };
    Fault::new(code).expected(expected).found(found)
}

/// Every reason why this host would not load it.
fn check(descriptor: &Descriptor) -> Vec<Fault> {
    let mut faults = Vec::new();
    judge_version(descriptor, &mut faults);
    judge_claims(descriptor, &mut faults);
    judge_names(descriptor, &mut faults);
    if !descriptor.flags.has(Flags::PANIC_UNWIND) && descriptor.flags.has(Flags::RUST) {
        let found = "a plugin whose panics end the process";
        faults.push(
            Fault::new(Code::PanicAbort)
                .expected("panic = \"unwind\"")
                .found(found)
                .location("flags"),
        );
    }
    if let Err(problem) = check_schema(&descriptor.about.config_schema) {
        let fault = Fault::new(Code::BadSchema).expected("a JSON Schema");
        faults.push(fault.found(problem).location("config_schema"));
    }
    faults
}

/// Checked now, because an invalid schema would refuse every configuration when a backend opens.
fn check_schema(schema: &serde_json::Value) -> Result<(), String> {
    if !(schema.is_object() || schema.is_boolean()) {
        return Err(format!("JSON of another kind: {schema:.40}"));
    }
    // As a configuration will be judged by it, and within the same bounds.
    let schema = Schema::from(schema.clone());
    let judged = schema.validator().map(drop);
    judged.map_err(|problem| format!("{problem:.200}"))
}

fn judge_version(descriptor: &Descriptor, faults: &mut Vec<Fault>) {
    let agreed = effective_minor(OURS, descriptor.into());
    if agreed == Err(Refusal::Major) {
        let found = format!("ABI {}.{}", descriptor.abi_major, descriptor.abi_minor);
        faults.push(
            Fault::new(Code::AbiMajor)
                .expected(format!("ABI {}.x", VERSION.major))
                .found(found),
        );
        // Everything else of another major means something else.
        return;
    }
    if agreed == Err(Refusal::HostTooOld) {
        let draft = if DRAFT { ", which is a draft" } else { "" };
        let found = format!("this host has {VERSION}{draft}");
        let expected = format!(
            "a host with ABI {}.{} or newer",
            descriptor.abi_major, descriptor.min_host_minor
        );
        faults.push(Fault::new(Code::HostTooOld).expected(expected).found(found));
    }
    // The tables are judged all the same: everything that is wrong is said at once.
    let shared = agreed.unwrap_or(FROZEN_MINOR);
    let range = compared(shared);
    let ours = &FINGERPRINTS[range.clone()];
    let theirs = descriptor.fingerprints.get(range).unwrap_or(&[]);
    // A draft of a major has no minors to rely on, and the first major is frozen.
    if descriptor.flags.has(Flags::DRAFT) {
        faults.push(
            Fault::new(Code::DraftMismatch)
                .expected("a frozen ABI")
                .found("a draft")
                .location("flags"),
        );
    }
    if ours == theirs {
        return;
    }
    let differing: Vec<&str> = TABLES
        .iter()
        .enumerate()
        .filter(|(index, _)| ours.get(*index) != theirs.get(*index))
        .map(|(_, table)| table.name)
        .collect();
    let found = match theirs.len() {
        count if count == ours.len() => format!("other tables: {}", differing.join(", ")),
        count => format!("{count} fingerprints"),
    };
    let expected = format!(
        "the {} tables of ABI {}.{shared}",
        ours.len(),
        VERSION.major
    );
    faults.push(
        Fault::new(Code::FingerprintMismatch)
            .expected(expected)
            .found(found)
            .location("fingerprints"),
    );
}

fn judge_claims(descriptor: &Descriptor, faults: &mut Vec<Fault>) {
    for missing in Operations::REQUIRED.without(descriptor.operations).iter() {
        let expected = format!("the required operation `{missing}`");
        faults.push(
            Fault::new(Code::RequiredOperation)
                .expected(expected)
                .found("not claimed")
                .location("operations"),
        );
    }
    for rule in rules::broken(descriptor.operations, descriptor.capabilities) {
        let expected = format!(
            "`{}`, because `{}` is claimed ({})",
            rule.needs.name(),
            rule.claimed,
            rule.id
        );
        faults.push(
            Fault::new(Code::BrokenRule)
                .expected(expected)
                .found("not claimed")
                .location("capabilities"),
        );
    }
}

fn judge_names(descriptor: &Descriptor, faults: &mut Vec<Fault>) {
    let about = &descriptor.about;
    if !is_name(&about.name) {
        let found = format!("{:.80?}", about.name);
        faults.push(
            Fault::new(Code::BadName)
                .expected("[a-z0-9][a-z0-9-]{0,62}")
                .found(found)
                .location("name"),
        );
    } else if about.entry != Descriptor::expected_entry(&about.name) {
        let expected = Descriptor::expected_entry(&about.name);
        let found = format!("{:.120?}", about.entry);
        faults.push(
            Fault::new(Code::EntryName)
                .expected(expected)
                .found(found)
                .location("entry"),
        );
    }
    for scheme in about.schemes.iter().filter(|scheme| !is_scheme(scheme)) {
        let found = format!("{scheme:.80?}");
        faults.push(
            Fault::new(Code::BadScheme)
                .expected("[a-z][a-z0-9+.-]*")
                .found(found)
                .location("schemes"),
        );
    }
    if !is_version(&about.version) {
        let found = format!("{:.80?}", about.version);
        faults.push(
            Fault::new(Code::BadVersion)
                .expected("MAJOR.MINOR.PATCH")
                .found(found)
                .location("version"),
        );
    }
}

/// RFC 3986, 3.1, in lower case.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.len() <= 63
        && scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b))
}

/// `MAJOR.MINOR.PATCH` with an optional pre-release or build part.
fn is_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers
            .iter()
            .all(|n| !n.is_empty() && n.len() <= 9 && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_and_versions() {
        for good in ["s3", "file", "opendal+fs", "a.b-c"] {
            assert!(is_scheme(good), "{good}");
        }
        for bad in ["", "3s", "S3", "a:b", "a/b"] {
            assert!(!is_scheme(bad), "{bad}");
        }
        for good in ["0.1.0", "1.2.3-rc.1", "1.2.3+build"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "v1.2.3", "1.2.x", "1..3"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
