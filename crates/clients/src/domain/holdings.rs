//! What trades add up to: sums only, so that neither their order nor their grouping matters.

use super::trade::Trade;
use api::portfolios::v1::{Position, Side};
use riskmesh_core::Currency;
use riskmesh_core::fixed::decimal;
use std::collections::BTreeMap;

/// Decimal places of quantities, and of quantities times prices.
const QUANTITY: u32 = 6;
const NOTIONAL: u32 = 14;
/// Bytes of a holding beside its instrument: two lengths, the currency, four sums and a count.
const FIXED: usize = 1 + 3 + 4 * 16 + 8;

/// The trades in one instrument and currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    bought: i128,
    sold: i128,
    bought_amount: i128,
    sold_amount: i128,
    trades: i64,
}

impl Holding {
    /// Adds a trade, or with `sign` -1 takes it back.
    fn add(&mut self, trade: &Trade, sign: i128) {
        let (quantity, amount) = (sign * i128::from(trade.quantity.0), sign * trade.notional());
        let (held, paid) = match trade.side {
            Side::Sell => (&mut self.sold, &mut self.sold_amount),
            Side::Buy | Side::Unspecified => (&mut self.bought, &mut self.bought_amount),
        };
        *held = held.saturating_add(quantity);
        *paid = paid.saturating_add(amount);
        self.trades = self.trades.saturating_add(sign as i64);
    }

    fn merge(&mut self, other: &Self) {
        self.bought = self.bought.saturating_add(other.bought);
        self.sold = self.sold.saturating_add(other.sold);
        self.bought_amount = self.bought_amount.saturating_add(other.bought_amount);
        self.sold_amount = self.sold_amount.saturating_add(other.sold_amount);
        self.trades = self.trades.saturating_add(other.trades);
    }
}

/// Holdings by instrument and currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings(BTreeMap<(String, [u8; 3]), Holding>);

impl Holdings {
    pub(crate) fn add(&mut self, trade: &Trade) {
        self.change(trade, 1);
    }

    /// Takes back a trade that was added before.
    pub(crate) fn take_back(&mut self, trade: &Trade) {
        self.change(trade, -1);
    }

    fn change(&mut self, trade: &Trade, sign: i128) {
        let key = (trade.instrument.clone(), code(trade.currency));
        let holding = self.0.entry(key.clone()).or_default();
        holding.add(trade, sign);
        if holding.trades == 0 {
            self.0.remove(&key);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (key, holding) in &other.0 {
            self.0.entry(key.clone()).or_default().merge(holding);
        }
    }

    /// How many instruments and currencies.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// As the contract has them, in the order of the instruments.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        self.0.iter().map(|((instrument, currency), holding)| Position {
            instrument_id: instrument.clone(),
            currency: String::from_utf8_lossy(currency).into_owned(),
            quantity: decimal(holding.bought.saturating_sub(holding.sold), QUANTITY),
            bought: decimal(holding.bought, QUANTITY),
            sold: decimal(holding.sold, QUANTITY),
            bought_amount: decimal(holding.bought_amount, NOTIONAL),
            sold_amount: decimal(holding.sold_amount, NOTIONAL),
            trades: holding.trades,
        })
    }

    /// As bytes: equal holdings, and only they, have equal ones.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.keys().map(|(name, _)| name.len() + FIXED).sum());
        for ((instrument, currency), holding) in &self.0 {
            // An instrument's id has at most 64 characters.
            out.push(instrument.len() as u8);
            out.extend_from_slice(instrument.as_bytes());
            out.extend_from_slice(currency);
            for sum in [holding.bought, holding.sold, holding.bought_amount, holding.sold_amount] {
                out.extend_from_slice(&sum.to_be_bytes());
            }
            out.extend_from_slice(&holding.trades.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut all = BTreeMap::new();
        while let Some((length, rest)) = bytes.split_first() {
            let (instrument, rest) = rest.split_at_checked(usize::from(*length))?;
            let (currency, mut rest) = rest.split_first_chunk::<3>()?;
            let mut sums = [0; 4];
            for sum in &mut sums {
                let (number, after) = rest.split_first_chunk()?;
                (*sum, rest) = (i128::from_be_bytes(*number), after);
            }
            let (trades, rest) = rest.split_first_chunk()?;
            let [bought, sold, bought_amount, sold_amount] = sums;
            let trades = i64::from_be_bytes(*trades);
            let key = (String::from_utf8(instrument.to_vec()).ok()?, *currency);
            all.insert(key, Holding { bought, sold, bought_amount, sold_amount, trades });
            bytes = rest;
        }
        Some(Self(all))
    }
}

fn code(currency: Currency) -> [u8; 3] {
    // A currency's code has three letters.
    currency.code().as_bytes().try_into().unwrap_or(*b"XXX")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::trade::tests::message;
    use super::*;
    use proptest::prelude::*;
    use riskmesh_core::Timestamp;

    fn trades() -> impl Strategy<Value = Vec<Trade>> {
        let one = (0..4_u8, any::<bool>(), 1..1_000_000_u32, 1..1_000_000_u32, any::<bool>());
        prop::collection::vec(one, 0..40).prop_map(|all| {
            let trade = |(n, (instrument, buys, quantity, price, dollars))| {
                let side = if buys { Side::Buy } else { Side::Sell };
                let mut sent = message(&format!("t{n}"), &format!("I{instrument}"), side, "1", "1");
                sent.quantity = format!("{}.{:03}", quantity / 1000, quantity % 1000);
                sent.price = format!("{}.{:02}", price / 100, price % 100);
                if dollars {
                    sent.currency = "USD".into();
                }
                Trade::read(sent, Timestamp(1_800_000_000_000)).unwrap()
            };
            all.into_iter().enumerate().map(trade).collect()
        })
    }

    fn sum<'a>(trades: impl IntoIterator<Item = &'a Trade>) -> Holdings {
        let mut holdings = Holdings::default();
        trades.into_iter().for_each(|trade| holdings.add(trade));
        holdings
    }

    proptest! {
        #[test]
        fn neither_order_nor_grouping_matters(trades in trades(), cut in 0..40_usize) {
            let all = sum(&trades);
            prop_assert_eq!(&sum(trades.iter().rev()), &all);
            let (some, others) = trades.split_at(cut.min(trades.len()));
            let mut merged = sum(some);
            merged.merge(&sum(others));
            prop_assert_eq!(&merged, &all);
            prop_assert_eq!(all.positions().map(|position| position.trades).sum::<i64>(), trades.len() as i64);
            prop_assert_eq!(Holdings::decode(&all.encode()), Some(all.clone()));
            let mut rest = all;
            for trade in some {
                rest.take_back(trade);
            }
            prop_assert_eq!(rest, sum(others), "what is taken back leaves nothing behind");
        }
    }

    #[test]
    fn positions_are_exact() {
        let read = |sent| Trade::read(sent, Timestamp(1_800_000_000_000)).unwrap();
        let holdings = sum(&[
            read(message("t1", "SAP", Side::Buy, "100", "212.35")),
            read(message("t2", "SAP", Side::Sell, "40.5", "215.00000001")),
        ]);
        let positions: Vec<Position> = holdings.positions().collect();
        let expected = Position {
            instrument_id: "SAP".into(),
            currency: "EUR".into(),
            quantity: "59.5".into(),
            bought: "100".into(),
            sold: "40.5".into(),
            bought_amount: "21235".into(),
            sold_amount: "8707.500000405".into(),
            trades: 2,
        };
        assert_eq!(positions, [expected]);
    }
}
