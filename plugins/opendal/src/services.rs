//! The services, and what each asserts beyond what OpenDAL says of it.
//!
//! An assertion needs a reason: the provider's documentation, or the kit against a real server (the
//! plugin's README says which). Without one it is left out, and who knows better says so in the
//! configuration. Left out as services: those that cannot list (a plugin's operations are the same
//! for all its instances), those that answer stale reads for a time without a stated bound, and
//! those that need a C library or a runtime of another kind.

use crate::options;
use holdall_plugin_api::Capabilities as C;
use holdall_plugin_api_opendal::OpenedOperator;
use opendal::{Operator, services as of};
use serde_json::{Map, Value};

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// Options without which it cannot be opened.
    pub(crate) required: &'static [&'static str],
    /// All options with their defaults.
    pub(crate) options: fn() -> Map<String, Value>,
    pub(crate) operator: fn(Vec<(String, String)>) -> opendal::Result<Operator>,
    /// What it asserts, given its options.
    pub(crate) asserts: fn(OpenedOperator, &Map<String, Value>) -> OpenedOperator,
}

/// Services whose object is read from another address, to which the service redirects: a data node, a store
/// behind it, a link that is signed. All others have no reason to redirect.
const READ_ELSEWHERE: [&str; 5] = ["github", "ipfs", "lakefs", "onedrive", "webhdfs"];

impl Service {
    /// Whether a redirect of a reading request is followed.
    pub(crate) fn is_read_elsewhere(&self) -> bool {
        READ_ELSEWHERE.contains(&self.name)
    }

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SERVICES.iter().find(|service| service.name == name)
    }
}

macro_rules! services {
    ($($name:literal, $builder:ty, $required:tt, $asserts:expr, $summary:literal;)+) => {
        /// Every service, by name.
        pub(crate) static SERVICES: &[Service] = &[$(Service {
            name: $name,
            summary: $summary,
            required: &$required,
            options: options::defaults::<$builder>,
            operator: options::operator::<$builder>,
            asserts: $asserts,
        }),+];
    };
}

services! {
    "aliyun-drive", of::AliyunDrive, ["drive_type"], folders, "Aliyun Drive";
    "alluxio", of::Alluxio, ["endpoint"], folders, "Alluxio";
    "azblob", of::Azblob, ["container", "endpoint"], azblob, "Azure Blob Storage";
    "azdls", of::Azdls, ["filesystem", "endpoint"], folders, "Azure Data Lake Storage Gen2";
    "azfile", of::Azfile, ["share_name", "endpoint", "account_name"], folders, "Azure Files";
    "b2", of::B2, ["bucket", "bucket_id", "application_key_id", "application_key"], b2, "Backblaze B2, native";
    "cos", of::Cos, ["bucket", "endpoint"], cos, "Tencent Cloud COS";
    "dbfs", of::Dbfs, ["endpoint", "token"], folders, "Databricks DBFS";
    "dropbox", of::Dropbox, [], folders, "Dropbox";
    "fs", of::Fs, ["root"], fs, "a folder of this machine";
    "ftp", of::Ftp, ["endpoint"], folders, "FTP";
    "gcs", of::Gcs, ["bucket"], gcs, "Google Cloud Storage";
    "gdrive", of::Gdrive, [], folders, "Google Drive";
    "github", of::Github, ["owner", "repo"], folders, "files of a GitHub repository";
    "ipfs", of::Ipfs, ["endpoint", "root"], folders, "IPFS through a gateway, for reading";
    "ipmfs", of::Ipmfs, [], folders, "mutable files of an IPFS node";
    "koofr", of::Koofr, ["endpoint", "email", "password"], folders, "Koofr";
    "lakefs", of::Lakefs, ["endpoint", "repository", "username", "password"], folders, "lakeFS";
    "memory", of::Memory, [], memory, "memory of the process";
    "obs", of::Obs, ["bucket", "endpoint"], obs, "Huawei Cloud OBS";
    "onedrive", of::Onedrive, [], folders, "OneDrive";
    "oss", of::Oss, ["bucket", "endpoint"], oss, "Aliyun OSS";
    "pcloud", of::Pcloud, ["endpoint", "username", "password"], folders, "pCloud";
    "s3", of::S3, ["bucket"], s3, "Amazon S3 and compatible stores";
    "seafile", of::Seafile, ["endpoint", "repo_name", "username", "password"], folders, "Seafile";
    "swift", of::Swift, ["container", "endpoint"], swift, "OpenStack Swift";
    "tos", of::Tos, ["bucket"], tos, "Volcano Engine TOS";
    "upyun", of::Upyun, ["bucket", "operator", "password"], folders, "UpYun";
    "webdav", of::Webdav, ["endpoint"], webdav, "WebDAV";
    "webhdfs", of::Webhdfs, [], webhdfs, "HDFS over HTTP";
    "yandex-disk", of::YandexDisk, ["access_token"], folders, "Yandex Disk";
}

/// What every object store that is documented to replace objects in one step keeps.
const OBJECTS: C = C::atomic_put
    .with(C::key_and_prefix)
    .with(C::case_sensitive)
    .with(C::unicode_exact)
    .with(C::server_copy);

/// Longest life of a signature of version 4, and of most others: seven days.
const WEEK: u32 = 7 * 24 * 3600;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Longest name that all of these take, in bytes.
const MAX_NAME: u32 = 1024;

fn objects(store: OpenedOperator, options: &Map<String, Value>, more: C) -> OpenedOperator {
    // The root is a part of the name, with a `/` behind it.
    let root = options.get("root").and_then(Value::as_str).unwrap_or("");
    let store = match root.trim_matches('/').len() {
        0 => store,
        root => store.max_key_bytes(MAX_NAME.saturating_sub(root as u32 + 1)),
    };
    store
        .asserts(OBJECTS.with(more))
        .in_byte_order()
        .max_sign_seconds(WEEK)
}

fn s3(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    let more = C::create_only
        .with(C::if_match_put)
        .with(C::user_metadata)
        .with(C::sign_content_type)
        .with(C::sign_disposition);
    objects(store, options, more)
        .whole_facts()
        .quoted_etags()
        .max_object_size(5 * TIB)
}

// `x-oss-forbid-overwrite` is checked at the start and at the end of a multipart upload too. The
// signature of a URL covers the content type. OpenDAL starts a multipart upload without the user
// metadata, so none is claimed.
fn oss(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::create_only.with(C::sign_content_type))
        .whole_facts()
        .max_object_size(48 * TIB)
        .copy_limit(GIB)
}

fn cos(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::user_metadata)
        .always_etags()
        .max_object_size(48 * TIB)
        .copy_limit(5 * GIB)
}

// OpenDAL starts a multipart upload with no more than the content type.
fn obs(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::EMPTY)
        .without(C::header_cache_control)
        .whole_facts()
        .max_object_size(48 * TIB)
        .copy_limit(5 * GIB)
}

fn tos(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::user_metadata)
        .always_etags()
        .max_object_size(48 * TIB)
}

// The native interface has no etags, and OpenDAL reads no version off a read.
fn b2(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::EMPTY)
        .max_object_size(10 * TIB)
        .copy_limit(5 * GIB)
}

// Whether a condition holds at the end of a multipart upload too has not been tried.
fn gcs(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::user_metadata)
        .always_etags()
        .max_object_size(5 * TIB)
}

// User metadata is not asserted: Azure's names have no `-`.
fn azblob(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(
        store,
        options,
        C::create_only
            .with(C::if_match_put)
            .with(C::if_match_delete),
    )
    .whole_facts()
    .quoted_etags()
}

// A large object would be a manifest without the object's type, and its segments outlive it. A value of
// user metadata has 256 bytes, unless its operator has set another limit; 183 fit in when encoded.
fn swift(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    objects(store, options, C::user_metadata)
        .whole_facts()
        .metadata_headers("x-object-meta-")
        .max_metadata_bytes(183)
        .in_one_piece()
        .max_object_size(5 * GIB)
        .copy_limit(5 * GIB)
}

fn memory(store: OpenedOperator, _: &Map<String, Value>) -> OpenedOperator {
    store.asserts(OBJECTS.with(C::create_only))
}

/// Names are paths. Whether a name keeps its case or its spelling is for the server to say.
fn folders(store: OpenedOperator, _: &Map<String, Value>) -> OpenedOperator {
    store
}

fn webdav(store: OpenedOperator, _: &Map<String, Value>) -> OpenedOperator {
    store
}

/// Only through a folder of its own is a file written beside its place and then renamed.
fn fs(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    // A file grows under its own name with nine bytes more, and a name has 255.
    let store = store.max_key_bytes(240);
    let asserts = C::case_sensitive
        .with(C::unicode_exact)
        .with(C::atomic_move);
    match options.contains_key("atomic_write_dir") {
        true => store.asserts(asserts.with(C::atomic_put)),
        false => store.asserts(asserts),
    }
}

fn webhdfs(store: OpenedOperator, options: &Map<String, Value>) -> OpenedOperator {
    let asserts = C::case_sensitive.with(C::unicode_exact);
    match options.contains_key("atomic_write_dir") {
        true => store.asserts(asserts.with(C::atomic_put)),
        false => store.asserts(asserts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_named_once_in_order_and_knows_its_options() {
        assert!(SERVICES.is_sorted_by(|a, b| a.name < b.name));
        for service in SERVICES {
            let options = (service.options)();
            for required in service.required {
                assert!(
                    options.contains_key(*required),
                    "{}: {required}",
                    service.name
                );
            }
            assert!(!service.summary.is_empty());
        }
    }
}
