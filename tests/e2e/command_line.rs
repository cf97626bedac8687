//! The command line, beside a running server and without one.

use crate::support::{Server, output, shared};
use authn::Role;
use http::Method;
use std::fmt::Write as _;
use std::path::Path;
use testkit::signer::Signer;

#[tokio::test]
async fn token_prints_a_token_and_nothing_else() {
    let server = shared();
    let data = server.data.to_str().unwrap();
    let (ok, token, _) =
        output(&["token", "--data-dir", data, "--role", "analyst", "--client-id", "cli", "--ttl", "5m"]);
    assert!(ok && token.lines().count() == 1 && token.trim().split('.').count() == 3);
    let mut http = server.with_token(Some(token.trim().to_owned())).await;
    assert_eq!(http.call(Method::GET, "/v1/analytics", &[], None).await.unwrap().status, 200);
    let (ok, out, error) = output(&["token", "--data-dir", data, "--role", "emperor"]);
    assert!(!ok && out.is_empty() && error.contains("emperor"));
}

#[test]
fn generate_gives_the_same_bytes_for_the_same_seed() {
    let args =
        |seed| ["generate", "transactions", "--seed", seed, "--clients", "20", "--transactions", "1000"];
    let (ok, first, _) = output(&args("7"));
    assert!(ok && first.starts_with("transaction_id,account_id,") && first.lines().count() > 500);
    assert_eq!(first, output(&args("7")).1);
    assert_ne!(first, output(&args("8")).1);
}

#[test]
fn a_wrong_configuration_ends_before_a_port_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("riskmesh.toml");
    for (text, named) in [
        ("[edge]\nlisten = \"0.0.0.0:8080\"", "listen"),
        ("nonsense = 1", "nonsense"),
        ("[store]\ncache-mib = 1", "cache-mib"),
    ] {
        std::fs::write(&file, text).unwrap();
        let data = dir.path().join("data");
        let (ok, _, error) =
            output(&["serve", "--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
        assert!(!ok && error.contains(named), "{error}");
    }
}

#[test]
fn a_second_server_on_one_directory_is_refused() {
    let server = shared();
    let data = server.data.to_str().unwrap();
    let (ok, _, error) =
        output(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data]);
    assert!(!ok && error.contains("use"), "{error}");
}

const MAPPING: &str = r#"
missing-accounts = "create"
[[entries]]
transaction-id = { line = true, prefix = "row-", suffix = "-out" }
transfer-id = { line = true, prefix = "row-" }
account-id = { column = "from", prefix = "1", pad = 9 }
direction = "debit"
amount = { column = "value" }
currency = "EUR"
booked-at = { column = "step", format = "step-days", from = "2026-01-01" }
counterparty-account = { column = "to", prefix = "1", pad = 9 }
[[entries]]
transaction-id = { line = true, prefix = "row-", suffix = "-in" }
transfer-id = { line = true, prefix = "row-" }
account-id = { column = "to", prefix = "1", pad = 9 }
direction = "credit"
amount = { column = "value" }
currency = "EUR"
booked-at = { column = "step", format = "step-days", from = "2026-01-01" }
counterparty-account = { column = "from", prefix = "1", pad = 9 }
"#;

fn write_files(dir: &Path) -> (String, String) {
    let (file, mapping) = (dir.join("rows.csv"), dir.join("mapping.toml"));
    let mut rows = String::from("from,to,value,step\n");
    for n in 0..500 {
        writeln!(rows, "{},{},{}.50,{}", n % 40, n % 37 + 40, n + 1, n / 10).unwrap();
    }
    rows.push_str("1,2\n3,4,-5,6\n5,6,7.00,soon\n8,9,1.00");
    std::fs::write(&file, rows).unwrap();
    std::fs::write(&mapping, MAPPING).unwrap();
    (file.to_str().unwrap().to_owned(), mapping.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn import_works_beside_a_server_and_names_what_it_rejects() {
    let server = shared();
    let dir = tempfile::tempdir().unwrap();
    let (file, mapping) = write_files(dir.path());
    let data = server.data.to_str().unwrap();
    let import =
        ["import", "transactions", &file, "--mapping", &mapping, "--tenant", "imported", "--data-dir", data];
    let (ok, out, error) = output(&import);
    assert!(!ok && error.contains("4 rows were rejected"), "{out}{error}");
    assert!(out.contains("504 rows: 1000 entries new, 0 there already, 4 rejected"), "{out}");
    let rejects = std::fs::read_to_string(format!("{file}.rejected.csv")).unwrap();
    let lines: Vec<_> = rejects.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines, ["line", "502", "503", "504", "505"], "{rejects}");
    assert!(rejects.contains("the row has 2 columns") && rejects.contains("is not a whole number"));
    let (_, again, _) = output(&import);
    assert!(again.contains("0 entries new, 1000 there already"), "{again}");

    let mut http = server.as_role(Role::Analyst, "imported").await;
    let clients = http.call(Method::GET, "/v1/clients?limit=1", &[], None).await.unwrap();
    assert_eq!(clients.body["page"]["total"], 77);
}

#[tokio::test]
async fn import_works_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let (file, mapping) = write_files(dir.path());
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let (_, out, error) =
        output(&["import", "transactions", &file, "--mapping", &mapping, "--data-dir", data]);
    assert!(out.contains("1000 entries new") && out.contains("scores are up to date"), "{out}{error}");
    let server = Server::start(Path::new(data), &["--no-sandbox"]);
    let mut http = server.as_role(Role::Analyst, "sandbox").await;
    let scores = http.call(Method::GET, "/v1/analytics?limit=1", &[], None).await.unwrap();
    assert_eq!(scores.body["page"]["total"], 77);
}

#[test]
fn doctor_finds_nothing_wrong_with_a_new_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let args = [
        "doctor",
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    let (ok, out, _) = output(&args);
    assert!(ok && !out.contains("BAD"), "{out}");
}

#[test]
fn doctor_takes_a_portfolio_model_only_from_the_key_that_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let (model, config) = (dir.path().join("portfolio.toml"), dir.path().join("riskmesh.toml"));
    std::fs::write(&model, include_str!("../../models/portfolio-1.toml")).unwrap();
    let (ours, other) = (Signer::new().unwrap(), Signer::new().unwrap());
    let doctor = |signer: &Signer| {
        let settings = format!(
            "data-dir = {:?}\nadmin-listen = \"127.0.0.1:0\"\n[edge]\nlisten = \"127.0.0.1:0\"\n[market]\nmodel = {model:?}\nsigned-by = {:?}\n",
            dir.path().join("data"),
            signer.public_key(),
        );
        std::fs::write(&config, settings).unwrap();
        let (ok, out, _) = output(&["doctor", "--config", config.to_str().unwrap()]);
        assert_eq!(ok, !out.contains("BAD"), "{out}");
        out
    };
    assert!(doctor(&ours).contains("BAD   model of portfolio risk: market.model"), "no signature");
    ours.sign(&model).unwrap();
    assert!(doctor(&ours).contains("ok    model of portfolio risk is valid"));
    assert!(doctor(&other).contains("BAD   model of portfolio risk: market.model"), "another key");
}

#[test]
fn a_store_that_has_lost_a_part_is_refused_and_an_empty_volume_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (file, mapping) = write_files(dir.path());
    let data = dir.path().join("data");
    let import = || {
        let data = data.to_str().unwrap();
        output(&["import", "transactions", &file, "--mapping", &mapping, "--data-dir", data])
    };
    let (store, away) = (data.join("store"), dir.path().join("away"));
    // Where a volume is mounted for the database before there is one.
    std::fs::create_dir_all(store.join("db/lost+found")).unwrap();
    assert!(import().1.contains("1000 entries new"));
    for (part, named) in [("db", "store/db is missing"), ("catalog.json", "store/catalog.json is missing")] {
        std::fs::rename(store.join(part), &away).unwrap();
        let (ok, _, error) = import();
        assert!(!ok && error.contains(named) && error.contains("restore it"), "{error}");
        std::fs::rename(&away, store.join(part)).unwrap();
    }
    assert!(import().1.contains("0 entries new, 1000 there already"));
}
