//! H: reads give the bytes that were asked for, and facts of the same version.

use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::trial::Trial;
use crate::watch::{drain, refused};
use bytes::Bytes;
use holdall_plugin_api::{
    ByteRange, Capability, Delete, Download, Downloaded, Error, ErrorKind, Head, Operation,
    ReadOptions, Upload,
};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const CASES: &[Case] = &[
    case!(
        "H-01",
        Tag::Core,
        "a missing key is FileNotFound and says which; the same after a delete",
        missing
    ),
    case!(
        "H-02",
        Tag::Core,
        "ranges at the start, in the middle, of the last byte and of all",
        ranges
    ),
    case!(
        "H-03",
        Tag::Core,
        "an end past the object is cut, and the answer says so",
        past_the_end
    ),
    case!(
        "H-04",
        Tag::Core,
        "a start at or past the size is InvalidRange with the size; no bytes is no range",
        past_the_start
    ),
    case!(
        "H-05",
        Tag::Cap(Capability::Suffix),
        "the last 1, n, size and size + 1 bytes; the last 0 are no range",
        suffixes
    ),
    case!(
        "H-06",
        Tag::Core,
        "an empty object: read as a whole it is empty, and it has no range",
        empty
    ),
    case!(
        "H-07",
        Tag::Core,
        "offsets beyond 31 and 63 bits do not wrap",
        huge_offsets
    ),
    case!(
        "H-08",
        Tag::Cap(Capability::IfMatchGet),
        "if-match: the etag, another one, any",
        if_match
    ),
    case!(
        "H-09",
        Tag::Cap(Capability::IfNoneMatchGet),
        "if-none-match: the etag is NotModified, another one gives data",
        if_none_match
    ),
    case!(
        "H-10",
        Tag::Cap(Capability::IfTime),
        "modified and unmodified since, on both sides, in whole seconds",
        if_time
    ),
    case!(
        "H-11",
        Tag::Core,
        "size and etag belong to the bytes, also while the object is overwritten",
        one_version
    )
    .within(120),
    case!(
        "H-12",
        Tag::Core,
        "encoded bytes come back as they were stored",
        no_decoding
    )
    .proves(&[Capability::HeaderContentEncoding]),
];

async fn missing(t: &Trial) -> Outcome {
    let key = t.key("object");
    for round in 0..2 {
        let error = refused(t.read(&key).await, ErrorKind::FileNotFound, "download")?;
        let named = error.place().key.as_deref() == Some(&key);
        ensure!(named, "the error names the key {:?}", error.place().key);
        ensure!(
            error.kind().status() == 404,
            "status {}",
            error.kind().status()
        );
        let part = Download::new(&key).range(ByteRange::From(0));
        refused(
            t.download(part).await,
            ErrorKind::FileNotFound,
            "download of a range",
        )?;
        if round == 0 {
            t.put(&key, "x").await?;
            t.delete(Delete::new(&key)).await?;
        }
    }
    t.put(&t.key("object2"), "x").await?;
    refused(
        t.read(&t.key("objec")).await,
        ErrorKind::FileNotFound,
        "download of a mere prefix",
    )
    .map(drop)
}

/// A range that must be answered with exactly these bytes.
async fn gives(
    t: &Trial,
    key: &str,
    asked: ByteRange,
    whole: &Bytes,
    expected: Range<usize>,
) -> Outcome {
    let what = format!("{asked:?} of {} bytes", whole.len());
    let downloaded = t.download(Download::new(key).range(asked)).await?;
    let range = downloaded.range.clone();
    ensure!(
        range == (expected.start as u64..expected.end as u64),
        "{what}: the answer says {range:?}"
    );
    ensure!(
        downloaded.info.size == whole.len() as u64,
        "{what}: the answer says a size of {}",
        downloaded.info.size
    );
    let bytes = drain(downloaded).await?;
    match data::difference(&bytes, &whole[expected]) {
        Some(difference) => Err(Stop::Failed(format!("{what}: {difference}"))),
        None => Ok(()),
    }
}

/// Two objects: one that comes in one piece, one that does not.
const SIZES: [usize; 2] = [1000, 2_500_000];

async fn objects(t: &Trial) -> Outcome<Vec<(String, Bytes)>> {
    let mut objects = Vec::new();
    for size in SIZES {
        let (key, bytes) = (t.key(&format!("object-{size}")), data::bytes(size, 1));
        t.put(&key, bytes.clone()).await?;
        objects.push((key, bytes));
    }
    Ok(objects)
}

async fn ranges(t: &Trial) -> Outcome {
    for (key, bytes) in &objects(t).await? {
        let size = bytes.len();
        let asked = [
            0..1,
            0..size / 2,
            1..2,
            size / 3..size / 2,
            size / 2 + 1..size,
            size - 1..size,
            0..size,
        ];
        for range in asked {
            let asked = ByteRange::Bounded(range.start as u64..range.end as u64);
            gives(t, key, asked, bytes, range).await?;
        }
        for start in [0, 1, size / 2, size - 1] {
            gives(t, key, ByteRange::From(start as u64), bytes, start..size).await?;
        }
    }
    Ok(())
}

async fn past_the_end(t: &Trial) -> Outcome {
    for (key, bytes) in &objects(t).await? {
        let size = bytes.len() as u64;
        for (start, end) in [
            (0, size + 1),
            (size - 1, size + 1),
            (5, size * 3),
            (0, u64::MAX),
        ] {
            gives(
                t,
                key,
                ByteRange::Bounded(start..end),
                bytes,
                start as usize..bytes.len(),
            )
            .await?;
        }
    }
    Ok(())
}

async fn no_range(t: &Trial, key: &str, asked: ByteRange, size: u64) -> Outcome {
    let what = format!("{asked:?} of {size} bytes");
    let answer = t.download(Download::new(key).range(asked)).await;
    let error = refused(answer, ErrorKind::InvalidRange, &what)?;
    let stated = error.fact("size");
    ensure!(
        stated == Some(&size.to_string()),
        "{what}: the error states a size of {stated:?}"
    );
    Ok(())
}

async fn past_the_start(t: &Trial) -> Outcome {
    for (key, bytes) in &objects(t).await? {
        let size = bytes.len() as u64;
        for start in [size, size + 1, size * 2] {
            no_range(t, key, ByteRange::Bounded(start..start + 10), size).await?;
            no_range(t, key, ByteRange::From(start), size).await?;
        }
        #[allow(clippy::reversed_empty_ranges, reason = "that is the question")]
        for range in [0..0, 5..5, size..size, 7..3] {
            let what = format!("{range:?}");
            let answer = t
                .download(Download::new(key).range(ByteRange::Bounded(range)))
                .await;
            refused(answer, ErrorKind::InvalidArgument, &what)?;
        }
    }
    Ok(())
}

async fn suffixes(t: &Trial) -> Outcome {
    for (key, bytes) in &objects(t).await? {
        let size = bytes.len();
        for last in [1, 10, size / 2, size, size + 1, size * 4] {
            let expected = size.saturating_sub(last)..size;
            gives(t, key, ByteRange::Last(last as u64), bytes, expected).await?;
        }
        gives(t, key, ByteRange::Last(u64::MAX), bytes, 0..size).await?;
        let answer = t
            .download(Download::new(key).range(ByteRange::Last(0)))
            .await;
        refused(answer, ErrorKind::InvalidArgument, "the last 0 bytes")?;
    }
    Ok(())
}

async fn empty(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "").await?;
    t.holds(&key, b"").await?;
    let downloaded = t.download(Download::new(&key)).await?;
    ensure!(
        downloaded.range == (0..0),
        "the whole is {:?}",
        downloaded.range
    );
    no_range(t, &key, ByteRange::Bounded(0..1), 0).await?;
    no_range(t, &key, ByteRange::From(0), 0).await?;
    if t.claims(Capability::Suffix) {
        no_range(t, &key, ByteRange::Last(1), 0).await?;
    }
    Ok(())
}

async fn huge_offsets(t: &Trial) -> Outcome {
    for (key, bytes) in &objects(t).await? {
        let size = bytes.len() as u64;
        for start in [
            1 << 31,
            (1 << 32) + 5,
            i64::MAX as u64,
            1 << 63,
            u64::MAX - 1,
        ] {
            no_range(t, key, ByteRange::Bounded(start..start + 1), size).await?;
            no_range(t, key, ByteRange::From(start), size).await?;
        }
        no_range(t, key, ByteRange::From(u64::MAX), size).await?;
        for end in [1 << 31, (1 << 32) + 1, i64::MAX as u64, 1 << 63, u64::MAX] {
            // Cut to 32 or 63 bits, some of these would be ends inside the object.
            gives(t, key, ByteRange::Bounded(1..end), bytes, 1..bytes.len()).await?;
        }
    }
    Ok(())
}

async fn under<'a>(
    t: &Trial,
    key: &'a str,
    change: impl FnOnce(&mut ReadOptions<'a>),
) -> Result<Bytes, Error> {
    let mut options = ReadOptions::default();
    change(&mut options);
    let asked = options.clone();
    let answer = t
        .download(Download::new(key).with_options(Some(options)))
        .await;
    if t.has(Operation::Head) {
        // Head answers as download does; where they differ, the error of head tells.
        let head = t.head(Head::new(key).with_options(Some(asked))).await;
        let kinds = [
            head.as_ref().err().map(Error::kind),
            answer.as_ref().err().map(Error::kind),
        ];
        if kinds[0] != kinds[1] {
            return Err(Error::new(ErrorKind::Other).with_message(format!(
                "head answers {:?}, download {:?}",
                kinds[0], kinds[1]
            )));
        }
    }
    drain(answer?).await
}

async fn with_etag(t: &Trial, key: &str) -> Outcome<String> {
    t.put(key, "tagged").await?;
    let etag = t.download(Download::new(key)).await?.info.etag;
    etag.ok_or_else(|| {
        Stop::Failed("conditions on etags are claimed, but a download has none".into())
    })
}

async fn if_match(t: &Trial) -> Outcome {
    let key = t.key("object");
    let etag = with_etag(t, &key).await?;
    for good in [&*etag, "*"] {
        ensure!(
            under(t, &key, |o| o.if_match = Some(good)).await? == "tagged",
            "if-match {good:?}"
        );
    }
    // Other bytes: equal ones may have an equal etag.
    t.put(&key, "changed").await?;
    let stale = under(t, &key, |o| o.if_match = Some(&etag)).await;
    refused(
        stale,
        ErrorKind::PreconditionFailed,
        "if-match with the etag of the overwritten object",
    )?;
    let other = under(t, &key, |o| o.if_match = Some("another")).await;
    refused(
        other,
        ErrorKind::PreconditionFailed,
        "if-match with another etag",
    )?;
    let nothing = under(t, &key, |o| o.if_match = Some("")).await;
    refused(
        nothing,
        ErrorKind::InvalidArgument,
        "if-match with an empty etag",
    )?;
    let missing = t.key("missing");
    let answer = under(t, &missing, |o| o.if_match = Some("*")).await;
    refused(answer, ErrorKind::FileNotFound, "if-match on a missing key").map(drop)
}

async fn if_none_match(t: &Trial) -> Outcome {
    let key = t.key("object");
    let etag = with_etag(t, &key).await?;
    for known in [&*etag, "*"] {
        let answer = under(t, &key, |o| o.if_none_match = Some(known)).await;
        refused(
            answer,
            ErrorKind::NotModified,
            &format!("if-none-match {known:?}"),
        )?;
    }
    ensure!(
        under(t, &key, |o| o.if_none_match = Some("another")).await? == "tagged",
        "if-none-match with another etag"
    );
    t.put(&key, "changed").await?;
    let data = under(t, &key, |o| o.if_none_match = Some(&etag)).await?;
    ensure!(
        data == "changed",
        "if-none-match with the etag of the overwritten object"
    );
    Ok(())
}

/// As an HTTP date has it.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    UNIX_EPOCH + Duration::from_secs(seconds)
}

async fn if_time(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "timed").await?;
    let Some(changed) = t.download(Download::new(&key)).await?.info.last_modified else {
        return Err(Stop::Failed(
            "conditions on times are claimed, but a download has none".into(),
        ));
    };
    let second = whole_seconds(changed);
    let minute = Duration::from_secs(60);
    for (time, is_newer) in [
        (second - minute, true),
        (second, false),
        (changed, false),
        (second + minute, false),
    ] {
        let since = under(t, &key, |o| o.if_modified_since = Some(time)).await;
        let not_since = under(t, &key, |o| o.if_unmodified_since = Some(time)).await;
        if is_newer {
            ensure!(
                since? == "timed",
                "changed a minute after the time of if-modified-since"
            );
            refused(
                not_since,
                ErrorKind::PreconditionFailed,
                "if-unmodified-since a minute before the change",
            )?;
        } else {
            refused(
                since,
                ErrorKind::NotModified,
                "if-modified-since at or after the change, in seconds",
            )?;
            ensure!(
                not_since? == "timed",
                "not changed after the time of if-unmodified-since"
            );
        }
    }
    Ok(())
}

async fn one_version(t: &Trial) -> Outcome {
    let key = t.key("object");
    // Of one chunk and of several.
    let text = |round: usize| Bytes::from(format!("{round};").repeat(round * 3001 % 50_000 + 1));
    let by_etag: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    t.put(&key, text(0)).await?;
    let done = Arc::new(AtomicBool::new(false));
    let (writer, noted, halt, writing_key) = (t.main(), by_etag.clone(), done.clone(), key.clone());
    let writing = tokio::spawn(async move {
        let mut round = 0;
        while !halt.load(Ordering::Relaxed) {
            round += 1;
            let uploaded = writer
                .upload(Upload::new(&writing_key, text(round)))
                .await?;
            if let Some(etag) = uploaded.etag {
                noted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(etag, round);
            }
            tokio::task::yield_now().await;
        }
        Ok::<_, Error>(())
    });
    let looking = async {
        let mut seen = Vec::new();
        for _ in 0..200 {
            let reading = t.download(Download::new(&key).chunk_hint(64 << 10)).await?;
            let info = reading.info.clone();
            // A read may end in an error when its object is overwritten, but not in a lie.
            let Ok(bytes) = read_slowly(reading).await else {
                continue;
            };
            ensure!(
                info.size == bytes.len() as u64,
                "a size of {} with {} bytes",
                info.size,
                bytes.len()
            );
            let first = bytes
                .split(|byte| *byte == b';')
                .next()
                .and_then(|text| std::str::from_utf8(text).ok());
            let round = first.and_then(|text| text.parse::<usize>().ok());
            ensure!(
                round.is_some_and(|round| bytes == text(round)),
                "bytes of no version"
            );
            seen.push((info.etag, round));
        }
        ensure!(
            seen.len() > 20,
            "only {} of 200 reads came to their end",
            seen.len()
        );
        Ok(seen)
    }
    .await;
    done.store(true, Ordering::Relaxed);
    match writing.await {
        Ok(written) => written?,
        Err(panic) => return Err(Stop::Failed(panic.to_string())),
    }
    let by_etag = by_etag.lock().unwrap_or_else(PoisonError::into_inner);
    for (etag, round) in looking? {
        let (Some(etag), Some(round)) = (etag, round) else {
            continue;
        };
        let of = by_etag.get(&etag).copied().unwrap_or(0);
        ensure!(
            of == round,
            "bytes of version {round} with the etag of version {of}"
        );
    }
    Ok(())
}

/// Slowly enough that a writer comes in between.
async fn read_slowly(mut reading: Downloaded) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_micros(100)).await;
        if let Some(chunk) = reading.body.chunk().await {
            bytes.extend_from_slice(&chunk?);
        }
    }
    bytes.extend_from_slice(&drain(reading).await?);
    Ok(bytes.into())
}

async fn no_decoding(t: &Trial) -> Outcome {
    // "holdall" under gzip.
    const GZIP: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0xc8, 0xcf, 0x49, 0x49, 0xcc, 0xc9, 1, 0, 0x8b,
        0x3a, 0x9b, 0x1e, 7, 0, 0, 0,
    ];
    let key = t.key("object.gz");
    let claimed = t.claims(Capability::HeaderContentEncoding);
    let mut upload = Upload::new(&key, GZIP);
    let options = upload.options_mut();
    options.headers.content_encoding = claimed.then_some("gzip");
    t.upload(upload).await?;
    t.holds(&key, GZIP).await?;
    let part = Bytes::from_static(GZIP);
    gives(t, &key, ByteRange::Bounded(0..2), &part, 0..2).await
}
