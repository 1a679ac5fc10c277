//! Which minor of the ABI host and plugin speak: the rule, apart from where the numbers come from.

use holdall_plugin_api::abi::Version;
use holdall_plugin_api::descriptor::Descriptor;

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
}

impl From<&Descriptor> for Spoken {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            version: Version {
                major: descriptor.abi_major,
                minor: descriptor.abi_minor,
            },
            min_host_minor: descriptor.min_host_minor,
        }
    }
}

/// The minor that both know: the smaller. Majors must be equal, and the host at least as new as the
/// plugin needs; a plugin may be of a later minor than the host, which then uses less of it.
pub(crate) fn effective_minor(host: Version, plugin: Spoken) -> Result<u16, Refusal> {
    if plugin.version.major != host.major {
        return Err(Refusal::Major);
    }
    if plugin.min_host_minor > host.minor {
        return Err(Refusal::HostTooOld);
    }
    Ok(plugin.version.minor.min(host.minor))
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
            let host = Version {
                major: 1,
                minor: minor as u16,
            };
            for ((minor, min_host_minor), expected) in plugins.into_iter().zip(row) {
                for major in 0..3 {
                    let plugin = Spoken {
                        version: Version { major, minor },
                        min_host_minor,
                    };
                    let expected = match (major, expected) {
                        (0 | 2, _) => Err(Refusal::Major),
                        (_, minor) if minor == refused => Err(Refusal::HostTooOld),
                        (_, minor) => Ok(minor),
                    };
                    let found = effective_minor(host, plugin);
                    assert_eq!(found, expected, "host {host}, {plugin:?}");
                }
            }
        }
    }
}
