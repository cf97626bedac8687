//! Payments over REST, for tests.

use crate::support::Server;
use authn::Role;
use http::Method;
use riskmesh::http_client::{Answer, Http};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The account that pays.
pub const ACCOUNT: &str = "0000000001";

/// An administrator of a tenant that has a client with the account.
pub async fn payer(server: &Server, tenant: &str) -> Http {
    let mut http = server.as_role(Role::Admin, tenant).await;
    for (path, body) in [
        ("/v1/clients", json!({"clientId": "1", "name": "Ada"})),
        ("/v1/clients/1/accounts", json!({"accountId": ACCOUNT, "currency": "EUR"})),
    ] {
        assert_eq!(http.call(Method::POST, path, &[], Some(body)).await.unwrap().status, 201);
    }
    http
}

/// Pays, with this idempotency key.
pub async fn pay(http: &mut Http, key: &str, body: Value) -> anyhow::Result<Answer> {
    http.call(Method::POST, "/v1/payments", &[("idempotency-key", key)], Some(body)).await
}

/// The body of a payment.
pub fn order(amount: impl Into<Value>) -> Value {
    json!({"accountId": ACCOUNT, "amount": amount.into(), "currency": "EUR"})
}

/// Every payment of the account, and every transaction that is one.
pub async fn booked(http: &mut Http) -> (Vec<Value>, BTreeSet<String>) {
    let (mut payments, mut entries) = (Vec::new(), BTreeSet::new());
    for (path, list) in [
        (format!("/v1/payments?accountId={ACCOUNT}"), "payments"),
        ("/v1/clients/1/transactions?".to_owned(), "transactions"),
    ] {
        let mut next = format!("{path}&limit=1000");
        loop {
            let page = http.call(Method::GET, &next, &[], None).await.unwrap();
            assert_eq!(page.status, 200, "{:#}", page.body);
            for item in page.body[list].as_array().unwrap() {
                match list {
                    "payments" => payments.push(item.clone()),
                    _ => assert!(entries.insert(item["transactionId"].as_str().unwrap().to_owned())),
                }
            }
            let Some(cursor) = page.body["page"]["nextCursor"].as_str() else { break };
            next = format!("{path}&limit=1000&cursor={cursor}");
        }
    }
    (payments, entries)
}
