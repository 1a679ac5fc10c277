//! Conditions on etags, in the form of the plugin.

use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::policy::calls;
use holdall_plugin_api::{Download, Head, Key, Operation};
use std::borrow::Cow;
use std::sync::Arc;

/// A condition of a request, in the form of the instance.
pub(super) struct Condition<'a>(Option<Cow<'a, str>>);

impl<'a> Condition<'a> {
    pub(super) async fn of(
        scope: &Scope<'_>,
        opened: &Arc<Opened>,
        key: &Key,
        given: Option<&'a str>,
    ) -> Self {
        let Some(given) = given.filter(|given| !matches!(*given, "" | "*")) else {
            return Self(given.map(Cow::Borrowed));
        };
        if opened.etags.is_unknown() {
            // On the heap: few operations need it, and their futures stay small.
            Box::pin(learn(scope, opened, key)).await;
        }
        let native = opened.etags.native(given);
        Self(Some(native.map_or(Cow::Borrowed(given), Cow::Owned)))
    }

    pub(super) fn etag(&self) -> Option<&str> {
        self.0.as_deref()
    }
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
