//! From a transaction of the contract to the entry that the risk maths takes.

use crate::error::Error;
use api::transactions::v1::{Channel, Direction, Transaction, TransactionType};
use risk::{AccountId, Amount, Counterparty, Country, Currency, Entry, EntryId, Kind, TransferId};
use riskmesh_core::Money;

/// Reads a transaction; what its service answers is checked again, since a score depends on it.
pub(crate) fn read(message: &Transaction) -> Result<Entry, Error> {
    let currency = riskmesh_core::Currency::new(&message.currency).ok_or_else(|| not_allowed("currency"))?;
    let money = Money::parse(&message.amount, currency).map_err(|_| not_allowed("amount"))?;
    let booked_at = message.booked_at.as_ref().ok_or_else(|| not_allowed("bookedAt"))?;
    Ok(Entry {
        at_ms: api::time::from_proto(booked_at).millis(),
        id: EntryId::new(&message.transaction_id).map_err(invalid)?,
        account: AccountId::parse(&message.account_id).map_err(invalid)?,
        transfer_id: optional(&message.transfer_id, TransferId::new)?,
        direction: match message.direction() {
            Direction::Debit => risk::Direction::Debit,
            Direction::Credit => risk::Direction::Credit,
            Direction::Unspecified => return Err(not_allowed("direction")),
        },
        amount: Amount::new(money.minor).map_err(invalid)?,
        currency: Currency::new(currency.code()).map_err(invalid)?,
        counterparty: optional(&message.counterparty_account, Counterparty::new)?,
        counterparty_country: optional(&message.counterparty_country, Country::new)?,
        kind: match message.r#type() {
            TransactionType::Transfer | TransactionType::Unspecified => Kind::Transfer,
            TransactionType::Cash => Kind::Cash,
            TransactionType::Card => Kind::Card,
            TransactionType::DirectDebit => Kind::DirectDebit,
            TransactionType::Fee => Kind::Fee,
            TransactionType::Crypto => Kind::Crypto,
        },
        channel: match message.channel() {
            Channel::Unspecified => None,
            Channel::Branch => Some(risk::Channel::Branch),
            Channel::Atm => Some(risk::Channel::Atm),
            Channel::Online => Some(risk::Channel::Online),
            Channel::Mobile => Some(risk::Channel::Mobile),
            Channel::Intermediary => Some(risk::Channel::Intermediary),
        },
    })
}

fn optional<T>(text: &str, read: impl Fn(&str) -> Result<T, risk::Invalid>) -> Result<Option<T>, Error> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some).map_err(invalid) }
}

fn invalid(invalid: risk::Invalid) -> Error {
    not_allowed(invalid.field)
}

fn not_allowed(field: &'static str) -> Error {
    Error::Answer { doing: "read transaction", field }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use riskmesh_core::Timestamp;

    fn message() -> Transaction {
        Transaction {
            transaction_id: "t-1".into(),
            account_id: "1234567890".into(),
            direction: Direction::Debit.into(),
            amount: "100.00".into(),
            currency: "EUR".into(),
            booked_at: Some(api::time::to_proto(Timestamp(1_700_000_000_123))),
            r#type: TransactionType::Cash.into(),
            channel: Channel::Atm.into(),
            counterparty_country: "NA".into(),
            ..Transaction::default()
        }
    }

    #[test]
    fn amounts_are_in_the_currency_s_own_minor_units() {
        assert_eq!(read(&message()).unwrap().amount.minor(), 10_000);
        let yen = Transaction { amount: "100".into(), currency: "JPY".into(), ..message() };
        assert_eq!(read(&yen).unwrap().amount.minor(), 100);
    }

    #[test]
    fn every_field_arrives() {
        let entry = read(&message()).unwrap();
        assert_eq!(entry.at_ms, 1_700_000_000_123);
        assert_eq!((entry.kind, entry.channel), (Kind::Cash, Some(risk::Channel::Atm)));
        assert_eq!((entry.direction, entry.transfer_id), (risk::Direction::Debit, None));
        assert_eq!(entry.counterparty_country.unwrap().as_str(), "NA");
    }

    #[test]
    fn what_the_contract_does_not_allow_is_an_error_that_names_the_field() {
        let field = |message: Transaction| match read(&message) {
            Err(Error::Answer { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(Transaction { amount: "0.00".into(), ..message() }), "amount");
        assert_eq!(field(Transaction { amount: "1.001".into(), ..message() }), "amount");
        assert_eq!(field(Transaction { currency: "XXX".into(), ..message() }), "currency");
        assert_eq!(field(Transaction { account_id: "1".into(), ..message() }), "accountId");
        assert_eq!(field(Transaction { booked_at: None, ..message() }), "bookedAt");
        assert_eq!(field(Transaction { direction: 0, ..message() }), "direction");
    }
}
