//! The checks of what ABI 1.1 added.

use super::{MAX_PAGE, Terms, etag, header_value, media_type};
use crate::{
    AbortUpload, Capability, CompleteUpload, CopyObject, CreateUpload, DownloadRanges, Encryption,
    Error, ErrorKind, ListParts, ListUploads, ListVersions, MAX_RANGES, PutPart, Result, Update,
    UploadOptions,
};

/// Most bytes of a name of a tag, and of its value: what S3, Azure and GCS take.
const MAX_TAG: (usize, usize) = (128, 256);
/// Most tags of an object.
const MAX_TAGS: usize = 10;

impl Terms {
    /// Checks what is kept beside the bytes of an object.
    pub(super) fn kept(&self, options: &UploadOptions<'_>) -> Result<()> {
        if let Some(content_type) = options.content_type {
            media_type(content_type)?;
        }
        let headers = &options.headers;
        for (name, value, capability) in [
            (
                "cache_control",
                headers.cache_control,
                Capability::HeaderCacheControl,
            ),
            (
                "content_disposition",
                headers.content_disposition,
                Capability::HeaderContentDisposition,
            ),
            (
                "content_encoding",
                headers.content_encoding,
                Capability::HeaderContentEncoding,
            ),
            (
                "content_language",
                headers.content_language,
                Capability::HeaderContentLanguage,
            ),
        ] {
            header_value(name, value)?;
            self.needs(value.is_some(), capability)?;
        }
        self.metadata(&options.metadata)?;
        self.needs(options.content_type.is_some(), Capability::ContentType)?;
        self.needs(!options.metadata.is_empty(), Capability::UserMetadata)?;
        tags(&options.tags)?;
        self.needs(!options.tags.is_empty(), Capability::Tags)?;
        if let Some(class) = options.storage_class {
            provider_name("storage class", class)?;
            self.needs(true, Capability::StorageClass)?;
        }
        match options.encryption {
            None => Ok(()),
            Some(Encryption::Managed) => self.needs(true, Capability::EncryptionManaged),
            Some(Encryption::Key(id)) => {
                provider_name("key of the key service", id)?;
                self.needs(true, Capability::EncryptionKeyId)
            }
        }
    }

    /// Options of a write that comes without conditions and digests.
    fn only_kept(&self, options: &UploadOptions<'_>, place: &str) -> Result<()> {
        if options.create_only || options.if_match.is_some() || !options.checksums.is_empty() {
            return Err(Error::invalid(format!(
                "conditions and digests do not belong into {place}"
            )));
        }
        self.needs(options.durability.is_some(), Capability::Durability)?;
        self.kept(options)
    }

    fn upload_id(&self, id: &str) -> Result<()> {
        self.needs(true, Capability::Parts)?;
        if id.is_empty() || id.len() > crate::abi::parts::MAX_UPLOAD_ID {
            return Err(Error::upload_not_found());
        }
        Ok(())
    }

    fn page_limit(&self, limit: u32) -> Result<()> {
        let max = self.limits.max_page.min(MAX_PAGE);
        if (1..=max).contains(&limit) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a page has 1 to {max} entries, {limit} asked"
        )))
    }

    /// Checks the beginning of an upload in parts.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn create_upload(&self, create: &CreateUpload<'_>) -> Result<()> {
        self.key(create.key.text())?;
        self.needs(true, Capability::Parts)?;
        self.only_kept(
            create.options(),
            "the beginning of an upload: they are judged when it is completed",
        )
    }

    /// Checks a part. Not the bytes: they are still to come.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `TooLarge`, `Unsupported`.
    pub fn put_part(&self, put: &PutPart<'_>) -> Result<()> {
        self.key(put.key.text())?;
        self.upload_id(put.upload_id)?;
        let most = self.limits.max_parts;
        if !(1..=most).contains(&put.number) {
            return Err(
                Error::invalid(format!("a part has a number from 1 to {most}"))
                    .with_fact("part", put.number),
            );
        }
        match (put.length, self.limits.max_part_bytes) {
            (Some(length), Some(max)) if length > max => Err(Error::new(ErrorKind::TooLarge)
                .with_message("the backend takes no part of this size")
                .with_fact("limit", max)
                .with_fact("requested", length)),
            _ => Ok(()),
        }
    }

    /// Checks a request for parts.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn list_parts(&self, list: &ListParts<'_>) -> Result<()> {
        self.key(list.key.text())?;
        self.upload_id(list.upload_id)?;
        self.page_limit(list.limit)
    }

    /// Checks a request for uploads, as it goes to a plugin.
    ///
    /// # Errors
    ///
    /// `InvalidKey` for the prefix, `InvalidArgument`, `Unsupported`.
    pub fn list_uploads(&self, list: &ListUploads<'_>) -> Result<()> {
        self.plugin_prefix(list.prefix)?;
        self.needs(true, Capability::Parts)?;
        self.page_limit(list.limit)
    }

    /// Checks the end of an upload in parts.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn complete_upload(&self, complete: &CompleteUpload<'_>) -> Result<()> {
        self.key(complete.key.text())?;
        self.upload_id(complete.upload_id)?;
        let most = self.limits.max_parts;
        if complete.parts.is_empty() || complete.parts.len() > most as usize {
            return Err(Error::invalid(format!("an object has 1 to {most} parts"))
                .with_fact("parts", complete.parts.len()));
        }
        let ascend = complete.parts.is_sorted_by(|one, next| one.0 < next.0);
        if let Some((number, _)) = complete.parts.iter().find(|(_, etag)| etag.is_empty()) {
            return Err(Error::invalid_part(*number));
        }
        if !ascend || complete.parts[0].0 == 0 {
            return Err(Error::invalid(
                "the numbers of the parts of an object begin at 1 and ascend",
            ));
        }
        if complete.create_only && complete.if_match.is_some() {
            return Err(Error::invalid(
                "`create_only` and `if_match` exclude each other",
            ));
        }
        etag(complete.if_match)?;
        self.needs(complete.create_only, Capability::CreateOnly)?;
        self.needs(complete.if_match.is_some(), Capability::IfMatchPut)?;
        let conditional = complete.create_only || complete.if_match.is_some();
        match self.limits.max_conditional_size.filter(|_| conditional) {
            None => Ok(()),
            // A completion is a request of its own, whatever the size of the object.
            Some(limit) => Err(Error::unsupported(
                "the store holds a condition over one request only: complete without one, or upload in one request",
            )
            .with_fact("limit", limit)),
        }
    }

    /// Checks the end of an upload in parts without an object.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `Unsupported`.
    pub fn abort_upload(&self, abort: &AbortUpload<'_>) -> Result<()> {
        self.key(abort.key.text())?;
        self.upload_id(abort.upload_id)
    }

    /// Checks a read of many ranges.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn download_ranges(&self, read: &DownloadRanges<'_>) -> Result<()> {
        self.key(read.key.text())?;
        if read.ranges.is_empty() || read.ranges.len() > MAX_RANGES {
            return Err(
                Error::invalid(format!("a read has 1 to {MAX_RANGES} ranges"))
                    .with_fact("ranges", read.ranges.len()),
            );
        }
        if let Some(range) = read.ranges.iter().find(|range| range.start >= range.end) {
            return Err(Error::invalid("a range has at least one byte")
                .with_fact("range", format!("{}..{}", range.start, range.end)));
        }
        self.read_options(read.options())
    }

    /// Checks the rarer part of a copy.
    pub(super) fn copy_options(&self, copy: &CopyObject<'_>) -> Result<()> {
        let options = copy.options();
        if copy.create_only && options.if_match.is_some() {
            return Err(Error::invalid(
                "`create_only` and `if_match` exclude each other",
            ));
        }
        for condition in [
            options.if_match,
            options.source_if_match,
            options.source_if_none_match,
        ] {
            etag(condition)?;
        }
        if let Some(replace) = &options.replace {
            self.only_kept(replace, "what a copy replaces")?;
        }
        Ok(())
    }

    /// Whether the backend itself can copy under these options. Otherwise the host reads and writes.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming what is not claimed.
    pub fn copies_natively(&self, copy: &CopyObject<'_>) -> Result<()> {
        let options = copy.options();
        let source = options.source_if_match.is_some() || options.source_if_none_match.is_some();
        self.needs(copy.create_only, Capability::CopyCreateOnly)?;
        self.needs(options.if_match.is_some(), Capability::CopyIfMatch)?;
        self.needs(source, Capability::CopySourceConditions)?;
        self.needs(
            options.source_version.is_some(),
            Capability::CopySourceVersion,
        )?;
        self.needs(options.replace.is_some(), Capability::CopyReplaceMetadata)
    }

    /// Checks a listing of versions, as it goes to a plugin.
    ///
    /// # Errors
    ///
    /// `InvalidKey` for the prefix, `InvalidArgument`, `Unsupported`.
    pub fn list_versions(&self, list: &ListVersions<'_>) -> Result<()> {
        self.plugin_prefix(list.prefix)?;
        self.needs(true, Capability::ListVersions)?;
        self.page_limit(list.limit)?;
        match list.delimiter {
            Some("") => Err(Error::invalid("an empty delimiter")),
            Some("/") | None => Ok(()),
            Some(_) => self.needs(true, Capability::AnyDelimiter),
        }
    }

    /// Checks a change of what is kept beside the bytes.
    ///
    /// # Errors
    ///
    /// `InvalidKey`, `InvalidArgument`, `Unsupported`.
    pub fn update(&self, update: &Update<'_>) -> Result<()> {
        self.key(update.key.text())?;
        if update.is_empty() {
            return Err(Error::invalid("an update that changes nothing"));
        }
        etag(update.if_match)?;
        let mut options = UploadOptions {
            content_type: update.content_type.flatten(),
            metadata: update.metadata.clone().unwrap_or_default(),
            tags: update.tags.clone().unwrap_or_default(),
            storage_class: update.storage_class,
            ..UploadOptions::default()
        };
        options.headers.cache_control = update.cache_control.flatten();
        options.headers.content_disposition = update.content_disposition.flatten();
        options.headers.content_encoding = update.content_encoding.flatten();
        options.headers.content_language = update.content_language.flatten();
        self.kept(&options)?;
        self.needs(update.version.is_some(), Capability::Versions)?;
        self.needs(update.if_match.is_some(), Capability::IfMatchPut)
    }

    /// Whether the backend itself can change all that is asked.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming what is not claimed.
    pub fn updates_natively(&self, update: &Update<'_>) -> Result<()> {
        self.needs(update.changes_headers(), Capability::UpdateHeaders)?;
        self.needs(update.metadata.is_some(), Capability::UpdateMetadata)?;
        self.needs(update.tags.is_some(), Capability::UpdateTags)?;
        self.needs(update.storage_class.is_some(), Capability::StorageClass)
    }

    fn plugin_prefix(&self, prefix: &str) -> Result<()> {
        self.policy.check_plugin_prefix(prefix).map_err(|fault| {
            Error::new(ErrorKind::InvalidKey).with_message(format!("prefix: {fault}"))
        })
    }
}

fn tags(pairs: &[(&str, &str)]) -> Result<()> {
    if pairs.len() > MAX_TAGS {
        return Err(
            Error::invalid(format!("an object has at most {MAX_TAGS} tags"))
                .with_fact("tags", pairs.len()),
        );
    }
    for (index, (name, value)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::invalid(format!("the tag {name:?} is given twice")));
        }
        let legal = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || " +-./:=_".contains(c))
        };
        if name.is_empty()
            || name.len() > MAX_TAG.0
            || value.len() > MAX_TAG.1
            || !legal(name)
            || !legal(value)
        {
            return Err(Error::invalid(format!(
                "a tag has a name of 1 to {} and a value of at most {} letters, digits, blanks and `+-./:=_`, found \
                 {name:?} and {value:?}",
                MAX_TAG.0, MAX_TAG.1
            )));
        }
    }
    Ok(())
}

fn provider_name(what: &str, name: &str) -> Result<()> {
    if !name.is_empty() && name.len() <= 2048 && name.bytes().all(|b| matches!(b, b'!'..=b'~')) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a {what} is named in printable ASCII without blanks, found {name:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, KeyPolicy, Limits, Part};

    fn terms(capabilities: Capabilities) -> Terms {
        let limits = Limits::default().part_bytes(5, 10).max_parts(3);
        Terms::new(KeyPolicy::Portable, capabilities, limits)
    }

    fn kind(result: Result<()>) -> Option<(ErrorKind, String)> {
        result
            .err()
            .map(|error| (error.kind(), error.code().to_owned()))
    }

    fn invalid() -> Option<(ErrorKind, String)> {
        Some((ErrorKind::InvalidArgument, "invalid_argument".to_owned()))
    }

    fn unsupported() -> Option<(ErrorKind, String)> {
        Some((ErrorKind::Unsupported, "unsupported".to_owned()))
    }

    #[test]
    fn parts() {
        let (all, none) = (terms(Capabilities::ALL), terms(Capabilities::EMPTY));
        let create = || CreateUpload::new("k");
        assert_eq!(kind(all.create_upload(&create().content_type("a/b"))), None);
        assert_eq!(kind(none.create_upload(&create())), unsupported());
        let mut conditional = create();
        conditional.options_mut().create_only = true;
        assert_eq!(kind(all.create_upload(&conditional)), invalid());

        let put = |number, bytes: usize| PutPart::new("k", "id", number, vec![0; bytes]);
        assert_eq!(kind(all.put_part(&put(3, 10))), None);
        assert_eq!(kind(all.put_part(&put(0, 10))), invalid());
        assert_eq!(kind(all.put_part(&put(4, 10))), invalid());
        let large = Some((ErrorKind::TooLarge, "too_large".to_owned()));
        assert_eq!(kind(all.put_part(&put(1, 11))), large);
        let nameless = PutPart::new("k", "", 1, "x");
        let unknown = Some((ErrorKind::FileNotFound, "upload_not_found".to_owned()));
        assert_eq!(kind(all.put_part(&nameless)), unknown);

        let complete = |numbers: &[u32]| {
            let parts: Vec<Part> = numbers
                .iter()
                .map(|number| Part::new(*number, "e", 1))
                .collect();
            kind(all.complete_upload(&CompleteUpload::new("k", "id", &parts)))
        };
        assert_eq!(complete(&[1, 3]), None);
        for wrong in [&[][..], &[2, 1], &[1, 1], &[0, 1], &[1, 2, 3, 4]] {
            assert_eq!(complete(wrong), invalid(), "{wrong:?}");
        }
        let mut single = terms(Capabilities::ALL);
        single.limits.max_conditional_size = Some(7);
        let part = [Part::new(1, "e", 1)];
        let plain = || CompleteUpload::new("k", "id", &part);
        assert_eq!(kind(single.complete_upload(&plain())), None);
        assert_eq!(kind(all.complete_upload(&plain().create_only())), None);
        for conditional in [plain().create_only(), plain().if_match("e")] {
            assert_eq!(kind(single.complete_upload(&conditional)), unsupported());
        }
        let bare = [Part::new(1, "", 1)];
        let bare = CompleteUpload::new("k", "id", &bare);
        let missing = Some((ErrorKind::InvalidArgument, "invalid_part".to_owned()));
        assert_eq!(kind(all.complete_upload(&bare)), missing);
        assert_eq!(
            kind(all.list_parts(&ListParts::new("k", "id").limit(0))),
            invalid()
        );
        assert_eq!(kind(all.list_uploads(&ListUploads::new("a/"))), None);
        assert_eq!(
            kind(none.abort_upload(&AbortUpload::new("k", "id"))),
            unsupported()
        );
    }

    #[test]
    fn ranges_copies_versions_and_updates() {
        let (all, none) = (terms(Capabilities::ALL), terms(Capabilities::EMPTY));
        let read = |ranges: Vec<std::ops::Range<u64>>| {
            kind(all.download_ranges(&DownloadRanges::new("k", ranges)))
        };
        assert_eq!(read(vec![0..1, 0..1]), None);
        assert_eq!(read(vec![]), invalid());
        assert_eq!(read(vec![3..3]), invalid());
        assert_eq!(read(vec![0..1; MAX_RANGES + 1]), invalid());

        let copy = CopyObject::new("a", "b").if_match("e").source_version("1");
        assert_eq!(kind(all.copy(&copy)), None);
        assert_eq!(kind(all.copies_natively(&copy)), None);
        assert_eq!(kind(none.copies_natively(&copy)), unsupported());
        assert_eq!(kind(all.copy(&copy.clone().create_only())), invalid());

        assert_eq!(kind(all.list_versions(&ListVersions::new(""))), None);
        assert_eq!(
            kind(none.list_versions(&ListVersions::new(""))),
            unsupported()
        );

        let update = || Update::new("k").tags([("a", "b")]);
        assert_eq!(kind(all.update(&update())), None);
        assert_eq!(kind(all.update(&Update::new("k"))), invalid());
        assert_eq!(
            kind(all.update(&Update::new("k").content_type("x"))),
            invalid()
        );
        assert_eq!(
            kind(all.update(&update().tags([("a", "b"), ("a", "c")]))),
            invalid()
        );
        assert_eq!(kind(all.update(&update().tags([("a", "ü")]))), invalid());
        assert_eq!(kind(all.update(&update().storage_class("a b"))), invalid());
        let few = terms(Capabilities::tags.with(Capabilities::content_type));
        assert_eq!(kind(few.update(&update())), None);
        assert_eq!(kind(few.updates_natively(&update())), unsupported());
    }
}
