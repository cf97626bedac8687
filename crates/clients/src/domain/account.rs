//! An account of a client.

use api::clients::v1::{AccountStatus, AccountType, PatchAccount};
use riskmesh_core::{AccountId, ClientId, Currency, Detail, Error, Timestamp};

/// An account as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) client: ClientId,
    pub(crate) currency: Currency,
    pub(crate) kind: AccountType,
    pub(crate) status: AccountStatus,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Counts changes from 1; the ETag.
    pub(crate) version: i64,
    /// Whether the client's list does not know of the last change yet.
    pub(crate) pending: bool,
    /// A tombstone.
    pub(crate) deleted: bool,
}

/// The type where the caller names none.
pub(crate) fn kind_or_default(value: i32) -> AccountType {
    match AccountType::try_from(value) {
        Ok(AccountType::Unspecified) | Err(_) => AccountType::Current,
        Ok(kind) => kind,
    }
}

/// The status where the caller names none.
pub(crate) fn status_or_default(value: i32) -> AccountStatus {
    match AccountStatus::try_from(value) {
        Ok(AccountStatus::Unspecified) | Err(_) => AccountStatus::Active,
        Ok(status) => status,
    }
}

impl Account {
    /// Applies the fields that `mask` names; no mask means every field that the patch sets.
    pub(crate) fn patch(&mut self, patch: &PatchAccount, mask: Option<&[String]>) -> Result<(), Error> {
        let (kind, status) = match mask {
            None => (patch.r#type != 0, patch.status != 0),
            Some([star]) if star == "*" => (true, true),
            Some(paths) => {
                if paths.iter().any(|path| !matches!(path.as_str(), "type" | "status" | "account_id")) {
                    return Err(Error::invalid(Detail::expected(
                        "updateMask",
                        "names a field that cannot be changed",
                        "type, status",
                    )));
                }
                let named = |name: &str| paths.iter().any(|path| path == name);
                (named("type"), named("status"))
            }
        };
        if kind {
            self.kind = kind_or_default(patch.r#type);
        }
        if status {
            self.status = status_or_default(patch.status);
        }
        Ok(())
    }
}
