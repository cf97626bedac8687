//! Portfolios as a whole: partitions add up, figures repeat, and what was computed elsewhere comes out.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::testing::{World, book, day, model, trades};
use super::{Analysis, Book, Minor, Model, Pnl, Quantity, analyse};
use crate::Currency;

fn analysed(world: &World, book: &Book) -> Analysis {
    analyse(&model(40), &world.market(), book, day("2026-03-05")).unwrap()
}

proptest! {
    #[test]
    fn any_partition_in_any_order_gives_the_same_bits(
        (trades, order, parts) in trades().prop_flat_map(|trades| {
            let n = trades.len();
            let order = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
            (Just(trades), order, prop::collection::vec(0..4_usize, n))
        })
    ) {
        let world = World::random(7);
        let scenarios = world.all_scenarios(&model(40));
        let whole = book(&trades);
        let expected = Pnl::of(&whole, &scenarios).unwrap();
        let mut books = vec![Book::default(); 4];
        let mut single = Pnl::of(&Book::default(), &scenarios).unwrap();
        for at in order {
            let (instrument, counterparty, quantity) = &trades[at];
            books[parts[at]].add(instrument, counterparty, *quantity);
            single.merge(&Pnl::of(&book([&trades[at]]), &scenarios).unwrap()).unwrap();
        }
        let vectors = books.iter().map(|book| Pnl::of(book, &scenarios).unwrap());
        let merged = vectors.reduce(|mut sum, part| { sum.merge(&part).unwrap(); sum }).unwrap();
        prop_assert_eq!(&merged, &expected, "vectors of partitions");
        prop_assert_eq!(&single, &expected, "vectors of single trades, never netted");
        let netted = books.iter().rev().fold(Book::default(), |mut sum, part| { sum.merge(part); sum });
        prop_assert_eq!(&netted, &whole, "books of partitions");
        prop_assert_eq!(analysed(&world, &netted), analysed(&world, &whole));
    }

    #[test]
    fn who_holds_the_opposite_loses_what_the_other_gains(trades in trades()) {
        let world = World::random(3);
        let scenarios = world.all_scenarios(&model(40));
        let opposite: Vec<_> = trades.iter().map(|(i, c, Quantity(q))| (i.clone(), c.clone(), Quantity(-q))).collect();
        let gains = Pnl::of(&book(&trades), &scenarios).unwrap().minor(Currency::EUR);
        let losses = Pnl::of(&book(&opposite), &scenarios).unwrap().minor(Currency::EUR);
        prop_assert!(gains.iter().zip(&losses).all(|(gain, loss)| *gain == -*loss));
    }
}

#[test]
fn an_empty_portfolio_has_no_risk_and_says_so() {
    let analysis = analysed(&World::random(1), &Book::default());
    assert!(analysis.tails.is_empty() && analysis.gains.is_empty() && analysis.positions.is_empty());
    assert_eq!((analysis.volatility, analysis.max_drawdown), (Minor(0), Minor(0)));
    assert_eq!((analysis.exposures.all.gross(), analysis.back_test), (Minor(0), None));
    assert!(analysis.stress.iter().all(|gain| *gain == Minor(0)));
}

#[test]
fn the_hash_depends_on_everything_that_the_figures_depend_on() {
    let world = World::random(5);
    let held = |quantity| book(&[("I1".into(), "C1".into(), Quantity(quantity))]);
    let hash = |world: &World, book: &Book| analysed(world, book).state_hash;
    let same = hash(&world, &held(5));
    assert_eq!(hash(&World::random(5), &held(5)), same);
    assert_ne!(hash(&world, &held(6)), same);
    assert_ne!(hash(&World::random(6), &held(5)), same);
    let mut described = World::random(5);
    described.describe("I1", "DE", "energy");
    assert_ne!(hash(&described, &held(5)), same);
    let mut unrelated = World::random(5);
    unrelated.describe("I2", "DE", "energy");
    assert_eq!(hash(&unrelated, &held(5)), same, "what is not held does not matter");
}

#[test]
fn components_positions_and_exposures_add_up() {
    let world = World::random(9);
    let held: Vec<_> =
        (0..8).map(|n| (format!("I{n}"), format!("C{}", n % 3), Quantity((n - 3) * 1_000_000))).collect();
    let analysis =
        analyse(&Model::builtin().unwrap().with_days(40), &world.market(), &book(&held), day("2026-03-05"));
    let analysis = analysis.unwrap();
    let sum = |parts: &mut dyn Iterator<Item = Minor>| parts.sum::<Minor>();
    let at_99 = analysis.tails.iter().find(|tail| tail.level_bp == 9_900).unwrap();
    assert_eq!(sum(&mut analysis.positions.iter().map(|position| position.component)), at_99.value_at_risk);
    assert_eq!(
        sum(&mut analysis.positions.iter().map(|position| position.value)),
        analysis.exposures.all.net()
    );
    for groups in [&analysis.exposures.countries, &analysis.exposures.currencies, &analysis.exposures.sectors]
    {
        assert_eq!(sum(&mut groups.iter().map(|group| group.totals.gross())), analysis.exposures.all.gross());
        assert_eq!(sum(&mut groups.iter().map(|group| group.totals.net())), analysis.exposures.all.net());
    }
}
