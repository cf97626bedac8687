//! A client of a tenant, and how a patch changes it.

use api::clients::v1::{Address, ClientStatus, ClientType, PatchClient};
use api::patch::{patched, unchangeable};
use riskmesh_core::{ClientId, Detail, Error, Timestamp};

/// A client as it stands, with what the store keeps beside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) profile: Profile,
    pub(crate) address: Option<Address>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Counts changes from 1; the ETag.
    pub(crate) version: i64,
    /// The place in the order of creation.
    pub(crate) ordinal: u64,
    /// Whether an event or a list does not know of the last change yet.
    pub(crate) pending: bool,
    /// A tombstone.
    pub(crate) deleted: bool,
}

impl Client {
    /// A new one, that nobody has been told of.
    pub(crate) fn new(id: ClientId, profile: Profile, ordinal: u64, now: Timestamp) -> Self {
        Self {
            id,
            profile,
            address: None,
            created_at: now,
            updated_at: now,
            version: 1,
            ordinal,
            pending: true,
            deleted: false,
        }
    }
}

/// What callers may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) kind: ClientType,
    pub(crate) status: ClientStatus,
    pub(crate) residence_country: String,
    pub(crate) nationality: String,
    pub(crate) incorporation_country: String,
    pub(crate) industry: String,
    pub(crate) ownership_layers: Option<i32>,
    pub(crate) onboarded_on: String,
    pub(crate) reviewed_on: String,
}

/// Every field that a patch may name, as in the proto.
const PATCHABLE: &[&str] = &[
    "name",
    "type",
    "status",
    "residence_country",
    "nationality",
    "incorporation_country",
    "industry",
    "ownership_layers",
    "onboarded_on",
    "reviewed_on",
];

impl Profile {
    /// A profile that says nothing.
    pub(crate) fn empty(kind: ClientType, status: ClientStatus) -> Self {
        Self {
            name: String::new(),
            kind,
            status,
            residence_country: String::new(),
            nationality: String::new(),
            incorporation_country: String::new(),
            industry: String::new(),
            ownership_layers: None,
            onboarded_on: String::new(),
            reviewed_on: String::new(),
        }
    }

    /// The type where the caller names none is an individual, the status active.
    pub(crate) fn kind_or_default(value: i32) -> ClientType {
        match ClientType::try_from(value) {
            Ok(ClientType::Unspecified) | Err(_) => ClientType::Individual,
            Ok(kind) => kind,
        }
    }

    /// See [`Profile::kind_or_default`].
    pub(crate) fn status_or_default(value: i32) -> ClientStatus {
        match ClientStatus::try_from(value) {
            Ok(ClientStatus::Unspecified) | Err(_) => ClientStatus::Active,
            Ok(status) => status,
        }
    }

    /// Applies the fields that `mask` names; no mask means every field that the patch sets, `*` all of them.
    pub(crate) fn patch(&mut self, patch: &PatchClient, mask: Option<&[String]>) -> Result<(), Error> {
        for path in patched(mask, PATCHABLE, || set_fields(patch)) {
            match path {
                "name" if patch.name.trim().is_empty() => {
                    return Err(Error::invalid(Detail::expected(
                        "name",
                        "must not be empty",
                        "1 to 200 characters",
                    )));
                }
                "name" => self.name.clone_from(&patch.name),
                "type" => self.kind = Self::kind_or_default(patch.r#type),
                "status" => self.status = Self::status_or_default(patch.status),
                "residence_country" => self.residence_country.clone_from(&patch.residence_country),
                "nationality" => self.nationality.clone_from(&patch.nationality),
                "incorporation_country" => {
                    self.incorporation_country.clone_from(&patch.incorporation_country);
                }
                "industry" => self.industry.clone_from(&patch.industry),
                "ownership_layers" => self.ownership_layers = patch.ownership_layers,
                "onboarded_on" => self.onboarded_on.clone_from(&patch.onboarded_on),
                "reviewed_on" => self.reviewed_on.clone_from(&patch.reviewed_on),
                fixed => return Err(unchangeable(fixed, PATCHABLE)),
            }
        }
        Ok(())
    }
}

fn set_fields(patch: &PatchClient) -> Vec<&'static str> {
    let texts = [
        ("name", &patch.name),
        ("residence_country", &patch.residence_country),
        ("nationality", &patch.nationality),
        ("incorporation_country", &patch.incorporation_country),
        ("industry", &patch.industry),
        ("onboarded_on", &patch.onboarded_on),
        ("reviewed_on", &patch.reviewed_on),
    ];
    let enums = [("type", patch.r#type), ("status", patch.status)];
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    let enums = enums.into_iter().filter(|(_, value)| *value != 0).map(|(name, _)| name);
    let layers = patch.ownership_layers.map(|_| "ownership_layers");
    texts.chain(enums).chain(layers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let empty = Profile::empty(ClientType::Individual, ClientStatus::Active);
        Profile { name: "Ada".into(), residence_country: "IE".into(), ..empty }
    }

    #[test]
    fn a_mask_can_clear_what_an_unmasked_patch_leaves() {
        let patch = PatchClient { name: "Eve".into(), ..PatchClient::default() };
        let mut unmasked = profile();
        unmasked.patch(&patch, None).unwrap();
        assert_eq!((unmasked.name.as_str(), unmasked.residence_country.as_str()), ("Eve", "IE"));
        let mut masked = profile();
        masked.patch(&patch, Some(&["residence_country".into()])).unwrap();
        assert_eq!((masked.name.as_str(), masked.residence_country.as_str()), ("Ada", ""));
    }

    #[test]
    fn a_mask_cannot_name_what_is_fixed_nor_empty_the_name() {
        let patch = PatchClient::default();
        for (path, named) in [("create_time", "createTime"), ("client_id", "clientId"), ("bogus", "bogus")] {
            let error = profile().patch(&patch, Some(&[path.into()])).unwrap_err();
            assert_eq!(error.message, format!("Update mask names {named}, which cannot be changed"));
            assert!(error.details[0].expected.contains("residenceCountry"));
        }
        assert!(profile().patch(&patch, Some(&["name".into()])).is_err());
        assert!(profile().patch(&patch, Some(&["*".into()])).is_err(), "a full replacement needs a name");
    }
}
