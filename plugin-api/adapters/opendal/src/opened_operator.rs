//! An operator, and what is known of its service beyond what it says itself.

use crate::claims::Namespace;
use crate::fault::NO_CONTAINER;
use crate::provider_reply::ReplyCapture;
use holdall_plugin_api::{Capabilities, Capability, Error, ErrorKind, Result, Retry};
use opendal_core::raw::Servicer;
use opendal_core::{Metadata, OperationContext, Operator};

/// Bytes of a part of a large upload, unless [`OpenedOperator::part_bytes`] says otherwise.
const PART_BYTES: usize = 8 << 20;
/// Bytes of the largest object of a service that takes an object in one piece only.
const WHOLE_BYTES: usize = 64 << 20;

/// Bytes of user metadata. S3 takes 2 KiB; values that a header cannot carry are encoded, which makes them
/// a third longer.
const METADATA_BYTES: u32 = 1024;

/// What an author makes of a configuration: an operator, and what its service asserts.
#[derive(Clone, Debug)]
pub struct OpenedOperator {
    pub(crate) context: OperationContext,
    pub(crate) service: Servicer,
    pub(crate) capability: opendal_core::Capability,
    pub(crate) description: String,
    pub(crate) asserts: Capabilities,
    pub(crate) without: Capabilities,
    pub(crate) in_byte_order: bool,
    pub(crate) whole_facts: bool,
    pub(crate) in_one_piece: bool,
    pub(crate) quoted_etags: bool,
    pub(crate) always_etags: bool,
    pub(crate) metadata_headers: Option<&'static str>,
    pub(crate) copy_limit: Option<u64>,
    pub(crate) part_bytes: usize,
    pub(crate) whole_bytes: usize,
    pub(crate) retries: u32,
    pub(crate) max_sign_seconds: Option<u32>,
    pub(crate) max_object_size: Option<u64>,
    pub(crate) max_key_bytes: Option<u32>,
    pub(crate) max_metadata_bytes: u32,
}

impl OpenedOperator {
    /// A store that asserts nothing. `description` is one line for status pages, such as
    /// `oss://bucket/root`; no secret.
    pub fn new(operator: Operator, description: impl Into<String>) -> Self {
        let capability = operator.info().capability();
        let (context, service) = operator.into_parts();
        Self {
            context,
            service,
            capability,
            description: description.into(),
            asserts: Capabilities::EMPTY,
            without: Capabilities::EMPTY,
            in_byte_order: false,
            whole_facts: false,
            in_one_piece: false,
            quoted_etags: false,
            always_etags: false,
            metadata_headers: None,
            copy_limit: None,
            part_bytes: PART_BYTES,
            whole_bytes: WHOLE_BYTES,
            retries: 0,
            max_sign_seconds: None,
            max_object_size: None,
            max_key_bytes: None,
            max_metadata_bytes: METADATA_BYTES,
        }
    }

    /// What the service keeps beyond what an operator can say: whether an upload appears in one
    /// step (`atomic_put`), whether a condition is exact under a race (`create_only`,
    /// `if_match_put`, `if_match_delete`, `copy_create_only`), whether metadata appears with its
    /// data (`user_metadata`), whether a copy or rename is one step (`server_copy`,
    /// `atomic_move`), whether names are plain names (`key_and_prefix`: without it the service has
    /// folders, and more requests are made), `case_sensitive`, `unicode_exact`, and what a
    /// signature binds (`sign_content_type`, `sign_disposition`).
    ///
    /// An assertion about something that the operator does not offer counts for nothing.
    #[must_use]
    pub fn asserts(mut self, asserts: Capabilities) -> Self {
        self.asserts = self.asserts.with(asserts);
        self
    }

    /// Claims these capabilities in no case.
    #[must_use]
    pub fn without(mut self, capabilities: Capabilities) -> Self {
        self.without = self.without.with(capabilities);
        self
    }

    /// A recursive listing comes in byte order of the keys, so that it may end early. Where it does
    /// not, a page costs a whole listing.
    #[must_use]
    pub fn in_byte_order(mut self) -> Self {
        self.in_byte_order = true;
        self
    }

    /// The answer to a read has all the facts that a look has: size, etag, type, headers, metadata.
    /// A read is one request then, and three where it is not.
    #[must_use]
    pub fn whole_facts(mut self) -> Self {
        self.whole_facts = true;
        self.always_etags()
    }

    /// Size of the parts of a large upload, 8 MiB by default. An upload holds three of them at most.
    /// Services with a larger smallest part get that one.
    #[must_use]
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes.max(1);
        self
    }

    /// The answer to a read has user metadata in headers of this prefix, in small letters, which the
    /// operator's reader leaves out: they are taken from the answer itself.
    #[must_use]
    pub fn metadata_headers(mut self, prefix: &'static str) -> Self {
        self.metadata_headers = Some(prefix);
        self
    }

    /// Every object has an etag, so that an answer without one is not this service's: a sign-in page of
    /// the network, say.
    #[must_use]
    pub fn always_etags(mut self) -> Self {
        self.always_etags = true;
        self
    }

    /// Etags have quotes, as in HTTP, but for listings and other documents, which may leave them out.
    #[must_use]
    pub fn quoted_etags(mut self) -> Self {
        self.quoted_etags = true;
        self
    }

    /// Writes no object in parts, for services whose parts lose what belongs to the object, or
    /// outlive it.
    #[must_use]
    pub fn in_one_piece(mut self) -> Self {
        self.in_one_piece = true;
        self
    }

    /// The largest object that the service copies in one step; larger ones are copied by their
    /// bytes. With a limit, a copy looks at its source first.
    #[must_use]
    pub fn copy_limit(mut self, bytes: u64) -> Self {
        self.copy_limit = Some(bytes);
        self
    }

    /// The largest object where the service takes it in one piece, which is held in memory: 64 MiB
    /// by default.
    #[must_use]
    pub fn whole_bytes(mut self, bytes: usize) -> Self {
        self.whole_bytes = bytes;
        self
    }

    /// How often a layer of the operator repeats a request on its own.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Longest life of a URL that the service signs.
    #[must_use]
    pub fn max_sign_seconds(mut self, seconds: u32) -> Self {
        self.max_sign_seconds = Some(seconds);
        self
    }

    /// Longest key, in bytes, where the service takes less than 1024.
    #[must_use]
    pub fn max_key_bytes(mut self, bytes: u32) -> Self {
        self.max_key_bytes = Some(bytes);
        self
    }

    /// Bytes of user metadata, names and values together, where the service takes less than 1024. What a
    /// header cannot carry is a third longer there, and 12 bytes.
    #[must_use]
    pub fn max_metadata_bytes(mut self, bytes: u32) -> Self {
        self.max_metadata_bytes = bytes;
        self
    }

    /// Largest object of the service, in bytes.
    #[must_use]
    pub fn max_object_size(mut self, bytes: u64) -> Self {
        self.max_object_size = Some(bytes);
        self
    }

    pub(crate) fn namespace(&self) -> Namespace {
        if self.asserts.has(Capability::KeyAndPrefix) {
            Namespace::Flat
        } else {
            Namespace::Folders
        }
    }

    /// Refuses facts that this service has not given.
    pub(crate) fn own(&self, facts: Metadata) -> Result<Metadata> {
        if facts.is_file() && self.always_etags && facts.etag().is_none() {
            return Err(Error::new(ErrorKind::Unavailable)
                .with_message("the answer is not this service's: it has no etag")
                .with_retry(Retry::Safe));
        }
        Ok(facts)
    }

    /// The same error, where what is missing can be nothing but the container: of a request that needs
    /// no object, to a service without folders.
    pub(crate) fn missing_container(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::FileNotFound || self.namespace() != Namespace::Flat {
            return error;
        }
        Error::new(ErrorKind::ContainerMissing)
            .with_message(NO_CONTAINER)
            .with_provider(error.provider().clone())
            .because(error)
    }

    /// The operator for one operation, and what it hears of the provider.
    pub(crate) fn operation(&self) -> (Operator, ReplyCapture) {
        let transport = self.context.http_transport().clone();
        let capture = ReplyCapture::new(transport, self.metadata_headers);
        let context = self.context.with_http_transport(capture.transporter());
        (Operator::from_parts(context, self.service.clone()), capture)
    }
}
