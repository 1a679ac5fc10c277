//! Many ranges of one object where the plugin reads one range at a time.

use crate::plugin::Act;
use crate::store;
use holdall::{DownloadRanges, ErrorKind, Upload};

const MIB: u64 = 1 << 20;

/// Bytes that differ from place to place.
fn object(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn ranges_come_into_the_memory_of_the_caller() {
    let (host, backend, switches) = store().await;
    let object = object(20 * MIB);
    backend
        .upload(Upload::new("k", object.clone()))
        .await
        .unwrap();
    let ranges = [0..10, 2 * MIB..3 * MIB, 5..15, 19 * MIB..20 * MIB];
    let memory: Vec<Vec<u8>> = vec![vec![7; 2 << 20]; 4];
    let places: Vec<_> = memory.iter().map(|piece| piece.as_ptr()).collect();
    let read = DownloadRanges::new("k", ranges.clone());
    let read = backend.download_ranges_into(read, memory).await.unwrap();
    assert_eq!(read.info.size, 20 * MIB);
    for ((range, piece), place) in ranges.iter().zip(&read.ranges).zip(places) {
        assert!(*piece == object[range.start as usize..range.end as usize]);
        assert_eq!(piece.as_ptr(), place);
    }
    assert_eq!(switches.entered_by("download"), 3);

    // Twenty ranges without a gap: two reads, of 16 MiB at most.
    let ranges = (0..20).map(|at| at * MIB..(at + 1) * MIB);
    let bytes_out = || host.status().backends[0].counters.bytes_out;
    let before = bytes_out();
    let read = DownloadRanges::new("k", ranges);
    let read = backend.download_ranges(read).await.unwrap();
    assert!(read.ranges.concat() == object);
    assert_eq!(switches.entered_by("download"), 5);
    assert_eq!(bytes_out() - before, 20 * MIB, "counted once");
}

#[tokio::test]
async fn ranges_of_two_versions_are_never_one_answer() {
    let (_host, backend, switches) = store().await;
    for conditional in [true, false] {
        backend
            .upload(Upload::new("k", object(3 * MIB)))
            .await
            .unwrap();
        let etag = backend.head("k").await.unwrap().etag.unwrap();
        let entered = switches.entered_by("download");
        switches.on("download", Act::Gated);
        let reader = backend.clone();
        let reads = tokio::spawn(async move {
            let read = DownloadRanges::new("k", [0..1, 2 * MIB..2 * MIB + 1]);
            let read = match conditional {
                true => read.if_match(&etag),
                false => read,
            };
            reader.download_ranges(read).await
        });
        switches.gate.add_permits(1);
        while switches.entered_by("download") < entered + 2 {
            tokio::task::yield_now().await;
        }
        backend
            .upload(Upload::new("k", object(3 * MIB)))
            .await
            .unwrap();
        switches.gate.add_permits(1);
        let error = reads.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
        switches.off("download");
    }
    let other = DownloadRanges::new("k", [0..1]).if_match("\"other\"");
    let error = backend.download_ranges(other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn a_range_behind_the_object_is_named_before_the_others_are_read() {
    let (_host, backend, switches) = store().await;
    backend
        .upload(Upload::new("k", "0123456789"))
        .await
        .unwrap();
    let read = DownloadRanges::new("k", [0..5, 3 * MIB..4 * MIB, 8..11]).coalesce(0);
    let error = backend.download_ranges(read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRange);
    assert_eq!(error.fact("size"), Some("10"));
    assert_eq!(error.fact("range"), Some("3145728..4194304"));
    assert_eq!(switches.entered_by("download"), 1);
}
