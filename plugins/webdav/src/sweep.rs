//! What a killed process has left in the staging folder.

use crate::client::Ask;
use crate::error::About;
use crate::names;
use crate::store::WebdavStore;
use holdall_plugin_api::Level;
use std::sync::Arc;
use std::time::Duration;

/// Most files that one opening removes.
const MOST: usize = 1000;

/// Removes, in the background, staged files that did not change for so long. Both times are the
/// server's, so that no clock needs to be right. An upload that stalled for longer and then goes on
/// fails at its end; it cannot do harm.
pub(crate) fn begin(store: &Arc<WebdavStore>, stale_after_seconds: u64) {
    let own = Arc::clone(store);
    store.clean(async move {
        if let Err(error) = sweep(&own, Duration::from_secs(stale_after_seconds)).await {
            let note = format_args!("stale uploads were not swept: {error}");
            own.host.log(Level::Warn, note);
        }
    });
}

async fn sweep(store: &WebdavStore, stale_after: Duration) -> holdall_plugin_api::Result<()> {
    let staging = &store.settings.staging;
    let mut staged = Vec::new();
    let now = store
        .dav
        .each(About::Staging, staging, 1, Ask::Facts, |resource| {
            if !resource.folder && staged.len() < MOST {
                staged.push((resource.path, resource.modified));
            }
        })
        .await?;
    let Some(now) = now else { return Ok(()) };
    for (path, modified) in staged {
        let (Some(path), Some(modified)) = (path, modified) else {
            continue;
        };
        let is_stale = now
            .duration_since(modified)
            .is_ok_and(|age| age >= stale_after);
        if let Some(name) = path.rsplit('/').next()
            && is_stale
        {
            store
                .dav
                .remove(About::Staging, &names::below(staging, name))
                .await?;
        }
    }
    Ok(())
}
