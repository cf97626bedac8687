//! Instruments: put, read and listed.

use crate::domain::instrument::Instrument;
use crate::error::Error as ServiceError;
use crate::repo::instruments::Instruments as Repo;
use riskmesh_core::{Clock, Detail, Error, ErrorCode, InstrumentId, TenantId};
use std::sync::Arc;
use store::list::{Listed, Start};
use store::race::Race;

/// Reads and maintains instruments.
#[derive(Clone)]
pub(crate) struct Instruments {
    pub(crate) rows: Repo,
    pub(crate) clock: Arc<dyn Clock>,
}

/// No instrument has this id.
pub(crate) fn not_found(id: &InstrumentId) -> Error {
    Error::not_found(ErrorCode::InstrumentNotFound, "instrumentId", id.as_str())
}

fn other_currency(before: &Instrument) -> Error {
    let issue = format!("is {} and cannot change", before.currency);
    let detail = Detail::expected("currency", issue, before.currency.code().to_owned());
    Error::new(ErrorCode::PreconditionFailed)
        .message("The instrument has prices in another currency")
        .hint("Put it under another id.")
        .detail(detail)
}

impl Instruments {
    /// One instrument.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &InstrumentId) -> Result<Instrument, Error> {
        self.rows.get(tenant, id).await?.ok_or_else(|| not_found(id))
    }

    /// Creates an instrument, or replaces what is known of it. One that was cut off before it was listed was not acknowledged either:
    /// the same put, repeated, lists it.
    pub(crate) async fn put(&self, tenant: &TenantId, instrument: Instrument) -> Result<Instrument, Error> {
        let mut race = Race::default();
        while race.again((tenant, &instrument.id)).await {
            let before = self.rows.latest(tenant, &instrument.id).await?;
            let after = match &before {
                None => Instrument { ordinal: self.rows.reserve(tenant).await?, ..instrument.clone() },
                Some(before) if before.currency != instrument.currency => return Err(other_currency(before)),
                Some(before) => {
                    let Some(after) = instrument.clone().replacing(before) else {
                        self.rows.place(tenant, before).await?;
                        return Ok(before.clone());
                    };
                    after
                }
            };
            // Where nobody knows whether it was written, it is read again: then it says the same.
            let version = before.map(|before| before.version);
            if self.rows.write(tenant, &after, version).await?.is_applied() {
                self.rows.place(tenant, &after).await?;
                return Ok(after);
            }
        }
        Err(ServiceError::Contended { doing: "put instrument" }.into())
    }

    /// A page of instruments in the order of their creation.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Instrument>, Error> {
        Ok(self.rows.page(tenant, start, limit).await?)
    }
}
