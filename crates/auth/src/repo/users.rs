//! User rows, and the list of them in the order of creation.

use crate::domain::user::{Private, User};
use crate::error::{Doing as _, Error};
use crate::password::Hash;
use crate::tables::USERS;
use api::users::v1::{UserRole, UserStatus};
use riskmesh_core::cipher::{ColumnCipher, Place};
use riskmesh_core::{TenantId, UserId};
use std::sync::Arc;
use store::list::{ENTRIES, List, Listed, Lists, Ordinal, Start};
use store::{Cas, Get, Outcome, Row, Store, Upsert, upsert};

const WRITING: &str = "write user";
const READING: &str = "read user";

/// Reads and writes users.
#[derive(Clone)]
pub(crate) struct Users {
    store: Arc<dyn Store>,
    lists: Lists,
    cipher: ColumnCipher,
}

/// What became of a conditional write.
pub(crate) enum Written {
    /// It is in the store.
    Applied,
    /// Something else is there; this.
    Lost(Option<Box<User>>),
}

impl Users {
    pub(crate) fn new(store: Arc<dyn Store>, lists: Lists, cipher: ColumnCipher) -> Self {
        Self { store, lists, cipher }
    }

    /// The id of whoever has this name in the tenant, or will have it.
    pub(crate) fn id(&self, tenant: &TenantId, name: &str) -> Result<UserId, Error> {
        let index = self.cipher.index(USERS.name, "user_name", format!("{tenant}\n{name}").as_bytes());
        UserId::new(&hex::encode(index)).map_err(|_| corrupt("user_id"))
    }

    /// The user's row.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &UserId) -> Result<Option<User>, Error> {
        let row = self.store.get(key(tenant, id)).await.doing(READING)?;
        row.map(|row| self.read(tenant, &row)).transpose()
    }

    /// The same by a serial read.
    pub(crate) async fn latest(&self, tenant: &TenantId, id: &UserId) -> Result<Option<User>, Error> {
        let row = self.store.get(key(tenant, id).latest()).await.doing(READING)?;
        row.map(|row| self.read(tenant, &row)).transpose()
    }

    /// A place in the order of creation that nobody else gets.
    pub(crate) async fn reserve(&self, tenant: &TenantId) -> Result<u64, Error> {
        Ok(self.lists.reserve(&list(tenant)).await.doing("reserve place in user list")?.0)
    }

    /// Puts a user on the list. Doing it again changes nothing.
    pub(crate) async fn place(&self, tenant: &TenantId, user: &User) -> Result<(), Error> {
        let placed = self.lists.insert(&list(tenant), Ordinal(user.ordinal), user.id.as_str()).await;
        placed.doing("write user list")
    }

    /// Inserts a user whose name was never used.
    pub(crate) async fn insert(&self, tenant: &TenantId, user: &User) -> Result<Written, Error> {
        self.write(tenant, Cas::new(&USERS, partition(tenant, &user.id)).if_absent(()), user).await
    }

    /// Replaces the row if it still has version `expected`.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        user: &User,
        expected: i64,
    ) -> Result<Written, Error> {
        let cas = Cas::new(&USERS, partition(tenant, &user.id)).if_equals((), "version", expected);
        self.write(tenant, cas, user).await
    }

    async fn write(&self, tenant: &TenantId, cas: Cas, user: &User) -> Result<Written, Error> {
        let cas = cas.with(self.columns(tenant, user)?);
        let there = match self.store.cas(cas).await.doing(WRITING)? {
            Outcome::Applied => return Ok(Written::Applied),
            Outcome::Conflict(current) => current.row(()).map(|row| self.read(tenant, row)).transpose()?,
            // No two writes are alike: the salt is another one, or the version.
            Outcome::Unknown => match self.latest(tenant, &user.id).await? {
                Some(there) if there == *user => return Ok(Written::Applied),
                there => there,
            },
        };
        Ok(Written::Lost(there.map(Box::new)))
    }

    /// A page of the list.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<User>, Error> {
        let page = self.lists.page(&list(tenant), start, limit).await.doing("read user list")?;
        let corrupt = |_| Error::Corrupt { table: ENTRIES.name, column: "member" };
        let ids = page.items.iter().map(|member| UserId::new(member.as_str()).map_err(corrupt));
        let gets = ids.map(|id| Ok(key(tenant, &id?))).collect::<Result<_, Error>>()?;
        let rows = self.store.get_many(gets).await.doing(READING)?;
        let users = rows.iter().flatten().map(|row| self.read(tenant, row)).collect::<Result<_, _>>()?;
        Ok(page.with(users))
    }

    fn columns(&self, tenant: &TenantId, user: &User) -> Result<Upsert, Error> {
        let key = format!("{tenant}/{}", user.id);
        let seal = |column, plain: &str| {
            let place = Place { table: USERS.name, key: &key, column };
            self.cipher.seal(place, plain.as_bytes()).map_err(Error::Seal)
        };
        Ok(upsert(())
            .set("version", user.version)
            .set("ordinal", user.ordinal.cast_signed())
            .set("user_name", seal("user_name", &user.name.0)?)
            .set("display_name", seal("display_name", &user.display_name.0)?)
            .set("role", i32::from(user.role))
            .set("status", i32::from(user.status))
            .set("password", seal("password", user.password.as_str())?)
            .set("created_at", user.created_at)
            .set("updated_at", user.updated_at))
    }

    fn read(&self, tenant: &TenantId, row: &Row) -> Result<User, Error> {
        let id = row.text("user_id").doing(READING)?;
        let key = format!("{tenant}/{id}");
        let open = |column: &'static str| {
            let place = Place { table: USERS.name, key: &key, column };
            let plain = self.cipher.open(place, row.blob(column).doing(READING)?);
            String::from_utf8(plain.map_err(|_| corrupt(column))?).map_err(|_| corrupt(column))
        };
        Ok(User {
            id: UserId::new(id).map_err(|_| corrupt("user_id"))?,
            name: Private(open("user_name")?),
            display_name: Private(open("display_name")?),
            role: UserRole::try_from(row.int("role").doing(READING)?).map_err(|_| corrupt("role"))?,
            status: UserStatus::try_from(row.int("status").doing(READING)?).map_err(|_| corrupt("status"))?,
            password: Hash::parse(open("password")?).ok_or_else(|| corrupt("password"))?,
            created_at: row.timestamp("created_at").doing(READING)?,
            updated_at: row.timestamp("updated_at").doing(READING)?,
            version: row.bigint("version").doing(READING)?,
            ordinal: row.bigint("ordinal").doing(READING)?.cast_unsigned(),
        })
    }
}

fn corrupt(column: &'static str) -> Error {
    Error::Corrupt { table: USERS.name, column }
}

fn partition<'a>(tenant: &'a TenantId, id: &'a UserId) -> (&'a str, &'a str) {
    (tenant.as_str(), id.as_str())
}

fn key(tenant: &TenantId, id: &UserId) -> Get {
    Get::row(&USERS, partition(tenant, id), ())
}

fn list(tenant: &TenantId) -> List {
    List::new(tenant.as_str(), "users")
}
