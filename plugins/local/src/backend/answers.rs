//! Facts and metadata, between the engine and the contract.

use super::Local;
use crate::engine::metadata_record::Metadata;
use crate::engine::read::ObjectFacts;
use holdall_plugin_api::{Checksums, Level, ObjectInfo, UploadOptions, Uploaded};

pub(super) fn info(local: &Local, key: &str, facts: &ObjectFacts) -> ObjectInfo {
    if facts.changed_by_others {
        let note = format_args!(
            "{key:?} was changed by another program: checksum and user metadata are dropped"
        );
        local.host.log(Level::Warn, note);
    }
    let ObjectFacts {
        stamp,
        changed,
        size,
        crc32c,
        metadata,
        ..
    } = facts;
    let [
        cache_control,
        content_disposition,
        content_encoding,
        content_language,
    ] = metadata.headers.clone();
    let mut info = ObjectInfo::new(*size);
    info.etag = local.store().etag(*stamp, *changed, *size);
    info.last_modified = Some(stamp.time());
    info.content_type = metadata.content_type.clone();
    info.cache_control = cache_control;
    info.content_disposition = content_disposition;
    info.content_encoding = content_encoding;
    info.content_language = content_language;
    info.metadata = metadata.user.clone();
    info.checksums = checksums(*crc32c);
    info
}

pub(super) fn etag(local: &Local, facts: &ObjectFacts) -> Option<String> {
    local.store().etag(facts.stamp, facts.changed, facts.size)
}

pub(super) fn uploaded(local: &Local, facts: &ObjectFacts) -> Uploaded {
    let mut uploaded = Uploaded::new(facts.size);
    uploaded.etag = etag(local, facts);
    uploaded.last_modified = Some(facts.stamp.time());
    uploaded.checksums = checksums(facts.crc32c);
    uploaded
}

pub(super) fn checksums(crc32c: Option<u32>) -> Checksums {
    let mut checksums = Checksums::NONE;
    checksums.crc32c = crc32c;
    checksums
}

pub(super) fn metadata(options: &UploadOptions<'_>) -> Metadata {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let headers = &options.headers;
    Metadata {
        content_type: owned(options.content_type),
        headers: [
            owned(headers.cache_control),
            owned(headers.content_disposition),
            owned(headers.content_encoding),
            owned(headers.content_language),
        ],
        user: pairs(&options.metadata),
    }
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}
