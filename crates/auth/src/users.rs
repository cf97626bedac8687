//! Users: each operation reads, decides, and writes on the version it read; whoever loses a race reads again.

use crate::domain::user::{Private, User, display_name};
use crate::error::Error as ServiceError;
use crate::password::{Hash, Hashing};
use crate::repo::users::{Users as Rows, Written};
use api::etag::IfMatch;
use api::users::v1::{NewUser, PatchUser, UserStatus};
use async_trait::async_trait;
use bus::{Outbox, Outgoing, PendingSource, Pointer};
use riskmesh_core::{Clock, Detail, Error, ErrorCode, TenantId, UserId};
use std::sync::Arc;
use store::list::{Listed, Start};
use store::race::Race;

/// The kind of the outbox pointers: there is nothing to tell, but a list to be brought in line with a row.
const USER: &str = "auth.user";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads and maintains users.
#[derive(Clone)]
pub(crate) struct Users {
    pub(crate) rows: Rows,
    pub(crate) outbox: Outbox,
    pub(crate) hashing: Hashing,
    pub(crate) clock: Arc<dyn Clock>,
}

fn not_found(id: &UserId) -> Error {
    Error::not_found(ErrorCode::UserNotFound, "userId", id.as_str())
}

impl Users {
    /// A new user, whose name was never used in the tenant.
    pub(crate) async fn create(&self, tenant: &TenantId, wanted: NewUser) -> Result<User, Error> {
        let taken = || {
            let taken = Error::new(ErrorCode::AlreadyExists).message("The user name is taken");
            taken.detail(Detail::new("userName", "is taken"))
        };
        let role = wanted.role();
        let id = self.rows.id(tenant, &wanted.user_name)?;
        // A hash is dear: not for a name that is taken already.
        if self.rows.get(tenant, &id).await?.is_some() {
            return Err(taken());
        }
        let password = self.hashing.hash(wanted.password).await?;
        let pointer = self.outbox.intend(vec![Pointer::new(USER, format!("{tenant}\n{id}"))]).await;
        let pointer = pointer.map_err(ServiceError::Outbox)?;
        let now = self.clock.now();
        let name = Private(wanted.user_name);
        let user = User {
            id,
            display_name: display_name(&wanted.display_name, &name),
            name,
            role,
            status: UserStatus::Active,
            password,
            created_at: now,
            updated_at: now,
            version: 1,
            ordinal: self.rows.reserve(tenant).await?,
        };
        let written = self.rows.insert(tenant, &user).await?;
        if let Written::Applied = written {
            self.rows.place(tenant, &user).await?;
        }
        if let Err(error) = self.outbox.settle(pointer).await {
            tracing::warn!(%error, "outbox pointer left to the relay");
        }
        match written {
            Written::Applied => Ok(user),
            Written::Lost(_) => Err(taken()),
        }
    }

    /// The user with this id.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &UserId) -> Result<User, Error> {
        self.rows.get(tenant, id).await?.ok_or_else(|| not_found(id))
    }

    /// The user with this name.
    pub(crate) async fn find(&self, tenant: &TenantId, name: &str) -> Result<Option<User>, Error> {
        Ok(self.rows.get(tenant, &self.rows.id(tenant, name)?).await?)
    }

    /// A page of users in the order of their creation.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<User>, Error> {
        Ok(self.rows.page(tenant, start, limit).await?)
    }

    /// Changes a user.
    pub(crate) async fn update(
        &self,
        tenant: &TenantId,
        id: &UserId,
        patch: &PatchUser,
        mask: Option<&[String]>,
        if_match: &IfMatch,
    ) -> Result<User, Error> {
        self.change(tenant, id, |user| {
            if_match.check(user.version)?;
            user.patch(patch, mask)
        })
        .await
    }

    /// Gives a user another password.
    pub(crate) async fn set_password(
        &self,
        tenant: &TenantId,
        id: &UserId,
        password: String,
    ) -> Result<(), Error> {
        // A hash is dear: not for a user who is not there.
        self.get(tenant, id).await?;
        let hash: Hash = self.hashing.hash(password).await?;
        let changed = self.change(tenant, id, |user| {
            user.password = hash.clone();
            Ok(())
        });
        changed.await.map(drop)
    }

    async fn change(
        &self,
        tenant: &TenantId,
        id: &UserId,
        change: impl Fn(&mut User) -> Result<(), Error>,
    ) -> Result<User, Error> {
        let mut before = self.get(tenant, id).await?;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            let mut after = before.clone();
            change(&mut after)?;
            if after == before {
                return Ok(before);
            }
            after.version = before.version + 1;
            after.updated_at = self.clock.now();
            match self.rows.replace(tenant, &after, before.version).await? {
                Written::Applied => return Ok(after),
                Written::Lost(now) => before = *now.ok_or_else(|| not_found(id))?,
            }
        }
        Err(ServiceError::Contended { doing: "change user" }.into())
    }
}

/// For the relay: a user whose creation was cut off is put on the list.
#[async_trait]
impl PendingSource for Users {
    fn kind(&self) -> &'static str {
        USER
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        let (tenant, id) = std::str::from_utf8(reference)?.split_once('\n').ok_or("reference of a user")?;
        let (tenant, id) = (TenantId::new(tenant)?, UserId::new(id)?);
        if let Some(user) = self.rows.latest(&tenant, &id).await? {
            self.rows.place(&tenant, &user).await?;
        }
        Ok(Vec::new())
    }

    async fn clear(&self, _: &[u8], _: &[Outgoing]) -> Result<(), Failure> {
        Ok(())
    }
}
