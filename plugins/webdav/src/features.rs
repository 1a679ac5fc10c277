//! What a server can do, found out by doing it once.
//!
//! Servers say little of themselves and not always the truth, so each promise that the plugin makes
//! for a server is tried at the opening, on two small files in `staging`.

use crate::client::{Ask, Dav};
use crate::config::CheckedConfig;
use crate::error::About;
use crate::lock;
use crate::metadata_record::{self, MetadataRecord};
use crate::names;
use holdall_plugin_api::{
    Capabilities, Error, ErrorKind, Host, Instance, Limits, Operations, Result, UploadOptions,
};
use reqwest::{Body, Url};

/// A server's abilities. All `false` is what every server must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Keeps a property of ours with a file that is moved, beside an etag that stays.
    pub(crate) properties: bool,
    /// Locks.
    pub(crate) locks: bool,
    /// Copies.
    pub(crate) copy: bool,
    /// Takes a body whose length is not stated.
    pub(crate) chunked: bool,
    /// Does not list names that begin with a dot.
    pub(crate) hides_dots: bool,
    /// `?` and `;` in `Destination` lead where they should.
    pub(crate) exact_destination: bool,
    pub(crate) case_sensitive: bool,
    pub(crate) unicode_exact: bool,
    /// Tells used and free space.
    pub(crate) space: bool,
}

/// What the plugin promises for the poorest server.
pub(crate) const ALWAYS: Capabilities = Capabilities::atomic_put
    .with(Capabilities::if_time)
    .with(Capabilities::suffix)
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after);
const PROPERTIES: Capabilities = Capabilities::content_type
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::header_content_language)
    .with(Capabilities::checksum_crc32c)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get);
const LOCKED_PROPERTIES: Capabilities =
    Capabilities::if_match_put.with(Capabilities::if_match_delete);

impl Features {
    /// The promises, and the line for status pages.
    pub(crate) fn instance(&self, root: &Url) -> Instance {
        let capabilities = [
            (true, ALWAYS),
            (self.properties, PROPERTIES),
            (self.locks, Capabilities::create_only),
            (self.locks && self.properties, LOCKED_PROPERTIES),
            (self.copy, Capabilities::server_copy),
            (self.copy && self.locks, Capabilities::copy_create_only),
            (self.chunked, Capabilities::unknown_length),
            (self.case_sensitive, Capabilities::case_sensitive),
            (self.unicode_exact, Capabilities::unicode_exact),
            (self.space, Capabilities::usage),
        ]
        .into_iter()
        .filter(|(has, _)| *has)
        .fold(Capabilities::EMPTY, |all, (_, some)| all.with(some));
        let mut limits = Limits::default();
        // What one stream holds: a chunk on its way, and the HTTP client's buffers.
        limits.buffer_bytes = 4 << 20;
        let mut instance = Instance::new(root.as_str());
        if !self.space {
            instance.operations = Some(Operations::ALL.without(Operations::usage));
        }
        instance.capabilities = Some(capabilities);
        instance.limits = limits;
        instance
    }

    /// # Errors
    ///
    /// `InvalidKey` for a key that this server would put elsewhere.
    pub(crate) fn check_key(&self, key: &str) -> Result<()> {
        if !self.exact_destination && key.contains(['?', ';']) {
            return Err(Error::new(ErrorKind::InvalidKey).with_message(
                "this server cuts the names of moved files at \"?\" and \";\", so it cannot have this key",
            ));
        }
        Ok(())
    }
}

/// Makes the folders of the store.
///
/// # Errors
///
/// `ContainerMissing` when `url` itself is not there; what the server says.
pub(crate) async fn prepare(dav: &Dav, settings: &CheckedConfig, create: bool) -> Result<()> {
    let (root, _) = dav.facts(About::Root, &settings.root, Ask::Facts).await?;
    if !root.folder {
        return Err(
            Error::new(ErrorKind::ConfigInvalid).with_message("`url` is a file, not a folder")
        );
    }
    for (name, folder) in [
        ("objects", &settings.objects),
        ("staging", &settings.staging),
        ("locks", &settings.locks),
    ] {
        if create {
            make_all(dav, &settings.root, folder).await?;
        } else if name != "locks" {
            dav.facts(About::Root, folder, Ask::Facts).await?;
        }
    }
    Ok(())
}

/// Makes a folder below the root, and those between.
async fn make_all(dav: &Dav, root: &Url, folder: &Url) -> Result<()> {
    let below = folder.path().strip_prefix(root.path()).unwrap_or_default();
    for (end, _) in below.match_indices('/') {
        let mut part = root.clone();
        part.set_path(&format!("{}{}", root.path(), &below[..=end]));
        dav.make_folder(About::Root, &part).await?;
    }
    Ok(())
}

/// Tries everything.
///
/// # Errors
///
/// When the server cannot even do what the plugin cannot do without: put, move without replacing,
/// delete.
pub(crate) async fn probe(dav: &Dav, settings: &CheckedConfig, host: &Host) -> Result<Features> {
    let name = metadata_record::unique(host);
    let at = |suffix: &str| names::below(&settings.staging, &format!("{name}-{suffix}"));
    // Upper and lower case, composed, and the characters that are easily lost in a URL.
    let (first, second) = (at("1-\u{e9}a"), at("2 ?;#%41"));
    let probed = tried(dav, settings, host, &at, &first, &second).await;
    for url in [&first, &second, &at("2 "), &at("3")] {
        let _ = dav.remove(About::Staging, url).await;
    }
    probed
}

async fn tried(
    dav: &Dav,
    settings: &CheckedConfig,
    host: &Host,
    at: &impl Fn(&str) -> Url,
    first: &Url,
    second: &Url,
) -> Result<Features> {
    let mut features = Features::default();
    let poor = |what: &'static str| Error::new(ErrorKind::Unsupported).with_message(what);
    let put = async |url: &Url| {
        let answer = dav.put(url, Body::from("1"), Some(1)).await;
        let answer = answer.map_err(|cause| crate::error::from_transport(About::Staging, cause))?;
        dav.put_answer(answer).await
    };
    let looked = async |url: &Url| match dav.facts(About::Staging, url, Ask::Record).await {
        Ok((resource, _)) => Ok(Some(resource)),
        Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(None),
        Err(error) => Err(error),
    };

    let told = put(first).await?;
    let Some(staged) = looked(first).await? else {
        return Err(poor("the server does not show a file that was just put"));
    };
    let of = staged.etag.clone();
    let is_true = of.is_some() && (told.is_none() || told == of);
    let mut record = MetadataRecord::new(
        host,
        &UploadOptions::default(),
        of.clone().unwrap_or_default(),
    );
    record.metadata = vec![("probe".to_owned(), "<\u{1f392}>&  \"x\"".to_owned())];
    let kept = is_true && dav.set_record(first, &record.text()).await?;

    features.case_sensitive = looked(&at("1-\u{e9}A")).await?.is_none();
    features.unicode_exact = looked(&at("1-e\u{301}a")).await?.is_none();

    dav.transfer("MOVE", About::Staging, first, second, false)
        .await?;
    let moved = looked(second).await?;
    features.exact_destination = moved.is_some();
    let (moved, arrived) = match moved {
        Some(moved) => (moved, second.clone()),
        None => match looked(&at("2 ")).await? {
            Some(moved) => (moved, at("2 ")),
            None => {
                return Err(poor(
                    "the server does not show a file where it was moved to",
                ));
            }
        },
    };
    let again = moved.record.as_deref().and_then(MetadataRecord::parse);
    features.properties = kept && again.as_ref() == Some(&record) && moved.etag == of;

    put(first).await?;
    match dav
        .transfer("MOVE", About::Staging, first, &arrived, false)
        .await
    {
        Err(error) if error.kind() == ErrorKind::PreconditionFailed => {}
        _ => {
            return Err(poor(
                "the server replaces a file although told not to (`Overwrite: F`): a whole folder could be lost so",
            ));
        }
    }
    if looked(first).await?.and_then(|file| file.size) != Some(1) {
        return Err(poor("the server loses a file that it refused to move"));
    }

    features.copy = dav
        .transfer("COPY", About::Staging, first, &at("3"), false)
        .await
        .is_ok()
        && looked(&at("3")).await?.is_some();

    // Two pieces, so that the length cannot be known beforehand.
    let pieces = [Ok::<_, std::io::Error>("12"), Ok("345")];
    let body = Body::wrap_stream(futures_util::stream::iter(pieces));
    let chunked = dav.put(first, body, None).await;
    features.chunked = match chunked {
        Ok(answer) => {
            dav.put_answer(answer).await.is_ok()
                && looked(first).await?.and_then(|file| file.size) == Some(5)
        }
        Err(_) => false,
    };

    let dot = names::below(
        &settings.staging,
        &format!(".{}", metadata_record::unique(host)),
    );
    put(&dot).await?;
    let own = names::path_of(dot.path());
    features.hides_dots = true;
    dav.each(About::Staging, &settings.staging, 1, Ask::Facts, |listed| {
        features.hides_dots &= listed.path != own;
    })
    .await?;
    dav.remove(About::Staging, &dot).await?;

    features.locks = lock::works(dav, &settings.locks, host).await?;
    features.space = dav
        .facts(About::Root, &settings.objects, Ask::Space)
        .await
        .is_ok_and(|(root, _)| root.available.is_some());
    Ok(features)
}
