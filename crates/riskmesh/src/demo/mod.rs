//! `riskmesh demo`: the whole story in a temporary directory, every request and answer shown. Each step checks what came back, so
//! that a demo that ends well is a product that works.

mod shown;

use crate::config::Config;
use crate::http_client::Http;
use crate::node::{Node, Purpose};
use anyhow::{Context as _, ensure};
use authn::Role;
use http::Method;
use riskmesh_core::{Clock as _, SystemClock, TenantId, Timestamp};
use serde_json::{Value, json};
use shown::Shown as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a score may take to move.
const PATIENCE: Duration = Duration::from_secs(5);
const HOUR_MS: i64 = riskmesh_core::clock::HOUR_MS;

/// Runs the demo.
pub async fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir().context("make a temporary directory")?;
    let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
    config.edge.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.admin_listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.telemetry.request_log = false;
    println!(
        "Riskmesh on an empty directory: it seeds a sandbox of 1,000 clients, 2,000 accounts and 100,000 transactions,"
    );
    println!("and scores every client.");
    let started = Instant::now();
    let node = Node::start(&config, Purpose::Serve).await?;
    node.make_ready(&config).await?;
    println!("Ready after {:.1} s.", started.elapsed().as_secs_f64());
    let told = story(&node).await;
    node.stop().await;
    told?;
    println!("\nThat was the demo; all of it was as it should be.");
    Ok(())
}

async fn story(node: &Node) -> anyhow::Result<()> {
    let address = node.edge_address().context("the edge has no address")?;
    let token = |role| {
        node.token(
            role,
            TenantId::new(crate::seed::TENANT)?,
            Some(format!("demo-{role}")),
            Duration::from_mins(10),
        )
        .map_err(anyhow::Error::from)
    };
    let mut admin = Http::connect(address, Some(token(Role::Admin)?)).await?;
    let mut analyst = Http::connect(address, Some(token(Role::Analyst)?)).await?;
    let mut nobody = Http::connect(address, None).await?;

    chapter("Scores, in both versions of the API side by side");
    let page = analyst.get("/v2/analytics?limit=3").await?.expect(200)?;
    let client = page.at("/analytics/0/clientId")?;
    let v1 = analyst.get(&format!("/v1/analytics/{client}")).await?.expect(200)?;
    let v2 = analyst.get(&format!("/v2/analytics/{client}")).await?.expect(200)?;
    ensure!(v1.body["riskScore"] == v2.body["risk"]["score"], "v1 and v2 must agree");
    ensure!(v1.headers.contains_key("deprecation"), "v1 must say that it is deprecated");

    chapter("A new client with an account");
    admin
        .post("/v1/clients", json!({"clientId": "424242", "name": "Ada Example", "residenceCountry": "IE"}))
        .await?
        .expect(201)?;
    admin
        .post("/v1/clients/424242/accounts", json!({"accountId": "4242424242", "currency": "EUR"}))
        .await?
        .expect(201)?;
    let before = analyst.get("/v2/analytics/424242").await?.expect(200)?;

    chapter("Cash just below the reporting threshold, four times in one day: structuring");
    let batch = structuring(SystemClock.now());
    let recorded = admin.post("/v1/transactions:batchCreate", batch.clone()).await?.expect(200)?;
    ensure!(recorded.body["created"] == 4, "four entries are new");
    let booked = Instant::now();
    let after = loop {
        let answer = analyst.call(Method::GET, "/v2/analytics/424242", &[], None).await?;
        if answer.body["risk"]["score"] != before.body["risk"]["score"] {
            break answer;
        }
        ensure!(booked.elapsed() < PATIENCE, "the score must move");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    println!("\nThe score moved {} ms after the answer. What it says now:", booked.elapsed().as_millis());
    println!("{:#}", after.body);
    let reasons = after.body["risk"]["reasons"].as_array().context("reasons")?;
    ensure!(reasons.iter().any(|reason| reason["code"] == "STRUCTURING"), "structuring is among the reasons");

    chapter("The same batch again changes nothing");
    let again = admin.post("/v1/transactions:batchCreate", batch).await?.expect(200)?;
    ensure!(again.body["duplicates"] == 4 && again.body["created"] == 0, "a repeat is a duplicate");

    chapter("Pages, by offset and by cursor, with their place in the whole");
    let first = analyst.get("/v1/clients?status=active&limit=2").await?.expect(200)?;
    let cursor = first.at("/page/nextCursor")?;
    analyst.get(&format!("/v1/clients?status=active&limit=2&cursor={cursor}")).await?.expect(200)?;
    analyst.get("/v1/clients/424242/transactions?limit=1&offset=3").await?.expect(200)?;

    chapter("Errors say what is wrong, where, and what would be right");
    nobody.get("/v1/analytics").await?.expect(401)?;
    analyst.post("/v1/clients", json!({"clientId": "7", "name": "Eve"})).await?.expect(403)?;
    analyst.get("/v1/clients/999999999999").await?.expect(404)?;
    let invalid = admin
        .post("/v1/clients/424242/accounts", json!({"accountId": "123", "currency": "EUR"}))
        .await?
        .expect(400)?;
    ensure!(invalid.body["message"] == "Account ID must be 10 digits", "the message names the field");
    admin.post("/v1/clients", json!({"clientId": "8", "name": "Eve", "nmae": "typo"})).await?.expect(400)?;
    Ok(())
}

fn structuring(now: Timestamp) -> Value {
    let hour = now.millis() / HOUR_MS * HOUR_MS - 24 * HOUR_MS;
    let entry = |n: i64, amount: &str| {
        json!({
            "transactionId": format!("demo-{n}"), "accountId": "4242424242", "direction": "credit", "type": "cash",
            "channel": "branch", "amount": amount, "currency": "EUR",
            "bookedAt": Timestamp(hour + n * 2 * HOUR_MS).to_string(),
        })
    };
    json!({"transactions": [entry(1, "9500.00"), entry(2, "9200.00"), entry(3, "9800.00"), entry(4, "9900.00")]})
}

fn chapter(title: &str) {
    println!("\n== {title}");
}
