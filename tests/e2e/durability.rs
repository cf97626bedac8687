//! What survives: restarts, and kill -9 at any moment.

use crate::scoring::{generate, mapping, scores};
use crate::support::{Server, riskmesh};
use authn::Role;
use http::Method;
use std::time::Duration;
use testkit::{Process, run};

#[tokio::test]
async fn a_restart_finds_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let before = scores(&server, "sandbox").await;
    assert_eq!(before.len(), 1000);
    let mut admin = server.as_role(Role::Admin, "sandbox").await;
    let client = serde_json::json!({"clientId": "424242", "name": "Ada"});
    assert_eq!(admin.call(Method::POST, "/v1/clients", &[], Some(client)).await.unwrap().status, 201);
    drop(admin);
    assert!(server.process.terminate().unwrap().success());

    let server = Server::start(dir.path(), &[]);
    let mut after = scores(&server, "sandbox").await;
    after.remove("424242");
    assert_eq!(after, before);
    let mut admin = server.as_role(Role::Admin, "sandbox").await;
    assert_eq!(admin.call(Method::GET, "/v1/clients/424242", &[], None).await.unwrap().status, 200);
}

fn import_args<'a>(file: &'a str, mapping: &'a str, data: &'a str) -> [&'a str; 7] {
    ["import", "transactions", file, "--mapping", mapping, "--data-dir", data]
}

#[tokio::test]
async fn an_import_that_is_killed_again_and_again_ends_in_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let file = generate(dir.path(), 200, 40_000);
    let mapping = mapping(dir.path());

    let undisturbed = dir.path().join("undisturbed");
    let output = run(riskmesh(), &import_args(&file, &mapping, undisturbed.to_str().unwrap()), &[]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let killed = dir.path().join("killed");
    let args = import_args(&file, &mapping, killed.to_str().unwrap());
    let mut kills = 0;
    for wait in [30, 90, 160, 250, 400, 600, 900] {
        let mut process = Process::start(riskmesh(), &args, &[]).unwrap();
        std::thread::sleep(Duration::from_millis(wait)); // the moment of the crash, not a wait for anything
        kills += usize::from(process.is_running().unwrap());
        process.kill().unwrap();
    }
    assert!(kills >= 3, "only {kills} of the imports were still running when they were killed");
    let output = run(riskmesh(), &args, &[]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let expected = scores(&Server::start(&undisturbed, &["--no-sandbox"]), "sandbox").await;
    let survived = scores(&Server::start(&killed, &["--no-sandbox"]), "sandbox").await;
    assert!(expected.len() > 100);
    let differ: Vec<_> = expected.iter().filter(|(id, score)| survived.get(*id) != Some(*score)).collect();
    assert!(differ.is_empty(), "{} of {} differ, such as {:?}", differ.len(), expected.len(), differ[0]);
    assert_eq!(survived.len(), expected.len());
}
