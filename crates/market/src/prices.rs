//! Recording prices: each day of an instrument has one, the last that was sent; and reading them.

use crate::domain::instrument::Instrument;
use crate::domain::price::Price;
use crate::error::Error as ServiceError;
use crate::instruments::not_found;
use crate::repo::instruments::Instruments;
use crate::repo::prices::Prices as Repo;
use futures::{StreamExt as _, TryStreamExt as _};
use risk::Day;
use riskmesh_core::{Clock, Error, ErrorCode, InstrumentId, Price as Amount, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::race::Race;

/// Rows that one conditional write has at the most.
const GROUP: usize = 1_000;
/// Instruments of one batch that are written at once.
const AT_ONCE: usize = 16;

/// Records and reads prices.
#[derive(Clone)]
pub(crate) struct Prices {
    pub(crate) instruments: Instruments,
    pub(crate) rows: Repo,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) created: usize,
    pub(crate) corrected: usize,
    pub(crate) duplicates: usize,
    pub(crate) rejected: Vec<Rejected>,
}

/// A price that could not be recorded.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) index: usize,
    pub(crate) instrument: String,
    pub(crate) error: Error,
}

/// What a price is beside what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    New,
    Correction,
    Duplicate,
}

impl Recorded {
    pub(crate) fn reject(&mut self, index: usize, instrument: String, error: Error) {
        self.rejected.push(Rejected { index, instrument, error });
    }
}

impl Prices {
    /// Records a batch, each price with its place in it; when this returns, what it counts is durable.
    pub(crate) async fn record(
        &self,
        tenant: &TenantId,
        batch: Vec<(usize, Price)>,
        recorded: &mut Recorded,
    ) -> Result<(), Error> {
        let known = self.known(tenant, &batch).await?;
        let mut work: BTreeMap<InstrumentId, BTreeMap<Day, Amount>> = BTreeMap::new();
        for (index, price) in batch {
            if let Err(error) = fits(&price, known.get(&price.instrument)) {
                recorded.reject(index, price.instrument.to_string(), error);
                continue;
            }
            match work.entry(price.instrument.clone()).or_default().entry(price.day) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(price.amount)),
                std::collections::btree_map::Entry::Occupied(there) if *there.get() == price.amount => {
                    recorded.duplicates += 1;
                }
                std::collections::btree_map::Entry::Occupied(_) => {
                    let message = "The batch has another price of this day";
                    let error = Error::new(ErrorCode::AlreadyExists).message(message);
                    recorded.reject(index, price.instrument.to_string(), error);
                }
            }
        }
        let groups = work.into_iter().map(|(id, prices)| async move {
            let prices: Vec<(Day, Amount)> = prices.into_iter().collect();
            let mut kinds = Vec::with_capacity(prices.len());
            for group in prices.chunks(GROUP) {
                kinds.extend(self.write(tenant, &id, group).await?);
            }
            Ok::<_, Error>(kinds)
        });
        let kinds: Vec<Vec<Kind>> =
            futures::stream::iter(groups).buffer_unordered(AT_ONCE).try_collect().await?;
        for kind in kinds.into_iter().flatten() {
            match kind {
                Kind::New => recorded.created += 1,
                Kind::Correction => recorded.corrected += 1,
                Kind::Duplicate => recorded.duplicates += 1,
            }
        }
        recorded.rejected.sort_by_key(|rejected| rejected.index);
        Ok(())
    }

    /// The instruments of a batch that there are.
    async fn known(
        &self,
        tenant: &TenantId,
        batch: &[(usize, Price)],
    ) -> Result<BTreeMap<InstrumentId, Instrument>, Error> {
        let ids: std::collections::BTreeSet<&InstrumentId> =
            batch.iter().map(|(_, price)| &price.instrument).collect();
        let rows = self.instruments.many(tenant, ids.into_iter()).await?;
        Ok(rows.into_iter().flatten().map(|row| (row.id.clone(), row)).collect())
    }

    /// Writes prices of one instrument, of different days; tells what each was.
    async fn write(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
        prices: &[(Day, Amount)],
    ) -> Result<Vec<Kind>, Error> {
        let mut told: Option<Vec<Kind>> = None;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            // The version first: a price that comes later comes with another one.
            let version = self.rows.version(tenant, id).await?;
            let there = self.rows.latest(tenant, id, prices.iter().map(|(day, _)| *day)).await?;
            let kinds: Vec<Kind> =
                prices.iter().zip(&there).map(|((_, price), there)| kind(*price, *there)).collect();
            let new = prices.iter().zip(&kinds).filter(|(_, kind)| **kind != Kind::Duplicate);
            let new: Vec<(Day, Amount)> = new.map(|(price, _)| *price).collect();
            if new.is_empty() {
                // What an attempt of ours wrote, of which nobody knew, is here a duplicate of itself.
                return Ok(told.unwrap_or(kinds));
            }
            if self.rows.write(tenant, id, new.into_iter(), version).await?.is_applied() {
                return Ok(told.unwrap_or(kinds));
            }
            told.get_or_insert(kinds);
        }
        Err(ServiceError::Contended { doing: "write prices" }.into())
    }

    /// The prices of an instrument from one day to another, and the instrument.
    pub(crate) async fn between(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
        from: Day,
        until: Day,
    ) -> Result<(Instrument, Vec<(Day, Amount)>), Error> {
        let instrument = self.instruments.get(tenant, id).await?.ok_or_else(|| not_found(id))?;
        Ok((instrument, self.rows.between(tenant, id, from, until).await?))
    }
}

fn kind(price: Amount, there: Option<Amount>) -> Kind {
    match there {
        None => Kind::New,
        Some(there) if there == price => Kind::Duplicate,
        Some(_) => Kind::Correction,
    }
}

/// Whether a price is one of the instrument that it names.
fn fits(price: &Price, instrument: Option<&Instrument>) -> Result<(), Error> {
    let instrument = instrument.ok_or_else(|| {
        not_found(&price.instrument).message(format!("Instrument {} is not known", price.instrument))
    })?;
    if instrument.currency == price.currency {
        return Ok(());
    }
    let message = format!("Prices of {} are in {}", price.instrument, instrument.currency);
    Err(Error::new(ErrorCode::InvalidInput).message(message))
}
