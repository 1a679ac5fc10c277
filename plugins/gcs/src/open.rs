//! From a configuration to a store of the adapter.

use crate::config::{GcsConfig, Settled};
use crate::generation::Generations;
use crate::identity::Identity;
use crate::request::Bearer;
use crate::sign::Escaping;
use crate::tokens::Tokens;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{Capabilities, Deleted, Error, ErrorKind, Host, Result};
use holdall_plugin_api_object_store::{
    CLOUD, Http, Lister, Multipart, Native, OpenStore, OpenedStore, Requests, SIGNING,
};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use std::sync::Arc;

/// What the service keeps at most; configurations take from it.
pub(crate) const CLAIMS: Capabilities = CLOUD
    .with(Capabilities::copy_create_only)
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after)
    .with(Capabilities::parts);

/// Opens buckets.
#[derive(Debug)]
pub struct Gcs;

impl OpenStore for Gcs {
    type Config = GcsConfig;

    async fn open(config: GcsConfig, _: &Host) -> Result<OpenedStore> {
        let settled = config.settle()?;
        let settings = &settled.config.settings;
        let http = Http::new(settings.http(settled.service.authority()))?;
        let store = build(&settled, http.clone())?;
        Ok(adapted(settled, http, store))
    }
}

fn build(settled: &Settled, http: Http) -> Result<GoogleCloudStorage> {
    let config = &settled.config;
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&config.bucket)
        .with_base_url(settled.service.as_str().trim_end_matches('/'))
        .with_retry(config.settings.retry())
        .with_http_connector(Tokens::new(settled, http)?);
    let (builder, field) = match &settled.identity {
        Identity::ServiceAccount { field, key } => {
            (builder.with_service_account_key(key.reveal()), *field)
        }
        Identity::User(file) => (
            builder.with_application_credentials(file.display().to_string()),
            "application_credentials_file",
        ),
        Identity::Machine => (builder, "application_credentials_file"),
    };
    // The cause is not kept: it may quote a line of the key.
    builder.build().map_err(|_| {
        Error::new(ErrorKind::ConfigInvalid)
            .with_message(format!("{field}: these are no credentials of Google"))
            .with_fact(field, "these are no credentials of Google")
    })
}

fn adapted(settled: Settled, http: Http, gcs: GoogleCloudStorage) -> OpenedStore {
    let config = &settled.config;
    let mut without = settled.without;
    // Others would have every signature made by a service of Google's.
    let elsewhere = config.endpoint.is_some() && !config.endpoint_verifies_google_urls;
    if elsewhere || !matches!(settled.identity, Identity::ServiceAccount { .. }) {
        without = without.with(SIGNING);
    }
    let service = settled.service.as_str().trim_end_matches('/');
    let bucket_url = format!("{service}/{}", config.bucket);
    let bearer = Bearer(Arc::clone(gcs.credentials()));
    let generations = Generations(gcs.clone());
    let requests = Requests::new(http, bucket_url, config.settings.retry(), bearer);
    OpenedStore::new(generations.clone())
        .over_http(requests.clone(), &config.settings)
        .part_settings(&config.parts)
        .pages(Arc::new(Lister::s3(requests.clone())))
        .multipart(Multipart::new(Arc::new(gcs.clone()), requests))
        .signer(Arc::new(Escaping(gcs)))
        .native(Arc::new(GcsNative(generations)))
        .describe(format!("gs://{}/{}", config.bucket, config.settings.prefix))
        .capabilities(CLAIMS.without(without))
}

struct GcsNative(Generations<GoogleCloudStorage>);

impl Native for GcsNative {
    fn delete<'a>(
        &'a self,
        path: &'a Path,
        if_match: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Deleted>>> {
        let etag = if_match?;
        Some(Box::pin(async move {
            self.0.delete_if_match(path, etag).await?;
            Ok(Deleted::new(Some(true)))
        }))
    }
}
