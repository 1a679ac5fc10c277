//! Pages of versions.

use crate::store::Version;
use holdall_plugin_api::{Error, ListVersions, ObjectVersion, Result, VersionPage};

/// Returns the requested page: by key, the newest version of a key first.
pub(crate) fn page<'a>(
    history: impl Iterator<Item = (&'a str, &'a [Version])>,
    list: &ListVersions<'_>,
) -> Result<VersionPage> {
    // The name of what ended the page before: a group, or a version and its key.
    enum After<'t> {
        Group(&'t str),
        Version(u64, &'t str),
    }
    let foreign = || Error::invalid("not a page token of this backend");
    let after = match list.page_token {
        None => None,
        Some(token) => Some(match token.split_once(':').ok_or_else(foreign)? {
            ("g", group) => After::Group(group),
            (version, key) => After::Version(version.parse().map_err(|_| foreign())?, key),
        }),
    };
    let mut page = VersionPage::default();
    let mut last = None;
    for (key, versions) in history.filter(|(key, _)| key.starts_with(list.prefix)) {
        match after {
            Some(After::Group(group)) if key < group || key.starts_with(group) => continue,
            Some(After::Version(_, at)) if key < at => continue,
            _ => {}
        }
        let rest = &key[list.prefix.len()..];
        let group = list.delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(&key[..list.prefix.len() + end])
        });
        let full = |page: &VersionPage| {
            page.versions.len() + page.common_prefixes.len() == list.limit as usize
        };
        if let Some(group) = group {
            if page
                .common_prefixes
                .last()
                .is_some_and(|known| known == group)
            {
                continue;
            }
            if full(&page) {
                return Ok(page.next(last));
            }
            page.common_prefixes.push(group.to_owned());
            last = Some(format!("g:{group}"));
            continue;
        }
        for (index, version) in versions.iter().rev().enumerate() {
            let number: u64 = version.name.parse().unwrap_or_default();
            if let Some(After::Version(before, at)) = after
                && key == at
                && number >= before
            {
                continue;
            }
            if full(&page) {
                return Ok(page.next(last));
            }
            let info = version.object.as_ref().map(|object| &object.info);
            page.versions.push(
                ObjectVersion::new(key, &version.name, info.map_or(0, |info| info.size))
                    .etag(info.and_then(|info| info.etag.clone()))
                    .last_modified(version.made)
                    .latest(index == 0)
                    .delete_marker(info.is_none()),
            );
            last = Some(format!("{number}:{key}"));
        }
    }
    Ok(page)
}
