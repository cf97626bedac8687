//! Conditional writes, one function a behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::support::{get, owned, scan_keys, statics};
use super::{PLAIN, Subject, WIDE};
use crate::read::{Get, Scan, Target};
use crate::write::{Cas, Outcome, Test, delete, upsert, upsert_statics};

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
