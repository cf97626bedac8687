//! Many writers of one row, each resting its change on what it read.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::{PLAIN, Subject};
use crate::race::Race;
use crate::read::Get;
use crate::write::{Cas, Outcome, upsert};

const WRITERS: i64 = 64;
const CHANGES: i64 = 5;

/// None of them gives up, and each change counts.
pub async fn nobody_is_crowded_out(subject: &Subject) {
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (store, key) = (subject.store.clone(), subject.plain("crowded"));
        writers.push(tokio::spawn(async move {
            for _ in 0..CHANGES {
                let mut race = Race::default();
                loop {
                    assert!(race.again(&key).await, "a writer was crowded out");
                    let row = store.get(Get::row(&PLAIN, key.clone(), ()).latest()).await.expect("a row");
                    let before = row.map(|row| row.bigint("v_number").expect("a number"));
                    let cas = Cas::new(&PLAIN, key.clone());
                    let cas = match before {
                        None => cas.if_absent(()),
                        Some(before) => cas.if_equals((), "v_number", before),
                    };
                    let cas = cas.with(upsert(()).set("v_number", before.unwrap_or(0) + 1));
                    match store.cas(cas).await.expect("an outcome") {
                        Outcome::Applied => break,
                        Outcome::Conflict(_) => {}
                        Outcome::Unknown => panic!("nothing is wrong with this store"),
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    let row =
        subject.store.get(Get::row(&PLAIN, subject.plain("crowded"), ()).latest()).await.expect("a row");
    assert_eq!(row.expect("a row").bigint("v_number").expect("a number"), WRITERS * CHANGES);
}
