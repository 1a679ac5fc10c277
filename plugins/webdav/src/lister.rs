//! Folders, as the listing walks through them.

use crate::client::Ask;
use crate::error::About;
use crate::names;
use crate::store::{Object, WebdavStore};
use holdall_plugin_api::{Entry, ErrorKind, Level, Result};
use holdall_plugin_api_hierarchical_list::{FolderNames, Folders};

impl Folders for WebdavStore {
    async fn read(&self, folder: &str, names: &mut FolderNames) -> Result<()> {
        let url = self.place(folder);
        let own = names::path_of(url.path()).unwrap_or_default();
        let ask = match self.features.properties {
            true => Ask::Record,
            false => Ask::Facts,
        };
        let mut outside = None;
        let read = self
            .dav
            .each(About::Reading, &url, 1, ask, |resource| {
                let Some(path) = &resource.path else {
                    // Not UTF-8: something that no key can name.
                    names.left_out("\u{fffd}");
                    return;
                };
                if *path == own {
                    return;
                }
                let name = match path.strip_prefix(own.as_str()) {
                    Some(rest) if own.is_empty() => rest,
                    Some(rest) if rest.starts_with('/') => &rest[1..],
                    _ => {
                        outside.get_or_insert_with(|| path.clone());
                        return;
                    }
                };
                if name.contains('/') || name.is_empty() {
                    return;
                }
                let name = match self.features.hides_dots {
                    true => names::dotted(name),
                    false => name.to_owned(),
                };
                if resource.folder {
                    return names.folder(&name);
                }
                let refused = resource
                    .status
                    .filter(|status| !(200..300).contains(status));
                let (Some(size), None) = (resource.size, refused) else {
                    if names.left_out(&name) {
                        let why = match refused {
                            Some(status) => format!("the server answers {status} for it"),
                            None => "the server tells no size of it".to_owned(),
                        };
                        let note = format_args!("{folder}{name:?} is left out of a listing: {why}");
                        self.host.log(Level::Warn, note);
                    }
                    return;
                };
                let object = Object::listed(&resource, size);
                let mut entry = Entry::new(name, size);
                entry.etag = object.etag(&self.features);
                entry.last_modified = object.modified;
                names.object(entry);
            })
            .await;
        if let Some(path) = outside {
            return Err(holdall_plugin_api::Error::new(ErrorKind::ConfigInvalid)
                .with_message("the server names its files otherwise than `url` does; is there a proxy that rewrites paths?")
                .with_fact("expected", own)
                .with_fact("found", path));
        }
        match read {
            Ok(_) => Ok(()),
            // Gone since its name was read, or never there: a prefix of nothing is empty.
            Err(error) if error.kind() == ErrorKind::FileNotFound => self.check_root().await,
            Err(error) => Err(error),
        }
    }
}
