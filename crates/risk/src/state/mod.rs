//! The mergeable state of an account: one [`HourState`] per UTC hour, folded to any window.
//!
//! An hour is a pure function of the *set* of its rows: repeats are dropped by id before anything is counted, so however
//! often, in whatever order and in whatever pieces events arrive, recomputing the hour gives the same bytes. Hours are
//! disjoint, so a window is the [`State::merge`] of its hours, which commutes and associates. Amounts stay in their own
//! currency: an hour lies in one UTC day, so a day's rate can be applied to its sums later, and a corrected rate never
//! touches the state.

mod codec;
mod distinct;
mod hasher;
mod histogram;
mod moments;

pub use distinct::Distinct;
pub use hasher::StateHasher;
pub use histogram::Histogram;
pub use moments::{Flow, Moments};

use smallvec::SmallVec;

use self::codec::{Reader, canonical, put_i64, put_len};
use crate::{
    code::{Country, Currency},
    entry::{self, Channel, Direction, Entry, Kind},
    time::Hour,
};

/// The first byte of an encoded hour.
const VERSION: u8 = 1;

/// Why bytes are not an hour's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Written by a later version of this code, or not by it at all.
    #[error("unknown state version {0}")]
    Version(u8),
    /// They end too early.
    #[error("state bytes are truncated")]
    Truncated,
    /// They are not what this state would be encoded as.
    #[error("state bytes are not canonical")]
    NotCanonical,
}

/// What is kept of the amounts in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrencyState {
    /// Which currency.
    pub currency: Currency,
    /// By [`Direction::index`].
    pub directions: [Moments; Direction::COUNT],
    /// By [`Kind::index`].
    pub kinds: [Flow; Kind::COUNT],
    /// By [`Channel::index`]; the last is for entries whose channel is not known.
    pub channels: [Flow; Channel::COUNT + 1],
    /// By the other side's country, ascending. `None` comes first: it holds entries that have another side (anything but
    /// cash and fees) whose country is not known.
    pub countries: SmallVec<[(Option<Country>, Flow); 1]>,
    /// Quantiles over both directions.
    pub amounts: Histogram,
}

impl CurrencyState {
    fn new(currency: Currency) -> Self {
        Self {
            currency,
            directions: Default::default(),
            kinds: Default::default(),
            channels: Default::default(),
            countries: SmallVec::new(),
            amounts: Histogram::default(),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let minor = entry.amount.minor().unsigned_abs();
        self.directions[entry.direction.index()].add(minor);
        self.kinds[entry.kind.index()].add(minor);
        self.channels[entry.channel.map_or(Channel::COUNT, Channel::index)].add(minor);
        let has_other_side = !matches!(entry.kind, Kind::Cash | Kind::Fee);
        if entry.counterparty_country.is_some() || has_other_side {
            self.country(entry.counterparty_country).add(minor);
        }
        self.amounts.add(minor);
    }

    fn country(&mut self, country: Option<Country>) -> &mut Flow {
        let at = match self.countries.binary_search_by_key(&country, |(one, _)| *one) {
            Ok(at) => at,
            Err(at) => {
                self.countries.insert(at, (country, Flow::default()));
                at
            }
        };
        &mut self.countries[at].1
    }

    fn merge(&mut self, other: &Self) {
        self.directions.iter_mut().zip(&other.directions).for_each(|(mine, theirs)| mine.merge(theirs));
        self.kinds.iter_mut().zip(&other.kinds).for_each(|(mine, theirs)| mine.merge(theirs));
        self.channels.iter_mut().zip(&other.channels).for_each(|(mine, theirs)| mine.merge(theirs));
        for (country, flow) in &other.countries {
            self.country(*country).merge(flow);
        }
        self.amounts.merge(&other.amounts);
    }

    /// Entries in this currency.
    pub fn count(&self) -> u64 {
        self.directions.iter().fold(0, |n, one| n.saturating_add(one.flow.count))
    }

    /// What crossed the border, for an account at home in `home`: entries whose other side's country is known and is
    /// another one.
    pub fn cross_border(&self, home: Country) -> Flow {
        let mut total = Flow::default();
        for (country, flow) in &self.countries {
            if country.is_some_and(|country| country != home) {
                total.merge(flow);
            }
        }
        total
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.currency.as_bytes());
        self.directions.iter().for_each(|one| one.encode(out));
        self.kinds.iter().for_each(|one| one.encode(out));
        self.channels.iter().for_each(|one| one.encode(out));
        put_len(out, self.countries.len());
        for (country, flow) in &self.countries {
            out.extend_from_slice(country.as_ref().map_or(b"--", |country| country.as_bytes()));
            flow.encode(out);
        }
        self.amounts.encode(out);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut this = Self::new(Currency::from_bytes(from.array()?).ok_or(Error::NotCanonical)?);
        for one in &mut this.directions {
            *one = Moments::decode(from)?;
        }
        for one in this.kinds.iter_mut().chain(&mut this.channels) {
            *one = Flow::decode(from)?;
        }
        for _ in 0..from.len(4)? {
            let country = match from.array()? {
                [b'-', b'-'] => None,
                letters => Some(Country::from_bytes(letters).ok_or(Error::NotCanonical)?),
            };
            let flow = Flow::decode(from)?;
            canonical(flow.count > 0 && this.countries.last().is_none_or(|(last, _)| *last < country))?;
            this.countries.push((country, flow));
        }
        this.amounts = Histogram::decode(from)?;
        canonical(this.count() > 0 && this.amounts.count() == this.count())?;
        Ok(this)
    }
}

/// What is kept of a set of entries of one account. The empty state is the identity of [`Self::merge`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Ascending by currency. Most accounts have one, which is held in place: there are as many states as hours.
    pub currencies: SmallVec<[CurrencyState; 1]>,
    /// Different counterparties, by [`Direction::index`].
    pub counterparties: [Distinct; Direction::COUNT],
}

impl State {
    /// Counts one entry. The caller has dropped repeats: see [`entry::canonical`].
    fn add(&mut self, entry: &Entry) {
        self.currency(entry.currency).add(entry);
        if let Some(counterparty) = &entry.counterparty {
            self.counterparties[entry.direction.index()].add(counterparty.as_bytes());
        }
    }

    fn currency(&mut self, currency: Currency) -> &mut CurrencyState {
        let at = match self.currencies.binary_search_by_key(&currency, |one| one.currency) {
            Ok(at) => at,
            Err(at) => {
                self.currencies.insert(at, CurrencyState::new(currency));
                at
            }
        };
        &mut self.currencies[at]
    }

    /// Adds the state of a *disjoint* set of entries, such as another hour. Commutes and associates; to join sets that may
    /// overlap, join the sets ([`entry::canonical`]) and compute the state anew.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.currencies {
            self.currency(theirs.currency).merge(theirs);
        }
        self.counterparties
            .iter_mut()
            .zip(&other.counterparties)
            .for_each(|(mine, theirs)| mine.merge(theirs));
    }

    /// The fold of any hours: a window.
    pub fn fold<'a>(hours: impl IntoIterator<Item = &'a HourState>) -> Self {
        hours.into_iter().fold(Self::default(), |mut window, hour| {
            window.merge(&hour.state);
            window
        })
    }

    /// Entries counted.
    pub fn count(&self) -> u64 {
        self.currencies.iter().fold(0, |n, one| n.saturating_add(one.count()))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.currencies.len());
        self.currencies.iter().for_each(|one| one.encode(out));
        self.counterparties.iter().for_each(|one| one.encode(out));
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut this = Self::default();
        for _ in 0..from.len(3)? {
            let one = CurrencyState::decode(from)?;
            canonical(this.currencies.last().is_none_or(|last| last.currency < one.currency))?;
            this.currencies.push(one);
        }
        for one in &mut this.counterparties {
            *one = Distinct::decode(from)?;
        }
        Ok(this)
    }
}

/// The state of one account in one UTC hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourState {
    /// Which hour.
    pub hour: Hour,
    /// What happened in it.
    pub state: State,
}

impl HourState {
    /// The hour that these rows of one account make: repeats are dropped by id, rows of other hours are not counted.
    pub fn from_entries<'a>(hour: Hour, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let rows = entry::canonical(entries);
        Self::of_canonical(hour, rows.into_iter().filter(|entry| entry.hour() == hour))
    }

    fn of_canonical<'a>(hour: Hour, rows: impl Iterator<Item = &'a Entry>) -> Self {
        let mut state = State::default();
        rows.for_each(|entry| state.add(entry));
        Self { hour, state }
    }

    /// Appends the canonical bytes: equal states, and only they, have equal bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_i64(out, self.hour.number());
        self.state.encode(out);
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode_into(&mut out);
        out
    }

    /// Reads what [`Self::encode`] wrote and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        let [version] = from.array()?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let number = from.i64()?;
        let hour = Hour::from_number(number);
        canonical(hour.number() == number)?;
        let state = State::decode(&mut from)?;
        from.finish()?;
        Ok(Self { hour, state })
    }
}

/// All hours that these rows of one account make, ascending. An id that occurs in two hours counts in one: the earlier.
pub fn hours<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<HourState> {
    let rows = entry::canonical(entries);
    let by_hour = || rows.chunk_by(|a, b| a.hour() == b.hour());
    // Counted first: moving states while the list grows costs more than looking at the times twice.
    let mut hours = Vec::with_capacity(by_hour().count());
    hours.extend(by_hour().map(|rows| HourState::of_canonical(rows[0].hour(), rows.iter().copied())));
    hours
}

#[cfg(test)]
mod tests;
