//! Engines and processes that die or stand still amid payments.

use crate::paying::{booked, order, pay, payer};
use crate::scoring::{generate, mapping, scores};
use crate::support::{Server, eventually, output};
use crate::world::world;
use authn::Role;
use riskmesh::http_client::Http;
use serde_json::Value;
use servers::Engine;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Callers that pay, each with one key after the other, until they are told to stop. Each repeats a payment until it is acknowledged.
struct Payers {
    stop: Arc<AtomicBool>,
    next: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<BTreeSet<(String, String)>>>,
}

impl Payers {
    fn start(edges: &[SocketAddr], token: &str) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..8)
            .map(|number| {
                let (stop, next, token) = (stop.clone(), next.clone(), token.to_owned());
                let edges = edges.to_vec();
                tokio::spawn(async move {
                    let mut paid = BTreeSet::new();
                    let mut turn = number;
                    while !stop.load(Ordering::Relaxed) {
                        let key = next.fetch_add(1, Ordering::Relaxed).to_string();
                        let id = loop {
                            // Another process after each failure.
                            turn += 1;
                            if let Some(id) = once(edges[turn % edges.len()], &token, &key).await {
                                break id;
                            }
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        };
                        paid.insert((key, id));
                    }
                    paid
                })
            })
            .collect();
        Self { stop, next, callers }
    }

    fn made(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Waits for this many more payments to be begun.
    async fn more(&self, count: usize) {
        let upto = self.made() + count;
        eventually("payments go on", async || self.made() >= upto).await;
    }

    /// The keys with the payments that were acknowledged for them.
    async fn end(self) -> BTreeSet<(String, String)> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = futures::future::join_all(self.callers).await;
        ended.into_iter().flat_map(Result::unwrap).collect()
    }
}

async fn once(edge: SocketAddr, token: &str, key: &str) -> Option<String> {
    let mut http = Http::connect(edge, Some(token.to_owned())).await.ok()?;
    let answer = tokio::time::timeout(Duration::from_secs(20), pay(&mut http, key, order("1.00"))).await;
    let answer = answer.ok()?.ok()?;
    match answer.status {
        201 => answer.body["paymentId"].as_str().map(str::to_owned),
        // What an engine that is gone looks like; anything else would be a fault of ours.
        409 | 503 | 504 => None,
        other => panic!("{other}: {:#}", answer.body),
    }
}

/// Every acknowledged payment is booked, once, by one transaction, and nothing else is.
async fn check(server: &Server, tenant: &str, paid: &BTreeSet<(String, String)>) {
    let mut http = server.as_role(Role::Admin, tenant).await;
    let (payments, entries) = booked(&mut http).await;
    let texts = |name: &str| -> BTreeSet<String> {
        payments.iter().map(|payment: &Value| payment[name].as_str().unwrap().to_owned()).collect()
    };
    assert!(payments.iter().all(|payment| payment["status"] == "booked"));
    assert_eq!(texts("paymentId"), paid.iter().map(|(_, id)| id.clone()).collect());
    assert_eq!((payments.len(), texts("transactionId")), (paid.len(), entries));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_amid_payments_loses_and_doubles_none() {
    let world = world().await;
    drop(payer(&world.one, "killing").await);
    let token = world.one.token(Role::Admin, "killing");
    let mut third = tokio::task::block_in_place(|| world.third());
    let payers = Payers::start(&[world.one.edge, third.edge], &token);
    payers.more(20).await;
    third.process.kill().unwrap();
    payers.more(20).await;
    let paid = payers.end().await;
    check(&world.two, "killing", &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_amid_payments_doubles_none() {
    let world = world().await;
    drop(payer(&world.one, "pausing").await);
    let token = world.one.token(Role::Admin, "pausing");
    let third = tokio::task::block_in_place(|| world.third());
    let payers = Payers::start(&[world.one.edge, third.edge], &token);
    payers.more(20).await;
    signal(&third, "STOP");
    // Longer than its leases, and than keys that it has begun are its own.
    tokio::time::sleep(Duration::from_secs(15)).await;
    signal(&third, "CONT");
    payers.more(20).await;
    let paid = payers.end().await;
    check(&world.two, "pausing", &paid).await;
}

fn signal(server: &Server, name: &str) {
    let id = server.process.id().to_string();
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_die_or_stand_still_amid_payments_cost_time_and_nothing_else() {
    let mut world = world().await;
    drop(payer(&world.one, "engines").await);
    let token = world.one.token(Role::Admin, "engines");
    let payers = Payers::start(&[world.one.edge, world.two.edge], &token);
    for engine in Engine::ALL {
        payers.more(10).await;
        world.engine(engine).pause().unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.engine(engine).resume().unwrap();
    }
    for engine in Engine::ALL {
        payers.more(10).await;
        tokio::task::block_in_place(|| world.crash(engine));
    }
    payers.more(10).await;
    let paid = payers.end().await;
    check(&world.two, "engines", &paid).await;
}

/// Every event arrives, whatever happens to those who carry it: the scores end as those of one process that nothing happened to.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_amid_faults_gives_the_scores_of_one_that_was_left_alone() {
    let mut world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let (file, mapping) = (generate(dir.path(), 40, 3_000), mapping(dir.path()));
    let import = |data: &str| {
        let (file, mapping, data) = (file.clone(), mapping.clone(), data.to_owned());
        move || {
            let args =
                ["import", "transactions", &file, "--mapping", &mapping, "--tenant", "faulty", "--data-dir"];
            output(&[&args[..], &[&data]].concat())
        }
    };
    let data = dir.path().join("alone");
    let (done, _, complained) = tokio::task::block_in_place(import(data.to_str().unwrap()));
    assert!(done, "{complained}");
    let alone = Server::start(&data, &["--no-sandbox"]);

    let mut third = tokio::task::block_in_place(|| world.third());
    let import = import(third.data.to_str().unwrap());
    let importing = tokio::task::spawn_blocking(move || {
        // As often as it takes.
        for _ in 0..60 {
            let (done, ..) = import();
            if done {
                return true;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        false
    });
    for engine in Engine::ALL {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.engine(engine).pause().unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.engine(engine).resume().unwrap();
        tokio::task::block_in_place(|| world.crash(engine));
    }
    third.process.kill().unwrap();
    let third = tokio::task::block_in_place(|| world.third());
    assert!(importing.await.unwrap(), "the import ends");

    let expected = scores(&alone, "faulty").await;
    assert!(expected.len() > 20, "{}", expected.len());
    for server in [&world.one, &world.two, &third] {
        eventually("the same scores", async || scores(server, "faulty").await == expected).await;
    }
}
