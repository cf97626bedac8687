//! One account's entry: what a transaction is here, checked and in exact units.

use api::transactions::v1::{Channel, Direction, Transaction, TransactionType};
use riskmesh_core::{AccountId, ClientId, Error, Money, Timestamp, TransactionId};

/// A keyed digest of everything that an entry says.
pub(crate) type Content = [u8; 16];

/// An entry on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: TransactionId,
    pub(crate) account: AccountId,
    pub(crate) transfer: String,
    pub(crate) direction: Direction,
    pub(crate) amount: Money,
    pub(crate) booked_at: Timestamp,
    pub(crate) counterparty_account: String,
    pub(crate) counterparty_country: String,
    pub(crate) kind: TransactionType,
    pub(crate) channel: Channel,
}

impl Entry {
    /// Checks what the contract's rules cannot say: the amount against its currency, the time against the clock. Scores are as of the
    /// newest entry, so one that lies far ahead would hide all that really happens until then.
    pub(crate) fn read(message: Transaction, now: Timestamp) -> Result<Self, Error> {
        let amount = super::amount(&message.amount, &message.currency)?;
        let booked_at = super::happened("bookedAt", message.booked_at.as_ref(), now)?;
        let kind = match TransactionType::try_from(message.r#type) {
            Ok(TransactionType::Unspecified) | Err(_) => TransactionType::Transfer,
            Ok(kind) => kind,
        };
        Ok(Self {
            id: TransactionId::new(&message.transaction_id).map_err(|error| error.of("transactionId"))?,
            account: AccountId::new(&message.account_id).map_err(|error| error.of("accountId"))?,
            transfer: message.transfer_id,
            direction: Direction::try_from(message.direction)
                .ok()
                .filter(|direction| *direction != Direction::Unspecified)
                .ok_or_else(|| api::spelling::required::<Direction>("direction"))?,
            amount,
            booked_at,
            counterparty_account: message.counterparty_account,
            counterparty_country: message.counterparty_country,
            kind,
            channel: Channel::try_from(message.channel).unwrap_or(Channel::Unspecified),
        })
    }

    /// As the contract has it.
    pub(crate) fn into_message(self, client: &ClientId) -> Transaction {
        Transaction {
            transaction_id: self.id.to_string(),
            account_id: self.account.to_string(),
            client_id: client.to_string(),
            transfer_id: self.transfer,
            direction: self.direction.into(),
            amount: self.amount.to_string(),
            currency: self.amount.currency.code().to_owned(),
            booked_at: Some(api::time::to_proto(self.booked_at)),
            counterparty_account: self.counterparty_account,
            counterparty_country: self.counterparty_country,
            r#type: self.kind.into(),
            channel: self.channel.into(),
        }
    }

    /// The month that its row lives in.
    pub(crate) fn bucket(&self) -> i32 {
        self.booked_at.month()
    }

    /// Everything that makes it this entry, as bytes: the same id with others is a conflict, not a duplicate.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(160);
        for part in [
            self.account.as_str(),
            &self.transfer,
            self.amount.currency.code(),
            &self.counterparty_account,
            &self.counterparty_country,
        ] {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        for number in [
            i64::from(i32::from(self.direction)),
            self.amount.minor,
            self.booked_at.millis(),
            i64::from(i32::from(self.kind)),
            i64::from(i32::from(self.channel)),
        ] {
            text.extend_from_slice(&number.to_be_bytes());
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn message(id: &str, account: &str, at_ms: i64) -> Transaction {
        Transaction {
            transaction_id: id.into(),
            account_id: account.into(),
            direction: Direction::Debit.into(),
            amount: "100.00".into(),
            currency: "EUR".into(),
            booked_at: Some(api::time::to_proto(Timestamp(at_ms))),
            ..Transaction::default()
        }
    }

    fn read(message: Transaction) -> Result<Entry, Error> {
        Entry::read(message, Timestamp(1_800_000_000_000))
    }

    #[test]
    fn amounts_follow_their_currency() {
        let yen = Transaction { currency: "JPY".into(), ..message("t", "1234567890", 0) };
        assert_eq!(read(yen.clone()).unwrap().amount.minor, 100);
        let error = read(Transaction { amount: "100.5".into(), ..yen }).unwrap_err();
        assert_eq!(error.message, "Amount has more decimal places than the currency");
    }

    #[test]
    fn an_entry_is_booked_a_day_ahead_at_the_most() {
        let ahead = |by: i64| read(message("t", "1234567890", 1_800_000_000_000 + by));
        assert!(ahead(86_400_000).is_ok());
        let error = ahead(86_400_001).unwrap_err();
        assert_eq!(error.message, "Booked at must not be more than a day ahead");
    }

    #[test]
    fn content_tells_entries_apart() {
        let entry = read(message("t", "1234567890", 0)).unwrap();
        let same = read(Transaction { amount: "100".into(), ..message("t", "1234567890", 0) }).unwrap();
        assert_eq!(entry.content(), same.content(), "100 and 100.00 are the same amount");
        let moved = read(message("t", "1234567890", 1)).unwrap();
        let other = Entry { transfer: "x".into(), ..entry.clone() };
        assert!(entry.content() != moved.content() && entry.content() != other.content());
    }

    #[test]
    fn a_message_survives_the_round_trip() {
        let sent = Transaction {
            r#type: 2,
            channel: 2,
            client_id: "7".into(),
            ..message("t", "1234567890", 1_700_000_000_123)
        };
        let client = ClientId::new("7").unwrap();
        assert_eq!(read(sent.clone()).unwrap().into_message(&client), sent);
    }
}
