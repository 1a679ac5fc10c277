//! A large object over connections that are slow each: `scripts/slow-connections` runs this once for each way.

use futures_util::future::try_join_all;
use futures_util::stream;
use holdall::{Body, CompleteUpload, CreateUpload, Delete, PutPart, Upload};
use holdall_backends::HostedPlugin;
use serde_json::Value;
use std::time::Instant;

const MIB: u64 = 1 << 20;

fn body(mib: u64) -> Body {
    let chunk = vec![7u8; MIB as usize];
    Body::stream(stream::iter(
        (0..mib).map(move |_| Ok(chunk.clone().into())),
    ))
}

/// Most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "scripts/slow-connections runs it"]
fn large_object() {
    let given: Value = serde_json::from_str(&std::env::var("HOLDALL_SLOW").unwrap()).unwrap();
    let (mib, parts) = (given["mib"].as_u64().unwrap(), given["parts"].as_u64());
    let hosted = HostedPlugin::new("s3");
    let before = peak();
    hosted
        .run(async {
            let backend = hosted.open(given["config"].clone()).await?;
            let begun = Instant::now();
            let stored = match parts {
                None => {
                    let upload = Upload::new("slow", body(mib)).length(mib * MIB);
                    backend.upload(upload).await?
                }
                Some(count) => {
                    let id = backend.create_upload(CreateUpload::new("slow")).await?;
                    let (backend, id, each) = (&backend, &id, mib / count);
                    let parts = (1..=count as u32).map(|number| {
                        let part = PutPart::new("slow", id, number, body(each));
                        backend.put_part(part.length(each * MIB))
                    });
                    let parts = try_join_all(parts).await?;
                    let complete = CompleteUpload::new("slow", id, &parts);
                    backend.complete_upload(complete).await?
                }
            };
            let seconds = begun.elapsed().as_secs_f64();
            assert_eq!(stored.size, mib * MIB);
            println!(
                "\n{seconds:.1} s, {:.0} MiB/s, {} MiB of resident memory, {before} before",
                mib as f64 / seconds,
                peak()
            );
            backend.delete(Delete::new("slow")).await
        })
        .unwrap();
}
