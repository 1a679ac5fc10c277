//! What may change in the tables, and what may not: rule R1 as a function over data.

use std::collections::BTreeMap;
use std::fmt::Write;

/// One field, as the golden file has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) size: usize,
    pub(crate) align: usize,
    pub(crate) since: u16,
    #[serde(rename = "type")]
    pub(crate) ty: String,
}

/// Tables by name, with their fields in order.
pub(crate) type Tables = Vec<(String, Vec<Field>)>;

/// What these tables were in an earlier minor.
pub(crate) fn cut(tables: &Tables, minor: u16) -> Tables {
    let known = |fields: &[Field]| -> Vec<Field> {
        let fields = fields.iter().filter(|field| field.since <= minor);
        fields.cloned().collect()
    };
    tables
        .iter()
        .map(|(name, fields)| (name.clone(), known(fields)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect()
}

/// The text of a golden file.
pub(crate) fn write(tables: &Tables) -> String {
    let comma = |at: usize, of: usize| if at + 1 < of { "," } else { "" };
    let mut out = String::from("{\n");
    for (index, (name, fields)) in tables.iter().enumerate() {
        writeln!(out, "  \"{name}\": [").unwrap();
        for (at, field) in fields.iter().enumerate() {
            let Field {
                name,
                offset,
                size,
                align,
                since,
                ty,
            } = field;
            writeln!(
                out,
                "    {{\"name\": \"{name}\", \"offset\": {offset}, \"size\": {size}, \"align\": {align}, \"since\": {since}, \"type\": \"{ty}\"}}{}",
                comma(at, fields.len())
            )
            .unwrap();
        }
        writeln!(out, "  ]{}", comma(index, tables.len())).unwrap();
    }
    out + "}\n"
}

/// A golden file, with the order that it has.
pub(crate) fn read(text: &str) -> Tables {
    let known: BTreeMap<String, Vec<Field>> = serde_json::from_str(text).unwrap();
    // The parser sorts by name; the file's own order is that of `tables.rs`.
    let mut tables: Tables = known.into_iter().collect();
    tables.sort_by_key(|(name, _)| text.find(&format!("\n  \"{name}\": [")));
    tables
}

/// Everything that keeps today's tables from being what every earlier minor promised, with no more
/// than additions of the newest minor at the ends of tables. `promised[m]` is the golden file of
/// minor `m`; the newest may be that of a draft, which is compared like the others.
pub(crate) fn problems(promised: &[Tables], today: &Tables) -> Vec<String> {
    let newest = promised.len() as u16 - 1;
    let mut problems = Vec::new();
    for (name, fields) in today {
        for pair in fields.windows(2) {
            let (before, field) = (&pair[0], &pair[1]);
            if field.since < before.since {
                problems.push(format!(
                    "{name}.{}: came in 1.{}, but stands behind `{}`, which came in 1.{}: only append",
                    field.name, field.since, before.name, before.since
                ));
            }
        }
        let late = fields.iter().filter(|field| field.since > newest);
        problems.extend(late.map(|field| {
            format!(
                "{name}.{}: since 1.{}, and there is no golden file of it: raise the minor",
                field.name, field.since
            )
        }));
    }
    for (minor, promised) in promised.iter().enumerate() {
        let now = cut(today, minor as u16);
        for (name, before) in promised {
            let Some((_, now)) = now.iter().find(|(now, _)| now == name) else {
                problems.push(format!("{name}: it was in 1.{minor}, and is gone"));
                continue;
            };
            compare(name, minor, before, now, &mut problems);
        }
        let new = now
            .iter()
            .filter(|(name, _)| !promised.iter().any(|(known, _)| known == name));
        problems.extend(new.map(|(name, _)| {
            format!("{name}: it was not in 1.{minor}: a new table needs a new minor")
        }));
    }
    problems
}

fn compare(name: &str, minor: usize, before: &[Field], now: &[Field], out: &mut Vec<String>) {
    for field in now {
        if !before.iter().any(|known| known.name == field.name) {
            out.push(format!(
                "{name}.{}: it was not in 1.{minor}: a new field needs a new minor",
                field.name
            ));
        }
    }
    for field in before {
        let Some(same) = now.iter().find(|known| known.name == field.name) else {
            out.push(format!(
                "{name}.{}: it was in 1.{minor}, and is gone",
                field.name
            ));
            continue;
        };
        let mut changed =
            |what: &str, before: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
                out.push(format!(
                    "{name}.{}: its {what} in 1.{minor} is {before}, now {now}",
                    field.name
                ));
            };
        if same.ty != field.ty {
            changed("type", &field.ty, &same.ty);
        }
        if same.offset != field.offset {
            changed("offset", &field.offset, &same.offset);
        }
        if (same.size, same.align) != (field.size, field.align) {
            changed("size", &field.size, &same.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, offset: usize, since: u16, ty: &str) -> Field {
        Field {
            name: name.to_owned(),
            offset,
            size: 8,
            align: 8,
            since,
            ty: ty.to_owned(),
        }
    }

    /// Two tables of 1.0.
    fn first() -> Tables {
        vec![
            (
                "Args".to_owned(),
                vec![
                    field("size", 0, 0, "usize"),
                    field("key", 8, 0, "u64"),
                    field("limit", 16, 0, "u64"),
                ],
            ),
            ("Out".to_owned(), vec![field("size", 0, 0, "usize")]),
        ]
    }

    fn changed(change: impl FnOnce(&mut Tables)) -> Tables {
        let mut tables = first();
        change(&mut tables);
        tables
    }

    /// The problems of a change to 1.0, when no minor was added.
    fn without_bump(change: impl FnOnce(&mut Tables)) -> Vec<String> {
        problems(&[first()], &changed(change))
    }

    #[test]
    fn nothing_changed() {
        assert!(without_bump(|_| {}).is_empty());
        assert_eq!(read(&write(&first())), first());
    }

    #[test]
    fn a_field_at_the_tail_with_a_new_minor_is_the_way() {
        let today = changed(|tables| tables[0].1.push(field("more", 24, 1, "u64")));
        assert!(problems(&[first(), today.clone()], &today).is_empty());
    }

    #[test]
    fn a_new_table_with_a_new_minor_is_fine() {
        let today = changed(|tables| {
            tables.push(("New".to_owned(), vec![field("size", 0, 1, "usize")]));
        });
        assert!(problems(&[first(), today.clone()], &today).is_empty());
        let unbumped = without_bump(|tables| {
            tables.push(("New".to_owned(), vec![field("size", 0, 0, "usize")]));
        });
        assert_eq!(
            unbumped,
            ["New: it was not in 1.0: a new table needs a new minor"]
        );
    }

    #[test]
    fn a_field_at_the_tail_without_a_new_minor_is_refused() {
        let as_old = without_bump(|tables| tables[0].1.push(field("more", 24, 0, "u64")));
        assert_eq!(
            as_old,
            ["Args.more: it was not in 1.0: a new field needs a new minor"]
        );
        let as_new = without_bump(|tables| tables[0].1.push(field("more", 24, 1, "u64")));
        assert_eq!(
            as_new,
            ["Args.more: since 1.1, and there is no golden file of it: raise the minor"]
        );
    }

    #[test]
    fn a_field_that_is_not_at_the_tail_is_refused_with_a_new_minor_too() {
        let today = changed(|tables| {
            tables[0].1.insert(2, field("more", 16, 1, "u64"));
            tables[0].1[3].offset = 24;
        });
        assert_eq!(
            problems(&[first(), today.clone()], &today),
            [
                "Args.limit: came in 1.0, but stands behind `more`, which came in 1.1: only append",
                "Args.limit: its offset in 1.0 is 16, now 24",
            ]
        );
    }

    #[test]
    fn another_type_of_the_same_size_is_refused() {
        assert_eq!(
            without_bump(|tables| tables[0].1[1].ty = "i64".to_owned()),
            ["Args.key: its type in 1.0 is u64, now i64"]
        );
        // Also when a new minor says so, and its own golden file with it.
        let today = changed(|tables| tables[0].1[1].ty = "i64".to_owned());
        assert_eq!(
            problems(&[first(), today.clone()], &today),
            ["Args.key: its type in 1.0 is u64, now i64"]
        );
    }

    #[test]
    fn two_fields_that_change_places_are_refused() {
        let problems = without_bump(|tables| {
            tables[0].1.swap(1, 2);
            (tables[0].1[1].offset, tables[0].1[2].offset) = (8, 16);
        });
        assert_eq!(
            problems,
            [
                "Args.key: its offset in 1.0 is 8, now 16",
                "Args.limit: its offset in 1.0 is 16, now 8",
            ]
        );
    }

    #[test]
    fn what_is_gone_is_refused() {
        assert_eq!(
            without_bump(|tables| drop(tables[0].1.pop())),
            ["Args.limit: it was in 1.0, and is gone"]
        );
        assert_eq!(
            without_bump(|tables| drop(tables.pop())),
            ["Out: it was in 1.0, and is gone"]
        );
    }

    #[test]
    fn another_size_is_refused() {
        assert_eq!(
            without_bump(|tables| tables[0].1[2].size = 4),
            ["Args.limit: its size in 1.0 is 8, now 4"]
        );
    }
}
