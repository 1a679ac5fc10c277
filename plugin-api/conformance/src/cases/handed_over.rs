//! T: bytes that go into memory of the caller, and an object that is lent as a file.

use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::trial::Trial;
use bytes::Bytes;
use holdall_plugin_api::{Body, Capability, Checksums, Download, Downloaded};

pub(super) const CASES: &[Case] = &[
    case!(
        "T-01",
        Tag::Core,
        "memory of one byte, of an odd length and larger than the object gets the bytes of the chunks",
        every_room
    ),
    case!(
        "T-02",
        Tag::Core,
        "the end of a read into memory comes once, with size and digest, and nothing follows it",
        end
    ),
    case!(
        "T-03",
        Tag::Cap(Capability::ReadInto),
        "a large object, and a range of it, go into memory of the caller without a chunk between",
        large
    ),
    case!(
        "T-04",
        Tag::Cap(Capability::ReadInto),
        "chunks and reads into memory in turn yield each byte once",
        in_turn
    ),
    case!(
        "T-05",
        Tag::Core,
        "no file is lent to who takes verified bytes only, and unverified bytes are the same",
        unverified
    ),
    case!(
        "T-06",
        Tag::Cap(Capability::LendFile),
        "a lent file has exactly the bytes of the object, as has the body that lends it",
        files::whole
    ),
    case!(
        "T-07",
        Tag::Cap(Capability::LendFile),
        "a file that is lent for a range has exactly the bytes of the range",
        files::of_a_range
    ),
    case!(
        "T-08",
        Tag::Cap(Capability::LendFile),
        "a lent file keeps its bytes while the object is replaced and deleted",
        files::kept
    ),
    case!(
        "T-09",
        Tag::Cap(Capability::LendFile),
        "a body that ends gives the descriptor of its file back, and closes no other one",
        files::given_back
    ),
];

/// Large enough that no backend sends it in one piece.
const LARGE: usize = (3 << 20) + 77;

fn same(found: &[u8], expected: &[u8], what: &str) -> Outcome {
    match data::difference(found, expected) {
        None => Ok(()),
        Some(difference) => Err(Stop::Failed(format!("{what}: {difference}"))),
    }
}

/// Reads to the end, into memory of that many bytes.
async fn read_by(body: &mut Body, room: usize) -> Outcome<Vec<u8>> {
    let (mut all, mut memory) = (Vec::new(), vec![0; room]);
    loop {
        let count = body.read_into(&mut memory).await?;
        ensure!(count <= room, "{count} bytes in memory of {room}");
        if count == 0 {
            return Ok(all);
        }
        all.extend_from_slice(&memory[..count]);
    }
}

async fn every_room(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(200_003, 1));
    t.put(&key, bytes.clone()).await?;
    for (range, rooms) in [
        (0..200_003, &[4097, 65_537, 300_000][..]),
        (150_000..170_001, &[1, 7, 20_001]),
        (5..6, &[1, 10]),
    ] {
        let expected = &bytes[range.start as usize..range.end as usize];
        for room in rooms {
            let download = Download::new(&key).range(range.clone());
            let mut body = t.download(download).await?.body;
            let found = read_by(&mut body, *room).await?;
            same(&found, expected, &format!("{range:?} by {room} bytes"))?;
        }
    }
    Ok(())
}

async fn end(t: &Trial) -> Outcome {
    for (name, bytes) in [
        ("empty", Bytes::new()),
        ("small", data::bytes(1000, 2)),
        ("large", data::bytes(LARGE, 2)),
    ] {
        let key = t.key(name);
        t.put(&key, bytes.clone()).await?;
        let mut body = t.download(Download::new(&key)).await?.body;
        let found = read_by(&mut body, 100_000).await?;
        same(&found, &bytes, name)?;
        for _ in 0..3 {
            let count = body.read_into(&mut [0; 10]).await?;
            ensure!(count == 0, "{name}: {count} bytes after the end");
            ensure!(
                body.chunk().await.is_none(),
                "{name}: a chunk after the end"
            );
        }
        let Some(trailers) = body.trailers() else {
            return Err(Stop::Failed(format!("{name}: no trailers after the end")));
        };
        let digest = Some(crc_fast::crc32_iscsi(&bytes));
        ensure!(
            trailers.size == bytes.len() as u64,
            "{name}: {} bytes in the trailers of {}",
            trailers.size,
            bytes.len()
        );
        let known = trailers.checksums.crc32c;
        ensure!(
            known.is_none() || known == digest,
            "{name}: another CRC-32C in the trailers: {:?}",
            Checksums::NONE.crc32c(known.unwrap_or_default())
        );
    }
    Ok(())
}

async fn large(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(LARGE, 3));
    t.put(&key, bytes.clone()).await?;
    for range in [0..LARGE as u64, 70_001..LARGE as u64 - 3] {
        let expected = &bytes[range.start as usize..range.end as usize];
        for room in [4097, 1 << 20, 2 * LARGE] {
            let download = Download::new(&key).range(range.clone());
            let mut body = t.download(download).await?.body;
            ensure!(
                body.reads_into(),
                "`read_into` is claimed, and {range:?} comes in chunks"
            );
            let found = read_by(&mut body, room).await?;
            same(&found, expected, &format!("{range:?} by {room} bytes"))?;
        }
    }
    Ok(())
}

async fn in_turn(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(LARGE, 4));
    t.put(&key, bytes.clone()).await?;
    let download = Download::new(&key).chunk_hint(64 << 10);
    let mut body = t.download(download).await?.body;
    let (mut found, mut memory) = (Vec::new(), vec![0; 10_007]);
    loop {
        let count = body.read_into(&mut memory).await?;
        found.extend_from_slice(&memory[..count]);
        match body.chunk().await.transpose()? {
            Some(chunk) => found.extend_from_slice(&chunk),
            None => break,
        }
    }
    same(&found, &bytes, "chunks and reads in turn")
}

async fn read(downloaded: Downloaded) -> Outcome<Bytes> {
    Ok(downloaded.body.collect(LARGE).await?)
}

async fn unverified(t: &Trial) -> Outcome {
    let (key, bytes) = (t.key("object"), data::bytes(LARGE, 5));
    t.put(&key, bytes.clone()).await?;
    #[cfg(unix)]
    {
        let plain = t.download(Download::new(&key)).await?;
        ensure!(
            plain.body.file().is_none(),
            "a file is lent to a caller who has not asked for unverified bytes"
        );
    }
    let whole = t.download(Download::new(&key).unverified()).await?;
    same(&read(whole).await?, &bytes, "unverified bytes")?;
    let part = Download::new(&key).unverified().range(100_000..2_000_001);
    let part = read(t.download(part).await?).await?;
    same(&part, &bytes[100_000..2_000_001], "an unverified range")
}

#[cfg(not(unix))]
mod files {
    use crate::case::Outcome;
    use crate::trial::{Trial, not_applicable};

    async fn none() -> Outcome {
        not_applicable("files are lent on Unix only")
    }

    pub(super) async fn whole(_: &Trial) -> Outcome {
        none().await
    }

    pub(super) async fn of_a_range(_: &Trial) -> Outcome {
        none().await
    }

    pub(super) async fn kept(_: &Trial) -> Outcome {
        none().await
    }

    pub(super) async fn given_back(_: &Trial) -> Outcome {
        none().await
    }
}

#[cfg(unix)]
mod files {
    use super::super::streaming::open_descriptors;
    use super::{LARGE, read, same};
    use crate::case::{Outcome, Stop, ensure};
    use crate::data;
    use crate::trial::{Trial, soon};
    use holdall_plugin_api::{Body, Delete, Download};
    use std::os::fd::AsRawFd;

    fn text(why: impl std::fmt::Display) -> Stop {
        Stop::Failed(why.to_string())
    }

    /// The bytes of the file that a body lends.
    fn lent(body: &Body, expected: &[u8]) -> Outcome {
        let Some(file) = body.file() else {
            return Err(text("`lend_file` is claimed, and no file is lent"));
        };
        ensure!(
            file.length() == expected.len() as u64,
            "a file of {} bytes for {}",
            file.length(),
            expected.len()
        );
        let mut found = vec![0; expected.len()];
        let mut filled = 0;
        while filled < found.len() {
            match file.read_at(&mut found[filled..], filled as u64) {
                Ok(0) => return Err(text("the file ends before its range")),
                Ok(count) => filled += count,
                Err(why) => return Err(text(why)),
            }
        }
        same(&found, expected, "the lent file")
    }

    pub(super) async fn whole(t: &Trial) -> Outcome {
        let (key, bytes) = (t.key("object"), data::bytes(LARGE, 6));
        t.put(&key, bytes.clone()).await?;
        let whole = t.download(Download::new(&key).unverified()).await?;
        lent(&whole.body, &bytes)?;
        // Twice is as once, and the body is read as if its file had not been asked for.
        lent(&whole.body, &bytes)?;
        same(&read(whole).await?, &bytes, "the body that lends a file")?;
        let mut begun = t.download(Download::new(&key).unverified()).await?;
        begun.body.chunk().await.transpose()?;
        ensure!(
            begun.body.file().is_none(),
            "a file is lent for a body of which something was read"
        );
        Ok(())
    }

    pub(super) async fn of_a_range(t: &Trial) -> Outcome {
        let (key, bytes) = (t.key("object"), data::bytes(LARGE, 7));
        t.put(&key, bytes.clone()).await?;
        for (start, end) in [(0, 1 << 20), (70_001, LARGE), (1_000_003, 2_000_001)] {
            let range = start as u64..end as u64;
            let download = Download::new(&key).unverified().range(range);
            let part = t.download(download).await?;
            lent(&part.body, &bytes[start..end])?;
            same(
                &read(part).await?,
                &bytes[start..end],
                "the body of a range",
            )?;
        }
        Ok(())
    }

    pub(super) async fn kept(t: &Trial) -> Outcome {
        let (key, bytes) = (t.key("object"), data::bytes(LARGE, 8));
        t.put(&key, bytes.clone()).await?;
        let held = t.download(Download::new(&key).unverified()).await?;
        lent(&held.body, &bytes)?;
        let newer = data::bytes(LARGE, 9);
        t.put(&key, newer.clone()).await?;
        lent(&held.body, &bytes)?;
        let second = t.download(Download::new(&key).unverified()).await?;
        lent(&second.body, &newer)?;
        t.delete(Delete::new(&key)).await?;
        lent(&held.body, &bytes)?;
        lent(&second.body, &newer)?;
        same(
            &read(held).await?,
            &bytes,
            "the body of an object that is gone",
        )
    }

    pub(super) async fn given_back(t: &Trial) -> Outcome {
        let (key, bytes) = (t.key("object"), data::bytes(LARGE, 10));
        t.put(&key, bytes.clone()).await?;
        let (before, own) = (open_descriptors(), std::path::Path::new("/"));
        for _ in 0..100 {
            let first = t.download(Download::new(&key).unverified()).await?;
            let second = t.download(Download::new(&key).unverified()).await?;
            lent(&first.body, &bytes[..])?;
            // The number of what the first has closed is free: a second close of it would hit this file.
            drop(first);
            let file = std::fs::File::open(own).map_err(text)?;
            lent(&second.body, &bytes[..])?;
            drop(second);
            ensure!(
                file.metadata().is_ok(),
                "descriptor {} was closed with a body that did not own it",
                file.as_raw_fd()
            );
        }
        let Some(before) = before else { return Ok(()) };
        // Other tests of this process may open a few meanwhile.
        let gone = soon(|| open_descriptors().is_some_and(|now| now < before + 50)).await;
        ensure!(
            gone,
            "{before} descriptors before 200 lent files, {:?} after",
            open_descriptors()
        );
        Ok(())
    }
}
