//! Connection strings, as the portal shows them:
//! <https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string>.

use crate::config::Identity;

/// What a connection string says.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) identity: Identity,
    pub(crate) account: Option<String>,
    pub(crate) endpoint: Option<String>,
}

/// # Errors
///
/// What is wrong, without quoting any of it: a connection string is a secret.
pub(crate) fn parse(text: &str) -> Result<Connection, &'static str> {
    let mut account = None;
    let mut key = None;
    let mut sas = None;
    let mut endpoint = None;
    let mut suffix = "core.windows.net";
    let mut protocol = "https";
    for field in text.split(';').filter(|field| !field.trim().is_empty()) {
        // Keys end in `=`: only the first one separates.
        let (name, value) = field.split_once('=').ok_or("a part without `=`")?;
        match name.trim().to_ascii_lowercase().as_str() {
            "accountname" => account = Some(value.to_owned()),
            "accountkey" => key = Some(value.to_owned().into()),
            "sharedaccesssignature" => sas = Some(value.to_owned().into()),
            "blobendpoint" => endpoint = Some(value.to_owned()),
            "endpointsuffix" => suffix = value,
            "defaultendpointsprotocol" => protocol = value,
            "queueendpoint" | "tableendpoint" | "fileendpoint" => {}
            "usedevelopmentstorage" => {
                return Err("development storage: say `account`, `account_key` and `endpoint`");
            }
            _ => return Err("an unknown name before a `=`"),
        }
    }
    let identity = match (key, sas) {
        (Some(_), Some(_)) => return Err("both a key and a signature"),
        (Some(key), None) => Identity::key(&key)?,
        (None, Some(sas)) => Identity::sas(&sas)?,
        (None, None) => return Err("neither `AccountKey` nor `SharedAccessSignature`"),
    };
    if account.is_none() {
        // `https://ACCOUNT.blob.core.windows.net`, where a signature stands alone.
        let host = endpoint.as_deref().and_then(|url| url.split("://").nth(1));
        account = host
            .and_then(|host| host.split_once('.'))
            .map(|(name, _)| name.to_owned());
    }
    let endpoint = endpoint.or_else(|| {
        let account = account.as_deref()?;
        Some(format!("{protocol}://{account}.blob.{suffix}"))
    });
    Ok(Connection {
        identity,
        account,
        endpoint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_portal() {
        let key = parse("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=YQ==;EndpointSuffix=core.windows.net").unwrap();
        assert!(matches!(key.identity, Identity::Key(key) if key == b"a"));
        assert_eq!(
            key.endpoint.as_deref(),
            Some("https://acc.blob.core.windows.net")
        );
        let sas = parse("BlobEndpoint=https://acc.blob.core.windows.net/;QueueEndpoint=https://acc.queue.core.windows.net/;SharedAccessSignature=sv=2022-11-02&ss=b&sig=x%3D").unwrap();
        let fields = [("sv", "2022-11-02"), ("ss", "b"), ("sig", "x=")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(matches!(sas.identity, Identity::Sas(sas) if sas == fields));
        assert_eq!(sas.account.as_deref(), Some("acc"));
        let azurite = parse("DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;").unwrap();
        assert_eq!(
            azurite.endpoint.as_deref(),
            Some("http://127.0.0.1:10000/devstoreaccount1")
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for text in [
            "",
            "AccountName=a",
            "hunter2",
            "Foo=hunter2",
            "AccountKey=hunter2;SharedAccessSignature=hunter2",
            "UseDevelopmentStorage=true",
        ] {
            let problem = parse(text).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
