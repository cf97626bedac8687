//! Instrument rows, and the list of them in the order of creation.

use crate::domain::instrument::Instrument;
use crate::error::{Doing as _, Error};
use crate::tables::INSTRUMENTS;
use riskmesh_core::{Currency, InstrumentId, TenantId};
use std::sync::Arc;
use store::list::{ENTRIES, List, Listed, Lists, Ordinal, Start};
use store::{Cas, Get, Outcome, Row, Store, upsert};

const READING: &str = "read instrument";
const WRITING: &str = "write instrument";

/// Reads and writes instruments.
#[derive(Clone)]
pub(crate) struct Instruments {
    store: Arc<dyn Store>,
    lists: Lists,
}

impl Instruments {
    pub(crate) fn new(store: Arc<dyn Store>, lists: Lists) -> Self {
        Self { store, lists }
    }

    /// One instrument.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
    ) -> Result<Option<Instrument>, Error> {
        self.store.get(key(tenant, id)).await.doing(READING)?.as_ref().map(read).transpose()
    }

    /// The same by a serial read.
    pub(crate) async fn latest(
        &self,
        tenant: &TenantId,
        id: &InstrumentId,
    ) -> Result<Option<Instrument>, Error> {
        self.store.get(key(tenant, id).latest()).await.doing(READING)?.as_ref().map(read).transpose()
    }

    /// Many instruments, in the order of their ids.
    pub(crate) async fn many(
        &self,
        tenant: &TenantId,
        ids: impl Iterator<Item = &InstrumentId>,
    ) -> Result<Vec<Option<Instrument>>, Error> {
        let rows = self.store.get_many(ids.map(|id| key(tenant, id)).collect()).await.doing(READING)?;
        rows.iter().map(|row| row.as_ref().map(read).transpose()).collect()
    }

    /// A place in the order of creation that nobody else gets.
    pub(crate) async fn reserve(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.lists.reserve(&list(tenant)).await.doing("reserve place in instrument list")?.0)
    }

    /// Writes the row if its version is still `expected`; with none, if there is no row.
    pub(crate) async fn write(
        &self,
        tenant: &TenantId,
        instrument: &Instrument,
        expected: Option<i64>,
    ) -> Result<Outcome, Error> {
        let cas = Cas::new(&INSTRUMENTS, (tenant.as_str(), instrument.id.as_str()));
        let cas = match expected {
            None => cas.if_absent(()),
            Some(version) => cas.if_equals((), "version", version),
        };
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let row = upsert(())
            .set("version", instrument.version)
            .set("ordinal", instrument.ordinal.cast_signed())
            .set("name", known(&instrument.name))
            .set("currency", instrument.currency.code())
            .set("country", known(&instrument.country))
            .set("sector", known(&instrument.sector))
            .set("created_at", instrument.created_at)
            .set("updated_at", instrument.updated_at);
        self.store.cas(cas.with(row)).await.doing(WRITING)
    }

    /// Puts an instrument on the list. Doing it again changes nothing.
    pub(crate) async fn place(&self, tenant: &TenantId, instrument: &Instrument) -> Result<(), Error> {
        let ordinal = Ordinal(instrument.ordinal);
        self.lists.insert(&list(tenant), ordinal, instrument.id.as_str()).await.doing("write instrument list")
    }

    /// A page of the list.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Instrument>, Error> {
        let page = self.lists.page(&list(tenant), start, limit).await.doing("read instrument list")?;
        let corrupt = |_| Error::Corrupt { table: ENTRIES.name, column: "member" };
        let ids = page.items.iter().map(|member| InstrumentId::new(member.as_str()).map_err(corrupt));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let rows = self.many(tenant, ids.iter()).await?;
        Ok(page.with(rows.into_iter().flatten().collect()))
    }
}

fn key(tenant: &TenantId, id: &InstrumentId) -> Get {
    Get::row(&INSTRUMENTS, (tenant.as_str(), id.as_str()), ())
}

fn list(tenant: &TenantId) -> List {
    List::new(tenant.as_str(), "instruments")
}

fn read(row: &Row) -> Result<Instrument, Error> {
    let corrupt = |column| Error::Corrupt { table: INSTRUMENTS.name, column };
    let text = |column| Ok::<_, Error>(row.text_opt(column).doing(READING)?.unwrap_or_default().to_owned());
    Ok(Instrument {
        id: InstrumentId::new(row.text("instrument_id").doing(READING)?)
            .map_err(|_| corrupt("instrument_id"))?,
        name: text("name")?,
        currency: Currency::new(row.text("currency").doing(READING)?).ok_or_else(|| corrupt("currency"))?,
        country: text("country")?,
        sector: text("sector")?,
        created_at: row.timestamp("created_at").doing(READING)?,
        updated_at: row.timestamp("updated_at").doing(READING)?,
        version: row.bigint("version").doing(READING)?,
        ordinal: row.bigint("ordinal").doing(READING)?.cast_unsigned(),
    })
}
