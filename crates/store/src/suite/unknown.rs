//! Callers that live with unknown outcomes: what a service does when a write may or may not have happened.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::{Subject, WIDE};
use crate::error::Error;
use crate::faulty::{Faults, Faulty};
use crate::read::{Get, Scan};
use crate::row::Row;
use crate::store::Store;
use crate::write::{Batch, Cas, Outcome, upsert, upsert_statics};
use std::sync::Arc;

const FAULTS: Faults = Faults { unknown_done: 20, unknown_lost: 20, read_timeout: 10 };
const CLIENTS: i64 = 4;
const OPERATIONS: i64 = 12;

/// Clients add a row each and count it in a static, in one conditional batch. When they do not know whether it happened they
/// read their row serially. In the end the count is the number of rows, and every operation happened exactly once.
pub async fn unknown_conditional_writes_are_settled_by_a_serial_read(subject: &Subject) {
    let store = Arc::new(Faulty::new(subject.store.clone(), FAULTS, 7));
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (store, partition) = (store.clone(), subject.part(0));
        clients.push(tokio::spawn(async move {
            for operation in 0..OPERATIONS {
                let key = (format!("client {client}"), operation);
                loop {
                    let statics = retried(|| store.get(Get::statics(&WIDE, &partition).latest())).await;
                    let count = statics.and_then(|row: Row| row.bigint_opt("s_number").expect("a count"));
                    let cas = Cas::new(&WIDE, &partition)
                        .if_absent(key.clone())
                        .if_static("s_number", count)
                        .with(upsert(key.clone()).set("v_number", operation))
                        .with(upsert_statics().set("s_number", count.unwrap_or(0) + 1));
                    match store.cas(cas).await.expect("an outcome") {
                        Outcome::Applied => break,
                        Outcome::Conflict(current) => {
                            assert!(current.row(key.clone()).is_none(), "nobody else writes this row");
                        }
                        Outcome::Unknown => {
                            let get = Get::row(&WIDE, &partition, key.clone()).latest();
                            if retried(|| store.get(get.clone())).await.is_some() {
                                break;
                            }
                        }
                    }
                }
            }
        }));
    }
    for client in clients {
        client.await.expect("a client");
    }
    let page = subject.store.scan(Scan::new(&WIDE, subject.part(0), 1000).with_statics().latest()).await;
    let page = page.expect("a page");
    assert_eq!(page.rows.len() as i64, CLIENTS * OPERATIONS);
    let count = page.statics.expect("statics").bigint("s_number").expect("a count");
    assert_eq!(count, CLIENTS * OPERATIONS);
}

/// Plain mutations are idempotent: a client that does not know repeats them.
pub async fn unknown_plain_writes_can_be_repeated(subject: &Subject) {
    let store = Faulty::new(subject.store.clone(), FAULTS, 11);
    for number in 0..50_i64 {
        let batches: Vec<_> = (0..3)
            .map(|part| {
                Batch::new(&WIDE, subject.part(part))
                    .with(upsert(("row", number)).set("v_number", number))
                    .with(upsert_statics().set("s_number", number))
            })
            .collect();
        retried(|| store.apply(batches.clone())).await;
    }
    for part in 0..3 {
        let scan = Scan::new(&WIDE, subject.part(part), 1000).with_statics();
        let page = subject.store.scan(scan).await.expect("a page");
        let numbers: Vec<_> = page.rows.iter().map(|row| row.bigint("v_number").expect("a number")).collect();
        assert_eq!(numbers, (0..50).rev().collect::<Vec<_>>());
        assert_eq!(page.statics.expect("statics").bigint("s_number").expect("a number"), 49);
    }
}

/// Calls until the answer is not one that says "try again".
async fn retried<T, F: Future<Output = Result<T, Error>>>(mut call: impl FnMut() -> F) -> T {
    for _ in 0..100 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.retryable(), "{error}"),
        }
    }
    panic!("100 calls failed in a row");
}
