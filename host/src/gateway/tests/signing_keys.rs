//! The keys that sign: rotation, configuration, and that they are in no output.

use super::*;

#[test]
fn l_17_no_secret_in_any_output() {
    let (gateway, _) = gateway();
    let url = gateway.sign("avatars", &put("k")).unwrap();
    let grant = gateway.verify("PUT", &url.url, PUT_HEADERS).unwrap();
    let config = GatewayConfig::new("https://h").key("a", SECRET);
    let short = GatewayConfig::new("https://h").key("a", "hunter2");
    let problems = Gateway::new(&short, &Environment::none(), &Secrets::new()).unwrap_err();
    let out = format!(
        "{gateway:?} {url:?} {} {grant:?} {config:?} {problems} {problems:?}",
        url.url
    );
    assert!(
        !out.contains("battery") && !out.contains("hunter2"),
        "{out}"
    );
    let signature = url.url.rsplit_once('=').unwrap().1;
    assert!(
        !format!("{url:?} {grant:?}").contains(signature),
        "whole URLs are not logged"
    );
}

#[test]
fn rotation_of_keys() {
    let config = |keys: &[&str]| {
        let config = GatewayConfig::new("https://files.example.org");
        keys.iter().fold(config, |config, id| {
            config.key(*id, format!("the secret of key {id}"))
        })
    };
    let verifies =
        |keys: &[&str], url: &str| gateway_of(&config(keys)).0.verify("GET", url, NONE).is_ok();
    let url = |keys: &[&str]| {
        gateway_of(&config(keys))
            .0
            .sign("b", &request(Method::Get, "k"))
            .unwrap()
            .url
    };
    let old = url(&["old"]);
    let new = url(&["new", "old"]);
    assert!(new.contains("hd-kid=new&"), "the first signs");
    assert!(
        verifies(&["new", "old"], &old) && verifies(&["new", "old"], &new),
        "all verify"
    );
    assert!(
        !verifies(&["new"], &old),
        "a key that is gone takes its URLs with it"
    );
    assert!(!verifies(&["old"], &new));
    let forged = old.replace("hd-kid=old", "hd-kid=new");
    assert!(
        !verifies(&["new", "old"], &forged),
        "a key verifies only what it signed"
    );
    assert_eq!(
        gateway().0.verify("GET", &old, NONE),
        Err(Refused),
        "another gateway"
    );
}

#[test]
fn without_keys_the_error_has_the_lines_to_add() {
    let keyless = gateway_of(&GatewayConfig::new("https://files.example.org")).0;
    for gateway in [Gateway::unconfigured(), keyless] {
        assert!(!gateway.is_configured());
        let error = gateway
            .sign("avatars", &request(Method::Get, "k"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        let fix = error.fact("fix").unwrap();
        let lines = fix.split_once('\n').unwrap().1;
        // The lines to add are valid as they stand.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdall.toml");
        std::fs::write(&file, lines).unwrap();
        let mut sources = crate::config::Sources::default();
        sources.flags.config_file = Some(file);
        sources.environment = Environment::from_iter([("HOLDALL_GATEWAY_SECRET", SECRET)]);
        let config = crate::config::Config::load(&sources).unwrap();
        let told = Gateway::new(
            &config.gateway.unwrap(),
            &sources.environment,
            &Secrets::new(),
        )
        .unwrap();
        assert!(told.sign("avatars", &request(Method::Get, "k")).is_ok());
    }
}

#[test]
fn what_is_wrong_with_keys() {
    let problems = |config: GatewayConfig| {
        Gateway::new(&config, &Environment::none(), &Secrets::new())
            .unwrap_err()
            .iter()
            .map(|problem| problem.code.name())
            .collect::<Vec<_>>()
    };
    let config = || GatewayConfig::new("https://h");
    assert_eq!(
        problems(config().key("a", "fifteen bytes !")),
        ["secret_too_short"]
    );
    assert_eq!(problems(config().key("a", "env:X")), ["secret_unresolved"]);
    assert_eq!(problems(config().key("a b", SECRET)), ["invalid_name"]);
    assert_eq!(
        problems(config().key("a", SECRET).key("a", SECRET)),
        ["duplicate"]
    );
    assert_eq!(
        problems(GatewayConfig::new("ftp://h").key("a", "x")),
        ["secret_too_short", "invalid_value"]
    );
}
