//! The gRPC services: two versions, one reading. Each version says only how a risk is shown.

mod simulation;
mod v1;
mod v2;

pub(crate) use simulation::SimulationRpc;

use crate::cached::Shown;
use crate::domain::change::Change;
use crate::reader::Reader;
use crate::watch::Watcher;
use api::common::v1::Page;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use riskmesh_core::{ClientId, Detail, Error};
use std::time::Duration;
use store::list::Start;
use tonic::{Request, Response, Status};

/// Reads risks, for any version.
#[derive(Clone)]
pub(crate) struct AnalyticsRpc {
    pub(crate) reader: Reader,
    pub(crate) watcher: Watcher,
    pub(crate) cursors: Cursors,
}

/// What cursors are bound to. The same for both versions: it is the same list.
const QUERY: &str = "analytics";

/// How long a stream lasts where its caller does not say.
const WATCH: Duration = Duration::from_mins(15);

/// What a stream is asked for, in any version.
struct Asked<'a> {
    client: &'a str,
    timeout: Option<i32>,
    after: &'a str,
}

impl AnalyticsRpc {
    async fn get<T>(&self, request: &Request<T>, client: &str) -> Result<Shown, Status> {
        let tenant = &authn::caller(request)?.tenant;
        let client = client_id(client)?;
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
    async fn history<T>(
        &self,
        request: &Request<T>,
        client: &str,
        page: PageRequest,
    ) -> Result<(Vec<Change>, Page), Status> {
        let tenant = &authn::caller(request)?.tenant;
        let client = client_id(client)?;
        let query = format!("{QUERY}/{client}/history");
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.reader.history(tenant, &client, start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        let page = api::page::answer(&page, found.total, found.places, next);
        Ok((found.items, page))
    }

    async fn watch<T, M: 'static>(
        &self,
        request: &Request<T>,
        asked: Asked<'_>,
        view: fn(Change) -> M,
    ) -> Result<Response<BoxStream<'static, Result<M, Status>>>, Status> {
        let tenant = &authn::caller(request)?.tenant;
        let client = client_id(asked.client)?;
        let time = asked.timeout.and_then(|seconds| u64::try_from(seconds).ok());
        let time = time.map_or(WATCH, Duration::from_secs);
        let after = match asked.after {
            "" => None,
            number => Some(number.parse().map_err(|_| {
                Error::invalid(Detail::expected("after", "is not a number", "eventId of an event"))
            })?),
        };
        let changes = self.watcher.watch(tenant, &client, after, time).await?;
        Ok(Response::new(changes.map(move |change| Ok(view(change?))).boxed()))
    }
}

fn client_id(text: &str) -> Result<ClientId, Error> {
    ClientId::new(text).map_err(|error| error.of("clientId"))
}
