//! Stress scenarios: what a book would gain if prices and currencies moved as the model says.

use super::{Book, Error, Instrument, Market, Minor, Scenarios, Stress, units::div_round};

/// Basis points in one.
const WHOLE: i128 = 10_000;

/// The change of an instrument's value in the base, in 10^-8: the price's, then the currency's on top.
fn change(stress: &Stress, instrument: &Instrument, market: &Market<'_>) -> i128 {
    let sector = instrument.sector.as_ref().and_then(|sector| stress.sectors.get(&**sector));
    let country = instrument.country.as_ref().and_then(|country| stress.countries.get(country));
    let price = *sector.or(country).unwrap_or(&stress.price_bp);
    let currency = stress.currencies.get(&instrument.currency).filter(|_| instrument.currency != market.base);
    let currency = currency.copied().unwrap_or(0);
    (WHOLE + i128::from(price)) * (WHOLE + i128::from(currency)) - WHOLE * WHOLE
}

/// What a book would gain.
pub(super) fn gain(
    stress: &Stress,
    book: &Book,
    market: &Market<'_>,
    scenarios: &Scenarios,
) -> Result<Minor, Error> {
    let mut sum = 0_i128;
    for (id, quantity) in book.positions() {
        let value = scenarios.needed(id)?.value;
        let Some(instrument) = market.instruments.get(id) else { continue };
        // What one unit gains, in the places of what it is worth: then sums over partitions are exact, as in `Pnl`.
        let change = change(stress, instrument, market);
        let gain = div_round(value.checked_mul(change).ok_or(Error::Range)?, WHOLE * WHOLE);
        let gain = gain.checked_mul(quantity.0).ok_or(Error::Range)?;
        sum = sum.checked_add(gain).ok_or(Error::Range)?;
    }
    Ok(Minor::of_exact(sum, market.base))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{World, model};
    use super::*;
    use crate::portfolio::Quantity;
    use crate::{Country, Currency};

    #[test]
    fn the_sector_s_shock_comes_before_the_country_s_and_the_currency_s_on_top() {
        let mut world = World::default();
        world.rate("USD", "2026-01-01", "1");
        for (id, currency) in [("A", "EUR"), ("B", "USD"), ("C", "EUR")] {
            world.instrument(id, currency, &[("2026-01-05", "100"), ("2026-01-06", "100")]);
        }
        world.describe("A", "DE", "energy");
        world.describe("B", "DE", "");
        let scenarios = world.scenarios(&model(1), &["A", "B", "C"], "2026-01-06").unwrap();
        let stress = Stress {
            name: "test".into(),
            description: "test".into(),
            price_bp: -1_000,
            sectors: [("energy".into(), -5_000)].into(),
            countries: [(Country::of(b"DE"), -2_000)].into(),
            // The base does not move against itself.
            currencies: [(Currency::of(b"USD"), -1_000), (Currency::EUR, -9_000)].into(),
        };
        let gain = |instrument: &str, units: i128| {
            let mut book = Book::default();
            book.add(instrument, "", Quantity(units * 1_000_000));
            gain(&stress, &book, &world.market(), &scenarios).unwrap().0
        };
        assert_eq!(gain("A", 1), -5_000);
        assert_eq!(gain("B", 1), -2_800, "0.8 times 0.9");
        assert_eq!(gain("C", 1), -1_000);
        assert_eq!(gain("C", -3), 3_000, "who is short gains");
    }
}
