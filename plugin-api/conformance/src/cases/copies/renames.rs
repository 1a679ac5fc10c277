//! Renames.

use crate::case::{Outcome, Stop, ensure};
use crate::data;
use crate::trial::Trial;
use holdall_plugin_api::{Capability, Rename, Upload};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) async fn renames(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    let bytes = data::bytes(30_000, 6);
    t.put(&to, "replaced").await?;
    let mut upload = Upload::new(&from, bytes.clone());
    let options = upload.options_mut();
    if t.claims(Capability::UserMetadata) {
        options.metadata = vec![("kit", "1")];
    }
    t.upload(upload).await?;
    let metadata = t.read(&from).await?.0.metadata;
    let renamed = t.rename(Rename::new(&from, &to)).await?;
    t.is_absent(&from).await?;
    t.holds(&to, &bytes).await?;
    ensure!(
        t.read(&to).await?.0.metadata == metadata,
        "the rename lost metadata"
    );
    let claimed = t.claims(Capability::AtomicMove);
    if renamed.atomic != claimed {
        let why = format!(
            "`atomic_move` is claimed: {claimed}; the answer says {}",
            renamed.atomic
        );
        return Err(if claimed {
            Stop::Failed(why)
        } else {
            Stop::Lied(format!("modestly: {why}"))
        });
    }
    match claimed {
        true => never_neither(t).await,
        false => Ok(()),
    }
}

/// While an object goes from one name to the next, a look at the old name and then at the new one
/// finds it.
pub(super) async fn never_neither(t: &Trial) -> Outcome {
    const HOPS: usize = 50;
    let name = |hop: usize| t.key(&format!("hop-{hop:03}"));
    t.put(&name(0), "hopping").await?;
    let names: Vec<String> = (0..=HOPS).map(name).collect();
    let done = Arc::new(AtomicBool::new(false));
    let (mover, hops, ended) = (t.main(), names.clone(), done.clone());
    let moving = tokio::spawn(async move {
        let mut result = Ok(());
        for pair in hops.windows(2) {
            result = mover
                .rename(Rename::new(&pair[0], &pair[1]))
                .await
                .map(drop);
            if result.is_err() {
                break;
            }
        }
        ended.store(true, Ordering::Release);
        result
    });
    let mut hop = 0;
    while hop < HOPS && !done.load(Ordering::Acquire) {
        if t.exists(&names[hop]).await? {
            tokio::task::yield_now().await;
            continue;
        }
        // It may be several hops ahead by now, but it never comes back.
        let mut found = None;
        for (ahead, name) in names.iter().enumerate().skip(hop + 1) {
            if t.exists(name).await? {
                found = Some(ahead);
                break;
            }
        }
        let Some(ahead) = found else {
            return Err(Stop::Failed("the object was under neither name".into()));
        };
        hop = ahead;
    }
    match moving.await {
        Ok(moved) => moved?,
        Err(panic) => return Err(Stop::Failed(panic.to_string())),
    }
    t.holds(&names[HOPS], b"hopping").await
}
