//! What a market's plan promises: its size, plausible prices, the same bytes for ever.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use risk::Day;
use riskmesh_generate::{
    Instrument, Market, MarketPlan, Price, Trade,
    write::{Format, Record, Writer},
};

const END: i64 = 1_780_272_000_000; // 2026-06-01T00:00:00Z

fn sandbox() -> Market {
    Market::new(MarketPlan::sandbox(1, END)).unwrap()
}

fn written<R: Record>(records: impl IntoIterator<Item = R>) -> String {
    let mut writer = Writer::new(Vec::new(), Format::Csv);
    records.into_iter().for_each(|record| writer.write(&record).unwrap());
    let bytes = writer.finish().unwrap();
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes))[..16].to_owned()
}

fn instruments(market: &Market) -> Vec<Instrument> {
    (0..market.plan().instruments).map(|index| market.instrument(index)).collect()
}

fn prices(market: &Market) -> Vec<Price> {
    (0..market.plan().instruments).flat_map(|index| market.prices(index).collect::<Vec<_>>()).collect()
}

fn trades(market: &Market) -> Vec<Trade> {
    (0..market.plan().portfolios).flat_map(|index| market.trades(index).collect::<Vec<_>>()).collect()
}

/// If this fails, plans give other bytes than they gave before: a broken promise, not a test to update.
#[test]
fn the_bytes_of_the_sandbox_are_pinned() {
    let market = sandbox();
    let hashes = [written(instruments(&market)), written(prices(&market)), written(trades(&market))];
    assert_eq!(hashes, ["d944d7897df29e7d", "1ac0442e1d883ab3", "5c262d5be9891ce4"]);
}

#[test]
fn prices_move_as_prices_do_and_enough_of_them_for_two_years_of_scenarios() {
    let market = sandbox();
    let mut days = BTreeSet::new();
    for index in 0..market.plan().instruments {
        let all: Vec<Price> = market.prices(index).collect();
        assert!(all.windows(2).all(|pair| pair[0].day < pair[1].day) && all.len() > 515);
        days.extend(all.iter().map(|price| price.day));
        let returns: Vec<f64> =
            all.windows(2).map(|pair| (pair[1].price as f64 / pair[0].price as f64).ln()).collect();
        let daily = (returns.iter().map(|x| x * x).sum::<f64>() / returns.len() as f64).sqrt();
        assert!((0.005..0.05).contains(&daily), "{index}: {daily}");
        // Ten-thousandths are fine enough.
        assert!(all.iter().all(|price| price.price > 10_000), "{index}");
    }
    assert!(days.len() > 520 && days.last().unwrap() < &Day::of(END));
    assert!(days.iter().all(|day| (day.number() + 3).rem_euclid(7) < 5));
}

#[test]
fn a_day_s_moves_belong_to_its_date() {
    let (one, other) = (sandbox(), Market::new(MarketPlan::sandbox(1, END + 30 * 86_400_000)).unwrap());
    let ratios = |market: &Market| -> BTreeMap<Day, f64> {
        let all: Vec<Price> = market.prices(3).collect();
        all.windows(2).map(|pair| (pair[1].day, pair[1].price as f64 / pair[0].price as f64)).collect()
    };
    let (one, other) = (ratios(&one), ratios(&other));
    let shared = one.iter().filter_map(|(day, ratio)| Some((ratio, other.get(day)?)));
    let near: Vec<bool> = shared.map(|(a, b)| (a / b - 1.0).abs() < 1e-3).collect();
    assert!(near.len() > 480 && near.iter().all(|near| *near));
}

#[test]
fn trades_are_at_the_prices_of_their_days() {
    let market = sandbox();
    let all: BTreeSet<_> =
        prices(&market).into_iter().map(|price| (price.instrument, price.day, price.price)).collect();
    let trades = trades(&market);
    assert_eq!(trades.len(), 1_200);
    assert_eq!(trades.iter().map(|trade| &trade.id).collect::<BTreeSet<_>>().len(), 1_200);
    for trade in &trades {
        let Price { instrument, day, price, .. } = trade.price.clone();
        assert!(all.contains(&(instrument, day, price)) && Day::of(trade.at_ms) == day && trade.quantity > 0);
    }
    let sold = trades.iter().filter(|trade| !trade.buy).count();
    assert!((200..400).contains(&sold), "{sold}");
    assert!(trades.iter().filter(|trade| trade.counterparty.is_none()).count() > 100);
}

#[test]
fn a_plan_out_of_bounds_is_refused() {
    let plan = MarketPlan::sandbox(1, END);
    for bad in [
        MarketPlan { instruments: 0, ..plan },
        MarketPlan { days: 4_000, ..plan },
        MarketPlan { end_ms: i64::MAX, ..plan },
        MarketPlan { trades: 10_000_001, ..plan },
    ] {
        assert!(Market::new(bad).is_err(), "{bad:?}");
    }
}
