//! A portfolio, and how a patch changes it.

use api::patch::{patched, unchangeable};
use api::portfolios::v1::{PatchPortfolio, Portfolio as Message};
use riskmesh_core::{ClientId, Currency, Detail, Error, PortfolioId, Timestamp};

/// A portfolio as it stands, with what the store keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Portfolio {
    pub(crate) id: PortfolioId,
    pub(crate) name: String,
    pub(crate) base: Currency,
    pub(crate) client: Option<ClientId>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Counts changes from 1; the ETag.
    pub(crate) version: i64,
    /// The place in the order of creation.
    pub(crate) ordinal: u64,
    /// A tombstone.
    pub(crate) deleted: bool,
}

/// Every field that a patch may name, as in the proto.
const PATCHABLE: &[&str] = &["name", "client_id"];

impl Portfolio {
    /// A new one, as the caller wants it.
    pub(crate) fn read(message: Message, now: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            id: PortfolioId::new(&message.portfolio_id).map_err(|error| error.of("portfolioId"))?,
            name: name(message.name)?,
            base: Currency::named("baseCurrency", &message.base_currency)?,
            client: client(&message.client_id)?,
            created_at: now,
            updated_at: now,
            version: 1,
            ordinal: 0,
            deleted: false,
        })
    }

    /// Applies the fields that `mask` names; no mask means every field that the patch sets, `*` all of them.
    pub(crate) fn patch(&mut self, patch: &PatchPortfolio, mask: Option<&[String]>) -> Result<(), Error> {
        for path in patched(mask, PATCHABLE, || set_fields(patch)) {
            match path {
                "name" => self.name = name(patch.name.clone())?,
                "client_id" => self.client = client(&patch.client_id)?,
                other => return Err(unchangeable(other, PATCHABLE)),
            }
        }
        Ok(())
    }

    /// As the contract has it.
    pub(crate) fn message(&self) -> Message {
        Message {
            portfolio_id: self.id.to_string(),
            name: self.name.clone(),
            base_currency: self.base.code().to_owned(),
            client_id: self.client.as_ref().map(ToString::to_string).unwrap_or_default(),
            create_time: Some(api::time::to_proto(self.created_at)),
            update_time: Some(api::time::to_proto(self.updated_at)),
        }
    }
}

fn set_fields(patch: &PatchPortfolio) -> Vec<&'static str> {
    let texts = [("name", &patch.name), ("client_id", &patch.client_id)];
    texts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect()
}

fn name(name: String) -> Result<String, Error> {
    if name.trim().is_empty() {
        return Err(Error::invalid(Detail::expected("name", "must not be blank", "1 to 200 characters")));
    }
    Ok(name)
}

fn client(id: &str) -> Result<Option<ClientId>, Error> {
    let client = (!id.is_empty()).then(|| ClientId::new(id)).transpose();
    client.map_err(|error| error.of("clientId"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let sent = Message {
            portfolio_id: "p".into(),
            name: "A".into(),
            base_currency: "EUR".into(),
            client_id: "7".into(),
            ..Message::default()
        };
        let before = Portfolio::read(sent, Timestamp(0)).unwrap();
        let patched = |patch: PatchPortfolio, mask: Option<&[&str]>| {
            let mut after = before.clone();
            let mask: Option<Vec<String>> = mask.map(|mask| mask.iter().map(ToString::to_string).collect());
            after
                .patch(&patch, mask.as_deref())
                .map(|()| (after.name.clone(), after.client.map(|id| id.to_string())))
        };
        let named = || PatchPortfolio { name: "B".into(), ..PatchPortfolio::default() };
        let seven = Some("7".to_owned());
        assert_eq!(patched(named(), None).unwrap(), ("B".into(), seven.clone()));
        assert_eq!(patched(named(), Some(&["client_id"])).unwrap(), ("A".into(), None));
        assert_eq!(patched(named(), Some(&["*"])).unwrap(), ("B".into(), None));
        assert_eq!(patched(PatchPortfolio::default(), None).unwrap(), ("A".into(), seven));
        assert!(patched(PatchPortfolio::default(), Some(&["name"])).is_err(), "a name cannot be cleared");
        assert!(patched(named(), Some(&["base_currency"])).is_err());
    }
}
