//! The lists that clients are shown in: all of them, and those of each status, in the order of creation. One ordinal serves all
//! lists, so a client keeps its place when its status changes back and forth.

use crate::domain::client::Client;
use crate::error::{Doing as _, Error};
use crate::masters::ListStart;
use api::clients::v1::ClientStatus;
use riskmesh_core::TenantId;
use store::list::{List, Ordinal};

/// Every list's status; `None` is the list of all.
const LISTS: [Option<ClientStatus>; 3] = [None, Some(ClientStatus::Active), Some(ClientStatus::Inactive)];

/// Reads and writes the lists.
#[derive(Clone)]
pub(crate) struct Lists(store::list::Lists);

/// A page of a list.
pub(crate) struct Listed {
    /// Client ids.
    pub(crate) members: Vec<String>,
    /// How many the whole list has.
    pub(crate) total: u64,
    /// The ordinal after which the next page starts, where there is one.
    pub(crate) next: Option<u64>,
}

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
        start: ListStart,
        limit: usize,
    ) -> Result<Listed, Error> {
        const DOING: &str = "read client list";
        let list = list(tenant, status);
        let page = match start {
            ListStart::Offset(offset) => self.0.page_by_offset(&list, offset, limit).await.doing(DOING)?,
            ListStart::After(ordinal) => {
                self.0.page_after(&list, Some(Ordinal(ordinal)), limit).await.doing(DOING)?
            }
        };
        let total = self.0.total(&list).await.doing(DOING)?;
        let next = page.next.map(|ordinal| ordinal.0);
        let members = page.items.into_iter().map(|(_, member)| member.as_str().to_owned()).collect();
        Ok(Listed { members, total, next })
    }
}

fn list(tenant: &TenantId, status: Option<ClientStatus>) -> List {
    let name = match status {
        None | Some(ClientStatus::Unspecified) => "clients",
        Some(ClientStatus::Active) => "clients/active",
        Some(ClientStatus::Inactive) => "clients/inactive",
    };
    List::new(tenant.as_str(), name)
}
