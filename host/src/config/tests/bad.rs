//! Wrong configurations: path and code of each problem here, its words in the snapshot.

use super::problems_of;

struct Bad {
    name: &'static str,
    text: &'static str,
    variables: &'static [(&'static str, &'static str)],
    /// Path and code.
    problems: &'static [(&'static str, &'static str)],
}

#[test]
fn codes_and_texts_of_every_bad_configuration() {
    let mut page = String::new();
    for bad in BAD {
        let problems = problems_of(bad.text, bad.variables);
        let found: Vec<_> = problems
            .iter()
            .map(|problem| (&*problem.path, problem.code.name()))
            .collect();
        assert_eq!(found, bad.problems, "{}", bad.name);
        page += &format!("# {}\n", bad.name);
        for problem in problems.iter() {
            page += &format!("{problem}\n");
        }
        page += "\n";
    }
    insta::assert_snapshot!("bad_configurations", page);
}

#[rustfmt::skip] // The texts of the configurations as they are.
const BAD: &[Bad] = &[
    Bad {
        name: "not toml",
        text: r#"a = 
[backend
"#,
        variables: &[],
        problems: &[("", "syntax"), ("", "syntax")],
    },
    Bad {
        name: "unclosed string",
        text: r#"plugin_dirs = ["a]
"#,
        variables: &[],
        problems: &[("", "syntax"), ("", "syntax")],
    },
    Bad {
        name: "same key twice",
        text: r#"default_backend = "local"
default_backend = "local"
[backend.local.config]
root = "."
"#,
        variables: &[],
        problems: &[("", "syntax")],
    },
    Bad {
        name: "same table twice",
        text: r#"[backend.local.config]
root = "."
[backend.local.config]
root = ","
"#,
        variables: &[],
        problems: &[("", "syntax"), ("", "syntax")],
    },
    Bad {
        name: "unknown top level key",
        text: r#"plugin_dir = ["plugins"]
"#,
        variables: &[],
        problems: &[("plugin_dir", "unknown_key")],
    },
    Bad {
        name: "unknown top level table",
        text: r#"[backends.local]
"#,
        variables: &[],
        problems: &[("backends", "unknown_key")],
    },
    Bad {
        name: "plugin dirs is no array",
        text: r#"plugin_dirs = "plugins"
"#,
        variables: &[],
        problems: &[("plugin_dirs", "wrong_type")],
    },
    Bad {
        name: "plugin dirs holds a number",
        text: r#"plugin_dirs = ["a", 7]
"#,
        variables: &[],
        problems: &[("plugin_dirs[1]", "wrong_type")],
    },
    Bad {
        name: "default backend is a number",
        text: r#"default_backend = 7
"#,
        variables: &[],
        problems: &[("default_backend", "wrong_type")],
    },
    Bad {
        name: "default backend is misspelt",
        text: r#"default_backend = "s4"
[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[],
        problems: &[("default_backend", "unknown_backend")],
    },
    Bad {
        name: "default backend has no name",
        text: r#"default_backend = "S 3"
[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[],
        problems: &[("default_backend", "invalid_name")],
    },
    Bad {
        name: "backend is no table",
        text: r#"backend = "local"
"#,
        variables: &[],
        problems: &[("backend", "wrong_type")],
    },
    Bad {
        name: "backend entry is no table",
        text: r#"backend.local = "x"
"#,
        variables: &[],
        problems: &[("backend.local", "wrong_type")],
    },
    Bad {
        name: "backend name in upper case",
        text: r#"[backend.My_Pictures]
plugin = "local"
config = { root = "." }
"#,
        variables: &[],
        problems: &[("backend.My_Pictures", "invalid_name")],
    },
    Bad {
        name: "backend name begins with a dash",
        text: r#"[backend.-]
plugin = "local"
config = { root = "." }
"#,
        variables: &[],
        problems: &[("backend.-", "invalid_name")],
    },
    Bad {
        name: "backend name too long",
        text: r#"[backend.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]
plugin = "local"
config = { root = "." }
"#,
        variables: &[],
        problems: &[
            ("backend.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "invalid_name"),
        ],
    },
    Bad {
        name: "plugin setting outside config",
        text: r#"[backend.local]
root = "./data"
config = { root = "." }
"#,
        variables: &[],
        problems: &[("backend.local.root", "unknown_key")],
    },
    Bad {
        name: "key policy misspelt",
        text: r#"[backend.local]
key_policy = "oqaque"
config = { root = "." }
"#,
        variables: &[],
        problems: &[("backend.local.key_policy", "invalid_value")],
    },
    Bad {
        name: "content type of wrong type",
        text: r#"[backend.local]
content_type = true
config = { root = "." }
"#,
        variables: &[],
        problems: &[("backend.local.content_type", "wrong_type")],
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
        problems: &[("backend.local.timeout", "invalid_value"), ("backend.local2.timeout", "invalid_value")],
    },
    Bad {
        name: "a wait without unit",
        text: r#"[backend.local]
max_wait = "30"
config = { root = "." }
"#,
        variables: &[("HOLDALL_BACKEND_LOCAL_MAX_WAIT", "long")],
        problems: &[("backend.local.max_wait", "invalid_value"), ("backend.local.max_wait", "invalid_value")],
    },
    Bad {
        name: "config is no table",
        text: r#"[backend.local]
config = "x"
"#,
        variables: &[],
        problems: &[("backend.local.config", "wrong_type")],
    },
    Bad {
        name: "plugin is not there",
        text: r#"[backend.pictures]
plugin = "s33"
"#,
        variables: &[],
        problems: &[("backend.pictures.plugin", "unknown_plugin")],
    },
    Bad {
        name: "plugin rule contradicts itself",
        text: r#"[plugin.local]
required = true
disabled = true
sha256 = "abc"
"#,
        variables: &[],
        problems: &[("plugin.local", "contradiction"), ("plugin.local.sha256", "invalid_value")],
    },
    Bad {
        name: "plugin rule for a slip",
        text: r#"[plugin.lokal]
disabled = true
"#,
        variables: &[],
        problems: &[("plugin.lokal", "unknown_plugin")],
    },
    Bad {
        name: "gateway without url and with odd keys",
        text: r#"[gateway]
keys = [{ id = "a b", secret = "0123456789abcdef" }, { id = "a" }, { id = "c", secret = 7 }, { id = "d", secret = "0123456789abcdef", x = 1 }, { id = "d", secret = "0123456789abcdef" }]
"#,
        variables: &[],
        problems: &[
            ("gateway.keys[0].id", "invalid_name"),
            ("gateway.keys[1].secret", "missing_key"),
            ("gateway.keys[2].secret", "wrong_type"),
            ("gateway.keys[3].x", "unknown_key"),
            ("gateway.keys[4].id", "duplicate"),
            ("gateway.public_url", "missing_key"),
        ],
    },
    Bad {
        name: "gateway url with password",
        text: r#"[gateway]
public_url = "https://u:hunter2@files.example.org"
"#,
        variables: &[],
        problems: &[("gateway.public_url", "invalid_value")],
    },
    Bad {
        name: "gateway url of another scheme",
        text: r#"[gateway]
public_url = "ftp://files.example.org"
"#,
        variables: &[],
        problems: &[("gateway.public_url", "invalid_value")],
    },
    Bad {
        name: "gateway url with query",
        text: r#"[gateway]
public_url = "https://files.example.org/?a=b"
"#,
        variables: &[],
        problems: &[("gateway.public_url", "invalid_value")],
    },
    Bad {
        name: "gateway secret too short",
        text: r#"[gateway]
public_url = "https://files.example.org"
keys = [{ id = "a", secret = "hunter2" }]
"#,
        variables: &[],
        problems: &[("gateway.keys[0].secret", "secret_too_short")],
    },
    Bad {
        name: "gateway secret leads nowhere",
        text: r#"[gateway]
public_url = "https://files.example.org"
keys = [{ id = "a", secret = "env:GATEWAY_KY" }]
"#,
        variables: &[("GATEWAY_KEY", "x")],
        problems: &[("gateway.keys[0].secret", "secret_unresolved")],
    },
    Bad {
        name: "missing required fields",
        text: r#"[backend.s3]
"#,
        variables: &[],
        problems: &[
            ("backend.s3.config.bucket", "missing_key"),
            ("backend.s3.config.secret_access_key", "missing_key"),
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
        problems: &[("backend.s3.config.buket", "unknown_key")],
    },
    Bad {
        name: "unknown field inside",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
retry = { count = 1, wait_ms = 5 }
"#,
        variables: &[],
        problems: &[("backend.s3.config.retry.wait_ms", "unknown_key")],
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
            ("backend.s3.config.headers.a", "wrong_type"),
            ("backend.s3.config.part_size", "wrong_type"),
            ("backend.s3.config.path_style", "wrong_type"),
            ("backend.s3.config.ratio", "wrong_type"),
            ("backend.s3.config.region", "wrong_type"),
            ("backend.s3.config.tags", "wrong_type"),
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
        problems: &[("backend.s3.config.part_size", "wrong_type")],
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
            ("backend.s3.config.part_size", "out_of_range"),
            ("backend.s3.config.ratio", "out_of_range"),
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
            ("backend.s3.config.part_size", "out_of_range"),
            ("backend.s3.config.ratio", "out_of_range"),
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
            ("backend.s3.config.bucket", "out_of_range"),
            ("backend.s3.config.secret_access_key", "out_of_range"),
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
        problems: &[("backend.s3.config.region", "invalid_value")],
    },
    Bad {
        name: "malformed url",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
endpoint = "not a url"
"#,
        variables: &[],
        problems: &[("backend.s3.config.endpoint", "invalid_value")],
    },
    Bad {
        name: "word not in list",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
durability = "fulll"
"#,
        variables: &[],
        problems: &[("backend.s3.config.durability", "invalid_value")],
    },
    Bad {
        name: "optional word not in list",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
storage_class = "colt"
"#,
        variables: &[],
        problems: &[("backend.s3.config.storage_class", "invalid_value")],
    },
    Bad {
        name: "list with repetition and too long",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
tags = ["a", "a", "b", "c"]
"#,
        variables: &[],
        problems: &[("backend.s3.config.tags", "out_of_range"), ("backend.s3.config.tags", "invalid_value")],
    },
    Bad {
        name: "list with a wrong element",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
ports = [80, "https"]
"#,
        variables: &[],
        problems: &[("backend.s3.config.ports[1]", "wrong_type")],
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
            ("backend.s3.config.retry.count", "missing_key"),
            ("backend.s3.config.retry.cuont", "unknown_key"),
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
        problems: &[("backend.s3.config.retry", "wrong_type")],
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
            ("backend.s3.config.pin", "out_of_range"),
            ("backend.s3.config.secret_access_key", "wrong_type"),
        ],
    },
    Bad {
        name: "secret leads to no variable",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "env:S3_SECERT"
"#,
        variables: &[("S3_SECRET", "long enough")],
        problems: &[("backend.s3.config.secret_access_key", "secret_unresolved")],
    },
    Bad {
        name: "secret leads to no file",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "file:/nonexistent/key"
"#,
        variables: &[],
        problems: &[("backend.s3.config.secret_access_key", "secret_unresolved")],
    },
    Bad {
        name: "secret pasted elsewhere",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "hunter2 hunter2"
region = "hunter2 hunter2"
"#,
        variables: &[],
        problems: &[("backend.s3.config.region", "invalid_value")],
    },
    Bad {
        name: "form that does not exist",
        text: r#"[backend.opendal.config]
service = "ftp"
"#,
        variables: &[],
        problems: &[("backend.opendal.config.service", "invalid_value")],
    },
    Bad {
        name: "form with a missing field",
        text: r#"[backend.opendal.config]
service = "oss"
"#,
        variables: &[],
        problems: &[("backend.opendal.config.key", "missing_key")],
    },
    Bad {
        name: "field of another form",
        text: r#"[backend.opendal.config]
service = "fs"
root = "."
keyy = "x"
"#,
        variables: &[],
        problems: &[("backend.opendal.config.keyy", "unknown_key")],
    },
    Bad {
        name: "schema of the plugin is broken",
        text: r#"[backend.broken.config]
"#,
        variables: &[],
        problems: &[("backend.broken.config", "broken_schema")],
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
            ("alias.Photos", "invalid_name"),
            ("backend.a.aliases", "duplicate"),
            ("backend.a.aliases", "duplicate"),
            ("backend.a.policy.alowed_types", "unknown_key"),
            ("backend.a.policy.deadline.uplod", "unknown_key"),
            ("backend.a.policy.max_size", "invalid_value"),
            ("backend.a.policy.retry.attempts", "out_of_range"),
            ("backend.local.policy.prefix", "invalid_value"),
        ],
    },
    Bad {
        name: "variable of no backend",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S4_BUCKET", "x")],
        problems: &[("backend", "unknown_key")],
    },
    Bad {
        name: "variable of no field",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_BUKET", "x")],
        problems: &[("backend.s3.config", "unknown_key")],
    },
    Bad {
        name: "variables of wrong form",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_PATH_STYLE", "yes"), ("HOLDALL_BACKEND_S3_PART_SIZE", "5MiB"), ("HOLDALL_BACKEND_S3_PORTS", "80,x"), ("HOLDALL_BACKEND_S3_PIN", "hunter2"), ("HOLDALL_BACKEND_S3_RETRY", "3"), ("HOLDALL_BACKEND_S3_RETRY__COUNT", "x")],
        problems: &[
            ("backend.s3.config.part_size", "wrong_type"),
            ("backend.s3.config.path_style", "wrong_type"),
            ("backend.s3.config.pin", "wrong_type"),
            ("backend.s3.config.ports", "wrong_type"),
            ("backend.s3.config.retry", "wrong_type"),
            ("backend.s3.config.retry.count", "wrong_type"),
        ],
    },
    Bad {
        name: "variable with a url for a number",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_PART_SIZE", "https://u:hunter2@h/")],
        problems: &[("backend.s3.config.part_size", "wrong_type")],
    },
    Bad {
        name: "variable out of range",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND_S3_RETRY__COUNT", "11"), ("HOLDALL_BACKEND_S3_RATIO", "-1.5")],
        problems: &[
            ("backend.s3.config.ratio", "out_of_range"),
            ("backend.s3.config.retry.count", "out_of_range"),
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
            ("backend.s3.content_type", "invalid_value"),
            ("backend.s3.key_policy", "invalid_value"),
            ("backend.s3.timeout", "invalid_value"),
        ],
    },
    Bad {
        name: "default backend from the environment",
        text: r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "long enough"
"#,
        variables: &[("HOLDALL_BACKEND", "s4")],
        problems: &[("default_backend", "unknown_backend")],
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
            ("backend.s3.config.bucket", "wrong_type"),
            ("backend.s3.config.path_style", "wrong_type"),
            ("backend.s3.config.secret", "unknown_key"),
            ("backend.s3.config.secret_access_key", "missing_key"),
            ("backend.s3.timeout", "wrong_type"),
            ("defualt_backend", "unknown_key"),
            ("gateway.public_url", "invalid_value"),
        ],
    },
];
