//! How it is told what lacks for the risk of a portfolio.

use risk::portfolio;
use riskmesh_core::{Detail, Error, ErrorCode};

/// Gaps that one answer lists.
const LISTED: usize = 100;

/// Why a portfolio's risk cannot be told, for callers.
pub(crate) fn outward(error: portfolio::Error) -> Error {
    let missing = Error::new(ErrorCode::DataMissing);
    match error {
        portfolio::Error::Missing(gaps) => {
            let told = gaps
                .iter()
                .take(LISTED)
                .map(|gap| Detail::new("instrumentId", format!("{} {}", gap.instrument, gap.lack)));
            let message = match gaps.as_slice() {
                [gap] => format!("{} {}", gap.instrument, gap.lack),
                gaps => format!("Data of {} instruments are missing", gaps.len()),
            };
            told.fold(missing.message(message), Error::detail)
        }
        error @ portfolio::Error::History { .. } => {
            let issue = error.to_string();
            missing.message("There are prices on too few days").detail(Detail::new("prices", issue))
        }
        error @ portfolio::Error::Range => {
            let message = "A price, a rate or a position is beyond what can be computed";
            Error::new(ErrorCode::PreconditionFailed).message(message).because(error)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use risk::Day;
    use risk::portfolio::{Gap, Lack};

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
        let few = outward(portfolio::Error::History { days: 3, needed: 501 });
        assert_eq!(few.details[0].issue, "there are prices on 3 days, and it takes 501");
        assert_eq!(outward(portfolio::Error::Range).code, ErrorCode::PreconditionFailed);
    }
}
