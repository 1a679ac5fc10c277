//! How the stores that speak S3 differ.
//!
//! A preset is a row of facts, not code: what a store is called, where it is, and which promises of
//! S3 it does not keep. `README.md` says which rows were proven against a real server.

use crate::open::COPY;
use holdall_plugin_api::Capabilities;
use serde::Deserialize;

/// Whose S3 it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Preset {
    /// Amazon S3, and stores that do everything it does.
    #[default]
    Aws,
    /// MinIO. Needs `endpoint`.
    Minio,
    /// Ceph's object gateway. Needs `endpoint`.
    Ceph,
    /// Cloudflare R2. Needs `endpoint`: `https://ACCOUNT.r2.cloudflarestorage.com`.
    R2,
    /// Backblaze B2. Needs `region`.
    B2,
    /// DigitalOcean Spaces. Needs `region`.
    Spaces,
    /// Garage. Needs `endpoint`.
    Garage,
    /// SeaweedFS, from 4.18 on: before, its conditions are not atomic. Needs `endpoint`.
    Seaweedfs,
}

/// The facts of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// Where it is, with `{region}`; `None` must be configured (or is Amazon's own).
    pub(crate) endpoint: Option<&'static str>,
    /// What the region is called when nothing is said; `None` must be.
    pub(crate) region: Option<&'static str>,
    /// Buckets are the first segment of a path, not a host of their own.
    pub(crate) path_style: bool,
    /// What it does not do.
    pub(crate) without: Capabilities,
    /// Longest name of an object, in bytes, where it is less than S3's 1024.
    pub(crate) longest_name: Option<u32>,
    /// `If-None-Match` and `If-Match` are kept when parts are completed. Otherwise conditions are
    /// held by single requests only.
    pub(crate) conditional_completion: bool,
}

const NO_CONDITIONS: Capabilities = Capabilities::create_only
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(UNPROVEN);

/// What is claimed only where it was proven. Lists of unfinished uploads and of their parts differ more than
/// the pages of the stores say: SeaweedFS has a part twice that was stored again.
const UNPROVEN: Capabilities = Capabilities::parts.with(COPY);

/// A store that has an address of its own, in the path style. Most are not documented to look at
/// `If-Match` of a delete.
const COMPATIBLE: Traits = Traits {
    endpoint: None,
    region: Some("us-east-1"),
    path_style: true,
    without: Capabilities::if_match_delete.with(UNPROVEN),
    longest_name: None,
    conditional_completion: false,
};

impl Preset {
    pub(crate) const fn traits(self) -> Traits {
        match self {
            Preset::Aws => Traits {
                path_style: false,
                without: Capabilities::EMPTY,
                conditional_completion: true,
                ..COMPATIBLE
            },
            Preset::Minio => COMPATIBLE,
            // Answers 412 to a right `If-Match`, and does not look at conditions of a completion.
            Preset::Ceph => Traits {
                without: Capabilities::if_match_put.with(Capabilities::if_match_delete),
                ..COMPATIBLE
            },
            Preset::R2 => Traits {
                region: Some("auto"),
                ..COMPATIBLE
            },
            Preset::B2 => Traits {
                endpoint: Some("https://s3.{region}.backblazeb2.com"),
                region: None,
                without: NO_CONDITIONS,
                ..COMPATIBLE
            },
            Preset::Spaces => Traits {
                endpoint: Some("https://{region}.digitaloceanspaces.com"),
                region: None,
                without: NO_CONDITIONS,
                ..COMPATIBLE
            },
            // Takes a conditional PUT as a plain one. Its usual database, LMDB, has keys of 511 bytes, of
            // which a name gets the rest: a longer one is answered by 503.
            Preset::Garage => Traits {
                region: Some("garage"),
                without: NO_CONDITIONS,
                longest_name: Some(479),
                ..COMPATIBLE
            },
            // Keeps every condition, also of deletes and completions. Its names are paths of folders,
            // which it lists folder by folder: `a/b` before `a-b`.
            Preset::Seaweedfs => Traits {
                without: Capabilities::ordered_list
                    .with(Capabilities::start_after)
                    .with(UNPROVEN),
                conditional_completion: true,
                ..COMPATIBLE
            },
        }
    }

    /// Whether the address must be configured.
    pub(crate) const fn needs_endpoint(self) -> bool {
        !matches!(self, Preset::Aws) && self.traits().endpoint.is_none()
    }
}
