//! `list_versions`.

use super::parts::{check_page, inner_token, outer_token};
use super::{calls, fault, needs};
use crate::backend::Backend;
use holdall_plugin_api::{ListVersions, Operation, Result, VersionPage};
use std::pin::pin;

impl Backend {
    /// A page of versions: by key, and within a key from the newest to the oldest. A version is read, asked for and
    /// deleted by the option `version` of these operations.
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
    /// `Unsupported`: the backend does not claim `list_versions`. `InvalidKey` for the prefix, `InvalidArgument`.
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
                check_page(count, list.limit, page.next.as_deref(), &asked.page_token)?;
                let keys = page.versions.iter().map(|version| &version.key);
                let mut names = keys.chain(&page.common_prefixes);
                if let Some(stray) = names.find(|name| !name.starts_with(list.prefix)) {
                    return Err(fault("a version outside the prefix")
                        .with_fact("prefix", list.prefix)
                        .with_fact("found", stray));
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
