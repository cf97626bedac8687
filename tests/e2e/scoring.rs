//! Files of transactions, and the scores that they end in, for tests.

use crate::support::{Server, riskmesh};
use authn::Role;
use http::Method;
use riskmesh::http_client::Http;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use testkit::run;

/// Client to (score, state hash) of a whole tenant.
pub async fn scores(server: &Server, tenant: &str) -> BTreeMap<String, (Value, Value)> {
    let mut http: Http = server.as_role(Role::Analyst, tenant).await;
    let mut all = BTreeMap::new();
    let mut path = "/v2/analytics?limit=1000".to_owned();
    loop {
        let page = http.call(Method::GET, &path, &[], None).await.unwrap();
        assert_eq!(page.status, 200, "{:#}", page.body);
        for item in page.body["analytics"].as_array().unwrap() {
            let id = item["clientId"].as_str().unwrap().to_owned();
            all.insert(id, (item["risk"]["score"].clone(), item["stateHash"].clone()));
        }
        match page.body["page"]["nextCursor"].as_str() {
            Some(cursor) => path = format!("/v2/analytics?limit=1000&cursor={cursor}"),
            None => return all,
        }
    }
}

/// A file of generated transactions.
pub fn generate(dir: &Path, clients: u32, transactions: u32) -> String {
    let file = dir.join("transactions.csv").to_str().unwrap().to_owned();
    let (clients, transactions) = (clients.to_string(), transactions.to_string());
    let args = [
        "generate",
        "transactions",
        "--seed",
        "3",
        "--clients",
        &clients,
        "--transactions",
        &transactions,
        "--output",
        &file,
    ];
    assert!(run(riskmesh(), &args, &[]).unwrap().status.success());
    file
}

/// A mapping for it that makes the accounts that lack.
pub fn mapping(dir: &Path) -> String {
    let file = dir.join("mapping.toml");
    let natural = include_str!("../../crates/riskmesh/src/import/natural.toml");
    std::fs::write(&file, format!("missing-accounts = \"create\"\n{natural}")).unwrap();
    file.to_str().unwrap().to_owned()
}
