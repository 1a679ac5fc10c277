//! From a configuration to a store of the adapter.

use crate::config::{Checksum, Credentials, Encryption, S3Config, Settled};
use crate::credentials::{self, TEMPORARY_SIGN_SECONDS};
use crate::preset::Preset;
use crate::request::Sign;
use crate::{copy, delete};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{
    Capabilities, Copied, CopyObject, Deleted, Error, ErrorKind, Host, Result,
};
use holdall_plugin_api_object_store::{
    CLOUD, Http, LargeConditions, Lister, Multipart, Native, OpenStore, OpenedStore, Requests,
    SIGNING,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use object_store::Attributes;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use std::sync::Arc;

/// What Amazon's S3 keeps, the most that an instance claims; presets and configurations take from it.
pub(crate) const CLAIMS: Capabilities = CLOUD
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after)
    .with(Capabilities::parts)
    .with(COPY);

/// What a copy of our own does. It knows nothing of keys to encrypt with.
pub(crate) const COPY: Capabilities =
    Capabilities::copy_source_conditions.with(Capabilities::copy_replace_metadata);

/// Opens buckets.
#[derive(Debug)]
pub struct S3;

impl OpenStore for S3 {
    type Config = S3Config;

    async fn open(config: S3Config, _: &Host) -> Result<OpenedStore> {
        let settled = config.settle()?;
        let http = Http::new(settled.config.settings.http(&settled.authority))?;
        let store = Arc::new(build(&settled, http.clone())?);
        Ok(adapted(settled, http, store))
    }
}

fn build(settled: &Settled, http: Http) -> Result<AmazonS3> {
    let config = &settled.config;
    // "Virtual hosted" with an endpoint means to the builder: this is the bucket's address.
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&settled.region)
        .with_endpoint(&settled.bucket_url)
        .with_virtual_hosted_style_request(true)
        .with_allow_http(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_request_payer(config.requester_pays)
        .with_disable_tagging(true)
        .with_retry(config.settings.retry())
        .with_http_connector(http);
    builder = match &config.encryption {
        None => builder,
        Some(Encryption::Kms { key_id, bucket_key }) => builder
            .with_sse_kms_encryption(key_id)
            .with_bucket_key(*bucket_key),
        Some(Encryption::KmsDsse { key_id }) => builder.with_dsse_kms_encryption(key_id),
        Some(Encryption::Customer { key }) => builder.with_ssec_encryption(key.reveal()),
    };
    if let Some(checksum) = config.checksum {
        builder = builder.with_checksum_algorithm(match checksum {
            Checksum::Sha256 => object_store::aws::Checksum::SHA256,
            Checksum::Crc64nvme => object_store::aws::Checksum::CRC64NVME,
        });
    }
    credentials::give(builder, config)
        .build()
        .map_err(|cause| Error::new(ErrorKind::ConfigInvalid).because(cause))
}

fn adapted(settled: Settled, http: Http, s3: Arc<AmazonS3>) -> OpenedStore {
    let config = &settled.config;
    let anonymous = config.credentials == Credentials::Anonymous;
    let sign = Sign {
        credentials: (!anonymous).then(|| Arc::clone(s3.credentials())),
        region: settled.region.clone(),
        requester_pays: config.requester_pays,
    };
    let bucket_url = settled.bucket_url.clone();
    let requests = Requests::new(http, bucket_url, config.settings.retry(), sign);
    let mut without = settled.without;
    // A URL cannot carry the key that the store wants to see.
    if anonymous || matches!(config.encryption, Some(Encryption::Customer { .. })) {
        without = without.with(SIGNING);
    }
    if config.encryption.is_some() {
        without = without.with(COPY);
    }
    let traits = config.preset.traits();
    let store = OpenedStore::of(Arc::clone(&s3) as _)
        .over_http(requests.clone(), &config.settings)
        .part_settings(&config.parts)
        .pages(Arc::new(Lister::s3(requests.clone())))
        .multipart(
            Multipart::new(Arc::clone(&s3) as _, requests.clone())
                .headers(of_parts(config))
                .digested(config.checksum.is_some()),
        )
        .signer(s3)
        .native(Arc::new(S3Native {
            requests,
            bucket: config.bucket.clone(),
            copy_conditions: match config.preset {
                Preset::Ceph => &copy::AS_CEPH,
                _ => &copy::AS_AMAZON,
            },
        }))
        .describe(format!("s3://{}/{}", config.bucket, config.settings.prefix))
        .capabilities(CLAIMS.without(without))
        .limits(|limits| {
            limits.max_key_bytes = traits.longest_name;
            if credentials::are_temporary(config) {
                limits.max_sign_seconds = Some(TEMPORARY_SIGN_SECONDS);
            }
        });
    match traits.conditional_completion {
        true => store.large_conditions(LargeConditions::AtCompletion),
        false => store,
    }
}

/// The key of the customer goes with every part.
fn of_parts(config: &S3Config) -> HeaderMap {
    let Some(Encryption::Customer { key }) = &config.encryption else {
        return HeaderMap::new();
    };
    // Its form is checked with the configuration.
    let digest = STANDARD.decode(key.reveal()).map(Md5::digest);
    let digest = STANDARD.encode(digest.unwrap_or_default());
    let prefix = "x-amz-server-side-encryption-customer-";
    let fields = [
        ("algorithm", "AES256"),
        ("key", key.reveal()),
        ("key-md5", &digest),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(format!("{prefix}{name}")).ok()?;
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    fields.collect()
}

struct S3Native {
    requests: Requests,
    bucket: String,
    copy_conditions: &'static [&'static str],
}

impl Native for S3Native {
    fn delete<'a>(
        &'a self,
        path: &'a Path,
        if_match: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Deleted>>> {
        Some(Box::pin(async move {
            let existed = self.requests.delete(path, if_match).await?;
            // "Done" says nothing here; "none" only some say that speak S3.
            Ok(Deleted::new(existed.filter(|existed| !existed)))
        }))
    }

    fn copy<'a>(
        &'a self,
        from: &'a Path,
        to: &'a Path,
        copy: &'a CopyObject<'a>,
        attributes: Option<Attributes>,
    ) -> Option<BoxFuture<'a, Result<Copied>>> {
        let place = (&*self.bucket, self.copy_conditions);
        let copied = copy::copy(&self.requests, place, (from, to), copy, attributes);
        Some(Box::pin(copied))
    }

    fn delete_many<'a>(
        &'a self,
        paths: &'a [Path],
    ) -> Option<BoxFuture<'a, Result<Vec<Result<Deleted>>>>> {
        Some(Box::pin(delete::many(&self.requests, paths)))
    }
}
