//! Where tokens come from.
//!
//! `object_store` asks for tokens, keeps them and renews them in time, but at addresses that it knows by
//! heart: one of Google's for people, and for machines one that it takes from the environment of the
//! process (`GCE_METADATA_HOST`). Here its requests for tokens get the address that is configured, and
//! nothing else of them is changed.

use crate::config::Settled;
use crate::identity::Identity;
use crate::stored::AsStored;
use futures_util::future::BoxFuture;
use holdall_plugin_api::Result;
use holdall_plugin_api_object_store::{Http, Proxy};
use http::Uri;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use std::time::Duration;
use url::Url;

/// Longest time to a connection to the metadata service, which is on this machine's own link: where there
/// is none, a caller should not wait long for the answer.
const NEAR: Duration = Duration::from_secs(1);

/// A connector that sends requests to the store as they are, and those for tokens where they belong.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    store: AsStored,
    /// `host` or `host:port` of the store.
    authority: String,
    /// The way to who hands out tokens.
    http: Http,
    endpoint: Url,
    /// The metadata service has a path for each thing; a token service has one.
    keeps_path: bool,
}

impl Tokens {
    pub(crate) fn new(settled: &Settled, http: Http) -> Result<Self> {
        let authority = settled.service.authority();
        let keeps_path = matches!(settled.identity, Identity::Machine);
        Ok(Self {
            store: AsStored(http.clone()),
            authority: authority.to_owned(),
            http: match keeps_path {
                // No proxy is on the same link.
                true => {
                    let mut options = settled.config.settings.http(authority);
                    options.connect_timeout = options.connect_timeout.min(NEAR);
                    options.proxy = Proxy::None;
                    Http::new(options)?
                }
                false => http,
            },
            endpoint: settled.tokens.clone(),
            keeps_path,
        })
    }

    fn address(&self, asked: &Uri) -> Result<Uri, HttpError> {
        let mut url = self.endpoint.clone();
        if self.keeps_path {
            url.set_path(asked.path());
            url.set_query(asked.query());
        }
        let unusable = |cause| HttpError::new(HttpErrorKind::Unknown, cause);
        url.as_str().parse::<Uri>().map_err(unusable)
    }
}

impl HttpConnector for Tokens {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Tokens {
    fn call<'a, 'b>(
        &'a self,
        mut request: HttpRequest,
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        let authority = request.uri().authority();
        if authority.is_some_and(|found| found == self.authority.as_str()) {
            return self.store.call(request);
        }
        Box::pin(async move {
            *request.uri_mut() = self.address(request.uri())?;
            self.http.send(request).await
        })
    }
}
