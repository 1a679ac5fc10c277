//! C: keys are opaque text, kept byte for byte, and what breaks the policy is refused everywhere.

use crate::body;
use crate::case::{Case, Outcome, Tag, case, ensure};
use crate::trial::{MAIN_STORE, Trial, not_applicable};
use crate::watch::refused;
use bytes::Bytes;
use holdall_plugin_api::{
    Capability, CopyObject, Delete, DeleteMany, Download, ErrorKind, Head, KeyPolicy, List, Method,
    Operation, Rename, SignUrl, Upload,
};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    case!(
        "C-01",
        Tag::Core,
        "plain, nested and ten segments deep",
        plain
    ),
    case!(
        "C-02",
        Tag::Core,
        "spaces inside, and every ASCII punctuation mark as and within a segment",
        punctuation
    ),
    case!(
        "C-03",
        Tag::Core,
        "percent sequences, plus, query and fragment marks are literal and distinct",
        literal
    ),
    case!(
        "C-04",
        Tag::Core,
        "NFC and NFD, emoji, right-to-left, zero-width and combining characters",
        unicode
    )
    .proves(&[Capability::UnicodeExact]),
    case!(
        "C-05",
        Tag::Core,
        "upper and lower case are two keys, or consistently one",
        letter_case
    )
    .proves(&[Capability::CaseSensitive]),
    case!(
        "C-06",
        Tag::Core,
        "the longest key and segment work; one byte more is refused unread",
        longest
    ),
    case!(
        "C-07",
        Tag::Core,
        "empty segments and dots are refused by every operation",
        segments
    ),
    case!(
        "C-08",
        Tag::Core,
        "control characters and backslash are refused by every operation",
        characters
    ),
    case!(
        "C-09",
        Tag::Core,
        "white space at the ends is refused, never trimmed",
        outer_space
    ),
    case!(
        "C-10",
        Tag::Core,
        "names that a backend may reserve behave as any other",
        reserved
    ),
    case!(
        "C-11",
        Tag::Core,
        "a key and keys below it exist together, or the second fails cleanly",
        key_and_prefix
    )
    .proves(&[Capability::KeyAndPrefix]),
    case!(
        "C-12",
        Tag::Need("plain files"),
        "a symlink out of the root is not followed, also when swapped in",
        symlinks
    ),
    case!(
        "C-13",
        Tag::Need("scoped instance"),
        "an instance below a prefix cannot reach its siblings",
        scoped
    ),
];

/// Names that every backend keeps apart; group J and K use them too.
pub(super) const NAMES: &[&str] = &[
    "plain.txt",
    "dir/nested",
    "1/2/3/4/5/6/7/8/9/10",
    "two words",
    "a%2Fb",
    "a%20b",
    "%25",
    "test%46.txt",
    "testF.txt",
    "a+b",
    "a&b=c",
    "a?b#c",
    "a*",
    "[a]",
    "{a,b}",
    "a_b",
    "<a>\"'&amp;",
    "..a",
    "...",
    ".hidden",
    "caf\u{e9}",
    "\u{1f98a}\u{1f392}",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "a\u{200b}b",
    "x\u{328}\u{301}",
];

/// Stores something different under each key, and finds each of them where it belongs.
async fn all_distinct(t: &Trial, keys: &[String]) -> Outcome {
    for key in keys {
        t.put(key, key.clone()).await?;
    }
    for key in keys {
        t.holds(key, key.as_bytes()).await?;
    }
    if t.has(Operation::List) {
        let expected: BTreeSet<String> = keys.iter().cloned().collect();
        let listed = t.keys(t.prefix(), 1000).await?;
        let found: BTreeSet<String> = listed.iter().cloned().collect();
        ensure!(
            found == expected,
            "the listing shows {found:?}, stored were {expected:?}"
        );
        ensure!(found.len() == listed.len(), "the listing shows a key twice");
    }
    Ok(())
}

async fn plain(t: &Trial) -> Outcome {
    all_distinct(
        t,
        &["plain.txt", "dir/nested", "1/2/3/4/5/6/7/8/9/10"].map(|name| t.key(name)),
    )
    .await
}

async fn punctuation(t: &Trial) -> Outcome {
    let marks = (' '..='~').filter(|c| !c.is_ascii_alphanumeric() && !"/\\".contains(*c));
    let mut keys = Vec::new();
    for mark in marks {
        keys.push(t.key(&format!("a{mark}b")));
        // A blank alone is white space at an end, a dot alone is no name.
        if !" .".contains(mark) {
            keys.push(t.key(&mark.to_string()));
            keys.push(t.key(&format!("in/{mark}/between")));
        }
    }
    all_distinct(t, &keys).await
}

async fn literal(t: &Trial) -> Outcome {
    let names = [
        "a%2Fb",
        "a%2fb",
        "a/b",
        "a%20b",
        "a b",
        "a+b",
        "%25",
        "%",
        "%2525",
        "test%46.txt",
        "testF.txt",
        "a&b=c",
        "a&amp;b=c",
        "a?b#c",
        "a?b",
        "a",
    ];
    // `a` beside `a/b` is C-11's question.
    let names = names
        .iter()
        .filter(|name| **name != "a" || t.claims(Capability::KeyAndPrefix));
    let names = names.filter(|name| **name != "a%2fb" || t.claims(Capability::CaseSensitive));
    all_distinct(t, &names.map(|name| t.key(name)).collect::<Vec<_>>()).await
}

async fn unicode(t: &Trial) -> Outcome {
    let names = [
        "caf\u{e9}",
        "\u{1f98a}\u{1f392}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{645}\u{631}\u{62d}\u{628}\u{627}",
        "a\u{200b}b",
        "a\u{200d}b",
        "a\u{2060}b",
        "x\u{328}\u{301}",
        "x\u{301}\u{328}",
        "\u{212b}",
        "a\u{feff}b",
        "\u{10ffff}",
        "\u{e000}",
    ];
    let exact = t.claims(Capability::UnicodeExact);
    // Two orders of marks are one text after normalisation.
    let names = names
        .into_iter()
        .filter(|name| exact || *name != "x\u{301}\u{328}");
    let mut keys: Vec<String> = names.map(|name| t.key(name)).collect();
    if exact {
        keys.extend(["cafe\u{301}", "\u{c5}", "A\u{30a}"].map(|name| t.key(name)));
        return all_distinct(t, &keys).await;
    }
    all_distinct(t, &keys).await?;
    one_or_refused(t, &t.key("nfc-\u{e9}"), &t.key("nfc-e\u{301}")).await
}

async fn letter_case(t: &Trial) -> Outcome {
    let (upper, lower) = (t.key("File"), t.key("file"));
    if t.claims(Capability::CaseSensitive) {
        return all_distinct(
            t,
            &[
                upper,
                lower,
                t.key("FILE"),
                t.key("fil\u{c9}"),
                t.key("fil\u{e9}"),
            ],
        )
        .await;
    }
    one_or_refused(t, &upper, &lower).await
}

/// Two spellings that a medium cannot keep apart: the second upload is refused and harms nothing,
/// or it replaces, and then both names lead to the new object.
async fn one_or_refused(t: &Trial, first: &str, second: &str) -> Outcome {
    t.put(first, "first").await?;
    match t.upload(Upload::new(second, "second")).await {
        Err(_) => t.holds(first, b"first").await,
        Ok(_) => {
            t.holds(second, b"second").await?;
            let (_, through_first) = t.read(first).await?;
            let kept = t.claims(Capability::CaseSensitive) || &*through_first == b"second";
            ensure!(kept, "the second upload replaced half of the first");
            Ok(())
        }
    }
}

/// A key of exactly this many bytes, below the case's prefix.
fn key_of(t: &Trial, bytes: usize) -> String {
    let mut key = t.key("");
    while bytes - key.len() > 256 {
        key.push_str(&"d".repeat(200));
        key.push('/');
    }
    let rest = bytes - key.len();
    key.push_str(&"k".repeat(rest.min(255)));
    if rest == 256 {
        // One more would be a segment too long, and two segments need three bytes.
        let cut = key.len() - 2;
        key.replace_range(cut.., "/kk");
    }
    key
}

async fn longest(t: &Trial) -> Outcome {
    let most = t
        .info()
        .limits
        .max_key_bytes
        .map_or(1024, |max| max.min(1024) as usize);
    let key = key_of(t, most);
    ensure!(
        key.len() == most,
        "the kit made a key of {} bytes",
        key.len()
    );
    // The last byte counts too.
    let twin = |key: &str| format!("{}z", &key[..key.len() - 1]);
    let segment = t.key(&"s".repeat(255));
    for key in [key, segment].iter().filter(|key| key.len() <= most) {
        t.put(key, "one").await?;
        t.put(&twin(key), "twin").await?;
        t.holds(key, b"one").await?;
        t.holds(&twin(key), b"twin").await?;
    }
    for key in [
        key_of(t, most + 1),
        t.key(&"s".repeat(256)),
        t.key(&format!("{}/x", "\u{e9}".repeat(128))),
    ] {
        refused_by_uploads(t, &key).await?;
    }
    Ok(())
}

async fn refused_by_uploads(t: &Trial, key: &str) -> Outcome {
    let (body, pulls) = body::counted("x");
    let answer = t.upload(Upload::new(key, body).length(1)).await;
    refused(
        answer,
        ErrorKind::InvalidKey,
        &format!("upload of {}", short(key)),
    )?;
    ensure!(pulls.count() == 0, "the body for {} was read", short(key));
    Ok(())
}

fn short(key: &str) -> String {
    let text = format!("{key:?}");
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

/// Every operation refuses this key, wherever it stands in the request.
async fn refused_everywhere(t: &Trial, bad: &str, good: &str) -> Outcome {
    let invalid = ErrorKind::InvalidKey;
    let what = |operation: &str| format!("{operation} of {}", short(bad));
    refused_by_uploads(t, bad).await?;
    refused(
        t.download(Download::new(bad)).await,
        invalid,
        &what("download"),
    )?;
    refused(t.delete(Delete::new(bad)).await, invalid, &what("delete"))?;
    refused(t.exists(bad).await, invalid, &what("exists"))?;
    for method in [Method::Get, Method::Put] {
        let sign = SignUrl::new(method, bad, Duration::from_secs(60));
        refused(t.signed_url(sign).await, invalid, &what("signed_url"))?;
    }
    if t.has(Operation::Head) {
        refused(t.head(Head::new(bad)).await, invalid, &what("head"))?;
    }
    let target = t.key("target");
    if t.has(Operation::Copy) {
        refused(
            t.copy(CopyObject::new(bad, &target)).await,
            invalid,
            &what("copy"),
        )?;
        refused(
            t.copy(CopyObject::new(good, bad)).await,
            invalid,
            &what("copy to the key"),
        )?;
    }
    if t.has(Operation::Rename) {
        refused(
            t.rename(Rename::new(bad, &target)).await,
            invalid,
            &what("rename"),
        )?;
        refused(
            t.rename(Rename::new(good, bad)).await,
            invalid,
            &what("rename to the key"),
        )?;
    }
    if t.has(Operation::DeleteMany) {
        let answers = t.delete_many(DeleteMany::new([bad])).await?;
        ensure!(answers.len() == 1, "{} answers for one key", answers.len());
        for answer in answers {
            refused(answer, invalid, &what("delete_many"))?;
        }
    }
    // A prefix may be empty and may end in one slash.
    let prefix = bad.is_empty()
        || bad
            .strip_suffix('/')
            .is_some_and(|rest| KeyPolicy::Portable.check(rest).is_ok());
    if t.has(Operation::List) && !prefix {
        // The host takes any text, and no key begins so. A plugin alone never gets such a prefix.
        match t.list(List::new(bad)).await {
            Ok(page) => {
                let keys = page.entries.iter().map(|entry| &entry.key);
                for found in keys.chain(&page.common_prefixes) {
                    ensure!(found.starts_with(bad), "{found:?} below {bad:?}");
                }
            }
            answer => {
                refused(answer, invalid, &what("list with the prefix"))?;
            }
        }
    }
    Ok(())
}

fn portable(t: &Trial) -> Outcome {
    match t.info().policy {
        KeyPolicy::Portable => Ok(()),
        other => not_applicable(format!("the key policy is {other:?}")),
    }
}

async fn segments(t: &Trial) -> Outcome {
    portable(t)?;
    let good = t.key("good");
    t.put(&good, "good").await?;
    let names = [
        "", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "../x", "a/..", "/", "//", "./a",
        "a/.",
    ];
    for name in names {
        refused_everywhere(t, name, &good).await?;
    }
    for name in [
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../good",
        "a/../good",
        "./good",
    ] {
        refused_everywhere(t, &t.key(name), &good).await?;
    }
    t.holds(&good, b"good").await
}

async fn characters(t: &Trial) -> Outcome {
    portable(t)?;
    let good = t.key("good");
    t.put(&good, "good").await?;
    let control = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
    for bad in control.chain(['\\']) {
        refused_everywhere(t, &t.key(&format!("go{bad}od")), &good).await?;
    }
    refused_everywhere(t, &t.key("good\0"), &good).await?;
    t.holds(&good, b"good").await
}

async fn outer_space(t: &Trial) -> Outcome {
    portable(t)?;
    let good = t.key("good");
    t.put(&good, "good").await?;
    for space in [
        ' ', '\u{a0}', '\u{2003}', '\u{2028}', '\u{3000}', '\u{1680}',
    ] {
        for bad in [
            format!("{good}{space}"),
            format!("{space}{good}"),
            format!("{space}{good}{space}"),
            space.to_string(),
        ] {
            refused_everywhere(t, &bad, &good).await?;
        }
    }
    t.holds(&good, b"good").await
}

async fn reserved(t: &Trial) -> Outcome {
    let names = [
        "x",
        "x#1",
        "x.attrs",
        "x.meta",
        "x.json",
        "x.tmp",
        "x.holdall-part",
        "~x",
        "x~",
        ".tmp",
        ".tmp-x",
        ".holdall",
        ".git/config",
        ".nfs0001",
        "con",
        "aux.txt",
        "nul",
        "objects/x",
        "staging/x",
        "locks/x",
        "lost+found",
        "desktop.ini",
        "index.html",
        "$folder$",
        "x_$folder$",
        "-rf",
        "--help",
        ".DS_Store",
    ];
    all_distinct(t, &names.map(|name| t.key(name))).await
}

async fn key_and_prefix(t: &Trial) -> Outcome {
    let pairs = [
        ("up", "up/below"),
        ("down/below", "down"),
        ("deep", "deep/er/and/deeper"),
    ];
    for (first, second) in pairs.map(|(first, second)| (t.key(first), t.key(second))) {
        t.put(&first, "first").await?;
        if t.claims(Capability::KeyAndPrefix) {
            t.put(&second, "second").await?;
            t.holds(&second, b"second").await?;
        } else {
            let answer = t.upload(Upload::new(&second, "second")).await;
            refused(
                answer,
                ErrorKind::Conflict,
                &format!("{second:?} beside {first:?}"),
            )?;
            t.is_absent(&second).await?;
        }
        t.holds(&first, b"first").await?;
    }
    Ok(())
}

#[cfg(unix)]
async fn symlinks(t: &Trial) -> Outcome {
    use std::fs;
    use std::os::unix::fs::symlink;
    let store = t.direct_access(MAIN_STORE)?;
    let Some(objects) = store.objects_dir() else {
        return not_applicable("keys are not paths of files");
    };
    let inside = t.key("dir/inside");
    t.put(&inside, "inside").await?;
    let dir = objects.join(t.key("dir"));
    let secret = std::env::temp_dir().join(t.key("secret").replace('/', "-"));
    let failed = |cause: std::io::Error| {
        crate::case::Stop::Failed(format!("the kit cannot prepare: {cause}"))
    };
    fs::create_dir_all(&secret).map_err(failed)?;
    fs::write(secret.join("file"), "secret").map_err(failed)?;
    let linked = symlink(secret.join("file"), dir.join("link"));
    if linked.is_err() && !has_symlinks(&dir) {
        let _ = fs::remove_dir_all(&secret);
        return not_applicable("the file system has no symbolic links");
    }
    linked.map_err(failed)?;
    symlink(&secret, dir.join("way")).map_err(failed)?;
    let ended = reaches_nothing(t, &[t.key("dir/link"), t.key("dir/way/file")]).await;
    let ended = match ended {
        Ok(()) => swapped(t, &dir, &secret).await,
        failed => failed,
    };
    let untouched = fs::read(secret.join("file")).is_ok_and(|bytes| bytes == b"secret");
    let added = fs::read_dir(&secret).map_or(0, Iterator::count);
    for path in [dir.join("link"), dir.join("way"), dir.join("swap")] {
        let _ = fs::remove_file(path);
    }
    let _ = fs::remove_dir_all(&secret);
    ended?;
    ensure!(
        untouched && added == 1,
        "a file outside the root was changed"
    );
    t.holds(&inside, b"inside").await
}

/// Whether a link to nothing can be created in a directory in which a file can be.
#[cfg(unix)]
fn has_symlinks(dir: &std::path::Path) -> bool {
    let (file, link) = (dir.join("probe-file"), dir.join("probe-link"));
    let writable = std::fs::write(&file, "").is_ok();
    let linked = std::os::unix::fs::symlink("nothing", &link).is_ok();
    for path in [file, link] {
        let _ = std::fs::remove_file(path);
    }
    linked || !writable
}

#[cfg(not(unix))]
async fn symlinks(_: &Trial) -> Outcome {
    not_applicable("symlinks are made on Unix only")
}

#[cfg(unix)]
async fn reaches_nothing(t: &Trial, keys: &[String]) -> Outcome {
    for key in keys {
        let read = t.read(key).await;
        ensure!(read.is_err(), "{key:?} leads out of the root");
        ensure!(
            !matches!(t.exists(key).await, Ok(true)),
            "exists follows {key:?} out of the root"
        );
        let sign = SignUrl::new(Method::Get, key, Duration::from_secs(60));
        let mut existing = sign;
        existing.must_exist = true;
        ensure!(
            t.signed_url(existing).await.is_err(),
            "{key:?} is signed although it leads out of the root"
        );
        // It may be refused or replace the link; what counts is the file outside, looked at later.
        let _ = t.upload(Upload::new(key, "overwritten")).await;
    }
    if t.has(Operation::List) {
        let listed = t.keys(t.prefix(), 1000).await?;
        ensure!(!listed.contains(&keys[1]), "the listing leaves the root");
    }
    for key in keys {
        let _ = t.delete(Delete::new(key)).await;
    }
    Ok(())
}

/// A directory that becomes a symlink, and a directory again, all the time.
#[cfg(unix)]
async fn swapped(t: &Trial, dir: &std::path::Path, secret: &std::path::Path) -> Outcome {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let stop = Arc::new(AtomicBool::new(false));
    let (swap, target, halt) = (dir.join("swap"), secret.to_owned(), stop.clone());
    let swapping = std::thread::spawn(move || {
        while !halt.load(Ordering::Relaxed) {
            let _ = std::fs::remove_dir_all(&swap);
            let _ = std::os::unix::fs::symlink(&target, &swap);
            std::thread::yield_now();
            let _ = std::fs::remove_file(&swap);
            let _ = std::fs::create_dir(&swap);
        }
        let _ = std::fs::remove_dir_all(&swap);
    });
    let key = t.key("dir/swap/file");
    let mut leaked = false;
    for _ in 0..200 {
        leaked |= t
            .read(&key)
            .await
            .is_ok_and(|(_, bytes)| &*bytes == b"secret");
        let _ = t.upload(Upload::new(&key, "overwritten")).await;
        let _ = t.delete(Delete::new(&key)).await;
    }
    stop.store(true, Ordering::Relaxed);
    ensure!(swapping.join().is_ok(), "the kit's thread has panicked");
    ensure!(!leaked, "a symlink that was swapped in was followed");
    Ok(())
}

async fn scoped(t: &Trial) -> Outcome {
    let prefix = t.key("p/");
    let Some(opening) = t.stage().scoped(MAIN_STORE, &prefix) else {
        return not_applicable("no instance below a prefix");
    };
    let inner = t.another(opening.await?);
    let sibling = t.key("p2/x");
    t.put(&sibling, "sibling").await?;
    inner.put("x", "inner").await?;
    t.holds(&t.key("p/x"), b"inner").await?;
    for key in ["2/x", "../p2/x", "p2/x"] {
        ensure!(inner.read(key).await.is_err(), "{key:?} leaves the prefix");
        let _ = inner.delete(Delete::new(key)).await;
    }
    if inner.has(Operation::List) {
        ensure!(
            inner.keys("", 1000).await? == ["x"],
            "the listing leaves the prefix"
        );
    }
    inner.clean().await;
    t.holds(&sibling, b"sibling").await
}

/// Bytes that tell which key they belong to.
pub(super) fn content(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}
