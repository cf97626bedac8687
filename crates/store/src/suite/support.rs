//! What the tests of rows have in common.
#![allow(clippy::unwrap_used, reason = "tests, which a backend's test crate calls")]

use super::{Subject, WIDE};
use crate::read::{Get, Scan};
use crate::row::Row;
use crate::write::{Batch, Mutation, upsert};

pub(super) async fn write(subject: &Subject, part: i32, mutations: impl IntoIterator<Item = Mutation>) {
    let mut batch = Batch::new(&WIDE, subject.part(part));
    batch.mutations.extend(mutations);
    subject.store.apply(vec![batch]).await.unwrap();
}

/// Writes rows `(a, b)` with `v_number` counting up.
pub(super) async fn rows(subject: &Subject, part: i32, keys: &[(&str, i64)]) {
    let upserts = keys.iter().enumerate().map(|(i, key)| upsert(*key).set("v_number", i as i64).into());
    write(subject, part, upserts).await;
}

pub(super) async fn get(subject: &Subject, part: i32, key: (&str, i64)) -> Option<Row> {
    subject.store.get(Get::row(&WIDE, subject.part(part), key)).await.unwrap()
}

pub(super) async fn statics(subject: &Subject, part: i32) -> Option<Row> {
    subject.store.get(Get::statics(&WIDE, subject.part(part))).await.unwrap()
}

pub(super) fn keys(rows: &[Row]) -> Vec<(&str, i64)> {
    rows.iter().map(|row| (row.text("a").unwrap(), row.bigint("b").unwrap())).collect()
}

pub(super) async fn scan_keys(subject: &Subject, scan: Scan) -> Vec<(String, i64)> {
    let page = subject.store.scan(scan).await.unwrap();
    keys(&page.rows).into_iter().map(|(a, b)| (a.to_owned(), b)).collect()
}

pub(super) fn owned(keys: &[(&str, i64)]) -> Vec<(String, i64)> {
    keys.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect()
}
