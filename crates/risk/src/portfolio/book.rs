//! What trades net to.

use std::collections::{BTreeMap, HashMap};

use super::Quantity;

/// Units held, by instrument and by whom they were dealt with. Sums only: neither order nor grouping of trades matters, and a trade that
/// is taken back leaves nothing behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// By instrument, then by counterparty; none is zero. Hashed, for each trade is looked up; put in order when it is read.
    held: HashMap<Box<str>, Lots>,
}

/// Units of one instrument by counterparty: there are few.
type Lots = BTreeMap<Box<str>, i128>;

impl Book {
    /// Adds a trade: a quantity that was bought, or, less than zero, sold. The counterparty is empty where there is none.
    pub fn add(&mut self, instrument: &str, counterparty: &str, quantity: Quantity) {
        // Looked up before it is made: nearly every trade is in an instrument that is there.
        if let Some(held) = self.held.get_mut(instrument).and_then(|by| by.get_mut(counterparty)) {
            *held = held.saturating_add(quantity.0);
            if *held == 0 {
                self.forget(instrument, counterparty);
            }
        } else if quantity.0 != 0 {
            self.held.entry(instrument.into()).or_default().insert(counterparty.into(), quantity.0);
        }
    }

    /// Adds what another book holds.
    pub fn merge(&mut self, other: &Self) {
        for (instrument, by) in &other.held {
            for (counterparty, quantity) in by {
                self.add(instrument, counterparty, Quantity(*quantity));
            }
        }
    }

    fn forget(&mut self, instrument: &str, counterparty: &str) {
        if let Some(by) = self.held.get_mut(instrument) {
            by.remove(counterparty);
            if by.is_empty() {
                self.held.remove(instrument);
            }
        }
    }

    /// What is held, in the order of the instruments.
    fn sorted(&self) -> impl Iterator<Item = (&str, &Lots)> {
        let mut held: Vec<(&str, &Lots)> = self.held.iter().map(|(id, by)| (id.as_ref(), by)).collect();
        held.sort_unstable_by_key(|(id, _)| *id);
        held.into_iter()
    }

    /// The instruments that are held with somebody, in their order: also those whose holdings add up to zero.
    pub fn instruments(&self) -> impl Iterator<Item = &str> {
        self.sorted().map(|(instrument, _)| instrument)
    }

    /// What is held of each instrument, in their order.
    pub fn positions(&self) -> impl Iterator<Item = (&str, Quantity)> {
        let net = |by: &Lots| by.values().fold(0_i128, |sum, one| sum.saturating_add(*one));
        self.sorted().map(move |(instrument, by)| (instrument, Quantity(net(by))))
    }

    /// What is held of each instrument with each counterparty, in their order.
    pub fn lots(&self) -> impl Iterator<Item = (&str, &str, Quantity)> {
        self.sorted().flat_map(|(instrument, by)| {
            by.iter()
                .map(move |(counterparty, quantity)| (instrument, counterparty.as_ref(), Quantity(*quantity)))
        })
    }

    /// The same, together by instrument.
    pub(super) fn by_instrument(&self) -> impl Iterator<Item = (&str, Vec<(&str, Quantity)>)> {
        self.sorted().map(|(instrument, by)| {
            (instrument, by.iter().map(|(counterparty, held)| (&**counterparty, Quantity(*held))).collect())
        })
    }

    /// How many instruments are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trades_net_by_instrument_and_counterparty() {
        let mut book = Book::default();
        book.add("B", "x", Quantity(5));
        book.add("A", "", Quantity(7));
        book.add("B", "y", Quantity(-5));
        book.add("A", "", Quantity(-7));
        assert_eq!(book.positions().collect::<Vec<_>>(), [("B", Quantity(0))]);
        assert_eq!(book.lots().collect::<Vec<_>>(), [("B", "x", Quantity(5)), ("B", "y", Quantity(-5))]);
        book.add("B", "x", Quantity(-5));
        book.add("B", "y", Quantity(5));
        book.add("C", "", Quantity(0));
        assert_eq!(book, Book::default(), "what is closed leaves nothing behind");
    }
}
