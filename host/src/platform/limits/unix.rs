//! Limits of the process.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard limit. Returns the limit that is in force, `None`
/// for no limit.
///
/// The usual soft limit of 1024 is for programs that call `select`; a server needs one descriptor for
/// each connection and more for each transfer.
pub fn raise_open_files() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => before.maximum,
        Err(_) => before.current,
    }
}

/// Returns the memory limit of the process's control group in bytes, `None` for no limit: the smallest
/// limit of the group and of the groups above it, in cgroup v2 (`memory.max`) and in v1
/// (`memory.limit_in_bytes`).
///
/// Within a container the path of the group may not exist below the mounted hierarchy; the mounted root is
/// then the group itself.
pub fn memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    memory_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// `groups`: text of `/proc/PID/cgroup`, lines of `ID:CONTROLLERS:PATH`. `root`: where the hierarchies are
/// mounted.
fn memory_of(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        if controllers.is_empty() {
            // v2 alone, or beside v1 in the hybrid layout of systemd.
            let unified = root.join("unified");
            let mount = if unified.is_dir() {
                unified
            } else {
                root.to_owned()
            };
            smallest(&mount, path, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            smallest(&root.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.min()
}

/// The smallest number in the files of this name, from the group at `path` up to `mount`.
fn smallest(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let group = mount.join(path.trim_start_matches('/'));
    let groups = group
        .ancestors()
        .take_while(|group| group.starts_with(mount));
    groups
        .filter_map(|group| {
            // "max" is no number. v1 has no word for it: it says the largest number of whole pages.
            let text = fs::read_to_string(group.join(file)).ok()?;
            text.trim().parse().ok()
        })
        .min()
        .filter(|limit| *limit < i64::MAX as u64 - (1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let limit = raise_open_files();
        let after = getrlimit(Resource::Nofile);
        assert_eq!((limit, after.current), (after.maximum, after.maximum));
    }

    /// Hierarchies of control groups as files.
    fn mounted(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn memory_is_the_smallest_limit_of_the_groups_above() {
        let v2 = mounted(&[
            ("a.slice/memory.max", "67108864\n"),
            ("a.slice/b.service/memory.max", "max\n"),
            ("c.slice/memory.max", "max\n"),
        ]);
        let of = |groups: &str, root: &tempfile::TempDir| memory_of(groups, root.path());
        assert_eq!(of("0::/a.slice/b.service\n", &v2), Some(64 << 20));
        assert_eq!(of("0::/c.slice\n", &v2), None);
        assert_eq!(of("0::/\n", &v2), None);
        assert_eq!(of("", &v2), None);

        let v1 = mounted(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/x/memory.limit_in_bytes", "1048576\n"),
        ]);
        let groups = "9:name=systemd:/\n4:cpu,memory:/docker/x\n0::/\n";
        assert_eq!(of(groups, &v1), Some(1 << 20));
        assert_eq!(of("4:memory:/\n", &v1), None);

        // In a container: the group's own directory is mounted as the root.
        let inside = mounted(&[("memory.max", "33554432\n")]);
        assert_eq!(of("0::/../../kubepods/pod1\n", &inside), Some(32 << 20));
        assert_eq!(of("0::/kubepods/pod1\n", &inside), Some(32 << 20));

        let hybrid = mounted(&[
            ("unified/memory.max", "max\n"),
            ("memory/s/memory.limit_in_bytes", "2097152\n"),
        ]);
        assert_eq!(of("4:memory:/s\n0::/s\n", &hybrid), Some(2 << 20));
    }
}
