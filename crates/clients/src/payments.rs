//! Payments: each has exactly one effect, whatever is repeated, raced or cut off.
//!
//! 1. Take up the key, where the caller sends one: its row reserves the payment's id and its time. The rest follows from these.
//! 2. Leave a pointer in the outbox.
//! 3. Insert the payment as pending, and put it on its lists.
//! 4. Record its entry, whose id is the payment's: recorded twice, it is a duplicate.
//! 5. Mark the payment as booked, the key as done, and drop the pointer.
//!
//! Cut off after 3, or unable to go on, the relay does 4 and 5 at the pointer; cut off before, nothing has happened, and a repeat with the same key starts
//! again under the same id.

use crate::domain::payment::{Order, Payment};
use crate::error::Error as ServiceError;
use crate::events::Events;
use crate::ingest::{Ingest, Recorded};
use crate::repo::accounts::Accounts;
use crate::repo::payments::Payments as Repo;
use crate::repo::rows::Written;
use api::clients::v1::AccountStatus;
use api::payments::v1::PaymentStatus;
use idempotency::{Begun, Key, Keys, Request, Ticket};
use riskmesh_core::cipher::random_bytes;
use riskmesh_core::{AccountId, ClientId, Clock, Detail, Error, ErrorCode, PaymentId, TenantId, Timestamp};
use std::sync::Arc;
use store::list::{Listed, Start};
use store::race::Race;

/// Names the method among those that take keys.
const METHOD: &str = "riskmesh.payments.v1.PaymentsService/CreatePayment";

/// Makes and reads payments.
#[derive(Clone)]
pub(crate) struct Payments {
    pub(crate) accounts: Accounts,
    pub(crate) rows: Repo,
    pub(crate) ingest: Ingest,
    pub(crate) keys: Keys,
    pub(crate) events: Arc<Events>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A payment that was made, now or before.
pub(crate) struct Made {
    pub(crate) payment: Payment,
    pub(crate) replayed: bool,
}

fn not_found(id: &str) -> Error {
    Error::not_found(ErrorCode::PaymentNotFound, "paymentId", id)
}

impl Payments {
    /// Makes a payment, or finds the one that was made for the same key.
    pub(crate) async fn create(
        &self,
        tenant: &TenantId,
        caller: &str,
        key: Option<&Key>,
        order: Order,
    ) -> Result<Made, Error> {
        let new = PaymentId::new(&self.new_id()?).map_err(|_| Error::internal("name a payment"))?;
        let Some(key) = key else {
            let client = self.payer(tenant, &order).await?;
            let now = self.clock.now();
            return self.carry_out(tenant, new, client, order, now).await.map(Made::now);
        };
        let content = order.content();
        let request = Request { tenant, method: METHOD, caller, key, content: &content };
        match self.keys.begin(request, new.to_string()).await.map_err(idempotency::Error::outward)? {
            Begun::Done(id) => self.made(tenant, &id).await,
            Begun::Run(ticket) => {
                let paid = self.carry_out_once(tenant, &ticket, order).await;
                match &paid {
                    Ok(_) => self.keys.finish(&ticket).await,
                    // Nothing was made that a repeat does not find.
                    Err(_) => self.keys.release(&ticket).await,
                }
                // The effect is there, or the error is the answer: a key that stays open is found again by its payment.
                .unwrap_or_else(|error| {
                    tracing::warn!(error = &error as &dyn std::error::Error, "idempotency key not closed");
                });
                paid
            }
        }
    }

    async fn carry_out_once(&self, tenant: &TenantId, ticket: &Ticket, order: Order) -> Result<Made, Error> {
        let id = PaymentId::new(ticket.resource()).map_err(|_| Error::internal("read a key's payment"))?;
        // Somebody may have come so far before.
        let client = match self.rows.latest(tenant, &id).await? {
            Some(before) => before.client,
            None => self.payer(tenant, &order).await?,
        };
        self.carry_out(tenant, id, client, order, ticket.decided_at()).await.map(Made::now)
    }

    /// The payment that was made before.
    async fn made(&self, tenant: &TenantId, id: &str) -> Result<Made, Error> {
        let id = PaymentId::new(id).map_err(|_| Error::internal("read a key's payment"))?;
        let payment = self.rows.latest(tenant, &id).await?.ok_or_else(|| not_found(id.as_str()))?;
        Ok(Made { payment: self.taken(tenant, payment).await?, replayed: true })
    }

    /// Whose money it is; an error where the account cannot pay it.
    async fn payer(&self, tenant: &TenantId, order: &Order) -> Result<ClientId, Error> {
        let account = self.accounts.get(tenant, &order.account).await?.filter(|account| !account.deleted);
        let account = account.ok_or_else(|| {
            Error::not_found(ErrorCode::AccountNotFound, "accountId", order.account.as_str())
        })?;
        if account.status != AccountStatus::Active {
            return Err(Error::new(ErrorCode::PreconditionFailed)
                .message("The account is not active")
                .hint("Pay from an active account, or set the account's status to active first.")
                .detail(Detail::expected("accountId", "is not active", "an active account")));
        }
        if account.currency != order.amount.currency {
            let issue = format!("must be the account's currency, {}", account.currency.code());
            return Err(Error::invalid(Detail::expected(
                "currency",
                issue,
                account.currency.code().to_owned(),
            )));
        }
        Ok(account.client)
    }

    /// Makes the payment of this id, or goes on where somebody stopped.
    async fn carry_out(
        &self,
        tenant: &TenantId,
        id: PaymentId,
        client: ClientId,
        order: Order,
        now: Timestamp,
    ) -> Result<Payment, Error> {
        let pointer = self.events.intend_payment(tenant, &id).await?;
        let ordinal = self.rows.reserve(tenant).await?;
        let payment = Payment::new(id, client, order, now, ordinal);
        let payment = match self.rows.insert(tenant, &payment).await? {
            Written::Applied => payment,
            Written::Lost(Some(before)) => *before,
            Written::Lost(None) => return Err(Error::internal("insert a payment")),
        };
        let payment = self.taken(tenant, payment).await?;
        if payment.status != PaymentStatus::Pending {
            self.events.drop_pointer(pointer);
        }
        Ok(payment)
    }

    /// The payment, booked if that can be done now. If not, it stands all the same, and the relay books it: whoever were told that it
    /// failed might pay again.
    async fn taken(&self, tenant: &TenantId, payment: Payment) -> Result<Payment, Error> {
        match self.settled(tenant, payment.clone()).await {
            Err(error) if error.code.retryable() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "payment is booked later");
                Ok(payment)
            }
            settled => settled,
        }
    }

    /// The payment after its entry was recorded; an error where it cannot be.
    pub(crate) async fn settled(&self, tenant: &TenantId, payment: Payment) -> Result<Payment, Error> {
        let mut payment = payment;
        self.rows.place(tenant, &payment).await?;
        let mut race = Race::default();
        while race.again((tenant, &payment.id)).await {
            match payment.status {
                PaymentStatus::Booked => return Ok(payment),
                PaymentStatus::Rejected => {
                    let id = payment.order.account.as_str();
                    return Err(Error::not_found(ErrorCode::AccountNotFound, "accountId", id));
                }
                PaymentStatus::Pending | PaymentStatus::Unspecified => {}
            }
            let mut recorded = Recorded::default();
            let entry = Box::new(payment.entry()?);
            self.ingest.record(tenant, vec![(0, entry)], &mut recorded).await?;
            let after = Payment {
                status: match recorded.rejected.first() {
                    None => PaymentStatus::Booked,
                    Some(rejected) if rejected.error.code == ErrorCode::AccountNotFound => {
                        PaymentStatus::Rejected
                    }
                    // An entry of this id that is not this payment's: nobody but us makes such ids.
                    Some(_) => return Err(Error::internal("book a payment")),
                },
                version: payment.version + 1,
                ..payment.clone()
            };
            payment = match self.rows.replace(tenant, &after, payment.version).await? {
                Written::Applied => after,
                Written::Lost(now) => *now.ok_or_else(|| not_found(after.id.as_str()))?,
            };
        }
        Err(ServiceError::Contended { doing: "book payment" }.into())
    }

    /// One payment.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &str) -> Result<Payment, Error> {
        let known = PaymentId::new(id).map_err(|_| not_found(id))?;
        self.rows.get(tenant, &known).await?.ok_or_else(|| not_found(id))
    }

    /// A page of payments in the order in which they were made.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        account: Option<&AccountId>,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Payment>, Error> {
        Ok(self.rows.page(tenant, account, start, limit).await?)
    }

    /// Ids that rise with time (UUID version 7, RFC 9562).
    fn new_id(&self) -> Result<String, Error> {
        let millis = self.clock.now().millis().max(0).cast_unsigned();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes()?).into_uuid();
        Ok(id.hyphenated().to_string())
    }
}

impl Made {
    fn now(payment: Payment) -> Self {
        Self { payment, replayed: false }
    }
}
