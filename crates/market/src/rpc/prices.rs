//! `riskmesh.market.v1.PricesService`.

use super::{instrument_id, tenant};
use crate::domain::day;
use crate::domain::price::{Price, message};
use crate::prices::{Prices, Recorded, Rejected};
use api::market::v1::prices_service_server::PricesService;
use api::market::v1::{
    BatchCreatePricesRequest, BatchCreatePricesResponse, ListPricesRequest, ListPricesResponse,
    PriceRejection,
};
use risk::Day;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::{PageRequest, cut};
use riskmesh_core::{Detail, Error};
use tonic::{Request, Response, Status};

/// Takes in and reads prices.
#[derive(Clone)]
pub(crate) struct PricesRpc {
    pub(crate) prices: Prices,
    pub(crate) cursors: Cursors,
}

#[tonic::async_trait]
impl PricesService for PricesRpc {
    async fn batch_create_prices(
        &self,
        request: Request<BatchCreatePricesRequest>,
    ) -> Result<Response<BatchCreatePricesResponse>, Status> {
        let tenant = tenant(&request)?;
        let now = self.prices.clock.now();
        let mut recorded = Recorded::default();
        let mut batch = Vec::new();
        for (index, sent) in request.into_inner().prices.into_iter().enumerate() {
            match Price::read(&sent, now) {
                Ok(price) => batch.push((index, price)),
                Err(error) => recorded.reject(index, sent.instrument_id, error),
            }
        }
        self.prices.record(&tenant, batch, &mut recorded).await?;
        Ok(Response::new(BatchCreatePricesResponse {
            created: recorded.created as i64,
            corrected: recorded.corrected as i64,
            duplicates: recorded.duplicates as i64,
            rejected: recorded.rejected.into_iter().map(rejection).collect(),
        }))
    }

    async fn list_prices(
        &self,
        request: Request<ListPricesRequest>,
    ) -> Result<Response<ListPricesResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let id = instrument_id(&request.instrument_id)?;
        let read = |field, text: &Option<String>| text.as_deref().map(|text| day(field, text)).transpose();
        let (from, until) = (read("from", &request.from)?, read("until", &request.until)?);
        if from.zip(until).is_some_and(|(from, until)| from > until) {
            return Err(
                Error::invalid(Detail::expected("until", "must not be before from", ">= from")).into()
            );
        }
        let (first, last) = (from.unwrap_or(Day::FIRST), until.unwrap_or(Day::LAST));
        let (instrument, prices) = self.prices.between(&tenant, &id, first, last).await?;
        let query = format!("prices/{id}/{}/{}", request.from(), request.until());
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        // Days of four digits sort as they follow each other.
        let place = |(day, _): &(Day, _)| day.to_string().into_bytes();
        let part = cut(&prices, &page, (&self.cursors, scope), place, |price, last| *place(price) > *last)?;
        let items = part.items.iter().map(|(day, price)| message(&id, *day, *price, instrument.currency));
        Ok(Response::new(ListPricesResponse {
            prices: items.collect(),
            page: Some(api::page::answer(&page, part.total, part.items.len(), part.next)),
        }))
    }
}

fn rejection(rejected: Rejected) -> PriceRejection {
    let Rejected { index, instrument, mut error } = rejected;
    let at_fault = error.details.pop().unwrap_or_else(|| Detail::new("", ""));
    PriceRejection {
        index: index as i64,
        instrument_id: instrument,
        error_code: error.code.name().to_owned(),
        message: error.message.into_owned(),
        field: at_fault.field.into_owned(),
        expected: at_fault.expected.into_owned(),
    }
}
