//! Imports that are cut off and taken up again, and commands on directories that are not served by default settings.

use crate::support::{Server, output, riskmesh};
use authn::Role;
use http::Method;
use std::fmt::Write as _;
use std::fs::{DirEntry, read_dir};
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::Process;

const MAPPING: &str = r#"
missing-accounts = "create"
[[entries]]
transaction-id = { line = true, prefix = "row-" }
account-id = { column = "account", prefix = "1", pad = 9 }
direction = "credit"
amount = { column = "amount" }
currency = "EUR"
booked-at = { column = "step", format = "step-hours", from = "2026-01-01" }
"#;
/// More than two windows.
const ROWS: u32 = 550_000;

fn write_files(dir: &Path) -> (String, String) {
    let mut rows = String::from("account,amount,step\n");
    for n in 0..ROWS {
        writeln!(rows, "{},{}.00,{}", n % 50, 1000 + n % 9, n / 400).unwrap();
    }
    let (file, mapping) = (dir.join("rows.csv"), dir.join("mapping.toml"));
    std::fs::write(&file, rows).unwrap();
    std::fs::write(&mapping, MAPPING).unwrap();
    (file.to_str().unwrap().to_owned(), mapping.to_str().unwrap().to_owned())
}

/// Starts an import and kills it as soon as its first window is done.
fn cut_off(args: &[&str], data: &Path) {
    let mut process = Process::start(riskmesh(), args, &[]).unwrap();
    let is_checkpoint = |file: &DirEntry| file.path().extension().is_some_and(|it| it == "toml");
    let has_checkpoint =
        || read_dir(data.join("imports")).is_ok_and(|files| files.flatten().any(|file| is_checkpoint(&file)));
    let deadline = Instant::now() + Duration::from_mins(1);
    while !has_checkpoint() {
        assert!(Instant::now() < deadline && process.is_running().unwrap(), "there was no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().unwrap();
}

fn said(args: &[&str]) -> String {
    output(args).1
}

#[tokio::test]
async fn a_cut_off_import_is_taken_up_by_the_same_import_only() {
    let dir = tempfile::tempdir().unwrap();
    let (file, mapping) = write_files(dir.path());
    let data = dir.path().join("data");
    let import = |tenant| {
        let data = data.to_str().unwrap();
        ["import", "transactions", &file, "--mapping", &mapping, "--data-dir", data, "--tenant", tenant]
    };
    cut_off(&import("one"), &data);
    let other = said(&import("two"));
    assert!(other.contains(&format!("{ROWS} entries new")) && !other.contains("resumed"), "{other}");

    let resumed = said(&import("one"));
    assert!(
        resumed.starts_with("resumed at line ") && resumed.contains(&format!("{ROWS} rows")),
        "{resumed}"
    );

    // Rows that were done are changed, the file keeps its length: nothing of it may be passed over.
    cut_off(&import("three"), &data);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen(",1000.00,", ",7777.00,", 1)).unwrap();
    let again = said(&import("three"));
    assert!(again.starts_with("started over"), "{again}");
    assert!(again.contains("1 rejected"), "the changed row has an id that is taken: {again}");

    let server = Server::start(&data, &["--no-sandbox"]);
    for tenant in ["one", "two", "three"] {
        let mut http = server.as_role(Role::Analyst, tenant).await;
        let mut total = 0;
        for account in 0..50 {
            let path = format!("/v1/clients/1{account:09}/transactions?limit=1");
            let page = http.call(Method::GET, &path, &[], None).await.unwrap();
            total += page.body["page"]["total"].as_u64().unwrap();
        }
        assert_eq!(total, u64::from(ROWS), "{tenant}");
    }
}

#[tokio::test]
async fn commands_go_by_the_settings_that_a_directory_is_served_with() {
    let dir = tempfile::tempdir().unwrap();
    let (file, mapping) = write_files(dir.path());
    std::fs::write(&file, "account,amount,step\n1,5.00,0\n").unwrap();
    let config = dir.path().join("riskmesh.toml");
    std::fs::write(&config, "[auth]\nissuer = \"our-bank\"\n").unwrap();
    let data = dir.path().join("data");
    let data_dir = data.to_str().unwrap();
    let server = Server::start(&data, &["--no-sandbox", "--config", config.to_str().unwrap()]);

    let token = said(&["token", "--data-dir", data_dir, "--role", "analyst"]);
    let mut http = server.with_token(Some(token.trim().to_owned())).await;
    assert_eq!(http.call(Method::GET, "/v1/analytics", &[], None).await.unwrap().status, 200);
    let imported = said(&["import", "transactions", &file, "--mapping", &mapping, "--data-dir", data_dir]);
    assert!(imported.contains("1 entries new"), "{imported}");
    drop(http);
    assert!(server.process.terminate().unwrap().success());
    let again = said(&["import", "transactions", &file, "--mapping", &mapping, "--data-dir", data_dir]);
    assert!(again.contains("1 there already"), "{again}");
}
