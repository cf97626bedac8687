//! A user, and how a patch changes one.

use crate::password::Hash;
use api::patch::{patched, unchangeable};
use api::users::v1::{PatchUser, User as Message, UserRole, UserStatus};
use riskmesh_core::{Error, Timestamp, UserId};
use std::fmt;

/// A user as it stands, with what the store keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: Private,
    pub(crate) display_name: Private,
    pub(crate) role: UserRole,
    pub(crate) status: UserStatus,
    pub(crate) password: Hash,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Counts changes from 1; the ETag.
    pub(crate) version: i64,
    /// The place in the order of creation.
    pub(crate) ordinal: u64,
}

/// A personal datum: no log shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Private(pub(crate) String);

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(…)")
    }
}

/// Every field that a patch may name, as in the proto.
const PATCHABLE: &[&str] = &["display_name", "role", "status"];

impl User {
    /// Applies the fields that `mask` names; no mask means every field that the patch sets, `*` all of them.
    pub(crate) fn patch(&mut self, patch: &PatchUser, mask: Option<&[String]>) -> Result<(), Error> {
        for path in patched(mask, PATCHABLE, || set_fields(patch)) {
            match path {
                "display_name" => self.display_name = display_name(&patch.display_name, &self.name),
                "role" if patch.role() != UserRole::Unspecified => self.role = patch.role(),
                "status" if patch.status() != UserStatus::Unspecified => self.status = patch.status(),
                "role" => return Err(api::spelling::required::<UserRole>("role")),
                "status" => return Err(api::spelling::required::<UserStatus>("status")),
                other => return Err(unchangeable(other, PATCHABLE)),
            }
        }
        Ok(())
    }

    /// As the contract has it.
    pub(crate) fn message(&self) -> Message {
        Message {
            user_id: self.id.to_string(),
            user_name: self.name.0.clone(),
            display_name: self.display_name.0.clone(),
            role: self.role.into(),
            status: self.status.into(),
            create_time: Some(api::time::to_proto(self.created_at)),
            update_time: Some(api::time::to_proto(self.updated_at)),
        }
    }
}

/// What others see: the name to log in with where nothing else is said.
pub(crate) fn display_name(text: &str, name: &Private) -> Private {
    if text.trim().is_empty() { name.clone() } else { Private(text.to_owned()) }
}

fn set_fields(patch: &PatchUser) -> Vec<&'static str> {
    let set = [
        ("display_name", !patch.display_name.is_empty()),
        ("role", patch.role() != UserRole::Unspecified),
        ("status", patch.status() != UserStatus::Unspecified),
    ];
    set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ada() -> User {
        User {
            id: UserId::new(&"0f".repeat(16)).unwrap(),
            name: Private("ada".into()),
            display_name: Private("Ada".into()),
            role: UserRole::Analyst,
            status: UserStatus::Active,
            password: Hash::of("correct horse battery").unwrap(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            version: 1,
            ordinal: 0,
        }
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let before = ada();
        let patched = |patch: PatchUser, mask: Option<&[&str]>| {
            let mut after = before.clone();
            let mask: Option<Vec<String>> = mask.map(|mask| mask.iter().map(ToString::to_string).collect());
            after.patch(&patch, mask.as_deref()).map(|()| (after.display_name.0, after.role, after.status))
        };
        let role = || PatchUser { role: UserRole::Auditor.into(), ..PatchUser::default() };
        let status = |patch: PatchUser| PatchUser { status: UserStatus::Disabled.into(), ..patch };
        assert_eq!(patched(role(), None).unwrap(), ("Ada".into(), UserRole::Auditor, UserStatus::Active));
        assert_eq!(
            patched(status(role()), Some(&["status"])).unwrap(),
            ("Ada".into(), UserRole::Analyst, UserStatus::Disabled)
        );
        assert_eq!(
            patched(status(role()), Some(&["*"])).unwrap(),
            ("ada".into(), UserRole::Auditor, UserStatus::Disabled)
        );
        assert!(patched(PatchUser::default(), Some(&["role"])).is_err(), "a role cannot be taken away");
        assert!(patched(role(), Some(&["user_name"])).is_err(), "a name stays");
    }

    #[test]
    fn what_is_personal_or_secret_is_not_in_the_debug_text() {
        let text = format!("{:?}", ada());
        assert!(!text.contains("ada") && !text.contains("Ada") && !text.contains("argon2"), "{text}");
    }
}
