//! Rows and scans of a partition, one function a behaviour. Each works on partitions of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::support::{get, keys, owned, rows, scan_keys, statics, write};
use super::{INDEX, PLAIN, Subject, WIDE};
use crate::error::Error;
use crate::read::{Get, Range, Scan, Target};
use crate::value::Values;
use crate::write::{Batch, Cas, Test, delete, delete_range, upsert, upsert_statics};
use bytes::Bytes;
use riskmesh_core::Timestamp;
use uuid::Uuid;

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
