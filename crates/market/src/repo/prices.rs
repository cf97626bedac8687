//! Price rows: one partition an instrument, by day.

use crate::error::{Doing as _, Error};
use crate::tables::PRICES;
use risk::Day;
use riskmesh_core::fixed::Fixed;
use riskmesh_core::{InstrumentId, Price, TenantId};
use std::sync::Arc;
use store::{Cas, Get, Outcome, Range, Row, Scan, Store, upsert, upsert_statics};

const READING: &str = "read prices";
const WRITING: &str = "write prices";

/// Rows read at a time.
const SCAN: usize = 2_000;

/// Reads and writes prices.
#[derive(Clone)]
pub(crate) struct Prices {
    store: Arc<dyn Store>,
}

impl Prices {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The version of an instrument's prices as it stands; none where there never was one.
    pub(crate) async fn version(&self, tenant: &TenantId, id: &InstrumentId) -> Result<Option<i64>, Error> {
        let get = Get::statics(&PRICES, partition(tenant, id)).latest();
        let row = self.store.get(get).await.doing(READING)?;
        row.map_or(Ok(None), |row| row.bigint_opt("version").doing(READING))
    }

    /// The prices of these days as they stand, in their order.
    pub(crate) async fn latest(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
        days: impl Iterator<Item = Day>,
    ) -> Result<Vec<Option<Price>>, Error> {
        let gets =
            days.map(|day| Get::row(&PRICES, partition(tenant, id), day.to_string()).latest()).collect();
        let rows = self.store.get_many(gets).await.doing(READING)?;
        rows.iter().map(|row| row.as_ref().map(|row| Ok(kept(row)?.1)).transpose()).collect()
    }

    /// Writes prices of one instrument, if its version is still `expected`.
    pub(crate) async fn write(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
        prices: impl Iterator<Item = (Day, Price)>,
        expected: Option<i64>,
    ) -> Result<Outcome, Error> {
        let version = upsert_statics().set("version", expected.unwrap_or(0) + 1);
        let cas = Cas::new(&PRICES, partition(tenant, id)).if_static("version", expected).with(version);
        let row =
            |cas: Cas, (day, price): (Day, Price)| cas.with(upsert(day.to_string()).set("price", price.0));
        self.store.cas(prices.fold(cas, row)).await.doing(WRITING)
    }

    /// The newest day that has a price.
    pub(crate) async fn newest(&self, tenant: &TenantId, id: &InstrumentId) -> Result<Option<Day>, Error> {
        let scan = Scan::new(&PRICES, partition(tenant, id), 1).reverse();
        let page = self.store.scan(scan).await.doing(READING)?;
        Ok(page.rows.first().map(kept).transpose()?.map(|(day, _)| day))
    }

    /// The prices from one day to another, both included, the oldest first.
    pub(crate) async fn between(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
        from: Day,
        until: Day,
    ) -> Result<Vec<(Day, Price)>, Error> {
        let range = Range::all().at_least(from.to_string()).at_most(until.to_string());
        let mut prices: Vec<(Day, Price)> = Vec::new();
        loop {
            let mut scan = Scan::new(&PRICES, partition(tenant, id), SCAN).range(range.clone());
            if let Some((last, _)) = prices.last() {
                scan = scan.after(last.to_string());
            }
            let page = self.store.scan(scan).await.doing(READING)?;
            for row in &page.rows {
                prices.push(kept(row)?);
            }
            if !page.more {
                return Ok(prices);
            }
        }
    }
}

fn partition(tenant: &TenantId, id: &InstrumentId) -> (String, String) {
    (tenant.as_str().to_owned(), id.as_str().to_owned())
}

fn kept(row: &Row) -> Result<(Day, Price), Error> {
    let day = Day::parse(row.text("date").doing(READING)?);
    let day = day.map_err(|_| Error::Corrupt { table: PRICES.name, column: "date" })?;
    Ok((day, Fixed(row.bigint("price").doing(READING)?)))
}
