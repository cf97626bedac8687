//! What is around a client's accounts, read: entries of others' accounts, as far as crate `risk` wants to see them.
//!
//! The score depends on what is read here, so it must be computed anew when that changes: whoever looks is noted first, and an event of
//! an account is news for those who looked at it too. See docs/adr/011.

use crate::error::Error;
use crate::inputs::Gather;
use futures::{StreamExt as _, TryStreamExt as _};
use risk::network::Explorer;
use risk::{AccountView, Entry, Network, RefData};
use riskmesh_core::{AccountId, ClientId, TenantId};
use std::ops::Range;
use std::pin::pin;

/// Accounts that are read at once.
const AT_ONCE: usize = 8;

/// Who looks, and at how much.
struct Look<'a> {
    tenant: &'a TenantId,
    client: &'a ClientId,
    range_ms: Range<i64>,
    most: usize,
}

impl Gather {
    /// What is around these accounts of a client. `None` under a model that does not ask for it.
    pub(crate) async fn around(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        accounts: &[AccountView<'_>],
        refdata: &RefData,
        as_of_ms: i64,
    ) -> Result<Option<Network>, Error> {
        let Some(mut explorer) = Explorer::new(accounts, &self.model, refdata, as_of_ms) else {
            return Ok(None);
        };
        let look = Look { tenant, client, range_ms: explorer.range(), most: explorer.max_entries() };
        loop {
            let wanted = explorer.wanted();
            if wanted.is_empty() {
                return Ok(Some(explorer.finish()));
            }
            let reads: Vec<_> = wanted.into_iter().map(|account| self.other(&look, account)).collect();
            let mut reads = futures::stream::iter(reads).buffered(AT_ONCE);
            while let Some((account, entries)) = reads.try_next().await? {
                explorer.add(account, &entries);
            }
        }
    }

    /// The entries of an account that is not the client's.
    async fn other(
        &self,
        look: &Look<'_>,
        account: risk::AccountId,
    ) -> Result<(risk::AccountId, Vec<Entry>), Error> {
        let id = AccountId::new(&account.to_string())
            .map_err(|_| Error::Answer { doing: "follow counterparty", field: "counterpartyAccount" })?;
        if let Some(onlookers) = &self.onlookers
            && !onlookers.knows(look.tenant, &id, look.client, &look.range_ms).await?
        {
            // One that is too busy is not followed, and as entries are never taken away it stays so: nobody has to be noted. Were they,
            // each entry of an account that all clients deal with would be news for all of them.
            let entries = self.entries_of(look, &id).await?;
            if entries.len() > look.most {
                return Ok((account, entries));
            }
            onlookers.note(look.tenant, &id, look.client, &look.range_ms).await?;
        }
        Ok((account, self.entries_of(look, &id).await?))
    }

    /// The entries of an account, or more than are wanted.
    async fn entries_of(&self, look: &Look<'_>, account: &AccountId) -> Result<Vec<Entry>, Error> {
        let Range { start, end } = look.range_ms;
        let mut pieces = pin!(self.upstream.entries(look.tenant, account, start, end).await?);
        let mut entries = Vec::new();
        while entries.len() <= look.most
            && let Some(piece) = pieces.try_next().await?
        {
            entries.extend(piece);
        }
        Ok(entries)
    }
}
