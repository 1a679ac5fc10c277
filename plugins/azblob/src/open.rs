//! From a configuration to a store of the adapter.

use crate::config::{AzblobConfig, Identity, Settled};
use crate::credentials;
use crate::request::{Conditional, Requests, SigningKey};
use crate::sas::Sas;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{Capabilities, Deleted, Error, ErrorKind, Host, Result};
use holdall_plugin_api_object_store::{
    CLOUD, Http, LargeConditions, MetadataNames, Native, OpenStore, SIGNING, Store,
};
use object_store::azure::{AzureAccessKey, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use std::sync::Arc;

/// Blocks of one blob: <https://learn.microsoft.com/rest/api/storageservices/understanding-block-blobs--append-blobs--and-page-blobs>.
const MOST_BLOCKS: u64 = 50_000;
/// Longest life of a signed URL, in seconds: the contract's, for the service has no bound of its own.
const LONGEST_SIGN: u32 = 7 * 24 * 3600;

/// What the service keeps; configurations take from it. Not `ordered_list`: its order is not documented
/// to be that of bytes, and Azurite's is that of UTF-16. Not `suffix`: it has no such range. Not
/// `sign_content_type`: a signature binds no header.
const CLAIMS: Capabilities = CLOUD
    .without(Capabilities::suffix)
    .without(Capabilities::sign_content_type)
    .with(Capabilities::copy_create_only);

/// Opens containers.
#[derive(Debug)]
pub struct Azblob;

impl OpenStore for Azblob {
    type Config = AzblobConfig;

    async fn open(config: AzblobConfig, _: &Host) -> Result<Store> {
        let settled = config.settle()?;
        let settings = &settled.config.settings;
        let http = Http::new(settings.http(settled.service.authority()))?;
        let key = key(&settled)?;
        let store = Arc::new(build(&settled, http.clone(), key.as_deref())?);
        Ok(adapted(settled, http, store, key))
    }
}

/// The bytes of the account key, where there is one.
fn key(settled: &Settled) -> Result<Option<Vec<u8>>> {
    let Identity::Key(key) = &settled.identity else {
        return Ok(None);
    };
    let field = match settled.config.account_key {
        Some(_) => "account_key",
        None => "connection_string",
    };
    let bytes = STANDARD.decode(key).map_err(|_| {
        Error::new(ErrorKind::ConfigInvalid)
            .message(format!("{field}: an account key is base64"))
            .fact(field, "an account key is base64")
    })?;
    Ok(Some(bytes))
}

fn build(settled: &Settled, http: Http, key: Option<&[u8]>) -> Result<MicrosoftAzure> {
    let config = &settled.config;
    let invalid = |cause| Error::new(ErrorKind::ConfigInvalid).because(cause);
    let key = match key {
        None => None,
        Some(bytes) => {
            let key = AzureAccessKey::try_new(&STANDARD.encode(bytes));
            Some(Arc::new(SigningKey {
                credential: AzureCredential::AccessKey(
                    key.map_err(object_store::Error::from).map_err(invalid)?,
                ),
                account: settled.account.clone(),
            }))
        }
    };
    let builder = MicrosoftAzureBuilder::new()
        .with_account(&settled.account)
        .with_container_name(&config.container)
        .with_endpoint(settled.service.as_str().trim_end_matches('/').to_owned())
        .with_allow_http(true)
        .with_disable_tagging(true)
        .with_retry(config.settings.retry())
        .with_http_connector(Conditional { http, key });
    credentials::give(builder, settled)?
        .build()
        .map_err(invalid)
}

fn adapted(
    settled: Settled,
    http: Http,
    azure: Arc<MicrosoftAzure>,
    key: Option<Vec<u8>>,
) -> Store {
    let config = &settled.config;
    let anonymous = matches!(settled.identity, Identity::Nobody);
    let mut container = settled.service.clone();
    if let Ok(mut segments) = container.path_segments_mut() {
        segments.pop_if_empty().push(&config.container);
    }
    let requests = Requests {
        http,
        credentials: (!anonymous).then(|| Arc::clone(azure.credentials())),
        account: settled.account.clone(),
        container,
    };
    let mut without = settled.without;
    if key.is_none() {
        without = without.with(SIGNING);
    }
    let block_bytes = (config.block_size_mib as usize) << 20;
    let large = match config.conditional_upload_mib {
        None => LargeConditions::AtCompletion,
        Some(mib) => LargeConditions::InOnePut {
            max_bytes: (mib as usize) << 20,
        },
    };
    let retries = config.settings.retries;
    let store = Store::of(azure as _)
        .pages(Arc::new(requests.clone()))
        .native(Arc::new(AzureNative(requests.clone())))
        .prefix(config.settings.prefix.clone())
        .describe(format!(
            "az://{}/{}/{}",
            settled.account, config.container, config.settings.prefix
        ))
        .capabilities(CLAIMS.without(without))
        .parts(block_bytes, config.blocks_at_once as usize)
        .large_conditions(large)
        .metadata_names(MetadataNames::Identifiers)
        .always_etag()
        .limits(|limits| {
            limits.max_object_size = Some(block_bytes as u64 * MOST_BLOCKS);
            limits.max_sign_seconds = Some(LONGEST_SIGN);
            limits.retries = retries;
        });
    match key {
        None => store,
        Some(key) => store
            .signer(Arc::new(Sas {
                requests,
                container: config.container.clone(),
                key,
            }))
            .sign_put_header("x-ms-blob-type", "BlockBlob"),
    }
}

struct AzureNative(Requests);

impl Native for AzureNative {
    fn delete<'a>(
        &'a self,
        path: &'a Path,
        if_match: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Deleted>>> {
        Some(Box::pin(self.0.delete(path, if_match)))
    }

    fn clock_skew(&self) -> Option<i64> {
        self.0.http.clock_skew()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::descriptor::Descriptor;

    #[test]
    fn the_descriptor_declares_exactly_the_most_that_is_claimed() {
        let descriptor = Descriptor::parse(crate::PLUGIN.section).unwrap();
        assert_eq!(descriptor.capabilities, CLAIMS);
    }
}
