//! Value at risk and expected shortfall of a million trades under 500 scenarios, and the same by numpy on the same data.
//!
//! Both net first, as nobody would do otherwise: the trades of each half are added up by instrument and counterparty on a thread of its
//! own, the halves are merged, and what is then held is put through the scenarios. Neither counts reading the data. numpy is measured
//! twice: from the names that trades have, as ours, and from numbers in their place, which somebody would have had to make of them.

use super::Args;
use crate::portfolio::{PACKAGES, script};
use crate::report::Measurement;
use crate::{process, python};
use anyhow::{Context as _, ensure};
use generate::{Market, MarketPlan};
use risk::portfolio::{Book, Instrument, Model, Pnl, Price, Quantity, Scenarios, Tail, analyse};
use risk::{Currency, Day};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const TRADES: u32 = 1_000_000;
const INSTRUMENTS: u32 = 1_000;
/// What is wanted, in seconds.
const GOAL_S: f64 = 1.0;
/// For numpy's rounds.
const LIMIT: Duration = Duration::from_mins(3);

/// A trade by the places of its names.
struct Row {
    instrument: usize,
    counterparty: usize,
    quantity: i64,
}

struct Data {
    instruments: BTreeMap<Box<str>, Instrument>,
    counterparties: Vec<String>,
    rows: Vec<Row>,
    fx: refdata::Set,
    as_of: Day,
}

/// Our own time and numpy's, which is left out where there is no Python to install it with.
pub(super) fn measure(args: &Args) -> anyhow::Result<Vec<Measurement>> {
    let data = data()?;
    let model = Model::builtin()?;
    let mut times = Vec::new();
    let mut tails = Vec::new();
    for _ in 0..args.rounds {
        let started = Instant::now();
        let (found, netted) = tails_of(&data, &model)?;
        times.push((started.elapsed().as_secs_f64(), netted.as_secs_f64()));
        tails = found;
    }
    let started = Instant::now();
    let everything = analyse(&model, &data.market(), &data.book(), data.as_of)?;
    let all_s = started.elapsed().as_secs_f64();
    ensure!(everything.tails == tails, "the whole analysis has another tail");
    let (seconds, netting_s) = median(times);
    let own = Measurement::new("portfolio", format!("s < {GOAL_S}"), seconds < GOAL_S)
        .with("subject", "riskmesh")
        .with("trades", TRADES)
        .with("instruments", INSTRUMENTS)
        .with("scenarios", model.scenarios.days)
        .with_decimals("s", seconds)
        .with_decimals("netting_s", netting_s)
        .with_decimals("whole_analysis_s", all_s);
    let mut all = vec![own];
    all.extend(numpy(args, &data, &model, &tails)?);
    Ok(all)
}

impl Data {
    fn market(&self) -> risk::portfolio::Market<'_> {
        let (base, fx) = (Currency::EUR, self.fx.rates());
        risk::portfolio::Market { base, instruments: &self.instruments, fx }
    }

    /// What a part of the trades nets to.
    fn netted(&self, names: &[&str], rows: &[Row]) -> Book {
        let mut book = Book::default();
        for row in rows {
            book.add(
                names[row.instrument],
                &self.counterparties[row.counterparty],
                Quantity(row.quantity.into()),
            );
        }
        book
    }

    fn book(&self) -> Book {
        let names: Vec<&str> = self.instruments.keys().map(AsRef::as_ref).collect();
        let (one, other) = self.rows.split_at(self.rows.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.netted(&names, other));
            let mut book = self.netted(&names, one);
            if let Ok(other) = other.join() {
                book.merge(&other);
            }
            book
        })
    }
}

/// The tails, and how long netting took of it.
fn tails_of(data: &Data, model: &Model) -> anyhow::Result<(Vec<Tail>, Duration)> {
    let started = Instant::now();
    let book = data.book();
    let netted = started.elapsed();
    let scenarios = Scenarios::new(model, &data.market(), book.instruments(), data.as_of)?;
    let gains = Pnl::of(&book, &scenarios)?.minor(Currency::EUR);
    let tails = model.tail.levels_bp.iter().map(|level| Tail::of(&gains, *level));
    Ok((tails.collect::<Result<_, _>>()?, netted))
}

/// Trades in generated instruments, with prices of two years.
fn data() -> anyhow::Result<Data> {
    let end = Day::parse("2026-01-01")?;
    let sandbox = MarketPlan::sandbox(1, end.start_ms());
    let plan = MarketPlan { instruments: INSTRUMENTS, portfolios: 1, trades: TRADES, ..sandbox };
    let market = Market::new(plan)?;
    let instruments: BTreeMap<Box<str>, Instrument> = (0..INSTRUMENTS)
        .map(|index| {
            let one = market.instrument(index);
            // Ten-thousandths, in 10^-8.
            let prices = market.prices(index).map(|price| (price.day, Price(price.price as i64 * 10_000)));
            let (currency, country) = (one.currency, Some(one.country));
            let known =
                Instrument { currency, country, sector: Some(one.sector.into()), prices: prices.collect() };
            (one.id.into(), known)
        })
        .collect();
    let places: BTreeMap<&str, usize> = instruments.keys().enumerate().map(|(at, id)| (&**id, at)).collect();
    let mut counterparties: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = Vec::with_capacity(TRADES as usize);
    for trade in market.trades(0) {
        let next = counterparties.len();
        let counterparty = *counterparties.entry(trade.counterparty.unwrap_or_default()).or_insert(next);
        let instrument = *places.get(trade.price.instrument.as_str()).context("an instrument is missing")?;
        let units = trade.quantity as i64 * 1_000_000;
        rows.push(Row { instrument, counterparty, quantity: if trade.buy { units } else { -units } });
    }
    let mut names = vec![String::new(); counterparties.len()];
    for (name, at) in counterparties {
        names[at] = name;
    }
    let last = instruments.values().filter_map(|one| one.prices.last()).map(|(day, _)| *day).max();
    let (fx, as_of) = (refdata::Set::builtin()?, last.context("no prices")?);
    Ok(Data { instruments, counterparties: names, rows, fx, as_of })
}

fn median(mut times: Vec<(f64, f64)>) -> (f64, f64) {
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// numpy on the same data: it is given what one unit of each instrument was worth on each day, rates applied and gaps filled.
fn numpy(args: &Args, data: &Data, model: &Model, tails: &[Tail]) -> anyhow::Result<[Measurement; 2]> {
    let python = python::with(&PACKAGES)?;
    let dir = tempfile::tempdir()?;
    write_trades(data, &dir.path().join("trades.bin"))?;
    write_worth(data, model, &dir.path().join("worth.csv"))?;
    let script = script("bench.py")?;
    let rounds = args.rounds.to_string();
    let arguments = ["-B".as_ref(), script.as_os_str(), dir.path().as_os_str(), rounds.as_ref()];
    let line = process::run(&python, &arguments, LIMIT)?;
    let numbers: serde_json::Value = serde_json::from_str(&line).context("read what numpy printed")?;
    let number = |name: &str| numbers[name].as_f64().with_context(|| format!("no {name} in {line}"));
    let at_99 = tails.last().context("no tail")?.value_at_risk.0 as f64 / 100.0;
    let off = (number("value_at_risk")? / at_99 - 1.0).abs();
    ensure!(off < 1e-6, "numpy's value at risk is another one: {line}, ours is {at_99}");
    let measurement = |subject: &str, key: &str| {
        let measurement = Measurement::without_goal("portfolio").with("subject", subject);
        let (s, netting_s) = (number(&format!("{key}_s"))?, number(&format!("{key}_netting_s"))?);
        anyhow::Ok(measurement.with_decimals("s", s).with_decimals("netting_s", netting_s))
    };
    Ok([measurement("numpy, by names", "names")?, measurement("numpy, by places", "places")?])
}

/// Instrument, counterparty and units, each in eight bytes.
fn write_trades(data: &Data, path: &Path) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for row in &data.rows {
        for number in [row.instrument as i64, row.counterparty as i64, row.quantity] {
            file.write_all(&number.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

/// A line a day, a column an instrument.
fn write_worth(data: &Data, model: &Model, path: &Path) -> anyhow::Result<()> {
    use risk::portfolio::Fx as _;
    let ids = data.instruments.keys().map(AsRef::as_ref);
    let scenarios = Scenarios::new(model, &data.market(), ids, data.as_of)?;
    let mut days: Vec<Day> =
        data.instruments.values().flat_map(|one| one.prices.iter().map(|(day, _)| *day)).collect();
    days.sort_unstable();
    days.dedup();
    let first = days.len().saturating_sub(scenarios.days().len() + 1);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for day in &days[first..] {
        let worth = data.instruments.values().map(|one| {
            let at = one.prices.partition_point(|(on, _)| on <= day);
            let (_, price) = at.checked_sub(1).map(|at| one.prices[at]).context("a price is missing")?;
            let rate =
                data.fx.rates().cross(one.currency, Currency::EUR, *day).context("a rate is missing")?;
            anyhow::Ok((price.0 as f64 / 1e8 / rate.as_f64()).to_string())
        });
        writeln!(file, "{}", worth.collect::<anyhow::Result<Vec<_>>>()?.join(","))?;
    }
    Ok(file.flush()?)
}
