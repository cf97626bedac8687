//! The price of an instrument on a day: checked, and in exact units.

use super::day;
use api::market::v1::Price as Message;
use risk::Day;
use riskmesh_core::{Currency, Detail, Error, InstrumentId, Price as Amount, Timestamp};
use std::time::Duration;

/// How far ahead of our clock a day may begin: other time zones.
const AHEAD: Duration = Duration::from_hours(24);

/// A price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    pub(crate) instrument: InstrumentId,
    pub(crate) day: Day,
    pub(crate) amount: Amount,
    pub(crate) currency: Currency,
}

impl Price {
    /// Checks what the contract's rules cannot say: places and size of the number, the day against the clock.
    pub(crate) fn read(message: &Message, now: Timestamp) -> Result<Self, Error> {
        let amount = Amount::positive("price", &message.price)?;
        let day = day("date", &message.date)?;
        if day > Day::of(now.plus(AHEAD).millis()) {
            let (issue, expected) = ("must not be more than a day ahead", "YYYY-MM-DD, at most a day ahead");
            return Err(Error::invalid(Detail::expected("date", issue, expected)));
        }
        Ok(Self {
            instrument: InstrumentId::new(&message.instrument_id)
                .map_err(|error| error.of("instrumentId"))?,
            day,
            amount,
            currency: Currency::named("currency", &message.currency)?,
        })
    }
}

/// A price as the contract has it.
pub(crate) fn message(instrument: &InstrumentId, day: Day, amount: Amount, currency: Currency) -> Message {
    Message {
        instrument_id: instrument.to_string(),
        date: day.to_string(),
        price: amount.to_string(),
        currency: currency.code().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prices_are_positive_exact_and_not_of_the_future() {
        let now = Timestamp::parse("2026-01-02T12:00:00Z").unwrap();
        let read = |date: &str, price: &str| {
            let message = Message {
                instrument_id: "A".into(),
                date: date.into(),
                price: price.into(),
                currency: "EUR".into(),
            };
            Price::read(&message, now)
        };
        let good = read("2026-01-03", "212.35").unwrap();
        assert_eq!(message(&good.instrument, good.day, good.amount, good.currency).price, "212.35");
        for (date, price, wrong) in [
            ("2026-01-04", "1", "Date must not be more than a day ahead"),
            ("2026-02-30", "1", "Date must be a date, YYYY-MM-DD"),
            ("2026-01-02", "0", "Price must be greater than zero"),
            ("2026-01-02", "1.000000001", "Price has too many decimal places"),
            ("2026-01-02", "10000000000", "Price is too large"),
        ] {
            assert_eq!(read(date, price).unwrap_err().message, wrong);
        }
    }
}
