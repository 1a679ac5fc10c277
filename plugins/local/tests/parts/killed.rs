//! Processes that `strace` kills at each call that changes something on disk, one after the other.

use super::*;
use std::io::Write;
use std::path::PathBuf;

/// Calls by which a process changes what others find.
const CALLS: [&str; 10] = [
    "renameat",
    "renameat2",
    "unlinkat",
    "linkat",
    "mkdirat",
    "ftruncate",
    "copy_file_range",
    "fsetxattr",
    "utimensat",
    "write",
];
/// What the process is to do.
const JOB: &str = "HOLDALL_TEST_JOB";

fn block_on(job: impl Future<Output = ()>) {
    // One thread for all jobs: calls are counted by thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_time()
        .build();
    runtime.unwrap().block_on(job);
}

/// Runs the job of a test in a process that is killed at the `when`-th of a kind of calls. Returns whether it came to
/// its end.
fn runs(test: &str, job: &str, root: &Path, (call, when): (&str, usize)) -> bool {
    // With a question mark: not every processor has all of them.
    let inject = format!("inject=?{call}:signal=KILL:when={when}");
    let tool = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned);
    let output = child(&format!("killed::{test}"), root, &tool)
        .env(JOB, job)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !text.contains("panicked") && !text.contains("FAILED"),
        "{text}"
    );
    output.status.success()
}

/// Runs `prepare`, the job and `judge` with a death at each call that comes after the opening of the store.
fn at_each_call(
    test: &str,
    job: &str,
    prepare: impl Fn(PathBuf),
    judge: impl Fn(PathBuf, (&str, usize)),
) {
    let traces = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    if !traces.is_ok_and(|status| status.success()) {
        let line = format!("SKIPPED: {test}: `strace` is missing or may not trace\n");
        return std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    let mut deaths = 0;
    for call in CALLS {
        // The opening has its own tests.
        let folder = tempfile::tempdir().unwrap();
        let open = |when: &usize| runs(test, "open", folder.path(), (call, *when));
        let first = (1..).find(open).unwrap();
        for when in first.. {
            let folder = tempfile::tempdir().unwrap();
            prepare(folder.path().to_owned());
            let ended = runs(test, job, folder.path(), (call, when));
            judge(folder.path().to_owned(), (call, when));
            if ended {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 3, "{deaths} deaths");
}

fn job() -> Option<(String, PathBuf)> {
    let root = std::env::var_os(ROOT)?;
    Some((std::env::var(JOB).ok()?, PathBuf::from(root)))
}

async fn only_upload(local: &Local) -> Option<String> {
    let page = local.list_uploads(ListUploads::new("")).await.unwrap();
    page.uploads.into_iter().next().map(|one| one.upload_id)
}

async fn parts_of(local: &Local, id: &str) -> Vec<Part> {
    let page = local.list_parts(ListParts::new("k", id)).await;
    page.unwrap().parts
}

const SIZE: usize = 100_000;

#[test]
fn a_completion_that_is_killed_is_done_or_can_be_repeated() {
    let parts = |stored: Vec<Part>| -> Vec<Part> {
        stored.into_iter().filter(|part| part.number != 4).collect()
    };
    if let Some((job, root)) = job() {
        return block_on(async {
            let local = opened(&root).await;
            if job == "complete" {
                let id = only_upload(&local).await.unwrap();
                let parts = parts(parts_of(&local, &id).await);
                let complete = CompleteUpload::new("k", &id, &parts);
                local.complete_upload(complete).await.unwrap();
            }
        });
    }
    let prepare = |root: PathBuf| {
        block_on(async {
            let local = opened(&root).await;
            local.upload(Upload::new("k", "old")).await.unwrap();
            let id = begin(&local, "k").await;
            for number in 1..=4 {
                put(&local, &id, number, vec![number as u8; SIZE]).await;
            }
            // Comes to a file of its own; the fourth part is not named, and moves out of the way.
            put(&local, &id, 2, vec![9; SIZE]).await;
        });
    };
    let judge = |root: PathBuf, when: (&str, usize)| {
        block_on(async {
            let local = opened(&root).await;
            let new = [vec![1; SIZE], vec![9; SIZE], vec![3; SIZE]].concat();
            let found = get(&local, "k").await;
            match only_upload(&local).await {
                None => assert!(found == new, "neither, at call {when:?}"),
                Some(id) => {
                    assert_eq!(found, "old", "at call {when:?}");
                    let stored = parts_of(&local, &id).await;
                    assert_eq!(stored.len(), 4, "at call {when:?}");
                    // A condition that is lost moves every other part, and changes none.
                    let fourth = CompleteUpload::new("k", &id, &stored[3..]).if_match("\"x\"");
                    let lost = local.complete_upload(fourth).await.unwrap_err();
                    assert_eq!(lost.kind(), ErrorKind::PreconditionFailed);
                    let complete = CompleteUpload::new("k", &id, &stored);
                    local.complete_upload(complete).await.unwrap();
                    let new = [&new[..], &[4; SIZE]].concat();
                    assert!(get(&local, "k").await == new, "at call {when:?}");
                }
            }
            assert!(only_upload(&local).await.is_none(), "at call {when:?}");
        });
    };
    let test = "a_completion_that_is_killed_is_done_or_can_be_repeated";
    at_each_call(test, "complete", prepare, judge);
}

#[test]
fn a_part_that_is_killed_is_stored_or_not() {
    const FIRST: [u8; 2] = [1, 8];
    if let Some((job, root)) = job() {
        return block_on(async {
            let local = opened(&root).await;
            if job == "put" {
                let id = only_upload(&local).await.unwrap();
                // Into a slot, and in place of an earlier one; each by many calls.
                for (number, byte) in [(2, 2), (1, FIRST[1])] {
                    let chunks = (0..20).map(move |_| Ok(Bytes::from(vec![byte; SIZE])));
                    let body = Body::stream(futures_util::stream::iter(chunks));
                    let put = PutPart::new("k", &id, number, body);
                    local.put_part(put.length(20 * SIZE as u64)).await.unwrap();
                }
            }
        });
    }
    let prepare = |root: PathBuf| {
        block_on(async {
            let local = opened(&root).await;
            local.upload(Upload::new("k", "old")).await.unwrap();
            let id = begin(&local, "k").await;
            put(&local, &id, 1, vec![FIRST[0]; 20 * SIZE]).await;
        });
    };
    let judge = |root: PathBuf, when: (&str, usize)| {
        block_on(async {
            let local = opened(&root).await;
            assert_eq!(get(&local, "k").await, "old", "at call {when:?}");
            let id = only_upload(&local).await.unwrap();
            let mut parts = parts_of(&local, &id).await;
            if parts.len() == 1 {
                parts.push(put(&local, &id, 2, vec![2; 20 * SIZE]).await);
            }
            let crc32c = parts[0].checksums.crc32c;
            let of = |byte: &u8| Some(crc_fast::crc32_iscsi(&vec![*byte; 20 * SIZE])) == crc32c;
            let first = FIRST.into_iter().find(of).unwrap();
            let complete = CompleteUpload::new("k", &id, &parts);
            local.complete_upload(complete).await.unwrap();
            let expected = [vec![first; 20 * SIZE], vec![2; 20 * SIZE]].concat();
            assert!(get(&local, "k").await == expected, "at call {when:?}");
        });
    };
    at_each_call(
        "a_part_that_is_killed_is_stored_or_not",
        "put",
        prepare,
        judge,
    );
}
