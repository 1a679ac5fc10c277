//! Right configurations: what each source says and which of them wins.

use std::path::PathBuf;
use std::time::Duration;

use holdall_plugin_api::KeyPolicy;
use serde_json::{Value, json};

use super::super::{
    BackendConfig, Config, ConfigProblems, ContentTypePolicy, Environment, Flags, Location,
    ProblemCode, Schema, Secrets, Sources,
};
use super::{read, schemas};
use crate::policy::{Deadlines, FileTypes, Mismatch, Policy, Retries};

/// What the plugin of a backend gets.
fn resolved(config: &Config, backend: &str) -> Value {
    let backend = &config.backends[backend];
    let resolved = backend
        .resolve(
            &schemas()[&backend.plugin],
            config.environment(),
            &Secrets::new(),
        )
        .unwrap_or_else(|problems| panic!("{problems}"));
    serde_json::from_str(resolved.json.expose()).unwrap()
}

fn right(text: &str, variables: &[(&str, &str)]) -> Config {
    let (config, problems) = read(text, variables);
    assert_eq!(problems, [], "{text}");
    config
}

#[test]
fn without_any_backend_the_fallback_is_added_and_no_other() {
    let config = Config::load(&Sources::default()).unwrap();
    assert!(config.backends.is_empty() && config.default_backend.is_none());
    let config = Config::load(&Sources {
        fallback_backend: Some(BackendConfig::default_local()),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(config.default_backend.as_deref(), Some("local"));
    assert_eq!(config.backends.len(), 1);
    assert_eq!(resolved(&config, "local"), json!({ "root": "./data" }));
    assert_eq!(
        config.plugin_dirs,
        Vec::<PathBuf>::new(),
        "a library scans nothing unless told"
    );
}

#[test]
fn every_key_of_the_file() {
    let config = right(
        r#"
        plugin_dirs = ["plugins", "/opt/plugins"]
        default_backend = "pictures-2"
        [backend.pictures-2]
        plugin = "local"
        key_policy = "opaque"
        content_type = "by_extension"
        timeout = "90s"
        max_wait = "0s"
        allow_non_atomic_put = true
        [backend.pictures-2.config]
        root = "/srv"
        [plugin.local]
        required = true
        sha256 = "9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        [plugin.s3]
        disabled = true
        [gateway]
        public_url = "https://files.example.org/base/"
        keys = [{ id = "b", secret = "env:B" }, { id = "a", secret = "file:a" }]
        "#,
        &[],
    );
    assert_eq!(
        config.plugin_dirs,
        [PathBuf::from("plugins"), PathBuf::from("/opt/plugins")]
    );
    assert_eq!(config.default_backend.as_deref(), Some("pictures-2"));
    let backend = &config.backends["pictures-2"];
    assert_eq!((&*backend.name, &*backend.plugin), ("pictures-2", "local"));
    assert_eq!(backend.mount.key_policy, KeyPolicy::Opaque);
    assert_eq!(backend.mount.content_type, ContentTypePolicy::ByExtension);
    assert_eq!(backend.mount.timeout, Some(Duration::from_secs(90)));
    assert_eq!(backend.mount.max_wait, Duration::ZERO);
    assert!(backend.mount.allow_non_atomic_put);
    assert_eq!(resolved(&config, "pictures-2"), json!({ "root": "/srv" }));
    let rule = &config.plugins["local"];
    assert!(rule.required && !rule.disabled);
    assert_eq!(
        rule.sha256.map(|digest| (digest[0], digest[31])),
        Some((0x9f, 0x08))
    );
    assert!(config.plugins["s3"].disabled);
    let gateway = config.gateway.unwrap();
    assert_eq!(gateway.public_url, "https://files.example.org/base");
    assert_eq!(
        gateway.keys.iter().map(|key| &*key.id).collect::<Vec<_>>(),
        ["b", "a"]
    );
}

#[test]
fn policies_have_values_or_their_defaults() {
    let config = right(
        r#"
        [backend.memory]
        aliases = ["photos"]
        [backend.memory.policy]
        prefix = "tenants/a/"
        read_only = false
        max_size = true
        allowed_types = ["image/*", "text/plain"]
        type_mismatch = "correct"
        deadline = { default = "10s", upload = "10m" }
        idle_timeout = true
        concurrency = true
        retry = { attempts = 4 }
        breaker = false
        "#,
        &[],
    );
    let backend = &config.backends["memory"];
    assert_eq!(backend.mount.aliases, ["photos"]);
    let mut policy = Policy::new();
    policy.prefix = Some("tenants/a/".to_owned());
    policy.max_size = Some(10 << 20);
    policy.types = Some(FileTypes::new(["image/*", "text/plain"]).mismatch(Mismatch::Correct));
    policy.deadline = Deadlines::all(Duration::from_secs(10)).operation(
        holdall_plugin_api::Operation::Upload,
        Duration::from_secs(600),
    );
    policy.idle_timeout = Some(Duration::from_secs(30));
    policy.concurrency = Some(64);
    policy.retry = Some(Retries {
        attempts: 4,
        ..Retries::default()
    });
    assert_eq!(backend.mount.policy, policy);
    let by_hand = right("[backend.memory.policy]\nmax_size = \"3KiB\"", &[]);
    assert_eq!(by_hand.backends["memory"].mount.policy.max_size, Some(3072));
    assert!(
        right("[backend.memory.policy]", &[]).backends["memory"]
            .mount
            .policy
            .is_empty()
    );
}

#[test]
fn paths_in_a_file_start_at_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdall.toml");
    std::fs::write(
        &file,
        "plugin_dirs = [\"p\"]\n[backend.s3.config]\nbucket = \"pictures\"\nsecret_access_key = \"file:key\"\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("key"), "from the file\n").unwrap();
    let mut sources = Sources {
        default_file: Some(file.clone()),
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.file.as_ref(), Some(&file));
    assert_eq!(config.plugin_dirs, [folder.path().join("p")]);
    assert_eq!(
        resolved(&config, "s3")["secret_access_key"],
        "from the file"
    );

    // A default file that is not there is no fault, a named one is.
    sources.default_file = Some(folder.path().join("none.toml"));
    assert!(Config::load(&sources).is_ok());
    sources.flags.config_file = sources.default_file.take();
    let problems = Config::load(&sources).unwrap_err();
    assert_eq!(
        problems
            .iter()
            .map(|problem| problem.code)
            .collect::<Vec<_>>(),
        [ProblemCode::Unreadable]
    );
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let file = folder.path().join(name);
        let text = format!(
            "plugin_dirs = [\"/{name}\"]\ndefault_backend = \"{name}\"\n[backend.flag]\n[backend.variable]\n[backend.file]\n[backend.named]\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    };
    let (file, named) = (write("file"), write("named"));
    let named = named.to_str().unwrap();
    let variables = [
        ("HOLDALL_CONFIG", named),
        ("HOLDALL_PLUGIN_DIR", "/v/1:/v/2"),
        ("HOLDALL_BACKEND", "variable"),
    ];
    let flags = Flags {
        config_file: Some(file.clone()),
        plugin_dirs: vec!["/flag".into()],
        default_backend: Some("flag".into()),
        state_dir: None,
    };
    let load = |flags: &Flags, variables: &[(&str, &str)]| {
        let config = Config::load(&Sources {
            flags: flags.clone(),
            environment: Environment::from_iter(variables.iter().copied()),
            default_file: Some(file.clone()),
            ..Sources::default()
        })
        .unwrap_or_else(|problems| panic!("{problems}"));
        let dirs: Vec<_> = config
            .plugin_dirs
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        (
            config
                .file
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
            dirs.join(" "),
            config.default_backend.unwrap(),
        )
    };
    let expect = |file: &str, dirs: &str, backend: &str| {
        (file.to_owned(), dirs.to_owned(), backend.to_owned())
    };
    let none = Flags::default();
    assert_eq!(load(&flags, &variables), expect("file", "/flag", "flag"));
    assert_eq!(
        load(&none, &variables),
        expect("named", "/v/1 /v/2", "variable")
    );
    assert_eq!(
        load(&none, &variables[..1]),
        expect("named", "/named", "named")
    );
    assert_eq!(
        load(&none, &[("HOLDALL_CONFIG", "")]),
        expect("file", "/file", "file")
    );
}

#[test]
fn the_default_backend_is_named_or_local_or_the_only_one() {
    let default = |text: &str, variables: &[(&str, &str)]| right(text, variables).default_backend;
    assert_eq!(
        default("[backend.a]\n[backend.local]\n", &[]).as_deref(),
        Some("local")
    );
    assert_eq!(default("[backend.a]\n", &[]).as_deref(), Some("a"));
    assert_eq!(default("[backend.a]\n[backend.b]\n", &[]), None);
    assert_eq!(
        default("[backend.a]\n[backend.b]\n", &[("HOLDALL_BACKEND", "b")]).as_deref(),
        Some("b")
    );
}

#[test]
fn a_backend_out_of_variables_alone() {
    let config = right(
        "",
        &[
            ("HOLDALL_BACKEND", "my-store"),
            ("HOLDALL_BACKEND_MY_STORE_PLUGIN", "s3"),
            ("HOLDALL_BACKEND_MY_STORE_KEY_POLICY", "opaque"),
            ("HOLDALL_BACKEND_MY_STORE_TIMEOUT", "5m"),
            ("HOLDALL_BACKEND_MY_STORE_BUCKET", "pictures"),
            ("HOLDALL_BACKEND_MY_STORE_SECRET_ACCESS_KEY", "env:KEY"),
            ("HOLDALL_BACKEND_MY_STORE_PART_SIZE", "8388608"),
            ("HOLDALL_BACKEND_MY_STORE_PATH_STYLE", "true"),
            ("HOLDALL_BACKEND_MY_STORE_RATIO", "0.5"),
            ("HOLDALL_BACKEND_MY_STORE_TAGS", "a, b"),
            ("HOLDALL_BACKEND_MY_STORE_PORTS", "80,443"),
            ("HOLDALL_BACKEND_MY_STORE_RETRY__COUNT", "3"),
            ("HOLDALL_BACKEND_MY_STORE_RETRY__WAIT_MS", "10"),
            ("HOLDALL_BACKEND_MY_STORE_HEADERS__TEAM", "photo"),
            ("HOLDALL_BACKEND_MY_STORE_TOKENS", "env:KEY,inline"),
            ("KEY", "a long secret"),
        ],
    );
    let backend = &config.backends["my-store"];
    assert_eq!(config.backends.len(), 1);
    assert_eq!(
        (backend.mount.key_policy, backend.mount.timeout),
        (KeyPolicy::Opaque, Some(Duration::from_secs(300)))
    );
    assert_eq!(
        resolved(&config, "my-store"),
        json!({
            "bucket": "pictures", "secret_access_key": "a long secret", "part_size": 8_388_608,
            "path_style": true, "ratio": 0.5, "tags": ["a", "b"], "ports": [80, 443],
            "retry": { "count": 3, "wait-ms": 10 }, "headers": { "team": "photo" },
            "tokens": ["a long secret", "inline"],
        })
    );
}

#[test]
fn a_variable_wins_over_the_file_and_is_the_place_of_its_problems() {
    let config = right(
        "[backend.s3.config]\nbucket = \"pictures\"\nsecret_access_key = \"long enough\"\nretry = { count = 1, wait-ms = 2 }\n",
        &[
            ("HOLDALL_BACKEND_S3_RETRY__COUNT", "4"),
            ("HOLDALL_BACKEND_S3_BUCKET", "x"),
        ],
    );
    let problems = config.backends["s3"]
        .resolve(&schemas()["s3"], config.environment(), &Secrets::new())
        .unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .map(|p| (&*p.path, p.pointer.as_deref(), &p.place))
        .collect();
    let place = Location::Variable("HOLDALL_BACKEND_S3_BUCKET".to_owned());
    assert_eq!(
        places,
        [("backend.s3.config.bucket", Some("/bucket"), &place)]
    );
}

#[test]
fn the_longer_name_has_the_variable() {
    let text = "[backend.s3]\n[backend.s3-eu]\nplugin = \"s3\"\n";
    let config = right(text, &[("HOLDALL_BACKEND_S3_EU_BUCKET", "x")]);
    let variables = |name: &str| config.backends[name].settings.variables.len();
    assert_eq!((variables("s3"), variables("s3-eu")), (0, 1));
}

#[test]
fn variables_without_our_prefix_are_ignored() {
    right(
        "",
        &[
            ("HOLDALL_LOG", "debug"),
            ("HOLDALL_BACKENDS", "x"),
            ("PATH", "/bin"),
        ],
    );
}

#[test]
fn what_a_program_configures_is_judged_too() {
    let only = |answer: Result<BackendConfig, ConfigProblems>| {
        let problems: Vec<_> = answer.unwrap_err().into_iter().collect();
        (
            problems.len(),
            problems[0].code,
            problems[0].suggestion.clone(),
        )
    };
    let wrong = only(BackendConfig::new("A", "s3", json!({})));
    assert_eq!(wrong, (1, ProblemCode::InvalidName, Some("a".to_owned())));
    assert_eq!(
        only(BackendConfig::new("a", "s3", json!(7))),
        (1, ProblemCode::WrongType, None)
    );
    let right = BackendConfig::new("a", "s3", json!({ "bucket": 7 })).unwrap();
    let problems = right
        .resolve(&schemas()["s3"], &Environment::none(), &Secrets::new())
        .unwrap_err();
    assert_eq!(problems.len(), 2, "{problems}");
}

#[test]
fn a_schema_of_true_takes_anything() {
    let any = BackendConfig::new("a", "any", json!({ "x": { "y": [1] } })).unwrap();
    assert!(
        any.resolve(&json!(true).into(), &Environment::none(), &Secrets::new())
            .is_ok()
    );
    let none = Schema::from(json!({ "type": "object" }));
    let problems = any
        .resolve(&none, &Environment::none(), &Secrets::new())
        .unwrap_err();
    assert_eq!(
        problems.to_string(),
        "backend.a.config.x: expected no field, found unknown key \"x\" (the program's own configuration) [unknown_key]"
    );
}

#[test]
fn a_schema_that_refers_outside_itself_is_broken_and_nothing_is_fetched() {
    let schema = Schema::from(json!({ "$ref": "https://example.org/schema.json" }));
    let backend = BackendConfig::new("a", "b", json!({})).unwrap();
    let problems = backend
        .resolve(&schema, &Environment::none(), &Secrets::new())
        .unwrap_err();
    assert_eq!(
        problems
            .iter()
            .map(|problem| problem.code)
            .collect::<Vec<_>>(),
        [ProblemCode::BrokenSchema]
    );
}

#[test]
fn paths_of_the_environment_may_be_any_bytes_and_other_variables_may_not() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let bytes = OsStr::from_bytes(b"/plug\xff").to_owned();
    let mut sources = Sources::default();
    let variables = [
        ("HOLDALL_PLUGIN_DIR", bytes.clone()),
        ("OTHER", bytes.clone()),
    ];
    sources.environment = Environment::from_iter(variables);
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.plugin_dirs, [PathBuf::from(&bytes)]);
    let variables: [(&str, OsString); 1] = [("HOLDALL_BACKEND", bytes)];
    sources.environment = Environment::from_iter(variables);
    let problems = Config::load(&sources).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.code, ProblemCode::InvalidValue);
    assert_eq!(problem.place, Location::Variable("HOLDALL_BACKEND".into()));
}

#[test]
fn tens_of_thousands_of_gateway_keys_are_read_in_time_that_grows_with_their_number() {
    const KEYS: usize = 60_000;
    let keys = (0..KEYS).map(|n| format!("{{ id = \"{n}\", secret = \"secret number {n:09}\" }}"));
    let keys: Vec<_> = keys.collect();
    let text = format!(
        "[gateway]\npublic_url = \"https://a.example\"\nkeys = [{}]\n",
        keys.join(",\n")
    );
    let started = on_processor();
    let config = right(&text, &[]);
    let report = super::super::check(&config, &schemas(), &Secrets::new());
    assert!(report.problems.is_empty());
    assert_eq!(config.gateway.unwrap().keys.len(), KEYS);
    // Every key against every other takes minutes.
    let took = on_processor() - started;
    assert!(took < Duration::from_secs(60), "{took:?}");
}

/// How long this thread has been on a processor: others may use the machine.
#[cfg(unix)]
fn on_processor() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[cfg(not(unix))]
fn on_processor() -> Duration {
    std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
}

#[test]
fn the_state_directory_is_that_of_the_flag_of_systemd_or_of_xdg() {
    let directory = |flag: Option<&str>, variables: &[(&str, &str)]| {
        let mut sources = Sources {
            environment: Environment::from_iter(variables.iter().copied()),
            ..Sources::default()
        };
        sources.flags.state_dir = flag.map(Into::into);
        let directory = Config::load(&sources).unwrap().state_dir;
        directory.map(|directory| directory.display().to_string())
    };
    let home = ("HOME", "/home/a");
    let xdg = ("XDG_STATE_HOME", "/state");
    let systemd = ("STATE_DIRECTORY", "/var/lib/holdall:/var/lib/more");
    let flag = Some("flag");
    assert_eq!(directory(flag, &[home, xdg, systemd]).as_deref(), flag);
    let of = |variables: &[(&str, &str)]| directory(None, variables);
    assert_eq!(
        of(&[home, xdg, systemd]).as_deref(),
        Some("/var/lib/holdall")
    );
    assert_eq!(of(&[home, xdg]).as_deref(), Some("/state/holdall"));
    let relative = ("XDG_STATE_HOME", "relative");
    let below_home = Some("/home/a/.local/state/holdall");
    assert_eq!(of(&[home, relative]).as_deref(), below_home);
    assert_eq!(of(&[]), None);
}
