//! One function a behaviour. Each works on partitions of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::{INDEX, PLAIN, Subject, WIDE};
use crate::error::Error;
use crate::read::{Get, Range, Resume, Scan, TokenRange, TokenScan};
use crate::row::Row;
use crate::value::{Value, Values};
use crate::write::{Batch, Cas, Mutation, Outcome, Ttl, delete, delete_range, upsert, upsert_statics};
use crate::{Target, Test, Token, key};
use bytes::Bytes;
use riskmesh_core::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

async fn write(subject: &Subject, part: i32, mutations: impl IntoIterator<Item = Mutation>) {
    let mut batch = Batch::new(&WIDE, subject.part(part));
    batch.mutations.extend(mutations);
    subject.store.apply(vec![batch]).await.unwrap();
}

/// Writes rows `(a, b)` with `v_number` counting up.
async fn rows(subject: &Subject, part: i32, keys: &[(&str, i64)]) {
    let upserts = keys.iter().enumerate().map(|(i, key)| upsert(*key).set("v_number", i as i64).into());
    write(subject, part, upserts).await;
}

async fn get(subject: &Subject, part: i32, key: (&str, i64)) -> Option<Row> {
    subject.store.get(Get::row(&WIDE, subject.part(part), key)).await.unwrap()
}

async fn statics(subject: &Subject, part: i32) -> Option<Row> {
    subject.store.get(Get::statics(&WIDE, subject.part(part))).await.unwrap()
}

fn keys(rows: &[Row]) -> Vec<(&str, i64)> {
    rows.iter().map(|row| (row.text("a").unwrap(), row.bigint("b").unwrap())).collect()
}

async fn scan_keys(subject: &Subject, scan: Scan) -> Vec<(String, i64)> {
    let page = subject.store.scan(scan).await.unwrap();
    keys(&page.rows).into_iter().map(|(a, b)| (a.to_owned(), b)).collect()
}

fn owned(keys: &[(&str, i64)]) -> Vec<(String, i64)> {
    keys.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect()
}

/// Every type, at its extremes, comes back as it was written; what was never written is absent.
pub async fn rows_of_every_type_read_back(subject: &Subject) {
    let long = "ß".repeat(5000);
    for (b, number, small, at) in
        [(i64::MIN, i64::MIN, i32::MIN, i64::MIN), (0, -1, 0, -1), (i64::MAX, i64::MAX, i32::MAX, i64::MAX)]
    {
        let row = upsert((long.as_str().get(..1000).unwrap(), b))
            .set("v_text", long.as_str())
            .set("v_number", number)
            .set("v_small", small)
            .set("v_blob", Bytes::from((0..=255).collect::<Vec<u8>>()))
            .set("v_flag", b == 0)
            .set("v_at", Timestamp(at.clamp(-(1 << 53), 1 << 53)))
            .set("v_id", Uuid::from_u128(number as u128));
        write(subject, i32::MIN, [row.into()]).await;
        let row = get(subject, i32::MIN, (&long[..1000], b)).await.unwrap();
        assert_eq!(row.partition(), subject.part(i32::MIN));
        assert_eq!(row.clustering(), Some((&long[..1000], b).into()));
        assert_eq!(row.text("v_text").unwrap(), long);
        assert_eq!(row.bigint("v_number").unwrap(), number);
        assert_eq!(row.int("v_small").unwrap(), small);
        assert_eq!(row.blob("v_blob").unwrap().len(), 256);
        assert_eq!(row.boolean("v_flag").unwrap(), b == 0);
        assert_eq!(row.timestamp("v_at").unwrap(), Timestamp(at.clamp(-(1 << 53), 1 << 53)));
        assert_eq!(row.uuid("v_id").unwrap(), Uuid::from_u128(number as u128));
        assert_eq!(row.text_opt("s_text").unwrap(), None);
    }
    assert_eq!(get(subject, i32::MIN, ("never", 0)).await, None);
    assert_eq!(get(subject, i32::MAX, ("never", 0)).await, None);
}

/// An upsert writes the columns that it names.
pub async fn upserts_keep_other_columns_and_nulls_delete(subject: &Subject) {
    write(subject, 0, [upsert(("a", 1_i64)).set("v_text", "old").set("v_number", 1_i64).into()]).await;
    write(subject, 0, [upsert(("a", 1_i64)).set("v_text", "new").set("v_flag", true).into()]).await;
    let row = get(subject, 0, ("a", 1)).await.unwrap();
    assert_eq!(row.text("v_text").unwrap(), "new");
    assert_eq!(row.bigint("v_number").unwrap(), 1);
    assert!(row.boolean("v_flag").unwrap());

    write(subject, 0, [upsert(("a", 1_i64)).set("v_text", None::<&str>).into()]).await;
    let row = get(subject, 0, ("a", 1)).await.unwrap();
    assert_eq!(row.text_opt("v_text").unwrap(), None);
    assert_eq!(row.bigint("v_number").unwrap(), 1);
    assert!(matches!(row.text("v_text"), Err(Error::Null { column: "v_text", .. })));
    assert!(matches!(row.text("v_number"), Err(Error::WrongType { column: "v_number", .. })));
    assert!(matches!(row.text("nothing"), Err(Error::NoSuchColumn { .. })));
}

/// A row exists because it was upserted, not because of its values.
pub async fn a_row_of_keys_alone_exists(subject: &Subject) {
    write(subject, 0, [upsert(("bare", 0_i64)).into()]).await;
    write(subject, 0, [upsert(("emptied", 0_i64)).set("v_text", "x").into()]).await;
    write(subject, 0, [upsert(("emptied", 0_i64)).set("v_text", None::<&str>).into()]).await;
    assert!(get(subject, 0, ("bare", 0)).await.is_some());
    assert!(get(subject, 0, ("emptied", 0)).await.is_some());
    assert_eq!(statics(subject, 0).await, None, "rows make no statics");

    write(subject, 1, [upsert_statics().set("s_text", "x").into()]).await;
    assert!(statics(subject, 1).await.is_some());
    assert_eq!(get(subject, 1, ("bare", 0)).await, None, "statics make no rows");
    write(subject, 1, [upsert_statics().set("s_text", None::<&str>).into()]).await;
    assert_eq!(statics(subject, 1).await, None, "statics of nulls are none");
}

/// A table of keys only, with a partition key of one text column, ordered by descending UUID.
pub async fn a_table_without_values_is_a_set(subject: &Subject) {
    let ids: Vec<Uuid> = [
        "00000000-0000-7000-8000-000000000002",
        "00000000-0000-7000-8000-000000000001",
        "ffffffff-0000-4000-8000-000000000000",
        // Version 1 by time, whose high bits stand at the end of the first half.
        "00000002-0001-1000-8000-000000000000",
        "00000001-0002-1000-8000-000000000000",
    ]
    .iter()
    .map(|id| id.parse().unwrap())
    .collect();
    for id in ids.iter().chain(&ids) {
        let batch = Batch::new(&INDEX, subject.index("set")).with(upsert(*id));
        subject.store.apply(vec![batch]).await.unwrap();
    }
    let page = subject.store.scan(Scan::new(&INDEX, subject.index("set"), 10)).await.unwrap();
    let found: Vec<_> = page.rows.iter().map(|row| row.uuid("member").unwrap()).collect();
    assert_eq!(
        found,
        [ids[0], ids[1], ids[2], ids[4], ids[3]],
        "by version, then by time or bytes, descending"
    );
    let other = Get::row(&INDEX, subject.index("se"), ids[0]);
    assert_eq!(subject.store.get(other).await.unwrap(), None, "a key that is a prefix of another is another");
}

/// Deletions of rows.
pub async fn deleting_a_row_leaves_its_neighbours_and_the_statics(subject: &Subject) {
    rows(subject, 0, &[("a", 1), ("a", 2), ("b", 1)]).await;
    write(subject, 0, [upsert_statics().set("s_text", "kept").into()]).await;
    write(subject, 0, [delete(("a", 2_i64)), delete(("never", 2_i64))]).await;
    assert_eq!(get(subject, 0, ("a", 2)).await, None);
    let page = subject.store.scan(Scan::new(&WIDE, subject.part(0), 10).with_statics()).await.unwrap();
    assert_eq!(keys(&page.rows), [("a", 1), ("b", 1)]);
    assert_eq!(page.statics.unwrap().text("s_text").unwrap(), "kept");
    rows(subject, 0, &[("a", 2)]).await;
    let row = get(subject, 0, ("a", 2)).await.unwrap();
    assert_eq!(row.bigint("v_number").unwrap(), 0, "written again, it is a new row");
}

/// Ascending text, then descending numbers; and the reverse of that.
pub async fn scans_go_in_clustering_order_both_ways(subject: &Subject) {
    let mut order = [
        ("", 0),
        ("\0", 3),
        ("a", 5),
        ("a", 2),
        ("a", -7),
        ("a\0", 9),
        ("a\0\u{1}", 0),
        ("aa", 0),
        ("ÿ", i64::MIN),
    ];
    rows(subject, 0, &[&order[4..], &order[..4]].concat()).await;
    rows(subject, 1, &[("other", 1)]).await;
    assert_eq!(scan_keys(subject, Scan::new(&WIDE, subject.part(0), 100)).await, owned(&order));
    order.reverse();
    assert_eq!(scan_keys(subject, Scan::new(&WIDE, subject.part(0), 100).reverse()).await, owned(&order));
    assert_eq!(scan_keys(subject, Scan::new(&WIDE, subject.part(2), 100)).await, []);
}

/// Prefixes and bounds, on an ascending and on a descending column.
pub async fn scans_keep_to_their_range(subject: &Subject) {
    rows(subject, 0, &[("a", 1), ("a", 2), ("a", 3), ("a", 4), ("aa", 2), ("b", 2), ("c", 2)]).await;
    let cases: [(Range, &[(&str, i64)]); 10] = [
        (Range::prefix("a"), &[("a", 4), ("a", 3), ("a", 2), ("a", 1)]),
        (Range::prefix("a").at_least(2_i64), &[("a", 4), ("a", 3), ("a", 2)]),
        (Range::prefix("a").above(2_i64).at_most(3_i64), &[("a", 3)]),
        (Range::prefix("a").at_least(2_i64).below(4_i64), &[("a", 3), ("a", 2)]),
        (Range::prefix("a").above(4_i64), &[]),
        (Range::prefix("a").at_least(3_i64).at_most(2_i64), &[]),
        (Range::prefix(("a", 3_i64)), &[("a", 3)]),
        (Range::all().above("a").below("c"), &[("aa", 2), ("b", 2)]),
        (Range::all().at_least("b"), &[("b", 2), ("c", 2)]),
        (Range::all().at_most("aa"), &[("a", 4), ("a", 3), ("a", 2), ("a", 1), ("aa", 2)]),
    ];
    for (range, expected) in cases {
        let scan = Scan::new(&WIDE, subject.part(0), 100).range(range.clone());
        assert_eq!(scan_keys(subject, scan.clone()).await, owned(expected), "{range:?}");
        let reversed: Vec<_> = expected.iter().rev().copied().collect();
        assert_eq!(scan_keys(subject, scan.reverse()).await, owned(&reversed), "{range:?}");
    }
}

/// Pages that go on after a key, even one that has been deleted, show every row once.
pub async fn scans_page_by_key(subject: &Subject) {
    let order = [("a", 9), ("a", 1), ("b", 4), ("b", 3), ("b", 2), ("c", 0)];
    rows(subject, 0, &order).await;
    for size in 1..=7 {
        for reverse in [false, true] {
            let (mut seen, mut after) = (Vec::new(), None::<Values>);
            loop {
                let mut scan = Scan::new(&WIDE, subject.part(0), size);
                scan.after = after;
                let scan = if reverse { scan.reverse() } else { scan };
                let page = subject.store.scan(scan).await.unwrap();
                seen.extend(owned(&keys(&page.rows)));
                assert_eq!(page.more, seen.len() < order.len());
                if !page.more {
                    break;
                }
                after = page.rows.last().unwrap().clustering();
            }
            let mut expected = owned(&order);
            if reverse {
                expected.reverse();
            }
            assert_eq!(seen, expected, "pages of {size}");
        }
    }
    write(subject, 0, [delete(("b", 4_i64))]).await;
    let rest = Scan::new(&WIDE, subject.part(0), 2).after(("b", 4_i64));
    assert_eq!(scan_keys(subject, rest).await, owned(&[("b", 3), ("b", 2)]));
    let range = Range::prefix("b").at_most(3_i64);
    let rest = Scan::new(&WIDE, subject.part(0), 9).range(range).after(("a", 9_i64));
    assert_eq!(scan_keys(subject, rest).await, owned(&[("b", 3), ("b", 2)]));
}

/// Deletions of ranges.
pub async fn range_deletions_keep_to_their_range(subject: &Subject) {
    let order = [("a", 3), ("a", 2), ("a", 1), ("b", 2), ("c", 1)];
    rows(subject, 0, &order).await;
    rows(subject, 1, &order).await;
    write(subject, 0, [upsert_statics().set("s_text", "kept").into()]).await;
    write(subject, 0, [delete_range(Range::prefix("a").at_least(2_i64)), upsert(("d", 0_i64)).into()]).await;
    let all = Scan::new(&WIDE, subject.part(0), 100);
    assert_eq!(scan_keys(subject, all.clone()).await, owned(&[("a", 1), ("b", 2), ("c", 1), ("d", 0)]));
    write(subject, 0, [delete_range(Range::all().above("a").below("d"))]).await;
    assert_eq!(scan_keys(subject, all.clone()).await, owned(&[("a", 1), ("d", 0)]));
    write(subject, 0, [delete_range(Range::all())]).await;
    assert_eq!(scan_keys(subject, all).await, []);
    assert!(statics(subject, 0).await.is_some(), "statics are no rows");
    assert_eq!(scan_keys(subject, Scan::new(&WIDE, subject.part(1), 100)).await, owned(&order));
}

/// `get_many` answers request by request.
pub async fn many_point_reads_answer_in_order(subject: &Subject) {
    rows(subject, 0, &[("a", 1), ("b", 1)]).await;
    let plain = Batch::new(&PLAIN, subject.plain("p")).with(upsert(()).set("v_text", "plain"));
    subject.store.apply(vec![plain]).await.unwrap();
    let gets = vec![
        Get::row(&WIDE, subject.part(0), ("b", 1_i64)),
        Get::row(&WIDE, subject.part(0), ("never", 1_i64)),
        Get::row(&PLAIN, subject.plain("p"), ()),
        Get::row(&WIDE, subject.part(0), ("a", 1_i64)).latest(),
    ];
    let found = subject.store.get_many(gets).await.unwrap();
    let [Some(b), None, Some(plain), Some(a)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((b.bigint("v_number").unwrap(), a.bigint("v_number").unwrap()), (1, 0));
    assert_eq!(plain.text("v_text").unwrap(), "plain");
    assert_eq!(subject.store.get_many(Vec::new()).await.unwrap(), []);
}

/// Insert if absent.
pub async fn a_conditional_insert_happens_once(subject: &Subject) {
    let insert = |text: &'static str| {
        Cas::new(&PLAIN, subject.plain("once")).if_absent(()).with(upsert(()).set("v_text", text))
    };
    assert_eq!(subject.store.cas(insert("first")).await.unwrap(), Outcome::Applied);
    let Outcome::Conflict(current) = subject.store.cas(insert("second")).await.unwrap() else {
        panic!("inserted twice")
    };
    assert_eq!(current.row(()).unwrap().text("v_text").unwrap(), "first");
    let row = subject.store.get(Get::row(&PLAIN, subject.plain("once"), ()).latest()).await.unwrap();
    assert_eq!(row.unwrap().text("v_text").unwrap(), "first");
}

/// Compare and set on a value column.
pub async fn conditions_on_columns_hold_or_show_the_row(subject: &Subject) {
    let key = ("row", 1_i64);
    let insert = Cas::new(&WIDE, subject.part(0))
        .if_absent(key)
        .with(upsert(key).set("v_number", 1_i64).set("v_text", "one"))
        .with(upsert_statics().set("s_text", "shared"));
    assert!(subject.store.cas(insert).await.unwrap().is_applied());
    let bump = |from: i64| {
        Cas::new(&WIDE, subject.part(0))
            .if_equals(key, "v_number", from)
            .if_equals(key, "v_text", "one")
            .with(upsert(key).set("v_number", from + 1))
    };
    assert!(subject.store.cas(bump(1)).await.unwrap().is_applied());
    let Outcome::Conflict(current) = subject.store.cas(bump(1)).await.unwrap() else { panic!("applied") };
    let row = current.row(key).unwrap();
    assert_eq!((row.bigint("v_number").unwrap(), row.text("v_text").unwrap()), (2, "one"));
    assert_eq!(row.text("s_text").unwrap(), "shared", "the row comes with its statics");
    assert_eq!(current.statics.unwrap().text("s_text").unwrap(), "shared");

    let delete_if =
        |number: i64| Cas::new(&WIDE, subject.part(0)).if_equals(key, "v_number", number).with(delete(key));
    assert!(!subject.store.cas(delete_if(7)).await.unwrap().is_applied());
    assert!(subject.store.cas(delete_if(2)).await.unwrap().is_applied());
    assert_eq!(get(subject, 0, key).await, None);
}

/// A static guards what happens in its partition.
pub async fn conditions_on_statics_guard_other_rows(subject: &Subject) {
    let add = |version: Option<i64>, b: i64| {
        Cas::new(&WIDE, subject.part(0))
            .if_static("s_number", version)
            .with(upsert(("row", b)).set("v_number", b))
            .with(upsert_statics().set("s_number", version.unwrap_or(0) + 1))
    };
    assert!(subject.store.cas(add(None, 10)).await.unwrap().is_applied());
    assert!(subject.store.cas(add(Some(1), 11)).await.unwrap().is_applied());
    let Outcome::Conflict(current) = subject.store.cas(add(Some(1), 12)).await.unwrap() else {
        panic!("applied")
    };
    assert_eq!(current.statics.unwrap().bigint("s_number").unwrap(), 2);
    let page = scan_keys(subject, Scan::new(&WIDE, subject.part(0), 10)).await;
    assert_eq!(page, owned(&[("row", 11), ("row", 10)]));

    // Statics guard rows that the batch deletes, and are left alone if it says nothing about them.
    let remove = Cas::new(&WIDE, subject.part(0)).if_static("s_number", 2_i64).with(delete(("row", 10_i64)));
    assert!(subject.store.cas(remove).await.unwrap().is_applied());
    assert_eq!(statics(subject, 0).await.unwrap().bigint("s_number").unwrap(), 2);

    let first = |part| {
        Cas::new(&WIDE, subject.part(part))
            .when(Target::Statics, Test::NotExists)
            .with(upsert_statics().set("s_text", "first"))
    };
    assert!(!subject.store.cas(first(0)).await.unwrap().is_applied(), "it has statics");
    assert!(subject.store.cas(first(1)).await.unwrap().is_applied());
    let exists = |part| {
        Cas::new(&WIDE, subject.part(part))
            .when(Target::Statics, Test::Exists)
            .with(upsert_statics().set("s_text", "second"))
    };
    assert!(subject.store.cas(exists(1)).await.unwrap().is_applied());
    assert!(!subject.store.cas(exists(2)).await.unwrap().is_applied());
}

/// Null is the absence of a value, in a row or without one.
pub async fn conditions_see_nulls_and_missing_rows(subject: &Subject) {
    let key = ("row", 0_i64);
    let if_null = || {
        Cas::new(&WIDE, subject.part(0))
            .if_equals(key, "v_text", None::<&str>)
            .with(upsert(key).set("v_text", "set"))
    };
    let if_exists = || Cas::new(&WIDE, subject.part(0)).if_exists(key).with(upsert(key).set("v_flag", true));
    let if_equals = || {
        Cas::new(&WIDE, subject.part(0)).if_equals(key, "v_text", "set").with(upsert(key).set("v_small", 1))
    };
    assert!(!subject.store.cas(if_exists()).await.unwrap().is_applied());
    assert!(!subject.store.cas(if_equals()).await.unwrap().is_applied());
    assert_eq!(get(subject, 0, key).await, None);
    assert!(
        subject.store.cas(if_null()).await.unwrap().is_applied(),
        "of a missing row every column is null"
    );
    assert!(!subject.store.cas(if_null()).await.unwrap().is_applied());
    assert!(subject.store.cas(if_exists()).await.unwrap().is_applied());
    assert!(subject.store.cas(if_equals()).await.unwrap().is_applied());
    let row = get(subject, 0, key).await.unwrap();
    assert_eq!(row.text("v_text").unwrap(), "set");
    assert_eq!(row.int("v_small").unwrap(), 1);
}

/// One condition of many fails: no mutation of many happens.
pub async fn a_conflict_changes_nothing(subject: &Subject) {
    let (a, b, c) = (("a", 0_i64), ("b", 0_i64), ("c", 0_i64));
    let before = Cas::new(&WIDE, subject.part(0)).if_absent(a).with(upsert(a).set("v_text", "a"));
    assert!(subject.store.cas(before).await.unwrap().is_applied());
    let cas = Cas::new(&WIDE, subject.part(0))
        .if_exists(a)
        .if_absent(b)
        .if_static("s_number", 5_i64)
        .with(delete(a))
        .with(upsert(b).set("v_text", "b"))
        .with(upsert(c).set("v_text", "c"))
        .with(upsert_statics().set("s_number", 6_i64));
    let Outcome::Conflict(current) = subject.store.cas(cas).await.unwrap() else { panic!("applied") };
    assert_eq!(current.row(a).unwrap().text("v_text").unwrap(), "a");
    assert_eq!(current.row(b), None);
    assert_eq!(current.statics, None);
    assert_eq!(scan_keys(subject, Scan::new(&WIDE, subject.part(0), 10)).await, owned(&[a]));
    assert_eq!(statics(subject, 0).await, None);
}

/// `cas_many`: every one has its own outcome.
pub async fn many_conditional_writes_are_independent(subject: &Subject) {
    let insert = |id: usize| {
        Cas::new(&PLAIN, subject.plain(&format!("{id}")))
            .if_absent(())
            .with(upsert(()).set("v_number", id as i64))
    };
    let odd: Vec<_> = (0..200).filter(|id| id % 2 == 1).map(insert).collect();
    let outcomes = subject.store.cas_many(odd).await.unwrap();
    assert!(outcomes.iter().all(Outcome::is_applied));
    let outcomes = subject.store.cas_many((0..200).map(insert).collect()).await.unwrap();
    for (id, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Outcome::Applied => assert_eq!(id % 2, 0),
            Outcome::Conflict(current) => {
                assert_eq!(current.row(()).unwrap().bigint("v_number").unwrap(), id as i64);
            }
            Outcome::Unknown => panic!("unknown"),
        }
    }
    assert_eq!(subject.store.cas_many(Vec::new()).await.unwrap(), []);
}

/// Read, add one, write if unchanged, from many tasks.
pub async fn concurrent_counters_lose_no_increment(subject: &Subject) {
    const TASKS: i64 = 8;
    const INCREMENTS: i64 = 10;
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let (store, partition) = (subject.store.clone(), subject.plain("counter"));
        tasks.push(tokio::spawn(async move {
            for _ in 0..INCREMENTS {
                let mut seen = None;
                loop {
                    let next = upsert(()).set("v_number", seen.unwrap_or(0) + 1);
                    let cas = Cas::new(&PLAIN, &partition).if_equals((), "v_number", seen).with(next);
                    match store.cas(cas).await.unwrap() {
                        Outcome::Applied => break,
                        Outcome::Conflict(current) => {
                            seen = current.row(()).map(|row| row.bigint("v_number").unwrap());
                        }
                        Outcome::Unknown => panic!("nobody fails here"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let get = Get::row(&PLAIN, subject.plain("counter"), ()).latest();
    let row = subject.store.get(get).await.unwrap().unwrap();
    assert_eq!(row.bigint("v_number").unwrap(), TASKS * INCREMENTS);
}

/// Each cell lives as long as it was written for, a row as long as its upsert or its last cell.
pub async fn cells_and_rows_expire(subject: &Subject) {
    let short = Ttl::seconds(2);
    write(subject, 0, [upsert(("whole", 0_i64)).set("v_text", "x").ttl(short).into()]).await;
    write(subject, 0, [upsert(("part", 0_i64)).set("v_text", "stays").set("v_number", 1_i64).into()]).await;
    write(subject, 0, [upsert(("part", 0_i64)).set("v_number", 2_i64).ttl(short).into()]).await;
    write(subject, 0, [upsert(("prolonged", 0_i64)).set("v_text", "x").ttl(short).into()]).await;
    write(subject, 0, [upsert(("prolonged", 0_i64)).set("v_number", 1_i64).into()]).await;
    write(subject, 0, [upsert(("bare", 0_i64)).ttl(short).into()]).await;
    let all = Scan::new(&WIDE, subject.part(0), 10);
    assert_eq!(scan_keys(subject, all.clone()).await.len(), 4);
    assert_eq!(get(subject, 0, ("part", 0)).await.unwrap().bigint("v_number").unwrap(), 2);

    subject.advance(3).await;
    assert_eq!(scan_keys(subject, all).await, owned(&[("part", 0), ("prolonged", 0)]));
    assert_eq!(get(subject, 0, ("whole", 0)).await, None);
    assert_eq!(get(subject, 0, ("bare", 0)).await, None);
    let part = get(subject, 0, ("part", 0)).await.unwrap();
    assert_eq!(part.text("v_text").unwrap(), "stays");
    assert_eq!(part.bigint_opt("v_number").unwrap(), None, "the value before does not come back");
    let prolonged = get(subject, 0, ("prolonged", 0)).await.unwrap();
    assert_eq!(prolonged.text_opt("v_text").unwrap(), None);
}

/// What has expired is gone for conditions too.
pub async fn an_expired_row_can_be_inserted_again(subject: &Subject) {
    let insert = |text: &'static str| {
        Cas::new(&PLAIN, subject.plain("lease"))
            .if_absent(())
            .with(upsert(()).set("v_text", text).ttl(Ttl::seconds(2)))
    };
    assert!(subject.store.cas(insert("first")).await.unwrap().is_applied());
    assert!(!subject.store.cas(insert("second")).await.unwrap().is_applied());
    subject.advance(3).await;
    assert!(subject.store.cas(insert("third")).await.unwrap().is_applied());
    let row = subject.store.get(Get::row(&PLAIN, subject.plain("lease"), ())).await.unwrap().unwrap();
    assert_eq!(row.text("v_text").unwrap(), "third");
}

/// Statics expire cell by cell.
pub async fn statics_expire_by_themselves(subject: &Subject) {
    write(subject, 0, [upsert(("row", 0_i64)).into()]).await;
    write(subject, 0, [upsert_statics().set("s_text", "x").ttl(Ttl::seconds(2)).into()]).await;
    write(subject, 1, [upsert_statics().set("s_text", "x").set("s_number", 1_i64).into()]).await;
    write(subject, 1, [upsert_statics().set("s_text", "y").ttl(Ttl::seconds(2)).into()]).await;
    assert!(statics(subject, 0).await.is_some());
    subject.advance(3).await;
    assert_eq!(statics(subject, 0).await, None);
    assert_eq!(get(subject, 0, ("row", 0)).await.unwrap().text_opt("s_text").unwrap(), None);
    let left = statics(subject, 1).await.unwrap();
    assert_eq!((left.text_opt("s_text").unwrap(), left.bigint("s_number").unwrap()), (None, 1));
}

/// Twelve partitions: with rows, with rows and statics, with statics alone.
async fn some_partitions(subject: &Subject) {
    for part in 0..12 {
        if part % 3 != 2 {
            rows(subject, part, &[("a", 2), ("a", 1), ("b", 1)]).await;
        }
        if part % 3 != 0 {
            write(subject, part, [upsert_statics().set("s_number", i64::from(part)).into()]).await;
        }
    }
}

/// All rows of a scan, page by page, of this test's space only.
async fn table_scan(subject: &Subject, scan: TokenScan) -> Vec<Row> {
    let (mut found, mut resume) = (Vec::new(), None);
    loop {
        let page = subject.store.token_scan(scan.clone().resume(resume)).await.unwrap();
        assert!(page.rows.len() <= scan.limit);
        found.extend(page.rows);
        resume = page.resume;
        if resume.is_none() {
            break;
        }
    }
    found.retain(|row| row.text("space").unwrap() == subject.space());
    found
}

fn token_of(row: &Row) -> Token {
    key::token(row.table(), &row.partition())
}

/// Every row once, by token and then in clustering order, with its statics.
pub async fn table_scans_yield_every_partition_in_token_order(subject: &Subject) {
    some_partitions(subject).await;
    for limit in [1, 2, 3, 7, 1000] {
        let found = table_scan(subject, TokenScan::new(&WIDE, limit)).await;
        assert!(found.is_sorted_by_key(token_of), "pages of {limit}");
        assert_eq!(found.len(), 4 * 3 + 4 * 3 + 4, "pages of {limit}");
        for rows in found.chunk_by(|left, right| left.partition() == right.partition()) {
            let part = rows[0].int("part").unwrap();
            let number = (part % 3 != 0).then_some(i64::from(part));
            assert!(rows.iter().all(|row| row.bigint_opt("s_number").unwrap() == number));
            if part % 3 == 2 {
                assert_eq!(rows.len(), 1);
                assert_eq!(rows[0].clustering(), None, "a partition without rows stands for itself");
            } else {
                assert_eq!(keys(rows), [("a", 2), ("a", 1), ("b", 1)]);
            }
        }
    }
}

/// A scan that is taken up again after any row misses nothing and repeats nothing.
pub async fn table_scans_resume_after_every_row(subject: &Subject) {
    some_partitions(subject).await;
    let all = table_scan(subject, TokenScan::new(&WIDE, 1000)).await;
    for (position, row) in all.iter().enumerate() {
        let resume = Resume { partition: row.partition(), clustering: row.clustering() };
        let mut scan = TokenScan::new(&WIDE, 1000).resume(Some(resume));
        let mut rest = Vec::new();
        loop {
            let page = subject.store.token_scan(scan.clone()).await.unwrap();
            rest.extend(page.rows);
            match page.resume {
                Some(resume) => scan.resume = Some(resume),
                None => break,
            }
        }
        rest.retain(|row| row.text("space").unwrap() == subject.space());
        assert_eq!(rest, all[position + 1..]);
    }
}

/// The parts of a split ring hold the whole.
pub async fn table_scans_split_into_ranges(subject: &Subject) {
    some_partitions(subject).await;
    let all = table_scan(subject, TokenScan::new(&WIDE, 1000)).await;
    for parts in [1, 2, 5, 16] {
        let mut found = Vec::new();
        for tokens in TokenRange::FULL.split(parts) {
            let part = table_scan(subject, TokenScan::new(&WIDE, 5).tokens(tokens)).await;
            assert!(part.iter().all(|row| token_of(row) > tokens.after && token_of(row) <= tokens.upto));
            found.extend(part);
        }
        assert_eq!(found, all, "in {parts} parts");
    }
    // A range from one partition's token to its own, excluded and included.
    let token = token_of(&all[0]);
    let exact = TokenRange { after: Token(token.0 - 1), upto: token };
    let found = table_scan(subject, TokenScan::new(&WIDE, 1000).tokens(exact)).await;
    assert!(found.iter().all(|row| token_of(row) == token) && !found.is_empty());
    let none = TokenRange { after: token, upto: token };
    assert_eq!(table_scan(subject, TokenScan::new(&WIDE, 1000).tokens(none)).await, []);
}

/// `SELECT DISTINCT`.
pub async fn partition_scans_yield_keys_and_statics(subject: &Subject) {
    some_partitions(subject).await;
    let many: Vec<_> = (0..40).map(|b| ("many", b)).collect();
    rows(subject, 3, &many).await;
    rows(subject, 99, &[("gone", 1)]).await;
    write(subject, 99, [delete(("gone", 1_i64))]).await;
    for limit in [1, 5, 1000] {
        let found = table_scan(subject, TokenScan::new(&WIDE, limit).partitions()).await;
        assert!(found.is_sorted_by_key(token_of));
        let parts: BTreeSet<_> = found.iter().map(|row| row.int("part").unwrap()).collect();
        assert_eq!((found.len(), parts), (12, (0..12).collect()), "pages of {limit}");
        for row in &found {
            let part = row.int("part").unwrap();
            assert_eq!(row.clustering(), None);
            assert_eq!(row.bigint_opt("s_number").unwrap(), (part % 3 != 0).then_some(i64::from(part)));
            assert_eq!(row.value("v_number").unwrap(), &Value::Null);
        }
    }
}

/// Mistakes are errors of the right kind, on every backend the same.
pub async fn requests_that_no_backend_can_answer_are_refused(subject: &Subject) {
    let part = || subject.part(0);
    let key = ("row", 0_i64);
    let batches = [
        Batch::new(&WIDE, part()),
        Batch::new(&WIDE, "space").with(upsert(key)),
        Batch::new(&WIDE, part()).with(upsert("row")),
        Batch::new(&WIDE, part()).with(upsert(("row", 0_i32))),
        Batch::new(&WIDE, part()).with(upsert(("row", None::<i64>))),
        Batch::new(&WIDE, part()).with(upsert(key).set("v_text", 1_i64)),
        Batch::new(&WIDE, part()).with(upsert(key).set("nothing", 1_i64)),
        Batch::new(&WIDE, part()).with(upsert(key).set("s_text", "a static")),
        Batch::new(&WIDE, part()).with(upsert(key).set("v_text", "a").set("v_text", "b")),
        Batch::new(&WIDE, part()).with(upsert_statics()),
        Batch::new(&WIDE, part()).with(upsert(key)).with(upsert(key)),
        Batch::new(&WIDE, part()).with(upsert(key)).with(delete(key)),
        Batch::new(&WIDE, part()).with(upsert(key)).with(delete_range(Range::prefix("row"))),
        Batch::new(&WIDE, part()).with(upsert(key).set("v_blob", vec![0_u8; (4 << 20) + 1])),
        Batch::new(&WIDE, part()).with(upsert(("x".repeat(9000), 0_i64))),
        Batch::new(&INDEX, "").with(upsert(Uuid::nil())),
    ];
    for batch in batches {
        let shown = format!("{:?}", batch.partition);
        let error = subject.store.apply(vec![batch]).await.expect_err(&shown);
        assert!(!error.retryable(), "{error}");
    }
    let cases = [
        Cas::new(&WIDE, part()).with(upsert(key)),
        Cas::new(&WIDE, part()).if_absent(key),
        Cas::new(&WIDE, part()).if_absent(key).with(upsert(("other", 0_i64))),
        Cas::new(&WIDE, part()).if_absent(key).with(delete(key)),
        Cas::new(&WIDE, part()).if_equals(key, "s_text", "x").with(upsert(key)),
        Cas::new(&WIDE, part()).if_equals(key, "v_text", 5_i64).with(upsert(key)),
        Cas::new(&WIDE, part()).if_absent(key).with(upsert(key)).with(delete_range(Range::prefix("z"))),
        Cas::new(&WIDE, part()).when(Target::Statics, Test::Exists).with(upsert(key)),
        Cas::new(&PLAIN, subject.plain("x")).if_static("v_text", "x").with(upsert(())),
    ];
    for cas in cases {
        let shown = format!("{:?}", cas.conditions);
        let error = subject.store.cas(cas).await.expect_err(&shown);
        assert!(!error.retryable(), "{error}");
    }
    for scan in [
        Scan::new(&WIDE, part(), 0),
        Scan::new(&WIDE, part(), 1_000_000),
        Scan::new(&WIDE, part(), 10).after("half a key"),
        Scan::new(&WIDE, part(), 10).range(Range::prefix(("row", 0_i64)).above(1_i64)),
        Scan::new(&INDEX, subject.index("x"), 10).with_statics(),
    ] {
        let shown = format!("{:?}", scan.range);
        let error = subject.store.scan(scan).await.expect_err(&shown);
        assert!(!error.retryable(), "{error}");
    }
    assert_eq!(get(subject, 0, key).await, None, "nothing of it was done");
}
