//! What WebDAV has no place for: content type, headers, user metadata, checksum and a true etag of
//! an object, in one dead property.
//!
//! The property is set on the staged file and travels with it when it is published. It names the
//! server's own etag of the bytes that it belongs to: a server moves a file and its properties in
//! two steps, and another program may write into the file, so a record is believed only beside the
//! etag that it names.

use holdall_plugin_api::{Checksums, Host, ObjectInfo, UploadOptions};
use serde::{Deserialize, Serialize};

/// Namespace of our property. A name, not a page.
pub(crate) const NAMESPACE: &str = "urn:holdall:webdav";
/// Its local name.
pub(crate) const PROPERTY: &str = "object";

/// The value of the property, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetadataRecord {
    /// The object's etag: new for each upload.
    pub(crate) etag: String,
    /// The server's etag of the bytes.
    pub(crate) of: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<u32>,
}

impl MetadataRecord {
    /// For bytes that the server calls `of`.
    pub(crate) fn new(host: &Host, options: &UploadOptions<'_>, of: String) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            etag: unique(host),
            of,
            content_type: owned(options.content_type),
            cache_control: owned(options.headers.cache_control),
            content_disposition: owned(options.headers.content_disposition),
            content_encoding: owned(options.headers.content_encoding),
            content_language: owned(options.headers.content_language),
            metadata: options
                .metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            crc32c: None,
        }
    }

    /// `None` for a text of another program.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value of the property, before it is escaped for XML.
    pub(crate) fn text(&self) -> String {
        // Strings and numbers: nothing here can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Writes what is recorded into the facts.
    pub(crate) fn describe(self, info: &mut ObjectInfo) {
        info.etag = Some(self.etag);
        info.content_type = self.content_type;
        info.cache_control = self.cache_control;
        info.content_disposition = self.content_disposition;
        info.content_encoding = self.content_encoding;
        info.content_language = self.content_language;
        info.metadata = self.metadata;
        info.checksums = checksums(self.crc32c);
    }
}

pub(crate) fn checksums(crc32c: Option<u32>) -> Checksums {
    let mut checksums = Checksums::NONE;
    checksums.crc32c = crc32c;
    checksums
}

/// 128 random bits: an etag, and a name that no other upload has.
pub(crate) fn unique(host: &Host) -> String {
    let mut bits = [0; 16];
    host.random(&mut bits);
    format!("{:032x}", u128::from_be_bytes(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_leads_back_and_foreign_text_is_none() {
        let mut options = UploadOptions::default();
        options.content_type = Some("text/plain; charset=\"x\"");
        options.metadata = vec![("a", "\u{1f392} <&>"), ("b", "")];
        let host = Host::detached("test");
        let mut record = MetadataRecord::new(&host, &options, "7-9".into());
        record.crc32c = Some(u32::MAX);
        assert_eq!(MetadataRecord::parse(&record.text()), Some(record.clone()));
        assert_ne!(
            record.etag,
            MetadataRecord::new(&host, &options, String::new()).etag
        );
        for foreign in ["", "x", "{}", "[1]"] {
            assert_eq!(MetadataRecord::parse(foreign), None, "{foreign}");
        }
    }
}
