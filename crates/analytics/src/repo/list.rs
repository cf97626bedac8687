//! The list of all clients that have a score, in the order in which they were first scored.

use crate::error::{Doing as _, Error};
use riskmesh_core::{ClientId, TenantId};
use store::list::{Listed, Lists, Ordinal, Start};

/// The list's name.
const NAME: &str = "scores";

/// Reads and writes the list.
#[derive(Clone)]
pub(crate) struct List(Lists);

impl List {
    pub(crate) fn new(lists: Lists) -> Self {
        Self(lists)
    }

    /// A place that nobody else gets, behind those that this process gave out before.
    pub(crate) async fn reserve(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.0.reserve(&list(tenant)).await.doing("reserve place in list")?.0)
    }

    /// Makes a client be at its place, or not be there. Doing it again changes nothing.
    pub(crate) async fn place(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        ordinal: u64,
        there: bool,
    ) -> Result<(), Error> {
        let (list, ordinal) = (list(tenant), Ordinal(ordinal));
        if there {
            self.0.insert(&list, ordinal, client.as_str()).await.doing("put client in list")
        } else {
            self.0.remove(&list, ordinal).await.doing("take client off list")
        }
    }

    /// A page of clients.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<ClientId>, Error> {
        let page = self.0.page(&list(tenant), start, limit).await.doing("read list")?;
        let corrupt = |_| Error::Corrupt { table: store::list::ENTRIES.name, column: "member" };
        let clients = page.items.iter().map(|member| ClientId::new(member.as_str()).map_err(corrupt));
        let clients = clients.collect::<Result<_, _>>()?;
        Ok(page.with(clients))
    }
}

fn list(tenant: &TenantId) -> store::list::List {
    store::list::List::new(tenant.as_str(), NAME)
}
