//! `riskmesh.portfolios.v1.PortfoliosService`.

use super::{client_id, portfolio_id, tenant};
use crate::domain::portfolio::Portfolio;
use crate::masters::Masters;
use crate::portfolios::Portfolios;
use api::etag::{IfMatch, versioned};
use api::portfolios::v1::portfolios_service_server::PortfoliosService;
use api::portfolios::v1::{
    CreatePortfolioRequest, CreatePortfolioResponse, DeletePortfolioRequest, DeletePortfolioResponse,
    GetPortfolioRequest, GetPortfolioResponse, ListPortfoliosRequest, ListPortfoliosResponse,
    UpdatePortfolioRequest, UpdatePortfolioResponse,
};
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use riskmesh_core::{Error, TenantId};
use store::list::Start;
use tonic::{Request, Response, Status};

/// Reads and maintains portfolios.
#[derive(Clone)]
pub(crate) struct PortfoliosRpc {
    pub(crate) portfolios: Portfolios,
    pub(crate) masters: Masters,
    pub(crate) cursors: Cursors,
}

impl PortfoliosRpc {
    /// Whether the client that a portfolio is to be managed for is there.
    async fn check_client(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        if id.is_empty() {
            return Ok(());
        }
        self.masters.client(tenant, &client_id(id)?).await.map(drop)
    }
}

#[tonic::async_trait]
impl PortfoliosService for PortfoliosRpc {
    async fn list_portfolios(
        &self,
        request: Request<ListPortfoliosRequest>,
    ) -> Result<Response<ListPortfoliosResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let scope = Scope { tenant: tenant.as_str(), query: "portfolios" };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.portfolios.list(&tenant, start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        Ok(Response::new(ListPortfoliosResponse {
            portfolios: found.items.iter().map(Portfolio::message).collect(),
            page: Some(api::page::answer(&page, found.total, found.places, next)),
        }))
    }

    async fn create_portfolio(
        &self,
        request: Request<CreatePortfolioRequest>,
    ) -> Result<Response<CreatePortfolioResponse>, Status> {
        let tenant = tenant(&request)?;
        let sent = request.into_inner().portfolio;
        let sent = sent.ok_or_else(|| Error::required("portfolio"))?;
        self.check_client(&tenant, &sent.client_id).await?;
        let portfolio = Portfolio::read(sent, self.portfolios.clock.now())?;
        let portfolio = self.portfolios.create(&tenant, portfolio).await?;
        Ok(versioned(CreatePortfolioResponse { portfolio: Some(portfolio.message()) }, portfolio.version))
    }

    async fn get_portfolio(
        &self,
        request: Request<GetPortfolioRequest>,
    ) -> Result<Response<GetPortfolioResponse>, Status> {
        let tenant = tenant(&request)?;
        let id = portfolio_id(&request.into_inner().portfolio_id)?;
        let portfolio = self.portfolios.get(&tenant, &id).await?;
        Ok(versioned(GetPortfolioResponse { portfolio: Some(portfolio.message()) }, portfolio.version))
    }

    async fn update_portfolio(
        &self,
        request: Request<UpdatePortfolioRequest>,
    ) -> Result<Response<UpdatePortfolioResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let patch = request.portfolio.ok_or_else(|| Error::required("portfolio"))?;
        let id = portfolio_id(&patch.portfolio_id)?;
        let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice());
        if mask.is_none_or(|paths| paths.iter().any(|path| path == "*" || path == "client_id")) {
            self.check_client(&tenant, &patch.client_id).await?;
        }
        let portfolio = self.portfolios.update(&tenant, &id, &patch, mask, &if_match).await?;
        Ok(versioned(UpdatePortfolioResponse { portfolio: Some(portfolio.message()) }, portfolio.version))
    }

    async fn delete_portfolio(
        &self,
        request: Request<DeletePortfolioRequest>,
    ) -> Result<Response<DeletePortfolioResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let id = portfolio_id(&request.into_inner().portfolio_id)?;
        self.portfolios.delete(&tenant, &id, &if_match).await?;
        Ok(Response::new(DeletePortfolioResponse {}))
    }
}
