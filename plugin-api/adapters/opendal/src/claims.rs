//! From what an operator offers and its author asserts to what an instance claims.

use crate::opened_operator::OpenedOperator;
use holdall_plugin_api::{Capabilities, Instance, Limits, Operations};

/// How a service keeps names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// Keys are names; `/` means nothing.
    Flat,
    /// Keys are paths; the parts before the last are folders that exist by themselves.
    Folders,
}

/// The most that an instance of the adapter claims, for `export_plugin!`: what is not declared there
/// cannot be claimed by an instance. It claims what its operator offers and its author asserts of this.
pub const CLAIMS: Capabilities = Capabilities::atomic_put
    .with(Capabilities::create_only)
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get)
    .with(Capabilities::if_time)
    .with(Capabilities::suffix)
    .with(Capabilities::unknown_length)
    .with(Capabilities::content_type)
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::server_copy)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::atomic_move)
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after)
    .with(Capabilities::key_and_prefix)
    .with(Capabilities::case_sensitive)
    .with(Capabilities::unicode_exact)
    .with(Capabilities::sign_get)
    .with(Capabilities::sign_put)
    .with(Capabilities::sign_head)
    .with(Capabilities::sign_delete)
    .with(Capabilities::sign_content_type)
    .with(Capabilities::sign_disposition);

/// Smallest pieces of most services; more is not kept in an upload without a known length.
const MAX_PARTS: u64 = 10_000;

impl OpenedOperator {
    /// What this store claims: what follows from the operator, what it offers and the author asserts,
    /// and nothing that was taken away.
    pub fn capabilities(&self) -> Capabilities {
        use Capabilities as C;
        let offers = &self.capability;
        let when = |yes: bool, what: Capabilities| if yes { what } else { C::EMPTY };
        let read_if = |read: bool, stat: bool, what| when(read && (stat || !offers.stat), what);

        // What is true by the operator's own word, or by what the adapter does.
        let plain = C::EMPTY
            .with(read_if(
                offers.read_with_if_match,
                offers.stat_with_if_match,
                C::if_match_get,
            ))
            .with(read_if(
                offers.read_with_if_none_match,
                offers.stat_with_if_none_match,
                C::if_none_match_get,
            ))
            .with(read_if(
                offers.read_with_if_modified_since && offers.read_with_if_unmodified_since,
                offers.stat_with_if_modified_since && offers.stat_with_if_unmodified_since,
                C::if_time,
            ))
            .with(when(offers.read_with_suffix, C::suffix))
            .with(when(offers.write, C::unknown_length))
            .with(when(offers.write_with_content_type, C::content_type))
            .with(when(
                offers.write_with_cache_control,
                C::header_cache_control,
            ))
            .with(when(
                offers.write_with_content_disposition,
                C::header_content_disposition,
            ))
            .with(when(
                offers.write_with_content_encoding,
                C::header_content_encoding,
            ))
            .with(when(offers.list, C::ordered_list.with(C::start_after)))
            .with(when(offers.presign_read, C::sign_get))
            .with(when(offers.presign_write, C::sign_put))
            .with(when(offers.presign_stat, C::sign_head))
            .with(when(offers.presign_delete, C::sign_delete));

        // What the operator offers, and only its author knows how well.
        let asserted = C::atomic_put
            .with(C::key_and_prefix)
            .with(C::case_sensitive)
            .with(C::unicode_exact)
            .with(when(offers.write_with_if_not_exists, C::create_only))
            .with(when(offers.write_with_if_match, C::if_match_put))
            .with(when(offers.delete_with_if_match, C::if_match_delete))
            .with(when(offers.write_with_user_metadata, C::user_metadata))
            .with(when(offers.copy, C::server_copy))
            .with(when(
                offers.copy && offers.copy_with_if_not_exists,
                C::copy_create_only,
            ))
            .with(when(offers.rename, C::atomic_move))
            .with(when(offers.presign_write, C::sign_content_type))
            .with(when(
                offers.presign_read
                    && offers.read_with_override_content_disposition
                    && offers.read_with_override_content_type,
                C::sign_disposition,
            ));

        plain
            .with(asserted.both(self.asserts))
            .without(self.without)
    }

    /// Whether an object can be written piece by piece.
    pub(crate) fn takes_parts(&self) -> bool {
        self.capability.write_can_multi && !self.in_one_piece
    }

    /// The size of a part, within what the service takes.
    pub(crate) fn part(&self) -> usize {
        let least = self.capability.write_multi_min_size.unwrap_or(1);
        let most = self.capability.write_multi_max_size.unwrap_or(usize::MAX);
        self.part_bytes.max(least).min(most)
    }

    /// The size of a part of an object of this length: large objects get larger parts, because
    /// services bound their number.
    pub(crate) fn part_for(&self, length: Option<u64>) -> usize {
        let most = self.capability.write_multi_max_size.unwrap_or(usize::MAX);
        let needed = length.unwrap_or(0).div_ceil(MAX_PARTS);
        let needed = usize::try_from(needed.next_multiple_of(1 << 20)).unwrap_or(usize::MAX);
        self.part().max(needed).min(most)
    }

    pub(crate) fn instance(&self) -> Instance {
        let mut instance = Instance::new(&self.description);
        instance.capabilities = Some(self.capabilities());
        let mut limits = Limits::default();
        let total = self
            .capability
            .write_total_max_size
            .map(|bytes| bytes as u64);
        let smaller = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        limits.max_object_size = smaller(self.max_object_size, total);
        limits.buffer_bytes = 3 * self.part() as u64;
        if !self.takes_parts() {
            limits.max_object_size = smaller(limits.max_object_size, Some(self.whole_bytes as u64));
            limits.buffer_bytes = self.whole_bytes as u64;
        }
        limits.max_metadata_bytes = self.max_metadata_bytes;
        limits.max_key_bytes = self.max_key_bytes;
        limits.max_sign_seconds = self.max_sign_seconds;
        limits.retries = self.retries;
        instance.limits = limits;
        if !self.capability.list {
            instance.operations = Some(Operations::ALL.without(Operations::list));
        }
        instance
    }
}

#[cfg(test)]
mod tests {
    use super::CLAIMS;
    use crate::OpenedOperator;
    use holdall_plugin_api::{Capabilities, Capability};
    use opendal_core::Operator;
    use opendal_core::services::Memory;

    fn store() -> OpenedOperator {
        OpenedOperator::new(Operator::new(Memory::default()).unwrap(), "memory")
    }

    #[test]
    fn an_assertion_needs_an_offer_and_an_offer_an_assertion() {
        let bare = store();
        assert!(
            !bare.capabilities().has(Capability::CreateOnly),
            "offered, not asserted"
        );
        let asserted = bare.asserts(Capabilities::create_only.with(Capabilities::if_match_put));
        assert!(asserted.capabilities().has(Capability::CreateOnly));
        assert!(
            !asserted.capabilities().has(Capability::IfMatchPut),
            "asserted, not offered"
        );
        let narrowed = asserted.without(Capabilities::create_only.with(Capabilities::suffix));
        assert!(!narrowed.capabilities().has(Capability::CreateOnly));
        assert!(!narrowed.capabilities().has(Capability::Suffix));
    }

    #[test]
    fn a_store_that_offers_and_asserts_everything_claims_exactly_what_is_declared() {
        let mut store = store().asserts(Capability::ALL.iter().copied().collect());
        store.capability = opendal_core::Capability {
            stat: true,
            stat_with_if_match: true,
            stat_with_if_none_match: true,
            stat_with_if_modified_since: true,
            stat_with_if_unmodified_since: true,
            read: true,
            read_with_if_match: true,
            read_with_if_none_match: true,
            read_with_if_modified_since: true,
            read_with_if_unmodified_since: true,
            read_with_suffix: true,
            read_with_override_content_type: true,
            read_with_override_content_disposition: true,
            write: true,
            write_with_content_type: true,
            write_with_content_disposition: true,
            write_with_content_encoding: true,
            write_with_cache_control: true,
            write_with_if_match: true,
            write_with_if_not_exists: true,
            write_with_user_metadata: true,
            delete: true,
            delete_with_if_match: true,
            copy: true,
            copy_with_if_not_exists: true,
            rename: true,
            list: true,
            presign_read: true,
            presign_write: true,
            presign_stat: true,
            presign_delete: true,
            ..store.capability
        };
        assert_eq!(store.capabilities(), CLAIMS);
    }

    #[test]
    fn parts_grow_with_the_object() {
        let store = store();
        assert_eq!(store.part_for(None), 8 << 20);
        assert_eq!(store.part_for(Some(2 << 30)), 8 << 20);
        assert_eq!(store.part_for(Some(10_000 * (20 << 20))), 20 << 20);
        assert_eq!(store.part_for(Some(10_000 * (20 << 20) + 1)), 21 << 20);
    }

    #[test]
    fn an_object_in_one_piece_is_bounded() {
        let limits = store().whole_bytes(1 << 20).instance().limits;
        assert_eq!(limits.max_object_size, Some(1 << 20));
        assert_eq!(limits.buffer_bytes, 1 << 20);
    }
}
