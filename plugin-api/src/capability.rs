//! What a plugin can do: operations (rows of the table) and capabilities (promises about them).
//!
//! Both are bitmaps in the descriptor, so that a file can be judged without running it. The bits
//! are part of the ABI: a name never moves, new ones are added at the end.

use std::fmt;

macro_rules! bitset {
    (
        $(#[$set_meta:meta])* pub struct $set:ident($int:ty) of
        $(#[$item_meta:meta])* pub enum $item:ident {
            $($(#[$meta:meta])* $variant:ident = $bit:literal $name:ident,)+
        }
    ) => {
        $(#[$item_meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum $item { $($(#[$meta])* $variant = $bit,)+ }

        impl $item {
            /// Every member, in the order of the bits.
            pub const ALL: &'static [$item] = &[$($item::$variant,)+];

            /// The stable name, as in descriptors, configuration and reports.
            pub const fn name(self) -> &'static str {
                match self { $($item::$variant => stringify!($name),)+ }
            }

            /// The member of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.name() == name)
            }
        }

        impl fmt::Display for $item {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
        }

        $(#[$set_meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
        pub struct $set($int);

        #[allow(non_upper_case_globals, reason = "the constants carry the stable names, so that a macro can name them")]
        impl $set {
            $(#[doc = concat!("Only `", stringify!($name), "`.")] pub const $name: $set = $set(1 << $bit);)+

            /// Every member that this version knows.
            pub const ALL: $set = $set($(1 << $bit)|+);

            /// Nothing.
            pub const EMPTY: $set = $set(0);

            /// From the bitmap of a descriptor; unknown bits (of a newer minor) are kept.
            pub const fn from_bits(bits: $int) -> Self { Self(bits) }

            /// The bitmap.
            pub const fn bits(self) -> $int { self.0 }

            /// Whether every member of `other` is here.
            pub const fn contains(self, other: Self) -> bool { self.0 & other.0 == other.0 }

            /// Whether this member is here.
            pub const fn has(self, item: $item) -> bool { self.0 & (1 << item as u8) != 0 }

            /// Members of either.
            pub const fn with(self, other: Self) -> Self { Self(self.0 | other.0) }

            /// Members of `self` that are not in `other`.
            pub const fn without(self, other: Self) -> Self { Self(self.0 & !other.0) }

            /// Members of both.
            pub const fn both(self, other: Self) -> Self { Self(self.0 & other.0) }

            /// Whether nothing is here.
            pub const fn is_empty(self) -> bool { self.0 == 0 }

            /// The known members, in the order of the bits.
            pub fn iter(self) -> impl Iterator<Item = $item> {
                $item::ALL.iter().copied().filter(move |item| self.has(*item))
            }

            /// The names of the known members.
            pub fn names(self) -> Vec<&'static str> { self.iter().map($item::name).collect() }
        }

        impl From<$item> for $set {
            fn from(item: $item) -> Self { Self(1 << item as u8) }
        }

        impl FromIterator<$item> for $set {
            fn from_iter<I: IntoIterator<Item = $item>>(items: I) -> Self {
                items.into_iter().fold(Self::EMPTY, |set, item| set.with(item.into()))
            }
        }

        impl fmt::Debug for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.iter().map($item::name)).finish()
            }
        }
    };
}

bitset! {
    /// A set of [`Operation`]s.
    pub struct Operations(u64) of
    /// One operation of a backend: one slot of its table.
    pub enum Operation {
        /// Stores an object. Required.
        Upload = 0 upload,
        /// Reads an object. Required.
        Download = 1 download,
        /// Removes an object. Required.
        Delete = 2 delete,
        /// Tells whether an object is there. Required.
        Exists = 3 exists,
        /// Makes a URL that works without credentials. Required.
        SignedUrl = 4 signed_url,
        /// Facts about an object.
        Head = 5 head,
        /// A page of keys.
        List = 6 list,
        /// Copies inside the store.
        Copy = 7 copy,
        /// Renames inside the store.
        Rename = 8 rename,
        /// Deletes many keys in one request.
        DeleteMany = 9 delete_many,
        /// Cheap check that the store answers.
        Health = 10 health,
        /// Space used and free.
        Usage = 11 usage,
        /// Ends the instance.
        Shutdown = 12 shutdown,
        /// A vendor's own call.
        Custom = 13 custom,
        /// Begins an upload in parts. Since 1.1.
        CreateUpload = 14 create_upload,
        /// Stores a part. Since 1.1.
        PutPart = 15 put_part,
        /// A page of the parts of an upload. Since 1.1.
        ListParts = 16 list_parts,
        /// A page of uploads in parts. Since 1.1.
        ListUploads = 17 list_uploads,
        /// Completes an upload in parts: makes the object. Since 1.1.
        CompleteUpload = 18 complete_upload,
        /// Ends an upload in parts without an object. Since 1.1.
        AbortUpload = 19 abort_upload,
        /// Reads many ranges of one version of an object. Since 1.1.
        DownloadRanges = 20 download_ranges,
        /// A page of versions. Since 1.1.
        ListVersions = 21 list_versions,
        /// Replaces headers, metadata and tags without the bytes. Since 1.1.
        Update = 22 update,
    }
}

impl Capabilities {
    /// The two words of a descriptor and of `OpenOut`: bits 0 to 63, then bits 64 to 127.
    pub const fn words(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }

    /// From the two words of a descriptor or of `OpenOut`.
    pub const fn from_words([low, high]: [u64; 2]) -> Self {
        Self(low as u128 | (high as u128) << 64)
    }

    /// The members that exist in this minor of the ABI.
    pub const fn of_minor(self, minor: u16) -> Self {
        match minor {
            0 => Self(self.0 & u64::MAX as u128),
            _ => self,
        }
    }
}

impl Operations {
    /// The members that exist in this minor of the ABI.
    pub const fn of_minor(self, minor: u16) -> Self {
        match minor {
            0 => Self(self.0 & ((1 << Operation::CreateUpload as u8) - 1)),
            _ => self,
        }
    }

    /// The five that every plugin has, frozen for ABI major 1.
    pub const REQUIRED: Operations = Operations::upload
        .with(Operations::download)
        .with(Operations::delete)
        .with(Operations::exists)
        .with(Operations::signed_url);
}

bitset! {
    /// A set of [`Capability`]s.
    pub struct Capabilities(u128) of
    /// A promise of a plugin about its operations. What is not claimed answers `Unsupported`.
    pub enum Capability {
        /// A reader never sees a partial object. The host refuses to route to a backend without it
        /// unless the configuration says so.
        AtomicPut = 0 atomic_put,
        /// `create_only` uploads, exact under a race.
        CreateOnly = 1 create_only,
        /// Uploads with `if_match`.
        IfMatchPut = 2 if_match_put,
        /// Deletes with `if_match`.
        IfMatchDelete = 3 if_match_delete,
        /// Reads with `if_match`.
        IfMatchGet = 4 if_match_get,
        /// Reads with `if_none_match`.
        IfNoneMatchGet = 5 if_none_match_get,
        /// Reads with `if_modified_since` and `if_unmodified_since`.
        IfTime = 6 if_time,
        /// The range "last n bytes".
        Suffix = 7 suffix,
        /// Uploads whose length is not known; without it the host spools.
        UnknownLength = 8 unknown_length,
        /// The content type is kept and returned exactly.
        ContentType = 9 content_type,
        /// User metadata is kept, published in one step with the data.
        UserMetadata = 10 user_metadata,
        /// `Cache-Control` is kept.
        HeaderCacheControl = 11 header_cache_control,
        /// `Content-Disposition` is kept.
        HeaderContentDisposition = 12 header_content_disposition,
        /// `Content-Encoding` is kept.
        HeaderContentEncoding = 13 header_content_encoding,
        /// `Content-Language` is kept.
        HeaderContentLanguage = 14 header_content_language,
        /// CRC-32C is stored and returned.
        ChecksumCrc32c = 15 checksum_crc32c,
        /// SHA-256 is stored and returned.
        ChecksumSha256 = 16 checksum_sha256,
        /// MD5 is stored and returned.
        ChecksumMd5 = 17 checksum_md5,
        /// Copies without moving the bytes through the plugin.
        ServerCopy = 18 server_copy,
        /// Copies with `create_only`.
        CopyCreateOnly = 19 copy_create_only,
        /// Renames in one step.
        AtomicMove = 20 atomic_move,
        /// Listings come in byte order of the keys.
        OrderedList = 21 ordered_list,
        /// Listings may begin after a key.
        StartAfter = 22 start_after,
        /// Listings take a delimiter other than `/`.
        AnyDelimiter = 23 any_delimiter,
        /// Keys outside the portable policy are possible.
        AnyKey = 24 any_key,
        /// `a` and `a/b` may exist together.
        KeyAndPrefix = 25 key_and_prefix,
        /// `File` and `file` are two keys.
        CaseSensitive = 26 case_sensitive,
        /// Two spellings of one character in Unicode (NFC, NFD) are two keys.
        UnicodeExact = 27 unicode_exact,
        /// Signs GET natively.
        SignGet = 28 sign_get,
        /// Signs PUT natively.
        SignPut = 29 sign_put,
        /// Signs HEAD natively.
        SignHead = 30 sign_head,
        /// Signs DELETE natively.
        SignDelete = 31 sign_delete,
        /// A signed PUT binds the content type.
        SignContentType = 32 sign_content_type,
        /// A signed PUT binds the largest size.
        SignMaxSize = 33 sign_max_size,
        /// A signed PUT binds a checksum.
        SignChecksum = 34 sign_checksum,
        /// A signed GET overrides name and content type of the answer.
        SignDisposition = 35 sign_disposition,
        /// Reports space.
        Usage = 36 usage,
        /// Objects have a URL that needs no signature.
        PublicUrl = 37 public_url,
        /// Reads, heads and deletes by version.
        Versions = 38 versions,
        /// Has calls of its own.
        Custom = 39 custom,
        /// `delete` with `must_exist` is decided in the store, without a window.
        ExactDelete = 40 exact_delete,
        /// A change may become visible late (by [`Limits::eventual_ms`] at most).
        Eventual = 41 eventual,
        /// Uploads may ask how durable they are when they answer.
        Durability = 42 durability,
        /// Uploads in parts, with all six operations. Since 1.1, as all that follow.
        Parts = 64 parts,
        /// Parts of any size. Without it every part but the last has at least [`Limits::min_part_bytes`].
        PartsAnySize = 65 parts_any_size,
        /// Reads many ranges of one version in one operation.
        Ranges = 66 ranges,
        /// Downloads are written into memory of the caller.
        ReadInto = 67 read_into,
        /// A download may give its bytes as a range of an open file.
        LendFile = 68 lend_file,
        /// Copies with `if_match`: a condition on the etag of the target.
        CopyIfMatch = 69 copy_if_match,
        /// Copies with conditions on the etag of the source.
        CopySourceConditions = 70 copy_source_conditions,
        /// Copies a named version of the source.
        CopySourceVersion = 71 copy_source_version,
        /// A copy replaces content type, headers, metadata, tags and storage class.
        CopyReplaceMetadata = 72 copy_replace_metadata,
        /// Lists versions.
        ListVersions = 73 list_versions,
        /// `delete_many` takes a version for each key.
        DeleteManyVersions = 74 delete_many_versions,
        /// `update` replaces content type and headers.
        UpdateHeaders = 75 update_headers,
        /// `update` replaces user metadata.
        UpdateMetadata = 76 update_metadata,
        /// `update` replaces tags.
        UpdateTags = 77 update_tags,
        /// Uploads, updates and copies may name a storage class.
        StorageClass = 78 storage_class,
        /// Tags are kept, and returned when they are asked for.
        Tags = 79 tags,
        /// Uploads may ask the store to encrypt with keys of its own.
        EncryptionManaged = 80 encryption_managed,
        /// Uploads may name the key of the key service that the store encrypts with.
        EncryptionKeyId = 81 encryption_key_id,
    }
}

/// The numbers of an opened instance. `None`, or the stated default, where the store has no limit.
///
/// ```
/// use holdall_plugin_api::Limits;
///
/// let limits = Limits::default().max_key_bytes(900).max_metadata_bytes(8192).retries(3);
/// assert_eq!(limits.max_key_bytes, Some(900));
/// assert_eq!(limits.max_object_size, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest object, in bytes.
    pub max_object_size: Option<u64>,
    /// Largest upload under a condition (`create_only`, `if_match`), in bytes: less than
    /// `max_object_size` where a store holds conditions over single requests only.
    pub max_conditional_size: Option<u64>,
    /// Longest key, in bytes; the portable policy allows 1024.
    pub max_key_bytes: Option<u32>,
    /// Most user metadata, names and values together, in bytes; default 2048.
    pub max_metadata_bytes: u32,
    /// Most entries of a page; default 1000.
    pub max_page: u32,
    /// Longest life of a natively signed URL, in seconds.
    pub max_sign_seconds: Option<u32>,
    /// Most memory, in bytes, that one stream holds; default 8 MiB.
    pub buffer_bytes: u64,
    /// How often the plugin repeats a request on its own; default 0.
    pub retries: u32,
    /// Bound of `eventual`, in milliseconds.
    pub eventual_ms: u32,
    /// Smallest part of an upload in parts, in bytes; the last part may be smaller. Default 0.
    pub min_part_bytes: u64,
    /// Largest part of an upload in parts, in bytes.
    pub max_part_bytes: Option<u64>,
    /// Largest number of a part, and so the most parts of an upload; default 10 000.
    pub max_parts: u32,
    /// How long the store keeps an upload in parts that is neither completed nor aborted, in seconds.
    pub max_upload_seconds: Option<u32>,
}

impl Limits {
    /// The stated defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the size of the largest object, in bytes.
    #[must_use]
    pub fn max_object_size(mut self, max_object_size: impl Into<Option<u64>>) -> Self {
        self.max_object_size = max_object_size.into();
        self
    }

    /// Sets the size of the largest conditional upload, in bytes.
    #[must_use]
    pub fn max_conditional_size(mut self, max_conditional_size: impl Into<Option<u64>>) -> Self {
        self.max_conditional_size = max_conditional_size.into();
        self
    }

    /// Sets the length of the longest key, in bytes.
    #[must_use]
    pub fn max_key_bytes(mut self, max_key_bytes: impl Into<Option<u32>>) -> Self {
        self.max_key_bytes = max_key_bytes.into();
        self
    }

    /// Sets the size of the most user metadata, in bytes.
    #[must_use]
    pub fn max_metadata_bytes(mut self, max_metadata_bytes: u32) -> Self {
        self.max_metadata_bytes = max_metadata_bytes;
        self
    }

    /// Sets the number of entries of the largest page.
    #[must_use]
    pub fn max_page(mut self, max_page: u32) -> Self {
        self.max_page = max_page;
        self
    }

    /// Sets the longest validity of a natively signed URL, in seconds.
    #[must_use]
    pub fn max_sign_seconds(mut self, max_sign_seconds: impl Into<Option<u32>>) -> Self {
        self.max_sign_seconds = max_sign_seconds.into();
        self
    }

    /// Sets the most memory of one stream, in bytes.
    #[must_use]
    pub fn buffer_bytes(mut self, buffer_bytes: u64) -> Self {
        self.buffer_bytes = buffer_bytes;
        self
    }

    /// Sets how often the plugin repeats a request on its own.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the bound of `eventual`, in milliseconds.
    #[must_use]
    pub fn eventual_ms(mut self, eventual_ms: u32) -> Self {
        self.eventual_ms = eventual_ms;
        self
    }

    /// Sets smallest and largest part of an upload, in bytes. The last part may be smaller.
    #[must_use]
    pub fn part_bytes(mut self, min: u64, max: impl Into<Option<u64>>) -> Self {
        (self.min_part_bytes, self.max_part_bytes) = (min, max.into());
        self
    }

    /// Sets the largest number of a part.
    #[must_use]
    pub fn max_parts(mut self, max_parts: u32) -> Self {
        self.max_parts = max_parts;
        self
    }

    /// Sets how long the store keeps an upload in parts, in seconds.
    #[must_use]
    pub fn max_upload_seconds(mut self, max_upload_seconds: impl Into<Option<u32>>) -> Self {
        self.max_upload_seconds = max_upload_seconds.into();
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_object_size: None,
            max_conditional_size: None,
            max_key_bytes: None,
            max_metadata_bytes: 2048,
            max_page: 1000,
            max_sign_seconds: None,
            buffer_bytes: 8 << 20,
            retries: 0,
            eventual_ms: 0,
            min_part_bytes: 0,
            max_part_bytes: None,
            max_parts: 10_000,
            max_upload_seconds: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_used_once_and_in_order() {
        for (index, item) in Operation::ALL.iter().enumerate() {
            assert_eq!(*item as usize, index, "{item}");
        }
        let first = 0..43;
        let second = 64..82;
        let bits = Capability::ALL.iter().map(|item| *item as usize);
        assert!(
            bits.eq(first.chain(second)),
            "43 to 63 are free for corrections of 1.0"
        );
        assert!(Operations::ALL.iter().eq(Operation::ALL.iter().copied()));
        assert!(Capabilities::ALL.iter().eq(Capability::ALL.iter().copied()));
    }

    #[test]
    fn names_lead_back() {
        for item in Capability::ALL {
            assert_eq!(Capability::from_name(item.name()), Some(*item));
        }
        assert_eq!(Operation::from_name("hed"), None);
        assert_eq!(Operations::REQUIRED.names().len(), 5);
        assert!(Operations::REQUIRED.has(Operation::SignedUrl));
        assert!(!Operations::REQUIRED.has(Operation::Head));
    }

    #[test]
    fn unknown_bits_of_a_newer_minor_are_kept() {
        let set = Capabilities::from_bits(1 << 127 | 1);
        assert_eq!(set.names(), ["atomic_put"]);
        assert_eq!(set.bits(), 1 << 127 | 1);
    }
}
