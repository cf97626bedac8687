//! All reference data at one moment.

use crate::files::{File, Fingerprint, Kind};
use crate::history::History;
use crate::tables::{self, Country, Currency};
use crate::{Error, tables::COUNTRIES, tables::CURRENCIES};
use risk::StateHash;
use risk::fx::{FxTable, Rates as _};
use risk::refdata::CountryLists;
use risk::time::Day;
use std::path::Path;
use std::sync::Arc;

/// The risk lists that ship with the program.
const LIST: (&str, &str) = (
    "(built in) country-risk-2026-02-13.toml",
    include_str!("../../../models/refdata/country-risk-2026-02-13.toml"),
);
/// The exchange rates that ship with the program: invented.
const RATES: (&str, &str) =
    ("(built in) fx-sample-1.toml", include_str!("../../../models/refdata/fx-sample-1.toml"));
/// How much of a hash names a version.
const VERSION_DIGITS: usize = 16;
/// How much of it stands beside the version of a file.
const NAME_DIGITS: usize = 8;

/// One publication of the country risk lists.
#[derive(Clone, Debug)]
pub struct RiskList {
    /// What it says.
    pub lists: Arc<CountryLists>,
    /// The SHA-256 of its file.
    pub hash: StateHash,
}

impl RiskList {
    /// Names the publication and, where it is the operator's own, its content: the version of a file that was changed is the same.
    pub fn name(&self) -> String {
        name(self.lists.version(), &self.hash, LIST.1)
    }
}

/// All reference data at one moment: never changed, only replaced.
///
/// The risk lists that ship with the program are there beside the operator's, unless one of those has the same version or day. The
/// exchange rates that ship with it are invented: they are there only where the operator has none.
#[derive(Clone, Debug)]
pub struct Set {
    countries: Vec<Country>,
    currencies: Vec<Currency>,
    /// The newest first.
    lists: Vec<RiskList>,
    shipped: RiskList,
    rates: Arc<History>,
    versions: Versions,
}

/// Names of the parts, each of all that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Versions {
    countries: String,
    currencies: String,
    lists: String,
    rates: String,
}

impl Set {
    /// What ships with the program.
    pub fn builtin() -> Result<Self, Error> {
        Self::of(Vec::new())
    }

    /// What ships with the program and the files of a directory, where there is one.
    pub fn load(directory: Option<&Path>) -> Result<Self, Error> {
        let Some(directory) = directory else { return Self::builtin() };
        Self::read(directory, &Fingerprint::of(directory)?)
    }

    /// The same with the files as they were seen.
    pub(crate) fn read(directory: &Path, seen: &Fingerprint) -> Result<Self, Error> {
        Self::of(seen.read(directory)?)
    }

    fn of(files: Vec<(Kind, File)>) -> Result<Self, Error> {
        let (lists, mut rates): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(kind, _)| *kind == Kind::RiskList);
        let lists = risk_lists(lists.into_iter().map(|(_, file)| file))?;
        if rates.is_empty() {
            rates.push((Kind::Rates, File::of(RATES.0, RATES.1.to_owned())));
        }
        let rates: Vec<File> = rates.into_iter().map(|(_, file)| file).collect();
        let of_lists: Vec<u8> = lists.iter().flat_map(|list| list.hash.0).collect();
        let of_rates: Vec<u8> = rates.iter().flat_map(|file| file.hash.0).collect();
        let versions = Versions {
            countries: version(&[COUNTRIES.as_bytes(), &of_lists]),
            currencies: version(&[CURRENCIES.as_bytes()]),
            lists: version(&[&of_lists]),
            rates: version(&[&of_rates]),
        };
        Ok(Self {
            countries: tables::countries()?,
            currencies: tables::currencies()?,
            lists,
            shipped: shipped()?.1,
            rates: Arc::new(History::of(&rates, name_of_rates(&rates, &versions.rates))?),
            versions,
        })
    }

    /// The countries of ISO 3166-1, by alpha-2 code.
    pub fn countries(&self) -> &[Country] {
        &self.countries
    }

    /// The currencies of ISO 4217, by code.
    pub fn currencies(&self) -> &[Currency] {
        &self.currencies
    }

    /// The risk lists, the newest first.
    pub fn lists(&self) -> &[RiskList] {
        &self.lists
    }

    /// The risk lists in force on a day: the newest that were published by then.
    pub fn in_force(&self, day: Day) -> Option<&RiskList> {
        self.lists.iter().find(|list| list.lists.published() <= day)
    }

    /// The risk lists that scores of a day are made with: those in force, or where none was by then those that ship with the program.
    pub fn for_scores(&self, day: Day) -> &RiskList {
        self.in_force(day).unwrap_or(&self.shipped)
    }

    /// The exchange rates.
    pub fn rates(&self) -> &History {
        &self.rates
    }

    /// The same, to be kept.
    pub fn shared_rates(&self) -> Arc<History> {
        self.rates.clone()
    }

    /// Names the countries with their risk listings.
    pub fn countries_version(&self) -> &str {
        &self.versions.countries
    }

    /// Names the currencies.
    pub fn currencies_version(&self) -> &str {
        &self.versions.currencies
    }

    /// Names the risk lists, all of them.
    pub fn lists_version(&self) -> &str {
        &self.versions.lists
    }

    /// Names the exchange rates.
    pub fn rates_version(&self) -> &str {
        &self.versions.rates
    }

    /// Whether another set was made of the same content.
    pub fn is_same(&self, other: &Self) -> bool {
        self.versions == other.versions
    }
}

/// A file's version, and the beginning of its hash unless it ships with the program.
fn name(version: &str, hash: &StateHash, shipped: &str) -> String {
    if *hash == StateHash::of(shipped.as_bytes()) {
        return version.to_owned();
    }
    let mut digits = hash.to_string();
    digits.truncate(NAME_DIGITS);
    format!("{version}@{digits}")
}

/// Names the rates of all files.
fn name_of_rates(files: &[File], all: &str) -> String {
    match files {
        [one] => match FxTable::parse(&one.text) {
            Ok(table) => name(table.version(), &one.hash, RATES.1),
            // What is no table is refused right after.
            Err(_) => all.to_owned(),
        },
        _ => format!("fx@{all}"),
    }
}

fn version(parts: &[&[u8]]) -> String {
    // Each part by its hash, so that no two splits of the same bytes are the same.
    let hashes: Vec<u8> = parts.iter().flat_map(|part| StateHash::of(part).0).collect();
    let mut version = StateHash::of(&hashes).to_string();
    version.truncate(VERSION_DIGITS);
    version
}

fn risk_lists(files: impl Iterator<Item = File>) -> Result<Vec<RiskList>, Error> {
    let mut lists: Vec<(File, CountryLists)> = Vec::new();
    for file in files {
        let parsed = parse(&file)?;
        for (other, known) in &lists {
            let (path, other) = (file.path.clone(), other.path.clone());
            if known.version() == parsed.version() {
                return Err(Error::SameVersion { path, other });
            }
            if known.published() == parsed.published() {
                return Err(Error::SameDay { path, other, day: parsed.published() });
            }
        }
        lists.push((file, parsed));
    }
    let (own, shipped) = shipped()?;
    let replaced = lists.iter().any(|(_, list)| {
        list.version() == shipped.lists.version() || list.published() == shipped.lists.published()
    });
    if !replaced {
        lists.push((own, CountryLists::clone(&shipped.lists)));
    }
    lists.sort_by_key(|(_, list)| std::cmp::Reverse(list.published()));
    let list = |(file, lists): (File, _)| RiskList { lists: Arc::new(lists), hash: file.hash };
    Ok(lists.into_iter().map(list).collect())
}

/// The risk lists that ship with the program.
fn shipped() -> Result<(File, RiskList), Error> {
    let file = File::of(LIST.0, LIST.1.to_owned());
    let lists = Arc::new(parse(&file)?);
    let hash = file.hash;
    Ok((file, RiskList { lists, hash }))
}

fn parse(file: &File) -> Result<CountryLists, Error> {
    let lists =
        CountryLists::parse(&file.text).map_err(|source| Error::List { path: file.path.clone(), source })?;
    file.check_version(lists.version())?;
    lists.iter().try_for_each(|(country, _)| file.check_country(country))?;
    Ok(lists)
}

#[cfg(test)]
pub(crate) mod tests;
