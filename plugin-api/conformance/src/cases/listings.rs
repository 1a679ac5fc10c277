//! J: listings name every object once, and nothing else.

use super::keys::{NAMES, content};
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::subject::Level;
use crate::trial::{MAIN_STORE, Trial, not_applicable};
use crate::watch::{Watched, refused};
use futures_util::future::join_all;
use holdall_plugin_api::{
    Capability, Delete, ErrorKind, Head, Limits, List, Operation, Page, Upload,
};
use std::collections::BTreeSet;
use std::path::PathBuf;

const LIST: Tag = Tag::Op(Operation::List);

pub(super) const CASES: &[Case] = &[
    case!(
        "J-01",
        LIST,
        "an empty store and a missing prefix list nothing, without a token",
        empty
    ),
    case!(
        "J-02",
        LIST,
        "a prefix is the beginning of a text, not a folder",
        prefixes
    ),
    case!(
        "J-03",
        LIST,
        "a delimiter groups keys, each group once, also across pages",
        delimiter
    ),
    case!(
        "J-04",
        LIST,
        "pages of any limit name every key once, and are never larger",
        limits
    ),
    case!(
        "J-05",
        LIST,
        "a limit of 0 or beyond the largest is an invalid argument",
        bad_limits
    ),
    case!(
        "J-06",
        LIST,
        "2500 objects, past the page size of stores",
        many
    )
    .within(60),
    case!(
        "J-07",
        LIST,
        "inserts before and after the cursor repeat nothing and lose no old key",
        inserts
    ),
    case!(
        "J-08",
        LIST,
        "a delete of the cursor's key loses no other key",
        deleted_cursor
    ),
    case!(
        "J-09",
        LIST,
        "a damaged or foreign token is an invalid argument, not a restart",
        bad_tokens
    ),
    case!(
        "J-10",
        Tag::Cap(Capability::OrderedList),
        "keys come in byte order",
        ordered
    ),
    case!(
        "J-11",
        Tag::Cap(Capability::StartAfter),
        "start-after is exclusive, need not exist, and goes with prefix and delimiter",
        start_after
    ),
    case!("J-12", LIST, "entries say what head says", entries),
    case!(
        "J-13",
        LIST,
        "every kind of key comes back byte for byte",
        every_key
    ),
    case!(
        "J-14",
        LIST,
        "pattern characters in a prefix are literal",
        literal_prefixes
    ),
    case!(
        "J-15",
        LIST,
        "a foreign object with a name that is no key is skipped and counted",
        foreign
    ),
    case!(
        "J-16",
        LIST,
        "running uploads, sidecars and empty folders never appear",
        no_furniture
    ),
    case!(
        "J-17",
        LIST,
        "below a configured prefix, keys and tokens are relative to it",
        scoped
    ),
];

async fn put_all(t: &Watched, keys: &[String]) -> Outcome {
    for some in keys.chunks(32) {
        let mut puts = Vec::new();
        for key in some {
            puts.push(t.put(key, content(key)));
        }
        for put in join_all(puts).await {
            put?;
        }
    }
    Ok(())
}

fn set(keys: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
    keys.into_iter().map(Into::into).collect()
}

/// Fails unless these are exactly the keys, each once.
fn exactly(found: Vec<String>, expected: &BTreeSet<String>, what: &str) -> Outcome {
    let count = found.len();
    let found = set(found);
    let lost: Vec<_> = expected.difference(&found).take(3).collect();
    let extra: Vec<_> = found.difference(expected).take(3).collect();
    ensure!(
        lost.is_empty() && extra.is_empty(),
        "{what}: lacks {lost:?}, has {extra:?} too"
    );
    ensure!(
        count == expected.len(),
        "{what}: {count} entries for {} keys",
        expected.len()
    );
    Ok(())
}

async fn empty(t: &Trial) -> Outcome {
    let fresh = t.fresh().await?;
    for (subject, prefix) in [(&fresh, ""), (&fresh, "a"), (&fresh, "a/"), (t, t.prefix())] {
        for delimiter in [None, Some("/")] {
            let mut list = List::new(prefix);
            list.delimiter = delimiter;
            let page = subject.list(list).await?;
            ensure!(
                page == Page::default(),
                "nothing at {prefix:?} is listed as {page:?}"
            );
        }
    }
    Ok(())
}

async fn prefixes(t: &Trial) -> Outcome {
    let together = t.claims(Capability::KeyAndPrefix);
    let names: &[&str] = match together {
        true => &["foo", "foobar", "foo/x", "fo", "xfoo", "foo-/y"],
        false => &["foobar", "foo/x", "fo", "xfoo", "foo-/y"],
    };
    let keys: Vec<String> = names.iter().map(|name| t.key(name)).collect();
    put_all(t, &keys).await?;
    for prefix in [
        "foo", "foo/", "foob", "fo", "foo/x", "foo/xy", "f", "foo-", "x", "",
    ] {
        let whole = t.key(prefix);
        let expected = set(keys.iter().filter(|key| key.starts_with(&whole)));
        exactly(
            t.keys(&whole, 1000).await?,
            &expected,
            &format!("prefix {prefix:?}"),
        )?;
    }
    Ok(())
}

/// Objects and groups of a listing with a delimiter, all pages together.
async fn grouped(t: &Watched, prefix: &str, limit: u32) -> Outcome<(Vec<String>, Vec<String>)> {
    let pages = t
        .pages(List::new(prefix).delimiter("/").limit(limit))
        .await?;
    let (mut keys, mut groups) = (Vec::new(), Vec::new());
    for page in pages {
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        groups.extend(page.common_prefixes);
    }
    Ok((keys, groups))
}

async fn delimiter(t: &Trial) -> Outcome {
    let names = [
        "a/1", "a/2", "a/b/3", "b", "b-/1", "c/d/e", "c/d/f", "d", "e/1", "e/2", "e/3", "f",
    ];
    put_all(t, &names.map(|name| t.key(name))).await?;
    for limit in [1, 2, 3, 7, 8, 1000] {
        for (prefix, keys, groups) in [
            ("", vec!["b", "d", "f"], vec!["a/", "b-/", "c/", "e/"]),
            ("a/", vec!["a/1", "a/2"], vec!["a/b/"]),
            ("a", vec![], vec!["a/"]),
            ("b", vec!["b"], vec!["b-/"]),
            ("c/", vec![], vec!["c/d/"]),
            ("c/d", vec![], vec!["c/d/"]),
            ("e/", vec!["e/1", "e/2", "e/3"], vec![]),
            ("z", vec![], vec![]),
        ] {
            let found = grouped(t, &t.key(prefix), limit).await?;
            let what = format!("delimiter at {prefix:?}, limit {limit}");
            exactly(found.0, &set(keys.iter().map(|name| t.key(name))), &what)?;
            exactly(
                found.1,
                &set(groups.iter().map(|name| t.key(name))),
                &format!("{what}, groups"),
            )?;
        }
    }
    Ok(())
}

fn numbered(t: &Trial, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| t.key(&format!("{:04}", index * 7 % count)))
        .collect()
}

async fn limits(t: &Trial) -> Outcome {
    let keys = numbered(t, 10);
    put_all(t, &keys).await?;
    let expected = set(keys);
    for limit in [1, 2, 3, 9, 10, 11, largest_page(t)] {
        exactly(
            t.keys(t.prefix(), limit).await?,
            &expected,
            &format!("limit {limit}"),
        )?;
    }
    Ok(())
}

fn largest_page(t: &Watched) -> u32 {
    let Limits { max_page, .. } = t.info().limits;
    max_page.min(1000)
}

async fn bad_limits(t: &Trial) -> Outcome {
    for limit in [0, largest_page(t) + 1, 1001, u32::MAX] {
        let answer = t.list(List::new(t.prefix()).limit(limit)).await;
        refused(
            answer,
            ErrorKind::InvalidArgument,
            &format!("limit {limit}"),
        )?;
    }
    let answer = t.list(List::new(t.prefix()).delimiter("")).await;
    refused(answer, ErrorKind::InvalidArgument, "an empty delimiter").map(drop)
}

async fn many(t: &Trial) -> Outcome {
    let keys = numbered(t, 2500);
    put_all(t, &keys).await?;
    let expected = set(keys);
    exactly(
        t.keys(t.prefix(), largest_page(t)).await?,
        &expected,
        "2500 objects",
    )?;
    exactly(
        t.keys(t.prefix(), 999.min(largest_page(t))).await?,
        &expected,
        "2500 objects by 999",
    )
}

/// A listing with time to change the store between two pages.
struct Walk {
    limit: u32,
    token: Option<String>,
    ended: bool,
    found: Vec<String>,
}

impl Walk {
    fn by(limit: u32) -> Self {
        Self {
            limit,
            token: None,
            ended: false,
            found: Vec::new(),
        }
    }

    /// The keys of the next page.
    async fn next(&mut self, t: &Trial) -> Outcome<Option<Vec<String>>> {
        if self.ended {
            return Ok(None);
        }
        ensure!(self.found.len() < 1000, "the listing does not end");
        let list = List::new(t.prefix())
            .limit(self.limit)
            .page_token(self.token.as_deref());
        let page = t.list(list).await?;
        let keys: Vec<String> = page.entries.into_iter().map(|entry| entry.key).collect();
        for key in &keys {
            ensure!(!self.found.contains(key), "{key:?} comes twice");
        }
        self.found.extend(keys.iter().cloned());
        self.ended = page.next.is_none();
        self.token = page.next;
        Ok(Some(keys))
    }
}

async fn inserts(t: &Trial) -> Outcome {
    let old: Vec<String> = (0..12).map(|index| t.key(&format!("{index:02}"))).collect();
    put_all(t, &old).await?;
    let mut walk = Walk::by(4);
    let mut rounds = 0..3;
    while let Some(keys) = walk.next(t).await? {
        if let (Some(last), Some(round)) = (keys.last(), rounds.next()) {
            let new = [
                t.key(&format!("!{round}")),
                format!("{last}a"),
                t.key(&format!("zz{round}")),
            ];
            put_all(t, &new).await?;
        }
    }
    let lost: Vec<_> = old.iter().filter(|key| !walk.found.contains(key)).collect();
    ensure!(lost.is_empty(), "lost {lost:?}");
    Ok(())
}

async fn deleted_cursor(t: &Trial) -> Outcome {
    let keys: Vec<String> = (0..12).map(|index| t.key(&format!("{index:02}"))).collect();
    for limit in [1, 3, 4] {
        put_all(t, &keys).await?;
        let mut walk = Walk::by(limit);
        while let Some(seen) = walk.next(t).await? {
            for key in &seen {
                t.delete(Delete::new(key)).await?;
            }
        }
        exactly(
            walk.found,
            &set(keys.iter()),
            &format!("deleted while listed by {limit}"),
        )?;
    }
    Ok(())
}

async fn bad_tokens(t: &Trial) -> Outcome {
    if t.info().level == Level::Rust {
        return not_applicable("the host makes the tokens that callers see");
    }
    let keys = ["a/1", "a/2", "a/3", "b/1", "b/2", "b/3"].map(|name| t.key(name));
    put_all(t, &keys).await?;
    let prefix = t.key("a/");
    let page = t.list(List::new(&prefix).limit(1)).await?;
    let Some(token) = page.next else {
        return Err(Stop::Failed("no token although there is more".into()));
    };
    let invalid = ErrorKind::InvalidArgument;
    let flipped: String = token
        .char_indices()
        .map(|(at, c)| {
            let is_altered = at == 7 || token.len() < 8 && at == 0;
            if is_altered { flip(c) } else { c }
        })
        .collect();
    let cut = &token[..token.len() - 1];
    let grown = format!("{token}A");
    for damaged in [&*flipped, cut, &grown, "", "not a token", "\u{e9}"] {
        let answer = t
            .list(List::new(&prefix).limit(1).page_token(Some(damaged)))
            .await;
        refused(answer, invalid, &format!("the damaged token {damaged:?}"))?;
    }
    let other = t.key("b/");
    let answer = t
        .list(List::new(&other).limit(1).page_token(Some(&token)))
        .await;
    refused(answer, invalid, "the token of another prefix")?;
    let answer = t
        .list(
            List::new(&prefix)
                .delimiter("/")
                .limit(1)
                .page_token(Some(&token)),
        )
        .await;
    refused(answer, invalid, "the token of a listing without delimiter")?;
    // And the right one still works.
    let page = t
        .list(List::new(&prefix).limit(1).page_token(Some(&token)))
        .await?;
    ensure!(
        page.entries.len() == 1 && page.entries[0].key == keys[1],
        "the token leads to {page:?}"
    );
    Ok(())
}

fn flip(c: char) -> char {
    if c == 'A' { 'B' } else { 'A' }
}

const HARD_TO_SORT: [&str; 14] = [
    "a",
    "a-b",
    "a.b",
    "a/b",
    "a0",
    "aa",
    "a~",
    "A",
    "Z/a",
    "\u{e9}",
    "\u{fffd}",
    "\u{1f392}",
    "\u{e000}",
    "z/\u{7ff}",
];

async fn sortable(t: &Trial) -> Outcome<Vec<String>> {
    let together = t.claims(Capability::KeyAndPrefix);
    let sensitive = t.claims(Capability::CaseSensitive);
    let names = HARD_TO_SORT
        .iter()
        .filter(|name| (together || **name != "a") && (sensitive || !name.starts_with(['A', 'Z'])));
    let mut keys: Vec<String> = names.map(|name| t.key(name)).collect();
    put_all(t, &keys).await?;
    // UTF-8 sorts by code point, which UTF-16 does not.
    keys.sort_unstable();
    Ok(keys)
}

async fn ordered(t: &Trial) -> Outcome {
    let keys = sortable(t).await?;
    for limit in [1, 2, 5, largest_page(t)] {
        let found = t.keys(t.prefix(), limit).await?;
        ensure!(found == keys, "by {limit}: {found:?}");
    }
    let mut both: Vec<(String, String)> = Vec::new();
    for page in t
        .pages(List::new(t.prefix()).delimiter("/").limit(2))
        .await?
    {
        let names = page
            .entries
            .into_iter()
            .map(|entry| entry.key)
            .chain(page.common_prefixes);
        let names: Vec<String> = names.collect();
        if let (Some(first), Some(last)) = (names.iter().min(), names.iter().max()) {
            both.push((first.clone(), last.clone()));
        }
    }
    let rising = both.windows(2).all(|pair| pair[0].1 < pair[1].0);
    ensure!(rising, "with a delimiter, pages overlap: {both:?}");
    Ok(())
}

async fn start_after(t: &Trial) -> Outcome {
    let keys = sortable(t).await?;
    let beyond = t.key("\u{10ffff}");
    let before = t.key("!");
    for start in keys.iter().chain([&beyond, &before]) {
        let expected: Vec<_> = keys.iter().filter(|key| *key > start).cloned().collect();
        for limit in [2, largest_page(t)] {
            let pages = t
                .pages(List::new(t.prefix()).start_after(start).limit(limit))
                .await?;
            let found: Vec<_> = pages
                .into_iter()
                .flat_map(|page| page.entries)
                .map(|entry| entry.key)
                .collect();
            ensure!(found == expected, "after {start:?} by {limit}: {found:?}");
        }
    }
    put_all(
        t,
        &["p/a", "p/b/1", "p/c", "p/d/1", "p/e"].map(|name| t.key(name)),
    )
    .await?;
    let (prefix, start) = (t.key("p/"), t.key("p/b/9"));
    let page = t
        .list(List::new(&prefix).delimiter("/").start_after(&start))
        .await?;
    let found: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
    ensure!(
        found == [t.key("p/c"), t.key("p/e")],
        "with a prefix and a delimiter: {found:?}"
    );
    ensure!(
        page.common_prefixes == [t.key("p/d/")],
        "groups: {:?}",
        page.common_prefixes
    );
    Ok(())
}

async fn entries(t: &Trial) -> Outcome {
    for size in [0, 1, 5000] {
        let key = t.key(&format!("object-{size}"));
        t.put(&key, vec![7; size]).await?;
    }
    for entry in t.list(List::new(t.prefix())).await?.entries {
        let (info, bytes) = t.read(&entry.key).await?;
        let head = match t.has(Operation::Head) {
            true => t.head(Head::new(&entry.key)).await?,
            false => info,
        };
        ensure!(
            entry.size == bytes.len() as u64 && entry.size == head.size,
            "{:?}: a size of {}",
            entry.key,
            entry.size
        );
        ensure!(
            entry.etag.is_none() || entry.etag == head.etag,
            "{:?}: etags {:?} and {:?}",
            entry.key,
            entry.etag,
            head.etag
        );
        if let (Some(listed), Some(head)) = (entry.last_modified, head.last_modified) {
            let apart = listed
                .max(head)
                .duration_since(listed.min(head))
                .unwrap_or_default();
            ensure!(
                apart.as_secs() <= 1,
                "{:?}: times {apart:?} apart",
                entry.key
            );
        }
    }
    Ok(())
}

async fn every_key(t: &Trial) -> Outcome {
    let keys: Vec<String> = NAMES.iter().map(|name| t.key(name)).collect();
    put_all(t, &keys).await?;
    let expected = set(keys.iter());
    for limit in [1, largest_page(t)] {
        exactly(
            t.keys(t.prefix(), limit).await?,
            &expected,
            "every kind of key",
        )?;
    }
    for key in &keys {
        let found = t.keys(key, 1000).await?;
        ensure!(found.contains(key), "{key:?} is no prefix of itself");
    }
    Ok(())
}

async fn literal_prefixes(t: &Trial) -> Outcome {
    let names = [
        "a%b", "axb", "a_b", "a*b", "a?b", "a[x]b", "a", "%", "%25", "x", "{a}", "a\u{e9}",
    ];
    let keys = names.map(|name| t.key(name));
    put_all(t, &keys).await?;
    for prefix in [
        "a%", "a_", "a*", "a?", "a[x]", "[x]", "%", "%2", "*", "?", "_", "{a", "a.", "^a",
        "a\u{e9}",
    ] {
        let whole = t.key(prefix);
        let expected = set(keys.iter().filter(|key| key.starts_with(&whole)));
        exactly(
            t.keys(&whole, 1000).await?,
            &expected,
            &format!("prefix {prefix:?}"),
        )?;
    }
    Ok(())
}

async fn foreign(t: &Trial) -> Outcome {
    let store = t.direct_access(MAIN_STORE)?;
    let good = t.key("good");
    t.put(&good, "good").await?;
    // To Azure a backslash is a slash.
    let mut names = ["bad\\name", "bad//name"].into_iter();
    if !names.any(|bad| store.put_foreign(&t.key(bad), b"foreign")) {
        return not_applicable("no way to put a foreign object there");
    }
    // A file system takes names that are no text at all.
    let bad = 1 + u64::from(put_ill_formed(t, store.objects_dir()));
    t.put(&t.key("zzz"), "good").await?;
    let pages = t.pages(List::new(t.prefix()).limit(1)).await?;
    let skipped: u64 = pages.iter().map(|page| page.skipped).sum();
    let keys = pages
        .into_iter()
        .flat_map(|page| page.entries)
        .map(|entry| entry.key)
        .collect();
    exactly(keys, &set([good, t.key("zzz")]), "beside a foreign object")?;
    ensure!(
        skipped == bad,
        "{skipped} objects of {bad} were counted as skipped"
    );
    Ok(())
}

/// Puts a file whose name is no text beside the keys of this case.
fn put_ill_formed(t: &Trial, objects: Option<PathBuf>) -> bool {
    #[cfg(unix)]
    let name = {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(b"ill-\xff\xfe-formed")
    };
    #[cfg(windows)]
    let name = {
        use std::os::windows::ffi::OsStringExt;
        // Half of a pair.
        std::ffi::OsString::from_wide(&[0x69, 0xd83d])
    };
    objects.is_some_and(|objects| {
        std::fs::write(objects.join(t.prefix()).join(name), "foreign").is_ok()
    })
}

async fn no_furniture(t: &Trial) -> Outcome {
    let subject = t.fresh().await?;
    subject.put("a/b/c", "x").await?;
    let mut adorned = Upload::new("meta", "x");
    let options = adorned.options_mut();
    if subject.claims(Capability::UserMetadata) {
        options.metadata = vec![("kit", "1")];
    }
    subject.upload(adorned).await?;
    subject.put("e/f/g", "x").await?;
    subject.delete(Delete::new("e/f/g")).await?;
    let (body, mut gate) = crate::body::gated(vec!["begun".into()], vec!["ended".into()]);
    let looking = async {
        ensure!(gate.reached().await, "the upload ended before its body did");
        exactly(
            subject.keys("", 1000).await?,
            &set(["a/b/c", "meta"]),
            "a whole store",
        )?;
        let (keys, groups) = grouped(&subject, "", 1000).await?;
        exactly(keys, &set(["meta"]), "the top of a store")?;
        exactly(groups, &set(["a/"]), "the groups of a store")?;
        gate.open();
        Ok(())
    };
    let upload = subject.upload(Upload::new("slow/object", body).length(10));
    let (uploaded, looked) = futures_util::future::join(upload, looking).await;
    looked?;
    uploaded?;
    Ok(())
}

async fn scoped(t: &Trial) -> Outcome {
    for depth in ["", "one/", "one/two/three/"] {
        let root = t.key(depth);
        let Some(opening) = t.stage().scoped(MAIN_STORE, &root) else {
            return not_applicable("no instance below a prefix");
        };
        let inner = t.another(opening.await?);
        let keys = ["a", "b/c", "b/d", "e"].map(str::to_owned);
        put_all(&inner, &keys).await?;
        for limit in [1, 1000] {
            exactly(
                inner.keys("", limit).await?,
                &set(keys.iter()),
                &format!("below {depth:?}"),
            )?;
        }
        exactly(
            inner.keys("b/", 1).await?,
            &set(["b/c", "b/d"]),
            &format!("a prefix below {depth:?}"),
        )?;
        inner.clean().await;
    }
    Ok(())
}
