//! The history of scores: one row a change of a client's risk, numbered without gaps. So the place of any change is arithmetic, and a
//! page costs the same at any depth.

use super::assessment;
use crate::domain::change::Change;
use crate::error::{Doing as _, Error};
use crate::tables::{HISTORY_BUCKET, SCORE_HISTORY};
use riskmesh_core::{ClientId, TenantId};
use std::ops::RangeInclusive;
use std::sync::Arc;
use store::{Batch, Range, Row, Scan, Store, upsert};

/// Reads and writes history rows.
#[derive(Clone)]
pub(crate) struct History {
    store: Arc<dyn Store>,
}

impl History {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Keeps a change; doing it again changes nothing, because a number always stands for the same.
    pub(crate) async fn keep(&self, tenant: &TenantId, change: &Change) -> Result<(), Error> {
        let row = assessment::set(upsert(change.number), &change.assessment)
            .set("previous_score", change.previous_score.map(i32::from))
            .set("updated_at", change.at);
        let partition = partition(tenant, &change.client, bucket(change.number));
        let batch = Batch::new(&SCORE_HISTORY, partition).with(row);
        self.store.apply(vec![batch]).await.doing("keep score in history")
    }

    /// The newest `limit` changes with these numbers, the newest first.
    pub(crate) async fn newest_first(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        numbers: RangeInclusive<i64>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        let buckets = (bucket(*numbers.start())..=bucket(*numbers.end())).rev();
        self.read(tenant, client, &numbers, limit, buckets, |scan| scan).await
    }

    /// The oldest `limit` changes with these numbers, the oldest first.
    pub(crate) async fn oldest_first(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        numbers: RangeInclusive<i64>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        let buckets = bucket(*numbers.start())..=bucket(*numbers.end());
        self.read(tenant, client, &numbers, limit, buckets, Scan::reverse).await
    }

    /// Reads bucket after bucket, each in the order that `order` gives it, until there are `limit` changes.
    async fn read(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        numbers: &RangeInclusive<i64>,
        limit: usize,
        buckets: impl Iterator<Item = i64> + Send,
        order: fn(Scan) -> Scan,
    ) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        // Of no numbers there are no changes, though they lie in a bucket.
        for bucket in buckets.filter(|_| !numbers.is_empty()) {
            let left = limit - changes.len();
            if left == 0 {
                break;
            }
            let range = Range::all().at_least(*numbers.start()).at_most(*numbers.end());
            let scan = Scan::new(&SCORE_HISTORY, partition(tenant, client, bucket), left).range(range);
            let page = self.store.scan(order(scan)).await.doing("read history of scores")?;
            for row in &page.rows {
                changes.push(change(client, row)?);
            }
        }
        Ok(changes)
    }
}

fn bucket(number: i64) -> i64 {
    number.div_euclid(HISTORY_BUCKET)
}

fn partition(tenant: &TenantId, client: &ClientId, bucket: i64) -> (String, String, i64) {
    (tenant.as_str().to_owned(), client.as_str().to_owned(), bucket)
}

fn change(client: &ClientId, row: &Row) -> Result<Change, Error> {
    let doing = "read history of scores";
    Ok(Change {
        client: client.clone(),
        number: row.bigint("change").doing(doing)?,
        assessment: assessment::read(&SCORE_HISTORY, row)?,
        previous_score: assessment::score_opt(&SCORE_HISTORY, row, "previous_score")?,
        at: row.timestamp("updated_at").doing(doing)?,
    })
}
