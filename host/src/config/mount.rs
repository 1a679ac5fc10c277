//! How a backend is mounted: the same words in a file and in a program.

use super::{ContentTypePolicy, Polling};
use crate::policy::Policy;
use holdall_plugin_api::KeyPolicy;
use std::time::Duration;

/// What the host does in front of a backend, whatever its plugin.
///
/// ```
/// use holdall::Registration;
/// use std::time::Duration;
///
/// let registration = Registration::new("local").timeout(Duration::from_secs(20)).alias("photos");
/// assert_eq!(registration.mount.aliases, ["photos"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mount {
    /// Which keys it takes.
    pub key_policy: KeyPolicy,
    /// What becomes of a content type that the store does not keep.
    pub content_type: ContentTypePolicy,
    /// The longest that one operation may take, unless the caller says less. `None`: no bound.
    pub timeout: Option<Duration>,
    /// How long an operation waits for its turn where the plugin takes few at once; zero refuses at
    /// once, as `Unavailable`. Default: 30 s.
    pub max_wait: Duration,
    /// Where the plugin's operations are polled.
    pub polling: Polling,
    /// Whether a store whose readers may see partial objects is accepted.
    pub allow_non_atomic_put: bool,
    /// Further names.
    pub aliases: Vec<String>,
    /// What is enforced in front of it.
    pub policy: Policy,
}

impl Default for Mount {
    fn default() -> Self {
        Self {
            key_policy: KeyPolicy::default(),
            content_type: ContentTypePolicy::default(),
            timeout: None,
            max_wait: Duration::from_secs(30),
            polling: Polling::default(),
            allow_non_atomic_put: false,
            aliases: Vec::new(),
            policy: Policy::default(),
        }
    }
}
