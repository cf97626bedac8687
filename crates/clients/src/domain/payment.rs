//! A payment: an order to move money out of an account, and the entry that it is booked as.

use super::entry::Entry;
use api::payments::v1::{Payment as Message, PaymentStatus};
use api::transactions::v1::{Channel, Direction, TransactionType};
use riskmesh_core::{AccountId, ClientId, Error, Money, PaymentId, Timestamp, TransactionId};

/// What the caller orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) account: AccountId,
    pub(crate) amount: Money,
    pub(crate) counterparty_account: String,
    pub(crate) counterparty_country: String,
    pub(crate) reference: String,
}

/// A payment as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) client: ClientId,
    pub(crate) order: Order,
    pub(crate) status: PaymentStatus,
    pub(crate) created_at: Timestamp,
    /// Its place in the order of payments.
    pub(crate) ordinal: u64,
    /// Counts changes from 1; the ETag.
    pub(crate) version: i64,
}

impl Order {
    /// Checks what the contract's rules cannot say: the amount against its currency.
    pub(crate) fn read(message: Message) -> Result<Self, Error> {
        let amount = super::amount(&message.amount, &message.currency)?;
        Ok(Self {
            account: AccountId::new(&message.account_id).map_err(|error| error.of("accountId"))?,
            amount,
            counterparty_account: message.counterparty_account,
            counterparty_country: message.counterparty_country,
            reference: message.reference,
        })
    }

    /// What makes it this order: the same key with another content is another request.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(128);
        for part in [
            self.account.as_str(),
            self.amount.currency.code(),
            &self.counterparty_account,
            &self.counterparty_country,
            &self.reference,
        ] {
            content.extend_from_slice(&(part.len() as u64).to_be_bytes());
            content.extend_from_slice(part.as_bytes());
        }
        content.extend_from_slice(&self.amount.minor.to_be_bytes());
        content
    }
}

impl Payment {
    /// A new one, that is not booked yet.
    pub(crate) fn new(id: PaymentId, client: ClientId, order: Order, now: Timestamp, ordinal: u64) -> Self {
        Self { id, client, order, status: PaymentStatus::Pending, created_at: now, ordinal, version: 1 }
    }

    /// The id of its entry: whoever books it books the same.
    pub(crate) fn transaction(&self) -> Result<TransactionId, Error> {
        TransactionId::new(&format!("pay-{}", self.id)).map_err(|_| Error::internal("name a payment's entry"))
    }

    /// The entry that it is booked as.
    pub(crate) fn entry(&self) -> Result<Entry, Error> {
        Ok(Entry {
            id: self.transaction()?,
            account: self.order.account.clone(),
            transfer: String::new(),
            direction: Direction::Debit,
            amount: self.order.amount,
            booked_at: self.created_at,
            counterparty_account: self.order.counterparty_account.clone(),
            counterparty_country: self.order.counterparty_country.clone(),
            kind: TransactionType::Transfer,
            channel: Channel::Unspecified,
        })
    }

    /// As the contract has it.
    pub(crate) fn message(&self) -> Result<Message, Error> {
        let transaction = match self.status {
            PaymentStatus::Booked => self.transaction()?.to_string(),
            _ => String::new(),
        };
        Ok(Message {
            payment_id: self.id.to_string(),
            account_id: self.order.account.to_string(),
            client_id: self.client.to_string(),
            amount: self.order.amount.to_string(),
            currency: self.order.amount.currency.code().to_owned(),
            counterparty_account: self.order.counterparty_account.clone(),
            counterparty_country: self.order.counterparty_country.clone(),
            reference: self.order.reference.clone(),
            status: self.status.into(),
            transaction_id: transaction,
            create_time: Some(api::time::to_proto(self.created_at)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message() -> Message {
        Message {
            account_id: "1234567890".into(),
            amount: "100".into(),
            currency: "EUR".into(),
            ..Message::default()
        }
    }

    #[test]
    fn an_order_has_an_amount_of_its_currency() {
        assert_eq!(Order::read(message()).unwrap().amount.minor, 10_000);
        for (amount, currency) in
            [("0", "EUR"), ("-1", "EUR"), ("1.5", "JPY"), ("1.001", "EUR"), ("x", "EUR"), ("1", "XXQ")]
        {
            let bad = Message { amount: amount.into(), currency: currency.into(), ..message() };
            assert!(Order::read(bad).is_err(), "{amount} {currency}");
        }
    }

    #[test]
    fn content_tells_orders_apart() {
        let content = |change: fn(&mut Message)| {
            let mut message = message();
            change(&mut message);
            Order::read(message).unwrap().content()
        };
        let plain = content(|_| {});
        assert_eq!(plain, content(|m| m.amount = "100.00".into()), "the same amount");
        let others = [
            content(|m| m.amount = "100.01".into()),
            content(|m| m.currency = "USD".into()),
            content(|m| m.counterparty_country = "DE".into()),
            content(|m| m.reference = "DE".into()),
        ];
        assert!(!others.contains(&plain));
        assert_ne!(others[2], others[3]);
    }
}
