//! A new configuration for a host that runs.

use crate::plugin::{self, Act, Switches};
use crate::probe;
use holdall::config::{Config, Environment, Sources};
use holdall::{Download, ErrorKind, Host, Method, SignUrl, Upload};
use std::path::Path;
use std::time::Duration;

fn read(folder: &Path, text: &str) -> Config {
    let file = folder.join("holdall.toml");
    std::fs::write(&file, text).unwrap();
    let mut sources = Sources::default();
    sources.default_file = Some(file);
    sources.environment = Environment::none();
    let (config, problems) = Config::read(&sources);
    assert!(problems.is_empty(), "{problems}");
    config
}

fn with(config: Config) -> Host {
    let builder = Host::builder().built_in(&plugin::probe::PLUGIN);
    builder.config(config).build().unwrap()
}

fn backend(name: &str, switches: &Switches, more: &str) -> String {
    let id = &switches.id;
    format!(
        "[backend.{name}]\nplugin = \"probe\"\n[backend.{name}.config]\nid = \"{id}\"\n{more}\n"
    )
}

#[tokio::test]
async fn only_what_differs_gets_a_new_generation() {
    let folder = tempfile::tempdir().unwrap();
    let [same, changed, gone, new, own] = [(); 5].map(|()| Switches::new());
    let text = [
        backend("same", &same, ""),
        backend("changed", &changed, ""),
        backend("gone", &gone, ""),
    ];
    let host = with(read(folder.path(), &text.concat()));
    host.register("own", probe(&own)).unwrap();
    for name in host.backends() {
        let backend = host.backend(&name).await.unwrap();
        backend.upload(Upload::new("k", "x")).await.unwrap();
    }
    let (kept, follower) = (
        host.handle("same").unwrap(),
        host.handle("changed").unwrap(),
    );
    let forgotten = host.handle("gone").unwrap();

    let text = [
        backend("changed", &changed, "claims = []"),
        backend("new", &new, ""),
        backend("same", &same, ""),
    ];
    let outcome = host
        .reconfigure(read(folder.path(), &text.concat()))
        .unwrap();
    assert_eq!(outcome.registered, ["changed", "new"]);
    assert_eq!(outcome.removed, ["gone"]);
    assert_eq!(outcome.unchanged, ["same"]);
    assert_eq!(host.backends(), ["changed", "new", "own", "same"]);
    assert_eq!((kept.generation_number().unwrap(), same.opens()), (1, 1));
    assert_eq!(follower.generation_number().unwrap(), 2);
    let removed = forgotten.exists("k").await.unwrap_err();
    assert_eq!(removed.kind(), ErrorKind::BackendNotRegistered);
    assert_eq!(host.handle("own").unwrap().generation_number().unwrap(), 1);
    assert!(host.config().backends.contains_key("new"));

    let again = host
        .reconfigure(read(folder.path(), &text.concat()))
        .unwrap();
    assert!(
        again.registered.is_empty() && again.removed.is_empty(),
        "{again:?}"
    );
}

#[tokio::test]
async fn what_runs_ends_on_what_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let switches = Switches::new();
    switches.put("k", "object");
    switches.on("download", Act::Lie("stream"));
    let host = with(read(folder.path(), &backend("store", &switches, "")));
    let store = host.backend("store").await.unwrap();
    let read_on = store.download(Download::new("k")).await.unwrap();
    let text = backend("store", &switches, "secret = \"other\"");
    host.reconfigure(read(folder.path(), &text)).unwrap();
    assert_eq!(store.generation_number().unwrap(), 2);
    assert_eq!(read_on.body.collect(99).await.unwrap(), "object");
}

#[tokio::test]
async fn a_secret_that_changed_where_it_lies_counts_as_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let switches = Switches::new();
    std::fs::write(folder.path().join("secret"), "one").unwrap();
    let text = backend("store", &switches, "secret = \"file:secret\"");
    let host = with(read(folder.path(), &text));
    host.backend("store").await.unwrap();
    let outcome = host.reconfigure(read(folder.path(), &text)).unwrap();
    assert_eq!(outcome.unchanged, ["store"]);
    std::fs::write(folder.path().join("secret"), "two").unwrap();
    let outcome = host.reconfigure(read(folder.path(), &text)).unwrap();
    assert_eq!(outcome.registered, ["store"]);
    host.backend("store").await.unwrap();
    assert_eq!(switches.opens(), 2);
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (Switches::new(), Switches::new());
    let signs_nothing = |text: String| {
        let plugin = "plugin = \"probe\"";
        text.replace(plugin, &format!("{plugin}\nallow_non_atomic_put = true"))
    };
    let text = signs_nothing(backend("store", &good, "claims = []"));
    let gateway = "[gateway]\npublic_url = \"https://a.example\"\nkeys = [{ id = \"1\", secret = \"long enough for a key\" }]\n";
    let host = with(read(folder.path(), &format!("{gateway}{text}")));
    let store = host.backend("store").await.unwrap();
    let gateway = gateway.replace("long enough for a key", "short");
    let text = backend("store", &other, "no_such_field = 1");
    let error = host
        .reconfigure(read(folder.path(), &format!("{gateway}{text}")))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    let told: Vec<_> = error.facts().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(told.len(), 2, "all of it at once: {told:?}");
    assert_eq!(store.generation_number().unwrap(), 1);
    let sign = SignUrl::new(Method::Get, "k", Duration::from_secs(9));
    let url = store.signed_url(sign).await.unwrap().url;
    assert!(
        host.gateway().verify("GET", &url, [("host", "a")]).is_ok(),
        "the old key signs"
    );
}

#[tokio::test]
async fn new_keys_sign_and_old_ones_end_when_they_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let switches = Switches::new();
    let text = |keys: &str| {
        let store = backend("store", &switches, "claims = []");
        format!("[gateway]\npublic_url = \"https://a.example\"\nkeys = [{keys}]\n{store}")
    };
    let key =
        |id: &str| format!("{{ id = \"{id}\", secret = \"a secret of key {id}, long enough\" }}");
    // Without the claim of atomic uploads the backend is refused unless the configuration agrees.
    let allow = |text: String| {
        text.replace(
            "plugin = \"probe\"",
            "plugin = \"probe\"\nallow_non_atomic_put = true",
        )
    };
    let host = with(read(folder.path(), &allow(text(&key("1")))));
    let store = host.backend("store").await.unwrap();
    let sign = || SignUrl::new(Method::Get, "k", Duration::from_secs(99));
    let headers = || [("host", "a")];
    let one = store.signed_url(sign()).await.unwrap().url;
    host.reconfigure(read(
        folder.path(),
        &allow(text(&format!("{}, {}", key("2"), key("1")))),
    ))
    .unwrap();
    let two = store.signed_url(sign()).await.unwrap().url;
    assert!(two.contains("hd-kid=2"), "{two}");
    for url in [&one, &two] {
        assert!(
            host.gateway().verify("GET", url, headers()).is_ok(),
            "{url}"
        );
    }
    host.reconfigure(read(folder.path(), &allow(text(&key("2")))))
        .unwrap();
    assert!(host.gateway().verify("GET", &one, headers()).is_err());
    assert!(host.gateway().verify("GET", &two, headers()).is_ok());
}
