//! Capabilities and limits of an opened store, as the file system under it allows.

use crate::engine::probe::{CreateOnly, Probe};
use crate::engine::store::LocalStore;
use holdall_plugin_api::{Capabilities, Instance};

/// Capabilities on a complete file system; the descriptor declares the same.
const EVERYTHING: Capabilities = Capabilities::atomic_put
    .with(Capabilities::create_only)
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get)
    .with(Capabilities::if_time)
    .with(Capabilities::suffix)
    .with(Capabilities::unknown_length)
    .with(METADATA)
    .with(Capabilities::server_copy)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::atomic_move)
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after)
    .with(Capabilities::case_sensitive)
    .with(Capabilities::unicode_exact)
    .with(Capabilities::usage)
    .with(Capabilities::exact_delete)
    .with(Capabilities::durability)
    .with(Capabilities::custom)
    .with(PARTS)
    .with(Capabilities::ranges)
    .with(COPIES)
    .with(UPDATES)
    .with(Capabilities::read_into)
    .with(Capabilities::lend_file);

/// Uploads in parts.
const PARTS: Capabilities = Capabilities::parts.with(Capabilities::parts_any_size);

/// Conditions of copies.
const COPIES: Capabilities = Capabilities::copy_if_match.with(Capabilities::copy_source_conditions);

/// Changes of what is kept beside the bytes, which replace the version that was read and no other.
const UPDATES: Capabilities = Capabilities::copy_replace_metadata
    .with(Capabilities::update_headers)
    .with(Capabilities::update_metadata);

/// Capabilities that need extended attributes or sidecars.
const METADATA: Capabilities = Capabilities::content_type
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::header_content_language)
    .with(Capabilities::checksum_crc32c);

/// Capabilities that need file times which tell versions apart.
const ETAGS: Capabilities = Capabilities::if_match_put
    .with(Capabilities::if_match_delete)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get)
    .with(COPIES)
    .with(UPDATES);

/// Capabilities that cannot be tried where nothing can be written.
const WRITES: Capabilities = Capabilities::create_only
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::server_copy)
    .with(Capabilities::atomic_move)
    .with(Capabilities::durability)
    .with(PARTS)
    .with(COPIES)
    .with(UPDATES);

/// Bytes of the attribute that are left to a large type and headers when user metadata is at its
/// limit.
const BESIDE_USER_METADATA: u32 = 1000;

/// Capabilities of this store.
pub(crate) fn capabilities_of(store: &LocalStore) -> Capabilities {
    let writable = store.unwritable().is_none();
    capabilities(&store.probe, store.keeps_metadata(), writable)
}

fn capabilities(probe: &Probe, keeps_metadata: bool, writable: bool) -> Capabilities {
    let without = [
        (writable, WRITES),
        (cfg!(target_os = "linux"), Capabilities::lend_file),
        (!probe.in_memory, Capabilities::durability),
        (keeps_metadata, METADATA.with(UPDATES)),
        (probe.time_step.is_some(), ETAGS),
        (
            probe.create_only != CreateOnly::No,
            Capabilities::create_only.with(Capabilities::copy_create_only),
        ),
        (probe.case_sensitive, Capabilities::case_sensitive),
        (probe.unicode_exact, Capabilities::unicode_exact),
    ];
    without
        .into_iter()
        .filter(|(has, _)| !has)
        .fold(EVERYTHING, |all, (_, lost)| all.without(lost))
}

/// Capabilities, limits and description of this store.
pub(crate) fn instance_of(store: &LocalStore) -> Instance {
    let probe = &store.probe;
    let mut instance = Instance::new(format!("file://{}", store.path().display()));
    instance.capabilities = Some(capabilities_of(store));
    if let Some(bytes) = probe.attribute_bytes {
        let room = bytes.saturating_sub(BESIDE_USER_METADATA.min(bytes / 2));
        instance.limits.max_metadata_bytes = instance.limits.max_metadata_bytes.min(room);
    }
    let age = store.upload_age().map(|age| age.as_secs());
    instance.limits.max_upload_seconds = age.and_then(|age| u32::try_from(age).ok());
    instance
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::descriptor::Descriptor;

    #[test]
    fn the_descriptor_declares_what_a_complete_file_system_has() {
        let declared = Descriptor::parse(crate::PLUGIN.section).unwrap();
        assert_eq!(declared.capabilities, EVERYTHING);
        let lent = match cfg!(target_os = "linux") {
            true => Capabilities::EMPTY,
            false => Capabilities::lend_file,
        };
        let complete = capabilities(&Probe::COMPLETE, true, true);
        assert_eq!(complete, EVERYTHING.without(lent));
    }

    #[test]
    fn missing_features_of_a_file_system_are_not_claimed() {
        let poor = Probe {
            attribute_bytes: None,
            time_step: None,
            create_only: CreateOnly::No,
            case_sensitive: false,
            unicode_exact: false,
            in_memory: true,
            remembered: false,
        };
        let left = capabilities(&poor, false, true);
        let lost = METADATA
            .with(UPDATES)
            .with(ETAGS)
            .with(Capabilities::create_only)
            .with(Capabilities::copy_create_only)
            .with(Capabilities::case_sensitive)
            .with(Capabilities::unicode_exact)
            .with(Capabilities::durability);
        assert_eq!(left, EVERYTHING.without(lost));
        assert!(left.contains(Capabilities::atomic_put.with(Capabilities::ordered_list)));
        // Sidecars keep metadata where attributes do not.
        assert!(capabilities(&poor, true, true).contains(METADATA));
    }
}
