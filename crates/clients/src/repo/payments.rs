//! Payment rows, and the lists that payments are shown in: all of a tenant, and those of each account, in the order of creation.

use super::lists::members;
use super::rows::{self, Written};
use crate::domain::payment::{Order, Payment};
use crate::error::{Doing as _, Error};
use crate::tables::PAYMENTS;
use api::payments::v1::PaymentStatus;
use riskmesh_core::cipher::{ColumnCipher, Place};
use riskmesh_core::{AccountId, ClientId, Currency, Money, PaymentId, TenantId};
use std::sync::Arc;
use store::list::{List, Listed, Lists, Ordinal, Start};
use store::{Cas, Get, Row, Store, Upsert, upsert};

const WRITING: &str = "write payment";
const READING: &str = "read payment";

/// Reads and writes payments.
#[derive(Clone)]
pub(crate) struct Payments {
    store: Arc<dyn Store>,
    lists: Lists,
    cipher: ColumnCipher,
}

impl Payments {
    pub(crate) fn new(store: Arc<dyn Store>, lists: Lists, cipher: ColumnCipher) -> Self {
        Self { store, lists, cipher }
    }

    /// The payment's row.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &PaymentId) -> Result<Option<Payment>, Error> {
        self.read(self.store.get(key(tenant, id)).await.doing(READING)?.as_ref(), tenant)
    }

    /// The same by a serial read.
    pub(crate) async fn latest(&self, tenant: &TenantId, id: &PaymentId) -> Result<Option<Payment>, Error> {
        self.read(self.store.get(key(tenant, id).latest()).await.doing(READING)?.as_ref(), tenant)
    }

    /// A place in the order of creation that nobody else gets.
    pub(crate) async fn reserve(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.lists.reserve(&list(tenant, None)).await.doing("reserve place in payment list")?.0)
    }

    /// Inserts a payment whose id was never used.
    pub(crate) async fn insert(
        &self,
        tenant: &TenantId,
        payment: &Payment,
    ) -> Result<Written<Payment>, Error> {
        let cas = Cas::new(&PAYMENTS, (tenant.as_str(), payment.id.as_str())).if_absent(());
        self.write(tenant, cas.with(self.columns(tenant, payment)?), payment).await
    }

    /// Replaces the row if it still has version `expected`.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        payment: &Payment,
        expected: i64,
    ) -> Result<Written<Payment>, Error> {
        let cas = Cas::new(&PAYMENTS, (tenant.as_str(), payment.id.as_str()));
        let cas = cas.if_equals((), "version", expected).with(self.columns(tenant, payment)?);
        self.write(tenant, cas, payment).await
    }

    async fn write(&self, tenant: &TenantId, cas: Cas, payment: &Payment) -> Result<Written<Payment>, Error> {
        let came = rows::write(&*self.store, WRITING, vec![cas], |_| key(tenant, &payment.id)).await?.pop();
        let came = came.ok_or(Error::Contended { doing: WRITING })?;
        let there = self.read(came.row(), tenant)?;
        Ok(Written::of(&came, payment, there))
    }

    /// Puts a payment on its lists. Doing it again changes nothing.
    pub(crate) async fn place(&self, tenant: &TenantId, payment: &Payment) -> Result<(), Error> {
        let (ordinal, member) = (Ordinal(payment.ordinal), payment.id.as_str());
        let (all, own) = (list(tenant, None), list(tenant, Some(&payment.order.account)));
        let places = [self.lists.insert(&all, ordinal, member), self.lists.insert(&own, ordinal, member)];
        futures::future::try_join_all(places).await.doing("write payment lists")?;
        Ok(())
    }

    /// A page of one list.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        account: Option<&AccountId>,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Payment>, Error> {
        let page = self.lists.page(&list(tenant, account), start, limit).await.doing("read payment list")?;
        let gets = members(&page, PaymentId::new)?.iter().map(|id| key(tenant, id)).collect();
        let rows = self.store.get_many(gets).await.doing(READING)?;
        let payments = rows.iter().filter_map(|row| self.read(row.as_ref(), tenant).transpose());
        let payments = payments.collect::<Result<_, _>>()?;
        Ok(page.with(payments))
    }

    fn columns(&self, tenant: &TenantId, payment: &Payment) -> Result<Upsert, Error> {
        let place = format!("{tenant}/{}", payment.id);
        let seal = |column, text: &str| -> Result<Option<Vec<u8>>, Error> {
            let place = Place { table: PAYMENTS.name, key: &place, column };
            let sealed = (!text.is_empty()).then(|| self.cipher.seal(place, text.as_bytes()));
            sealed.transpose().map_err(Error::Seal)
        };
        let order = &payment.order;
        let country = Some(order.counterparty_country.clone()).filter(|country| !country.is_empty());
        Ok(upsert(())
            .set("version", payment.version)
            .set("ordinal", payment.ordinal.cast_signed())
            .set("status", i32::from(payment.status))
            .set("account_id", order.account.as_str())
            .set("client_id", payment.client.as_str())
            .set("amount_minor", order.amount.minor)
            .set("currency", order.amount.currency.code())
            .set("counterparty_account", seal("counterparty_account", &order.counterparty_account)?)
            .set("counterparty_country", country)
            .set("reference", seal("reference", &order.reference)?)
            .set("created_at", payment.created_at))
    }

    fn read(&self, row: Option<&Row>, tenant: &TenantId) -> Result<Option<Payment>, Error> {
        let Some(row) = row else { return Ok(None) };
        let corrupt = |column| Error::Corrupt { table: PAYMENTS.name, column };
        let id = row.text("payment_id").doing(READING)?;
        let place = format!("{tenant}/{id}");
        let open = |column: &'static str| -> Result<String, Error> {
            let Some(sealed) = row.blob_opt(column).doing(READING)? else { return Ok(String::new()) };
            let plain = self.cipher.open(Place { table: PAYMENTS.name, key: &place, column }, sealed);
            String::from_utf8(plain.map_err(|_| corrupt(column))?).map_err(|_| corrupt(column))
        };
        let currency =
            Currency::new(row.text("currency").doing(READING)?).ok_or_else(|| corrupt("currency"))?;
        let account = AccountId::new(row.text("account_id").doing(READING)?);
        let client = ClientId::new(row.text("client_id").doing(READING)?);
        Ok(Some(Payment {
            order: Order {
                account: account.map_err(|_| corrupt("account_id"))?,
                amount: Money { minor: row.bigint("amount_minor").doing(READING)?, currency },
                counterparty_account: open("counterparty_account")?,
                counterparty_country: row
                    .text_opt("counterparty_country")
                    .doing(READING)?
                    .unwrap_or_default()
                    .to_owned(),
                reference: open("reference")?,
            },
            id: PaymentId::new(id).map_err(|_| corrupt("payment_id"))?,
            client: client.map_err(|_| corrupt("client_id"))?,
            status: PaymentStatus::try_from(row.int("status").doing(READING)?)
                .map_err(|_| corrupt("status"))?,
            created_at: row.timestamp("created_at").doing(READING)?,
            ordinal: row.bigint("ordinal").doing(READING)?.cast_unsigned(),
            version: row.bigint("version").doing(READING)?,
        }))
    }
}

fn key(tenant: &TenantId, id: &PaymentId) -> Get {
    Get::row(&PAYMENTS, (tenant.as_str(), id.as_str()), ())
}

fn list(tenant: &TenantId, account: Option<&AccountId>) -> List {
    match account {
        None => List::new(tenant.as_str(), "payments"),
        Some(account) => List::new(tenant.as_str(), format!("payments/{account}")),
    }
}
