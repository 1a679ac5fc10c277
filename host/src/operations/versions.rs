//! `list_versions`.

use super::page_token::{check_page, inner_token, outer_token, stray};
use super::{calls, fault, needs};
use crate::backend::Backend;
use holdall_plugin_api::{ListVersions, Operation, Result, VersionPage};
use std::pin::pin;

impl Backend {
    /// Returns a page of versions, in the order of their keys, and for each key from the newest to the oldest.
    ///
    /// [`Download`](crate::Download), [`Head`](crate::Head) and [`Delete`](crate::Delete) take a version with their
    /// option `version`. A delete marker has no bytes: it says that the object was deleted at that time.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::{Download, ListVersions};
    ///
    /// let page = photos.list_versions(ListVersions::new("2026/cat.txt")).await?;
    /// for version in page.versions.iter().filter(|version| !version.is_delete_marker) {
    ///     let old = Download::new(&version.key).version(&version.version);
    ///     println!("{} bytes", photos.download(old).await?.info.size);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `Unsupported`: the backend does not claim `list_versions`, or the delimiter.
    /// - `InvalidKey`: the prefix.
    /// - `InvalidArgument`: a limit outside 1 to 1000, a damaged page token, or one of another listing.
    pub async fn list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage> {
        let scope = self.scope(Operation::ListVersions, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::ListVersions)?;
                opened.terms.list_versions(&list)?;
                let backend = scope.backend.name();
                let (prefix, delimiter) = (list.prefix, list.delimiter.unwrap_or_default());
                let listing = format!("versions\0{delimiter}\0{prefix}");
                let inner = inner_token(backend, &listing, list.page_token)?;
                let asked = list.page_token(inner.as_deref());
                let mut page = calls::list_versions(&scope, opened, asked).await?;
                let count = page.versions.len() + page.common_prefixes.len();
                check_page(count, list.limit, page.next.as_deref(), asked.page_token)?;
                let keys = page.versions.iter().map(|version| &version.key);
                let mut names = keys.chain(&page.common_prefixes);
                if let Some(name) = names.find(|name| !name.starts_with(list.prefix)) {
                    return Err(stray("a version outside the prefix", list.prefix, name));
                }
                if !page.versions.is_sorted_by(|one, next| one.key <= next.key) {
                    return Err(fault(
                        "a page of versions that are not in the order of their keys",
                    ));
                }
                let policy = opened.terms.policy;
                page.versions
                    .retain(|version| policy.check(&version.key).is_ok());
                for version in &mut page.versions {
                    opened.etags.show(&mut version.etag);
                }
                page.next = page.next.map(|next| outer_token(backend, &listing, &next));
                Ok(page)
            }))
            .await
    }
}
