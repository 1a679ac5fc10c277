//! An upload in parts that one process begins and another completes.

use crate::{HostedPlugin, eventually};
use futures_util::future::{join, try_join_all};
use futures_util::{StreamExt, stream};
use holdall::{
    AbortUpload, Backend, Body, CompleteUpload, CreateUpload, Download, ErrorKind, ListParts,
    ListUploads, Part, PutPart, Result,
};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// More than one part of an upload of the configuration: streamed.
const PART: usize = 6 << 20;
const KEY: &str = "resumed";
const VARIABLE: &str = "HOLDALL_BEGINS_PARTS";

/// What a test binary calls in a test named `begins_parts`: does nothing unless [`by_another_process`]
/// has started it. Then it begins an upload, stores three parts at once, and hangs in the middle of a fourth.
///
/// # Panics
///
/// When the store refuses any of it.
pub fn begins_parts() {
    let Ok(given) = std::env::var(VARIABLE) else {
        return;
    };
    let given: Value = serde_json::from_str(&given).expect("JSON");
    let hosted = HostedPlugin::new(given["plugin"].as_str().expect("a plugin"));
    hosted
        .run(async {
            let backend = hosted.open(given["config"].clone()).await?;
            let create = CreateUpload::new(KEY).content_type("text/x-parts");
            let id = backend
                .create_upload(create.metadata("by", "the killed"))
                .await?;
            println!("\nid {id}");
            let (backend, id) = (&backend, &id);
            let stored = async {
                try_join_all((1..=3).map(|number| put(backend, id, number))).await?;
                println!("\nstored");
                Ok(())
            };
            let half = vec![4u8; PART / 2];
            let stuck = stream::once(async { Ok(half.into()) }).chain(stream::pending());
            let stuck = PutPart::new(KEY, id, 4, Body::stream(stuck)).length(PART as u64);
            let (stored, never) = join(stored, backend.put_part(stuck)).await;
            stored.and(never)
        })
        .expect("the parent ends this process");
}

fn bytes(number: u32) -> Vec<u8> {
    let block = (0..PART as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    block.map(|byte| byte ^ number as u8).collect()
}

/// In chunks, so that the plugin sees a stream.
async fn put(backend: &Backend, id: &str, number: u32) -> Result<Part> {
    let bytes = bytes(number);
    let chunks: Vec<_> = bytes
        .chunks(300_000)
        .map(|chunk| Ok(chunk.to_vec().into()))
        .collect();
    let body = Body::stream(stream::iter(chunks));
    let part = PutPart::new(KEY, id, number, body).length(PART as u64);
    backend.put_part(part).await
}

/// By all pages.
async fn parts(backend: &Backend, id: &str) -> Result<Vec<Part>> {
    let (mut parts, mut token) = (Vec::new(), None::<String>);
    loop {
        let list = ListParts::new(KEY, id).page_token(token.as_deref());
        let page = backend.list_parts(list).await?;
        parts.extend(page.parts);
        token = page.next;
        if token.is_none() {
            return Ok(parts);
        }
    }
}

/// A streamed part, and one that is held in memory, under this configuration.
///
/// # Panics
///
/// When what is read is not what was stored.
pub fn both_kinds_of_parts(plugin: &str, config: Value) {
    let hosted = HostedPlugin::new(plugin);
    let read = hosted.run(async {
        let backend = hosted.open(config).await?;
        let id = backend.create_upload(CreateUpload::new("both")).await?;
        let body = Body::stream(stream::iter([Ok(bytes(1).into())]));
        let streamed = PutPart::new("both", &id, 1, body).length(PART as u64);
        let streamed = backend.put_part(streamed).await?;
        let held = PutPart::new("both", &id, 2, "the end");
        let held = backend.put_part(held).await?;
        let complete = CompleteUpload::new("both", &id, [&streamed, &held]);
        backend.complete_upload(complete).await?;
        let read = backend.download(Download::new("both")).await?;
        read.body.collect(2 * PART).await
    });
    let expected = [&bytes(1)[..], b"the end"].concat();
    assert!(read.expect("all is stored") == expected);
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process is killed in the middle of a part; another finds its upload and its parts by their lists,
/// adds what is missing and completes it. Nothing is left, neither of it nor of one that is aborted.
/// `unfinished`: the ids of unfinished uploads below the prefix of this configuration, by another program.
///
/// # Panics
///
/// When that is not so.
pub fn by_another_process(plugin: &str, config: &Value, unfinished: impl Fn() -> Vec<String>) {
    let program = std::env::current_exe().expect("this program");
    let given = json!({"plugin": plugin, "config": config}).to_string();
    let child = Command::new(program)
        .args(["--exact", "begins_parts", "--nocapture"])
        .env(VARIABLE, given)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Killed(child.expect("it starts"));
    let lines = BufReader::new(child.0.stdout.take().expect("a pipe")).lines();
    let mut id = String::new();
    for line in lines {
        let line = line.expect("text");
        if let Some(said) = line.strip_prefix("id ") {
            said.clone_into(&mut id);
        } else if line == "stored" {
            break;
        }
    }
    drop(child);
    assert_eq!(unfinished(), std::slice::from_ref(&id));

    let hosted = HostedPlugin::new(plugin);
    let resumed = hosted.run(async {
        let backend = hosted.open(config.clone()).await?;
        let uploads = backend.list_uploads(ListUploads::new("")).await?.uploads;
        let found: Vec<_> = uploads
            .iter()
            .map(|one| (&*one.key, &*one.upload_id))
            .collect();
        assert_eq!(found, [(KEY, &*id)]);
        let there = parts(&backend, &id).await?;
        let numbers: Vec<_> = there.iter().map(|part| (part.number, part.size)).collect();
        assert_eq!(numbers, [1, 2, 3].map(|number| (number, PART as u64)));
        try_join_all([4, 5].map(|number| put(&backend, &id, number))).await?;

        let all = parts(&backend, &id).await?;
        let mut wrong = all.clone();
        wrong[1].etag = wrong[0].etag.clone();
        let refused = CompleteUpload::new(KEY, &id, &wrong);
        let refused = backend
            .complete_upload(refused)
            .await
            .expect_err("a wrong etag");
        assert_eq!(refused.code(), "invalid_part");

        let done = backend
            .complete_upload(CompleteUpload::new(KEY, &id, &all))
            .await?;
        assert_eq!(done.size, 5 * PART as u64);
        let read = backend.download(Download::new(KEY)).await?;
        assert_eq!(read.info.content_type.as_deref(), Some("text/x-parts"));
        assert_eq!(
            read.info.metadata,
            [("by".to_owned(), "the killed".to_owned())]
        );
        let whole = read.body.collect(6 * PART).await?;
        let pieces = whole.chunks(PART).zip(1..);
        for (piece, number) in pieces {
            assert!(piece == bytes(number), "part {number} has other bytes");
        }
        Ok::<_, holdall::Error>(backend)
    });
    let backend = resumed.expect("the upload goes on");
    eventually(10, "nothing is left of it", || unfinished().is_empty());

    let aborted = hosted.run(async {
        let id = backend.create_upload(CreateUpload::new(KEY)).await?;
        put(&backend, &id, 1).await?;
        backend.abort_upload(AbortUpload::new(KEY, &id)).await?;
        let gone = backend.list_parts(ListParts::new(KEY, &id)).await;
        let gone = gone.expect_err("it was aborted");
        assert_eq!(
            (gone.kind(), gone.code()),
            (ErrorKind::FileNotFound, "upload_not_found")
        );
        backend.list_uploads(ListUploads::new("")).await
    });
    assert!(aborted.expect("it lists").uploads.is_empty());
    assert_eq!(unfinished(), Vec::<String>::new());
}
