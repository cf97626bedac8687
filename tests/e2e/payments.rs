//! Payments over REST, and what becomes of them when the server dies.

use crate::paying::{ACCOUNT, booked, order, pay, payer};
use crate::support::{Server, shared};
use api::payments::v1::payments_service_client::PaymentsServiceClient;
use api::payments::v1::{CreatePaymentRequest, Payment};
use authn::Role;
use http::Method;
use riskmesh::http_client::Http;
use riskmesh_core::{Error, ErrorCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn a_payment_is_made_once_for_its_key() {
    let mut http = payer(shared(), "paying").await;
    let made = pay(&mut http, "k-1", order(100)).await.unwrap();
    assert_eq!(made.status, 201, "{:#}", made.body);
    assert_eq!((&made.body["amount"], &made.body["status"]), (&json!("100.00"), &json!("booked")));
    assert!(!made.headers.contains_key("idempotent-replayed"));
    let id = made.body["paymentId"].as_str().unwrap();
    assert_eq!(made.headers["location"], format!("/v1/payments/{id}"));

    let again = pay(&mut http, "\"k-1\"", order("100.00")).await.unwrap();
    assert_eq!((again.status, &again.body), (201, &made.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = pay(&mut http, "k-1", order(101)).await.unwrap();
    assert_eq!((other.status, &other.body["errorCode"]), (409, &json!("IDEMPOTENCY_KEY_REUSED")));

    let get = http.call(Method::GET, &format!("/v1/payments/{id}"), &[], None).await.unwrap();
    assert_eq!((get.status, &get.body), (200, &made.body));
    let missing = http.call(Method::GET, "/v1/payments/none", &[], None).await.unwrap();
    assert_eq!((missing.status, &missing.body["errorCode"]), (404, &json!("PAYMENT_NOT_FOUND")));
    let (payments, entries) = booked(&mut http).await;
    assert_eq!((payments.len(), entries.len()), (1, 1));
}

#[tokio::test]
async fn a_request_with_two_keys_is_refused_over_rest_and_grpc() {
    let mut http = payer(shared(), "two-keys").await;
    for (keys, message) in [
        (&["a", "b"][..], "Idempotency-Key must be sent once"),
        (&["a", "a"], "Idempotency-Key must be sent once"),
        (&["a, b"], "Idempotency-Key must be 1 to 255 visible ASCII characters without a blank"),
        (&[""], "Idempotency-Key must be 1 to 255 visible ASCII characters without a blank"),
    ] {
        let headers: Vec<_> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
        let rest = http.call(Method::POST, "/v1/payments", &headers, Some(order(1))).await.unwrap();
        assert_eq!((rest.status, &rest.body["message"]), (400, &json!(message)), "{keys:?}");
        let detail = &rest.body["details"][0];
        assert_eq!(
            (&detail["field"], &detail["expected"]),
            (&json!("Idempotency-Key"), &json!("^[!-~]{1,255}$"))
        );

        let payment = Payment {
            account_id: ACCOUNT.into(),
            amount: "1".into(),
            currency: "EUR".into(),
            ..Payment::default()
        };
        let mut request = tonic::Request::new(CreatePaymentRequest { payment: Some(payment) });
        let token = format!("Bearer {}", shared().token(Role::Admin, "two-keys"));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        for key in keys {
            request.metadata_mut().append("idempotency-key", key.parse().unwrap());
        }
        let mut grpc = PaymentsServiceClient::connect(format!("http://{}", shared().edge)).await.unwrap();
        let error = Error::from_status(&grpc.create_payment(request).await.unwrap_err());
        assert_eq!((error.code, &*error.message), (ErrorCode::InvalidInput, message), "{keys:?}");
    }
    assert!(booked(&mut http).await.0.is_empty());
}

#[tokio::test]
async fn an_account_that_does_not_pay_is_named() {
    let mut http = payer(shared(), "closed").await;
    let closed = json!({"status": "closed"});
    let path = format!("/v1/clients/1/accounts/{ACCOUNT}");
    assert_eq!(http.call(Method::PATCH, &path, &[], Some(closed)).await.unwrap().status, 200);
    let refused = pay(&mut http, "k", order(1)).await.unwrap();
    assert_eq!((refused.status, &refused.body["errorCode"]), (412, &json!("PRECONDITION_FAILED")));
    let detail = json!({"field": "accountId", "issue": "is not active", "expected": "an active account"});
    assert_eq!(refused.body["details"], json!([detail]));
}

#[tokio::test]
async fn concurrent_repeats_over_many_connections_make_one_payment() {
    payer(shared(), "repeating").await;
    let tries = (0..16).map(|_| async {
        let mut http = shared().as_role(Role::Admin, "repeating").await;
        loop {
            let answer = pay(&mut http, "k", order("7.50")).await.unwrap();
            match answer.status {
                201 => return answer.body["paymentId"].as_str().unwrap().to_owned(),
                409 => assert_eq!(answer.body["errorCode"], "REQUEST_IN_PROGRESS"),
                _ => panic!("{:#}", answer.body),
            }
            assert_eq!(answer.headers["retry-after"], "1");
            tokio::task::yield_now().await;
        }
    });
    let ids: BTreeSet<String> = futures::future::join_all(tries).await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    let mut http = shared().as_role(Role::Admin, "repeating").await;
    assert_eq!(booked(&mut http).await.0.len(), 1);
}

#[tokio::test]
async fn no_payment_is_lost_or_doubled_when_the_server_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--no-sandbox"]);
    drop(payer(&server, "dying").await);
    let next = Arc::new(AtomicUsize::new(0));
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for wait in [300, 150, 450] {
        // Many callers pay as fast as they can, until the server is killed under them.
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (edge, token, next) = (server.edge, server.token(Role::Admin, "dying"), next.clone());
                tokio::spawn(async move {
                    let mut paid = Vec::new();
                    let Ok(mut http) = Http::connect(edge, Some(token)).await else { return paid };
                    loop {
                        let key = next.fetch_add(1, Ordering::Relaxed).to_string();
                        match pay(&mut http, &key, order("1.00")).await {
                            Ok(answer) if answer.status == 201 => paid.push(key),
                            _ => return paid,
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(wait)).await; // the moment of the crash, not a wait for anything
        server.process.kill().unwrap();
        for caller in callers {
            acknowledged.extend(caller.await.unwrap());
        }
        server = Server::start(dir.path(), &["--no-sandbox"]);
    }
    assert!(acknowledged.len() > 20, "only {} payments were made", acknowledged.len());

    // What nobody has repeated yet is booked or was never made.
    let mut http = server.as_role(Role::Admin, "dying").await;
    let (payments, entries) = booked(&mut http).await;
    assert!(payments.iter().all(|payment| payment["status"] == "booked"));
    let of = |payments: &[Value]| -> BTreeSet<String> {
        payments.iter().map(|payment| payment["transactionId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of(&payments), entries);
    assert!(payments.len() >= acknowledged.len());

    // Every caller repeats: each key is one payment, and what was acknowledged is told again.
    let keys = next.load(Ordering::Relaxed);
    for key in 0..keys {
        let key = key.to_string();
        let answer = pay(&mut http, &key, order("1.00")).await.unwrap();
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        assert!(answer.headers.contains_key("idempotent-replayed") || !acknowledged.contains(&key));
    }
    let (payments, entries) = booked(&mut http).await;
    assert_eq!((payments.len(), of(&payments)), (keys, entries));
}
