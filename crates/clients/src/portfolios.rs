//! Portfolios: each operation reads, decides, and writes on the version it read; whoever loses a race reads again.

use crate::domain::portfolio::Portfolio;
use crate::error::Error as ServiceError;
use crate::events::Events;
use crate::repo::portfolios::Portfolios as Repo;
use crate::repo::rows::Written;
use api::etag::IfMatch;
use api::portfolios::v1::PatchPortfolio;
use riskmesh_core::{Clock, Detail, Error, ErrorCode, PortfolioId, TenantId};
use std::sync::Arc;
use store::list::{Listed, Start};
use store::race::Race;

/// Reads and maintains portfolios.
#[derive(Clone)]
pub(crate) struct Portfolios {
    pub(crate) rows: Repo,
    pub(crate) events: Arc<Events>,
    pub(crate) clock: Arc<dyn Clock>,
}

fn not_found(id: &PortfolioId) -> Error {
    Error::not_found(ErrorCode::PortfolioNotFound, "portfolioId", id.as_str())
}

fn contended(doing: &'static str) -> Error {
    ServiceError::Contended { doing }.into()
}

impl Portfolios {
    /// The portfolio, if it is there and not deleted.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &PortfolioId) -> Result<Portfolio, Error> {
        let portfolio = self.rows.get(tenant, id).await?;
        portfolio.filter(|portfolio| !portfolio.deleted).ok_or_else(|| not_found(id))
    }

    /// A new portfolio. The id of a deleted one is not used again: its trades are still in the store.
    pub(crate) async fn create(&self, tenant: &TenantId, portfolio: Portfolio) -> Result<Portfolio, Error> {
        let pointer = self.events.intend_portfolio(tenant, &portfolio.id).await?;
        let portfolio = Portfolio { ordinal: self.rows.reserve(tenant).await?, ..portfolio };
        match self.rows.insert(tenant, &portfolio).await? {
            Written::Applied => {
                self.settle(tenant, portfolio.clone()).await?;
                self.events.drop_pointer(pointer);
                Ok(portfolio)
            }
            Written::Lost(there) => {
                self.events.drop_pointer(pointer);
                let was = there.is_some_and(|there| there.deleted);
                let issue = if was { "was used by a portfolio that was deleted" } else { "exists already" };
                Err(Error::new(ErrorCode::AlreadyExists)
                    .detail(Detail::new("portfolioId", format!("{} {issue}", portfolio.id))))
            }
        }
    }

    /// Brings the list in line with a row: also where somebody deletes it in between.
    pub(crate) async fn settle(&self, tenant: &TenantId, portfolio: Portfolio) -> Result<(), Error> {
        let mut portfolio = portfolio;
        let mut race = Race::default();
        while race.again((tenant, &portfolio.id)).await {
            self.rows.place(tenant, &portfolio).await?;
            let now =
                self.rows.latest(tenant, &portfolio.id).await?.ok_or_else(|| not_found(&portfolio.id))?;
            if now.deleted == portfolio.deleted {
                return Ok(());
            }
            portfolio = now;
        }
        Err(contended("list portfolio"))
    }

    /// Changes a portfolio.
    pub(crate) async fn update(
        &self,
        tenant: &TenantId,
        id: &PortfolioId,
        patch: &PatchPortfolio,
        mask: Option<&[String]>,
        if_match: &IfMatch,
    ) -> Result<Portfolio, Error> {
        let mut before = self.get(tenant, id).await?;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            if_match.check(before.version)?;
            let mut after = before.clone();
            after.patch(patch, mask)?;
            if after == before {
                return Ok(before);
            }
            after.version = before.version + 1;
            after.updated_at = self.clock.now();
            match self.rows.replace(tenant, &after, before.version).await? {
                Written::Applied => return Ok(after),
                Written::Lost(now) => {
                    before = now.map(|now| *now).filter(|now| !now.deleted).ok_or_else(|| not_found(id))?;
                }
            }
        }
        Err(contended("update portfolio"))
    }

    /// Deletes a portfolio: what it is called goes, a tombstone stays.
    pub(crate) async fn delete(
        &self,
        tenant: &TenantId,
        id: &PortfolioId,
        if_match: &IfMatch,
    ) -> Result<(), Error> {
        let mut before = self.rows.get(tenant, id).await?.ok_or_else(|| not_found(id))?;
        let mut pointer = None;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            if before.deleted {
                return Ok(());
            }
            if_match.check(before.version)?;
            if pointer.is_none() {
                pointer = Some(self.events.intend_portfolio(tenant, id).await?);
            }
            let gone = Portfolio {
                name: String::new(),
                client: None,
                version: before.version + 1,
                updated_at: self.clock.now(),
                deleted: true,
                ..before.clone()
            };
            match self.rows.replace(tenant, &gone, before.version).await? {
                Written::Applied => {
                    self.settle(tenant, gone).await?;
                    if let Some(pointer) = pointer {
                        self.events.drop_pointer(pointer);
                    }
                    return Ok(());
                }
                Written::Lost(now) => before = *now.ok_or_else(|| not_found(id))?,
            }
        }
        Err(contended("delete portfolio"))
    }

    /// A page of portfolios in the order of their creation.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Portfolio>, Error> {
        Ok(self.rows.page(tenant, start, limit).await?)
    }
}
