//! The risk of portfolios.

use super::*;
use ::risk::Day;
use std::sync::atomic::Ordering::SeqCst;

/// The weekdays up to 2026-01-30: as many as the scenarios take, and some more.
fn days() -> Vec<Day> {
    let last = Day::parse("2026-01-30").unwrap().number();
    let all = (0..730).rev().map(|back| Day::from_number(last - back));
    all.filter(|day| (day.number() + 3).rem_euclid(7) < 5).collect()
}

impl World {
    /// An instrument with a price on each day: a saw with teeth of this many days.
    async fn saw(&self, id: &str, currency: &str, teeth: i32) {
        let known = Instrument { country: "DE".into(), sector: "energy".into(), ..instrument(id, currency) };
        self.put(known).await.unwrap();
        let on = |day: &Day| {
            let level = 10_000 + (day.number() % teeth) * 17 + day.number() % 3;
            price(id, &day.to_string(), &format!("{}.{:02}", level / 100, level % 100), currency)
        };
        assert!(self.record(days().iter().map(on).collect()).await.unwrap().rejected.is_empty());
    }
}

#[tokio::test]
async fn a_portfolio_s_risk_adds_up_and_repeats() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    world.saw("A", "EUR", 7).await;
    world.saw("B", "USD", 11).await;
    world.fake.portfolio("p", "EUR");
    for (instrument, quantity, with) in
        [("A", 1_000, "X"), ("A", -200, "Y"), ("B", 500, "X"), ("B", -100, "")]
    {
        world.fake.trade("p", instrument, quantity, with, "2026-01-20T10:00:00Z");
    }
    let told = world.analytics("p", "").await.unwrap();
    assert_eq!((told.as_of(), told.base_currency.as_str()), ("2026-01-30", "EUR"));
    assert_eq!((told.gains.len(), told.gains[499].date.as_str()), (500, "2026-01-30"));
    let levels: Vec<f64> = told.tails.iter().map(|tail| tail.level).collect();
    assert_eq!(levels, [0.95, 0.975, 0.99]);
    let cents = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
    let components: i64 = told.positions.iter().map(|one| cents(&one.component_value_at_risk)).sum();
    assert_eq!(components, cents(&told.tails[2].value_at_risk));
    assert!(cents(&told.tails[0].value_at_risk) > 0 && told.scaled_tails.len() == 3);
    // What the gains say, by the definitions, counted here anew.
    let mut losses: Vec<i64> = told.gains.iter().map(|gain| -cents(&gain.gain)).collect();
    losses.sort_unstable();
    assert_eq!(cents(&told.tails[2].value_at_risk), losses[494]);
    let worst: i64 = losses[495..].iter().sum();
    assert_eq!(cents(&told.tails[2].expected_shortfall), (worst * 2 + 5) / 10);
    assert_eq!(told.positions.iter().map(|one| one.quantity.as_str()).collect::<Vec<_>>(), ["800", "400"]);
    let keys: Vec<&str> = told.counterparties.iter().map(|group| group.key.as_str()).collect();
    assert_eq!(keys, ["", "X", "Y"]);
    assert!(told.gaps.is_empty() && told.stress.len() == 4);
    let test = told.back_test.clone().unwrap();
    assert_eq!((test.days, test.exceptions as usize), (250, test.exception_dates.len()));
    assert_eq!(world.analytics("p", "2026-01-30").await.unwrap(), told, "the same data, the same answer");

    // Before the trades nothing was held.
    let before = world.analytics("p", "2026-01-19").await.unwrap();
    assert!(before.positions.is_empty() && before.gains.is_empty() && before.tails.is_empty());
    assert_eq!((before.as_of(), before.back_test.is_none()), ("2026-01-19", true));
    assert_eq!((before.value.unwrap().gross.as_str(), before.volatility.as_str()), ("0.00", "0.00"));
    // A corrected price is another state.
    world.record(vec![price("A", "2026-01-30", "90", "EUR")]).await.unwrap();
    let after = world.analytics("p", "").await.unwrap();
    assert_ne!(after.state_hash, told.state_hash);
    assert_eq!((&after.model_hash, &after.refdata_version), (&told.model_hash, &told.refdata_version));
}

#[tokio::test]
async fn what_lacks_is_an_error_that_says_what_and_never_a_zero() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    world.fake.portfolio("p", "EUR");
    let empty = world.analytics("p", "").await.unwrap();
    assert_eq!((empty.as_of.as_deref(), empty.positions.len()), (None, 0));
    world.fake.trade("p", "A", 10, "", "2026-01-20T10:00:00Z");
    let unknown = world.analytics("p", "").await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::DataMissing);
    assert_eq!(unknown.details[0].issue, "A is not known: PUT /v1/instruments/{instrumentId} first");
    world.put(instrument("A", "EUR")).await.unwrap();
    let unpriced = world.analytics("p", "").await.unwrap_err();
    assert_eq!(unpriced.message, "A has no price that may be carried to 2026-01-20");
    world.record(vec![price("A", "2026-01-19", "10", "EUR")]).await.unwrap();
    let few = world.analytics("p", "").await.unwrap_err();
    assert_eq!(few.details[0].issue, "there are prices on 1 days, and it takes 501");
    world.saw("A", "EUR", 5).await;
    let told = world.analytics("p", "").await.unwrap();
    assert_eq!(told.positions.len(), 1);
    world.put(instrument("A", "EUR")).await.unwrap();
    let gaps = world.analytics("p", "").await.unwrap().gaps;
    let codes: Vec<&str> = gaps.iter().map(|gap| gap.code.as_str()).collect();
    assert_eq!(codes, ["DATA_MISSING_COUNTRY", "DATA_MISSING_SECTOR"]);
    // A trade long after the last price: that price is not carried so far.
    world.fake.trade("p", "A", 10, "", "2026-02-15T10:00:00Z");
    assert_eq!(world.analytics("p", "").await.unwrap_err().code, ErrorCode::DataMissing);
    world.fake.portfolio("q", "XCG");
    world.fake.trade("q", "A", 10, "", "2026-01-20T10:00:00Z");
    let rate = world.analytics("q", "").await.unwrap_err();
    assert_eq!(rate.code, ErrorCode::DataMissing, "no rate of the guilder is known: {}", rate.message);
}

#[tokio::test]
async fn nothing_is_told_across_tenants_and_who_is_down_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    world.fake.portfolio("p", "EUR");
    let get = GetPortfolioAnalyticsRequest { portfolio_id: "p".into(), as_of: None };
    let foreign = world.service.portfolio_risk.get_portfolio_analytics(request_of("other", get)).await;
    assert_eq!(code(&foreign.unwrap_err()), ErrorCode::PortfolioNotFound);
    assert_eq!(world.analytics("none", "").await.unwrap_err().code, ErrorCode::PortfolioNotFound);
    assert_eq!(world.analytics("p", "2026-02-30").await.unwrap_err().code, ErrorCode::InvalidInput);
    world.fake.down.store(true, SeqCst);
    assert_eq!(world.analytics("p", "").await.unwrap_err().code, ErrorCode::ServiceUnavailable);
}
