//! Converts the attributes of an object in both directions.

use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{Capability, Error, ObjectInfo, Result, Upload};
use object_store::{Attribute, Attributes, TagSet};
use std::borrow::Cow;

/// Attributes of an upload, owned so that the upload can borrow them.
#[derive(Debug, Default)]
pub(super) struct UploadAttributes {
    content_type: Option<String>,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    content_encoding: Option<String>,
    content_language: Option<String>,
    metadata: Vec<(String, String)>,
}

impl UploadAttributes {
    /// # Errors
    ///
    /// `Unsupported`: a storage class, tags, or an attribute of a newer `object_store`.
    pub(super) fn new(attributes: &Attributes, tags: &TagSet) -> Result<Self> {
        if !tags.encoded().is_empty() {
            return Err(Error::unsupported("objects have no tags here"));
        }
        let mut kept = Self::default();
        for (attribute, value) in attributes {
            let value = value.to_string();
            match attribute {
                Attribute::ContentType => kept.content_type = Some(value),
                Attribute::CacheControl => kept.cache_control = Some(value),
                Attribute::ContentDisposition => kept.content_disposition = Some(value),
                Attribute::ContentEncoding => kept.content_encoding = Some(value),
                Attribute::ContentLanguage => kept.content_language = Some(value),
                Attribute::Metadata(name) => kept.metadata.push((escape(name), value)),
                other => {
                    let what = format!("no object keeps the attribute {other:?} here");
                    return Err(Error::unsupported(what));
                }
            }
        }
        Ok(kept)
    }

    /// Returns the attributes of an object for its copy. Leaves out what the store reports without
    /// claiming to store it, such as a type guessed from the name.
    pub(super) fn of(info: &ObjectInfo, terms: &Terms) -> Self {
        let when = |claimed, value: &Option<String>| {
            value.clone().filter(|_| terms.capabilities.has(claimed))
        };
        let metadata = terms.capabilities.has(Capability::UserMetadata);
        Self {
            content_type: when(Capability::ContentType, &info.content_type),
            cache_control: when(Capability::HeaderCacheControl, &info.cache_control),
            content_disposition: when(
                Capability::HeaderContentDisposition,
                &info.content_disposition,
            ),
            content_encoding: when(Capability::HeaderContentEncoding, &info.content_encoding),
            content_language: when(Capability::HeaderContentLanguage, &info.content_language),
            metadata: info.metadata.iter().filter(|_| metadata).cloned().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        let Self {
            content_type,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            metadata,
        } = self;
        let headers = [
            content_type,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
        ];
        metadata.is_empty() && headers.into_iter().all(Option::is_none)
    }

    /// Adds these attributes to an upload.
    pub(super) fn apply<'a>(&'a self, mut upload: Upload<'a>) -> Upload<'a> {
        // An upload without options costs less in every layer below.
        if self.is_empty() {
            return upload;
        }
        let options = upload.options_mut();
        options.content_type = self.content_type.as_deref();
        options.headers.cache_control = self.cache_control.as_deref();
        options.headers.content_disposition = self.content_disposition.as_deref();
        options.headers.content_encoding = self.content_encoding.as_deref();
        options.headers.content_language = self.content_language.as_deref();
        let pairs = self.metadata.iter();
        options.metadata = pairs.map(|(name, value)| (&**name, &**value)).collect();
        upload
    }
}

/// Converts the attributes of an object.
pub(super) fn of(info: &ObjectInfo) -> Attributes {
    let mut attributes = Attributes::new();
    let headers = [
        (Attribute::ContentType, &info.content_type),
        (Attribute::CacheControl, &info.cache_control),
        (Attribute::ContentDisposition, &info.content_disposition),
        (Attribute::ContentEncoding, &info.content_encoding),
        (Attribute::ContentLanguage, &info.content_language),
    ];
    for (attribute, value) in headers {
        if let Some(value) = value {
            attributes.insert(attribute, value.clone().into());
        }
    }
    for (name, value) in &info.metadata {
        let name = unescape(name).into_owned();
        attributes.insert(Attribute::Metadata(name.into()), value.clone().into());
    }
    attributes
}

/// Encodes any text as a portable name: `[a-z0-9]` and a single `-` stay, every other byte becomes
/// `--` and two hex digits.
fn escape(name: &str) -> String {
    let bytes = name.as_bytes();
    let stays = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut escaped = String::with_capacity(name.len());
    for (index, byte) in bytes.iter().copied().enumerate() {
        // A `-` before anything but a letter or digit would read as the start of an escape.
        let lone = byte == b'-' && bytes.get(index + 1).is_none_or(|next| stays(*next));
        if stays(byte) || lone {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("--{byte:02x}"));
        }
    }
    escaped
}

/// Decodes a name; returns a name that was not encoded unchanged.
fn unescape(name: &str) -> Cow<'_, str> {
    if !name.contains("--") {
        return Cow::Borrowed(name);
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"--").and_then(|code| {
            let (code, tail) = code.split_at_checked(2)?;
            let code = std::str::from_utf8(code).ok()?;
            Some((u8::from_str_radix(code, 16).ok()?, tail))
        });
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = tail;
    }
    match String::from_utf8(bytes) {
        Ok(name) => Cow::Owned(name),
        Err(_) => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;

    #[test]
    fn any_name_of_metadata_comes_back() {
        for (name, kept) in [
            ("plain-name-7", "plain-name-7"),
            ("test_key", "test--5fkey"),
            ("UPPER", "--55--50--50--45--52"),
            ("a--b", "a--2d-b"),
            ("a-_", "a--2d--5f"),
            ("---", "--2d--2d-"),
            ("a--5f", "a--2d-5f"),
            ("é ", "--c3--a9--20"),
            ("", ""),
        ] {
            assert_eq!(escape(name), kept);
            assert_eq!(unescape(kept), name);
        }
    }

    #[test]
    fn names_are_portable_and_distinct() {
        let alphabet = ["-", "--", "2d", "5f", "_", "a", "é", "Z"];
        let mut seen = std::collections::BTreeMap::new();
        for a in alphabet {
            for b in alphabet {
                for c in alphabet {
                    let name = [a, b, c].concat();
                    let kept = escape(&name);
                    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                    assert!(kept.bytes().all(legal), "{kept}");
                    assert_eq!(unescape(&kept), name);
                    let other = seen.insert(kept, name.clone());
                    assert!(other.is_none_or(|other| other == name));
                }
            }
        }
    }

    #[test]
    fn names_of_others_are_left_alone() {
        for name in ["a--zz", "a--5", "--", "x--ff"] {
            assert_eq!(unescape(name), name);
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let class = Attributes::from_iter([(Attribute::StorageClass, "COLD")]);
        let refused = UploadAttributes::new(&class, &TagSet::default()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let mut tags = TagSet::default();
        tags.push("a", "b");
        let refused = UploadAttributes::new(&Attributes::new(), &tags).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn an_upload_without_attributes_stays_plain() {
        let kept = UploadAttributes::new(&Attributes::new(), &TagSet::default()).unwrap();
        assert!(kept.apply(Upload::new("a", "b")).is_plain());
    }
}
