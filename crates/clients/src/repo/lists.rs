//! The lists that clients are shown in: all of them, and those of each status, in the order of creation. One ordinal serves all
//! lists, so a client keeps its place when its status changes back and forth.

use crate::domain::client::Client;
use crate::error::{Doing as _, Error};
use api::clients::v1::ClientStatus;
use riskmesh_core::id::InvalidId;
use riskmesh_core::{ClientId, TenantId};
use store::Text;
use store::list::{ENTRIES, List, Listed, Ordinal, Start};

/// Every list's status; `None` is the list of all.
const LISTS: [Option<ClientStatus>; 3] = [None, Some(ClientStatus::Active), Some(ClientStatus::Inactive)];

/// Reads and writes the lists.
#[derive(Clone)]
pub(crate) struct Lists(store::list::Lists);

impl Lists {
    pub(crate) fn new(lists: store::list::Lists) -> Self {
        Self(lists)
    }

    /// A place in the order of creation that nobody else gets.
    pub(crate) async fn reserve(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.0.reserve(&list(tenant, None)).await.doing("reserve place in client list")?.0)
    }

    /// Puts clients on the lists they belong on, and takes them off the others. Doing it again changes nothing.
    pub(crate) async fn place(&self, tenant: &TenantId, clients: &[Client]) -> Result<(), Error> {
        let places = LISTS.map(|status| {
            let changes: Vec<_> = clients
                .iter()
                .map(|client| {
                    let belongs =
                        !client.deleted && status.is_none_or(|status| status == client.profile.status);
                    (Ordinal(client.ordinal), belongs.then(|| client.id.as_str().into()))
                })
                .collect();
            async move { self.0.change(&list(tenant, status), changes).await }
        });
        futures::future::try_join_all(places).await.doing("write client lists")?;
        Ok(())
    }

    /// A page of one list.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        status: Option<ClientStatus>,
        start: Start,
        limit: usize,
    ) -> Result<Listed<ClientId>, Error> {
        let page = self.0.page(&list(tenant, status), start, limit).await.doing("read client list")?;
        let ids = members(&page, ClientId::new)?;
        Ok(page.with(ids))
    }
}

/// The ids on a page.
pub(super) fn members<T>(
    page: &Listed<Text>,
    id: impl Fn(&str) -> Result<T, InvalidId>,
) -> Result<Vec<T>, Error> {
    let corrupt = |_| Error::Corrupt { table: ENTRIES.name, column: "member" };
    page.items.iter().map(|member| id(member.as_str()).map_err(corrupt)).collect()
}

fn list(tenant: &TenantId, status: Option<ClientStatus>) -> List {
    let name = match status {
        None | Some(ClientStatus::Unspecified) => "clients",
        Some(ClientStatus::Active) => "clients/active",
        Some(ClientStatus::Inactive) => "clients/inactive",
    };
    List::new(tenant.as_str(), name)
}
