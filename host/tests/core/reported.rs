//! Errors as `anyhow` shows them: the texts of the error and its sources, and no facts.

use crate::plugin::{Switches, probe};
use crate::{host, with};
use holdall::config::{Config, Sources};
use holdall::{Host, SignUrl};
use serde_json::json;
use std::error::Error;
use std::path::Path;

const BAD: &str = "defualt_backend = \"x\"\n[backend.Bad]\n[backend.a]\ntimeout = \"7 parsecs\"\n";
const PROBLEMS: [&str; 3] = ["defualt_backend: ", "backend.Bad: ", "backend.a.timeout: "];

/// Each text is shown in one line (`{:#}`), in several (`{:?}`), and in the chain of sources.
fn shows(error: impl Error + Send + Sync + 'static, expected: &[&str]) {
    let chain = std::iter::successors(Some(&error as &dyn Error), |error| {
        let error: &dyn Error = *error;
        error.source()
    });
    let chain = chain.map(ToString::to_string).collect::<Vec<_>>();
    assert!(!chain[0].contains('\n') || chain.len() == 1, "{chain:?}");
    let error = anyhow::Error::new(error);
    for shown in [format!("{error:#}"), format!("{error:?}"), chain.join("\n")] {
        for text in expected {
            assert!(shown.contains(text), "{text}: {shown}");
        }
    }
}

fn written(folder: &Path, text: &str) -> Sources {
    let file = folder.join("holdall.toml");
    std::fs::write(&file, text).unwrap();
    let mut sources = Sources::default();
    sources.flags.config_file = Some(file);
    sources
}

#[test]
fn every_problem_of_a_configuration_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let sources = written(folder.path(), BAD);
    let (_, problems) = Config::read(&sources);
    shows(problems.clone(), &PROBLEMS);
    shows(problems.into_result().unwrap_err(), &PROBLEMS);
    shows(Config::load(&sources).unwrap_err(), &PROBLEMS);
    let file = folder.path().join("holdall.toml");
    shows(
        Host::builder().config_file(file).build().unwrap_err(),
        &PROBLEMS,
    );

    let sources = written(
        folder.path(),
        "[backend.a]\nplugin = \"prob\"\n[backend.b]\nplugin = \"probe\"\n[backend.b.config]\nsecrte = \"x\"\n",
    );
    let (config, problems) = Config::read(&sources);
    problems.into_result().unwrap();
    shows(
        host().reconfigure(config).unwrap_err(),
        &["backend.a.plugin: ", "backend.b.config.secrte: "],
    );
}

#[tokio::test]
async fn every_problem_of_a_backend_is_shown() {
    let (host, switches) = (host(), Switches::new());
    let registration = with("probe", &switches, json!({ "secrte": "x", "claims": 7 }));
    host.register("store", registration).unwrap();
    shows(
        host.backend("store").await.unwrap_err(),
        &[
            "backend \"store\"",
            "store.config.secrte: ",
            "store.config.claims: ",
        ],
    );
    let partial = with("bare", &switches, json!({ "claims": [] }));
    host.register("partial", partial).unwrap();
    shows(
        host.backend("partial").await.unwrap_err(),
        &["partial objects", "allow_non_atomic_put = true"],
    );
    let aliased = crate::probe(&switches).alias("store");
    shows(host.register("other", aliased).unwrap_err(), &["\"store\""]);
    host.register("signs", with("bare", &switches, json!({})))
        .unwrap();
    let life = std::time::Duration::from_secs(60);
    let sign = SignUrl::new(holdall::Method::Get, "k", life);
    let signs = host.backend("signs").await.unwrap();
    shows(
        signs.signed_url(sign).await.unwrap_err(),
        &["no gateway key", "HOLDALL_GATEWAY_SECRET"],
    );
}

#[tokio::test]
async fn a_plugin_without_a_backend_and_required_plugins_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdall.toml");
    std::fs::write(
        &file,
        "[plugin.s3]\nrequired = true\n[plugin.s4]\nrequired = true\n",
    )
    .unwrap();
    let host = Host::builder().built_in(&probe::PLUGIN).config_file(file);
    shows(
        host.build().unwrap_err(),
        &["s3: no plugin has the name", "s4: no plugin has the name"],
    );
}
