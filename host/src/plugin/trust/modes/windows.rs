//! Owners and access control lists: who could put other bytes where a file is.

use super::{TrustPolicy, apply};
use crate::platform::access::{
    Access, CHANGE_DIRECTORY, CHANGE_FILE, Holder, REPLACE_IN_DIRECTORY,
};
use crate::platform::users::is_trusted_owner;
use crate::plugin::fault::{Code, Fault};
use std::path::Path;

/// Judges the way to a file. What cannot be looked at is no fault of this kind: the file cannot be read
/// either.
pub(super) fn judge(policy: &TrustPolicy, path: &Path, directory: Option<&Path>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (Ok(named), Ok(file)) = (std::path::absolute(path), path.canonicalize()) else {
        return faults;
    };
    let parent = directory.or(path.parent());
    let root = parent.and_then(|directory| directory.canonicalize().ok());
    if let (Some(_), Some(root)) = (directory, &root)
        && !file.starts_with(root)
    {
        let fault = Fault::new(Code::LinkOutside)
            .expected(format!("a file below {}", root.display()))
            .found(format!("a link to {}", file.display()));
        apply(policy.links, fault.location(shown(path)), &mut faults);
    }
    // As it was named, and without links: who may replace a link may replace what it leads to. Each way is judged
    // from the file up.
    for way in [&named, &file] {
        for (height, step) in way.ancestors().enumerate() {
            judge_step(policy, step, height, &mut faults);
        }
    }
    faults.sort_by_key(|fault| fault.code);
    faults.dedup();
    faults
}

/// Judges the file (height 0), its directory (1), or one above it.
fn judge_step(policy: &TrustPolicy, path: &Path, height: usize, faults: &mut Vec<Fault>) {
    let Ok(access) = Access::at(path) else {
        return;
    };
    let by_height = |codes: [Code; 2]| codes[usize::from(height > 0)];
    let fault = |codes, expected: &str, found: String| {
        let fault = Fault::new(by_height(codes)).expected(expected);
        fault.found(found).location(shown(path))
    };
    if !is_trusted_owner(&access.owner) {
        let expected = "this user, the system or an administrator as owner";
        let codes = [Code::FileOwner, Code::DirectoryOwner];
        let fault = fault(codes, expected, format!("owner {}", access.owner));
        apply(policy.owner, fault, faults);
    }
    let rights = match height {
        0 => CHANGE_FILE,
        1 => CHANGE_DIRECTORY,
        _ => REPLACE_IN_DIRECTORY,
    };
    match access.holder(rights) {
        None => {}
        Some(Holder::World(group)) => {
            let codes = [Code::FileWorldWritable, Code::DirectoryWorldWritable];
            let expected = "an access control list without write for every user";
            let fault = fault(codes, expected, format!("write for {group}"));
            apply(policy.world_writable, fault, faults);
        }
        Some(Holder::Other(user)) => {
            let codes = [Code::FileGroupWritable, Code::DirectoryGroupWritable];
            let expected = "an access control list without write for other users";
            let fault = fault(codes, expected, format!("write for {user}"));
            apply(policy.group_rule(), fault, faults);
        }
    }
}

/// Without the prefix of canonical paths, so that both ways to one file look alike.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    match text.strip_prefix(r"\\?\") {
        Some(plain) if plain.get(1..2) == Some(":") => plain.to_owned(),
        _ => text,
    }
}
