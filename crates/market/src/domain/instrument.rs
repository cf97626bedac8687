//! An instrument.

use api::market::v1::Instrument as Message;
use riskmesh_core::{Currency, Error, InstrumentId, Timestamp};

/// An instrument as it stands, with what the store keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instrument {
    pub(crate) id: InstrumentId,
    pub(crate) name: String,
    pub(crate) currency: Currency,
    /// An ISO 3166-1 alpha-2 code; empty where it is not known.
    pub(crate) country: String,
    /// Empty where it is not known.
    pub(crate) sector: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Counts changes from 1; the ETag.
    pub(crate) version: i64,
    /// The place in the order of creation.
    pub(crate) ordinal: u64,
}

impl Instrument {
    /// A new one, as the caller wants it.
    pub(crate) fn read(message: Message, now: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            id: InstrumentId::new(&message.instrument_id).map_err(|error| error.of("instrumentId"))?,
            name: message.name,
            currency: Currency::named("currency", &message.currency)?,
            country: message.country,
            sector: message.sector,
            created_at: now,
            updated_at: now,
            version: 1,
            ordinal: 0,
        })
    }

    /// This one in the place of another; `None` where it says the same.
    pub(crate) fn replacing(self, before: &Self) -> Option<Self> {
        let after = Self {
            created_at: before.created_at,
            updated_at: before.updated_at,
            version: before.version,
            ordinal: before.ordinal,
            ..self.clone()
        };
        let changed = Self { version: before.version + 1, updated_at: self.updated_at, ..after.clone() };
        (after != *before).then_some(changed)
    }

    /// As the contract has it.
    pub(crate) fn message(&self) -> Message {
        Message {
            instrument_id: self.id.to_string(),
            name: self.name.clone(),
            currency: self.currency.code().to_owned(),
            country: self.country.clone(),
            sector: self.sector.clone(),
            create_time: Some(api::time::to_proto(self.created_at)),
            update_time: Some(api::time::to_proto(self.updated_at)),
        }
    }
}
