//! Exchange rates of all files together: what was the latest on a day.

use crate::rate::Quote;
use crate::{Error, files::File};
use risk::fx::{self, FxTable, Rate};
use risk::portfolio::{Cross, Fx};
use risk::{Currency, time::Day};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The part of a file that `risk::fx::FxTable`, which decides what is valid, keeps to itself.
#[derive(Deserialize)]
struct Shape {
    version: String,
    base: Currency,
    day: Vec<ShapeDay>,
}

#[derive(Deserialize)]
struct ShapeDay {
    date: Day,
    rates: BTreeMap<Currency, String>,
}

/// A rate with where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The rate.
    pub quote: Quote,
    /// Its day.
    pub day: Day,
    /// The version of its file.
    pub version: Arc<str>,
    /// Whether it was computed against another base than its file's.
    pub derived: bool,
}

/// Dated rates against one base.
#[derive(Clone, Debug)]
pub struct History {
    /// Names all of it.
    name: String,
    base: Currency,
    /// The files, as scores read them.
    tables: Vec<FxTable>,
    rates: BTreeMap<Currency, BTreeMap<Day, Dated>>,
}

impl History {
    /// Puts files together. Rates of one currency on one day may be in two of them, where they are the same.
    pub(crate) fn of(files: &[File], name: impl Into<String>) -> Result<Self, Error> {
        let (name, base) = (name.into(), Currency::EUR);
        let mut history = Self { name, base, tables: Vec::new(), rates: BTreeMap::new() };
        let mut versions: BTreeMap<String, PathBuf> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            let path = || file.path.clone();
            let table = FxTable::parse(&file.text);
            history.tables.push(table.map_err(|source| Error::Rates { path: path(), source })?);
            let shape: Shape = toml::from_str(&file.text)
                .map_err(|source| Error::Rates { path: path(), source: source.into() })?;
            file.check_version(&shape.version)?;
            if let Some(other) = versions.insert(shape.version.clone(), path()) {
                return Err(Error::SameVersion { path: path(), other });
            }
            file.check_currency(shape.base)?;
            if at == 0 {
                history.base = shape.base;
            } else if history.base != shape.base {
                let other = files[0].path.clone();
                return Err(Error::Base { path: path(), other, base: shape.base });
            }
            let version: Arc<str> = shape.version.into();
            for ShapeDay { date, rates } in shape.day {
                for (currency, text) in rates {
                    file.check_currency(currency)?;
                    // What is no rate was refused above.
                    let Some(quote) = Quote::parse(&text) else { continue };
                    let dated = Dated { quote, day: date, version: version.clone(), derived: false };
                    let days = history.rates.entry(currency).or_default();
                    if let Some(known) = days.get(&date).filter(|known| known.quote != quote) {
                        let other = versions.get(&*known.version).cloned().unwrap_or_default();
                        return Err(Error::Conflict { path: path(), other, currency, day: date });
                    }
                    days.entry(date).or_insert(dated);
                }
            }
        }
        Ok(history)
    }

    /// What the files quote against.
    pub fn base(&self) -> Currency {
        self.base
    }

    /// The latest rate of every currency on or before a day, for one unit of `base`, by code. `None` where the base itself has no
    /// rate by then.
    pub fn on(&self, day: Day, base: Currency) -> Option<Vec<(Currency, Dated)>> {
        if base == self.base {
            let all = self.rates.keys();
            return Some(
                all.filter_map(|currency| Some((*currency, self.latest(*currency, day)?.clone()))).collect(),
            );
        }
        let by = self.latest(base, day)?;
        let own = Dated { quote: Quote::ONE, ..by.clone() };
        let others = self.rates.keys().filter(|currency| **currency != base);
        let others = others.filter_map(|currency| Some((*currency, self.latest(*currency, day)?)));
        let all = others.chain([(self.base, &own)]).map(|(currency, dated)| {
            let older = if dated.day < by.day { dated } else { by };
            (currency, Dated { quote: dated.quote.against(by.quote), derived: true, ..older.clone() })
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(currency, _)| *currency);
        Some(all)
    }

    fn latest(&self, currency: Currency, day: Day) -> Option<&Dated> {
        self.rates.get(&currency)?.range(..=day).next_back().map(|(_, dated)| dated)
    }
}

/// The rates that [`History::on`] tells.
impl Fx for History {
    fn cross(&self, currency: Currency, base: Currency, day: Day) -> Option<Cross> {
        if currency == base {
            return Some(Cross::ONE);
        }
        let quote = |of: Currency| {
            let latest = || self.latest(of, day).map(|dated| dated.quote);
            if of == self.base { Some(Quote::ONE) } else { latest() }
        };
        let own = quote(currency)?;
        if base == self.base { own.cross() } else { own.against(quote(base)?).cross() }
    }

    fn knows(&self, currency: Currency, day: Day) -> bool {
        currency == self.base || self.latest(currency, day).is_some()
    }
}

/// As scores use them.
impl fx::Rates for History {
    fn version(&self) -> &str {
        &self.name
    }

    fn base(&self) -> Currency {
        self.base
    }

    fn rate(&self, currency: Currency, day: Day) -> Option<Rate> {
        if currency == self.base {
            return Some(Rate::ONE);
        }
        // Two files that have a rate of one day have the same.
        let latest = self.tables.iter().filter_map(|table| table.latest(currency, day));
        latest.max_by_key(|(day, _)| *day).map(|(_, rate)| rate)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use risk::fx::Rates as _;

    fn file(name: &str, version: &str, days: &str) -> File {
        File::of(name, format!("version = \"{version}\"\nbase = \"EUR\"\nnote = \"n\"\n{days}"))
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn shown(history: &History, on: &str, base: &str) -> Vec<String> {
        let rates = history.on(day(on), Currency::new(base).unwrap()).unwrap();
        let one = |(currency, dated): &(Currency, Dated)| {
            format!("{currency} {} {} {}", dated.quote, dated.day, dated.version)
        };
        rates.iter().map(one).collect()
    }

    #[test]
    fn files_side_by_side_are_one_history() {
        let old = "[[day]]\ndate = \"2025-01-01\"\nrates = { USD = \"1.10\", JPY = \"160\" }";
        let new = "[[day]]\ndate = \"2025-03-01\"\nrates = { USD = \"1.25\" }";
        let history = History::of(&[file("fx-a.toml", "a", old), file("fx-b.toml", "b", new)], "ab").unwrap();
        assert_eq!(shown(&history, "2025-02-28", "EUR"), ["JPY 160 2025-01-01 a", "USD 1.1 2025-01-01 a"]);
        assert_eq!(shown(&history, "2025-03-01", "EUR"), ["JPY 160 2025-01-01 a", "USD 1.25 2025-03-01 b"]);
        assert!(shown(&history, "2024-12-31", "EUR").is_empty());
        assert_eq!(shown(&history, "2025-03-01", "USD"), ["EUR 0.8 2025-03-01 b", "JPY 128 2025-01-01 a"]);
        assert!(history.on(day("2024-12-31"), Currency::new("USD").unwrap()).is_none());
        assert!(history.on(day("2025-12-31"), Currency::new("GBP").unwrap()).is_none());

        let usd = |on| history.to_base(1_100, Currency::new("USD").unwrap(), day(on));
        assert_eq!([usd("2024-12-31"), usd("2025-02-28"), usd("2025-03-01")], [None, Some(1_000), Some(880)]);
        assert_eq!(history.to_base(7, Currency::EUR, day("1990-01-01")), Some(7));
    }

    #[test]
    fn portfolios_are_valued_by_the_rates_that_are_told() {
        let days = "[[day]]\ndate = \"2025-01-01\"\nrates = { USD = \"1.25\", JPY = \"160\" }";
        let history = History::of(&[file("fx-a.toml", "a", days)], "a").unwrap();
        let cross = |of: &str, base: &str, on: &str| {
            let currency = |code| Currency::new(code).unwrap();
            history.cross(currency(of), currency(base), day(on))
        };
        assert_eq!(cross("USD", "EUR", "2025-06-01"), Cross::new(125, 2));
        assert_eq!(cross("EUR", "USD", "2025-06-01"), Cross::new(8, 1));
        assert_eq!(cross("JPY", "USD", "2025-06-01"), Cross::new(128, 0));
        assert_eq!(cross("GBP", "GBP", "2024-01-01"), Some(Cross::ONE));
        for (of, base, on) in
            [("USD", "EUR", "2024-12-31"), ("EUR", "USD", "2024-12-31"), ("GBP", "EUR", "2025-06-01")]
        {
            assert_eq!(cross(of, base, on), None, "{of} in {base} on {on}");
        }
    }

    #[test]
    fn files_that_contradict_each_other_are_refused() {
        let usd = |rate: &str| format!("[[day]]\ndate = \"2025-01-01\"\nrates = {{ USD = \"{rate}\" }}");
        let of = |a: File, b: File| History::of(&[a, b], "ab").map(drop);
        let first = || file("fx-a.toml", "a", &usd("1.1"));
        assert!(of(first(), file("fx-b.toml", "b", &usd("1.10"))).is_ok(), "the same rate twice");
        let conflict = of(first(), file("fx-b.toml", "b", &usd("1.2"))).unwrap_err();
        assert_eq!(conflict.to_string(), "fx-b.toml and fx-a.toml differ on the rate of USD on 2025-01-01");
        assert!(matches!(of(first(), file("fx-b.toml", "a", "day = []")), Err(Error::SameVersion { .. })));
        let other = File::of("fx-b.toml", "version = \"b\"\nbase = \"USD\"\nnote = \"\"\nday = []".into());
        assert!(matches!(of(first(), other), Err(Error::Base { .. })));
        let unknown = file("fx-b.toml", "b", "[[day]]\ndate = \"2025-01-01\"\nrates = { XXX = \"1\" }");
        assert!(matches!(of(first(), unknown), Err(Error::Code { .. })));
        assert!(matches!(of(first(), file("fx-b.toml", "a b", "day = []")), Err(Error::Version { .. })));
        assert!(matches!(of(first(), file("fx-b.toml", "b", "days = []")), Err(Error::Rates { .. })));
    }
}
