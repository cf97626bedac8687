//! Scans of whole tables, one function a behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::support::{keys, rows, write};
use super::{Subject, WIDE};
use crate::key;
use crate::read::{Resume, TokenRange, TokenScan};
use crate::row::Row;
use crate::token::Token;
use crate::value::Value;
use crate::write::{delete, upsert_statics};
use std::collections::BTreeSet;

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
