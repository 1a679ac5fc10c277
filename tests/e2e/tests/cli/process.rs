//! The process around plugins: its exit code, its standard output, its log, its limits.

use super::running::Running;
use super::workdir::{Ran, Workdir, until};
use holdall_e2e::artifacts;
use serde_json::Value;
use std::io::{Read, Write};
use std::sync::mpsc::Receiver;

/// `local` and the plugin that misbehaves, and a server that needs no token.
fn workdir() -> Workdir {
    let workdir = Workdir::new();
    std::fs::create_dir(workdir.path("plugins")).unwrap();
    let libraries = [artifacts().misbehaving(), artifacts().plugin("local")];
    artifacts().folder_of(libraries, &workdir.path("plugins"));
    workdir.write(
        "holdall.toml",
        "plugin_dirs = [\"plugins\"]\n[backend.local.config]\nroot = \"data\"\ndurability = \"none\"\n\
         [backend.misbehaving]\n[server.anonymous]\nallow = [\"read\", \"write\", \"list\", \"admin\"]\n",
    );
    workdir.write("in", "x");
    workdir
}

/// The command with the plugins of the workdir.
fn run(workdir: &Workdir, line: &str) -> Ran {
    let mut command = workdir.command();
    command.env("HOLDALL_PLUGIN_DIR", workdir.path("plugins"));
    Ran::of(command.args(line.split_whitespace()))
}

fn serve(workdir: &Workdir, line: &str) -> Running {
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", workdir.path("plugins"))
        .args(["serve", "--listen", "127.0.0.1:0", "--json"])
        .args(line.split_whitespace());
    Running::of(command)
}

fn fifo(path: &std::path::Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn a_plugin_that_calls_exit_is_a_failure_of_the_command() {
    let workdir = workdir();
    for line in [
        "put in misbehaving:exit",
        "exists misbehaving:exit",
        "get misbehaving:exit out",
    ] {
        let ran = run(&workdir, line);
        assert_eq!(ran.code, 8, "{line}: {}", ran.err);
        assert!(ran.err.contains("[plugin_fault]"), "{line}: {}", ran.err);
        assert_eq!(ran.text(), "", "{line}");
    }
}

#[test]
fn exit_handlers_of_a_plugin_do_not_change_how_the_command_ends() {
    let workdir = workdir();
    let ran = run(&workdir, "put in misbehaving:exit-handler");
    assert_eq!((ran.code, ran.signal), (0, None), "{}", ran.err);
    assert!(ran.text().starts_with("stored "), "{}", ran.text());
}

#[test]
fn what_a_plugin_prints_is_not_in_the_answer() {
    let workdir = workdir();
    let ran = run(&workdir, "put in misbehaving:print --json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let stored: Value = serde_json::from_str(&ran.text()).unwrap();
    assert_eq!(stored["key"], "print");
    assert!(ran.err.contains("printed by the plugin"), "{}", ran.err);
    let ran = run(&workdir, "get misbehaving:print -");
    assert!(!ran.text().contains("printed"), "{}", ran.text());
}

#[test]
fn text_logs_escape_control_characters_of_a_plugin() {
    let workdir = workdir();
    let server = serve(&workdir, "--log text");
    server.ask("PUT", "/v1/misbehaving/control", None, "x");
    let (_, log) = server.stop();
    let command = run(&workdir, "put in misbehaving:control -v").err;
    for log in [log, command] {
        assert!(log.contains("forged line"), "{log}");
        assert!(!log.contains(['\u{1b}', '\r']), "{log:?}");
        assert!(!log.lines().any(|line| line.starts_with("forged")), "{log}");
    }
}

#[test]
fn a_configuration_or_secret_that_is_a_fifo_is_refused_at_once() {
    let workdir = workdir();
    fifo(&workdir.path("fifo"));
    for line in ["config check --config fifo", "ls local: --config fifo"] {
        let ran = run(&workdir, line);
        assert_eq!(ran.code, 8, "{line}: {}", ran.err);
    }
    workdir.write(
        "secret.toml",
        "[backend.misbehaving.config]\nsecret = \"file:fifo\"\n",
    );
    let ran = run(&workdir, "config check --config secret.toml");
    assert_eq!(ran.code, 8, "{}", ran.err);
    assert!(ran.text().contains("not a regular file"), "{}", ran.text());
}

#[test]
fn a_reload_that_fails_or_changes_nothing_is_one_object_in_the_log() {
    let workdir = workdir();
    let good = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", workdir.path("plugins"))
        .env("HOLDALL_SERVER_DRAIN", "1s")
        .args(["serve", "--log", "json", "--json"]);
    workdir.write(
        "holdall.toml",
        good.replace(
            "[server.anonymous]",
            "[server]\nlisten = \"127.0.0.1:0\"\n[server.anonymous]",
        ),
    );
    let mut server = Running::of(command);
    let log = server.lines();
    let reload = |what: &str| -> Value {
        server.signal(rustix::process::Signal::HUP);
        loop {
            let line = log.recv_timeout(std::time::Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("{what}: not in the log"));
            let line: Value =
                serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
            if line["target"] == "holdall::commands::serve" {
                return line;
            }
        }
    };
    workdir.write("holdall.toml", "[sever]\n");
    let line = reload("a broken configuration");
    assert_eq!(
        (&line["level"], &line["code"]),
        (&"ERROR".into(), &"config_invalid".into())
    );
    assert!(
        line["problems"].as_str().unwrap().contains("server"),
        "{line}"
    );
    let (_, metrics) = server.ask("GET", "/metrics", None, "");
    let failed = "\nholdall_config_last_reload_successful 0\n";
    assert!(metrics.contains(failed), "{metrics}");

    std::fs::remove_file(workdir.path("holdall.toml")).unwrap();
    fifo(&workdir.path("holdall.toml"));
    let line = reload("a FIFO");
    assert_eq!(line["code"], "config_invalid", "{line}");
    assert_eq!(server.ask("PUT", "/v1/local/a", None, "x").0, 200);

    std::fs::remove_file(workdir.path("holdall.toml")).unwrap();
    workdir.write(
        "holdall.toml",
        good.replace(
            "[server.anonymous]",
            "[server]\nlisten = \"127.0.0.1:1\"\n[server.anonymous]",
        ),
    );
    let line = reload("another address");
    assert_eq!(
        (&line["level"], &line["configured"]),
        (&"WARN".into(), &"127.0.0.1:1".into())
    );
    assert_eq!(server.ask("GET", "/v1/local/a", None, "").0, 200);
}

/// Whether the server answers plain HTTP.
fn speaks_plainly(server: &Running) -> bool {
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A server of TLS may reset the connection.
    let _ = stream.read_to_end(&mut answer);
    answer.starts_with(b"HTTP/")
}

#[test]
fn a_reload_that_drops_tls_or_tokens_is_refused() {
    let workdir = Workdir::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    workdir.write("cert.pem", made.cert.pem());
    workdir.write("key.pem", made.signing_key.serialize_pem());
    let plain = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    let tls = "\n[server.tls]\ncertificate = \"file:cert.pem\"\nkey = \"file:key.pem\"\n";
    let created = workdir.run(["token", "create", "ops", "--allow", "read", "--write"]);
    let token = created.text().trim().to_owned();
    let tokens = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    let refusal = |server: &Running, log: &Receiver<String>, file: &str| {
        workdir.write("holdall.toml", file);
        server.signal(rustix::process::Signal::HUP);
        let mut lines = log
            .iter()
            .map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let line = lines
            .find(|line| line["target"] == "holdall::commands::serve")
            .unwrap();
        assert_eq!(line["level"], "ERROR", "{file:?}: {line}");
        line["error"].as_str().unwrap().to_owned()
    };

    workdir.write("holdall.toml", format!("{tokens}{tls}"));
    let mut server = Running::start(&workdir, "--log json");
    let log = server.lines();
    // An empty file, one that was cut off before the section, and one without it.
    for file in ["", plain.as_str(), tokens.as_str()] {
        let error = refusal(&server, &log, file);
        assert!(error.contains("server.tls"), "{file:?}: {error}");
        assert!(!speaks_plainly(&server), "{file:?}");
    }
    let error = refusal(&server, &log, &format!("{plain}{tls}"));
    assert!(error.contains("server.tokens"), "{error}");
    assert_eq!(server.stop().0, Some(0));

    workdir.write("holdall.toml", &tokens);
    let mut server = Running::start(&workdir, "--log json");
    let log = server.lines();
    let cut = tokens.find("[server.tokens").unwrap();
    for file in ["", plain.as_str(), &tokens[..cut]] {
        let error = refusal(&server, &log, file);
        assert!(error.contains("server.tokens"), "{file:?}: {error}");
        let read = |token| server.ask("GET", "/v1/local/a", token, "").0;
        assert_eq!((read(Some(&token)), read(None)), (404, 401), "{file:?}");
    }
    let (_, metrics) = server.ask("GET", "/metrics", Some(&token), "");
    assert!(!metrics.contains("last_reload_successful 1"), "{metrics}");
    assert_eq!(server.stop().0, Some(0));
}

/// A server that a shell starts after this line.
fn serve_limited(workdir: &Workdir, line: &str) -> Running {
    let command = workdir.command();
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(workdir.path(""));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let serve = "exec \"$0\" serve --listen 127.0.0.1:0 --json --log off";
    shell
        .env("HOLDALL_PLUGIN_DIR", workdir.path("plugins"))
        .args(["-c", &format!("{line}; {serve}")])
        .arg(command.get_program());
    Running::of(shell)
}

#[test]
fn a_limit_of_the_file_size_is_an_error_and_the_server_goes_on() {
    let workdir = workdir();
    let server = serve_limited(&workdir, "ulimit -f 65536");
    let large = "x".repeat(40 << 20);
    let (status, body) = server.ask("PUT", "/v1/local/large", None, &large);
    assert!(status >= 400, "{status} {body}");
    assert_eq!(server.ask("PUT", "/v1/local/small", None, "x").0, 200);
    assert_eq!(server.ask("GET", "/v1/local/small", None, "").0, 200);
    assert_eq!(server.ask("GET", "/v1/local/large", None, "").0, 404);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_server_may_open_as_many_files_as_the_system_allows() {
    let workdir = workdir();
    let server = serve_limited(&workdir, "ulimit -S -n 512");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<_> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{limits}");
}

#[test]
fn names_that_cannot_be_keys_are_counted_and_change_the_exit_code() {
    let workdir = workdir();
    for key in ["d/a", "d/b"] {
        assert_eq!(run(&workdir, &format!("put in local:{key}")).code, 0);
    }
    workdir.write("data/objects/d/back\\slash", "x");
    for line in [
        "get -r local:d out",
        "cp -r local:d local:copy",
        "rm -r local:d",
    ] {
        let ran = run(&workdir, &format!("{line} --json"));
        assert_eq!(ran.code, 5, "{line}: {}", ran.err);
        let report: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(report["code"], "names_left_out", "{line}");
        assert!(
            report["message"].as_str().unwrap().starts_with("1 name"),
            "{report}"
        );
    }
    assert_eq!(workdir.files("out"), ["a", "b"], "the others are read");
    until("the others are removed", || {
        workdir.files("data/objects/d") == ["back\\slash"]
    });
}

/// With more rights than its caller, the command takes nothing from the environment that the caller chose.
#[test]
fn a_process_with_more_rights_takes_no_environment() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let workdir = Workdir::new();
    let here = rustix::fs::statvfs(workdir.path(".")).unwrap();
    let ignores = here.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID);
    if !rustix::process::geteuid().is_root() || ignores {
        eprintln!("SKIPPED: set-user-ID needs root and a file system that honours it");
        return;
    }
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let own = workdir.path("own");
    std::fs::copy(artifacts().holdall(), &own).unwrap();
    mode(&workdir.path("."), 0o755);
    let file = |bits: u32| {
        mode(&own, bits);
        let mut command = std::process::Command::new(&own);
        command
            .current_dir(workdir.path("."))
            .env("HOLDALL_CONFIG", "holdall.toml")
            .env("HOLDALL_PLUGIN_DIR", workdir.path("none"))
            .args(["config", "check", "--json"])
            .uid(65534)
            .gid(65534);
        let output = command.output().unwrap();
        let checked: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        checked["file"].clone()
    };
    assert_eq!(file(0o755), "holdall.toml");
    assert_eq!(file(0o4755), serde_json::Value::Null);
}

/// Where memory files may not be executed, a private copy is mapped, whatever the name of its place, and none
/// of them stays.
#[test]
fn without_executable_memory_files_a_private_copy_is_mapped_and_removed() {
    let workdir = workdir();
    std::fs::create_dir_all(workdir.path("temporary/real")).unwrap();
    std::os::unix::fs::symlink("real", workdir.path("temporary/link")).unwrap();
    let root = workdir.path("temporary").display().to_string();
    let places = ["real", "link", "/real/../link//", "link/."];
    let in_place = |place: &str, script: &str| {
        let mut command = std::process::Command::new("unshare");
        command
            .args(["-rpf", "--mount-proc", "sh", "-ec"])
            .arg(format!("echo 2 > /proc/sys/vm/memfd_noexec\n{script}"))
            .arg("sh")
            .arg(artifacts().holdall())
            .current_dir(workdir.path("."))
            .env("HOLDALL_PLUGIN_DIR", workdir.path("plugins"))
            .env("HOLDALL_CONFIG", workdir.path("holdall.toml"))
            .env(
                "XDG_STATE_HOME",
                workdir.path(&format!("state-{}", place.len())),
            )
            .env("TMPDIR", format!("{root}/{place}"));
        command.output().unwrap()
    };
    if !in_place("real", "true").status.success() {
        eprintln!("SKIPPED: a namespace with vm.memfd_noexec cannot be had here");
        return;
    }
    for place in places {
        let loaded = in_place(place, "exec \"$1\" plugins --load --json");
        let said = String::from_utf8_lossy(&loaded.stdout);
        let text = String::from_utf8_lossy(&loaded.stderr);
        assert!(loaded.status.success(), "{place}: {said}{text}");
        assert_eq!(
            said.matches("\"loaded\":true,\"plugin\"").count(),
            2,
            "{place}: {said}"
        );
        let stay = std::fs::read_dir(workdir.path("temporary/real")).unwrap();
        assert_eq!(stay.count(), 0, "{place}: a copy stays");
    }
}

#[test]
fn serving_without_trials_is_warned_of() {
    let workdir = workdir();
    let warned = || {
        let mut server = serve(&workdir, "--config holdall.toml --log text");
        let log = server.lines();
        drop(server);
        log.iter().any(|line| line.contains("[trial] is off"))
    };
    assert!(!warned());
    let mut config = workdir.read("holdall.toml");
    config.extend(b"[trial]\nenabled = false\n");
    workdir.write("holdall.toml", config);
    assert!(warned());
}

#[test]
fn a_shadowed_plugin_is_warned_of_when_a_server_starts() {
    let workdir = workdir();
    let started = || {
        let mut server = serve(&workdir, "--config holdall.toml --log json");
        let log = server.lines();
        assert_eq!(server.ask("GET", "/healthz", None, "").0, 200);
        drop(server);
        let lines = log
            .iter()
            .map(|line| serde_json::from_str::<Value>(&line).unwrap());
        lines
            .filter(|line| line["loser"].is_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(started(), [Value::Null; 0]);
    let first = workdir.path("plugins/libholdall_plugin_local.so");
    std::fs::copy(&first, workdir.path("plugins/other-local.so")).unwrap();
    let warnings = started();
    let warning = warnings.first().expect("it is warned of");
    assert_eq!(warning["level"], "WARN", "{warning}");
    let named = |field: &str, name: &str| warning[field].as_str().unwrap().ends_with(name);
    assert!(named("winner", "libholdall_plugin_local.so"), "{warning}");
    assert!(named("loser", "other-local.so"), "{warning}");
}

#[test]
fn what_listings_leave_out_is_named_with_its_reason() {
    let workdir = workdir();
    workdir.ok("put in local:dir/kept");
    let objects = workdir.path("data/objects");
    fifo(&objects.join("dir/pipe"));
    std::os::unix::fs::symlink("kept", objects.join("dir/link")).unwrap();
    workdir.write("data/objects/dir/back\\slash", "x");
    workdir.write("data/objects/top\nline", "x");
    let ran = run(&workdir, "ls -R local:");
    assert_eq!((ran.code, &*ran.text()), (0, "dir/kept\n"));
    assert!(
        ran.err.contains("4 names that are no portable keys"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("`holdall ls local: --left-out`"),
        "{}",
        ran.err
    );
    let named = |line: &str| -> Vec<String> {
        let ran = run(&workdir, line);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        let mut lines: Vec<_> = ran.text().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let below = [
        "dir/back\\slash: no portable key has this name",
        "dir/link: a symbolic link",
        "dir/pipe: a FIFO",
    ];
    assert_eq!(named("ls local:dir/ --left-out"), below);
    let all = named("ls local: --left-out");
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all[3].starts_with("top") && all[3].ends_with("no portable key has this name"));
    let json = named("ls local:dir/p --left-out --json");
    assert_eq!(json.len(), 1, "{json:?}");
    let json: Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!(
        (&json["name"], &json["why"]),
        (&"dir/pipe".into(), &"a FIFO".into())
    );
    let other = run(&workdir, "ls misbehaving: --left-out");
    assert_ne!(other.code, 0, "a plugin that cannot tell");
}
