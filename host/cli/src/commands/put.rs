//! `put`: a file, standard input or a folder goes into a backend.

use std::path::{Path, PathBuf};

use clap::Args;
use holdall::{Backend, Capability, Upload};

use super::concurrent;
use super::metadata::Metadata;
use super::object_json::ObjectJson;
use crate::address::Address;
use crate::app::App;
use crate::args::Jobs;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::local::StoreDirectory;
use crate::progress::Progress;
use crate::transfer::{Input, Source};
use crate::values;

/// Stores a file.
///
/// An address that ends in `/`, or has no key, takes the file's name, as a folder does with `cp`.
/// The object appears as a whole or not at all; what was there before is replaced, metadata too.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// The target: BACKEND:KEY.
    #[arg(value_name = "ADDR")]
    to: Address,

    /// Stores everything below a folder, each file under ADDR/ and its path in the folder.
    #[arg(short, long, conflicts_with_all = ["if_match", "sha256"])]
    recursive: bool,

    /// With -r: follow symbolic links. By default they are left out with a note.
    #[arg(long, requires = "recursive")]
    follow: bool,

    #[command(flatten)]
    jobs: Jobs,

    /// Fails (4) when the key exists.
    #[arg(long)]
    create_only: bool,

    /// Fails (4) unless the object has this etag.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,

    /// Fails (5), and stores nothing, unless the bytes have this digest.
    #[arg(long, value_name = "HEX", value_parser = values::sha256)]
    sha256: Option<[u8; 32]>,

    #[command(flatten)]
    metadata: Metadata,
}

impl Put {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        if self.recursive {
            return self.folder(app).await;
        }
        let (input, name) = if self.file == Path::new("-") {
            (Input::Stdin, None)
        } else {
            (Input::File(self.file.clone()), self.file.file_name())
        };
        let name = match name.map(|name| utf8(name, &self.file)) {
            // Only an address without a key needs the name.
            Some(Err(failure)) if self.to.for_file(None).is_err() => return Err(failure),
            name => name.and_then(Result::ok),
        };
        let to = self.to.with_key(self.to.for_file(name)?);
        let backend = app.backend(&to).await?;
        let progress = app.progress(name.unwrap_or("standard input"));
        self.store(app, &backend, input, name, &to, &progress).await
    }

    async fn folder(&self, app: &App) -> Result<()> {
        if !self.file.is_dir() {
            return Err(Failure::refused(
                exit::BAD_INPUT,
                "not_a_directory",
                format!("{} is no directory", self.file.display()),
                "put without -r stores a single file",
            ));
        }
        let backend = app.backend(&self.to).await?;
        let store = StoreDirectory::of(&backend).await?;
        if let Some(store) = &store {
            store.refuse(&self.file)?;
        }
        let progress = app.progress_of_many();
        let files = files_below(&self.file, self.follow, store.clone());
        let prefix = self.to.folder();
        let done = concurrent::for_each(
            app,
            &progress,
            self.jobs.count(),
            files,
            async |found: Found| {
                let file = match found {
                    Found::File(file) => file,
                    Found::Other(path) => {
                        let what =
                            format!("{} is neither file nor folder: left out", path.display());
                        progress.aside(|| app.output.note(&what));
                        return Ok(());
                    }
                    Found::Store(what) => {
                        progress.aside(|| app.output.note(&what));
                        return Ok(());
                    }
                };
                let below = file.strip_prefix(&self.file).unwrap_or(&file);
                let segments: Vec<_> = below
                    .iter()
                    .map(|part| utf8(part, &file))
                    .collect::<Result<_>>()?;
                let to = self.to.with_key(format!("{prefix}{}", segments.join("/")));
                let name = segments.last().copied();
                self.store(
                    app,
                    &backend,
                    Input::File(file.clone()),
                    name,
                    &to,
                    &progress,
                )
                .await
            },
        );
        done.await.map(drop)
    }

    async fn store(
        &self,
        app: &App,
        backend: &Backend,
        input: Input,
        name: Option<&str>,
        to: &Address,
        progress: &Progress,
    ) -> Result<()> {
        let (body, length, reader) = Source::open(input, progress.clone()).await?.split();
        let content_type = match &self.metadata.content_type {
            Some(given) => Some(given.as_str()),
            None => {
                let kept = backend
                    .info()
                    .await?
                    .capabilities
                    .has(Capability::ContentType);
                Metadata::implied(&to.key, name, kept)
            }
        };
        let mut options = self.metadata.options(content_type);
        options.create_only = self.create_only;
        options.if_match = self.if_match.as_deref();
        options.checksums.sha256 = self.sha256;
        let mut upload = Upload::new(&to.key, body).with_options(Some(options));
        upload.length = length;
        let uploaded = backend
            .upload(upload)
            .await
            .map_err(|error| reader.explain(error))?;
        if !self.recursive {
            progress.finish();
        }
        let size = uploaded.size;
        let record = ObjectJson::stored(to, backend.name(), uploaded);
        progress.aside(|| {
            app.output.confirm(&record, || {
                let key = values::printable(&to.key);
                format!("stored {}:{key}, {size} bytes", backend.name())
            })
        })
    }
}

fn utf8<'a>(name: &'a std::ffi::OsStr, path: &Path) -> Result<&'a str> {
    name.to_str().ok_or_else(|| {
        Failure::refused(
            exit::BAD_INPUT,
            "name_not_utf8",
            format!("the name of {} is not UTF-8, and keys are", path.display()),
            "put it alone, and write the whole key",
        )
    })
}

enum Found {
    File(PathBuf),
    Other(PathBuf),
    /// The directory of the target itself, as a line for people.
    Store(String),
}

/// The files below a folder, in the order of their names, found while others are on their way.
fn files_below(
    folder: &Path,
    follow: bool,
    store: Option<StoreDirectory>,
) -> impl futures_util::Stream<Item = Result<Found>> + use<> {
    let (send, mut receive) = tokio::sync::mpsc::channel(256);
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || {
        // The folder itself may be a link: it was named.
        let mut walk = walkdir::WalkDir::new(&folder)
            .follow_links(follow)
            .sort_by_file_name()
            .into_iter();
        while let Some(entry) = walk.next() {
            let found = match entry {
                Ok(entry)
                    if entry.file_type().is_dir()
                        && let Some(store) = store.as_ref().filter(|it| it.is(entry.path())) =>
                {
                    walk.skip_current_dir();
                    Ok(Found::Store(store.skipped(entry.path())))
                }
                Ok(entry) if entry.file_type().is_dir() => continue,
                Ok(entry) if entry.file_type().is_file() => Ok(Found::File(entry.into_path())),
                // The root is followed all the same, and then is a folder.
                Ok(entry) => Ok(Found::Other(entry.into_path())),
                Err(cause) => {
                    let path = cause.path().unwrap_or(&folder).to_owned();
                    Err(Failure::file("read", &path)(cause.into()))
                }
            };
            if send.blocking_send(found).is_err() {
                return;
            }
        }
    });
    futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx))
}
