//! Copies that have other metadata than their source.

use crate::case::{Outcome, ensure};
use crate::cases::uploads::infos;
use crate::trial::Trial;
use holdall_plugin_api::{Capability, CopyObject, Upload, UploadOptions};

pub(super) fn described(t: &Trial) -> UploadOptions<'static> {
    let mut options = UploadOptions::default();
    if t.claims(Capability::ContentType) {
        options.content_type = Some("application/x-kit-2");
    }
    if t.claims(Capability::UserMetadata) {
        options.metadata.push(("kit", "new"));
    }
    options
}

pub(super) async fn is_replaced(t: &Trial, key: &str) -> Outcome {
    let wanted = described(t);
    for (what, info) in infos(t, key).await? {
        ensure!(
            wanted.content_type.is_none() || info.content_type.as_deref() == wanted.content_type,
            "{what}: content type {:?}",
            info.content_type
        );
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let expected: Vec<_> = wanted.metadata.iter().map(own).collect();
        ensure!(
            info.metadata == expected,
            "{what}: metadata {:?} instead of {expected:?}",
            info.metadata
        );
        ensure!(
            info.cache_control.is_none(),
            "{what}: Cache-Control of the source: {:?}",
            info.cache_control
        );
    }
    Ok(())
}

pub(super) async fn source(t: &Trial, key: &str) -> Outcome {
    let mut upload = Upload::new(key, "bytes");
    if t.claims(Capability::UserMetadata) {
        upload = upload.metadata("old", "1");
    }
    if t.claims(Capability::HeaderCacheControl) {
        upload = upload.cache_control("no-store");
    }
    t.upload(upload).await?;
    Ok(())
}

pub(super) async fn replaced(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    source(t, &from).await?;
    t.copy(CopyObject::new(&from, &to).replace(described(t)))
        .await?;
    t.holds(&to, b"bytes").await?;
    is_replaced(t, &to).await
}

pub(super) async fn replaced_in_place(t: &Trial) -> Outcome {
    let key = t.key("object");
    source(t, &key).await?;
    t.copy(CopyObject::new(&key, &key).replace(described(t)))
        .await?;
    t.holds(&key, b"bytes").await?;
    is_replaced(t, &key).await
}
