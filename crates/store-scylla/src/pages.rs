//! What is left of a range after a key, as slices that CQL can answer: equal on the first clustering columns, bounded on the next.
//! A comparison of whole keys would do in one statement, but where columns are ordered differently not every cluster has it.

use std::ops::Bound;
use store::{Direction, Order, Range, Table, Value, Values, clustering};

/// A part of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) prefix: Vec<Value>,
    pub(crate) low: Bound<Value>,
    pub(crate) high: Bound<Value>,
}

impl Slice {
    pub(crate) fn of(range: &Range) -> Self {
        Self { prefix: range.prefix.as_slice().to_vec(), low: range.low.clone(), high: range.high.clone() }
    }
}

/// The slices of a range beyond a key, in the order in which a scan in this direction meets them.
pub(crate) fn slices(
    table: &Table,
    range: &Range,
    after: Option<&Values>,
    direction: Direction,
) -> Vec<Slice> {
    let Some(after) = after else { return vec![Slice::of(range)] };
    let (start, end) = clustering::bounds(table, range);
    let mut key = Vec::with_capacity(32);
    clustering::encode(table, after, &mut key);
    let before_it = key < start;
    let behind_it = end.is_some_and(|end| key >= end);
    match (direction, before_it, behind_it) {
        (Direction::Forward, true, _) | (Direction::Reverse, _, true) => return vec![Slice::of(range)],
        (Direction::Forward, _, true) | (Direction::Reverse, true, _) => return Vec::new(),
        _ => {}
    }
    // The key is in the range, so it begins as the range does.
    let first = range.prefix.len();
    (first..table.clustering.len())
        .rev()
        .map(|depth| {
            let (column, beyond) = (table.clustering[depth], after.as_slice()[depth].clone());
            let mut slice = if depth == first {
                Slice::of(range)
            } else {
                let prefix = after.as_slice()[..depth].to_vec();
                Slice { prefix, low: Bound::Unbounded, high: Bound::Unbounded }
            };
            if (column.order == Order::Asc) == (direction == Direction::Forward) {
                slice.low = Bound::Excluded(beyond);
            } else {
                slice.high = Bound::Excluded(beyond);
            }
            slice
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{asc, bigint, desc, int, text};

    static TABLE: Table = Table::new("t", &[text("p")])
        .clustering(&[asc(text("a")), desc(bigint("b")), asc(int("c"))])
        .values(&[int("v")]);

    fn key(a: &str, b: i64, c: i32) -> Values {
        (a, b, c).into()
    }

    #[test]
    fn without_a_key_it_is_the_range() {
        let range = Range::prefix("x").at_most(5_i64);
        assert_eq!(slices(&TABLE, &range, None, Direction::Reverse), [Slice::of(&range)]);
    }

    #[test]
    fn the_rest_after_a_key_goes_from_the_deepest_column_out() {
        let found = slices(&TABLE, &Range::all(), Some(&key("x", 7, 3)), Direction::Forward);
        let values = |values: &[Value]| values.to_vec();
        assert_eq!(
            found,
            [
                Slice {
                    prefix: values(&["x".into(), 7_i64.into()]),
                    low: Bound::Excluded(3.into()),
                    high: Bound::Unbounded
                },
                Slice {
                    prefix: values(&["x".into()]),
                    low: Bound::Unbounded,
                    high: Bound::Excluded(7_i64.into())
                },
                Slice { prefix: vec![], low: Bound::Excluded("x".into()), high: Bound::Unbounded },
            ]
        );
    }

    #[test]
    fn a_range_keeps_its_other_end() {
        let range = Range::prefix("x").at_least(2_i64).at_most(9_i64);
        let found = slices(&TABLE, &range, Some(&key("x", 7, 3)), Direction::Reverse);
        assert_eq!(found.len(), 2);
        let out = &found[1];
        assert_eq!((&out.low, &out.high), (&Bound::Excluded(7_i64.into()), &Bound::Included(9_i64.into())));
    }

    #[test]
    fn a_key_beside_the_range_leaves_all_of_it_or_nothing() {
        let range = Range::prefix("x").at_least(2_i64).at_most(9_i64);
        let of = |key: Values, direction| slices(&TABLE, &range, Some(&key), direction);
        assert_eq!(of(key("a", 1, 1), Direction::Forward), [Slice::of(&range)]);
        assert_eq!(of(key("a", 1, 1), Direction::Reverse), []);
        assert_eq!(of(key("z", 1, 1), Direction::Forward), []);
        assert_eq!(of(key("z", 1, 1), Direction::Reverse), [Slice::of(&range)]);
        // Within the prefix the larger numbers come first.
        assert_eq!(of(key("x", 10, 1), Direction::Forward), [Slice::of(&range)]);
        assert_eq!(of(key("x", 1, 1), Direction::Forward), []);
        let whole = Range::prefix(("x", 7_i64, 3));
        assert_eq!(slices(&TABLE, &whole, Some(&key("x", 7, 3)), Direction::Forward), []);
    }
}
