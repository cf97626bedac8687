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
mod hour;
mod moments;
mod row;
mod short;

pub use distinct::Distinct;
pub use hasher::StateHasher;
pub use histogram::Histogram;
pub use hour::{HourState, hours};
pub use moments::{Flow, Moments};

use smallvec::SmallVec;

use self::codec::{Reader, canonical, put_len};
pub(crate) use self::{hour::Kept, row::Row};
use crate::{
    code::{Country, Currency},
    entry::{Channel, Direction, Kind},
};

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
    pub countries: SmallVec<[(Option<Country>, Flow); 4]>,
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

    fn add(&mut self, row: &Row) {
        self.directions[row.direction.index()].add(row.minor);
        self.kinds[row.kind.index()].add(row.minor);
        self.channels[row.channel_index()].add(row.minor);
        if row.has_other_side() {
            self.country(row.country).add(row.minor);
        }
        self.amounts.add(row.minor);
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
    /// Ascending by currency. Most accounts have one, which is held in place.
    pub currencies: SmallVec<[CurrencyState; 1]>,
    /// Different counterparties, by [`Direction::index`].
    pub counterparties: [Distinct; Direction::COUNT],
}

impl State {
    /// Of rows that are different entries: the caller has dropped repeats, see [`crate::entry::canonical`].
    fn of(rows: impl IntoIterator<Item = Row>) -> Box<Self> {
        let mut this = Box::<Self>::default();
        rows.into_iter().for_each(|row| this.add(&row));
        this
    }

    fn add(&mut self, row: &Row) {
        self.currency(row.currency).add(row);
        if let Some(party) = row.party {
            self.counterparties[row.direction.index()].add(party);
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
    /// overlap, join the sets ([`crate::entry::canonical`]) and compute the state anew.
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
        let mut window = Self::default();
        for hour in hours {
            match hour.kept() {
                Kept::One(row) => window.add(row),
                Kept::Many(state) => window.merge(state),
            }
        }
        window
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

#[cfg(test)]
mod tests;
