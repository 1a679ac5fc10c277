//! Who we are to the store.

use crate::config::{Credentials, Identity, Settled};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdall_plugin_api_object_store::Secret;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

pub(crate) fn give(builder: MicrosoftAzureBuilder, settled: &Settled) -> MicrosoftAzureBuilder {
    let config = &settled.config;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let secret = config.client_secret.as_ref().map(Secret::reveal);
    let builder = match &settled.identity {
        Identity::Key(key) => {
            return builder
                .with_access_key(STANDARD.encode(key))
                .with_credential_type("access_key");
        }
        Identity::Sas(fields) => {
            return builder
                .with_sas_authorization(fields.clone())
                .with_credential_type("sas_token");
        }
        Identity::Anonymous => return builder.with_skip_signature(true),
        Identity::Token => builder,
    };
    let builder = match &config.authority_host {
        Some(host) => builder.with_authority_host(host),
        None => builder,
    };
    match config.credentials {
        Credentials::ClientSecret => builder
            .with_client_secret_authorization(
                text(&config.client_id),
                secret.unwrap_or_default(),
                text(&config.tenant_id),
            )
            .with_credential_type("client_secret"),
        Credentials::WorkloadIdentity => {
            let file = config.federated_token_file.as_ref();
            let file = file.map(|file| file.display().to_string());
            builder
                .with_client_id(text(&config.client_id))
                .with_tenant_id(text(&config.tenant_id))
                .with_federated_token_file(file.unwrap_or_default())
                .with_credential_type("workload_identity")
        }
        _ => {
            let builder = match &config.client_id {
                Some(id) => builder.with_client_id(id),
                None => builder,
            };
            let builder = match &config.identity_endpoint {
                Some(endpoint) => builder.with_config(AzureConfigKey::MsiEndpoint, endpoint),
                None => builder,
            };
            builder.with_credential_type("managed_identity")
        }
    }
}
