//! The risk of the generated sandbox's portfolios against what numpy and pandas compute from the same data: tests/portfolio/golden.py,
//! whose result is checked in, so that this needs no Python.

use super::sandbox::Sandbox;
use ::risk::Day;
use ::risk::portfolio::{Analysis, Exposure, Minor, Model, Tail, Zone};
use serde_json::Value;
use std::collections::BTreeMap;

/// Until when `riskmesh generate` generates where nothing is said.
const END: &str = "2026-01-01";

/// What is told in whole cents may be off by half of one, a mean or a part by one.
fn near(what: &str, told: Minor, computed: &Value) {
    within(0.02, what, told, computed);
}

/// Groups are sums of what each of forty positions is told to be worth, so that they add up; and the drawdown is one over days.
fn added(what: &str, told: Minor, computed: &Value) {
    within(0.2, what, told, computed);
}

fn within(tolerance: f64, what: &str, told: Minor, computed: &Value) {
    let computed = computed.as_f64().unwrap();
    let off = (told.0 as f64 / 100.0 - computed).abs();
    assert!(off < tolerance, "{what}: told {}, computed {computed}", told.0);
}

fn groups(what: &str, told: &[Exposure], computed: &Value) {
    let keys: Vec<&str> = told.iter().map(|group| &*group.key).collect();
    assert_eq!(keys, computed.as_object().unwrap().keys().collect::<Vec<_>>(), "{what}");
    for group in told {
        let both = &computed[&*group.key];
        added(&format!("{what} {} long", group.key), group.totals.long, &both[0]);
        added(&format!("{what} {} short", group.key), group.totals.short, &both[1]);
    }
}

fn tails(what: &str, told: &[Tail], computed: &Value) {
    for tail in told {
        let both = &computed[&(f64::from(tail.level_bp) / 10_000.0).to_string()];
        near(&format!("{what} VaR at {}", tail.level_bp), tail.value_at_risk, &both[0]);
        near(&format!("{what} ES at {}", tail.level_bp), tail.expected_shortfall, &both[1]);
    }
    assert_eq!(told.len(), computed.as_object().unwrap().len(), "{what}");
}

fn compare(told: &Analysis, model: &Model, computed: &Value) {
    assert_eq!(computed["asOf"], told.as_of.to_string());
    added("long", told.exposures.all.long, &computed["value"][0]);
    added("short", told.exposures.all.short, &computed["value"][1]);
    tails("tail", &told.tails, &computed["tails"]);
    tails("scaled tail", &told.scaled_tails, &computed["scaledTails"]);
    near("volatility", told.volatility, &computed["volatility"]);
    added("drawdown", told.max_drawdown, &computed["maxDrawdown"]);
    for (told, what) in [
        (told.concentration.top as f64 / 1e9, "topShare"),
        (told.concentration.index as f64 / 1e9, "herfindahl"),
        (told.concentration.effective as f64 / 1e6, "effectivePositions"),
    ] {
        assert!((told - computed[what].as_f64().unwrap()).abs() < 1e-5, "{what}: {told}");
    }
    groups("counterparty", &told.exposures.counterparties, &computed["counterparties"]);
    groups("country", &told.exposures.countries, &computed["countries"]);
    groups("currency", &told.exposures.currencies, &computed["currencies"]);
    groups("sector", &told.exposures.sectors, &computed["sectors"]);
    for (stress, gain) in model.stress.iter().zip(&told.stress) {
        near(&stress.name, *gain, &computed["stress"][&*stress.name]);
    }
    let positions = computed["positions"].as_object().unwrap();
    assert_eq!(told.positions.len(), positions.len());
    for position in &told.positions {
        let computed = &positions[&*position.instrument];
        let units = position.quantity.0 as f64 / 1e6 - computed[0].as_f64().unwrap();
        assert!(units.abs() < 1e-6, "{}: {units}", position.instrument);
        near(&position.instrument, position.value, &computed[1]);
        near(&position.instrument, position.component, &computed[2]);
    }
    let test = told.back_test.as_ref().unwrap();
    let dates: Vec<String> = test.exceptions.iter().map(|at| told.gains[*at].0.to_string()).collect();
    assert_eq!(computed["backTest"]["exceptions"], serde_json::json!(dates));
    let zone = match test.zone {
        Zone::Green => "green",
        Zone::Yellow => "yellow",
        Zone::Red => "red",
    };
    assert_eq!(computed["backTest"]["zone"], zone);
    let ratio = computed["backTest"]["kupiecRatio"].as_f64().unwrap();
    assert!((test.likelihood_ratio - ratio).abs() < 1e-5, "{}", test.likelihood_ratio);
    let gains = computed["gains"].as_object().unwrap();
    let told: BTreeMap<String, Minor> =
        told.gains.iter().map(|(day, gain)| (day.to_string(), *gain)).collect();
    assert!(gains.len() == 20 && told.len() == 500);
    gains.iter().for_each(|(day, gain)| near(day, told[day], gain));
}

#[test]
fn the_sandbox_s_risk_is_what_numpy_and_pandas_compute() {
    let golden: Value =
        serde_json::from_str(include_str!("../../../../tests/portfolio/golden.json")).unwrap();
    let sandbox = Sandbox::until(Day::parse(END).unwrap());
    assert_eq!(golden.as_object().unwrap().len() as u32, sandbox.market.plan().portfolios);
    for index in 0..sandbox.market.plan().portfolios {
        let portfolio = sandbox.market.portfolio(index);
        let computed = &golden[&portfolio.id];
        assert_eq!(computed["base"], portfolio.base.as_str());
        compare(&sandbox.analysis(index), &sandbox.model, computed);
    }
}
