//! The gRPC services: two versions, one reading. Each version says only how a risk is shown.

mod simulation;
mod v1;
mod v2;

pub(crate) use simulation::SimulationRpc;

use crate::cached::Shown;
use crate::reader::Reader;
use api::common::v1::Page;
use riskmesh_core::ClientId;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use store::list::Start;
use tonic::{Request, Status};

/// Reads risks, for any version.
#[derive(Clone)]
pub(crate) struct AnalyticsRpc {
    pub(crate) reader: Reader,
    pub(crate) cursors: Cursors,
}

/// What cursors are bound to. The same for both versions: it is the same list.
const QUERY: &str = "analytics";

impl AnalyticsRpc {
    async fn get<T>(&self, request: &Request<T>, client: &str) -> Result<Shown, Status> {
        let tenant = &authn::caller(request)?.tenant;
        let client = ClientId::new(client).map_err(|error| error.of("clientId"))?;
        Ok(self.reader.get(tenant, &client).await?)
    }

    async fn list<T>(&self, request: &Request<T>, page: PageRequest) -> Result<(Vec<Shown>, Page), Status> {
        let tenant = &authn::caller(request)?.tenant;
        let scope = Scope { tenant: tenant.as_str(), query: QUERY };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.reader.page(tenant, start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        let page = api::page::answer(&page, found.total, found.places, next);
        Ok((found.items, page))
    }
}
