//! Q: many ranges of one object, into memory of the caller.

use crate::case::{Case, Outcome, Tag, case, ensure};
use crate::data::{self, Numbers};
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use bytes::Bytes;
use futures_util::future::try_join_all;
use holdall_plugin_api::{Capability, DownloadRanges, ErrorKind, Head, MAX_RANGES};
use std::ops::Range;

pub(super) const CASES: &[Case] = &[
    case!(
        "Q-01",
        Tag::Core,
        "ranges in any order, next to each other and over each other, each with its bytes",
        every_shape
    ),
    case!(
        "Q-02",
        Tag::Core,
        "a range of one byte at both ends, and the whole object as one range",
        ends
    ),
    case!(
        "Q-03",
        Tag::Core,
        "a range that ends behind the object is InvalidRange with the size, wherever it stands",
        behind
    ),
    case!(
        "Q-04",
        Tag::Core,
        "an empty range, no range and too many are refused",
        impossible
    ),
    case!(
        "Q-05",
        Tag::Core,
        "ranges of a missing object are FileNotFound",
        missing
    ),
    case!(
        "Q-06",
        Tag::Cap(Capability::Ranges),
        "256 ranges of 4 KiB out of 16 MiB",
        many
    )
    .within(60),
    case!(
        "Q-07",
        Tag::Cap(Capability::Ranges),
        "the facts are those of a head of the same version",
        facts
    ),
    case!(
        "Q-08",
        Tag::Cap(Capability::Ranges),
        "if_match holds for all ranges",
        conditions
    ),
    case!(
        "Q-09",
        Tag::Cap(Capability::Ranges),
        "while the object is replaced, all ranges are of one version",
        one_version
    )
    .within(60),
    case!(
        "Q-10",
        Tag::Cap(Capability::Ranges),
        "eight reads at once, each with bytes of its own",
        at_once
    ),
];

async fn has(t: &Trial, key: &str, bytes: &Bytes, ranges: Vec<Range<u64>>) -> Outcome {
    let read = DownloadRanges::new(key, ranges.clone());
    let (info, found) = t.download_ranges(read).await?;
    ensure!(
        info.size == bytes.len() as u64,
        "an object of {} bytes announced as {}",
        bytes.len(),
        info.size
    );
    ensure!(
        found.len() == ranges.len(),
        "{} ranges instead of {}",
        found.len(),
        ranges.len()
    );
    for (range, found) in ranges.iter().zip(found) {
        let expected = &bytes[range.start as usize..range.end as usize];
        if let Some(difference) = data::difference(&found, expected) {
            return Err(crate::case::Stop::Failed(format!(
                "range {range:?}: {difference}"
            )));
        }
    }
    Ok(())
}

async fn every_shape(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(300_000, 1));
    t.put(&key, bytes.clone()).await?;
    for ranges in [
        vec![10..20],
        vec![200_000..200_100, 0..10, 100_000..100_010],
        vec![0..100, 100..200, 200..300],
        vec![0..1000, 500..1500, 0..300_000, 999..1000],
        vec![5..6, 5..6, 5..6],
        vec![0..65_536, 65_536..131_072, 65_535..65_537],
    ] {
        has(t, &key, &bytes, ranges).await?;
    }
    let mut numbers = Numbers::new(7);
    let ranges = (0..100).map(|_| {
        let start = numbers.below(bytes.len() - 1);
        let length = 1 + numbers.below((bytes.len() - start).min(5000));
        start as u64..(start + length).min(bytes.len()) as u64
    });
    has(t, &key, &bytes, ranges.collect()).await
}

async fn ends(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(100_001, 2));
    t.put(&key, bytes.clone()).await?;
    has(t, &key, &bytes, vec![0..1, 100_000..100_001, 0..100_001]).await
}

async fn behind(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, data::bytes(1000, 3)).await?;
    for ranges in [
        vec![999..1001],
        vec![0..10, 1000..1001],
        vec![u64::MAX - 1..u64::MAX, 0..10],
    ] {
        if ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum::<u64>()
            > 1 << 30
        {
            continue;
        }
        let read = DownloadRanges::new(&key, ranges.clone());
        let answer = t.download_ranges(read).await;
        let error = refused(answer, ErrorKind::InvalidRange, "a range behind the object")?;
        ensure!(
            error.fact("size") == Some("1000"),
            "{ranges:?}: the fact `size` is {:?}",
            error.fact("size")
        );
    }
    Ok(())
}

async fn impossible(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "0123456789").await?;
    for ranges in [vec![], vec![3..3], vec![0..1; MAX_RANGES + 1]] {
        let count = ranges.len();
        let answer = t.download_ranges(DownloadRanges::new(&key, ranges)).await;
        let what = format!("{count} ranges");
        refused(answer, ErrorKind::InvalidArgument, &what)?;
    }
    Ok(())
}

async fn missing(t: &Trial) -> Outcome {
    let key = t.key("missing");
    let answer = t.download_ranges(DownloadRanges::new(&key, [0..1])).await;
    refused(answer, ErrorKind::FileNotFound, "a missing object").map(drop)
}

async fn many(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(16 << 20, 4));
    t.put(&key, bytes.clone()).await?;
    let mut numbers = Numbers::new(9);
    let ranges = (0..256).map(|_| {
        let start = (numbers.below(bytes.len() - 4096)) as u64;
        start..start + 4096
    });
    has(t, &key, &bytes, ranges.collect()).await
}

async fn facts(t: &Trial) -> Outcome {
    let key = t.key("object");
    let mut upload = holdall_plugin_api::Upload::new(&key, "0123456789");
    if t.claims(Capability::ContentType) {
        upload = upload.content_type("text/x-kit");
    }
    t.upload(upload).await?;
    let (info, _) = t.download_ranges(DownloadRanges::new(&key, [2..4])).await?;
    let head = t.head(Head::new(&key)).await?;
    ensure!(
        (info.size, &info.etag, &info.content_type, &info.metadata)
            == (head.size, &head.etag, &head.content_type, &head.metadata),
        "{info:?} is not {head:?}"
    );
    Ok(())
}

async fn conditions(t: &Trial) -> Outcome {
    if !t.claims(Capability::IfMatchGet) {
        return not_applicable("`if_match_get` is not claimed");
    }
    let key = t.key("object");
    t.put(&key, "0123456789").await?;
    let head = t.head(Head::new(&key)).await?;
    let etag = head.etag.unwrap_or_default();
    let read = || DownloadRanges::new(&key, [0..1, 5..6]);
    t.download_ranges(read().if_match(&etag)).await?;
    let answer = t.download_ranges(read().if_match("\"kit-other\"")).await;
    refused(answer, ErrorKind::PreconditionFailed, "another etag").map(drop)
}

async fn one_version(t: &Trial) -> Outcome {
    let key = t.key("object");
    let versions: Vec<Bytes> = (0..4)
        .map(|seed| vec![b'a' + seed; 400_000].into())
        .collect();
    t.put(&key, versions[0].clone()).await?;
    let (reader, writer) = (t.main(), t.main());
    let reading = async {
        for _ in 0..40 {
            let ranges = [0..10, 100_000..100_010, 399_990..400_000];
            let read = DownloadRanges::new(&key, ranges);
            match reader.download_ranges(read).await {
                Ok((_, found)) => {
                    let first = found[0][0];
                    let same = found.iter().flatten().all(|byte| *byte == first);
                    ensure!(same, "bytes of two versions in one answer");
                }
                Err(error) => ensure!(
                    matches!(
                        error.kind(),
                        ErrorKind::Conflict | ErrorKind::PreconditionFailed
                    ),
                    "a read beside a write: {error}"
                ),
            }
        }
        Ok(())
    };
    let writing = async {
        for round in 0..40 {
            writer.put(&key, versions[round % 4].clone()).await?;
        }
        Ok(())
    };
    futures_util::future::try_join(reading, writing)
        .await
        .map(drop)
}

async fn at_once(t: &Trial) -> Outcome {
    let reads = (0..8u64).map(|number| async move {
        let (key, bytes) = (
            t.key(&format!("object-{number}")),
            data::bytes(50_000, number),
        );
        t.put(&key, bytes.clone()).await?;
        has(t, &key, &bytes, vec![40_000..50_000, 0..10_000]).await
    });
    try_join_all(reads).await.map(drop)
}
