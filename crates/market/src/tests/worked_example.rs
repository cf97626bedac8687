//! The example of docs/portfolio.md: what the page shows is what is computed.

use super::sandbox::Sandbox;
use ::risk::Day;
use ::risk::portfolio::{Analysis, Minor, Tail};
use riskmesh_core::fixed::padded;

/// The blocks of the section, in order.
fn blocks() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/portfolio.md");
    let section = page.split("\n## ").find(|section| section.starts_with("An example")).unwrap();
    section.split("```\n").skip(1).step_by(2).collect()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

/// The portfolio of the example as of the day that the page says: the risk of the sandbox that was seeded the day after.
fn analysis(answer: &str) -> Analysis {
    let as_of = Day::parse(between(answer, "\"asOf\":\"", "\"")).unwrap();
    let sandbox = Sandbox::until(Day::from_number(as_of.number() + 1));
    let index = (0..sandbox.market.plan().portfolios).find(|index| {
        let portfolio = sandbox.market.portfolio(*index);
        (portfolio.id.as_str(), portfolio.base.as_str()) == ("sandbox-1", "EUR")
    });
    let analysis = sandbox.analysis(index.unwrap());
    assert_eq!(analysis.as_of, as_of);
    analysis
}

fn money(minor: Minor) -> String {
    padded(minor.0, 2)
}

fn level(tail: &Tail) -> f64 {
    f64::from(tail.level_bp) / 10_000.0
}

/// The rows of what DuckDB prints: the numbers of each.
fn rows(block: &str) -> Vec<Vec<f64>> {
    let lines = block.lines().filter(|line| line.starts_with('│'));
    lines
        .map(|line| line.trim_matches('│').split('│').map(|cell| cell.trim().parse().unwrap()).collect())
        .collect()
}

#[test]
fn the_answer_on_the_page_is_what_is_computed() {
    // Wrapped for people, and cut off.
    let answer = blocks()[0].split_once("risk.json\n{").unwrap().1.replace('\n', "");
    let shown = format!("{{{}", answer.trim_end_matches('…'));
    let analysis = analysis(&shown);
    let all = &analysis.exposures.all;
    let tails = |tails: &[Tail]| {
        let one = |tail: &Tail| {
            format!(
                r#"{{"level":{},"valueAtRisk":"{}","expectedShortfall":"{}"}}"#,
                level(tail),
                money(tail.value_at_risk),
                money(tail.expected_shortfall)
            )
        };
        tails.iter().map(one).collect::<Vec<_>>().join(",")
    };
    let computed = format!(
        r#"{{"portfolioId":"sandbox-1","baseCurrency":"EUR","asOf":"{}","value":{{"long":"{}","short":"{}","gross":"{}","net":"{}"}},"tails":[{}],"scaledTails":[{}]"#,
        analysis.as_of,
        money(all.long),
        money(all.short),
        money(all.gross()),
        money(all.net()),
        tails(&analysis.tails),
        tails(&analysis.scaled_tails),
    );
    let bytes: usize = between(blocks()[0], "head -c ", " ").parse().unwrap();
    assert_eq!(shown, computed[..bytes]);
}

#[test]
fn the_tail_that_the_page_takes_from_the_gains_is_that_of_the_gains() {
    let gains = analysis(blocks()[0]).gains;
    let mut losses: Vec<i64> = gains.iter().map(|(_, gain)| i64::try_from(-gain.0).unwrap()).collect();
    losses.sort_unstable();
    assert_eq!(losses.len(), 500);
    let worst: i64 = losses[495..].iter().sum();
    assert_eq!(rows(blocks()[1]), [[losses[494] as f64 / 100.0, worst as f64 / 500.0]]);
}

#[test]
fn the_tails_that_the_page_computes_from_trades_are_those_of_the_answer() {
    let tails = analysis(blocks()[0]).tails;
    let told = tails.iter().map(|tail| {
        let number = |minor: Minor| minor.0 as f64 / 100.0;
        [level(tail), number(tail.value_at_risk), number(tail.expected_shortfall)]
    });
    assert_eq!(rows(blocks()[2]), told.collect::<Vec<_>>());
}
