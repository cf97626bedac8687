//! What is known of a client apart from its transactions, as the risk maths takes it.

use api::clients::v1::{Account, AccountStatus, AccountType, Client, ClientType};
use risk::{ClientProfile, Country, Industry};
use riskmesh_core::Timestamp;

/// Reads a client with its accounts. What is not known stays unknown; it is never taken for harmless.
pub(crate) fn read(client: &Client, accounts: &[Account]) -> ClientProfile {
    ClientProfile {
        client_type: match client.r#type() {
            ClientType::Individual => Some(risk::ClientType::Individual),
            ClientType::Company => Some(risk::ClientType::Company),
            ClientType::Unspecified => None,
        },
        residence: Country::new(&client.residence_country).ok(),
        nationality: Country::new(&client.nationality).ok(),
        incorporation: Country::new(&client.incorporation_country).ok(),
        industry: Industry::new(&client.industry).ok(),
        ownership_layers: client.ownership_layers.and_then(|layers| u8::try_from(layers).ok()),
        private_banking: (!accounts.is_empty()).then(|| accounts.iter().any(is_private)),
        onboarded_at_ms: date_ms(&client.onboarded_on),
        last_reviewed_at_ms: date_ms(&client.reviewed_on),
    }
}

/// The instant for which a client without transactions is scored: its last change, the newest thing known of it. It comes from the
/// client itself, so the same client gives the same score whenever it is computed.
pub(crate) fn known_at(client: &Client) -> Timestamp {
    let at = client.update_time.as_ref().or(client.create_time.as_ref());
    at.map_or(Timestamp(0), api::time::from_proto)
}

fn is_private(account: &Account) -> bool {
    account.r#type() == AccountType::Private && account.status() != AccountStatus::Closed
}

fn date_ms(date: &str) -> Option<i64> {
    risk::Day::parse(date).ok().map(risk::Day::start_ms)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_empty_is_unknown() {
        assert_eq!(read(&Client::default(), &[]), ClientProfile::default());
        assert_eq!(known_at(&Client::default()), Timestamp(0));
    }

    #[test]
    fn every_field_arrives() {
        let client = Client {
            r#type: ClientType::Company.into(),
            residence_country: "IE".into(),
            nationality: "FR".into(),
            incorporation_country: "NA".into(),
            industry: "K".into(),
            ownership_layers: Some(3),
            onboarded_on: "1970-01-02".into(),
            reviewed_on: "1970-01-03".into(),
            ..Client::default()
        };
        let profile = read(&client, &[]);
        assert_eq!(profile.client_type, Some(risk::ClientType::Company));
        let countries = [profile.residence, profile.nationality, profile.incorporation];
        assert_eq!(countries.map(|country| country.unwrap().to_string()), ["IE", "FR", "NA"]);
        assert_eq!(profile.industry.unwrap().as_str(), "K");
        assert_eq!(profile.ownership_layers, Some(3));
        assert_eq!(profile.onboarded_at_ms, Some(86_400_000));
        assert_eq!(profile.last_reviewed_at_ms, Some(2 * 86_400_000));
    }

    #[test]
    fn private_banking_is_used_while_a_private_account_is_open() {
        let account = |kind: AccountType, status: AccountStatus| Account {
            r#type: kind.into(),
            status: status.into(),
            ..Account::default()
        };
        let used = |accounts: &[Account]| read(&Client::default(), accounts).private_banking;
        let current = account(AccountType::Current, AccountStatus::Active);
        assert_eq!(used(std::slice::from_ref(&current)), Some(false));
        assert_eq!(used(&[current, account(AccountType::Private, AccountStatus::Blocked)]), Some(true));
        assert_eq!(used(&[account(AccountType::Private, AccountStatus::Closed)]), Some(false));
    }
}
