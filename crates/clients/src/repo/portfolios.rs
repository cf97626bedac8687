//! Portfolio rows, and the list of them in the order of creation.

use super::lists::members;
use super::rows::{self, Written};
use crate::domain::portfolio::Portfolio;
use crate::error::{Doing as _, Error};
use crate::tables::PORTFOLIOS;
use riskmesh_core::cipher::{ColumnCipher, Place};
use riskmesh_core::{ClientId, Currency, PortfolioId, TenantId};
use std::sync::Arc;
use store::list::{List, Listed, Lists, Ordinal, Start};
use store::{Cas, Get, Row, Store, Upsert, upsert};

const WRITING: &str = "write portfolio";
const READING: &str = "read portfolio";

/// Reads and writes portfolios.
#[derive(Clone)]
pub(crate) struct Portfolios {
    store: Arc<dyn Store>,
    lists: Lists,
    cipher: ColumnCipher,
}

impl Portfolios {
    pub(crate) fn new(store: Arc<dyn Store>, lists: Lists, cipher: ColumnCipher) -> Self {
        Self { store, lists, cipher }
    }

    /// The portfolio's row, tombstones too.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &PortfolioId) -> Result<Option<Portfolio>, Error> {
        self.read(self.store.get(key(tenant, id)).await.doing(READING)?.as_ref(), tenant)
    }

    /// The same by a serial read.
    pub(crate) async fn latest(
        &self,
        tenant: &TenantId,
        id: &PortfolioId,
    ) -> Result<Option<Portfolio>, Error> {
        self.read(self.store.get(key(tenant, id).latest()).await.doing(READING)?.as_ref(), tenant)
    }

    /// A place in the order of creation that nobody else gets.
    pub(crate) async fn reserve(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.lists.reserve(&list(tenant)).await.doing("reserve place in portfolio list")?.0)
    }

    /// Inserts a portfolio whose id was never used.
    pub(crate) async fn insert(
        &self,
        tenant: &TenantId,
        portfolio: &Portfolio,
    ) -> Result<Written<Portfolio>, Error> {
        let cas = Cas::new(&PORTFOLIOS, (tenant.as_str(), portfolio.id.as_str())).if_absent(());
        self.write(tenant, cas, portfolio).await
    }

    /// Replaces the row if it still has version `expected`.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        portfolio: &Portfolio,
        expected: i64,
    ) -> Result<Written<Portfolio>, Error> {
        let cas = Cas::new(&PORTFOLIOS, (tenant.as_str(), portfolio.id.as_str()));
        self.write(tenant, cas.if_equals((), "version", expected), portfolio).await
    }

    async fn write(
        &self,
        tenant: &TenantId,
        cas: Cas,
        portfolio: &Portfolio,
    ) -> Result<Written<Portfolio>, Error> {
        let cas = cas.with(self.columns(tenant, portfolio)?);
        let came = rows::write(&*self.store, WRITING, vec![cas], |_| key(tenant, &portfolio.id)).await?.pop();
        let came = came.ok_or(Error::Contended { doing: WRITING })?;
        let there = self.read(came.row(), tenant)?;
        Ok(Written::of(&came, portfolio, there))
    }

    /// Puts a portfolio on the list, or takes it off. Doing it again changes nothing.
    pub(crate) async fn place(&self, tenant: &TenantId, portfolio: &Portfolio) -> Result<(), Error> {
        let member = (!portfolio.deleted).then(|| portfolio.id.as_str().into());
        let change = [(Ordinal(portfolio.ordinal), member)];
        self.lists.change(&list(tenant), change).await.doing("write portfolio list")
    }

    /// A page of the list.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Portfolio>, Error> {
        let page = self.lists.page(&list(tenant), start, limit).await.doing("read portfolio list")?;
        let gets = members(&page, PortfolioId::new)?.iter().map(|id| key(tenant, id)).collect();
        let rows = self.store.get_many(gets).await.doing(READING)?;
        let portfolios = rows.iter().filter_map(|row| self.read(row.as_ref(), tenant).transpose());
        let portfolios = portfolios.collect::<Result<Vec<_>, _>>()?;
        Ok(page.with(portfolios.into_iter().filter(|portfolio| !portfolio.deleted).collect()))
    }

    fn columns(&self, tenant: &TenantId, portfolio: &Portfolio) -> Result<Upsert, Error> {
        let place = format!("{tenant}/{}", portfolio.id);
        let place = Place { table: PORTFOLIOS.name, key: &place, column: "name" };
        let name = (!portfolio.name.is_empty()).then(|| self.cipher.seal(place, portfolio.name.as_bytes()));
        Ok(upsert(())
            .set("version", portfolio.version)
            .set("ordinal", portfolio.ordinal.cast_signed())
            .set("deleted", portfolio.deleted.then_some(true))
            .set("name", name.transpose().map_err(Error::Seal)?)
            .set("base_currency", portfolio.base.code())
            .set("client_id", portfolio.client.as_ref().map(ClientId::as_str))
            .set("created_at", portfolio.created_at)
            .set("updated_at", portfolio.updated_at))
    }

    fn read(&self, row: Option<&Row>, tenant: &TenantId) -> Result<Option<Portfolio>, Error> {
        let Some(row) = row else { return Ok(None) };
        let corrupt = |column| Error::Corrupt { table: PORTFOLIOS.name, column };
        let id = row.text("portfolio_id").doing(READING)?;
        let place = format!("{tenant}/{id}");
        let name = match row.blob_opt("name").doing(READING)? {
            None => String::new(),
            Some(sealed) => {
                let plain =
                    self.cipher.open(Place { table: PORTFOLIOS.name, key: &place, column: "name" }, sealed);
                String::from_utf8(plain.map_err(|_| corrupt("name"))?).map_err(|_| corrupt("name"))?
            }
        };
        let client = row.text_opt("client_id").doing(READING)?.map(ClientId::new).transpose();
        let base = Currency::new(row.text("base_currency").doing(READING)?);
        Ok(Some(Portfolio {
            id: PortfolioId::new(id).map_err(|_| corrupt("portfolio_id"))?,
            name,
            base: base.ok_or_else(|| corrupt("base_currency"))?,
            client: client.map_err(|_| corrupt("client_id"))?,
            created_at: row.timestamp("created_at").doing(READING)?,
            updated_at: row.timestamp("updated_at").doing(READING)?,
            version: row.bigint("version").doing(READING)?,
            ordinal: row.bigint("ordinal").doing(READING)?.cast_unsigned(),
            deleted: row.boolean_opt("deleted").doing(READING)?.unwrap_or(false),
        }))
    }
}

fn key(tenant: &TenantId, id: &PortfolioId) -> Get {
    Get::row(&PORTFOLIOS, (tenant.as_str(), id.as_str()), ())
}

fn list(tenant: &TenantId) -> List {
    List::new(tenant.as_str(), "portfolios")
}
