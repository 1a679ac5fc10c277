//! `sign`: a URL that works without credentials.

use std::time::Duration;

use clap::{Args, ValueEnum};
use holdall::{Method, SignUrl};
use serde_json::json;

use crate::address::Address;
use crate::app::App;
use crate::failure::Result;
use crate::values::{self, moment};

/// Creates a URL that allows one operation on one object for a limited time, without credentials.
///
/// The backend signs if it can bind everything that is asked; otherwise the gateway of the
/// configuration does. The URL is the only line on standard output.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The object, which need not exist: BACKEND:KEY.
    #[arg(value_name = "ADDR")]
    address: Address,

    /// What the URL is for.
    #[arg(long, value_enum, ignore_case = true, default_value = "GET")]
    method: Verb,

    /// Validity: 1s to 7d.
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "15m")]
    expires: Duration,

    /// PUT: the only content type that is taken.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// PUT: most bytes that are taken, such as 10MiB.
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    max_size: Option<u64>,

    /// PUT: the digest that the bytes must have.
    #[arg(long, value_name = "HEX", value_parser = values::sha256)]
    sha256: Option<[u8; 32]>,

    /// GET: the name that a browser saves the file as.
    #[arg(long, value_name = "NAME")]
    download_name: Option<String>,

    /// GET: the content type of the answer.
    #[arg(long, value_name = "TYPE")]
    response_content_type: Option<String>,

    /// Fails (3) now when the object is missing.
    #[arg(long)]
    must_exist: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Verb {
    Get,
    Put,
    Head,
    Delete,
}

impl Sign {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let key = self.address.object()?;
        let method = match self.method {
            Verb::Get => Method::Get,
            Verb::Put => Method::Put,
            Verb::Head => Method::Head,
            Verb::Delete => Method::Delete,
        };
        let mut sign = SignUrl::new(method, key, self.expires);
        sign.content_type = self.content_type.as_deref();
        sign.max_size = self.max_size;
        sign.checksums.sha256 = self.sha256;
        sign.download_name = self.download_name.as_deref();
        sign.response_content_type = self.response_content_type.as_deref();
        sign.must_exist = self.must_exist;
        let backend = app.backend(&self.address).await?;
        let signed = backend.signed_url(sign).await?;
        let verb = self
            .method
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let headers: serde_json::Map<_, _> = signed
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let record = json!({
            "address": format!("{}:{key}", backend.name()),
            "method": verb,
            "url": signed.url,
            "expires_at": moment(signed.expires_at),
            "headers": headers,
        });
        app.output.answer(&record, || signed.url.clone())?;
        for (name, value) in &signed.headers {
            app.output
                .note(&format!("the request must carry {name}: {value}"));
        }
        Ok(())
    }
}
