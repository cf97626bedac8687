//! An hour is a function of the set of its rows, and its bytes are a function of the hour.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{codec::put_i64, hour::VERSION, *};
use crate::{
    entry::{self, Entry},
    testing::{amount, counterparty, country, entries, entry},
    time::{DAY_MS, HOUR_MS, Hour},
};

fn bytes(hours: &[HourState]) -> Vec<Vec<u8>> {
    hours.iter().map(HourState::encode).collect()
}

fn state_bytes(state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    state.encode(&mut out);
    out
}

/// A permutation that depends on the seed alone.
fn shuffled(entries: &[Entry], seed: u64) -> Vec<Entry> {
    let mut keyed: Vec<(u64, Entry)> = (0_u64..)
        .zip(entries)
        .map(|(n, one)| (crate::hash::xxh64(&[n.to_le_bytes(), seed.to_le_bytes()].concat()), *one))
        .collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, one)| one).collect()
}

#[test]
fn what_is_kept_of_an_hour() {
    let rows = [
        Entry {
            counterparty: Some(counterparty("x")),
            counterparty_country: Some(country("DE")),
            ..entry("a", 0)
        },
        Entry { amount: amount(20_000), counterparty: Some(counterparty("x")), ..entry("b", 1) },
        Entry {
            direction: Direction::Debit,
            kind: Kind::Cash,
            channel: None,
            amount: amount(300),
            ..entry("c", 2)
        },
        entry("elsewhen", HOUR_MS),
    ];
    let hour = HourState::from_entries(Hour::of(0), &rows);
    let state = State::fold([&hour]);
    let [euro] = &state.currencies[..] else { panic!("one currency") };
    let [debit, credit] = &euro.directions;
    assert_eq!(
        *credit,
        Moments { flow: Flow { count: 2, sum: 30_000 }, squares: 500_000_000, min: 10_000, max: 20_000 }
    );
    assert_eq!((debit.flow.count, debit.flow.sum), (1, 300));
    assert_eq!(euro.kinds[Kind::Cash.index()], Flow { count: 1, sum: 300 });
    assert_eq!(euro.kinds[Kind::Transfer.index()], Flow { count: 2, sum: 30_000 });
    assert_eq!(euro.channels[Channel::COUNT], Flow { count: 1, sum: 300 });
    // Cash has no other side, so its country is not missing; the second transfer's is.
    assert_eq!(
        euro.countries.as_slice(),
        [(None, Flow { count: 1, sum: 20_000 }), (Some(country("DE")), Flow { count: 1, sum: 10_000 })]
    );
    assert_eq!(euro.cross_border(country("NA")), Flow { count: 1, sum: 10_000 });
    assert_eq!(euro.cross_border(country("DE")), Flow::default());
    assert_eq!(state.counterparties[Direction::Credit.index()].count(), 1);
    assert_eq!(state.counterparties[Direction::Debit.index()].count(), 0);
    assert_eq!(hour.count(), 3);
}

#[test]
fn the_encoding_is_pinned() {
    let row = Entry {
        counterparty: Some(counterparty("DE89370400440532013000")),
        counterparty_country: Some(country("DE")),
        ..entry("a", 1_767_225_600_000)
    };
    let hour = HourState::from_entries(row.hour(), [&row]);
    let hex = hour.encode().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(
        hex,
        concat!(
            "01a0f63b01455552",                 // version, hour, one currency
            "0001904e80c2d72f904e904e",         // no debit; count, sum, squares, min, max of credits
            "0001904e00000000000001904e000000", // kinds, channels
            "01444501904e01a70201",             // countries, histogram
            "000195f5b8d17b756d3c"              // counterparties: out, in
        )
    );
}

#[test]
fn bytes_that_no_entry_makes_are_not_held_as_one_row() {
    let hour = HourState::from_entries(Hour::of(0), [&entry("a", 0)]);
    let good = hour.encode();
    // Another bucket of the histogram than the amount's, which nothing checks.
    let at = good.len() - 5;
    for bucket in 0..0x7f {
        let mut bytes = good.clone();
        bytes[at] = 0x80 | bucket;
        let hour = HourState::decode(&bytes).unwrap();
        assert_eq!(matches!(hour.kept(), Kept::One(_)), bytes == good);
        assert_eq!(hour.encode(), bytes);
    }
}

#[test]
fn each_field_that_a_state_knows_changes_its_hash() {
    let hash = |entry: &Entry| {
        let mut hasher = StateHasher::new();
        for hour in hours([entry]) {
            hasher.hour(&hour);
        }
        hasher.finish().to_string()
    };
    let one = Entry { counterparty: Some(counterparty("x")), ..entry("a", 0) };
    let others = [
        Entry { at_ms: HOUR_MS, ..one },
        Entry { direction: Direction::Debit, ..one },
        Entry { amount: amount(10_001), ..one },
        Entry { currency: Currency::new("USD").unwrap(), ..one },
        Entry { counterparty: Some(counterparty("y")), ..one },
        Entry { counterparty: None, ..one },
        Entry { counterparty_country: Some(country("DE")), ..one },
        Entry { kind: Kind::Card, ..one },
        Entry { channel: Some(Channel::Mobile), ..one },
        Entry { channel: None, ..one },
    ];
    let mut hashes: Vec<String> = others.iter().chain([&one]).map(hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), others.len() + 1);
    // What it does not know changes nothing.
    assert_eq!(hash(&Entry { at_ms: 1, ..entry("b", 0) }), hash(&entry("a", 0)));
}

#[test]
fn sums_of_the_largest_amounts_stay_exact() {
    let rows: Vec<Entry> = (0..5_000)
        .map(|n| Entry { amount: amount(crate::Amount::MAX_MINOR), ..entry(&n.to_string(), n) })
        .collect();
    let hour = HourState::from_entries(Hour::of(0), &rows);
    let credit = State::fold([&hour]).currencies[0].directions[Direction::Credit.index()];
    assert_eq!(credit.flow.sum, 5_000 * 10_u128.pow(15));
    assert_eq!(credit.squares, 5_000 * 10_u128.pow(30));
    assert_eq!(HourState::decode(&hour.encode()), Ok(hour));
}

#[test]
fn foreign_bytes_are_refused() {
    let hour = HourState::from_entries(Hour::of(0), [&entry("a", 0)]);
    let good = hour.encode();
    assert_eq!(HourState::decode(&[]), Err(Error::Truncated));
    assert_eq!(HourState::decode(&[9]), Err(Error::Version(9)));
    for end in 1..good.len() {
        assert_eq!(HourState::decode(&good[..end]), Err(Error::Truncated), "{end}");
    }
    assert_eq!(HourState::decode(&[&good[..], &[0]].concat()), Err(Error::NotCanonical));
    // A length that promises more than there is must not be believed.
    let mut huge = vec![VERSION, 0];
    codec::put_u64(&mut huge, u64::MAX);
    assert_eq!(HourState::decode(&huge), Err(Error::Truncated));
}

proptest! {
    #[test]
    fn any_order_and_repetition_gives_the_same_bytes(
        entries in entries(80, 2 * DAY_MS),
        seed in any::<u64>(),
        repeat in 0_usize..40,
    ) {
        let expected = bytes(&hours(&entries));
        let mut rows = entries.clone();
        rows.extend_from_slice(&entries[..repeat.min(entries.len())]);
        let rows = shuffled(&rows, seed);
        prop_assert_eq!(&bytes(&hours(&rows)), &expected);
        // Hour by hour, as a dirty hour is recomputed, comes to the same.
        for hour in hours(&entries) {
            prop_assert_eq!(HourState::from_entries(hour.hour, &rows), hour);
        }
    }

    #[test]
    fn any_partition_folds_to_the_same_window(
        entries in entries(80, 2 * DAY_MS),
        parts in 1_usize..6,
        seed in any::<u64>(),
    ) {
        let set: Vec<Entry> = entry::canonical(&entries).into_iter().copied().collect();
        let expected = state_bytes(&State::fold(&hours(&set)));
        // Disjoint parts of the set, cut across hours, each folded, then merged left to right and as a tree.
        let rows = shuffled(&set, seed);
        let folded: Vec<State> = (0..parts)
            .map(|part| {
                let rows: Vec<Entry> = rows.iter().copied().skip(part).step_by(parts).collect();
                State::fold(&hours(&rows))
            })
            .collect();
        let left = folded.iter().fold(State::default(), |mut all, one| { all.merge(one); all });
        prop_assert_eq!(state_bytes(&left), expected.clone());
        let (head, tail) = folded.split_at(parts / 2);
        let merged = |states: &[State]| states.iter().rev().fold(State::default(), |mut all, one| { all.merge(one); all });
        let mut tree = merged(tail);
        tree.merge(&merged(head));
        prop_assert_eq!(state_bytes(&tree), expected);
    }

    #[test]
    fn an_hour_of_one_row_is_held_as_such_and_has_the_bytes_of_its_state(entries in entries(40, DAY_MS)) {
        for hour in hours(&entries) {
            let state = State::fold([&hour]);
            let mut expected = vec![VERSION];
            put_i64(&mut expected, hour.hour.number());
            state.encode(&mut expected);
            prop_assert_eq!(hour.encode(), expected);
            prop_assert_eq!(state.count(), hour.count());
            prop_assert_eq!(matches!(hour.kept(), Kept::One(_)), state.count() == 1);
            let mut sums = Vec::new();
            hour.for_each_sum(|currency, direction, sum| sums.push((currency, direction, sum)));
            for one in &state.currencies {
                for direction in Direction::ALL {
                    let sum = one.directions[direction.index()].flow.sum;
                    prop_assert_eq!(sums.contains(&(one.currency, *direction, sum)), sum > 0);
                }
            }
        }
    }

    #[test]
    fn bytes_round_trip(entries in entries(120, 3 * HOUR_MS)) {
        for hour in hours(&entries) {
            prop_assert_eq!(HourState::decode(&hour.encode()), Ok(hour));
        }
    }

    #[test]
    fn bytes_that_decode_are_the_bytes_of_what_they_decode_to(
        entries in entries(20, HOUR_MS),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = HourState::from_entries(Hour::of(0), &entries).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(hour) = HourState::decode(&bytes) {
            prop_assert_eq!(hour.encode(), bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(hour) = HourState::decode(&bytes) {
            prop_assert_eq!(hour.encode(), bytes);
        }
    }

    #[test]
    fn counts_agree_with_the_rows(entries in entries(60, 2 * DAY_MS)) {
        let set = entry::canonical(&entries);
        let window = State::fold(&hours(&entries));
        prop_assert_eq!(window.count(), set.len() as u64);
        for one in &window.currencies {
            let rows: Vec<_> = set.iter().filter(|row| row.currency == one.currency).collect();
            let sum: u128 = rows.iter().map(|row| row.amount.minor() as u128).sum();
            prop_assert_eq!(one.directions.iter().map(|side| side.flow.sum).sum::<u128>(), sum);
            prop_assert_eq!(one.kinds.iter().map(|kind| kind.sum).sum::<u128>(), sum);
            prop_assert_eq!(one.channels.iter().map(|channel| channel.sum).sum::<u128>(), sum);
            let max = rows.iter().map(|row| row.amount.minor().unsigned_abs()).max();
            prop_assert_eq!(one.directions.iter().map(|side| side.max).max(), max);
        }
    }
}
