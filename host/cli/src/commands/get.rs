//! `get`: an object, or everything below a prefix, comes to this machine.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use futures_util::StreamExt;
use holdall::{Backend, ByteRange, Download, Key, ReadOptions};
use serde_json::json;

use super::{concurrent, listing, rm};
use crate::address::Address;
use crate::app::App;
use crate::args::Jobs;
use crate::failure::{Failure, Result};
use crate::files;
use crate::local::{Folder, Part, Spot, StoreDirectory};
use crate::output;
use crate::progress::Progress;
use crate::transfer::{CHUNK, Stopped, drain};
use crate::values::{self, printable};

mod fetch;

/// Reads an object.
///
/// Without FILE it gets the name after the key's last `/`. The file appears as a whole or not at
/// all; until then it is NAME.holdall-part. When that is interrupted, the same command goes on from
/// there, if the object has not changed.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The object: BACKEND:KEY.
    #[arg(value_name = "ADDR")]
    from: Address,

    /// The file, or a folder for it; `-` is standard output.
    #[arg(value_name = "FILE|-")]
    to: Option<PathBuf>,

    /// Replaces an existing file.
    #[arg(short, long)]
    force: bool,

    /// Everything below ADDR, into the folder FILE (default: the last name of ADDR). Nothing is
    /// ever written outside of it.
    #[arg(short, long, conflicts_with_all = ["range", "if_match", "if_none_match", "if_modified_since"])]
    recursive: bool,

    #[command(flatten)]
    jobs: Jobs,

    /// A part: A-B (both included), A- or -N (the last N), in bytes.
    #[arg(long, value_name = "RANGE", value_parser = values::range, allow_hyphen_values = true)]
    range: Option<ByteRange>,

    /// Fails (4) unless the object has this etag.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,

    /// Fails (4) when the object still has this etag.
    #[arg(long, value_name = "ETAG")]
    if_none_match: Option<String>,

    /// Fails (4) unless the object was changed after this time, in whole seconds.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    if_modified_since: Option<SystemTime>,
}

/// Where the bytes go.
enum Target {
    Stdout,
    /// A device, a pipe: something that is written to and not replaced.
    Stream(File, PathBuf),
    File(Spot),
}

impl Get {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        if self.recursive {
            return self.folder(app).await;
        }
        let key = self.from.object()?;
        let target = self.target(key)?;
        let backend = app.backend(&self.from).await?;
        let progress = app.progress(&printable(key));
        match target {
            Target::File(spot) => self.fetch(app, &backend, key, spot, &progress).await,
            Target::Stdout => {
                let out = output::stdout().map_err(Failure::output)?;
                self.pour(&backend, key, out, &progress, Failure::output)
                    .await
            }
            Target::Stream(file, path) => {
                self.pour(
                    &backend,
                    key,
                    file,
                    &progress,
                    Failure::file("write", &path),
                )
                .await
            }
        }
    }

    fn target(&self, key: &str) -> Result<Target> {
        let name = Key::new(key).file_name();
        let Some(to) = &self.to else {
            if matches!(name, "" | "." | "..") {
                return Err(Failure::usage(format!(
                    "the key {key:?} has no name at its end: name the file"
                )));
            }
            return self.checked(Spot::of(Path::new(name))?);
        };
        if to == Path::new("-") {
            return Ok(Target::Stdout);
        }
        let about = std::fs::metadata(to).ok().map(|about| about.file_type());
        match about {
            Some(kind) if kind.is_dir() => self.checked(Folder::create(to)?.place(name)?),
            Some(kind) if files::is_stream(kind) => {
                let file = File::options()
                    .write(true)
                    .open(to)
                    .map_err(Failure::file("open", to))?;
                Ok(Target::Stream(file, to.clone()))
            }
            // `Path` ignores a slash at the end, and a folder that is meant must be there.
            _ if ends_in_separator(to) => {
                Err(Failure::file("open", to)(io::ErrorKind::NotFound.into()))
            }
            _ => self.checked(Spot::of(to)?),
        }
    }

    /// Refuses before anything is read; whether it holds at the end is seen there once more.
    fn checked(&self, spot: Spot) -> Result<Target> {
        if !self.force && spot.is_taken() {
            return Err(crate::local::exists(&spot));
        }
        Ok(Target::File(spot))
    }

    async fn folder(&self, app: &App) -> Result<()> {
        let prefix = self.from.folder();
        let to = match &self.to {
            Some(to) if to == Path::new("-") => {
                return Err(Failure::usage(
                    "get -r writes files: name a folder instead of -",
                ));
            }
            Some(to) => to.clone(),
            None => match Key::new(prefix.trim_end_matches('/')).file_name() {
                "" | "." | ".." => {
                    return Err(Failure::usage("get -r of a whole backend: name the folder"));
                }
                name => name.into(),
            },
        };
        let backend = app.backend(&self.from).await?;
        if let Some(store) = StoreDirectory::of(&backend).await? {
            store.refuse(&to)?;
        }
        let progress = app.progress_of_many();
        let folder = std::sync::OnceLock::new();
        let folder = || -> Result<&Folder> {
            // Not before there is something to put into it.
            match folder.get() {
                Some(folder) => Ok(folder),
                None => {
                    let made = Folder::create(&to)?;
                    Ok(folder.get_or_init(|| made))
                }
            }
        };
        let entries = listing::entries(&backend, &prefix).map(|entry| entry.map(|entry| entry.key));
        let done = concurrent::for_each(
            app,
            &progress,
            self.jobs.count(),
            entries,
            async |key: String| {
                let below = key.strip_prefix(&prefix).unwrap_or(&key);
                let spot = folder()?.place(below)?;
                if !self.force && spot.is_taken() {
                    return Err(crate::local::exists(&spot));
                }
                self.fetch(app, &backend, &key, spot, &progress).await
            },
        );
        match done.await? {
            0 => Err(rm::nothing_below(&self.from, &prefix)),
            _ => Ok(()),
        }
    }

    /// To something that takes bytes and keeps nothing.
    async fn pour(
        &self,
        backend: &Backend,
        key: &str,
        file: File,
        progress: &Progress,
        failed: impl FnOnce(io::Error) -> Failure,
    ) -> Result<()> {
        let downloaded = backend.download(self.request(key)).await?;
        progress.total(downloaded.range.end - downloaded.range.start);
        let outcome = drain(downloaded.body, file, None, progress).await;
        progress.finish();
        outcome.map(drop).map_err(|stopped| match stopped {
            Stopped::Body(error) => error.into(),
            Stopped::File(cause) => failed(cause),
            Stopped::Other(failure) => failure,
        })
    }

    async fn fetch(
        &self,
        app: &App,
        backend: &Backend,
        key: &str,
        spot: Spot,
        progress: &Progress,
    ) -> Result<()> {
        let path = spot.path();
        let part = Part::open(spot)?;
        let job = fetch::Fetch {
            backend,
            key,
            request: self.request(key),
            // A part of a part, or of what may be another version, is not worth keeping.
            whole: self.range.is_none() && self.request(key).is_plain(),
            force: self.force,
            progress,
        };
        let got = job.run(app, part).await?;
        if !self.recursive {
            progress.finish();
        }
        let address = format!("{}:{key}", backend.name());
        let record = json!({
            "address": address,
            "backend": backend.name(),
            "key": key,
            "file": path.to_string_lossy(),
            "size": got.size,
            "bytes": got.bytes,
            "resumed_at": got.resumed_at,
            "etag": got.etag,
            "content_type": got.content_type,
        });
        progress.aside(|| {
            app.output.confirm(&record, || {
                let address = printable(&address);
                let path = printable(&path.display().to_string());
                match got.resumed_at {
                    Some(at) => format!(
                        "got {address} as {path}, {} bytes, resumed at {at}",
                        got.bytes
                    ),
                    None => format!("got {address} as {path}, {} bytes", got.bytes),
                }
            })
        })
    }

    fn request<'a>(&'a self, key: &'a str) -> Download<'a> {
        let mut request = Download::new(key).chunk_hint(CHUNK as u32);
        request.range = self.range.clone();
        let mut options = ReadOptions::default();
        options.if_match = self.if_match.as_deref();
        options.if_none_match = self.if_none_match.as_deref();
        options.if_modified_since = self.if_modified_since;
        let any = options != ReadOptions::default();
        request.with_options(any.then_some(options))
    }
}

fn ends_in_separator(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().last();
    last.is_some_and(|last| std::path::is_separator(char::from(*last)))
}
