//! Libraries that a plugin needs and this system does not have.
//!
//! The loader is asked, and maps what it finds as data, without running it. It looks where it looks for the needs of a
//! plugin: what is loaded already, then the directories of the program and of the system, and those that the program
//! has added. A library beside the plugin's file is not found, because the host maps a copy.

use crate::platform::libraries::can_be_found;
use object::BinaryFormat;

/// The format whose libraries are looked for here.
pub(super) const JUDGED: BinaryFormat = BinaryFormat::Pe;

/// Most libraries that are looked for.
pub(super) const MAX_LOOKUPS: usize = 1024;

/// Those of `needed` that are in none of the places.
///
/// # Errors
///
/// How many there are, when that is more than [`MAX_LOOKUPS`].
pub(super) fn missing(needed: &[String], _paths: &[String]) -> Result<Vec<String>, usize> {
    if needed.len() > MAX_LOOKUPS {
        return Err(needed.len());
    }
    let absent = needed.iter().filter(|name| !is_there(name));
    Ok(absent.cloned().collect())
}

fn is_there(name: &str) -> bool {
    let begins = |with: &str| {
        let head = name.get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    // A set of functions, of which the loader alone knows the library. A path may lead to another machine.
    if begins("api-") || begins("ext-") || name.contains(['/', '\\', ':', '\0']) {
        return true;
    }
    can_be_found(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_what_is_not() {
        let needed = [
            "KERNEL32.dll",
            // Not loaded by a program of the console.
            "winmm.dll",
            "holdall-does-not-exist.dll",
            "api-ms-win-core-synch-l1-2-0.dll",
            "\\\\nowhere\\at\\all.dll",
        ];
        let needed = needed.map(str::to_owned);
        assert_eq!(missing(&needed, &[]).unwrap(), needed[2..3]);
        let many: Vec<String> = (0..2000).map(|n| format!("lib{n}.dll")).collect();
        assert_eq!(missing(&many, &[]), Err(2000));
    }
}
