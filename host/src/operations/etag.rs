//! Conditions on etags, in the form of the plugin.

use super::calls;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use holdall_plugin_api::{Download, Head, Key, Operation};
use std::borrow::Cow;
use std::sync::Arc;

/// The etag of a condition, in the form of the instance.
pub(super) async fn native<'a>(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    key: &Key,
    given: &'a str,
) -> Cow<'a, str> {
    if matches!(given, "" | "*") {
        return Cow::Borrowed(given);
    }
    if opened.etags.is_unknown() {
        // On the heap: few operations need it, and their futures stay small.
        Box::pin(learn(scope, opened, key)).await;
    }
    let native = opened.etags.native(given);
    native.map_or(Cow::Borrowed(given), Cow::Owned)
}

/// Asks an instance that has returned no etag yet for that of this object. The operation itself reports
/// what is wrong with the object or the store.
async fn learn(scope: &Scope<'_>, opened: &Arc<Opened>, key: &Key) {
    let info = if opened.has(Operation::Head) {
        calls::head(scope, opened, Head::new(key)).await
    } else {
        let downloaded = calls::download(scope, opened, Download::new(key));
        downloaded.await.map(|downloaded| downloaded.info)
    };
    if let Ok(mut info) = info {
        opened.etags.show(&mut info.etag);
    }
}
