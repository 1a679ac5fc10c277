//! The service: maps the operations of OpenDAL to those of a backend.

use super::directory::Directories;
use super::error::error;
use super::lister::Listing;
use super::metadata;
use super::reader::{Conditions, Reading};
use super::writer::Writer;
use holdall::{Backend, BackendInfo, Terms};
use holdall_plugin_api::{
    Body, Capability as Claim, CopyObject, Delete, DeleteMany, Head, List, Method, Operation,
    Rename, SignUrl, Upload,
};
use opendal_core::raw::oio::{
    self, BatchDelete, BatchDeleteResult, BatchDeleter, OneShotCopier, PageLister,
};
use opendal_core::raw::{
    OpCopy, OpCreateDir, OpDelete, OpList, OpPresign, OpRead, OpRename, OpStat, OpWrite,
    PresignOperation, PresignedRequest, RpCreateDir, RpPresign, RpRename, RpStat, Service,
    ServiceInfo,
};
use opendal_core::{
    Builder, Capability, Configurator, Error, ErrorKind, MetadataBuilder, OperationContext, Result,
};
use serde::{Deserialize, Serialize};

/// Most keys of one batch delete.
const MAX_BATCH: usize = 1000;

/// Builder of the service of one backend.
#[derive(Default)]
pub(super) struct HoldallBuilder(Option<BackendService>);

impl HoldallBuilder {
    pub(super) fn new(backend: Backend, facts: &BackendInfo, terms: &Terms) -> Self {
        Self(Some(BackendService {
            info: ServiceInfo::new("holdall", "/", backend.name()),
            capability: capability(facts),
            max_page: facts.limits.max_page.clamp(1, 1000),
            directories: Directories::new(terms),
            backend,
        }))
    }
}

/// Empty: a host makes backends.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct HoldallConfig {}

impl Configurator for HoldallConfig {
    type Builder = HoldallBuilder;

    fn into_builder(self) -> HoldallBuilder {
        HoldallBuilder::default()
    }
}

impl Builder for HoldallBuilder {
    type Config = HoldallConfig;

    fn build(self) -> Result<impl Service> {
        self.0.ok_or_else(|| {
            Error::new(
                ErrorKind::ConfigInvalid,
                "use `IntoOperator::into_operator` to make an operator of a Holdall backend",
            )
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct BackendService {
    backend: Backend,
    info: ServiceInfo,
    capability: Capability,
    max_page: u32,
    directories: Directories,
}

/// Capabilities of the operator: what the backend claims.
fn capability(facts: &BackendInfo) -> Capability {
    let has = |claim: Claim| facts.capabilities.has(claim);
    let lists = facts.operations.has(Operation::List);
    // What the store cannot sign, the gateway of the host signs, with every constraint.
    let signs = |claim: Claim| has(claim) || facts.gateway;
    Capability {
        stat: true,
        stat_with_if_match: has(Claim::IfMatchGet),
        stat_with_if_none_match: has(Claim::IfNoneMatchGet),
        stat_with_if_modified_since: has(Claim::IfTime),
        stat_with_if_unmodified_since: has(Claim::IfTime),
        stat_with_version: has(Claim::Versions),
        read: true,
        read_with_if_match: has(Claim::IfMatchGet),
        read_with_if_none_match: has(Claim::IfNoneMatchGet),
        read_with_if_modified_since: has(Claim::IfTime),
        read_with_if_unmodified_since: has(Claim::IfTime),
        read_with_version: has(Claim::Versions),
        read_with_suffix: has(Claim::Suffix),
        // The gateway writes the header itself, from a file name: another text than was given.
        read_with_override_content_disposition: has(Claim::SignDisposition),
        read_with_override_content_type: signs(Claim::SignDisposition),
        write: true,
        write_can_multi: true,
        write_can_empty: true,
        write_with_content_type: has(Claim::ContentType),
        write_with_cache_control: has(Claim::HeaderCacheControl),
        write_with_content_disposition: has(Claim::HeaderContentDisposition),
        write_with_content_encoding: has(Claim::HeaderContentEncoding),
        write_with_user_metadata: has(Claim::UserMetadata),
        write_with_if_match: has(Claim::IfMatchPut),
        write_with_if_not_exists: has(Claim::CreateOnly),
        write_total_max_size: facts
            .limits
            .max_object_size
            .and_then(|bytes| usize::try_from(bytes).ok()),
        delete: true,
        delete_max_size: Some(MAX_BATCH),
        delete_with_if_match: has(Claim::IfMatchDelete),
        delete_with_version: has(Claim::Versions),
        copy: true,
        copy_with_if_not_exists: has(Claim::CopyCreateOnly),
        rename: true,
        // A directory is found by listing.
        create_dir: lists,
        list: lists,
        list_with_recursive: lists,
        list_with_limit: lists,
        list_with_start_after: lists && has(Claim::StartAfter),
        presign: [
            Claim::SignGet,
            Claim::SignPut,
            Claim::SignHead,
            Claim::SignDelete,
        ]
        .into_iter()
        .any(signs),
        presign_read: signs(Claim::SignGet),
        presign_write: signs(Claim::SignPut),
        presign_stat: signs(Claim::SignHead),
        presign_delete: signs(Claim::SignDelete),
        shared: true,
        ..Capability::default()
    }
}

fn not_supported(what: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

impl Service for BackendService {
    type Reader = oio::StreamReader<Reading>;
    type Writer = Writer;
    type Lister = PageLister<Listing>;
    type Deleter = BatchDeleter<Deleting>;
    type Copier = OneShotCopier;
    type Composer = ();

    fn info(&self) -> ServiceInfo {
        self.info.clone()
    }

    fn capability(&self) -> Capability {
        self.capability
    }

    async fn create_dir(
        &self,
        _: &OperationContext,
        path: &str,
        _: OpCreateDir,
    ) -> Result<RpCreateDir> {
        if let Some(key) = self.directories.key(path) {
            let marker = Upload::new(&key, Body::empty());
            self.backend.upload(marker).await.map_err(error)?;
        }
        Ok(RpCreateDir::default())
    }

    async fn stat(&self, _: &OperationContext, path: &str, args: OpStat) -> Result<RpStat> {
        if path.ends_with('/') {
            return self.stat_directory(path).await;
        }
        let conditions = Conditions::from(&args);
        let mut head = Head::new(path);
        conditions.apply(head.options_mut());
        let info = self.backend.head(head).await.map_err(error)?;
        Ok(RpStat::new(metadata::of_object(&info)))
    }

    fn read(&self, _: &OperationContext, path: &str, args: OpRead) -> Result<Self::Reader> {
        Ok(oio::StreamReader::new(Reading {
            backend: self.backend.clone(),
            key: path.to_owned(),
            conditions: Conditions::from(&args),
        }))
    }

    fn write(&self, _: &OperationContext, path: &str, args: OpWrite) -> Result<Writer> {
        if args.append() {
            return Err(not_supported(
                "a backend replaces objects and appends to none",
            ));
        }
        Ok(Writer::new(self.backend.clone(), path.to_owned(), args))
    }

    fn delete(&self, _: &OperationContext) -> Result<Self::Deleter> {
        let deleting = Deleting {
            backend: self.backend.clone(),
            directories: self.directories,
        };
        Ok(BatchDeleter::new(deleting, Some(MAX_BATCH)))
    }

    fn list(&self, _: &OperationContext, path: &str, args: OpList) -> Result<Self::Lister> {
        let listing = Listing::new(
            self.backend.clone(),
            path,
            &args,
            self.max_page,
            self.directories,
        );
        Ok(PageLister::new(listing))
    }

    fn copy(
        &self,
        _: &OperationContext,
        from: &str,
        to: &str,
        args: OpCopy,
    ) -> Result<OneShotCopier> {
        let (backend, from, to) = (self.backend.clone(), from.to_owned(), to.to_owned());
        Ok(OneShotCopier::new(async move {
            let mut copy = CopyObject::new(&from, &to);
            copy.create_only = args.if_not_exists();
            let copied = backend.copy(copy).await.map_err(error)?;
            let size = match copied.size {
                Some(size) => size,
                // OpenDAL needs the size; some stores do not report it for a copy.
                None => backend.head(Head::new(&to)).await.map_err(error)?.size,
            };
            let mut built = MetadataBuilder::file(size);
            metadata::common(&mut built, copied.etag.as_deref(), copied.last_modified);
            Ok(built.build())
        }))
    }

    async fn rename(
        &self,
        _: &OperationContext,
        from: &str,
        to: &str,
        _: OpRename,
    ) -> Result<RpRename> {
        self.backend
            .rename(Rename::new(from, to))
            .await
            .map_err(error)?;
        Ok(RpRename::default())
    }

    async fn presign(
        &self,
        _: &OperationContext,
        path: &str,
        args: OpPresign,
    ) -> Result<RpPresign> {
        let life = args.expire();
        let (name, content_type);
        let sign = match args.operation() {
            PresignOperation::Stat(_) => SignUrl::new(Method::Head, path, life),
            PresignOperation::Delete(_) => SignUrl::new(Method::Delete, path, life),
            PresignOperation::Write(write) => {
                content_type = write.content_type().map(str::to_owned);
                let mut sign = SignUrl::new(Method::Put, path, life);
                sign.content_type = content_type.as_deref();
                sign
            }
            PresignOperation::Read(_, read) => {
                name = read
                    .override_content_disposition()
                    .map(|text| {
                        attachment(text).ok_or_else(|| {
                            not_supported("only `attachment; filename=\"..\"` can be signed")
                        })
                    })
                    .transpose()?;
                content_type = read.override_content_type().map(str::to_owned);
                let mut sign = SignUrl::new(Method::Get, path, life);
                sign.download_name = name.as_deref();
                sign.response_content_type = content_type.as_deref();
                sign
            }
            _ => return Err(not_supported("this cannot be signed")),
        };
        let method = sign.method.name();
        let url = self.backend.signed_url(sign).await.map_err(error)?;
        let broken = |cause: http::Error| {
            Error::new(ErrorKind::Unexpected, "the backend signed no URL").set_source(cause)
        };
        let mut request = http::Request::builder().method(method).uri(&url.url);
        for (name, value) in &url.headers {
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).map_err(broken)?.into_parts();
        let request = PresignedRequest::new(parts.method, parts.uri, parts.headers);
        Ok(RpPresign::new(request))
    }
}

/// Returns the file name of a plain attachment; the backend writes the header itself.
fn attachment(disposition: &str) -> Option<String> {
    let name = disposition.strip_prefix("attachment; filename=\"")?;
    let (name, rest) = name.split_once('"')?;
    rest.is_empty().then(|| name.to_owned())
}

impl BackendService {
    /// A directory is there while a key begins with its path: its marker, or an object in it.
    async fn stat_directory(&self, path: &str) -> Result<RpStat> {
        let mut token: Option<String> = None;
        loop {
            let list = List::new(path).limit(1).page_token(token.as_deref());
            let page = self.backend.list(list).await.map_err(error)?;
            if !page.entries.is_empty() || !page.common_prefixes.is_empty() {
                return Ok(RpStat::new(MetadataBuilder::dir().build()));
            }
            // A page may be empty and not the last: the host leaves keys out that it cannot show.
            token = page.next;
            if token.is_none() {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    "no key begins with the path of this directory",
                ));
            }
        }
    }
}

pub(super) struct Deleting {
    backend: Backend,
    directories: Directories,
}

impl BatchDelete for Deleting {
    async fn delete_once(&self, path: String, args: OpDelete) -> Result<()> {
        let Some(key) = self.directories.key(&path) else {
            return Ok(());
        };
        let mut delete = Delete::new(&key);
        delete.if_match = args.if_match();
        delete.version = args.version();
        self.backend.delete(delete).await.map_err(error)?;
        Ok(())
    }

    async fn delete_batch(&self, batch: Vec<(String, OpDelete)>) -> Result<BatchDeleteResult> {
        // A batch has neither conditions nor versions.
        let (plain, single): (Vec<_>, Vec<_>) = batch.into_iter().partition(|(path, args)| {
            path != "/" && args.if_match().is_none() && args.version().is_none()
        });
        let keys = plain
            .iter()
            .filter_map(|(path, _)| self.directories.key(path));
        let keys: Vec<_> = keys.collect();
        let many = DeleteMany::new(keys.iter().map(String::as_str));
        let answers = self.backend.delete_many(many).await.map_err(error)?;
        let mut result = BatchDeleteResult::default();
        for ((path, args), answer) in plain.into_iter().zip(answers) {
            match answer {
                Ok(_) => result.succeeded.push((path, args)),
                Err(failed) => result.failed.push((path, args, error(failed))),
            }
        }
        for (path, args) in single {
            match self.delete_once(path.clone(), args.clone()).await {
                Ok(()) => result.succeeded.push((path, args)),
                Err(failed) => result.failed.push((path, args, failed)),
            }
        }
        // The caller takes an answer without a success for a fault of this service.
        if result.succeeded.is_empty()
            && let Some((path, _, failed)) = result.failed.pop()
        {
            return Err(failed.with_context("path", path));
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_attachment_is_understood() {
        assert_eq!(
            attachment("attachment; filename=\"a b\""),
            Some("a b".to_owned())
        );
        for other in [
            "inline",
            "attachment",
            "attachment; filename=\"a\"; filename*=UTF-8''b",
        ] {
            assert_eq!(attachment(other), None, "{other}");
        }
    }
}
