//! Client rows: typed columns, personal data sealed.

use super::rows::{self, Came, Written};
use crate::domain::client::{Client, Profile};
use crate::error::{Doing as _, Error};
use crate::tables::CLIENTS;
use api::clients::v1::Address;
use prost::Message as _;
use riskmesh_core::cipher::{ColumnCipher, Place};
use riskmesh_core::{ClientId, TenantId};
use std::sync::Arc;
use store::{Cas, Get, Row, Store, Upsert, upsert};

const WRITING: &str = "write client";

/// Reads and writes client rows.
#[derive(Clone)]
pub(crate) struct Clients {
    store: Arc<dyn Store>,
    cipher: ColumnCipher,
}

impl Clients {
    pub(crate) fn new(store: Arc<dyn Store>, cipher: ColumnCipher) -> Self {
        Self { store, cipher }
    }

    /// The client's row, tombstones too.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &ClientId) -> Result<Option<Client>, Error> {
        self.read(self.store.get(key(tenant, id)).await.doing("read client")?.as_ref(), tenant)
    }

    /// The same by a serial read: what holds after a write whose outcome is unknown.
    pub(crate) async fn latest(&self, tenant: &TenantId, id: &ClientId) -> Result<Option<Client>, Error> {
        self.read(self.store.get(key(tenant, id).latest()).await.doing("read client")?.as_ref(), tenant)
    }

    /// Many rows; those that are missing or deleted are left out.
    pub(crate) async fn get_many(&self, tenant: &TenantId, ids: &[ClientId]) -> Result<Vec<Client>, Error> {
        let clients = self.find_many(tenant, ids.iter()).await?;
        Ok(clients.into_iter().flatten().filter(|client| !client.deleted).collect())
    }

    /// Many rows in the order of the ids, tombstones too.
    pub(crate) async fn find_many(
        &self,
        tenant: &TenantId,
        ids: impl Iterator<Item = &ClientId>,
    ) -> Result<Vec<Option<Client>>, Error> {
        let gets = ids.map(|id| key(tenant, id)).collect();
        let rows = self.store.get_many(gets).await.doing("read clients")?;
        rows.iter().map(|row| self.read(row.as_ref(), tenant)).collect()
    }

    /// Inserts clients whose ids were never used.
    pub(crate) async fn insert(
        &self,
        tenant: &TenantId,
        clients: &[Client],
    ) -> Result<Vec<Written<Client>>, Error> {
        let writes = clients.iter().map(|client| {
            let cas = Cas::new(&CLIENTS, (tenant.as_str(), client.id.as_str())).if_absent(());
            Ok::<_, Error>(cas.with(self.columns(tenant, client)?))
        });
        let key = |at: usize| key(tenant, &clients[at].id);
        let came = rows::write(&*self.store, WRITING, writes.collect::<Result<_, _>>()?, key).await?;
        came.into_iter().zip(clients).map(|(came, client)| self.written(tenant, &came, client)).collect()
    }

    /// Replaces the row if it still has version `expected`.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        client: &Client,
        expected: i64,
    ) -> Result<Written<Client>, Error> {
        let cas = Cas::new(&CLIENTS, (tenant.as_str(), client.id.as_str()))
            .if_equals((), "version", expected)
            .with(self.columns(tenant, client)?);
        let came = rows::write(&*self.store, WRITING, vec![cas], |_| key(tenant, &client.id)).await?.pop();
        self.written(tenant, &came.ok_or(Error::Contended { doing: WRITING })?, client)
    }

    fn written(&self, tenant: &TenantId, came: &Came, client: &Client) -> Result<Written<Client>, Error> {
        let there = self.read(came.row(), tenant)?;
        Ok(Written::of(came, client, there))
    }

    /// Marks the last changes as told, where they still are the last ones.
    pub(crate) async fn told(&self, tenant: &TenantId, clients: &[Client]) -> Result<(), Error> {
        let changes =
            clients.iter().map(|client| ((tenant.as_str(), client.id.as_str()).into(), client.version));
        rows::told(&*self.store, "mark clients as told", &CLIENTS, changes).await
    }

    fn columns(&self, tenant: &TenantId, client: &Client) -> Result<Upsert, Error> {
        let place = format!("{tenant}/{}", client.id);
        let seal = |column, plain: &[u8]| {
            self.cipher.seal(Place { table: CLIENTS.name, key: &place, column }, plain).map_err(Error::Seal)
        };
        let profile = &client.profile;
        let text = |value: &String| (!value.is_empty()).then(|| value.clone());
        let address =
            client.address.as_ref().map(|address| seal("address", &address.encode_to_vec())).transpose()?;
        let name = if profile.name.is_empty() { None } else { Some(seal("name", profile.name.as_bytes())?) };
        Ok(upsert(())
            .set("version", client.version)
            .set("ordinal", client.ordinal.cast_signed())
            .set("pending", client.pending.then_some(true))
            .set("deleted", client.deleted.then_some(true))
            .set("name", name)
            .set("address", address)
            .set("type", i32::from(profile.kind))
            .set("status", i32::from(profile.status))
            .set("residence_country", text(&profile.residence_country))
            .set("nationality", text(&profile.nationality))
            .set("incorporation_country", text(&profile.incorporation_country))
            .set("industry", text(&profile.industry))
            .set("ownership_layers", profile.ownership_layers)
            .set("onboarded_on", text(&profile.onboarded_on))
            .set("reviewed_on", text(&profile.reviewed_on))
            .set("created_at", client.created_at)
            .set("updated_at", client.updated_at))
    }

    fn read(&self, row: Option<&Row>, tenant: &TenantId) -> Result<Option<Client>, Error> {
        let Some(row) = row else { return Ok(None) };
        let corrupt = |column| Error::Corrupt { table: CLIENTS.name, column };
        let id =
            ClientId::new(row.text("client_id").doing("read client")?).map_err(|_| corrupt("client_id"))?;
        let place = format!("{tenant}/{id}");
        let open = |column: &'static str| -> Result<Option<Vec<u8>>, Error> {
            let Some(sealed) = row.blob_opt(column).doing("read client")? else { return Ok(None) };
            let plain = self.cipher.open(Place { table: CLIENTS.name, key: &place, column }, sealed);
            plain.map(Some).map_err(|_| corrupt(column))
        };
        let text = |column: &'static str| -> Result<String, Error> {
            Ok(row.text_opt(column).doing("read client")?.unwrap_or_default().to_owned())
        };
        let address = open("address")?
            .map(|bytes| Address::decode(bytes.as_slice()).map_err(|_| corrupt("address")))
            .transpose()?;
        Ok(Some(Client {
            profile: Profile {
                name: String::from_utf8(open("name")?.unwrap_or_default()).map_err(|_| corrupt("name"))?,
                kind: Profile::kind_or_default(row.int("type").doing("read client")?),
                status: Profile::status_or_default(row.int("status").doing("read client")?),
                residence_country: text("residence_country")?,
                nationality: text("nationality")?,
                incorporation_country: text("incorporation_country")?,
                industry: text("industry")?,
                ownership_layers: row.int_opt("ownership_layers").doing("read client")?,
                onboarded_on: text("onboarded_on")?,
                reviewed_on: text("reviewed_on")?,
            },
            id,
            address,
            created_at: row.timestamp("created_at").doing("read client")?,
            updated_at: row.timestamp("updated_at").doing("read client")?,
            version: row.bigint("version").doing("read client")?,
            ordinal: row.bigint("ordinal").doing("read client")?.cast_unsigned(),
            pending: row.boolean_opt("pending").doing("read client")?.unwrap_or(false),
            deleted: row.boolean_opt("deleted").doing("read client")?.unwrap_or(false),
        }))
    }
}

fn key(tenant: &TenantId, id: &ClientId) -> Get {
    Get::row(&CLIENTS, (tenant.as_str(), id.as_str()), ())
}
