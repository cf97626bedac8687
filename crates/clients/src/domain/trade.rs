//! A trade of a portfolio: checked, and in exact units.

use super::happened;
use api::portfolios::v1::{Side, Trade as Message};
use riskmesh_core::{Currency, Detail, Error, PortfolioId, Price, Quantity, Timestamp, TradeId};

/// The largest quantity times price, in 10^-14 of the currency: 10^15. A billion such trades add up without an overflow.
const MAX_NOTIONAL: i128 = 1_000_000_000_000_000 * 100_000_000_000_000;

/// A trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trade {
    pub(crate) id: TradeId,
    pub(crate) instrument: String,
    pub(crate) side: Side,
    pub(crate) quantity: Quantity,
    pub(crate) price: Price,
    pub(crate) currency: Currency,
    pub(crate) counterparty: String,
    pub(crate) executed_at: Timestamp,
}

impl Trade {
    /// Checks what the contract's rules cannot say: places and sizes of the numbers, the time against the clock.
    pub(crate) fn read(message: Message, now: Timestamp) -> Result<Self, Error> {
        let trade = Self {
            id: TradeId::new(&message.trade_id).map_err(|error| error.of("tradeId"))?,
            side: Side::try_from(message.side)
                .ok()
                .filter(|side| *side != Side::Unspecified)
                .ok_or_else(|| api::spelling::required::<Side>("side"))?,
            quantity: Quantity::positive("quantity", &message.quantity)?,
            price: Price::positive("price", &message.price)?,
            currency: Currency::named("currency", &message.currency)?,
            executed_at: happened("executedAt", message.executed_at.as_ref(), now)?,
            instrument: message.instrument_id,
            counterparty: message.counterparty_id,
        };
        if trade.notional() > MAX_NOTIONAL {
            let expected = "quantity times price <= 1000000000000000";
            return Err(Error::invalid(Detail::expected("quantity", "times price is too large", expected)));
        }
        Ok(trade)
    }

    /// Quantity times price, exactly, in 10^-14 of the currency.
    pub(crate) fn notional(&self) -> i128 {
        i128::from(self.quantity.0) * i128::from(self.price.0)
    }

    /// As the contract has it.
    pub(crate) fn into_message(self, portfolio: &PortfolioId) -> Message {
        Message {
            trade_id: self.id.to_string(),
            portfolio_id: portfolio.to_string(),
            instrument_id: self.instrument,
            side: self.side.into(),
            quantity: self.quantity.to_string(),
            price: self.price.to_string(),
            currency: self.currency.code().to_owned(),
            counterparty_id: self.counterparty,
            executed_at: Some(api::time::to_proto(self.executed_at)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn message(id: &str, instrument: &str, side: Side, quantity: &str, price: &str) -> Message {
        Message {
            trade_id: id.into(),
            instrument_id: instrument.into(),
            side: side.into(),
            quantity: quantity.into(),
            price: price.into(),
            currency: "EUR".into(),
            executed_at: Some(api::time::to_proto(Timestamp(1_767_225_600_000))),
            ..Message::default()
        }
    }

    fn read(message: Message) -> Result<Trade, Error> {
        Trade::read(message, Timestamp(1_800_000_000_000))
    }

    #[test]
    fn numbers_are_positive_exact_and_bounded() {
        let trade = |quantity: &str, price: &str| read(message("t", "I", Side::Buy, quantity, price));
        assert_eq!(trade("100", "212.35").unwrap().notional(), 21_235 * 100_000_000_000_000);
        assert!(trade("999999999999", "1000").is_ok());
        for (quantity, price, wrong) in [
            ("0", "1", "Quantity must be greater than zero"),
            ("-1", "1", "Quantity must be greater than zero"),
            ("1", "0", "Price must be greater than zero"),
            ("0.0000001", "1", "Quantity has too many decimal places"),
            ("1", "1e3", "Price must be a decimal number such as 12.5"),
            ("1000000000000", "1", "Quantity is too large"),
            ("999999999999", "9999999999", "Quantity times price is too large"),
        ] {
            assert_eq!(trade(quantity, price).unwrap_err().message, wrong, "{quantity} at {price}");
        }
    }

    #[test]
    fn a_message_survives_the_round_trip() {
        let sent = Message {
            counterparty_id: "LEI".into(),
            portfolio_id: "p".into(),
            ..message("t", "I", Side::Sell, "1.5", "2")
        };
        let portfolio = PortfolioId::new("p").unwrap();
        assert_eq!(read(sent.clone()).unwrap().into_message(&portfolio), sent);
        let ahead = Message { executed_at: Some(api::time::to_proto(Timestamp(1_800_086_400_001))), ..sent };
        assert_eq!(read(ahead).unwrap_err().message, "Executed at must not be more than a day ahead");
    }
}
