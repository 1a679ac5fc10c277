//! The folders of a store, as a configuration names them.

use holdall_plugin_api::{KeyPolicy, Problems};

/// The folders of a store by the fields that name them, such as `objects` and `staging`: each a path of
/// portable segments (slashes at its ends do not count), and none inside of another, where what is
/// staged would be listed.
///
/// What is wrong is added to `problems`; the paths come back without slashes at their ends.
pub fn disjoint_folders<const N: usize>(
    folders: [(&'static str, &str); N],
    problems: &mut Problems,
) -> [String; N] {
    let paths = folders.map(|(field, folder)| (field, folder.trim_matches('/')));
    let within = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for (index, (field, path)) in paths.iter().enumerate() {
        if let Err(fault) = KeyPolicy::Portable.check(path) {
            problems.add(*field, format!("not the path of a folder: {fault}"));
            continue;
        }
        for (other, beside) in &paths[..index] {
            if within(path, beside) || within(beside, path) {
                problems.add(
                    *field,
                    format!("`{field}` and `{other}` lie in one another"),
                );
            }
        }
    }
    paths.map(|(_, path)| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<const N: usize>(folders: [(&'static str, &str); N]) -> Vec<String> {
        let mut problems = Problems::default();
        disjoint_folders(folders, &mut problems);
        match problems.none() {
            Ok(()) => Vec::new(),
            Err(error) => error.facts().map(|(field, _)| field.to_owned()).collect(),
        }
    }

    #[test]
    fn folders_that_are_disjoint() {
        let mut problems = Problems::default();
        let paths = disjoint_folders([("objects", "/a/b/"), ("staging", "a/bc")], &mut problems);
        assert_eq!(paths, ["a/b", "a/bc"]);
        assert!(problems.none().is_ok());
    }

    #[test]
    fn every_wrong_one_is_named() {
        assert_eq!(wrong([("objects", "a"), ("staging", "a/b")]), ["staging"]);
        assert_eq!(wrong([("objects", "a/b"), ("staging", "a/")]), ["staging"]);
        assert_eq!(wrong([("objects", "a"), ("staging", "a")]), ["staging"]);
        let all = [("objects", "x/.."), ("staging", ""), ("locks", "a//b")];
        assert_eq!(wrong(all), ["objects", "staging", "locks"]);
    }
}
