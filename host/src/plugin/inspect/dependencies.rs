//! Libraries that a plugin needs and this system does not have.
//!
//! Looks where the loader of glibc and musl looks. A library is called missing only when it is in
//! none of these places; what cannot be decided is left to the loader.

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

/// Those of `needed` that are nowhere.
pub(super) fn missing(needed: &[String], paths: &[String]) -> Vec<String> {
    let mut cache = None;
    needed
        .iter()
        .filter(|name| !is_there(name, paths, &mut cache))
        .cloned()
        .collect()
}

fn is_there(name: &str, paths: &[String], cache: &mut Option<Vec<u8>>) -> bool {
    if name.contains('/') {
        return Path::new(name).exists();
    }
    // The loader reads this variable whether the host asks for it or not.
    let from_environment = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let mut listed = paths
        .iter()
        .flat_map(|path| path.split(':'))
        .chain(from_environment.split([':', ';']));
    // `$LIB` and the like are known to the loader alone. An empty entry is the current folder.
    if listed.any(|folder| folder.contains('$') || Path::new(folder).join(name).exists())
        || FOLDERS
            .iter()
            .any(|folder| Path::new(folder).join(name).exists())
    {
        return true;
    }
    let cache = cache.get_or_insert_with(|| std::fs::read("/etc/ld.so.cache").unwrap_or_default());
    let mapped = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    mentions(cache, name)
        || mapped
            .lines()
            .any(|line| line.rsplit('/').next() == Some(name))
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
        let absent = missing(&needed, &[]);
        assert_eq!(absent, ["libdoesnotexist.so.9", "/nowhere/at/all.so"]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("libdoesnotexist.so.9"), "").unwrap();
        let path = format!("/elsewhere:{}", folder.path().display());
        assert_eq!(missing(&needed[1..2], &[path]), Vec::<String>::new());
        assert!(mentions(b"x\0libfoo.so.1\0y", "libfoo.so.1"));
        assert!(mentions(b"x\0/lib/libfoo.so.1\0y", "libfoo.so.1"));
        assert!(!mentions(b"x\0libfoo.so.1.2\0y", "libfoo.so.1"));
        assert!(!mentions(b"x\0lib2foo.so.1\0y", "foo.so.1"));
    }
}
