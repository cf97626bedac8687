//! `riskmesh.payments.v1.PaymentsService`.

use super::{account_id, replayed, tenant};
use crate::domain::payment::Order;
use crate::payments::Payments;
use api::etag::versioned;
use api::payments::v1::payments_service_server::PaymentsService;
use api::payments::v1::{
    CreatePaymentRequest, CreatePaymentResponse, GetPaymentRequest, GetPaymentResponse, ListPaymentsRequest,
    ListPaymentsResponse,
};
use idempotency::Key;
use riskmesh_core::Error;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use store::list::Start;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

/// Makes and reads payments.
#[derive(Clone)]
pub(crate) struct PaymentsRpc {
    pub(crate) payments: Payments,
    pub(crate) cursors: Cursors,
}

#[tonic::async_trait]
impl PaymentsService for PaymentsRpc {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let tenant = tenant(&request)?;
        let caller = authn::caller(&request)?.sub.clone();
        let keys = request.metadata().get_all("idempotency-key");
        let key = Key::sent(keys.iter().map(MetadataValue::as_bytes))?;
        let sent = request.into_inner().payment;
        let order = Order::read(sent.ok_or_else(|| Error::required("payment"))?)?;
        let made = self.payments.create(&tenant, &caller, key.as_ref(), order).await?;
        let answer = CreatePaymentResponse { payment: Some(made.payment.message()?) };
        let mut response = versioned(answer, made.payment.version);
        if made.replayed {
            replayed(&mut response);
        }
        Ok(response)
    }

    async fn get_payment(
        &self,
        request: Request<GetPaymentRequest>,
    ) -> Result<Response<GetPaymentResponse>, Status> {
        let tenant = tenant(&request)?;
        let payment = self.payments.get(&tenant, &request.into_inner().payment_id).await?;
        Ok(versioned(GetPaymentResponse { payment: Some(payment.message()?) }, payment.version))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let account =
            (!request.account_id.is_empty()).then(|| account_id(&request.account_id)).transpose()?;
        let query = format!("payments/{}", request.account_id);
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.payments.list(&tenant, account.as_ref(), start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        Ok(Response::new(ListPaymentsResponse {
            payments: found
                .items
                .iter()
                .map(crate::domain::payment::Payment::message)
                .collect::<Result<_, _>>()?,
            page: Some(api::page::answer(&page, found.total, found.places, next)),
        }))
    }
}
