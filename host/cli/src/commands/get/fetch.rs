//! One object into one file, resumed where an earlier attempt ended.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crc_fast::{CrcAlgorithm, Digest};
use holdall::{Backend, ByteRange, Download, Downloaded, Error, ErrorKind, Head, ObjectInfo};

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::local::{Mark, Part};
use crate::progress::Progress;
use crate::transfer::{CHUNK, Stopped, drain};

pub(super) struct Fetch<'a> {
    pub(super) backend: &'a Backend,
    pub(super) key: &'a str,
    pub(super) request: Download<'a>,
    /// All of the object, without conditions: what can be resumed.
    pub(super) whole: bool,
    pub(super) force: bool,
    pub(super) progress: &'a Progress,
}

pub(super) struct Got {
    pub(super) size: u64,
    pub(super) bytes: u64,
    pub(super) resumed_at: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) content_type: Option<String>,
}

impl Fetch<'_> {
    pub(super) async fn run(self, app: &App, mut part: Part) -> Result<Got> {
        let source = format!("{}:{}", self.backend.name(), self.key);
        if self.whole
            && let Some((mark, at)) = part.kept(&source)
        {
            match self.resume(app, &part, &mark, at).await {
                Ok(Some(info)) => {
                    let bytes = info.size - at;
                    part.publish(self.force)?;
                    return Ok(Got::new(info, bytes, Some(at)));
                }
                Ok(None) => {}
                Err(Failed::Useless(failure)) => {
                    part.discard();
                    return Err(failure);
                }
                Err(Failed::Later(failure)) => return Err(failure),
            }
        }
        let downloaded = self.backend.download(self.request.clone()).await?;
        let Downloaded {
            info, range, body, ..
        } = downloaded;
        let mark = info.etag.as_ref().filter(|_| self.whole).map(|etag| Mark {
            source,
            etag: etag.clone(),
            size: info.size,
        });
        part.begin(mark.as_ref())?;
        self.expect(range.end - range.start);
        let drained = drain(body, part.file()?, None, self.progress).await;
        if let Err(stopped) = drained {
            if stopped.is_corrupt() {
                // What was read so far would only be found damaged once more.
                part.mark_useless();
            }
            return Err(self.stopped(app, &part, stopped));
        }
        part.publish(self.force)?;
        Ok(Got::new(info, range.end - range.start, None))
    }

    /// Goes on where an earlier attempt ended; `None` when that cannot be.
    async fn resume(
        &self,
        app: &App,
        part: &Part,
        mark: &Mark,
        at: u64,
    ) -> Result<Option<ObjectInfo>, Failed> {
        let changed = |error: &Error| {
            matches!(
                error.kind(),
                ErrorKind::PreconditionFailed | ErrorKind::Unsupported | ErrorKind::InvalidRange
            )
        };
        let begun = if at == mark.size {
            let head = Head::new(self.key).if_match(&mark.etag);
            self.backend.head(head).await.map(|info| (info, None))
        } else {
            let rest = Download::new(self.key)
                .chunk_hint(CHUNK as u32)
                .range(ByteRange::From(at))
                .if_match(&mark.etag);
            let rest = self.backend.download(rest).await;
            rest.map(|rest| (rest.info, Some((rest.range, rest.body))))
        };
        let (info, rest) = match begun {
            Ok(begun) => begun,
            Err(error) if changed(&error) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::FileNotFound => {
                return Err(Failed::Useless(error.into()));
            }
            Err(error) => return Err(Failed::Later(error.into())),
        };
        if info.size != mark.size
            || rest
                .as_ref()
                .is_some_and(|(range, _)| *range != (at..mark.size))
        {
            return Ok(None);
        }
        // What lies here has been on this machine's disk meanwhile, and the host verifies only
        // what it reads as a whole: so all of it is verified here.
        let mut file = part.file().map_err(Failed::Later)?;
        let read = tokio::task::spawn_blocking(move || {
            let digest = digest_of(&mut file)?;
            Ok::<_, io::Error>((file, digest))
        });
        let failed = |cause| Failed::Later(Failure::file("read", &part.path())(cause));
        let (file, mut digest) = read
            .await
            .map_err(io::Error::other)
            .and_then(|read| read)
            .map_err(failed)?;
        self.expect(mark.size);
        self.progress.advance(at);
        if let Some((_, body)) = rest {
            let drained = drain(body, file, Some(digest), self.progress).await;
            let drained = drained.map_err(|stopped| match stopped {
                Stopped::Body(error) if error.kind() == ErrorKind::Corrupt => {
                    Failed::Useless(error.into())
                }
                stopped => Failed::Later(self.stopped(app, part, stopped)),
            })?;
            digest = drained.0.unwrap_or(Digest::new(CrcAlgorithm::Crc32Iscsi));
        }
        match info.checksums.crc32c {
            Some(stored) if u64::from(stored) != digest.finalize() => {
                Err(Failed::Useless(Failure::refused(
                    exit::OTHER,
                    "part_damaged",
                    format!(
                        "the partial download {} does not belong to {}:{}; it is removed",
                        part.path().display(),
                        self.backend.name(),
                        self.key
                    ),
                    "repeat the command: it downloads the whole object",
                )))
            }
            _ => Ok(Some(info)),
        }
    }

    fn expect(&self, bytes: u64) {
        self.progress.total(bytes);
    }

    fn stopped(&self, app: &App, part: &Part, stopped: Stopped) -> Failure {
        if let Some(bytes) = part.stays() {
            let path = part.path();
            let text = format!(
                "{bytes} bytes are kept in {}; the same command goes on from there",
                path.display()
            );
            self.progress.aside(|| app.output.note(&text));
        }
        match stopped {
            Stopped::Body(error) => error.into(),
            Stopped::File(cause) => Failure::file("write", &part.path())(cause),
            Stopped::Other(failure) => failure,
        }
    }
}

impl Got {
    fn new(info: ObjectInfo, bytes: u64, resumed_at: Option<u64>) -> Self {
        Self {
            size: info.size,
            bytes,
            resumed_at,
            etag: info.etag,
            content_type: info.content_type,
        }
    }
}

/// Why a resumed transfer failed.
enum Failed {
    /// The part is of no further use.
    Useless(Failure),
    /// Another attempt can resume.
    Later(Failure),
}

/// Digest of a whole file; leaves the position at its end.
fn digest_of(file: &mut File) -> io::Result<Digest> {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    let mut buffer = vec![0; CHUNK];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest),
            Ok(read) => digest.update(&buffer[..read]),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}
