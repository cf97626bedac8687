//! The risk of a portfolio: everything gathered, and the computation.
//!
//! `as_of` depends on the data and never on the clock: where the caller names no day, it is that of the newest trade or price. So the
//! same data give the same answer, today and next year.

use crate::domain::lacking;
use crate::error::Error as ServiceError;
use crate::repo::instruments::Instruments;
use crate::repo::prices::Prices;
use crate::upstream::{Held, Upstream};
use futures::{StreamExt as _, TryStreamExt as _};
use risk::portfolio::{Analysis, Book, Instrument, Market, Model, Price, analyse};
use risk::{Currency, Day};
use riskmesh_core::{Detail, Error, ErrorCode, InstrumentId, PortfolioId, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Instruments whose prices are read at once.
const AT_ONCE: usize = 16;
/// Instruments of a portfolio whose risk is told while the caller waits.
const MAX_INSTRUMENTS: usize = 5_000;

/// Tells the risk of portfolios.
#[derive(Clone)]
pub(crate) struct PortfolioRisk {
    pub(crate) upstream: Upstream,
    pub(crate) instruments: Instruments,
    pub(crate) prices: Prices,
    pub(crate) reference: Arc<refdata::Live>,
    pub(crate) model: Arc<Model>,
}

/// The risk of a portfolio, with what it was told by.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) base: Currency,
    /// None of a portfolio without trades.
    pub(crate) as_of: Option<Day>,
    pub(crate) analysis: Analysis,
    /// What is known of what is held.
    pub(crate) instruments: BTreeMap<Box<str>, Instrument>,
    pub(crate) model: Arc<Model>,
    pub(crate) refdata_version: String,
}

impl PortfolioRisk {
    /// The risk of a portfolio as of a day.
    pub(crate) async fn of(
        &self,
        tenant: &TenantId,
        portfolio: &PortfolioId,
        as_of: Option<Day>,
    ) -> Result<Told, Error> {
        let base = self.upstream.base(tenant, portfolio).await?;
        let Held { book, newest } = self.upstream.held(tenant, portfolio, as_of).await?;
        if book.len() > MAX_INSTRUMENTS {
            let message = format!("The portfolio holds more than {MAX_INSTRUMENTS} instruments");
            return Err(Error::new(ErrorCode::PreconditionFailed).message(message).detail(Detail::expected(
                "portfolioId",
                "holds too many instruments",
                format!("<= {MAX_INSTRUMENTS} instruments"),
            )));
        }
        let ids = ids(&book)?;
        let as_of = match as_of {
            Some(day) => Some(day),
            None => newest.max(self.newest_price(tenant, &ids).await?),
        };
        // Without a day there is no trade, and nothing depends on the day.
        let day = as_of.unwrap_or(Day::of(0));
        let instruments = self.known(tenant, &ids, day).await?;
        let reference = self.reference.current();
        let refdata_version = reference.rates_version().to_owned();
        let model = self.model.clone();
        let compute = move || {
            let market = Market { base, instruments: &instruments, fx: reference.rates() };
            analyse(&model, &market, &book, day).map(|analysis| (analysis, instruments))
        };
        let computed = tokio::task::spawn_blocking(compute).await.map_err(ServiceError::Compute)?;
        let (analysis, instruments) = computed.map_err(lacking::outward)?;
        Ok(Told { base, as_of, analysis, instruments, model: self.model.clone(), refdata_version })
    }

    /// The newest day on which anything held has a price.
    async fn newest_price(&self, tenant: &TenantId, ids: &[InstrumentId]) -> Result<Option<Day>, Error> {
        let newest: Vec<_> = ids.iter().map(|id| self.prices.newest(tenant, id)).collect();
        let newest: Vec<Option<Day>> = futures::stream::iter(newest).buffered(AT_ONCE).try_collect().await?;
        Ok(newest.into_iter().flatten().max())
    }

    /// What is known of instruments, with their prices as far back as scenarios may reach.
    async fn known(
        &self,
        tenant: &TenantId,
        ids: &[InstrumentId],
        as_of: Day,
    ) -> Result<BTreeMap<Box<str>, Instrument>, Error> {
        let from = Day::from_number(as_of.number().saturating_sub(self.reach()));
        let rows = self.instruments.many(tenant, ids.iter()).await?;
        let known = rows.into_iter().flatten().map(|row| async move {
            let prices = self.prices.between(tenant, &row.id, from, as_of).await?;
            let currency = risk::Currency::new(row.currency.code());
            let instrument = Instrument {
                currency: currency.map_err(|_| Error::internal("read currency of instrument"))?,
                country: risk::Country::new(&row.country).ok(),
                sector: (!row.sector.is_empty()).then(|| row.sector.as_str().into()),
                prices: prices.into_iter().map(|(day, price)| (day, Price(price.0))).collect(),
            };
            Ok::<_, Error>((row.id.as_str().into(), instrument))
        });
        futures::stream::iter(known).buffered(AT_ONCE).try_collect().await
    }

    /// Calendar days that the scenarios may reach back: five of seven days, a tenth of those on holiday.
    fn reach(&self) -> i32 {
        let scenarios = &self.model.scenarios;
        let days = (scenarios.days + 1) * 7 / 5;
        (days + days / 10 + 7) as i32 + scenarios.max_stale_days as i32
    }
}

fn ids(book: &Book) -> Result<Vec<InstrumentId>, Error> {
    let answer = |_| ServiceError::Answer { doing: "scan trades", field: "instrumentId" };
    Ok(book.instruments().map(|id| InstrumentId::new(id).map_err(answer)).collect::<Result<_, _>>()?)
}
