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
    let listed = paths
        .iter()
        .flat_map(|path| path.split(':'))
        .chain(from_environment.split([':', ';']));
    if listed
        .filter(|folder| folder.starts_with('/'))
        .any(|folder| Path::new(folder).join(name).exists())
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

/// The cache holds each name as a text that ends in zero.
fn mentions(cache: &[u8], name: &str) -> bool {
    let wanted: Vec<u8> = name.bytes().chain([0]).collect();
    cache.windows(wanted.len()).any(|window| window == wanted)
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
        assert!(!mentions(b"x\0libfoo.so.1.2\0y", "libfoo.so.1"));
    }
}
