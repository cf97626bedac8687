//! The bench service's messages, and the JSON that stands for them. No field holds its default value: transcoders differ in
//! whether they print those, and all are to print the same.

use super::upstream::proto::{Account, Money, Transaction, transaction::Type};
use prost_types::Timestamp;

/// 2026-11-26T10:00:00Z.
const TEN_O_CLOCK: i64 = 1_795_687_200;

/// The transaction of a number, which is less than 3600.
pub(super) fn transaction(number: i32) -> Transaction {
    Transaction {
        id: id(number),
        sequence: 7_000_000_000 + i64::from(number),
        r#type: Type::Card.into(),
        amount: Some(money(number)),
        create_time: Some(timestamp(number)),
        description: format!("Card payment {number}"),
        score: number % 100 + 1,
    }
}

pub(super) fn account(id: String) -> Account {
    Account {
        id,
        holder: "Maria Grünwald".into(),
        balance: Some(money(1)),
        open_time: Some(timestamp(1)),
        active: true,
    }
}

fn id(number: i32) -> String {
    format!("txn-{:012x}", i64::from(number) * 0x9e37_79b9)
}

fn money(number: i32) -> Money {
    Money { currency_code: "EUR".into(), units: 1000 + i64::from(number), nanos: 250_000_000 }
}

fn timestamp(number: i32) -> Timestamp {
    Timestamp { seconds: TEN_O_CLOCK + i64::from(number), nanos: 125_000_000 }
}

fn money_json(number: i32) -> String {
    format!(r#"{{"currencyCode":"EUR","units":"{}","nanos":250000000}}"#, 1000 + number)
}

fn timestamp_json(number: i32) -> String {
    format!("2026-11-26T10:{:02}:{:02}.125Z", number / 60, number % 60)
}

/// The JSON of [`transaction`].
pub(super) fn transaction_json(number: i32) -> String {
    format!(
        r#"{{"id":"{}","sequence":"{}","type":"TYPE_CARD","amount":{},"createTime":"{}","description":"Card payment {number}","score":{}}}"#,
        id(number),
        7_000_000_000 + i64::from(number),
        money_json(number),
        timestamp_json(number),
        number % 100 + 1,
    )
}

/// The JSON of [`account`].
pub(super) fn account_json(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","holder":"Maria Grünwald","balance":{},"openTime":"{}","active":true}}"#,
        money_json(1),
        timestamp_json(1),
    )
}

/// An array of the first so many transactions.
pub(super) fn array_json(count: i32) -> String {
    let transactions: Vec<String> = (0..count).map(transaction_json).collect();
    format!("[{}]", transactions.join(","))
}

/// A message whose field `transactions` holds the first so many.
pub(super) fn list_json(count: i32) -> String {
    format!(r#"{{"transactions":{}}}"#, array_json(count))
}
