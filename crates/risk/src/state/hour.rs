//! One hour of an account, held as small as what is in it.

use super::{
    Error, State,
    codec::{Reader, canonical, put_i64},
    row::{LONGEST, Row},
    short::Short,
};
use crate::{
    code::Currency,
    entry::{self, Direction, Entry},
    time::Hour,
};

/// The first byte of an encoded hour.
pub(super) const VERSION: u8 = 1;

/// The state of one account in one UTC hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourState {
    /// Which hour.
    pub hour: Hour,
    kept: Kept,
}

/// What is kept of an hour. The form depends on the state alone: a state of one row is never held as many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Of its only entry.
    One(Row),
    /// Of any other number of entries.
    Many(Box<State>),
}

impl HourState {
    /// The hour that these rows of one account make: repeats are dropped by id, rows of other hours are not counted.
    pub fn from_entries<'a>(hour: Hour, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut rows = entry::canonical(entries);
        rows.retain(|entry| entry.hour() == hour);
        Self::of_canonical(hour, &rows)
    }

    fn of_canonical(hour: Hour, rows: &[&Entry]) -> Self {
        let kept = match rows {
            [entry] => Kept::One(Row::of(entry)),
            _ => Kept::Many(State::of(rows.iter().map(|entry| Row::of(entry)))),
        };
        Self { hour, kept }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Entries counted.
    pub fn count(&self) -> u64 {
        match &self.kept {
            Kept::One(_) => 1,
            Kept::Many(state) => state.count(),
        }
    }

    /// What was moved each way in each currency, where anything was.
    pub(crate) fn for_each_sum(&self, mut each: impl FnMut(Currency, Direction, u128)) {
        match &self.kept {
            Kept::One(row) => each(row.currency, row.direction, u128::from(row.minor)),
            Kept::Many(state) => {
                for sums in &state.currencies {
                    for direction in Direction::ALL {
                        let sum = sums.directions[direction.index()].flow.sum;
                        if sum > 0 {
                            each(sums.currency, *direction, sum);
                        }
                    }
                }
            }
        }
    }

    /// Appends the canonical bytes: equal states, and only they, have equal bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match &self.kept {
            Kept::One(row) => {
                let mut short = Short::<LONGEST>::new();
                short.byte(VERSION);
                short.signed(self.hour.number());
                row.encode(&mut short);
                out.extend_from_slice(short.as_slice());
            }
            Kept::Many(state) => {
                out.push(VERSION);
                put_i64(out, self.hour.number());
                state.encode(out);
            }
        }
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
        let kept = match Row::alone_in(&state) {
            Some(row) => Kept::One(row),
            None => Kept::Many(Box::new(state)),
        };
        Ok(Self { hour, kept })
    }
}

/// All hours that these rows of one account make, ascending. An id that occurs in two hours counts in one: the earlier.
pub fn hours<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<HourState> {
    let rows = entry::canonical(entries);
    let mut hours = Vec::with_capacity(rows.len());
    let mut rest = &rows[..];
    while let [first, others @ ..] = rest {
        let hour = first.hour();
        let last_ms = hour.last_ms();
        let count = 1 + others.iter().take_while(|entry| entry.at_ms <= last_ms).count();
        hours.push(HourState::of_canonical(hour, &rest[..count]));
        rest = &rest[count..];
    }
    hours
}
