//! `serve` and `token`, as an operator runs them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::running::Running;
use crate::workdir::{Workdir, until};
use serde_json::Value;

#[test]
fn without_a_configuration_a_token_of_this_run_opens_it_to_this_machine() {
    let workdir = Workdir::new();
    let mut command = workdir.bare();
    command
        .env("HOLDALL_PLUGIN_DIR", crate::workdir::plugins())
        .args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let server = Running::of(command);
    let token = server.token.clone().unwrap();
    assert_eq!(server.ask("PUT", "/v1/local/a", None, "x").0, 401);
    assert_eq!(server.ask("PUT", "/v1/local/a", Some(&token), "x").0, 200);
    let (status, signed) = server.ask("POST", "/v1/local/a?sign", Some(&token), "");
    assert_eq!(status, 200, "{signed}");
    let signed: Value = serde_json::from_str(&signed).unwrap();
    let url = signed["url"].as_str().unwrap();
    let target = url
        .strip_prefix(&format!("http://{}", server.address))
        .unwrap();
    assert_eq!(server.ask("GET", target, None, ""), (200, "x".to_owned()));
    let (code, told) = server.stop();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(workdir.read("data/objects/a"), b"x");
    // The log has each request, and no signature.
    assert!(told.contains("path=\"/v1/local/a\""), "{told}");
    assert!(!told.contains("hd-sig"), "{told}");
    assert!(!told.contains(&token), "{told}");
}

#[test]
fn a_token_is_made_once_and_kept_as_a_hash() {
    let workdir = Workdir::new();
    let made = workdir.run([
        "token",
        "create",
        "ci",
        "--allow",
        "read,list",
        "--prefix",
        "a\"b/",
        "--expires",
        "90d",
        "--json",
    ]);
    assert_eq!(made.code, 0, "{}", made.err);
    let made: Value = serde_json::from_str(&made.text()).unwrap();
    let (token, block) = (
        made["token"].as_str().unwrap(),
        made["config"].as_str().unwrap(),
    );
    assert!(token.starts_with("hd_ci_"), "{token}");
    assert!(
        block.contains("[server.tokens.ci]\nhash = \"sha256:"),
        "{block}"
    );
    assert!(
        block.contains("allow = [\"read\", \"list\"]\nprefix = \"a\\\"b/\"\nexpires = \""),
        "{block}"
    );
    assert!(!block.contains(token));
    // All that a program needs to write the configuration itself.
    assert!(
        block.contains(&format!("hash = {}", made["hash"])),
        "{made}"
    );
    assert_eq!(made["allow"], serde_json::json!(["read", "list"]));
    assert_eq!(made["backends"], serde_json::json!([]));
    assert_eq!(made["prefix"], "a\"b/");
    assert!(
        block.contains(&format!("expires = {}", made["expires"])),
        "{made}"
    );

    let before = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    let told = workdir.run(["token", "create", "ops", "--allow", "admin", "--write"]);
    assert_eq!(told.code, 0, "{}", told.err);
    let after = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    assert!(
        after.starts_with(&before) && after.contains("[server.tokens.ops]"),
        "{after}"
    );
    assert!(
        !after.contains(told.text().trim()),
        "the token itself is nowhere"
    );
    workdir.ok("config check");
    let error = workdir.fails(4, "token create ops --allow read --write");
    assert!(error.contains("there is a token \"ops\""), "{error}");
    workdir.fails(2, "token create ops --allow raed");
    workdir.fails(2, "token create Ops --allow read");
    workdir.fails(2, "token create x --allow admin --prefix y");
    workdir.fails(2, "token create x");
    assert_eq!(
        workdir.read("holdall.toml"),
        after.as_bytes(),
        "a refusal changes nothing"
    );
    assert_eq!(
        workdir
            .files("")
            .iter()
            .filter(|name| name.contains(".new"))
            .count(),
        0
    );
}

#[test]
fn a_hangup_reads_the_configuration_again_without_dropping_a_request() {
    let workdir = Workdir::new();
    let mut server = Running::start(&workdir, "");
    let lines = server.lines();
    let run = server.token.clone().unwrap();
    assert_eq!(server.ask("PUT", "/v1/local/a", Some(&run), "x").0, 200);
    assert_eq!(server.ask("GET", "/v1/tiny/a", Some(&run), "").0, 404);

    // A request that has begun before, and ends after.
    let mut late = TcpStream::connect(&server.address).unwrap();
    write!(late, "PUT /v1/local/late HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {run}\r\ncontent-length: 4\r\n\r\nla").unwrap();
    late.flush().unwrap();

    let made = workdir.run(["token", "create", "ci", "--allow", "read", "--write"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let ci = made.text().trim().to_owned();
    let text = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    let (_, rest) = text.split_once("[backend.tiny]").unwrap();
    let (_, rest) = rest.split_once("max_bytes = 10").unwrap();
    workdir.write(
        "holdall.toml",
        format!(
            "{}{rest}[backend.fresh]\nplugin = \"memory\"\n",
            text.split_once("[backend.tiny]").unwrap().0
        ),
    );
    server.signal(rustix::process::Signal::HUP);
    // Asked with the token that is known now: failed attempts are slowed down.
    until("there are tokens now", || {
        server.ask("GET", "/v1/local/a", Some(&run), "").0 == 401
    });
    assert_eq!(server.ask("GET", "/v1/local/a", Some(&ci), "").0, 200);
    let (_, body) = server.ask("GET", "/v1/fresh/a", Some(&ci), "");
    assert!(body.contains("file_not_found"), "{body}");
    let (_, body) = server.ask("GET", "/v1/tiny/a", Some(&ci), "");
    assert!(body.contains("backend_not_registered"), "{body}");
    late.write_all(b"te").unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    // A broken configuration changes nothing and is reported.
    let good = workdir.read("holdall.toml");
    workdir.write("holdall.toml", "[sever]\n");
    server.signal(rustix::process::Signal::HUP);
    let mut told = String::new();
    while !told.contains("did you mean \\\"server\\\"?")
        && !told.contains("did you mean \"server\"?")
    {
        let line = lines.recv_timeout(Duration::from_secs(60));
        told += &line.unwrap_or_else(|why| panic!("{why}: {told}"));
    }
    assert_eq!(server.ask("GET", "/v1/local/a", Some(&ci), "").0, 200);
    workdir.write("holdall.toml", good);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn logs_for_programs_are_one_object_a_line() {
    let workdir = Workdir::new();
    let server = Running::start(&workdir, "--log json");
    let run = server.token.clone().unwrap();
    assert_eq!(server.ask("PUT", "/v1/local/a", Some(&run), "x").0, 200);
    let (_, told) = server.stop();
    let lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect();
    let access = lines
        .iter()
        .find(|line| line["target"] == "holdall::access")
        .unwrap();
    assert_eq!(
        (&access["path"], &access["status"]),
        (&"/v1/local/a".into(), &200.into())
    );
    assert_eq!(access["token"], "this-run");
    assert_eq!(access["trace_id"].as_str().unwrap().len(), 32);
}
