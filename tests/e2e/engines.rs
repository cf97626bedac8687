//! The product on Cassandra, Kafka and Redis: two processes are one product, and one that dies takes nothing with it.

use crate::paying::{booked, order, pay, payer};
use crate::scoring::{generate, mapping, scores};
use crate::support::{Server, eventually, output};
use crate::world::{World, copy, replica, world};
use authn::Role;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn get(server: &Server, tenant: &str, path: &str) -> (u16, Value) {
    let mut http = server.as_role(Role::Admin, tenant).await;
    let answer = http.call(Method::GET, path, &[], None).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_gives_the_scores_that_one_process_gives() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let file = generate(dir.path(), 40, 2_000);
    let mapping = mapping(dir.path());
    let import = |data: &str| {
        let args = [
            "import",
            "transactions",
            &file,
            "--mapping",
            &mapping,
            "--tenant",
            "compared",
            "--data-dir",
            data,
        ];
        let (done, _, complained) = tokio::task::block_in_place(|| output(&args));
        assert!(done, "{complained}");
    };
    // Nobody serves it yet: the command ends when the scores are there.
    let data = dir.path().join("alone");
    import(data.to_str().unwrap());
    let alone = Server::start(&data, &["--no-sandbox"]);
    import(world.one.data.to_str().unwrap());

    let expected = scores(&alone, "compared").await;
    assert!(expected.len() > 20, "{}", expected.len());
    for server in [&world.one, &world.two] {
        eventually("the same scores on the engines", async || scores(server, "compared").await == expected)
            .await;
    }
    // Pages by offset and by cursor show the same on all of them.
    let client = expected.keys().next().unwrap();
    let path = format!("/v1/clients/{client}/transactions?limit=7&offset=5");
    let page = |body: Value| (body["transactions"].clone(), body["page"]["total"].clone());
    let (_, first) = get(&alone, "compared", &path).await;
    assert_eq!(first["transactions"].as_array().unwrap().len(), 7);
    let next = |body: &Value| {
        let cursor = body["page"]["nextCursor"].as_str().unwrap().to_owned();
        format!("/v1/clients/{client}/transactions?limit=7&cursor={cursor}")
    };
    let (_, second) = get(&alone, "compared", &next(&first)).await;
    let (_, on_one) = get(&world.one, "compared", &path).await;
    // Where one replica ended, the other goes on.
    let (_, on_two) = get(&world.two, "compared", &next(&on_one)).await;
    assert_eq!(page(on_one), page(first));
    assert_eq!(page(on_two), page(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_writes_the_other_reads_at_once() {
    let world = world().await;
    let (mut one, mut two) =
        (world.one.as_role(Role::Admin, "sharing").await, world.two.as_role(Role::Admin, "sharing").await);
    let client = json!({"clientId": "1", "name": "Ada"});
    assert_eq!(one.call(Method::POST, "/v1/clients", &[], Some(client)).await.unwrap().status, 201);
    let path = "/v1/clients/1/preferences";
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 { (&mut one, &mut two) } else { (&mut two, &mut one) };
        let language = if round % 3 == 0 { "de" } else { "fr" };
        let wanted = json!({"language": language});
        let put = writer.call(Method::PUT, path, &[], Some(wanted)).await.unwrap();
        assert_eq!(put.status, 200, "{:#}", put.body);
        let read = reader.call(Method::GET, path, &[], None).await.unwrap();
        assert_eq!((&read.body, &read.headers["etag"]), (&put.body, &put.headers["etag"]), "round {round}");
    }
    // A change that rests on what the other replica has replaced is refused.
    let known = one.call(Method::GET, "/v1/clients/1", &[], None).await.unwrap();
    let etag = known.headers["etag"].to_str().unwrap().to_owned();
    let rename = |name: &str| Some(json!({"name": name}));
    let changed =
        two.call(Method::PATCH, "/v1/clients/1", &[("if-match", &etag)], rename("Eve")).await.unwrap();
    assert_eq!(changed.status, 200, "{:#}", changed.body);
    let late = one.call(Method::PATCH, "/v1/clients/1", &[("if-match", &etag)], rename("Bob")).await.unwrap();
    assert_eq!(late.status, 412, "{:#}", late.body);
    assert_eq!(one.call(Method::DELETE, "/v1/clients/1", &[], None).await.unwrap().status, 204);
    assert_eq!(two.call(Method::GET, "/v1/clients/1", &[], None).await.unwrap().status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_sent_to_both_replicas_at_once_is_made_once() {
    let world = world().await;
    drop(payer(&world.one, "both").await);
    for key in 0..10 {
        let tries = (0..8).map(|number| {
            let server = if number % 2 == 0 { &world.one } else { &world.two };
            async move {
                let mut http = server.as_role(Role::Admin, "both").await;
                loop {
                    let answer = pay(&mut http, &key.to_string(), order("7.50")).await.unwrap();
                    match answer.status {
                        201 => return answer.body["paymentId"].as_str().unwrap().to_owned(),
                        409 => assert_eq!(answer.body["errorCode"], "REQUEST_IN_PROGRESS"),
                        _ => panic!("{:#}", answer.body),
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
        let ids: BTreeSet<String> = futures::future::join_all(tries).await.into_iter().collect();
        assert_eq!(ids.len(), 1, "key {key}");
    }
    let mut http = world.two.as_role(Role::Admin, "both").await;
    let (payments, entries) = booked(&mut http).await;
    assert_eq!((payments.len(), entries.len()), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_other_keys_does_not_start() {
    let world = world().await;
    let World { config, dir, .. } = &*world;
    let data = dir.path().join("stranger");
    let (data, config) = (data.to_str().unwrap(), config.to_str().unwrap());
    let refused = |what: &str| {
        let args = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data];
        let (done, _, complained) =
            tokio::task::block_in_place(|| output(&[&args[..], &["--config", config]].concat()));
        assert!(!done && complained.contains(what), "{complained}");
    };
    refused("cursors.key is missing");
    copy(&world.one.data.join("keys"), &dir.path().join("stranger/keys"));
    let swapped = dir.path().join("stranger/keys/index.key");
    std::fs::write(&swapped, "ab".repeat(32)).unwrap();
    refused("index.key is not the key that this store was begun with");
    let (fine, said, _) =
        tokio::task::block_in_place(|| output(&["doctor", "--data-dir", data, "--config", config]));
    assert!(!fine && said.contains("BAD   keys: index.key is not the key"), "{said}");
    std::fs::copy(world.one.data.join("keys/index.key"), &swapped).unwrap();
    // Without those that sign tokens new ones are made, which the others would not know.
    std::fs::remove_file(dir.path().join("stranger/keys/jwt-0001.pem")).unwrap();
    refused("none of the keys that sign tokens");
    copy(&world.one.data.join("keys"), &dir.path().join("stranger/keys"));
    drop(replica(&dir.path().join("stranger"), &world.config));
}
