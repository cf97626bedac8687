//! `riskmesh.market.v1.PortfolioRiskService`.

use super::tenant;
use crate::domain::day;
use crate::portfolio_risk::{PortfolioRisk, Told};
use api::market::v1::portfolio_risk_service_server::PortfolioRiskService;
use api::market::v1::{
    BackTest, BackTestZone, Concentration, DailyGain, DataGap, GetPortfolioAnalyticsRequest,
    GetPortfolioAnalyticsResponse, GroupExposure, PortfolioAnalytics, PortfolioValue, PositionRisk,
    StressGain, TailRisk,
};
use risk::portfolio::{self, Exposure, Instrument, Minor, Tail, Totals, Zone};
use risk::{Currency, Day};
use riskmesh_core::PortfolioId;
use riskmesh_core::fixed::{decimal, padded};
use tonic::{Request, Response, Status};

/// Decimal places of quantities.
const QUANTITY: u32 = 6;

/// Tells the risk of portfolios.
#[derive(Clone)]
pub(crate) struct PortfolioRiskRpc {
    pub(crate) portfolio_risk: PortfolioRisk,
}

#[tonic::async_trait]
impl PortfolioRiskService for PortfolioRiskRpc {
    async fn get_portfolio_analytics(
        &self,
        request: Request<GetPortfolioAnalyticsRequest>,
    ) -> Result<Response<GetPortfolioAnalyticsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let id = PortfolioId::new(&request.portfolio_id).map_err(|error| error.of("portfolioId"))?;
        let as_of = request.as_of.as_deref().map(|text| day("asOf", text)).transpose()?;
        let told = self.portfolio_risk.of(&tenant, &id, as_of).await?;
        Ok(Response::new(GetPortfolioAnalyticsResponse { analytics: Some(view(&id, &told)) }))
    }
}

fn view(id: &PortfolioId, told: &Told) -> PortfolioAnalytics {
    let Told { base, analysis, model, .. } = told;
    let money = |minor| money(minor, *base);
    let tails = |tails: &[Tail]| tails.iter().map(|tail| tail_risk(tail, *base)).collect();
    let groups = |groups: &[Exposure]| {
        let one = |one: &Exposure| GroupExposure {
            key: one.key.to_string(),
            value: Some(value(&one.totals, *base)),
        };
        groups.iter().map(one).collect()
    };
    let exposures = &analysis.exposures;
    PortfolioAnalytics {
        portfolio_id: id.to_string(),
        base_currency: base.to_string(),
        as_of: told.as_of.map(|day| day.to_string()),
        value: Some(value(&exposures.all, *base)),
        tails: tails(&analysis.tails),
        scaled_tails: tails(&analysis.scaled_tails),
        volatility: money(analysis.volatility),
        max_drawdown: money(analysis.max_drawdown),
        concentration: Some(Concentration {
            top: model.concentration.top as i32,
            top_share: analysis.concentration.top as f64 / 1e9,
            herfindahl: analysis.concentration.index as f64 / 1e9,
            effective_positions: analysis.concentration.effective as f64 / 1e6,
        }),
        positions: analysis.positions.iter().map(|position| position_risk(position, *base)).collect(),
        counterparties: groups(&exposures.counterparties),
        countries: groups(&exposures.countries),
        currencies: groups(&exposures.currencies),
        sectors: groups(&exposures.sectors),
        stress: model
            .stress
            .iter()
            .zip(&analysis.stress)
            .map(|(stress, gain)| StressGain {
                name: stress.name.to_string(),
                description: stress.description.to_string(),
                gain: money(*gain),
            })
            .collect(),
        back_test: analysis.back_test.as_ref().map(|test| back_test(test, told)),
        gains: analysis
            .gains
            .iter()
            .map(|(day, gain)| DailyGain { date: day.to_string(), gain: money(*gain) })
            .collect(),
        gaps: gaps(told),
        model_version: model.version.clone(),
        model_hash: model.hash().to_string(),
        refdata_version: told.refdata_version.clone(),
        state_hash: analysis.state_hash.to_string(),
        component_level: level(model.tail.component_level_bp),
    }
}

/// Minor units as a decimal with all places of the currency.
fn money(minor: Minor, base: Currency) -> String {
    padded(minor.0, base.exponent())
}

fn value(totals: &Totals, base: Currency) -> PortfolioValue {
    PortfolioValue {
        long: money(totals.long, base),
        short: money(totals.short, base),
        gross: money(totals.gross(), base),
        net: money(totals.net(), base),
    }
}

fn level(level_bp: u32) -> f64 {
    f64::from(level_bp) / 10_000.0
}

fn tail_risk(tail: &Tail, base: Currency) -> TailRisk {
    TailRisk {
        level: level(tail.level_bp),
        value_at_risk: money(tail.value_at_risk, base),
        expected_shortfall: money(tail.expected_shortfall, base),
    }
}

fn position_risk(position: &portfolio::PositionRisk, base: Currency) -> PositionRisk {
    PositionRisk {
        instrument_id: position.instrument.to_string(),
        quantity: decimal(position.quantity.0, QUANTITY),
        value: money(position.value, base),
        component_value_at_risk: money(position.component, base),
    }
}

fn back_test(test: &portfolio::BackTest, told: &Told) -> BackTest {
    let date = |at: &usize| told.analysis.gains.get(*at).map(|(day, _): &(Day, Minor)| day.to_string());
    let zone = match test.zone {
        Zone::Green => BackTestZone::Green,
        Zone::Yellow => BackTestZone::Yellow,
        Zone::Red => BackTestZone::Red,
    };
    BackTest {
        days: test.days as i32,
        level: level(told.model.back_test.level_bp),
        exceptions: test.exceptions.len() as i32,
        exception_dates: test.exceptions.iter().filter_map(date).collect(),
        zone: zone.into(),
        // The last digits of a logarithm differ between systems.
        kupiec_ratio: (test.likelihood_ratio * 1e6).round() / 1e6,
        rejected: test.rejected,
    }
}

/// What is not known of what is held.
fn gaps(told: &Told) -> Vec<DataGap> {
    type Lacks = fn(&Instrument) -> bool;
    let lacks: [(&str, Lacks); 2] = [
        ("DATA_MISSING_COUNTRY", |instrument| instrument.country.is_none()),
        ("DATA_MISSING_SECTOR", |instrument| instrument.sector.is_none()),
    ];
    let gap = |(code, lacks): (&str, Lacks)| {
        let lacking = told.instruments.iter().filter(|(_, instrument)| lacks(instrument));
        let instrument_ids: Vec<String> = lacking.map(|(id, _)| id.to_string()).collect();
        (!instrument_ids.is_empty()).then(|| DataGap { code: code.to_owned(), instrument_ids })
    };
    lacks.into_iter().filter_map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_places_of_its_currency() {
        let told = |minor, currency| money(Minor(minor), currency);
        assert_eq!(told(-5, Currency::EUR), "-0.05");
        assert_eq!(told(123_456, Currency::EUR), "1234.56");
        assert_eq!(told(-7, Currency::of(b"JPY")), "-7");
        assert_eq!(told(1_000, Currency::of(b"KWD")), "1.000");
    }
}
