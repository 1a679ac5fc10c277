//! What a request may ask of an instance: pure checks, so that host and kit agree.
//!
//! The host runs them before a plugin is entered; the kit runs them around a backend that it drives
//! as a plain Rust type. An option that is not claimed is refused, never dropped in silence.

mod since_1_1;

use crate::{
    ByteRange, Capabilities, Capability, CopyObject, Delete, Download, Error, ErrorKind, Head,
    KeyPolicy, Limits, List, Method, ReadOptions, Rename, Result, SignUrl, Upload,
};
use std::time::Duration;

/// Shortest life of a signed URL.
pub const MIN_SIGN: Duration = Duration::from_secs(1);
/// Longest life of a signed URL.
pub const MAX_SIGN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most entries of a page.
pub const MAX_PAGE: u32 = 1000;

/// What an instance promises, as the checks need it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Terms {
    /// Which keys it takes.
    pub policy: KeyPolicy,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its numbers.
    pub limits: Limits,
}

impl Terms {
    /// What an instance with these capabilities and limits accepts.
    pub fn new(policy: KeyPolicy, capabilities: Capabilities, limits: Limits) -> Self {
        Self {
            policy,
            capabilities,
            limits,
        }
    }

    fn needs(&self, wanted: bool, capability: Capability) -> Result<()> {
        if !wanted || self.capabilities.has(capability) {
            return Ok(());
        }
        Err(
            Error::unsupported(format!("the backend does not claim `{capability}`"))
                .with_fact("capability", capability),
        )
    }

    /// Checks a key.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, saying which rule it breaks.
    pub fn key(&self, key: &str) -> Result<()> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidKey).with_message(why);
        self.policy
            .check(key)
            .map_err(|fault| invalid(fault.to_string()))?;
        match self.limits.max_key_bytes {
            Some(max) if key.len() > max as usize => Err(invalid(format!(
                "the backend takes keys of at most {max} bytes, this one has {}",
                key.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Checks an upload. Not the bytes: they are still to come.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`, `TooLarge`.
    pub fn upload(&self, upload: &Upload<'_>) -> Result<()> {
        self.key(upload.key.text())?;
        let options = upload.options();
        if options.create_only && options.if_match.is_some() {
            return Err(Error::invalid(
                "`create_only` and `if_match` exclude each other",
            ));
        }
        etag(options.if_match)?;
        self.needs(options.create_only, Capability::CreateOnly)?;
        self.needs(options.if_match.is_some(), Capability::IfMatchPut)?;
        self.kept(options)?;
        self.needs(options.durability.is_some(), Capability::Durability)?;
        let conditional = options.create_only || options.if_match.is_some();
        let limits = [
            (
                self.limits.max_object_size,
                "the backend takes no object of this size",
            ),
            (
                self.limits.max_conditional_size.filter(|_| conditional),
                "the backend takes no upload of this size under a condition",
            ),
        ];
        for (max, why) in limits {
            if let (Some(length), Some(max)) = (upload.length, max)
                && length > max
            {
                return Err(Error::new(ErrorKind::TooLarge)
                    .with_message(why)
                    .with_fact("limit", max)
                    .with_fact("requested", length));
            }
        }
        Ok(())
    }

    fn metadata(&self, pairs: &[(&str, &str)]) -> Result<()> {
        let mut total = 0;
        for (index, (name, value)) in pairs.iter().enumerate() {
            let legal =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if pairs[..index]
                .iter()
                .any(|(earlier, _)| earlier.eq_ignore_ascii_case(name))
            {
                return Err(Error::invalid(format!(
                    "user metadata {name:?} is given twice"
                )));
            }
            if name.is_empty() || !name.bytes().all(legal) {
                return Err(Error::invalid(format!(
                    "a name of user metadata is [a-z0-9-]+, found {name:?}"
                )));
            }
            if value.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "user metadata {name:?} has a control character"
                )));
            }
            total += name.len() + value.len();
        }
        let limit = self.limits.max_metadata_bytes as usize;
        if total > limit {
            let error = Error::invalid("too much user metadata").with_fact("limit", limit);
            return Err(error.with_fact("requested", total));
        }
        Ok(())
    }

    fn read_options(&self, options: &ReadOptions<'_>) -> Result<()> {
        etag(options.if_match)?;
        etag(options.if_none_match)?;
        self.needs(options.if_match.is_some(), Capability::IfMatchGet)?;
        self.needs(options.if_none_match.is_some(), Capability::IfNoneMatchGet)?;
        let timed = options.if_modified_since.is_some() || options.if_unmodified_since.is_some();
        self.needs(timed, Capability::IfTime)?;
        self.needs(options.with_tags, Capability::Tags)?;
        self.needs(options.version.is_some(), Capability::Versions)
    }

    /// Checks a download.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn download(&self, download: &Download<'_>) -> Result<()> {
        self.key(download.key.text())?;
        match &download.range {
            Some(ByteRange::Bounded(range)) if range.start >= range.end => {
                return Err(Error::invalid("a range has at least one byte"));
            }
            Some(ByteRange::Last(0)) => {
                return Err(Error::invalid("a range has at least one byte"));
            }
            Some(ByteRange::Last(_)) => self.needs(true, Capability::Suffix)?,
            _ => {}
        }
        self.read_options(download.options())
    }

    /// Checks a head.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn head(&self, head: &Head<'_>) -> Result<()> {
        self.key(head.key.text())?;
        self.read_options(head.options())
    }

    /// Checks a delete.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn delete(&self, delete: &Delete<'_>) -> Result<()> {
        self.key(delete.key.text())?;
        etag(delete.if_match)?;
        self.needs(delete.if_match.is_some(), Capability::IfMatchDelete)?;
        self.needs(delete.version.is_some(), Capability::Versions)
    }

    /// Checks a listing as it goes to a plugin: see [`KeyPolicy::check_plugin_prefix`].
    ///
    /// # Errors
    ///
    /// `InvalidKey` for the prefix, `InvalidArgument`, `Unsupported`.
    pub fn list(&self, list: &List<'_>) -> Result<()> {
        self.policy
            .check_plugin_prefix(list.prefix)
            .map_err(|fault| {
                Error::new(ErrorKind::InvalidKey).with_message(format!("prefix: {fault}"))
            })?;
        let max = self.limits.max_page.min(MAX_PAGE);
        if !(1..=max).contains(&list.limit) {
            return Err(Error::invalid(format!(
                "a page has 1 to {max} entries, {} asked",
                list.limit
            )));
        }
        match list.delimiter {
            Some("") => return Err(Error::invalid("an empty delimiter")),
            Some("/") | None => {}
            Some(_) => self.needs(true, Capability::AnyDelimiter)?,
        }
        self.needs(list.start_after.is_some(), Capability::StartAfter)
    }

    /// Checks a copy.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `Unsupported`.
    pub fn copy(&self, copy: &CopyObject<'_>) -> Result<()> {
        self.key(copy.from.text())?;
        self.key(copy.to.text())?;
        self.needs(copy.create_only, Capability::CopyCreateOnly)?;
        self.copy_options(copy)
    }

    /// Checks a rename.
    ///
    /// # Errors
    ///
    /// `InvalidKey`.
    pub fn rename(&self, rename: &Rename<'_>) -> Result<()> {
        self.key(rename.from.text())?;
        self.key(rename.to.text())
    }

    /// Checks what is asked of a signed URL, for every signer.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`.
    pub fn sign(&self, sign: &SignUrl<'_>) -> Result<()> {
        self.key(sign.key.text())?;
        if !(MIN_SIGN..=MAX_SIGN).contains(&sign.expires_in) {
            return Err(Error::invalid("a signed URL lives 1 second to 7 days")
                .with_fact("requested_seconds", sign.expires_in.as_secs_f64()));
        }
        if let Some(content_type) = sign.content_type {
            media_type(content_type)?;
        }
        if let Some(content_type) = sign.response_content_type {
            media_type(content_type)?;
        }
        if sign
            .download_name
            .is_some_and(|name| name.is_empty() || name.chars().any(char::is_control))
        {
            return Err(Error::invalid(
                "a download name is not empty and has no control character",
            ));
        }
        let for_put =
            sign.content_type.is_some() || sign.max_size.is_some() || !sign.checksums.is_empty();
        if for_put && sign.method != Method::Put {
            return Err(Error::invalid(
                "content type, size and checksum are bound for PUT only",
            ));
        }
        let for_get = sign.download_name.is_some() || sign.response_content_type.is_some();
        if for_get && sign.method != Method::Get {
            return Err(Error::invalid(
                "name and type of the answer are set for GET only",
            ));
        }
        Ok(())
    }

    /// Whether the backend itself can bind all that is asked. Otherwise the gateway signs.
    pub fn signs_natively(&self, sign: &SignUrl<'_>) -> bool {
        let method = match sign.method {
            Method::Get => Capability::SignGet,
            Method::Put => Capability::SignPut,
            Method::Head => Capability::SignHead,
            Method::Delete => Capability::SignDelete,
        };
        let within = self
            .limits
            .max_sign_seconds
            .is_none_or(|max| sign.expires_in.as_secs() <= u64::from(max));
        within
            && self.capabilities.has(method)
            && [
                (sign.content_type.is_some(), Capability::SignContentType),
                (sign.max_size.is_some(), Capability::SignMaxSize),
                (!sign.checksums.is_empty(), Capability::SignChecksum),
                (
                    sign.download_name.is_some() || sign.response_content_type.is_some(),
                    Capability::SignDisposition,
                ),
            ]
            .into_iter()
            .all(|(wanted, capability)| !wanted || self.capabilities.has(capability))
    }
}

fn etag(etag: Option<&str>) -> Result<()> {
    match etag {
        Some("") => Err(Error::invalid("an empty etag")),
        _ => Ok(()),
    }
}

fn header_value(name: &'static str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value)
            if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) =>
        {
            Err(Error::invalid(format!("`{name}` is not printable ASCII")))
        }
        _ => Ok(()),
    }
}

/// Checks `type/subtype` with optional parameters; token characters are those of [RFC 9110, 5.6.2].
///
/// [RFC 9110, 5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
fn media_type(value: &str) -> Result<()> {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let essence = value.split(';').next().unwrap_or_default().trim_end();
    let well_formed = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub));
    if !well_formed || value.len() > 255 || !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(Error::invalid(format!(
            "a content type is `type/subtype; parameters`, found {value:?}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checksums;

    const ALL: Terms = Terms {
        policy: KeyPolicy::Portable,
        capabilities: Capabilities::from_bits(u128::MAX),
        limits: Limits {
            max_object_size: Some(10),
            max_conditional_size: Some(7),
            max_key_bytes: Some(8),
            max_metadata_bytes: 8,
            max_page: 100,
            max_sign_seconds: Some(60),
            buffer_bytes: 0,
            retries: 0,
            eventual_ms: 0,
            min_part_bytes: 0,
            max_part_bytes: Some(6),
            max_parts: 3,
            max_upload_seconds: None,
        },
    };
    const NONE: Terms = Terms {
        capabilities: Capabilities::EMPTY,
        ..ALL
    };

    fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn uploads() {
        let up = || Upload::new("k", "12345");
        assert_eq!(kind(ALL.upload(&up())), None);
        for (upload, expected) in [
            (Upload::new("a/", "x"), ErrorKind::InvalidKey),
            (Upload::new("123456789", "x"), ErrorKind::InvalidKey),
            (Upload::new("k", "12345678901"), ErrorKind::TooLarge),
            (
                Upload::new("k", "12345678").create_only(),
                ErrorKind::TooLarge,
            ),
            (
                Upload::new("k", "12345678").if_match("e"),
                ErrorKind::TooLarge,
            ),
            (up().create_only().if_match("e"), ErrorKind::InvalidArgument),
            (up().if_match(""), ErrorKind::InvalidArgument),
            (up().content_type("text"), ErrorKind::InvalidArgument),
            (up().content_type("text/pl ain"), ErrorKind::InvalidArgument),
            (
                up().content_type("text/plain\r\nx: y"),
                ErrorKind::InvalidArgument,
            ),
            (up().metadata("A", "x"), ErrorKind::InvalidArgument),
            (
                up().metadata("a", "x").metadata("a", "y"),
                ErrorKind::InvalidArgument,
            ),
            (up().metadata("a", "12345678"), ErrorKind::InvalidArgument),
            (up().metadata("a", "\n"), ErrorKind::InvalidArgument),
        ] {
            assert_eq!(kind(ALL.upload(&upload)), Some(expected), "{upload:?}");
        }
        for upload in [
            up().create_only(),
            up().if_match("e"),
            up().content_type("text/plain"),
            up().metadata("a", "b"),
            up().content_language("en"),
            up().durability(crate::Durability::Full),
        ] {
            assert_eq!(kind(ALL.upload(&upload)), None, "{upload:?}");
            assert_eq!(
                kind(NONE.upload(&upload)),
                Some(ErrorKind::Unsupported),
                "{upload:?}"
            );
        }
        assert_eq!(
            kind(ALL.upload(&up().content_type("text/html; charset=\"utf-8\""))),
            None
        );
    }

    #[test]
    fn reads_and_listings() {
        let ranged = |range| Download::new("k").range(range);
        assert_eq!(kind(ALL.download(&ranged(ByteRange::Last(1)))), None);
        assert_eq!(
            kind(NONE.download(&ranged(ByteRange::Last(1)))),
            Some(ErrorKind::Unsupported)
        );
        assert_eq!(
            kind(ALL.download(&ranged(ByteRange::Last(0)))),
            Some(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            kind(ALL.download(&ranged(ByteRange::Bounded(3..3)))),
            Some(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            kind(NONE.head(&Head::new("k").if_match("e"))),
            Some(ErrorKind::Unsupported)
        );
        assert_eq!(
            kind(ALL.list(&List::new("a/").limit(0))),
            Some(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            kind(ALL.list(&List::new("a/").limit(101))),
            Some(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            kind(ALL.list(&List::new("../").limit(1))),
            Some(ErrorKind::InvalidKey)
        );
        assert_eq!(
            kind(NONE.list(&List::new("").limit(1).delimiter("-"))),
            Some(ErrorKind::Unsupported)
        );
        assert_eq!(
            kind(NONE.list(&List::new("").limit(1).delimiter("/"))),
            None
        );
    }

    #[test]
    fn signing() {
        let sign = |method, seconds| SignUrl::new(method, "k", Duration::from_secs(seconds));
        assert_eq!(
            kind(ALL.sign(&sign(Method::Get, 0))),
            Some(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            kind(ALL.sign(&sign(Method::Get, 604_801))),
            Some(ErrorKind::InvalidArgument)
        );
        assert_eq!(kind(ALL.sign(&sign(Method::Get, 604_800))), None);
        let mut bound = sign(Method::Get, 1);
        bound.max_size = Some(1);
        assert_eq!(kind(ALL.sign(&bound)), Some(ErrorKind::InvalidArgument));
        bound.method = Method::Put;
        assert_eq!(kind(ALL.sign(&bound)), None);
        assert!(ALL.signs_natively(&bound));
        let without = Terms {
            capabilities: ALL.capabilities.without(Capabilities::sign_max_size),
            ..ALL
        };
        assert!(!without.signs_natively(&bound));
        assert!(!ALL.signs_natively(&sign(Method::Put, 61)));
        let sums = Checksums {
            crc32c: Some(1),
            ..Checksums::NONE
        };
        bound.checksums = sums;
        assert!(ALL.signs_natively(&bound));
    }
}
