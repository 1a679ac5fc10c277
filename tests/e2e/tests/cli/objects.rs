//! Single objects: in, out, conditions, facts.

use super::workdir::{Workdir, bytes};

const MIB: usize = 1 << 20;

#[test]
fn every_size_goes_in_and_comes_back_by_file_and_by_pipe() {
    let workdir = Workdir::new();
    for (seed, size) in [0, 1, MIB, MIB + 1, 5 * MIB + 7].into_iter().enumerate() {
        let whole = bytes(size, seed as u64);
        workdir.write("in", &whole);
        workdir.ok("put in local:a/b");
        assert!(
            workdir.read("data/objects/a/b") == whole,
            "{size}: plain bytes that any tool can read"
        );
        workdir.ok("get local:a/b out --force");
        assert!(workdir.read("out") == whole, "{size}");
        let ran = workdir.pipe("get local:a/b -", b"");
        assert!(
            (ran.code, &*ran.err) == (0, "") && ran.out == whole,
            "{size}: {}",
            ran.err
        );

        let ran = workdir.pipe("put - local:piped", &whole);
        assert_eq!((ran.code, &*ran.err), (0, ""), "{size}");
        assert!(workdir.read("data/objects/piped") == whole, "{size}");
    }
    assert_eq!(
        workdir.files("data/staging"),
        [""; 0],
        "nothing is left behind"
    );
    assert_eq!(
        workdir.files("."),
        [
            "data/objects/a/b",
            "data/objects/piped",
            "holdall.toml",
            "in",
            "out"
        ]
    );
}

#[test]
fn a_folder_takes_the_name_of_the_file() {
    let workdir = Workdir::new();
    workdir.write("dir/a b.txt", "x");
    for (to, key) in [
        ("local:", "a b.txt"),
        ("local:d/", "d/a b.txt"),
        ("local:d/e", "d/e"),
    ] {
        assert_eq!(workdir.run(["put", "dir/a b.txt", to]).code, 0);
        assert_eq!(workdir.read(&format!("data/objects/{key}")), b"x");
    }
    assert!(
        workdir
            .fails(2, "put - local:d/")
            .contains("write the whole key")
    );
    // And the other way round.
    assert_eq!(workdir.run(["get", "local:d/a b.txt"]).code, 0);
    assert_eq!(workdir.read("a b.txt"), b"x");
    std::fs::create_dir(workdir.path("target")).unwrap();
    workdir.ok("get local:d/e target");
    assert_eq!(workdir.read("target/e"), b"x");
}

#[test]
fn type_headers_and_metadata_travel() {
    let workdir = Workdir::new();
    workdir.write("a.png", "x");
    workdir.ok("put a.png local:named.txt");
    assert_eq!(
        workdir.json("head local:named.txt")["content_type"],
        "text/plain",
        "the key decides"
    );
    workdir.ok("put a.png local:nameless");
    assert_eq!(
        workdir.json("head local:nameless")["content_type"],
        "image/png",
        "else the file"
    );
    let put = workdir.json(
        "put a.png local:k --content-type x/y -m author=me -m empty= --cache-control no-store \
         --content-disposition inline --content-encoding gzip --content-language de",
    );
    assert_eq!(
        (&put["address"], &put["size"]),
        (&"local:k".into(), &1.into())
    );
    let head = workdir.json("head local:k");
    for (name, value) in [
        ("content_type", "x/y"),
        ("cache_control", "no-store"),
        ("content_disposition", "inline"),
        ("content_encoding", "gzip"),
        ("content_language", "de"),
        ("key", "k"),
        ("backend", "local"),
    ] {
        assert_eq!(head[name], value, "{name}");
    }
    assert_eq!(
        head["metadata"],
        serde_json::json!({ "author": "me", "empty": "" })
    );
    assert_eq!(head["checksums"]["crc32c"], put["checksums"]["crc32c"]);
    assert_eq!(head["etag"], put["etag"]);
    let text = workdir.ok("head local:k");
    assert!(
        text.contains("\nmetadata.author: me\n") && text.contains("\nsize: 1"),
        "{text}"
    );
    // A later put replaces all of it.
    workdir.ok("put a.png local:k");
    assert_eq!(workdir.json("head local:k").get("metadata"), None);
}

#[test]
fn conditions_hold_or_nothing_changes() {
    let workdir = Workdir::new();
    workdir.write("old", "old");
    workdir.write("new", "new");
    let etag = workdir.json("put old local:a")["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let lost = workdir.fails_json(4, "put new local:a --create-only");
    assert_eq!(
        (&lost["code"], &lost["key"]),
        (&"precondition_failed".into(), &"a".into())
    );
    workdir.fails(4, "put new local:a --if-match wrong");
    workdir.fails(4, "rm local:a --if-match wrong");
    workdir.fails(4, "get local:a --if-match wrong");
    assert_eq!(workdir.read("data/objects/a"), b"old");
    let same = workdir.fails_json(4, &format!("get local:a --if-none-match {etag}"));
    assert_eq!(same["code"], "not_modified");
    // As HTTP shows it, and the bare text.
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let bare = etag.trim_matches('"');
    let same = workdir.fails_json(4, &format!("get local:a --if-none-match {bare}"));
    assert_eq!(same["code"], "not_modified");
    workdir.ok(&format!("put old local:a --if-match {bare}"));
    let etag = workdir.json("head local:a")["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    workdir.fails(4, "get local:a --if-modified-since 2999-01-01T00:00:00Z");
    assert!(
        !workdir.path("a").exists() && workdir.files(".").iter().all(|name| !name.contains("part"))
    );

    workdir.ok(&format!("put new local:a --if-match {etag}"));
    assert_eq!(workdir.read("data/objects/a"), b"new");
    workdir.fails(4, &format!("put old local:a --if-match {etag}"));
    workdir.ok("put new local:b --create-only");
    let digest = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437";
    workdir.ok(&format!("put new local:c --sha256 {digest}"));
    let differs = workdir.fails_json(5, &format!("put old local:d --sha256 {digest}"));
    assert_eq!(differs["code"], "checksum_mismatch");
    assert!(!workdir.path("data/objects/d").exists());
}

#[test]
fn ranges() {
    let workdir = Workdir::new();
    workdir.write("in", "0123456789");
    workdir.ok("put in local:a");
    for (range, expected) in [
        ("0-0", "0"),
        ("3-5", "345"),
        ("8-99", "89"),
        ("7-", "789"),
        ("-2", "89"),
    ] {
        let ran = workdir.pipe(&format!("get local:a - --range {range}"), b"");
        assert_eq!(
            (ran.code, &*ran.text()),
            (0, expected),
            "{range}: {}",
            ran.err
        );
    }
    workdir.ok("get local:a part --range 3-5");
    assert_eq!(workdir.read("part"), b"345");
    assert!(
        workdir
            .fails(5, "get local:a x --range 10-")
            .contains("the object has 10 bytes")
    );
    for bad in ["5-3", "a-b", "-", "-0", "3"] {
        workdir.fails(2, &format!("get local:a x --range {bad}"));
    }
    assert!(!workdir.path("x").exists());
}

#[test]
fn get_replaces_nothing_unasked() {
    let workdir = Workdir::new();
    workdir.write("in", "new");
    workdir.ok("put in local:a");
    workdir.write("a", "mine");
    workdir.fails(4, "get local:a");
    workdir.fails(4, "get local:a ./a");
    assert_eq!(workdir.read("a"), b"mine");
    workdir.ok("get local:a --force");
    assert_eq!(workdir.read("a"), b"new");
    // What only takes bytes is written to, never replaced.
    workdir.ok("get local:a /dev/null");
    assert_eq!(
        workdir.fails_json(6, "get local:a /dev/full")["code"],
        "local_file"
    );
    workdir.fails(5, "get local:a nowhere/b");
    workdir.fails(5, "get local:a nowhere/");
    assert_eq!(
        workdir.files("."),
        ["a", "data/objects/a", "holdall.toml", "in"]
    );
}

#[test]
fn exists_answers_by_its_code() {
    let workdir = Workdir::new();
    workdir.write("in", "");
    workdir.ok("put in local:d/a");
    assert_eq!(workdir.ok("exists local:d/a"), "true\n");
    for key in ["d", "d/", "d/b", "nothing"] {
        let ran = workdir.run(["exists", &format!("local:{key}")]);
        let code = if key.ends_with('/') { 5 } else { 3 };
        assert_eq!(ran.code, code, "{key}: only objects exist");
    }
    let ran = workdir.run(["exists", "local:nothing", "--json"]);
    assert_eq!(
        ran.text(),
        "{\"address\":\"local:nothing\",\"exists\":false}\n"
    );
    assert_eq!(workdir.run(["exists", "-q", "local:nothing"]).text(), "");
}

#[test]
fn rm_fails_for_what_is_not_there() {
    let workdir = Workdir::new();
    workdir.write("in", "");
    for key in ["a", "b", "c"] {
        workdir.ok(&format!("put in local:{key}"));
    }
    assert!(
        workdir
            .fails(3, "rm local:nothing")
            .contains("file not found")
    );
    workdir.ok("rm --force local:nothing");
    let ran = workdir.run(["rm", "local:a", "local:nothing", "local:b"]);
    assert_eq!(ran.code, 3);
    assert_eq!(
        workdir.files("data/objects"),
        ["c"],
        "the others go all the same"
    );
    workdir.fails(2, "rm local:c local:");
    workdir.fails(2, "rm local:c local:d --if-match x");
    assert_eq!(
        workdir.files("data/objects"),
        ["c"],
        "a slip is found before anything goes"
    );
}

#[test]
fn copies_keep_everything_inside_a_backend_and_between_two() {
    let workdir = Workdir::new();
    let whole = bytes(3 * MIB + 5, 1);
    workdir.write("in", &whole);
    workdir.ok("put in local:a.txt -m author=me --cache-control no-store --content-type x/y");
    for to in ["local:b", "local:d/", "other:", "other:deep/c"] {
        workdir.ok(&format!("cp local:a.txt {to}"));
    }
    for to in ["local:b", "local:d/a.txt", "other:a.txt", "other:deep/c"] {
        let head = workdir.json(&format!("head {to}"));
        assert_eq!(
            (&head["content_type"], &head["cache_control"]),
            (&"x/y".into(), &"no-store".into()),
            "{to}"
        );
        assert_eq!(head["metadata"]["author"], "me", "{to}");
    }
    assert!(
        workdir.read("other/objects/deep/c") == whole && workdir.read("data/objects/b") == whole
    );
    workdir.fails(4, "cp local:a.txt other:a.txt --create-only");
    workdir.fails(4, "cp local:a.txt local:b --create-only");
    assert_eq!(
        workdir.fails_json(3, "cp local:nothing local:x")["key"],
        "nothing"
    );
    workdir.ok("cp local:b local:b");
    workdir.fails(6, "cp local:a.txt tiny:a");
}

#[test]
fn signed_urls_come_from_the_gateway() {
    let workdir = Workdir::new();
    let url = workdir.ok("sign local:u/7.png");
    assert!(
        url.starts_with("https://files.example.org/v1/local/u/7.png?hd-v=1&hd-m=GET&hd-exp="),
        "{url}"
    );
    assert_eq!(url.lines().count(), 1);
    let put = workdir
        .json("sign local:a --method put --expires 1h --content-type image/png --max-size 10MiB");
    let url = put["url"].as_str().unwrap();
    assert!(
        url.contains("hd-m=PUT")
            && url.contains("hd-max=10485760")
            && url.contains("hd-ct=image%2Fpng"),
        "{url}"
    );
    assert_eq!(put["method"], "PUT");
    workdir.fails(5, "sign local:a --expires 8d");
    workdir.fails(2, "sign local:a --expires soon");
    workdir.fails(2, "sign local:a --method PATCH");
    workdir.fails(3, "sign local:a --must-exist");
    workdir.write("holdall.toml", "[backend.local.config]\nroot = \"data\"\n");
    let refused = workdir.fails(8, "sign local:a");
    assert!(
        refused.contains("[gateway]") && refused.contains("public_url"),
        "the lines to add: {refused}"
    );
}
