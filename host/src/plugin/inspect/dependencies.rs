//! Libraries that a plugin needs and this system does not have.
//!
//! Looks where the loader of glibc and musl looks. A library is called missing only when it is in
//! none of these places; what cannot be decided is left to the loader.

use object::BinaryFormat;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const FOLDERS: &[&str] = &[
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

/// The format whose libraries are looked for here.
pub(super) const JUDGED: BinaryFormat = BinaryFormat::Elf;

/// Most files that are looked for: names times folders.
pub(super) const MAX_LOOKUPS: usize = 8192;

/// Those of `needed` that are in none of the places.
///
/// # Errors
///
/// How many files would have to be looked for, when that is more than [`MAX_LOOKUPS`].
pub(super) fn missing(needed: &[String], paths: &[String]) -> Result<Vec<String>, usize> {
    // The loader reads this variable whether the host asks for it or not.
    let environment = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let environment = environment.as_encoded_bytes();
    let environment = environment.split(|byte| matches!(byte, b':' | b';'));
    let listed = paths.iter().flat_map(|path| path.split(':'));
    let folders: Vec<&Path> = listed
        .map(Path::new)
        .chain(environment.map(|folder| Path::new(OsStr::from_bytes(folder))))
        .chain(FOLDERS.iter().map(Path::new))
        .collect();
    let lookups = needed.len().saturating_mul(folders.len());
    if lookups > MAX_LOOKUPS {
        return Err(lookups);
    }
    let mut system = None;
    let mut is_there = |name: &String| {
        if name.contains('/') {
            return Path::new(name).exists();
        }
        // `$LIB` and the like are known to the loader alone. An empty entry is the current folder.
        let is_in = |folder: &&Path| {
            folder.as_os_str().as_encoded_bytes().contains(&b'$')
                || folder.join(name).exists()
                || is_in_subfolder(&folder.join("glibc-hwcaps"), name)
        };
        folders.iter().any(is_in) || system.get_or_insert_with(System::read).has(name)
    };
    Ok(needed
        .iter()
        .filter(|name| !is_there(name))
        .cloned()
        .collect())
}

/// Builds for newer processors lie in subfolders of `glibc-hwcaps` (ld.so(8)).
fn is_in_subfolder(folder: &Path, name: &str) -> bool {
    let Ok(levels) = std::fs::read_dir(folder) else {
        return false;
    };
    let mut levels = levels.take(16).filter_map(Result::ok);
    levels.any(|level| level.path().join(name).exists())
}

/// What the loader knows without looking into folders.
struct System {
    cache: Vec<u8>,
    mapped: String,
}

impl System {
    fn read() -> Self {
        Self {
            cache: std::fs::read("/etc/ld.so.cache").unwrap_or_default(),
            mapped: std::fs::read_to_string("/proc/self/maps").unwrap_or_default(),
        }
    }

    fn has(&self, name: &str) -> bool {
        let mut mapped = self.mapped.lines();
        mentions(&self.cache, name) || mapped.any(|line| line.rsplit('/').next() == Some(name))
    }
}

/// The cache holds each name, and each path, as a text that ends in zero.
fn mentions(cache: &[u8], name: &str) -> bool {
    let wanted: Vec<u8> = name.bytes().chain([0]).collect();
    let starts = |at: usize| at == 0 || matches!(cache[at - 1], 0 | b'/');
    let mut found = cache.windows(wanted.len()).enumerate();
    found.any(|(at, window)| window == wanted && starts(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_what_is_not() {
        let needed = ["libc.so.6", "libdoesnotexist.so.9", "/nowhere/at/all.so"].map(str::to_owned);
        let absent = missing(&needed, &[]).unwrap();
        assert_eq!(absent, ["libdoesnotexist.so.9", "/nowhere/at/all.so"]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("libdoesnotexist.so.9"), "").unwrap();
        let path = format!("/elsewhere:{}", folder.path().display());
        assert_eq!(
            missing(&needed[1..2], &[path]).unwrap(),
            Vec::<String>::new()
        );
        // A build for newer processors only.
        let level = folder.path().join("glibc-hwcaps/x86-64-v3");
        std::fs::create_dir_all(&level).unwrap();
        std::fs::write(level.join("libofv3.so.1"), "").unwrap();
        let path = folder.path().display().to_string();
        let of_v3 = ["libofv3.so.1".to_owned()];
        assert_eq!(missing(&of_v3, &[path]).unwrap(), Vec::<String>::new());
        let many: Vec<String> = (0..10_000).map(|n| format!("lib{n}.so")).collect();
        assert!(missing(&many, &[]).unwrap_err() > MAX_LOOKUPS);
        assert!(mentions(b"x\0libfoo.so.1\0y", "libfoo.so.1"));
        assert!(mentions(b"x\0/lib/libfoo.so.1\0y", "libfoo.so.1"));
        assert!(!mentions(b"x\0libfoo.so.1.2\0y", "libfoo.so.1"));
        assert!(!mentions(b"x\0lib2foo.so.1\0y", "foo.so.1"));
    }
}
