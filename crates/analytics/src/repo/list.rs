//! The list of all clients that have a score, in the order in which they were first scored.

use crate::error::{Doing as _, Error};
use riskmesh_core::{ClientId, TenantId};
use store::list::{Lists, Ordinal};

/// The list's name.
const NAME: &str = "scores";

/// Reads and writes the list.
#[derive(Clone)]
pub(crate) struct List(Lists);

/// Where a page starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// After this many clients.
    Offset(u64),
    /// After the client with this ordinal.
    After(u64),
}

/// A page of the list.
pub(crate) struct Listed {
    pub(crate) clients: Vec<ClientId>,
    /// How many clients the whole list has.
    pub(crate) total: u64,
    /// The ordinal after which the next page starts, where there is one.
    pub(crate) next: Option<u64>,
}

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
    pub(crate) async fn page(&self, tenant: &TenantId, from: Place, limit: usize) -> Result<Listed, Error> {
        let doing = "read list";
        let list = list(tenant);
        let page = match from {
            Place::Offset(offset) => self.0.page_by_offset(&list, offset, limit).await,
            Place::After(ordinal) => self.0.page_after(&list, Some(Ordinal(ordinal)), limit).await,
        };
        let page = page.doing(doing)?;
        let total = self.0.total(&list).await.doing(doing)?;
        let client = |member: &str| {
            ClientId::new(member)
                .map_err(|_| Error::Corrupt { table: store::list::ENTRIES.name, column: "member" })
        };
        let clients = page.items.iter().map(|(_, member)| client(member)).collect::<Result<_, _>>()?;
        Ok(Listed { clients, total, next: page.next.map(|ordinal| ordinal.0) })
    }
}

fn list(tenant: &TenantId) -> store::list::List {
    store::list::List::new(tenant.as_str(), NAME)
}
