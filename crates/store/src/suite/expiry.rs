//! Times to live, one function a behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::support::{get, owned, scan_keys, statics, write};
use super::{PLAIN, Subject, WIDE};
use crate::read::{Get, Scan};
use crate::write::{Cas, Ttl, upsert, upsert_statics};

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
