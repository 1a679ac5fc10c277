//! From a body to a file.

use std::fs::File;
use std::io::{self, Write};

use crc_fast::Digest;
use holdall::{Body, Bytes, Error, ErrorKind};
use tokio::sync::mpsc;

use super::AHEAD;
use super::read::cut_off;
use crate::failure::Failure;
use crate::progress::Progress;

/// Why the bytes did not all arrive.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The body ended early.
    Body(Error),
    /// The file takes no more.
    File(io::Error),
    /// Neither.
    Other(Failure),
}

impl Stopped {
    /// Whether the bytes that were read are not those of the object.
    pub(crate) fn is_corrupt(&self) -> bool {
        matches!(self, Stopped::Body(error) if error.kind() == ErrorKind::Corrupt)
    }
}

/// Writes the whole body at the file's position, and adds it to the digest. Returns the digest and
/// the number of bytes.
pub(crate) async fn drain(
    mut body: Body,
    mut file: File,
    mut digest: Option<Digest>,
    progress: &Progress,
) -> Result<(Option<Digest>, u64), Stopped> {
    let (send, mut receive) = mpsc::channel::<Bytes>(AHEAD);
    let writer = tokio::task::spawn_blocking(move || -> io::Result<Option<Digest>> {
        while let Some(chunk) = receive.blocking_recv() {
            file.write_all(&chunk)?;
            if let Some(digest) = &mut digest {
                digest.update(&chunk);
            }
        }
        file.flush()?;
        Ok(digest)
    });
    let mut moved = 0;
    let mut ended = Ok(());
    while let Some(chunk) = body.chunk().await {
        match chunk {
            Ok(chunk) => {
                let chunk = Bytes::from(chunk);
                moved += chunk.len() as u64;
                progress.advance(chunk.len() as u64);
                if send.send(chunk).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                ended = Err(Stopped::Body(error));
                break;
            }
        }
    }
    drop(send);
    // A full disk comes first: it is why the body was not read on.
    match writer.await {
        Err(cut) => Err(Stopped::Other(cut_off(cut))),
        Ok(Err(cause)) => Err(Stopped::File(cause)),
        Ok(Ok(digest)) => ended.map(|()| (digest, moved)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn silent() -> Progress {
        Progress::one(false, "")
    }

    #[tokio::test]
    async fn bytes_and_digest_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let body = Body::stream(stream::iter(
            ["1234", "56789"].map(|text| Ok(Bytes::from(text))),
        ));
        let digest = Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        let file = File::create(&path).unwrap();
        let (digest, moved) = drain(body, file, Some(digest), &silent()).await.unwrap();
        assert_eq!(moved, 9);
        // The check value of CRC-32C.
        assert_eq!(digest.unwrap().finalize(), 0xE306_9283);
        assert_eq!(std::fs::read(path).unwrap(), b"123456789");
    }

    #[tokio::test]
    async fn a_failed_body_and_a_full_file_are_different_failures() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let failing = stream::iter([
            Ok(Bytes::from("1234")),
            Err(Error::new(ErrorKind::Unavailable)),
        ]);
        let stopped = drain(Body::stream(failing), file, None, &silent()).await;
        assert!(
            matches!(stopped, Err(Stopped::Body(error)) if error.kind() == ErrorKind::Unavailable)
        );
        let full = File::options().write(true).open("/dev/full").unwrap();
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(b"x")));
        let stopped = drain(Body::stream(endless), full, None, &silent()).await;
        assert!(matches!(stopped, Err(Stopped::File(_))));
    }
}
