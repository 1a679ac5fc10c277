//! Wrong configurations, each with every word that is said about it.

use super::problems_of;

struct Bad {
    name: &'static str,
    text: &'static str,
    variables: &'static [(&'static str, &'static str)],
    problems: &'static [&'static str],
}

#[test]
fn every_problem_of_every_bad_configuration() {
    for bad in BAD {
        assert_eq!(
            problems_of(bad.text, bad.variables),
            bad.problems,
            "{}",
            bad.name
        );
    }
}

#[rustfmt::skip] // One problem a line, as an operator sees it.
const BAD: &[Bad] = &[
    Bad {
        name: "not toml",
        text: r#"a = 
[backend
"#,
        variables: &[],
        problems: &[
            r#"expected TOML, found string values must be quoted, expected literal string (holdall.toml:1:5) [syntax]"#,
            r#"expected TOML, found unclosed table, expected `]` (holdall.toml:2:9) [syntax]"#,
        ],
    },
    Bad {
        name: "unclosed string",
        text: r#"plugin_dirs = ["a]
"#,
        variables: &[],
        problems: &[
            r#"expected TOML, found invalid basic string, expected `"` (holdall.toml:1:19) [syntax]"#,
            r#"expected TOML, found unclosed array, expected `]` (holdall.toml:1:19) [syntax]"#,
        ],
    },
    Bad {
        name: "same key twice",
        text: r#"default_backend = "local"
default_backend = "local"
[backend.local.config]
root = "."
"#,
        variables: &[],
        problems: &[
            r#"expected TOML, found duplicate key (holdall.toml:2:1) [syntax]"#,
        ],
    },
    Bad {
        name: "same table twice",
        text: r#"[backend.local.config]
root = "."
[backend.local.config]
root = ","
"#,
        variables: &[],
        problems: &[
            r#"expected TOML, found duplicate key (holdall.toml:3:16) [syntax]"#,
            r#"expected TOML, found duplicate key (holdall.toml:4:1) [syntax]"#,
        ],
    },
    Bad {
        name: "unknown top level key",
        text: r#"plugin_dir = ["plugins"]
"#,
        variables: &[],
        problems: &[
            r#"plugin_dir: expected one of "plugin_dirs", "default_backend", "backend", "plugin", "gateway", "trust", "trial", "quarantine", "upgrade", "audit", "server", found unknown key "plugin_dir" (holdall.toml:1:1); did you mean "plugin_dirs"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "unknown top level table",
        text: r#"[backends.local]
"#,
        variables: &[],
        problems: &[
            r#"backends: expected one of "plugin_dirs", "default_backend", "backend", "plugin", "gateway", "trust", "trial", "quarantine", "upgrade", "audit", "server", found unknown key "backends" (holdall.toml:1:2); did you mean "backend"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "plugin dirs is no array",
        text: r#"plugin_dirs = "plugins"
"#,
        variables: &[],
        problems: &[
            r#"plugin_dirs: expected an array of strings, found string (holdall.toml:1:15) [wrong_type]"#,
        ],
    },
    Bad {
        name: "plugin dirs holds a number",
        text: r#"plugin_dirs = ["a", 7]
"#,
        variables: &[],
        problems: &[
            r#"plugin_dirs[1]: expected a string, found integer (holdall.toml:1:21) [wrong_type]"#,
        ],
    },
    Bad {
        name: "default backend is a number",
        text: r#"default_backend = 7
"#,
        variables: &[],
        problems: &[
            r#"default_backend: expected a string, found integer (holdall.toml:1:19) [wrong_type]"#,
        ],
    },
    Bad {
        name: "default backend is misspelt",
        text: r#"default_backend = "s4"
[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[],
        problems: &[
            r#"default_backend: expected one of "s3", found "s4" (holdall.toml:1:19); did you mean "s3"? Otherwise: configure it as [backend.s4] [unknown_backend]"#,
        ],
    },
    Bad {
        name: "default backend has no name",
        text: r#"default_backend = "S 3"
[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[],
        problems: &[
            r#"default_backend: expected a name of 1 to 63 characters: a-z, 0-9 and "-", not "-" first, found "S 3" (holdall.toml:1:19) [invalid_name]"#,
        ],
    },
    Bad {
        name: "backend is no table",
        text: r#"backend = "local"
"#,
        variables: &[],
        problems: &[
            r#"backend: expected a table, found string (holdall.toml:1:11) [wrong_type]"#,
        ],
    },
    Bad {
        name: "backend entry is no table",
        text: r#"backend.local = "x"
"#,
        variables: &[],
        problems: &[
            r#"backend.local: expected a table, found string (holdall.toml:1:17) [wrong_type]"#,
        ],
    },
    Bad {
        name: "backend name in upper case",
        text: r#"[backend.My_Pictures]
plugin = "local"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.My_Pictures: expected a name of 1 to 63 characters: a-z, 0-9 and "-", not "-" first, found "My_Pictures" (holdall.toml:1:10); did you mean "my-pictures"? [invalid_name]"#,
        ],
    },
    Bad {
        name: "backend name begins with a dash",
        text: r#"[backend.-]
plugin = "local"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.-: expected a name of 1 to 63 characters: a-z, 0-9 and "-", not "-" first, found "-" (holdall.toml:1:10) [invalid_name]"#,
        ],
    },
    Bad {
        name: "backend name too long",
        text: r#"[backend.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]
plugin = "local"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: expected a name of 1 to 63 characters: a-z, 0-9 and "-", not "-" first, found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" (holdall.toml:1:10) [invalid_name]"#,
        ],
    },
    Bad {
        name: "plugin setting outside config",
        text: r#"[backend.local]
root = "./data"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.local.root: expected one of "plugin", "key_policy", "content_type", "timeout", "max_wait", "allow_non_atomic_put", "required", "aliases", "policy", "config", found unknown key "root" (holdall.toml:2:1); what belongs to the plugin goes into [backend.local.config] [unknown_key]"#,
        ],
    },
    Bad {
        name: "key policy misspelt",
        text: r#"[backend.local]
key_policy = "oqaque"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.local.key_policy: expected one of "portable", "opaque", found "oqaque" (holdall.toml:2:14); did you mean "opaque"? [invalid_value]"#,
        ],
    },
    Bad {
        name: "content type of wrong type",
        text: r#"[backend.local]
content_type = true
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.local.content_type: expected a string, found boolean (holdall.toml:2:16) [wrong_type]"#,
        ],
    },
    Bad {
        name: "timeout without unit and zero",
        text: r#"[backend.local]
timeout = "30"
config = { root = "." }
[backend.local2]
plugin = "local"
timeout = "0s"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            r#"backend.local.timeout: expected a time above zero, such as "500ms", "30s" or "5m", found "30" (holdall.toml:2:11) [invalid_value]"#,
            r#"backend.local2.timeout: expected a time above zero, such as "500ms", "30s" or "5m", found "0s" (holdall.toml:6:11) [invalid_value]"#,
        ],
    },
    Bad {
        name: "a wait without unit",
        text: r#"[backend.local]
max_wait = "30"
config = { root = "." }
"#,
        variables: &[("HOLDALL_BACKEND_LOCAL_MAX_WAIT", "long")],
        problems: &[
            r#"backend.local.max_wait: expected a time such as "500ms", "30s" or "0s", found "30" (holdall.toml:2:12) [invalid_value]"#,
            r#"backend.local.max_wait: expected a time such as "500ms", "30s" or "0s", found "long" ($HOLDALL_BACKEND_LOCAL_MAX_WAIT) [invalid_value]"#,
        ],
    },
    Bad {
        name: "config is no table",
        text: r#"[backend.local]
config = "x"
"#,
        variables: &[],
        problems: &[
            r#"backend.local.config: expected a table, found string (holdall.toml:2:10) [wrong_type]"#,
        ],
    },
    Bad {
        name: "plugin is not there",
        text: r#"[backend.pictures]
plugin = "s33"
"#,
        variables: &[],
        problems: &[
            r#"backend.pictures.plugin: expected one of "broken", "local", "opendal", "s3", found "s33" (holdall.toml:1:10); did you mean "s3"? Otherwise: put the plugin's file into a plugin directory [unknown_plugin]"#,
        ],
    },
    Bad {
        name: "plugin rule contradicts itself",
        text: r#"[plugin.local]
required = true
disabled = true
sha256 = "abc"
"#,
        variables: &[],
        problems: &[
            r#"plugin.local: expected required or disabled, found both (holdall.toml:1:9); remove one [contradiction]"#,
            r#"plugin.local.sha256: expected a SHA-256 as 64 hexadecimal digits, found 3 characters (holdall.toml:4:10) [invalid_value]"#,
        ],
    },
    Bad {
        name: "plugin rule for a slip",
        text: r#"[plugin.lokal]
disabled = true
"#,
        variables: &[],
        problems: &[
            r#"plugin.lokal: expected one of "broken", "local", "opendal", "s3", found "lokal" (holdall.toml); did you mean "local"? [unknown_plugin]"#,
        ],
    },
    Bad {
        name: "gateway without url and with odd keys",
        text: r#"[gateway]
keys = [{ id = "a b", secret = "0123456789abcdef" }, { id = "a" }, { id = "c", secret = 7 }, { id = "d", secret = "0123456789abcdef", x = 1 }, { id = "d", secret = "0123456789abcdef" }]
"#,
        variables: &[],
        problems: &[
            r#"gateway.keys[0].id: expected 1 to 64 characters: letters, digits, "-", ".", "_" and "~", found "a b" (holdall.toml:2:16) [invalid_name]"#,
            r#"gateway.keys[1].secret: expected a string, found nothing (holdall.toml:2:54); add secret [missing_key]"#,
            r#"gateway.keys[2].secret: expected a string, found integer (holdall.toml:2:89) [wrong_type]"#,
            r#"gateway.keys[3].x: expected one of "id", "secret", found unknown key "x" (holdall.toml:2:135) [unknown_key]"#,
            r#"gateway.keys[4].id: expected an id that no other key has, found "d" a second time (holdall.toml:2:151) [duplicate]"#,
            r#"gateway.public_url: expected a URL, found nothing (holdall.toml:1:1); add public_url [missing_key]"#,
        ],
    },
    Bad {
        name: "gateway url with password",
        text: r#"[gateway]
public_url = "https://u:hunter2@files.example.org"
"#,
        variables: &[],
        problems: &[
            r#"gateway.public_url: expected an http or https URL of a host and perhaps a path, found a URL with a user or password (holdall.toml:2:14) [invalid_value]"#,
        ],
    },
    Bad {
        name: "gateway url of another scheme",
        text: r#"[gateway]
public_url = "ftp://files.example.org"
"#,
        variables: &[],
        problems: &[
            r#"gateway.public_url: expected an http or https URL of a host and perhaps a path, found a URL of scheme "ftp" (holdall.toml:2:14) [invalid_value]"#,
        ],
    },
    Bad {
        name: "gateway url with query",
        text: r#"[gateway]
public_url = "https://files.example.org/?a=b"
"#,
        variables: &[],
        problems: &[
            r##"gateway.public_url: expected an http or https URL of a host and perhaps a path, found a URL with "?" or "#" (holdall.toml:2:14) [invalid_value]"##,
        ],
    },
    Bad {
        name: "gateway secret too short",
        text: r#"[gateway]
public_url = "https://files.example.org"
keys = [{ id = "a", secret = "hunter2" }]
"#,
        variables: &[],
        problems: &[
            r#"gateway.keys[0].secret: expected a secret of at least 16 bytes, found a shorter one (holdall.toml:3:30); make one with: openssl rand -base64 32 [secret_too_short]"#,
        ],
    },
    Bad {
        name: "gateway secret leads nowhere",
        text: r#"[gateway]
public_url = "https://files.example.org"
keys = [{ id = "a", secret = "env:GATEWAY_KY" }]
"#,
        variables: &[("GATEWAY_KEY", "x")],
        problems: &[
            r#"gateway.keys[0].secret: expected env:NAME of a variable that is set, found env:GATEWAY_KY, not set (holdall.toml:3:30); did you mean "GATEWAY_KEY"? Otherwise: set GATEWAY_KY [secret_unresolved]"#,
        ],
    },
    Bad {
        name: "missing required fields",
        text: r#"[backend.s3]
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.bucket: expected a string, found nothing (holdall.toml:1:10); add bucket [missing_key]"#,
            r#"backend.s3.config.secret_access_key: expected a string, found nothing (holdall.toml:1:10); add secret_access_key; it may be "env:NAME" or "file:PATH" [missing_key]"#,
        ],
    },
    Bad {
        name: "unknown field",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
buket = "x"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.buket: expected one of "access_key_id", "bucket", "durability", "endpoint", "headers", "part_size", "path_style", "pin", "ports", "ratio", "region", "retry", "secret_access_key", "storage_class", "tags", "tokens", found unknown key "buket" (holdall.toml:4:9); did you mean "bucket"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "unknown field inside",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
retry = { count = 1, wait_ms = 5 }
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.retry.wait_ms: expected one of "count", "wait-ms", found unknown key "wait_ms" (holdall.toml:4:32); did you mean "wait-ms"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "wrong types",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
region = 7
part_size = "5242880"
path_style = "yes"
ratio = []
tags = "a,b"
headers = { a = 1 }
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.headers.a: expected a string, found integer (holdall.toml:9:17) [wrong_type]"#,
            r#"backend.s3.config.part_size: expected an integer, found string (holdall.toml:5:13); remove the quotes [wrong_type]"#,
            r#"backend.s3.config.path_style: expected a boolean, found string (holdall.toml:6:14) [wrong_type]"#,
            r#"backend.s3.config.ratio: expected a number, found array (holdall.toml:7:9) [wrong_type]"#,
            r#"backend.s3.config.region: expected a string, found integer (holdall.toml:4:10) [wrong_type]"#,
            r#"backend.s3.config.tags: expected an array, found string (holdall.toml:8:8) [wrong_type]"#,
        ],
    },
    Bad {
        name: "integer given as float",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
part_size = 5242880.5
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.part_size: expected an integer, found number (holdall.toml:4:13) [wrong_type]"#,
        ],
    },
    Bad {
        name: "numbers out of range",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
part_size = 1024
ratio = 0
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.part_size: expected at least 5242880, found 1024 (holdall.toml:4:13) [out_of_range]"#,
            r#"backend.s3.config.ratio: expected more than 0, found 0 (holdall.toml:5:9) [out_of_range]"#,
        ],
    },
    Bad {
        name: "numbers that json cannot hold",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
ratio = nan
part_size = 99999999999999999999
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.part_size: expected an integer of at most 64 bits, found a larger one (holdall.toml:5:13) [out_of_range]"#,
            r#"backend.s3.config.ratio: expected a finite number, found one that JSON cannot hold (holdall.toml:4:9) [out_of_range]"#,
        ],
    },
    Bad {
        name: "texts of wrong length",
        text: r#"[backend.s3.config]
bucket = "ab"
secret_access_key = "hunter2"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.bucket: expected a string of at least 3 characters, found one of 2 (holdall.toml:2:10) [out_of_range]"#,
            r#"backend.s3.config.secret_access_key: expected a string of at least 8 characters, found one of another length (holdall.toml:3:21) [out_of_range]"#,
        ],
    },
    Bad {
        name: "text against pattern",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
region = "EU West"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.region: expected a string like ^[a-z0-9-]+$, found "EU West" (holdall.toml:4:10) [invalid_value]"#,
        ],
    },
    Bad {
        name: "malformed url",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
endpoint = "not a url"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.endpoint: expected a string of format uri, found a string of another form (holdall.toml:4:12) [invalid_value]"#,
        ],
    },
    Bad {
        name: "word not in list",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
durability = "fulll"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.durability: expected one of "none", "data", "full", found "fulll" (holdall.toml:4:14); did you mean "full"? [invalid_value]"#,
        ],
    },
    Bad {
        name: "optional word not in list",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
storage_class = "colt"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.storage_class: expected one of "hot", "cold", found "colt" (holdall.toml:4:17); did you mean "cold"? [invalid_value]"#,
        ],
    },
    Bad {
        name: "list with repetition and too long",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
tags = ["a", "a", "b", "c"]
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.tags: expected an array of at most 3 elements, found an array of 4 elements (holdall.toml:4:8) [out_of_range]"#,
            r#"backend.s3.config.tags: expected an array without repetition, found an array of 4 elements (holdall.toml:4:8) [invalid_value]"#,
        ],
    },
    Bad {
        name: "list with a wrong element",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
ports = [80, "https"]
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.ports[1]: expected an integer, found string (holdall.toml:4:14) [wrong_type]"#,
        ],
    },
    Bad {
        name: "optional table with faults",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
retry = { cuont = 99 }
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.retry.count: expected an integer, found nothing (holdall.toml:4:9); add count [missing_key]"#,
            r#"backend.s3.config.retry.cuont: expected one of "count", "wait-ms", found unknown key "cuont" (holdall.toml:4:19); did you mean "count"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "optional table is no table",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
retry = 3
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.retry: expected an object, found integer (holdall.toml:4:9) [wrong_type]"#,
        ],
    },
    Bad {
        name: "secret of wrong type",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = ["hunter2hunter2"]
pin = 12345
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.pin: expected at most 9999, found integer (holdall.toml:4:7) [out_of_range]"#,
            r#"backend.s3.config.secret_access_key: expected a string, found array (holdall.toml:3:21) [wrong_type]"#,
        ],
    },
    Bad {
        name: "secret leads to no variable",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "env:S3_SECERT"
"#,
        variables: &[("S3_SECRET", "long enough")],
        problems: &[
            r#"backend.s3.config.secret_access_key: expected env:NAME of a variable that is set, found env:S3_SECERT, not set (holdall.toml:3:21); did you mean "S3_SECRET"? Otherwise: set S3_SECERT [secret_unresolved]"#,
        ],
    },
    Bad {
        name: "secret leads to no file",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "file:/nonexistent/key"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.secret_access_key: expected file:PATH of a readable text file of at most 64 KiB, found file:/nonexistent/key, No such file or directory (os error 2) (holdall.toml:3:21); put the secret into /nonexistent/key [secret_unresolved]"#,
        ],
    },
    Bad {
        name: "secret pasted elsewhere",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "hunter2 hunter2"
region = "hunter2 hunter2"
"#,
        variables: &[],
        problems: &[
            r#"backend.s3.config.region: expected a string like ^[a-z0-9-]+$, found "[redacted]" (holdall.toml:4:10) [invalid_value]"#,
        ],
    },
    Bad {
        name: "form that does not exist",
        text: r#"[backend.opendal.config]
service = "ftp"
"#,
        variables: &[],
        problems: &[
            r#"backend.opendal.config.service: expected one of "fs", "oss", found "ftp" (holdall.toml:2:11) [invalid_value]"#,
        ],
    },
    Bad {
        name: "form with a missing field",
        text: r#"[backend.opendal.config]
service = "oss"
"#,
        variables: &[],
        problems: &[
            r#"backend.opendal.config.key: expected a string, found nothing (holdall.toml:1:1); add key; it may be "env:NAME" or "file:PATH" [missing_key]"#,
        ],
    },
    Bad {
        name: "field of another form",
        text: r#"[backend.opendal.config]
service = "fs"
root = "."
keyy = "x"
"#,
        variables: &[],
        problems: &[
            r#"backend.opendal.config.keyy: expected one of "key", "root", "service", found unknown key "keyy" (holdall.toml:4:8); did you mean "key"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "schema of the plugin is broken",
        text: r#"[backend.broken.config]
"#,
        variables: &[],
        problems: &[
            r#"backend.broken.config: expected a plugin with a sound JSON Schema, found 7 is not valid under any of the schemas listed in the 'anyOf' keyword (holdall.toml:1:1); tell the author of the plugin [broken_schema]"#,
        ],
    },
    Bad {
        name: "policies and aliases",
        text: r#"[backend.a]
plugin = "local"
aliases = ["Photos", "local", "a"]
config = { root = "." }
[backend.a.policy]
max_size = "10MB"
alowed_types = ["image/*"]
retry = { attempts = 0 }
deadline = { uplod = "1s" }
[backend.local]
config = { root = "." }
policy = { prefix = "../" }
"#,
        variables: &[],
        problems: &[
            r#"alias.Photos: expected a name of 1 to 63 characters: a-z, 0-9 and "-", not "-" first, found "Photos" (holdall.toml:3:12); did you mean "photos"? [invalid_name]"#,
            r#"backend.a.aliases: expected a name that no other backend has, found "a", a name of "a" (holdall.toml:4:10) [duplicate]"#,
            r#"backend.a.aliases: expected a name that no other backend has, found "local", a name of "local" (holdall.toml:4:10) [duplicate]"#,
            r#"backend.a.policy.alowed_types: expected one of "allowed_types", "breaker", "concurrency", "deadline", "idle_timeout", "max_size", "prefix", "read_only", "retry", "type_mismatch", found unknown key "alowed_types" (holdall.toml:7:16); did you mean "allowed_types"? [unknown_key]"#,
            r#"backend.a.policy.deadline.uplod: expected one of "copy", "custom", "default", "delete", "delete_many", "download", "exists", "head", "health", "list", "rename", "signed_url", "upload", "usage", found unknown key "uplod" (holdall.toml:9:22); did you mean "upload"? [unknown_key]"#,
            r#"backend.a.policy.max_size: expected a string like ^[0-9]{1,6}(B|KiB|MiB|GiB|TiB)$, found "10MB" (holdall.toml:6:12) [invalid_value]"#,
            r#"backend.a.policy.retry.attempts: expected at least 1, found 0 (holdall.toml:8:22) [out_of_range]"#,
            r#"backend.local.policy.prefix: expected a prefix that is a key and a "/" at its end, such as "tenants/a/", found "../": no segment of a key is "." or ".." (holdall.toml:12:21) [invalid_value]"#,
        ],
    },
    Bad {
        name: "variable of no backend",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S4_BUCKET", "x")],
        problems: &[
            r#"backend: expected HOLDALL_BACKEND_<NAME>_<FIELD> of backend "s3", found a variable of no backend ($HOLDALL_BACKEND_S4_BUCKET); configure the backend in holdall.toml, or name it by HOLDALL_BACKEND [unknown_key]"#,
        ],
    },
    Bad {
        name: "variable of no field",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_BUKET", "x")],
        problems: &[
            r#"backend.s3.config: expected a variable for one of "access_key_id", "bucket", "durability", "endpoint", "headers", "part_size", "path_style", "pin", "ports", "ratio", "region", "retry", "secret_access_key", "storage_class", "tags", "tokens", found a variable for no field ($HOLDALL_BACKEND_S3_BUKET); did you mean "HOLDALL_BACKEND_S3_BUCKET"? [unknown_key]"#,
        ],
    },
    Bad {
        name: "variables of wrong form",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_PATH_STYLE", "yes"), ("HOLDALL_BACKEND_S3_PART_SIZE", "5MiB"), ("HOLDALL_BACKEND_S3_PORTS", "80,x"), ("HOLDALL_BACKEND_S3_PIN", "hunter2"), ("HOLDALL_BACKEND_S3_RETRY", "3"), ("HOLDALL_BACKEND_S3_RETRY__COUNT", "x")],
        problems: &[
            r#"backend.s3.config.part_size: expected an integer, found "5MiB" ($HOLDALL_BACKEND_S3_PART_SIZE) [wrong_type]"#,
            r#"backend.s3.config.path_style: expected true or false, found "yes" ($HOLDALL_BACKEND_S3_PATH_STYLE) [wrong_type]"#,
            r#"backend.s3.config.pin: expected an integer, found text of another form ($HOLDALL_BACKEND_S3_PIN) [wrong_type]"#,
            r#"backend.s3.config.ports: expected a list, separated by commas, each an integer, found "80,x" ($HOLDALL_BACKEND_S3_PORTS) [wrong_type]"#,
            r#"backend.s3.config.retry: expected no table: set its fields, NAME__FIELD, found "3" ($HOLDALL_BACKEND_S3_RETRY) [wrong_type]"#,
            r#"backend.s3.config.retry.count: expected an integer, found "x" ($HOLDALL_BACKEND_S3_RETRY__COUNT) [wrong_type]"#,
        ],
    },
    Bad {
        name: "variable with a url for a number",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_PART_SIZE", "https://u:hunter2@h/")],
        problems: &[
            r#"backend.s3.config.part_size: expected an integer, found a URL ($HOLDALL_BACKEND_S3_PART_SIZE) [wrong_type]"#,
        ],
    },
    Bad {
        name: "variable out of range",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_RETRY__COUNT", "11"), ("HOLDALL_BACKEND_S3_RATIO", "-1.5")],
        problems: &[
            r#"backend.s3.config.ratio: expected more than 0, found -1.5 ($HOLDALL_BACKEND_S3_RATIO) [out_of_range]"#,
            r#"backend.s3.config.retry.count: expected at most 10, found 11 ($HOLDALL_BACKEND_S3_RETRY__COUNT) [out_of_range]"#,
        ],
    },
    Bad {
        name: "variables of the backend itself",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_KEY_POLICY", "opake"), ("HOLDALL_BACKEND_S3_TIMEOUT", "soon"), ("HOLDALL_BACKEND_S3_CONTENT_TYPE", "")],
        problems: &[
            r#"backend.s3.content_type: expected one of "exact", "by_extension", found "" ($HOLDALL_BACKEND_S3_CONTENT_TYPE) [invalid_value]"#,
            r#"backend.s3.key_policy: expected one of "portable", "opaque", found "opake" ($HOLDALL_BACKEND_S3_KEY_POLICY); did you mean "opaque"? [invalid_value]"#,
            r#"backend.s3.timeout: expected a time above zero, such as "500ms", "30s" or "5m", found "soon" ($HOLDALL_BACKEND_S3_TIMEOUT) [invalid_value]"#,
        ],
    },
    Bad {
        name: "default backend from the environment",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND", "s4")],
        problems: &[
            r#"default_backend: expected one of "s3", found "s4" ($HOLDALL_BACKEND); did you mean "s3"? Otherwise: configure it as [backend.s4] [unknown_backend]"#,
        ],
    },
    Bad {
        name: "everything at once",
        text: r#"defualt_backend = "s3"
[backend.s3]
timeout = 7
[backend.s3.config]
bucket = 7
secret = "hunter2"
[gateway]
public_url = "x"
"#,
        variables: &[("HOLDALL_BACKEND_S3_PATH_STYLE", "on")],
        problems: &[
            r#"backend.s3.config.bucket: expected a string, found integer (holdall.toml:5:10) [wrong_type]"#,
            r#"backend.s3.config.path_style: expected true or false, found "on" ($HOLDALL_BACKEND_S3_PATH_STYLE) [wrong_type]"#,
            r#"backend.s3.config.secret: expected one of "access_key_id", "bucket", "durability", "endpoint", "headers", "part_size", "path_style", "pin", "ports", "ratio", "region", "retry", "secret_access_key", "storage_class", "tags", "tokens", found unknown key "secret" (holdall.toml:6:10); did you mean "secret_access_key"? [unknown_key]"#,
            r#"backend.s3.config.secret_access_key: expected a string, found nothing (holdall.toml:4:1); add secret_access_key; it may be "env:NAME" or "file:PATH" [missing_key]"#,
            r#"backend.s3.timeout: expected a string, found integer (holdall.toml:3:11) [wrong_type]"#,
            r#"defualt_backend: expected one of "plugin_dirs", "default_backend", "backend", "plugin", "gateway", "trust", "trial", "quarantine", "upgrade", "audit", "server", found unknown key "defualt_backend" (holdall.toml:1:1); did you mean "default_backend"? [unknown_key]"#,
            r#"gateway.public_url: expected an http or https URL of a host and perhaps a path, found no absolute URL (holdall.toml:8:14) [invalid_value]"#,
        ],
    },
];
