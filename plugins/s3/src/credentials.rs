//! Where keys come from.

use crate::config::{Credentials, S3Config};
use crate::profile::Profile;
use holdall_plugin_api_object_store::Secret;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use std::sync::Arc;

/// How long a signed URL may live that was made with keys which end: the library renews keys five
/// minutes before that, so those in use are good for as long.
pub(crate) const TEMPORARY_SIGN_SECONDS: u32 = 300;

/// Whether the keys end some day, and take signed URLs with them.
pub(crate) fn are_temporary(config: &S3Config) -> bool {
    match config.credentials {
        Credentials::Static => config.session_token.is_some(),
        Credentials::Anonymous => false,
        // A profile may hold either, and may change.
        _ => true,
    }
}

pub(crate) fn give(mut builder: AmazonS3Builder, config: &S3Config) -> AmazonS3Builder {
    let text = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    };
    match config.credentials {
        Credentials::Static => {
            let secret = config.secret_access_key.as_ref().map(Secret::reveal);
            builder = builder
                .with_access_key_id(config.access_key_id.clone().unwrap_or_default())
                .with_secret_access_key(secret.unwrap_or_default());
            match &config.session_token {
                Some(token) => builder.with_token(token.reveal()),
                None => builder,
            }
        }
        Credentials::Profile => builder.with_credentials(Arc::new(Profile::new(
            config.profile_file.clone(),
            config.profile.clone(),
        ))),
        Credentials::WebIdentity => {
            builder = builder
                .with_config(
                    AmazonS3ConfigKey::RoleArn,
                    config.role_arn.clone().unwrap_or_default(),
                )
                .with_config(
                    AmazonS3ConfigKey::WebIdentityTokenFile,
                    text(&config.web_identity_token_file),
                )
                .with_config(
                    AmazonS3ConfigKey::RoleSessionName,
                    config.role_session_name.clone(),
                );
            match &config.sts_endpoint {
                Some(endpoint) => builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint),
                None => builder,
            }
        }
        Credentials::Instance => match &config.metadata_endpoint {
            Some(endpoint) => builder.with_metadata_endpoint(endpoint),
            None => builder,
        },
        Credentials::Container => builder
            .with_config(
                AmazonS3ConfigKey::ContainerCredentialsFullUri,
                config.container_credentials_uri.clone().unwrap_or_default(),
            )
            .with_config(
                AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
                text(&config.container_token_file),
            ),
        Credentials::Anonymous => builder.with_skip_signature(true),
    }
}
