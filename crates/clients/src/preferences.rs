//! Preferences of clients: a row each, sealed, and written through the cache.

use crate::error::{Doing as _, Error as ServiceError};
use crate::masters::Masters;
use crate::tables::CLIENT_PREFERENCES;
use api::clients::v1::Preferences as Message;
use api::etag::IfMatch;
use bytes::Bytes;
use cache::{Cache, CacheAside, Config, Loaded, Value};
use prost::Message as _;
use riskmesh_core::cipher::{ColumnCipher, Place};
use riskmesh_core::{ClientId, Clock, Error, TenantId, Timestamp};
use std::sync::Arc;
use store::race::Race;
use store::{Cas, Get, Outcome, Row, Store, upsert};

const READING: &str = "read preferences";
const WRITING: &str = "write preferences";

/// Reads and sets preferences.
#[derive(Clone)]
pub(crate) struct Preferences {
    masters: Masters,
    store: Arc<dyn Store>,
    cipher: ColumnCipher,
    cache: CacheAside<Kept>,
    clock: Arc<dyn Clock>,
}

/// Preferences as they are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) preferences: Message,
    /// Counts changes from 1; 0 where nothing was ever set. The ETag.
    pub(crate) version: i64,
    /// Which client they are of: one that was deleted and created again is another.
    client_since: i64,
}

impl Value for Kept {
    fn encode(&self) -> Bytes {
        let mut bytes = self.version.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.client_since.to_be_bytes());
        bytes.extend_from_slice(&self.preferences.encode_to_vec());
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (since, rest) = rest.split_first_chunk()?;
        let preferences = Message::decode(rest).ok()?;
        Some(Self {
            preferences,
            version: i64::from_be_bytes(*version),
            client_since: i64::from_be_bytes(*since),
        })
    }
}

impl Preferences {
    pub(crate) fn new(
        masters: Masters,
        store: Arc<dyn Store>,
        cipher: ColumnCipher,
        cache: Arc<dyn Cache>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // The chance of early refreshes needs no secrecy and no variety: any seed is as good as another.
        let cache = CacheAside::new(cache, clock.clone(), Config::new("client-preferences", 0x93ef));
        Self { masters, store, cipher, cache, clock }
    }

    /// The preferences of a client that is there; empty ones where it never set any.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &ClientId) -> Result<Kept, Error> {
        let client = self.masters.client(tenant, id).await?;
        let (this, owner, of) = (self.clone(), tenant.clone(), id.clone());
        let load = move || async move {
            let kept = this.read(&owner, &of).await?;
            Ok(Loaded { version: kept.version, value: kept })
        };
        let kept = self.cache.get_or_load(&key(tenant, id), load).await?;
        Ok(kept.of(id, client.created_at))
    }

    /// Sets all of a client's preferences.
    pub(crate) async fn put(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        preferences: Message,
        if_match: &IfMatch,
    ) -> Result<Kept, Error> {
        let client = self.masters.client(tenant, id).await?;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            let before = self.read(tenant, id).await?;
            let shown = before.clone().of(id, client.created_at);
            if_match.check(shown.version)?;
            let update_time = shown.preferences.update_time;
            let mut wanted = Message { client_id: id.to_string(), update_time, ..preferences.clone() };
            if wanted == shown.preferences && shown.version > 0 {
                return Ok(shown);
            }
            wanted.update_time = Some(api::time::to_proto(self.clock.now()));
            let after = Kept {
                preferences: wanted,
                version: before.version + 1,
                client_since: client.created_at.millis(),
            };
            // Before: whatever becomes of the write, what was there is not shown after it.
            self.cache.announce(&key(tenant, id), after.version).await;
            if self.write(tenant, id, before.version, &after).await? {
                let written = Loaded { version: after.version, value: after.clone() };
                self.cache.put(&key(tenant, id), written).await;
                return Ok(after);
            }
        }
        Err(ServiceError::Contended { doing: WRITING }.into())
    }

    async fn read(&self, tenant: &TenantId, id: &ClientId) -> Result<Kept, ServiceError> {
        let get = Get::row(&CLIENT_PREFERENCES, (tenant.as_str(), id.as_str()), ()).latest();
        match self.store.get(get).await.doing(READING)? {
            Some(row) => self.decode(tenant, id, &row),
            None => Ok(Kept { preferences: Message::default(), version: 0, client_since: 0 }),
        }
    }

    /// Writes what comes after version `before`; false where another one is there by now.
    async fn write(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        before: i64,
        after: &Kept,
    ) -> Result<bool, ServiceError> {
        let place = format!("{tenant}/{id}");
        let place = Place { table: CLIENT_PREFERENCES.name, key: &place, column: "content" };
        let content =
            self.cipher.seal(place, &after.preferences.encode_to_vec()).map_err(ServiceError::Seal)?;
        let cas = Cas::new(&CLIENT_PREFERENCES, (tenant.as_str(), id.as_str()));
        let cas = if before == 0 { cas.if_absent(()) } else { cas.if_equals((), "version", before) };
        let row = upsert(())
            .set("version", after.version)
            .set("content", content)
            .set("client_since", Timestamp(after.client_since));
        match self.store.cas(cas.with(row)).await.doing(WRITING)? {
            Outcome::Applied => Ok(true),
            Outcome::Conflict(_) => Ok(false),
            // The same content under the same version is as good as our own.
            Outcome::Unknown => Ok(self.read(tenant, id).await? == *after),
        }
    }

    fn decode(&self, tenant: &TenantId, id: &ClientId, row: &Row) -> Result<Kept, ServiceError> {
        let corrupt = |column| ServiceError::Corrupt { table: CLIENT_PREFERENCES.name, column };
        let place = format!("{tenant}/{id}");
        let place = Place { table: CLIENT_PREFERENCES.name, key: &place, column: "content" };
        let content = row.blob("content").doing(READING)?;
        let content = self.cipher.open(place, content).map_err(|_| corrupt("content"))?;
        Ok(Kept {
            preferences: Message::decode(content.as_slice()).map_err(|_| corrupt("content"))?,
            version: row.bigint("version").doing(READING)?,
            client_since: row.timestamp("client_since").doing(READING)?.millis(),
        })
    }
}

impl Kept {
    /// What is shown of a client that was created then: nothing that an earlier one of this id had.
    fn of(self, id: &ClientId, since: Timestamp) -> Self {
        if self.client_since == since.millis() {
            return self;
        }
        let preferences = Message { client_id: id.to_string(), ..Message::default() };
        Self { preferences, client_since: since.millis(), ..self }
    }
}

fn key(tenant: &TenantId, id: &ClientId) -> String {
    format!("{tenant}/{id}")
}
