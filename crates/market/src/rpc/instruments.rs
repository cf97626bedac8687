//! `riskmesh.market.v1.InstrumentsService`.

use super::{instrument_id, tenant};
use crate::domain::instrument::Instrument;
use crate::instruments::Instruments;
use api::etag::versioned;
use api::market::v1::instruments_service_server::InstrumentsService;
use api::market::v1::{
    GetInstrumentRequest, GetInstrumentResponse, ListInstrumentsRequest, ListInstrumentsResponse,
    PutInstrumentRequest, PutInstrumentResponse,
};
use riskmesh_core::Error;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use store::list::Start;
use tonic::{Request, Response, Status};

/// Reads and maintains instruments.
#[derive(Clone)]
pub(crate) struct InstrumentsRpc {
    pub(crate) instruments: Instruments,
    pub(crate) cursors: Cursors,
}

#[tonic::async_trait]
impl InstrumentsService for InstrumentsRpc {
    async fn list_instruments(
        &self,
        request: Request<ListInstrumentsRequest>,
    ) -> Result<Response<ListInstrumentsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let scope = Scope { tenant: tenant.as_str(), query: "instruments" };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.instruments.list(&tenant, start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        Ok(Response::new(ListInstrumentsResponse {
            instruments: found.items.iter().map(Instrument::message).collect(),
            page: Some(api::page::answer(&page, found.total, found.places, next)),
        }))
    }

    async fn get_instrument(
        &self,
        request: Request<GetInstrumentRequest>,
    ) -> Result<Response<GetInstrumentResponse>, Status> {
        let tenant = tenant(&request)?;
        let id = instrument_id(&request.into_inner().instrument_id)?;
        let found = self.instruments.get(&tenant, &id).await?;
        Ok(versioned(GetInstrumentResponse { instrument: Some(found.message()) }, found.version))
    }

    async fn put_instrument(
        &self,
        request: Request<PutInstrumentRequest>,
    ) -> Result<Response<PutInstrumentResponse>, Status> {
        let tenant = tenant(&request)?;
        let sent = request.into_inner().instrument;
        let sent = sent.ok_or_else(|| Error::required("instrument"))?;
        let instrument = Instrument::read(sent, self.instruments.clock.now())?;
        let put = self.instruments.put(&tenant, instrument).await?;
        Ok(versioned(PutInstrumentResponse { instrument: Some(put.message()) }, put.version))
    }
}
