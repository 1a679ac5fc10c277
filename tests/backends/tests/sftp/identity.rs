//! Who the server is, and who logs in.

use crate::account::Account;
use holdall::{Error, ErrorKind, Upload};
use holdall_backends::HostedPlugin;
use serde_json::Value;

/// Opens a store and uses it once.
fn used(config: Value) -> Result<(), Error> {
    let hosted = HostedPlugin::new("sftp");
    hosted.run(async {
        let backend = hosted.open(config).await?;
        backend.upload(Upload::new("object", "bytes")).await?;
        Ok(())
    })
}

pub(crate) fn refused(account: &Account) {
    let mut config = account.below("refused");
    config["host_key"] = account.server["other_host_key"].clone();
    let error = used(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error:?}");
    for key in ["host_key", "other_host_key"] {
        let key = account.server[key].as_str().unwrap();
        assert!(error.message().contains(key), "{error} does not name {key}");
    }

    let mut config = account.below("refused");
    config["key_file"] = account.server["other_key_file"].clone();
    let error = used(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");

    let mut config = account.below("refused");
    config.as_object_mut().unwrap().remove("host_key");
    let error = used(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error:?}");
}

pub(crate) fn let_in(account: &Account) {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut config = account.below("let-in");
        change(&mut config);
        used(config)
    };
    // A line of known_hosts, which asks the server for a key of that kind.
    with(&|config| config["host_key"] = account.server["known_hosts"].clone()).unwrap();
    let key = std::fs::read_to_string(account.server["key_file"].as_str().unwrap()).unwrap();
    with(&|config| {
        config.as_object_mut().unwrap().remove("key_file");
        config["private_key"] = key.clone().into();
    })
    .unwrap();
    let agent = Agent::start(account.server["key_file"].as_str().unwrap());
    with(&|config| {
        config.as_object_mut().unwrap().remove("key_file");
        config["agent_socket"] = agent.socket().into();
    })
    .unwrap();
}

/// An SSH agent with one key.
struct Agent {
    process: std::process::Child,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start(key_file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = std::process::Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(folder.path().join("agent"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { process, folder };
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !std::path::Path::new(&agent.socket()).exists() {
            assert!(
                std::time::Instant::now() < until,
                "ssh-agent does not start"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let added = std::process::Command::new("ssh-add")
            .args(["-q", key_file])
            .env("SSH_AUTH_SOCK", agent.socket())
            .status()
            .unwrap();
        assert!(added.success());
        agent
    }

    fn socket(&self) -> String {
        self.folder.path().join("agent").display().to_string()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
