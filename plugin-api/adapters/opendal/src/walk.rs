//! Services with folders, read one folder at a time.

use crate::list::Listing;
use futures_util::StreamExt;
use holdall_plugin_api::Result;
use holdall_plugin_api_hierarchical_list::{FolderNames, Folders};
use opendal_core::options::ListOptions;
use opendal_core::{EntryMode, ErrorKind};

impl Folders for Listing<'_> {
    async fn read(&self, folder: &str, names: &mut FolderNames) -> Result<()> {
        match self.offer(folder, names).await {
            Err(error) if is_absent(error.kind()) => match self.failed(error) {
                error if error.kind() == holdall_plugin_api::ErrorKind::ContainerMissing => {
                    Err(error)
                }
                _ => Ok(()),
            },
            Err(error) => Err(self.failed(error)),
            Ok(()) => Ok(()),
        }
    }
}

/// A folder that is not there holds nothing.
fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl Listing<'_> {
    async fn offer(&self, folder: &str, names: &mut FolderNames) -> opendal_core::Result<()> {
        let path = if folder.is_empty() { "/" } else { folder };
        let options = ListOptions::default();
        let mut lister = self.operator.lister_options(path, options).await?;
        while let Some(entry) = lister.next().await {
            let (path, metadata) = entry?.into_parts();
            // The folder lists itself too, the top one as `/`.
            let name = match path.strip_prefix(folder) {
                Some(name) if !name.is_empty() && name != "/" => name,
                _ => continue,
            };
            match (metadata.mode(), name.strip_suffix('/')) {
                (EntryMode::DIR, Some(name)) => names.folder(name),
                (EntryMode::DIR, None) | (_, Some(_)) => {}
                (_, None) => names.object(self.entry(name.to_owned(), &metadata)),
            }
        }
        Ok(())
    }
}
