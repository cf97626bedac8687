//! How it is told what lacks for the risk of a portfolio.

use risk::portfolio::{self, Gap, Lack};
use riskmesh_core::{Detail, Error, ErrorCode};
use std::collections::HashSet;

/// Gaps that one answer lists.
const LISTED: usize = 100;

/// Why a portfolio's risk cannot be told, for callers: a detail for each thing that is to be sent. Its field names what it is by its id.
pub(crate) fn outward(error: portfolio::Error) -> Error {
    let missing = Error::new(ErrorCode::DataMissing);
    match error {
        portfolio::Error::Missing(gaps) => {
            let message = match gaps.as_slice() {
                [gap] => format!("{} {}", gap.instrument, gap.lack),
                gaps => format!("Data of {} instruments are missing", gaps.len()),
            };
            let mut seen = HashSet::new();
            // A currency that lacks a rate is one thing to send, however many instruments are priced in it.
            let told = gaps.iter().map(lacking).filter(|detail| seen.insert(detail.field.clone()));
            told.take(LISTED).fold(missing.message(message), Error::detail)
        }
        portfolio::Error::History { days, needed, held } => {
            let all = format!("there are prices on {days} days, and it takes {needed}");
            let all = Detail::expected("prices", all, format!("prices on {needed} days"));
            let one = |(id, days): (Box<str>, usize)| {
                let issue = format!("{id} has prices on {days} of {needed} days");
                Detail::expected(format!("prices[{id}]"), issue, format!("prices on {needed} days"))
            };
            let told = held.into_iter().take(LISTED - 1).map(one);
            let missing = missing.message("There are prices on too few days").detail(all);
            told.fold(missing, Error::detail)
        }
        error @ portfolio::Error::Range => {
            let message = "A price, a rate or a position is beyond what can be computed";
            Error::new(ErrorCode::PreconditionFailed).message(message).because(error)
        }
    }
}

fn lacking(gap: &Gap) -> Detail {
    let Gap { instrument, lack } = gap;
    let (field, expected) = match lack {
        Lack::Instrument => {
            (format!("instruments[{instrument}]"), format!("PUT /v1/instruments/{instrument}"))
        }
        Lack::Price { from, until, .. } if from == until => {
            (format!("prices[{instrument}]"), format!("a price on or shortly before {from}"))
        }
        Lack::Price { from, until, .. } => {
            (format!("prices[{instrument}]"), format!("prices from {from} to {until}"))
        }
        Lack::Rate { of, day, .. } => (format!("rates[{of}]"), format!("a rate of {of} on or before {day}")),
    };
    Detail::expected(field, format!("{instrument} {lack}"), expected)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use risk::{Currency, Day};

    #[test]
    fn what_lacks_is_listed_within_bounds() {
        let day = Day::parse("2026-01-02").unwrap();
        let gap = |n: usize| Gap {
            instrument: format!("I{n}").into(),
            lack: Lack::Price { from: day, until: day, days: 1 },
        };
        let one = outward(portfolio::Error::Missing(vec![gap(0)]));
        assert_eq!(
            (one.code, &*one.message),
            (ErrorCode::DataMissing, "I0 has no price that may be carried to 2026-01-02")
        );
        let many = outward(portfolio::Error::Missing((0..1_000).map(gap).collect()));
        assert_eq!((many.details.len(), &*many.message), (100, "Data of 1000 instruments are missing"));
        assert_eq!(many.details[7].issue, "I7 has no price that may be carried to 2026-01-02");
        assert_eq!((&*many.details[7].field, &*one.details[0].field), ("prices[I7]", "prices[I0]"));
        assert_eq!(one.details[0].expected, "a price on or shortly before 2026-01-02");
        let held = vec![("A".into(), 3), ("B".into(), 0)];
        let few = outward(portfolio::Error::History { days: 3, needed: 501, held });
        let told: Vec<_> =
            few.details.iter().map(|detail| format!("{}: {}", detail.field, detail.issue)).collect();
        assert_eq!(
            told,
            [
                "prices: there are prices on 3 days, and it takes 501",
                "prices[A]: A has prices on 3 of 501 days",
                "prices[B]: B has prices on 0 of 501 days"
            ]
        );
        assert_eq!(outward(portfolio::Error::Range).code, ErrorCode::PreconditionFailed);
    }

    #[test]
    fn an_instrument_and_a_currency_are_named_once_by_their_ids() {
        let day = Day::parse("2026-01-02").unwrap();
        let rate = Lack::Rate { currency: Currency::EUR, of: Currency::of(b"XAG"), day };
        let gap = |instrument: &str, lack| Gap { instrument: instrument.into(), lack };
        let gaps = vec![gap("A", Lack::Instrument), gap("B", rate), gap("C", rate)];
        let told = outward(portfolio::Error::Missing(gaps)).details;
        let told: Vec<_> = told.iter().map(|detail| (&*detail.field, &*detail.expected)).collect();
        assert_eq!(
            told,
            [
                ("instruments[A]", "PUT /v1/instruments/A"),
                ("rates[XAG]", "a rate of XAG on or before 2026-01-02")
            ]
        );
    }
}
