//! Listings, page by page.

use super::directory::Directories;
use super::error::error;
use super::metadata;
use holdall::Backend;
use holdall_plugin_api::List;
use opendal_core::raw::OpList;
use opendal_core::raw::oio::{self, PageContext, PageList};
use opendal_core::{MetadataBuilder, Result};

pub(super) struct Listing {
    backend: Backend,
    prefix: String,
    grouped: bool,
    limit: u32,
    start_after: Option<String>,
    directories: Directories,
}

impl Listing {
    pub(super) fn new(
        backend: Backend,
        path: &str,
        args: &OpList,
        max_page: u32,
        directories: Directories,
    ) -> Self {
        let limit = args.limit().map_or(max_page, |limit| {
            u32::try_from(limit).unwrap_or(max_page).clamp(1, max_page)
        });
        Self {
            backend,
            prefix: if path == "/" {
                String::new()
            } else {
                path.to_owned()
            },
            grouped: !args.recursive(),
            limit,
            start_after: args.start_after().map(str::to_owned),
            directories,
        }
    }
}

impl PageList for Listing {
    async fn next_page(&self, context: &mut PageContext) -> Result<()> {
        let mut list = List::new(&self.prefix).limit(self.limit);
        if self.grouped {
            list = list.delimiter("/");
        }
        if let Some(start) = &self.start_after {
            list = list.start_after(start);
        }
        let token = Some(context.token.as_str()).filter(|token| !token.is_empty());
        let page = self
            .backend
            .list(list.page_token(token))
            .await
            .map_err(error)?;
        // A directory lists itself, and the root is always there.
        if self.prefix.is_empty() && token.is_none() && self.start_after.is_none() {
            context.entries.push_back(directory("/"));
        }
        let keys = page.entries.iter().map(|entry| {
            let marked = self.directories.marked(&entry.key);
            marked.map_or_else(
                || oio::Entry::new(&entry.key, metadata::of_entry(entry)),
                directory,
            )
        });
        let groups = page.common_prefixes.iter().map(|group| directory(group));
        context.entries.extend(keys.chain(groups));
        match page.next {
            Some(next) => context.token = next,
            None => context.done = true,
        }
        Ok(())
    }
}

fn directory(path: &str) -> oio::Entry {
    oio::Entry::new(path, MetadataBuilder::dir().build())
}
