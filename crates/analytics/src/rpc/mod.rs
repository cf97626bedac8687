//! The gRPC services: two versions, one reading. Each version says only how a risk is shown.

mod simulation;
mod v1;
mod v2;

pub(crate) use simulation::SimulationRpc;

use crate::cached::Shown;
use crate::reader::{Page, Reader};
use crate::repo::list::Place;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::{PageRequest, Start};
use riskmesh_core::{ClientId, Error};
use tonic::{Request, Response, Status};

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

    async fn list<T>(
        &self,
        request: &Request<T>,
        page: PageRequest,
    ) -> Result<(Vec<Shown>, api::common::v1::Page), Status> {
        let tenant = &authn::caller(request)?.tenant;
        let scope = Scope { tenant: tenant.as_str(), query: QUERY };
        let from = match &page.start {
            Start::Offset(offset) => Place::Offset(*offset),
            Start::Cursor(cursor) => Place::After(position(&self.cursors.open(scope, cursor)?)?),
        };
        let Page { shown, total, places, next } = self.reader.page(tenant, from, page.limit).await?;
        let next_cursor = next.map(|after| self.cursors.seal(scope, &after.to_be_bytes())).transpose()?;
        let next_offset = match page.start {
            Start::Offset(offset) => next.map(|_| offset.saturating_add(places as u64).cast_signed()),
            Start::Cursor(_) => None,
        };
        let limit = i32::try_from(page.limit).unwrap_or(i32::MAX);
        Ok((shown, api::common::v1::Page { limit, total: total.cast_signed(), next_offset, next_cursor }))
    }
}

/// The position in a cursor that opened: it was sealed here, so it has the right length.
fn position(bytes: &[u8]) -> Result<u64, Error> {
    let bytes = bytes.try_into().map_err(|_| Error::internal("read the position of a cursor"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A response that carries its version as a strong ETag (RFC 9110).
fn versioned<T>(message: T, version: i64) -> Response<T> {
    let mut response = Response::new(message);
    if let Ok(value) = format!("\"v{version}\"").parse() {
        response.metadata_mut().insert("etag", value);
    }
    response
}
