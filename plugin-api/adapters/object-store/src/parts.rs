//! The fields of a configuration that say how uploads go in parts, for stores that speak the protocol of
//! S3: a plugin flattens them into its own, beside [`ServiceSettings`](crate::ServiceSettings).

use crate::opened_store::LargeConditions;
use serde::Deserialize;
use std::time::Duration;

/// Parts of one object: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>,
/// <https://cloud.google.com/storage/quotas#objects>.
const MOST_PARTS: u64 = 10_000;
/// Largest object, in bytes, by the same pages: 5 TiB.
const LARGEST: u64 = 5 << 40;

/// How uploads go in parts.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartSettings {
    /// Bytes of a part, in MiB. A store takes 10 000 parts, so this bounds the size of an object.
    #[serde(default = "part_size")]
    #[cfg_attr(feature = "schema", schemars(range(min = 5, max = 5120)))]
    pub part_size_mib: u32,

    /// Parts in flight at once. One upload holds one part more than that in memory.
    #[serde(default = "at_once")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 64)))]
    pub parts_at_once: u32,

    /// Largest conditional upload to a store that holds conditions over single requests only, in
    /// MiB; such an upload is held in memory.
    #[serde(default = "conditional")]
    #[cfg_attr(feature = "schema", schemars(range(min = 5, max = 5120)))]
    pub conditional_upload_mib: u32,

    /// Unfinished uploads below `prefix` to which no part was added for so many seconds are removed
    /// when an upload in parts begins: those of a process that was killed. 0 leaves them.
    #[serde(default = "abandoned")]
    pub abandoned_after_seconds: u32,
}

fn part_size() -> u32 {
    8
}
fn at_once() -> u32 {
    4
}
fn conditional() -> u32 {
    64
}
fn abandoned() -> u32 {
    24 * 3600
}

impl PartSettings {
    /// Bytes of a part.
    pub fn part_bytes(&self) -> usize {
        (self.part_size_mib as usize) << 20
    }

    /// Conditions over single requests only.
    pub fn in_one_put(&self) -> LargeConditions {
        LargeConditions::InOnePut {
            max_bytes: (self.conditional_upload_mib as usize) << 20,
        }
    }

    /// Largest object, in bytes.
    pub fn max_object_size(&self) -> u64 {
        LARGEST.min(self.part_bytes() as u64 * MOST_PARTS)
    }

    /// When an upload counts as abandoned; `None`: never.
    pub fn abandoned_after(&self) -> Option<Duration> {
        let after = Duration::from_secs(self.abandoned_after_seconds.into());
        Some(after).filter(|after| !after.is_zero())
    }
}
