//! What an hour keeps of one entry. Most entries are alone in their hour, so this is also how most hours are held.

use super::{Flow, State, histogram::bucket, short::Short};
use crate::{
    code::{Country, Currency},
    entry::{Channel, Direction, Entry, Kind},
    hash::xxh64,
};

/// Room for the bytes of an hour with one row, and for what [`Short`] wants besides.
pub(super) const LONGEST: usize = 192;

/// The same for the bytes of [`Row::put`] after a mark and a number.
pub(super) const COMPACT: usize = 64;

/// One entry, as far as a state knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) minor: u64,
    /// The hash of the counterparty.
    pub(crate) party: Option<u64>,
    pub(crate) currency: Currency,
    pub(crate) direction: Direction,
    pub(crate) kind: Kind,
    pub(crate) channel: Option<Channel>,
    pub(crate) country: Option<Country>,
}

impl Row {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            minor: entry.amount.minor().unsigned_abs(),
            party: entry.counterparty.map(|party| xxh64(party.as_bytes())),
            currency: entry.currency,
            direction: entry.direction,
            kind: entry.kind,
            channel: entry.channel,
            country: entry.counterparty_country,
        }
    }

    /// The row that is all of this state, if it is of one.
    pub(crate) fn alone_in(state: &State) -> Option<Self> {
        let [sums] = &state.currencies[..] else { return None };
        let direction = *Direction::ALL.get(sums.directions.iter().position(|one| one.flow.count > 0)?)?;
        let used = |flows: &[Flow]| flows.iter().position(|one| one.count > 0);
        let row = Self {
            minor: sums.directions[direction.index()].max,
            party: state.counterparties[direction.index()].first(),
            currency: sums.currency,
            direction,
            kind: *Kind::ALL.get(used(&sums.kinds)?)?,
            channel: Channel::ALL.get(used(&sums.channels)?).copied(),
            country: sums.countries.first().and_then(|(country, _)| *country),
        };
        // What is in a state may also come from foreign bytes, which can hold what no entry makes.
        (*State::of([row]) == *state).then_some(row)
    }

    pub(crate) fn channel_index(&self) -> usize {
        self.channel.map_or(Channel::COUNT, Channel::index)
    }

    /// Whether it counts by country: anything but cash and fees has another side, whose country may be unknown.
    pub(crate) fn has_other_side(&self) -> bool {
        self.country.is_some() || !matches!(self.kind, Kind::Cash | Kind::Fee)
    }

    /// The fields, one after the other: fewer bytes, for what need not be read again.
    pub(super) fn put(&self, out: &mut Short<COMPACT>) {
        out.number(self.minor);
        out.array(self.currency.as_bytes());
        out.array(self.country.as_ref().map_or(b"--", |country| country.as_bytes()));
        out.array(&[self.direction as u8, self.kind as u8, self.channel_index() as u8]);
        match self.party {
            Some(party) => {
                out.byte(1);
                out.array(&party.to_be_bytes());
            }
            None => out.zeros(1),
        }
    }

    /// What [`State::encode`] would put of the state of this row alone.
    pub(super) fn encode(&self, out: &mut Short<LONGEST>) {
        let mut flow = Short::<32>::new();
        flow.byte(1);
        flow.number(self.minor);
        let mut minor = Short::<32>::new();
        minor.number(self.minor);

        out.byte(1);
        out.array(self.currency.as_bytes());
        out.zeros(self.direction.index());
        out.short(&flow);
        out.large(u128::from(self.minor) * u128::from(self.minor));
        out.short(&minor);
        out.short(&minor);
        out.zeros(Direction::COUNT - 1 - self.direction.index());
        out.zeros(self.kind.index());
        out.short(&flow);
        out.zeros(Kind::COUNT - 1 - self.kind.index());
        out.zeros(self.channel_index());
        out.short(&flow);
        out.zeros(Channel::COUNT - self.channel_index());
        out.byte(u8::from(self.has_other_side()));
        if self.has_other_side() {
            out.array(self.country.as_ref().map_or(b"--", |country| country.as_bytes()));
            out.short(&flow);
        }
        out.byte(1);
        out.number(u64::from(bucket(self.minor)));
        out.byte(1);
        out.zeros(self.direction.index());
        match self.party {
            Some(party) => {
                out.byte(1);
                out.array(&party.to_be_bytes());
            }
            None => out.zeros(1),
        }
        out.zeros(Direction::COUNT - 1 - self.direction.index());
    }
}
