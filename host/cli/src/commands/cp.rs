//! `cp`: from one address to another, in one backend or between two.

use clap::Args;
use futures_util::StreamExt;
use holdall::{Backend, Body, CopyObject, Download, Key, ObjectInfo, Upload, UploadOptions};
use serde_json::json;

use super::{concurrent, listing, rm};
use crate::address::Address;
use crate::app::App;
use crate::args::Jobs;
use crate::failure::{Failure, Result};
use crate::local::StoreDirectory;
use crate::progress::Progress;
use crate::transfer::CHUNK;
use crate::values::printable;

/// Copies an object, with its content type, headers and metadata.
///
/// A target that ends in `/`, or has no key, takes the source's last name. Inside one backend the
/// bytes stay there if it can copy; between two they pass through here, and what the target cannot
/// keep is a failure (5), never left out in silence.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// The source: BACKEND:KEY.
    #[arg(value_name = "FROM")]
    from: Address,

    /// The target: BACKEND:KEY.
    #[arg(value_name = "TO")]
    to: Address,

    /// Copies everything below FROM to the same place below TO.
    #[arg(short, long)]
    recursive: bool,

    /// Fails (4) when the target exists.
    #[arg(long)]
    create_only: bool,

    #[command(flatten)]
    jobs: Jobs,
}

impl Cp {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        if self.recursive {
            return self.folder(app).await;
        }
        let key = self.from.object()?;
        let name = Some(Key::new(key).file_name()).filter(|name| !name.is_empty());
        let target = self.to.for_file(name)?;
        let (from, to) = (app.backend(&self.from).await?, app.backend(&self.to).await?);
        let progress = app.progress(&printable(key));
        self.copy(app, (&from, key), (&to, &target), &progress)
            .await
    }

    async fn folder(&self, app: &App) -> Result<()> {
        let (from, to) = (app.backend(&self.from).await?, app.backend(&self.to).await?);
        let (prefix, target) = (self.from.folder(), self.to.folder());
        let same = from.name() == to.name()
            || match (
                StoreDirectory::of(&from).await?,
                StoreDirectory::of(&to).await?,
            ) {
                (Some(from), Some(to)) => from.is_same(&to),
                _ => false,
            };
        if same && target.starts_with(&prefix) {
            // The listing would find the copies, and copy them.
            return Err(Failure::usage(format!(
                "{} lies within {}",
                self.to, self.from
            )));
        }
        let progress = app.progress_of_many();
        let entries = listing::entries(&from, &prefix).map(|entry| entry.map(|entry| entry.key));
        let done = concurrent::for_each(
            app,
            &progress,
            self.jobs.count(),
            entries,
            async |key: String| {
                let below = key.strip_prefix(&prefix).unwrap_or(&key);
                let target = format!("{target}{below}");
                self.copy(app, (&from, &key), (&to, &target), &progress)
                    .await
            },
        );
        match done.await? {
            0 => Err(rm::nothing_below(&self.from, &prefix)),
            _ => Ok(()),
        }
    }

    async fn copy(
        &self,
        app: &App,
        (from, key): (&Backend, &str),
        (to, target): (&Backend, &str),
        progress: &Progress,
    ) -> Result<()> {
        let size = if from.name() == to.name() {
            let mut copy = CopyObject::new(key, target);
            copy.create_only = self.create_only;
            from.copy(copy).await?.size
        } else {
            Some(self.stream(from, key, to, target, progress).await?)
        };
        if !self.recursive {
            progress.finish();
        }
        let (source, target) = (
            format!("{}:{key}", from.name()),
            format!("{}:{target}", to.name()),
        );
        let record = json!({ "from": source, "to": target, "size": size });
        progress.aside(|| {
            app.output.confirm(&record, || {
                format!("copied {} to {}", printable(&source), printable(&target))
            })
        })
    }

    async fn stream(
        &self,
        from: &Backend,
        key: &str,
        to: &Backend,
        target: &str,
        progress: &Progress,
    ) -> Result<u64> {
        let downloaded = from
            .download(Download::new(key).chunk_hint(CHUNK as u32))
            .await?;
        let info = downloaded.info;
        progress.total(info.size);
        let counting = progress.clone();
        let body = Body::stream(downloaded.body.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                counting.advance(chunk.len() as u64);
            }
        }));
        let upload = Upload::new(target, body)
            .with_options(Some(self.options(&info)))
            .length(info.size);
        Ok(to.upload(upload).await?.size)
    }

    fn options<'a>(&self, info: &'a ObjectInfo) -> UploadOptions<'a> {
        let mut options = UploadOptions::default();
        options.content_type = info.content_type.as_deref();
        options.headers.cache_control = info.cache_control.as_deref();
        options.headers.content_disposition = info.content_disposition.as_deref();
        options.headers.content_encoding = info.content_encoding.as_deref();
        options.headers.content_language = info.content_language.as_deref();
        options.metadata = info
            .metadata
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        options.create_only = self.create_only;
        // What the source vouches for is verified on the way.
        options.checksums = info.checksums;
        options
    }
}
