//! From a configuration to a store of the adapter.

use crate::config::{AzblobConfig, Identity, Settled};
use crate::credentials;
use crate::request::{Conditional, Sign, SigningKey};
use crate::sas::Sas;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{
    Capabilities, Copied, CopyObject, Deleted, Error, ErrorKind, Host, Result,
};
use holdall_plugin_api_object_store::{
    CLOUD, Call, Http, LargeConditions, Lister, MetadataNames, Native, OpenStore, OpenedStore,
    Requests, SIGNING, error_of,
};
use http::{HeaderMap, HeaderValue};
use object_store::azure::{AzureAccessKey, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{Attributes, CopyMode, CopyOptions, ObjectStore};
use std::sync::Arc;

/// Blocks of one blob: <https://learn.microsoft.com/rest/api/storageservices/understanding-block-blobs--append-blobs--and-page-blobs>.
const MOST_BLOCKS: u64 = 50_000;

/// What the service keeps at most; configurations take from it. Not `ordered_list`: its order is not documented
/// to be that of bytes, and Azurite's is that of UTF-16. Not `suffix`: it has no such range. Not
/// `sign_content_type`: a signature binds no header.
pub(crate) const CLAIMS: Capabilities = CLOUD
    .without(Capabilities::suffix)
    .without(Capabilities::sign_content_type)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::copy_if_match)
    .with(Capabilities::copy_source_conditions)
    .with(Capabilities::exact_delete);

/// Opens containers.
#[derive(Debug)]
pub struct Azblob;

impl OpenStore for Azblob {
    type Config = AzblobConfig;

    async fn open(config: AzblobConfig, _: &Host) -> Result<OpenedStore> {
        let settled = config.settle()?;
        let settings = &settled.config.settings;
        let http = Http::new(settings.http(settled.service.authority()))?;
        let store = Arc::new(build(&settled, http.clone())?);
        Ok(adapted(settled, http, store))
    }
}

fn build(settled: &Settled, http: Http) -> Result<MicrosoftAzure> {
    let config = &settled.config;
    let invalid = |cause| Error::new(ErrorKind::ConfigInvalid).because(cause);
    let key = match &settled.identity {
        Identity::Key(bytes) => {
            let key = AzureAccessKey::try_new(&STANDARD.encode(bytes));
            let key = key.map_err(object_store::Error::from).map_err(invalid)?;
            Some(Arc::new(SigningKey {
                credential: AzureCredential::AccessKey(key),
                account: settled.account.clone(),
            }))
        }
        _ => None,
    };
    let builder = MicrosoftAzureBuilder::new()
        .with_account(&settled.account)
        .with_container_name(&config.container)
        .with_endpoint(settled.service.as_str().trim_end_matches('/').to_owned())
        .with_allow_http(true)
        .with_disable_tagging(true)
        .with_retry(config.settings.retry())
        .with_http_connector(Conditional { http, key });
    credentials::give(builder, settled).build().map_err(invalid)
}

fn adapted(settled: Settled, http: Http, azure: Arc<MicrosoftAzure>) -> OpenedStore {
    let config = &settled.config;
    let anonymous = matches!(settled.identity, Identity::Anonymous);
    let service = settled.service.as_str().trim_end_matches('/');
    let container_url = format!("{service}/{}", config.container);
    let sign = Sign {
        credentials: (!anonymous).then(|| Arc::clone(azure.credentials())),
        account: settled.account.clone(),
    };
    let requests = Requests::new(http, container_url, config.settings.retry(), sign);
    let mut without = settled.without;
    if !matches!(settled.identity, Identity::Key(_)) {
        without = without.with(SIGNING);
    }
    let block_bytes = (config.block_size_mib as usize) << 20;
    let large = match config.conditional_upload_mib {
        None => LargeConditions::AtCompletion,
        Some(mib) => LargeConditions::InOnePut {
            max_bytes: (mib as usize) << 20,
        },
    };
    let store = OpenedStore::of(Arc::clone(&azure) as _)
        .over_http(requests.clone(), &config.settings)
        .pages(Arc::new(Lister::azure(requests.clone())))
        .native(Arc::new(AzureNative {
            requests: requests.clone(),
            azure,
        }))
        .describe(format!(
            "az://{}/{}/{}",
            settled.account, config.container, config.settings.prefix
        ))
        .capabilities(CLAIMS.without(without))
        .parts(block_bytes, config.blocks_at_once as usize)
        .large_conditions(large)
        .metadata_names(MetadataNames::Identifiers)
        .limits(|limits| {
            limits.max_object_size = Some(block_bytes as u64 * MOST_BLOCKS);
        });
    match settled.identity {
        Identity::Key(key) => store
            .signer(Arc::new(Sas {
                requests,
                account: settled.account.clone(),
                container: config.container.clone(),
                key,
            }))
            .sign_put_header("x-ms-blob-type", "BlockBlob"),
        _ => store,
    }
}

struct AzureNative {
    requests: Requests,
    azure: Arc<MicrosoftAzure>,
}

impl Native for AzureNative {
    fn delete<'a>(
        &'a self,
        path: &'a Path,
        if_match: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Deleted>>> {
        Some(Box::pin(async move {
            self.requests.delete(path, if_match).await.map(Deleted::new)
        }))
    }

    /// Other metadata is not claimed: the service replaces metadata in a copy, and no header.
    fn copy<'a>(
        &'a self,
        from: &'a Path,
        to: &'a Path,
        copy: &'a CopyObject<'a>,
        attributes: Option<Attributes>,
    ) -> Option<BoxFuture<'a, Result<Copied>>> {
        if attributes.is_some() {
            return None;
        }
        Some(Box::pin(async move {
            let conditions = copy.options();
            let mut headers = HeaderMap::new();
            for (name, etag) in [
                ("if-match", conditions.if_match),
                ("x-ms-source-if-match", conditions.source_if_match),
                ("x-ms-source-if-none-match", conditions.source_if_none_match),
            ] {
                // The adapter has looked at them.
                if let Some(Ok(etag)) = etag.map(HeaderValue::try_from) {
                    headers.insert(name, etag);
                }
            }
            let mode = match copy.create_only {
                true => CopyMode::Create,
                false => CopyMode::Overwrite,
            };
            let options = CopyOptions::default().with_mode(mode);
            let call = Call::document_with(headers);
            match call.run(self.azure.copy_opts(from, to, options)).await {
                Ok(()) => Ok(Copied::default()),
                Err(error) => match error_of(error, &call) {
                    // Of a repeated request the first may have done it, and changed the etag.
                    error
                        if error.kind() == ErrorKind::PreconditionFailed
                            && error.place().attempts > 1 =>
                    {
                        Err(Error::new(ErrorKind::Conflict)
                            .with_message(
                                "the condition is lost after an attempt whose answer was lost: look at the target",
                            )
                            .because(error))
                    }
                    error => Err(error),
                },
            }
        }))
    }
}
