//! An account of a client.

use api::clients::v1::{AccountStatus, AccountType, PatchAccount};
use api::patch::unchangeable;
use riskmesh_core::{AccountId, ClientId, Currency, Error, Timestamp};

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

/// Every field that a patch may name, as in the proto.
const PATCHABLE: &[&str] = &["type", "status"];

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
    /// A new one, that nobody has been told of.
    pub(crate) fn new(
        id: AccountId,
        client: ClientId,
        currency: Currency,
        kind: i32,
        status: i32,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            client,
            currency,
            kind: kind_or_default(kind),
            status: status_or_default(status),
            created_at: now,
            updated_at: now,
            version: 1,
            pending: true,
            deleted: false,
        }
    }

    /// Applies the fields that `mask` names; no mask means every field that the patch sets.
    pub(crate) fn patch(&mut self, patch: &PatchAccount, mask: Option<&[String]>) -> Result<(), Error> {
        let (kind, status) = match mask {
            None => (patch.r#type != 0, patch.status != 0),
            Some([star]) if star == "*" => (true, true),
            Some(paths) => {
                if let Some(fixed) = paths.iter().find(|path| !PATCHABLE.contains(&path.as_str())) {
                    return Err(unchangeable(fixed, PATCHABLE));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_cannot_name_what_is_fixed() {
        let mut account = Account {
            id: AccountId::new("1234567890").unwrap(),
            client: ClientId::new("1").unwrap(),
            currency: Currency::EUR,
            kind: AccountType::Current,
            status: AccountStatus::Active,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            version: 1,
            pending: false,
            deleted: false,
        };
        let patch = PatchAccount { r#type: AccountType::Savings.into(), ..PatchAccount::default() };
        for (path, named) in [("account_id", "accountId"), ("currency", "currency")] {
            let error = account.patch(&patch, Some(&["type".into(), path.into()])).unwrap_err();
            assert_eq!(error.message, format!("Update mask names {named}, which cannot be changed"));
        }
        assert_eq!(account.kind, AccountType::Current);
        account.patch(&patch, Some(&["type".into()])).unwrap();
        assert_eq!(account.kind, AccountType::Savings);
    }
}
