//! Which minor of the ABI host and plugin speak: the rule, apart from where the numbers come from.

use holdall_plugin_api::abi::list::fingerprints_of;
use holdall_plugin_api::abi::{DRAFT, FINGERPRINTS, VERSION, Version};
use holdall_plugin_api::descriptor::{Descriptor, Flags};

/// Why two sides do not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Their majors differ: everything else of the other means something else.
    Major,
    /// The plugin needs what came in a later minor than the host's.
    HostTooOld,
}

/// What a plugin says of the ABI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoken {
    pub(crate) version: Version,
    /// The lowest minor of a host that it works with.
    pub(crate) min_host_minor: u16,
    /// Whether its minor is a draft.
    pub(crate) draft: bool,
    /// Whether every table of our newest minor is the same in it.
    pub(crate) same: bool,
}

impl From<&Descriptor> for Spoken {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            version: Version {
                major: descriptor.abi_major,
                minor: descriptor.abi_minor,
            },
            min_host_minor: descriptor.min_host_minor,
            draft: descriptor.flags.has(Flags::DRAFT_MINOR),
            same: descriptor.fingerprints == FINGERPRINTS,
        }
    }
}

/// The host's side of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaks {
    pub(crate) version: Version,
    /// Whether its minor is a draft.
    pub(crate) draft: bool,
}

/// This host.
pub(crate) const OURS: Speaks = Speaks {
    version: VERSION,
    draft: DRAFT,
};

/// The minor that both know: the smaller. Majors must be equal, and the host at least as new as the
/// plugin needs; a plugin may be of a later minor than the host, which then uses less of it. A minor
/// that is a draft is spoken by two drafts with equal tables only, else the minor before it.
pub(crate) fn effective_minor(host: Speaks, plugin: Spoken) -> Result<u16, Refusal> {
    if plugin.version.major != host.version.major {
        return Err(Refusal::Major);
    }
    let frozen = |minor: u16, draft: bool| {
        if draft {
            minor.saturating_sub(1)
        } else {
            minor
        }
    };
    let minor = if host.draft && plugin.draft && plugin.version == host.version && plugin.same {
        host.version.minor
    } else {
        let ours = frozen(host.version.minor, host.draft);
        ours.min(frozen(plugin.version.minor, plugin.draft))
    };
    if plugin.min_host_minor > minor {
        return Err(Refusal::HostTooOld);
    }
    Ok(minor)
}

/// The tables that are compared: those of the minor that is spoken.
pub(crate) fn compared(minor: u16) -> std::ops::Range<usize> {
    fingerprints_of(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five hosts and five plugins: a row for each minor of a host, a column for each plugin.
    #[test]
    fn five_hosts_meet_five_plugins() {
        let refused = u16::MAX;
        // (its minor, the lowest minor of a host that it needs)
        let plugins = [(0, 0), (1, 0), (2, 1), (3, 3), (4, 2)];
        let expected = [
            [0, 0, refused, refused, refused],
            [0, 1, 1, refused, refused],
            [0, 1, 2, refused, 2],
            [0, 1, 2, 3, 3],
            [0, 1, 2, 3, 4],
        ];
        for (minor, row) in expected.into_iter().enumerate() {
            let version = Version {
                major: 1,
                minor: minor as u16,
            };
            let host = Speaks {
                version,
                draft: false,
            };
            for ((minor, min_host_minor), expected) in plugins.into_iter().zip(row) {
                for major in 0..3 {
                    let plugin = Spoken {
                        version: Version { major, minor },
                        min_host_minor,
                        draft: false,
                        same: false,
                    };
                    let expected = match (major, expected) {
                        (0 | 2, _) => Err(Refusal::Major),
                        (_, minor) if minor == refused => Err(Refusal::HostTooOld),
                        (_, minor) => Ok(minor),
                    };
                    let found = effective_minor(host, plugin);
                    assert_eq!(found, expected, "{host:?}, {plugin:?}");
                }
            }
        }
    }

    #[test]
    fn a_draft_is_spoken_by_two_drafts_with_equal_tables_only() {
        let version = |minor| Version { major: 1, minor };
        // Host (minor, draft), plugin (minor, draft, equal tables), spoken.
        for ((host, host_draft), (minor, draft, same), spoken) in [
            ((1, true), (1, true, true), 1),
            ((1, true), (1, true, false), 0),
            ((1, true), (1, false, true), 0),
            ((1, false), (1, true, true), 0),
            ((1, true), (2, true, true), 0),
            ((2, true), (1, true, true), 0),
            ((2, true), (2, true, true), 2),
            ((2, false), (2, true, true), 1),
            ((1, true), (0, false, false), 0),
        ] {
            let host = Speaks {
                version: version(host),
                draft: host_draft,
            };
            let plugin = Spoken {
                version: version(minor),
                min_host_minor: 0,
                draft,
                same,
            };
            let found = effective_minor(host, plugin);
            assert_eq!(found, Ok(spoken), "{host:?}, {plugin:?}");
            // What it needs is held against what is spoken.
            let needs = Spoken {
                min_host_minor: spoken + 1,
                ..plugin
            };
            assert_eq!(effective_minor(host, needs), Err(Refusal::HostTooOld));
        }
    }
}
