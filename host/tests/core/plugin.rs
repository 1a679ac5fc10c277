//! Three plugins of one backend whose answers, and lies, a test chooses.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "this is a test: what the macro exports is public, and a poisoned lock may end it"
)]

use holdall_plugin_api::{
    Body, Bytes, Capabilities, Capability, Copied, CopyObject, Custom, Delete, DeleteMany, Deleted,
    Download, Downloaded, Entry, Error, ErrorKind, Head, Health, Host, Instance, Key, List,
    ObjectInfo, Page, Rename, Renamed, Result, SignUrl, SignedUrl, Signing, StorageBackend, Upload,
    Uploaded, Usage,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;
use tokio::sync::Semaphore;

/// What an operation does instead of its work.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Panic,
    Fail(ErrorKind),
    /// Fails, quoting its own configuration.
    Leak,
    /// Never answers.
    Deaf,
    /// Waits for a permit of the gate first.
    Gated,
    /// Does it wrong in the way that the operation knows for this word.
    Lie(&'static str),
}

/// What a test holds of the backend that it configured.
#[derive(Debug)]
pub(crate) struct Switches {
    pub(crate) id: String,
    pub(crate) opens: AtomicU64,
    pub(crate) drops_begun: AtomicU64,
    pub(crate) drops: AtomicU64,
    pub(crate) entered: AtomicU64,
    pub(crate) saw_must_exist: AtomicBool,
    /// Etags are in quotes.
    pub(crate) quotes: AtomicBool,
    pub(crate) gate: Semaphore,
    acts: Mutex<HashMap<&'static str, Act>>,
    entries: Mutex<HashMap<&'static str, u64>>,
    pub(crate) objects: Mutex<BTreeMap<String, Object>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) crc32c: Option<u32>,
    version: u64,
}

static ALL: LazyLock<Mutex<HashMap<String, Arc<Switches>>>> = LazyLock::new(Mutex::default);
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Switches {
    pub(crate) fn new() -> Arc<Self> {
        let id = format!("id-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let switches = Arc::new(Self {
            id: id.clone(),
            opens: AtomicU64::new(0),
            drops_begun: AtomicU64::new(0),
            drops: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            saw_must_exist: AtomicBool::new(false),
            quotes: AtomicBool::new(false),
            gate: Semaphore::new(0),
            acts: Mutex::default(),
            entries: Mutex::default(),
            objects: Mutex::default(),
        });
        ALL.lock().unwrap().insert(id, switches.clone());
        switches
    }

    pub(crate) fn on(&self, operation: &'static str, act: Act) {
        self.acts.lock().unwrap().insert(operation, act);
    }

    pub(crate) fn off(&self, operation: &'static str) {
        self.acts.lock().unwrap().remove(operation);
    }

    fn act(&self, operation: &str) -> Option<Act> {
        self.acts.lock().unwrap().get(operation).cloned()
    }

    pub(crate) fn opens(&self) -> u64 {
        self.opens.load(Ordering::SeqCst)
    }

    pub(crate) fn entered(&self) -> u64 {
        self.entered.load(Ordering::SeqCst)
    }

    /// Times that this operation was entered.
    pub(crate) fn entered_by(&self, operation: &str) -> u64 {
        let entries = self.entries.lock().unwrap();
        entries.get(operation).copied().unwrap_or_default()
    }

    pub(crate) fn put(&self, key: &str, bytes: &'static str) {
        let object = Object {
            bytes: Bytes::from(bytes),
            crc32c: Some(crc_fast::crc32_iscsi(bytes.as_bytes())),
            ..Object::default()
        };
        self.objects.lock().unwrap().insert(key.to_owned(), object);
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which switches.
    id: String,
    /// Names of the capabilities that this instance claims; all when absent.
    #[serde(default)]
    claims: Option<Vec<String>>,
    /// Something to keep secret.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    secret: Option<String>,
}

pub struct Probe {
    switches: Arc<Switches>,
    claims: Option<Capabilities>,
    secret: String,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.switches.drops_begun.fetch_add(1, Ordering::SeqCst);
        while self.switches.act("drop") == Some(Act::Deaf) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.switches.drops.fetch_add(1, Ordering::SeqCst);
    }
}

impl Probe {
    async fn enter(&self, operation: &'static str) -> Result<Option<&'static str>> {
        self.switches.entered.fetch_add(1, Ordering::SeqCst);
        *(self.switches.entries.lock().unwrap())
            .entry(operation)
            .or_default() += 1;
        act(&self.switches, operation, &self.secret).await
    }

    fn info(&self, object: &Object) -> ObjectInfo {
        let mut info = ObjectInfo::new(object.bytes.len() as u64);
        info.etag = Some(self.etag(object.version));
        info.content_type = object.content_type.clone();
        info.cache_control = object.cache_control.clone();
        info.metadata = object.metadata.clone();
        info.checksums.crc32c = object.crc32c;
        info
    }

    fn etag(&self, version: u64) -> String {
        match self.switches.quotes.load(Ordering::SeqCst) {
            true => format!("\"v{version}\""),
            false => format!("v{version}"),
        }
    }

    /// A condition in the form of this plugin, and in no other.
    fn check(&self, if_match: Option<&str>, object: Option<&Object>) -> Result<()> {
        let found = object.map(|object| self.etag(object.version));
        match if_match {
            Some(wanted) if found.as_deref() != Some(wanted) => {
                Err(Error::new(ErrorKind::PreconditionFailed))
            }
            _ => Ok(()),
        }
    }

    fn get(&self, key: &Key) -> Result<Object> {
        let objects = self.switches.objects.lock().unwrap();
        objects
            .get(key.text())
            .cloned()
            .ok_or_else(Error::not_found)
    }
}

async fn act(
    switches: &Switches,
    name: &'static str,
    secret: &str,
) -> Result<Option<&'static str>> {
    match switches.act(name) {
        None => Ok(None),
        Some(Act::Panic) => panic!("{name} panics"),
        Some(Act::Fail(kind)) => Err(Error::new(kind).with_message("as told")),
        Some(Act::Leak) => Err(Error::new(ErrorKind::Other)
            .with_message(format!("denied for {secret}"))
            .with_fact("token", secret)
            .because(std::io::Error::other(format!("login {secret} failed")))),
        Some(Act::Deaf) => std::future::pending().await,
        Some(Act::Gated) => {
            switches.gate.acquire().await.expect("open").forget();
            Ok(None)
        }
        Some(Act::Lie(how)) => Ok(Some(how)),
    }
}

impl StorageBackend for Probe {
    type Config = Config;

    async fn open(config: Config, _: Host) -> Result<Self> {
        let switches = ALL.lock().unwrap().get(&config.id).cloned();
        let switches = switches.ok_or_else(|| Error::invalid("no such switches"))?;
        switches.opens.fetch_add(1, Ordering::SeqCst);
        let secret = config.secret.unwrap_or_default();
        act(&switches, "open", &secret).await?;
        let claims = config.claims.map(|names| {
            let known = names.iter().filter_map(|name| Capability::from_name(name));
            known.collect()
        });
        Ok(Self {
            switches,
            claims,
            secret,
        })
    }

    fn instance(&self) -> Instance {
        let mut instance = Instance::new(format!("probe of {} {}", self.switches.id, self.secret));
        instance.capabilities = self.claims;
        instance
    }

    async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        let lie = self.enter("upload").await?;
        let mut bytes = Vec::new();
        while lie != Some("unread")
            && let Some(chunk) = upload.body.chunk().await
        {
            match chunk {
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(_) if lie == Some("swallow") => break,
                Err(error) if lie == Some("rename error") => {
                    return Err(Error::new(ErrorKind::Unavailable).because(error));
                }
                Err(error) => return Err(error),
            }
        }
        let options = upload.options();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut objects = self.switches.objects.lock().unwrap();
        if options.create_only && objects.contains_key(upload.key.text()) {
            return Err(Error::new(ErrorKind::PreconditionFailed));
        }
        self.check(options.if_match, objects.get(upload.key.text()))?;
        let version = objects
            .get(upload.key.text())
            .map_or(1, |old| old.version + 1);
        let object = Object {
            content_type: options.content_type.map(str::to_owned),
            cache_control: options.headers.cache_control.map(str::to_owned),
            metadata: options.metadata.iter().map(own).collect(),
            crc32c: upload.body.trailers().and_then(|end| end.checksums.crc32c),
            version,
            bytes: bytes.into(),
        };
        let mut uploaded = Uploaded::new(object.bytes.len() as u64);
        uploaded.etag = Some(self.etag(version));
        if lie == Some("size") {
            uploaded.size += 1;
        }
        if lie == Some("crc") {
            uploaded.checksums.crc32c = Some(7);
        }
        objects.insert(upload.key.text().to_owned(), object);
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let lie = self.enter("download").await?;
        let object = self.get(download.key)?;
        let size = object.bytes.len() as u64;
        let options = download.options();
        self.check(options.if_match, Some(&object))?;
        if options.if_none_match == Some(&self.etag(object.version)) {
            return Err(Error::new(ErrorKind::NotModified));
        }
        let mut range = match &download.range {
            Some(range) => range.within(size)?,
            None => 0..size,
        };
        let mut bytes = object.bytes.slice(range.start as usize..range.end as usize);
        match lie {
            Some("short") => bytes.truncate(bytes.len() - 1),
            Some("long") => bytes = [&bytes[..], b"!"].concat().into(),
            Some("range") => range.end -= 1,
            Some("flip") => bytes = bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>().into(),
            _ => {}
        }
        let switches = self.switches.clone();
        let secret = self.secret.clone();
        let body = if lie == Some("stream") {
            let chunks = futures_util::stream::unfold(bytes, move |mut bytes| {
                let (switches, secret) = (switches.clone(), secret.clone());
                async move {
                    if bytes.is_empty() {
                        return None;
                    }
                    let chunk = bytes.split_to(1);
                    match act(&switches, "chunk", &secret).await {
                        Ok(_) => Some((Ok(chunk), bytes)),
                        Err(error) => Some((Err(error), Bytes::new())),
                    }
                }
            });
            Body::stream(Box::pin(chunks))
        } else if lie == Some("empty chunks") {
            Body::stream(futures_util::stream::repeat_with(|| Ok(Bytes::new())))
        } else {
            Body::once(bytes)
        };
        Ok(Downloaded::new(self.info(&object), range, body))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let lie = self.enter("delete").await?;
        if delete.must_exist {
            self.switches.saw_must_exist.store(true, Ordering::SeqCst);
        }
        let mut objects = self.switches.objects.lock().unwrap();
        self.check(delete.if_match, objects.get(delete.key.text()))?;
        let removed = objects.remove(delete.key.text());
        drop(objects);
        if delete.must_exist && removed.is_none() {
            return Err(Error::not_found());
        }
        Ok(Deleted::new(
            (lie != Some("vague")).then_some(removed.is_some()),
        ))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.enter("exists").await?;
        Ok(self.get(key).is_ok())
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        let lie = self.enter("signed_url").await?;
        if lie == Some("at gateway") {
            return Ok(Signing::AtGateway);
        }
        let mut life = sign.expires_in;
        if lie == Some("long") {
            life *= 2;
        }
        let url = format!("https://store.example/{}?sig=x", sign.key);
        Ok(Signing::Url(SignedUrl::new(url, SystemTime::now() + life)))
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        self.enter("head").await?;
        let object = self.get(head.key)?;
        let options = head.options();
        self.check(options.if_match, Some(&object))?;
        if options.if_none_match == Some(&self.etag(object.version)) {
            return Err(Error::new(ErrorKind::NotModified));
        }
        Ok(self.info(&object))
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        let lie = self.enter("list").await?;
        let objects = self.switches.objects.lock().unwrap();
        let mut page = Page::default();
        let after = list.page_token.or(list.start_after).unwrap_or_default();
        let matching = objects
            .iter()
            .filter(|(key, _)| key.starts_with(list.prefix) && key.as_str() > after);
        for (key, object) in matching {
            if page.entries.len() + page.common_prefixes.len() == list.limit as usize {
                page.next = page.entries.last().map(|entry| entry.key.clone());
                break;
            }
            let rest = &key[list.prefix.len()..];
            match list
                .delimiter
                .and_then(|delimiter| rest.split_once(delimiter))
            {
                Some((group, _)) => {
                    let group = format!("{}{group}/", list.prefix);
                    if page.common_prefixes.last() != Some(&group) {
                        page.common_prefixes.push(group);
                    }
                }
                None => {
                    let entry = Entry::new(key, object.bytes.len() as u64);
                    let etag = self.etag(object.version);
                    page.entries.push(entry.etag(etag));
                }
            }
        }
        match lie {
            Some("too many") => page
                .entries
                .extend((0..1001).map(|n| Entry::new(format!("x{n:04}"), 1))),
            Some("order") => page.entries.reverse(),
            Some("stray") => page.entries.push(Entry::new("zzz", 1)),
            Some("loop") => page.next = Some(list.page_token.unwrap_or("x").to_owned()),
            _ => {}
        }
        Ok(page)
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        self.enter("copy").await?;
        let object = self.get(copy.from)?;
        let mut objects = self.switches.objects.lock().unwrap();
        objects.insert(copy.to.text().to_owned(), object);
        Ok(Copied::default())
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        self.enter("rename").await?;
        let object = self.get(rename.from)?;
        let mut objects = self.switches.objects.lock().unwrap();
        objects.remove(rename.from.text());
        objects.insert(rename.to.text().to_owned(), object);
        Ok(Renamed::new(true))
    }

    async fn delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        let lie = self.enter("delete_many").await?;
        let mut objects = self.switches.objects.lock().unwrap();
        let one = |key: &&Key| match key.text() {
            "refused" => Err(Error::new(ErrorKind::PermissionDenied)),
            key => Ok(Deleted::new(Some(objects.remove(key).is_some()))),
        };
        let mut answers: Vec<_> = delete.keys.iter().map(one).collect();
        if lie == Some("fewer") {
            answers.pop();
        }
        Ok(answers)
    }

    async fn health(&self) -> Result<Health> {
        match self.enter("health").await? {
            Some(_) => Ok(Health::down(format!("no answer from {}", self.secret))),
            None => Ok(Health::up()),
        }
    }

    async fn usage(&self) -> Result<Usage> {
        self.enter("usage").await?;
        Ok(Usage::default())
    }

    async fn shutdown(&self) -> Result<()> {
        self.enter("shutdown").await?;
        self.switches
            .on("exists", Act::Fail(ErrorKind::Unavailable));
        Ok(())
    }

    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        self.enter("custom").await?;
        Ok(custom.payload)
    }
}

pub mod probe {
    holdall_plugin_api::export_plugin! {
        backend: super::Probe,
        name: "probe",
        schemes: ["probe", "p"],
        operations: [head, list, copy, rename, delete_many, health, usage, shutdown, custom],
        capabilities: [
            atomic_put, create_only, if_match_put, if_match_delete, if_match_get,
            if_none_match_get, if_time, suffix, unknown_length, content_type, user_metadata,
            header_cache_control, checksum_crc32c, server_copy, copy_create_only, atomic_move,
            ordered_list, start_after, key_and_prefix, case_sensitive, unicode_exact, sign_get,
            usage, custom, exact_delete
        ],
        config_schema: "tests/core/config.schema.json",
    }
}

pub mod bare {
    holdall_plugin_api::export_plugin! {
        backend: super::Probe,
        name: "bare",
        schemes: ["p"],
        operations: [list],
        capabilities: [
            atomic_put, create_only, suffix, unknown_length, content_type, user_metadata,
            header_cache_control, checksum_crc32c
        ],
        config_schema: "tests/core/config.schema.json",
    }
}

pub mod least {
    holdall_plugin_api::export_plugin! {
        backend: super::Probe,
        name: "least",
        schemes: [],
        operations: [],
        capabilities: [atomic_put, unknown_length],
        config_schema: "tests/core/config.schema.json",
    }
}
