//! The cases, one file or folder for each group, and their registry.

mod checksums;
mod concurrency;
mod conditions;
mod configuration;
mod copies;
mod deletes;
mod downloads;
mod durability;
mod errors;
mod handed_over;
mod identity;
mod keys;
mod listings;
mod parts;
mod ranges;
mod remote;
mod signing;
mod streaming;
mod updates;
mod uploads;
mod versions;

use crate::case::Case;
use std::sync::LazyLock;

/// Every case, group by group. Group N comes last, and of it N-01 and N-03, which look back on the
/// others.
pub fn all() -> &'static [Case] {
    static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| {
        [
            identity::CASES,
            configuration::CASES,
            keys::CASES,
            uploads::CASES,
            durability::CASES,
            streaming::CASES,
            conditions::CASES,
            downloads::CASES,
            deletes::CASES,
            listings::CASES,
            copies::CASES,
            signing::CASES,
            checksums::CASES,
            concurrency::CASES,
            parts::CASES,
            ranges::CASES,
            versions::CASES,
            updates::CASES,
            handed_over::CASES,
            errors::CASES,
        ]
        .concat()
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use super::all;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut seen = HashSet::new();
        for case in all() {
            let (group, number) = case.id.split_at(1);
            assert!(group.bytes().all(|b| b.is_ascii_uppercase()), "{case:?}");
            assert!(
                number.len() == 3 && number[1..].parse::<u8>().is_ok(),
                "{case:?}"
            );
            assert!(seen.insert(case.id), "{} twice", case.id);
            assert!(
                !case.reason.is_empty() && !case.reason.ends_with('.'),
                "{case:?}"
            );
        }
    }

    #[test]
    fn groups_are_sorted_with_n_last() {
        let order = |id: &'static str| (id.starts_with('N'), ["N-01", "N-03"].contains(&id), id);
        assert!(all().is_sorted_by_key(|case| order(case.id)));
    }
}
