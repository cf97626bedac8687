//! Reference data: country risk lists and exchange rates, each versioned.
//!
//! The lists are those of the Financial Action Task Force: jurisdictions under a call for action, and under increased
//! monitoring. Points for being listed are the model's business, being listed is this file's.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::{
    code::Country,
    fx::{self, FxTable, Rates},
    time::Day,
};

/// Which list a country is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// On neither list.
    Unlisted,
    /// Under increased monitoring.
    IncreasedMonitoring,
    /// Subject to a call for action.
    CallForAction,
}

/// What FATF asks its members to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Counter-measures.
    Countermeasures,
    /// Enhanced due diligence.
    EnhancedDueDiligence,
    /// In proportion to the risk.
    RiskBased,
}

/// Why a file is not a list of countries.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, or not of this shape.
    #[error("parse country lists")]
    Parse(#[from] toml::de::Error),
    /// The version is empty or longer than 64 characters.
    #[error("version must have 1 to 64 characters")]
    Version,
    /// A country is listed twice.
    #[error("{0} is listed twice")]
    Repeated(Country),
    /// The list of calls for action is empty: a truncated file, for it never was.
    #[error("call-for-action must not be empty")]
    Empty,
    /// The exchange rates that ship with the program.
    #[error("load exchange rates")]
    Rates(#[from] fx::Error),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: String,
    published: Day,
    source: String,
    call_for_action: Vec<FileCountry>,
    increased_monitoring: Vec<FileCountry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileCountry {
    country: Country,
    name: String,
    measure: Measure,
}

/// A listed country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which list.
    pub listing: Listing,
    /// As the list names it.
    pub name: String,
    /// What is asked for.
    pub measure: Measure,
}

/// The country risk lists of one publication.
#[derive(Clone, Debug)]
pub struct CountryLists {
    version: String,
    published: Day,
    source: String,
    listed: BTreeMap<Country, Listed>,
    /// By [`Country::index`], for those who ask for every payment.
    listings: Box<[Listing; Country::INDICES]>,
}

impl CountryLists {
    /// Reads the lists, strictly.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        if !(1..=64).contains(&file.version.len()) {
            return Err(Error::Version);
        }
        if file.call_for_action.is_empty() {
            return Err(Error::Empty);
        }
        let mut listed = BTreeMap::new();
        let lists = [
            (Listing::CallForAction, file.call_for_action),
            (Listing::IncreasedMonitoring, file.increased_monitoring),
        ];
        for (listing, countries) in lists {
            for FileCountry { country, name, measure } in countries {
                if listed.insert(country, Listed { listing, name, measure }).is_some() {
                    return Err(Error::Repeated(country));
                }
            }
        }
        let mut listings = Box::new([Listing::Unlisted; Country::INDICES]);
        for (country, one) in &listed {
            listings[country.index()] = one.listing;
        }
        Ok(Self { version: file.version, published: file.published, source: file.source, listed, listings })
    }

    /// Names this publication in answers.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// When it was published.
    pub fn published(&self) -> Day {
        self.published
    }

    /// By whom.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Which list a country is on.
    pub fn listing(&self, country: Country) -> Listing {
        self.listings[country.index()]
    }

    /// All that are listed, by code.
    pub fn iter(&self) -> impl Iterator<Item = (Country, &Listed)> {
        self.listed.iter().map(|(country, listed)| (*country, listed))
    }
}

/// All reference data that a score needs. Cheap to clone; replaced as a whole.
#[derive(Clone, Debug)]
pub struct RefData {
    countries: Arc<CountryLists>,
    rates: Arc<dyn Rates>,
    version: Arc<str>,
}

impl RefData {
    /// Puts together lists and rates; the version names both.
    pub fn new(countries: Arc<CountryLists>, rates: Arc<dyn Rates>) -> Self {
        let lists = countries.version().to_owned();
        Self::named(&lists, countries, rates)
    }

    /// The same with lists that are named by more than their version.
    pub fn named(lists: &str, countries: Arc<CountryLists>, rates: Arc<dyn Rates>) -> Self {
        let version = format!("{lists}+{}", rates.version()).into();
        Self { countries, rates, version }
    }

    /// The lists and the sample rates that ship with the program.
    pub fn builtin() -> Result<Self, Error> {
        let lists = include_str!("../../../models/refdata/country-risk-2026-02-13.toml");
        Ok(Self::new(Arc::new(CountryLists::parse(lists)?), Arc::new(FxTable::sample()?)))
    }

    /// Country risk lists.
    pub fn countries(&self) -> &CountryLists {
        &self.countries
    }

    /// Exchange rates.
    pub fn rates(&self) -> &dyn Rates {
        &*self.rates
    }

    /// Names all of it in answers.
    pub fn version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_lists_of_february_2026() {
        let refdata = RefData::builtin().unwrap();
        let listing = |code| refdata.countries().listing(Country::new(code).unwrap());
        for code in ["KP", "IR", "MM"] {
            assert_eq!(listing(code), Listing::CallForAction, "{code}");
        }
        assert_eq!(listing("NA"), Listing::IncreasedMonitoring);
        assert_eq!(listing("DE"), Listing::Unlisted);
        assert_eq!(refdata.countries().iter().count(), 25);
        assert_eq!(refdata.version(), "fatf-2026-02-13+fx-sample-1");
    }

    #[test]
    fn repeated_unknown_and_truncated_lists_are_refused() {
        let head = "version = \"v\"\npublished = \"2026-02-13\"\nsource = \"s\"\n";
        let row = "[[call-for-action]]\ncountry = \"IR\"\nname = \"Iran\"\nmeasure = \"countermeasures\"\n";
        let parse = |body: &str| CountryLists::parse(&format!("{head}{body}"));
        assert!(parse(&format!("increased-monitoring = []\n{row}")).is_ok());
        assert!(matches!(parse(&format!("increased-monitoring = []\n{row}{row}")), Err(Error::Repeated(_))));
        assert!(matches!(parse("increased-monitoring = []\ncall-for-action = []"), Err(Error::Empty)));
        assert!(matches!(parse(row), Err(Error::Parse(_))));
        assert!(matches!(
            parse(&format!("increased-monitoring = []\nother = []\n{row}")),
            Err(Error::Parse(_))
        ));
    }
}
