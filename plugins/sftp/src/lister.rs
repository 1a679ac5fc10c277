//! Folders, as the listing walks through them.

use crate::error::{self, About};
use crate::session::{Opened, Session, asked};
use crate::store::{Kind, Object, SftpStore, kind};
use holdall_plugin_api::{Entry, Level, Result};
use holdall_plugin_api_hierarchical_list::{FolderNames, Folders};
use russh_sftp::protocol::StatusCode;
use std::sync::Arc;

/// A store on one connection, for one page.
pub(crate) struct Listing<'s> {
    pub(crate) store: &'s SftpStore,
    pub(crate) session: Arc<Session>,
}

impl Folders for Listing<'_> {
    async fn read(&self, folder: &str, names: &mut FolderNames) -> Result<()> {
        let path = self.store.path(folder);
        let path = path.trim_end_matches('/');
        if !self.store.is_folder(&self.session, path).await? {
            // Gone since its name was read, or never there: a prefix of nothing is empty.
            return self.store.look_at_root(&self.session).await;
        }
        let opened = match Opened::folder(&self.session, path).await {
            Ok(opened) => opened,
            Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => return Ok(()),
            Err(cause) => return Err(error::from_sftp(About::Reading, cause)),
        };
        loop {
            let read = self.session.sftp.readdir(opened.handle.as_str()).await;
            let files = match read {
                Ok(found) => found.files,
                Err(cause) if error::status(&cause) == Some(StatusCode::Eof) => return Ok(()),
                Err(cause) => return Err(error::from_sftp(About::Reading, cause)),
            };
            for file in files {
                if matches!(file.filename.as_str(), "." | "..") {
                    continue;
                }
                // Perhaps bytes that are no UTF-8, which the library has replaced.
                let is_doubtful = file.filename.contains('\u{fffd}');
                if is_doubtful && !self.is_there(path, &file.filename).await? {
                    names.left_out(&file.filename);
                    continue;
                }
                match kind(&file.attrs) {
                    Kind::Folder => names.folder(&file.filename),
                    Kind::File => {
                        let Ok(object) = Object::of(&file.attrs) else {
                            if names.left_out(&file.filename) {
                                let note = format_args!(
                                    "{folder}{:?} is left out of a listing: the server tells no size of it",
                                    file.filename
                                );
                                self.store.host.log(Level::Warn, note);
                            }
                            continue;
                        };
                        let mut entry = Entry::new(file.filename, object.size);
                        entry.last_modified = object.modified;
                        names.object(entry);
                    }
                    // Links are not followed, and pipes are no objects.
                    Kind::Link | Kind::Other => {}
                }
            }
        }
    }
}

impl Listing<'_> {
    async fn is_there(&self, folder: &str, name: &str) -> Result<bool> {
        let found = self.session.sftp.lstat(format!("{folder}/{name}")).await;
        match found {
            Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => Ok(false),
            found => asked(std::future::ready(found)).await.map(|_| true),
        }
    }
}
