//! What a killed process has left in the staging folder.

use crate::session::{Opened, asked};
use crate::store::{Kind, SftpStore, kind};
use holdall_plugin_api::{Level, Result};
use russh_sftp::protocol::OpenFlags;
use std::sync::Arc;

/// Most files that one opening looks at.
const MOST: usize = 1000;

/// Removes, in the background, staged files that did not change for so long. Both times are the
/// server's, so that no clock needs to be right: a file is made to learn what time it is there. An
/// upload that stalled for longer and then goes on fails at its end; it cannot do harm.
pub(crate) fn begin(store: &Arc<SftpStore>, stale_after_seconds: u64) {
    let own = Arc::clone(store);
    store.clean(async move {
        if let Err(error) = sweep(&own, stale_after_seconds).await {
            let note = format_args!("stale uploads were not swept: {error}");
            own.host.log(Level::Warn, note);
        }
    });
}

async fn sweep(store: &Arc<SftpStore>, stale_after_seconds: u64) -> Result<()> {
    let lease = store.lease().await?;
    let session = &lease.session;
    let mut staged = Vec::new();
    let folder = asked(Opened::folder(session, &store.staging)).await?;
    while let Ok(names) = session.sftp.readdir(folder.handle.as_str()).await {
        let files = names.files.into_iter();
        staged.extend(files.filter(|file| kind(&file.attrs) == Kind::File));
        staged.truncate(MOST);
    }
    drop(folder);
    if staged.is_empty() {
        return Ok(());
    }
    let clock = store.staging_path();
    let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE;
    let file = asked(Opened::file(session, &clock, flags)).await?;
    let now = session.sftp.fstat(file.handle.as_str()).await;
    let _ = file.close().await;
    let _ = session.sftp.remove(clock).await;
    let Some(now) = asked(std::future::ready(now)).await?.attrs.mtime else {
        return Ok(());
    };
    for file in staged {
        let is_stale = file
            .attrs
            .mtime
            .is_some_and(|then| u64::from(now.saturating_sub(then)) >= stale_after_seconds);
        if is_stale {
            let _ = session
                .sftp
                .remove(format!("{}/{}", store.staging, file.filename))
                .await;
        }
    }
    Ok(())
}
