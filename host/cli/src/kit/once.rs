//! A process of its own, whose output is watched.

use super::{HostStage, PUBLIC_URL};
use holdall::{Delete, Download, Head, Key, List, Result, Upload};
use holdall_conformance::{Harness, Stage};
use serde_json::Value;
use std::path::Path;

/// The line that such a process writes before it calls [`use_once`].
pub const BEGINS: &str = "child: begins";
/// The line that such a process writes afterwards.
pub const ENDS: &str = "child: ends";

/// What was written between the two lines; `None` when one is missing.
pub fn between(said: &[u8]) -> Option<Vec<u8>> {
    let find = |text: &str| {
        let line = format!("{text}\n");
        let at = said
            .windows(line.len())
            .position(|part| part == line.as_bytes());
        at.map(|at| (at, at + line.len()))
    };
    let ((_, begins), (ends, _)) = (find(BEGINS)?, find(ENDS)?);
    said.get(begins..ends).map(<[u8]>::to_vec)
}

struct One(Value);

impl Harness for One {
    type Config = Value;

    fn config(&self, _: u32) -> Value {
        self.0.clone()
    }
}

/// Opens the plugin, uses it and closes it.
///
/// # Errors
///
/// That of the first operation that fails.
pub async fn use_once(library: &Path, config: Value) -> Result<()> {
    let stage = HostStage::loaded(library, PUBLIC_URL, One(config), ())?;
    let subject = stage.open(0).await?;
    let key = format!("kit-child-{}", std::process::id());
    subject.upload(Upload::new(&key, "b")).await?;
    let downloaded = subject.download(Download::new(&key)).await?;
    downloaded.body.collect(10).await?;
    let missing = format!("{key}-missing");
    // The kit judges what these answer elsewhere.
    let _ = subject.download(Download::new(&missing)).await;
    let _ = subject.exists(Key::new(&key)).await;
    let _ = subject.head(Head::new(&key)).await;
    let _ = subject.list(List::new("")).await;
    subject.delete(Delete::new(&key)).await?;
    subject.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_counts() {
        let said = b"running 1 test\nchild: begins\nprinted\nchild: ends\nok\n";
        assert_eq!(between(said).unwrap(), b"printed\n");
        assert_eq!(between(b"child: begins\nno end"), None);
    }
}
