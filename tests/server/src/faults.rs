//! A backend that claims nothing and fails as its key says: the code of an error kind fails with that
//! kind, anything else is an object of ten bytes. [`ODD`] are objects with facts that no header and no
//! date can have.
//!
//! Its errors carry, where clients must not look, what clients must not see: [`LEAK`].

use holdall_plugin_api::{
    Body, Delete, Deleted, Download, Downloaded, Entry, Error, ErrorKind, Head, Host, Key, List,
    ObjectInfo, Page, ProviderReply, Result, Retry, SignUrl, Signing, StorageBackend, Upload,
    Uploaded,
};
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What no client may see.
pub const LEAK: &str = "/srv/leak";
/// A key whose operations are to be repeated after an endless time.
pub const FOREVER: &str = "rate-limited-forever";
/// The bytes of every object.
pub const BYTES: &str = "0123456789";

/// Has nothing to configure.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The backend.
#[derive(Debug)]
pub struct Faults;

fn fail(key: &str) -> Result<()> {
    if key == "storage_full" {
        return Err(Error::new(ErrorKind::QuotaExceeded).with_message("the disk is full"));
    }
    if key == FOREVER {
        let error = Error::new(ErrorKind::RateLimited);
        return Err(error.with_retry(Retry::After(Duration::MAX)));
    }
    let Some(kind) = ErrorKind::ALL.iter().find(|kind| kind.code() == key) else {
        return Ok(());
    };
    let reply = ProviderReply::new()
        .status(Some(418))
        .code(Some(LEAK.to_owned()))
        .request_id(Some(LEAK.to_owned()));
    let error = Error::new(*kind)
        .with_fact("path", LEAK)
        .with_provider(reply);
    let error = error.because(std::io::Error::other(LEAK));
    // What is said of a client's own mistake is for the client; of ours nothing is.
    Err(match kind.status() {
        500 => error
            .with_message(format!("cannot open {LEAK}"))
            .with_code(LEAK),
        416 => error.with_fact("size", 10),
        403 => error
            .with_fact("scope", "owner")
            .with_message("as the key says"),
        _ => error.with_message("as the key says"),
    })
}

/// Keys of objects that other programs might have made.
pub const ODD: [&str; 3] = ["odd-before-1970", "odd-after-2262", "odd-after-9999"];

fn odd_time(key: &str) -> Option<SystemTime> {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    match key {
        "odd-before-1970" => UNIX_EPOCH.checked_sub(year * 2),
        "odd-after-2262" => UNIX_EPOCH.checked_add(year * 400),
        "odd-after-9999" => UNIX_EPOCH.checked_add(year * 9000),
        _ => None,
    }
}

fn info_of(key: &str) -> ObjectInfo {
    let mut info = info();
    if ODD.contains(&key) {
        info.last_modified = odd_time(key);
        info.content_disposition = Some("attachment; filename=\"é.html\"".to_owned());
        info.cache_control = Some("é".to_owned());
    }
    info
}

fn info() -> ObjectInfo {
    let mut info = ObjectInfo::new(BYTES.len() as u64);
    info.etag = Some("e".to_owned());
    info.last_modified = Some(UNIX_EPOCH + Duration::from_millis(784_111_777_500));
    info
}

impl StorageBackend for Faults {
    type Config = Config;

    async fn open(_: Config, _: Host) -> Result<Self> {
        Ok(Faults)
    }

    async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        fail(upload.key.text())?;
        while let Some(chunk) = upload.body.chunk().await {
            chunk?;
        }
        Ok(Uploaded::new(upload.body.seen()))
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        fail(download.key.text())?;
        let size = BYTES.len() as u64;
        let range = match download.range {
            Some(range) => range.within(size)?,
            None => 0..size,
        };
        let bytes = &BYTES[range.start as usize..range.end as usize];
        Ok(Downloaded::new(
            info_of(download.key.text()),
            range,
            Body::from(bytes),
        ))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        fail(delete.key.text())?;
        Ok(Deleted::new(None))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        fail(key.text())?;
        Ok(true)
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        fail(sign.key.text())?;
        Ok(Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        fail(head.key.text())?;
        Ok(info_of(head.key.text()))
    }

    /// Lists [`ODD`] under the prefix `odd`, and nothing else.
    async fn list(&self, list: List<'_>) -> Result<Page> {
        if list.prefix != "odd" {
            return Err(Error::unsupported("only odd objects are listed"));
        }
        let mut page = Page::default();
        page.entries = ODD
            .iter()
            .map(|key| {
                let mut entry = Entry::new(*key, BYTES.len() as u64);
                entry.last_modified = odd_time(key);
                entry
            })
            .collect();
        Ok(page)
    }
}

holdall_plugin_api::export_plugin! {
    backend: Faults,
    name: "faults",
    schemes: ["faults"],
    operations: [head, list],
    capabilities: [atomic_put],
    config_schema: "faults.schema.json",
}
