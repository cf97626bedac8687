//! Component value at risk: what each position adds to it, so that the parts sum to the whole.
//!
//! The value at risk of a historical simulation is the loss in one scenario; a position's component is its own loss in that one, which is
//! Euler's allocation for this estimator (Tasche, "Risk contributions and performance measurement", 1999; Hallerbach, "Decomposing
//! portfolio value-at-risk", Journal of Risk 5, 2003). It sums exactly and needs no assumption, and as it looks at one day it is rough:
//! a component less than 0 says that the position offset losses on that day.

use super::{Book, Error, Minor, Pnl, Scenarios, tail, units::shares};
use crate::code::Currency;

/// The components of the value at risk at a level, by instrument in the order of the book; none where there are no scenarios.
///
/// Of scenarios with the same loss the oldest counts first. Components are rounded so that they sum to the whole: see [`shares`].
pub fn components(
    book: &Book,
    scenarios: &Scenarios,
    pnl: &Pnl,
    base: Currency,
    level_bp: u32,
) -> Result<Vec<Minor>, Error> {
    let gains = pnl.minor(base);
    let mut order: Vec<usize> = (0..gains.len()).collect();
    order.sort_by_key(|at| -gains[*at]);
    let Some(at) = tail::rank(order.len(), level_bp).checked_sub(1).map(|rank| order[rank]) else {
        return Ok(Vec::new());
    };
    let losses = book.positions().map(|(instrument, quantity)| {
        let gain = scenarios.needed(instrument)?.gains[at];
        Ok(-gain.checked_mul(quantity.0).ok_or(Error::Range)?)
    });
    let losses = losses.collect::<Result<Vec<_>, Error>>()?;
    Ok(shares(&losses, -gains[at], base))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, books, model};
    use super::*;
    use crate::portfolio::{Quantity, Tail};
    use proptest::prelude::*;

    #[test]
    fn a_component_is_the_loss_in_the_scenario_that_is_the_value_at_risk() {
        let mut world = World::default();
        let days = ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"];
        let with = |prices: [&'static str; 4]| days.into_iter().zip(prices).collect::<Vec<_>>();
        world.instrument("A", "EUR", &with(["100", "90", "99", "100"]));
        world.instrument("B", "EUR", &with(["100", "104", "100", "100"]));
        let mut book = Book::default();
        book.add("A", "", Quantity(1_000_000));
        book.add("B", "", Quantity(1_000_000));
        let scenarios = world.scenarios(&model(3), &["A", "B"], "2026-01-08").unwrap();
        let pnl = Pnl::of(&book, &scenarios).unwrap();
        let parts = components(&book, &scenarios, &pnl, crate::Currency::EUR, 9_900).unwrap();
        assert_eq!(parts, [Minor(1_000), Minor(-400)]);
    }

    proptest! {
        #[test]
        fn components_sum_to_the_value_at_risk(book in books(), level_bp in 9_000_u32..10_000) {
            let world = World::random(1);
            let scenarios = world.all_scenarios(&model(40));
            let pnl = Pnl::of(&book, &scenarios).unwrap();
            for base in [crate::Currency::EUR, crate::Currency::of(b"JPY"), crate::Currency::of(b"KWD")] {
                let parts = components(&book, &scenarios, &pnl, base, level_bp).unwrap();
                let whole = Tail::of(&pnl.minor(base), level_bp).unwrap().value_at_risk;
                prop_assert_eq!(parts.len(), book.len());
                prop_assert_eq!(parts.into_iter().sum::<Minor>(), if book.is_empty() { Minor(0) } else { whole });
            }
        }
    }
}
