//! Concurrent work on a stream of items.

use futures_util::{Stream, StreamExt};

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::progress::Progress;

/// Runs `work` on every item, at most `jobs` at once. One failure does not stop the others: each is
/// reported when it happens, and the exit code is theirs when they agree.
///
/// Returns the number of successes.
///
/// # Errors
///
/// [`Failure::Told`] when any failed.
pub(crate) async fn for_each<T, W>(
    app: &App,
    progress: &Progress,
    jobs: usize,
    items: impl Stream<Item = Result<T>>,
    work: impl Fn(T) -> W,
) -> Result<u64>
where
    W: Future<Output = Result<()>>,
{
    let mut outcomes = std::pin::pin!(
        items
            .map(|item| async {
                match item {
                    Ok(item) => work(item).await,
                    Err(failure) => Err(failure),
                }
            })
            .buffer_unordered(jobs)
    );
    let (mut done, mut codes) = (0, Vec::new());
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(()) => done += 1,
            // The reader of the output has gone: the rest is not wanted.
            Err(Failure::BrokenPipe) => return Err(Failure::BrokenPipe),
            Err(failure) => {
                progress.aside(|| app.output.failure(&failure));
                codes.push(failure.exit());
            }
        }
        progress.label(match codes.len() {
            0 => format!("{done} files"),
            failed => format!("{done} files, {failed} failed"),
        });
    }
    progress.finish();
    match exit::of_many(codes.iter().copied()) {
        exit::DONE => Ok(done),
        code => {
            if codes.len() > 1 {
                app.output
                    .note(&format!("{done} done, {} failed", codes.len()));
            }
            Err(Failure::Told(code))
        }
    }
}
