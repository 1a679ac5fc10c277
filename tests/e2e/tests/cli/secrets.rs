//! A canary in every field that holds a secret, in a plugin that tells it wherever it can, and every
//! output of every command searched for it.

use super::workdir::{Ran, Workdir};
use holdall_e2e::artifacts;

const REFERENCED: &str = "canary-by-variable-0001";
const IN_PLACE: &str = "canary-in-place-0002";
const IN_FILE: &str = "canary-in-a-file-0003";
const GATEWAY: &str = "canary-of-the-gateway-0004";

fn workdir() -> Workdir {
    let workdir = Workdir::new();
    workdir.write("token", IN_FILE);
    workdir.write("in", "x");
    workdir.write(
        "holdall.toml",
        format!(
            r#"
[backend.local.config]
root = "data"

[backend.by-variable]
plugin = "misbehaving"
[backend.by-variable.config]
secret = "env:CANARY"

[backend.in-place]
plugin = "misbehaving"
[backend.in-place.config]
secret = "{IN_PLACE}"

[backend.in-a-file]
plugin = "misbehaving"
[backend.in-a-file.config]
secret = "file:token"
tell_when_opening = true

[gateway]
public_url = "https://files.example.org"
keys = [{{ id = "1", secret = "{GATEWAY}" }}]
"#
        ),
    );
    workdir
}

/// Runs the command, searches what it said, and returns that.
fn said(workdir: &Workdir, line: &str) -> String {
    let plugins = workdir.path("plugins");
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", plugins)
        .env("CANARY", REFERENCED)
        .args(line.split_whitespace());
    let ran = Ran::of(&mut command);
    let text = format!("{}{}", ran.text(), ran.err);
    for canary in [REFERENCED, IN_PLACE, IN_FILE, GATEWAY] {
        assert!(!text.contains(canary), "{line} shows {canary}: {text}");
    }
    text
}

fn install(workdir: &Workdir) {
    let folder = workdir.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    let libraries = [artifacts().misbehaving(), artifacts().plugin("local")];
    artifacts().folder_of(libraries, &folder);
}

#[test]
fn no_command_shows_a_secret() {
    let workdir = workdir();
    install(&workdir);
    let mut all = String::new();
    for backend in ["by-variable", "in-place", "in-a-file"] {
        for line in [
            "get {}:tell-error out --force",
            "get {}:tell-stream out --force",
            "get {}:tell-panic out --force",
            "put in {}:tell-error",
            "rm {}:tell-log",
            "head {}:tell-error",
            "ls {}:tell-error",
            "exists {}:tell-task",
            "cp {}:tell-error local:a",
            "sign {}:tell-error",
            "sign {}:fine",
        ] {
            let line = line.replace("{}", backend);
            all += &said(&workdir, &format!("{line} -vvv"));
            all += &said(&workdir, &format!("{line} --json -vvv"));
        }
    }
    for line in [
        "plugins --load",
        "plugins",
        "inspect plugins/libholdall_misbehaving.so",
        "config check",
    ] {
        for how in ["", "--json", "-vvv"] {
            said(&workdir, &format!("{line} {how}"));
        }
    }
    // The plugin did tell: in answers and in its log.
    assert!(
        all.contains("told: [redacted]") && all.contains("TRACE"),
        "{all}"
    );
}

#[test]
fn no_complaint_about_a_configuration_shows_a_secret() {
    let workdir = workdir();
    install(&workdir);
    let good = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    for (from, to) in [
        // Wrong elsewhere in the same table, of the wrong type, and misspelt.
        (
            "tell_when_opening = true",
            "tell_when_opening = \"yes\"\nunknown = 1",
        ),
        (
            "secret = \"canary-in-place-0002\"",
            "secret = [\"canary-in-place-0002\"]",
        ),
        (
            "secret = \"canary-in-place-0002\"",
            "secert = \"canary-in-place-0002\"",
        ),
        ("id = \"1\"", "id = 1"),
        ("[gateway]", "[gatway]"),
        (
            "public_url = \"https://files.example.org\"",
            "public_url = \"ftp://x\"",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        workdir.write("holdall.toml", good.replacen(from, to, 1));
        for line in [
            "config check",
            "config check --json",
            "exists in-place:fine -vvv",
            "exists in-a-file:fine --json -vvv",
        ] {
            let told = said(&workdir, line);
            assert!(!told.is_empty(), "{line} with {to}");
        }
    }
}
