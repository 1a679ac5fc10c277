//! M: digests, the caller's and the stored ones.

use super::uploads::infos;
use crate::case::{Case, Outcome, Tag, case, ensure};
use crate::trial::{MAIN_STORE, Trial, not_applicable};
use crate::watch::refused;
use crate::{body, data};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use holdall_plugin_api::{Capability, Checksums, Download, ErrorKind, Upload};
use sha2::{Digest, Sha256};

pub(super) const CASES: &[Case] = &[
    case!(
        "M-01",
        Tag::Core,
        "a right digest of the caller is accepted, a wrong one stores nothing",
        of_the_caller
    ),
    case!(
        "M-02",
        Tag::Core,
        "claimed digests are stored and returned, also of several parts",
        stored
    )
    .proves(&[Capability::ChecksumCrc32c]),
    case!(
        "M-03",
        Tag::Core,
        "a malformed digest is refused before a byte is read",
        malformed
    ),
    case!(
        "M-04",
        Tag::Need("a way to tamper"),
        "bytes changed behind the backend's back are Corrupt",
        tampered
    ),
];

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn digests(bytes: &[u8]) -> [Checksums; 3] {
    let (mut crc, mut sha) = (Checksums::NONE, Checksums::NONE);
    crc.crc32c = Some(crc32c(bytes));
    sha.sha256 = Some(Sha256::digest(bytes).into());
    let mut both = crc;
    both.sha256 = sha.sha256;
    [crc, sha, both]
}

fn upload<'a>(key: &'a str, bytes: &Bytes, in_pieces: bool, checksums: Checksums) -> Upload<'a> {
    let upload = match in_pieces {
        false => Upload::new(key, bytes.clone()),
        true => {
            Upload::new(key, body::chunked(data::pieces(bytes, 10_000))).length(bytes.len() as u64)
        }
    };
    upload.checksums(checksums)
}

async fn of_the_caller(t: &Trial) -> Outcome {
    let (new, old) = (t.key("new"), t.key("old"));
    let bytes = data::bytes(100_000, 1);
    for in_pieces in [false, true] {
        for right in digests(&bytes) {
            t.upload(upload(&old, &bytes, in_pieces, right)).await?;
            t.holds(&old, &bytes).await?;
        }
        t.put(&old, "the old object").await?;
        for wrong in digests(b"other bytes") {
            for key in [&new, &old] {
                let answer = t.upload(upload(key, &bytes, in_pieces, wrong)).await;
                refused(answer, ErrorKind::ChecksumMismatch, &format!("{wrong:?}"))?;
            }
            t.is_absent(&new).await?;
            t.holds(&old, b"the old object").await?;
        }
    }
    Ok(())
}

async fn stored(t: &Trial) -> Outcome {
    let claims = [
        Capability::ChecksumCrc32c,
        Capability::ChecksumSha256,
        Capability::ChecksumMd5,
    ]
    .map(|one| t.claims(one));
    if claims == [false; 3] {
        return not_applicable("no digest is claimed");
    }
    let key = t.key("object");
    for size in [0, 10, 2 * t.stage().part_bytes() + 1] {
        let bytes = data::bytes(size, 2);
        let [_, _, right] = digests(&bytes);
        for in_pieces in [false, true] {
            t.upload(upload(&key, &bytes, in_pieces, Checksums::NONE))
                .await?;
            for (from, info) in infos(t, &key).await? {
                let found = info.checksums;
                ensure!(
                    !claims[0] || found.crc32c == right.crc32c,
                    "{from}: CRC-32C {:x?} of {size} bytes",
                    found.crc32c
                );
                ensure!(
                    !claims[1] || found.sha256 == right.sha256,
                    "{from}: SHA-256 of {size} bytes"
                );
                ensure!(
                    !claims[2] || found.md5.is_some(),
                    "{from}: no MD5 of {size} bytes"
                );
            }
        }
    }
    // What was stored belongs to what is there now.
    let upload = Upload::new(&key, "other bytes");
    t.upload(upload).await?;
    for (from, info) in infos(t, &key).await? {
        let found = info.checksums.crc32c;
        ensure!(
            found.is_none_or(|found| found == crc32c(b"other bytes")),
            "{from}: the CRC-32C of the old object"
        );
    }
    Ok(())
}

async fn malformed(_: &Trial) -> Outcome {
    not_applicable("digests are numbers and arrays of fixed length: none can be malformed")
}

async fn tampered(t: &Trial) -> Outcome {
    let store = t.direct_access(MAIN_STORE)?;
    if !t.claims(Capability::ChecksumCrc32c) && !t.claims(Capability::ChecksumSha256) {
        return not_applicable("no digest is stored");
    }
    for size in [1000, 2_500_000] {
        let key = t.key(&format!("object-{size}"));
        t.put(&key, data::bytes(size, 3)).await?;
        if !store.tamper(&key) {
            return not_applicable("no way to tamper with an object");
        }
        refused(
            t.read(&key).await,
            ErrorKind::Corrupt,
            "download of changed bytes",
        )?;
        // The same on the way into memory of the caller.
        let read_into = async {
            let mut body = t.download(Download::new(&key)).await?.body;
            let mut memory = vec![0; 70_001];
            while body.read_into(&mut memory).await? > 0 {}
            Ok::<(), holdall_plugin_api::Error>(())
        };
        refused(
            read_into.await,
            ErrorKind::Corrupt,
            "changed bytes in memory of the caller",
        )?;
    }
    Ok(())
}
