//! Quotas that three edges share, in a real Redis.

use cache::redis::{Options, Redis};
use riskmesh_core::SystemClock;
use riskmesh_edge::{Decision, RateLimiter as _, SharedWindow};
use servers::{Engine, Server};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn start(name: &str) -> Server {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("redis-of-edges").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    tokio::task::block_in_place(|| Server::start(Engine::Redis, &dir).unwrap())
}

/// One of three edges.
fn edge(server: &Server, limit: u32) -> Arc<SharedWindow> {
    let options = Options::new(server.address().to_string()).timeout(Duration::from_secs(2));
    Arc::new(SharedWindow::new(limit, 3, Arc::new(Redis::new(options).unwrap()), Arc::new(SystemClock)))
}

async fn ask(edge: &SharedWindow, caller: &str, times: usize) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for _ in 0..times {
        decisions.push(edge.check(caller).await.unwrap());
    }
    decisions
}

fn allowed(decisions: &[Decision]) -> usize {
    decisions.iter().filter(|decision| decision.allowed).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_edges_let_exactly_a_hundred_of_a_thousand_at_once_through() {
    let server = start("crowd");
    let edges = [edge(&server, 100), edge(&server, 100), edge(&server, 100)];
    let tasks = (0..1000).map(|number| {
        let edge = edges[number % 3].clone();
        tokio::spawn(async move { edge.check("acme/client/crowd").await.unwrap() })
    });
    let decisions: Vec<Decision> =
        futures::future::join_all(tasks.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(allowed(&decisions), 100);
    let told = |decision: &Decision| decision.limit == 100 && decision.reset <= Duration::from_mins(1);
    assert!(decisions.iter().all(told));
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_edge_lets_its_share_through_less_what_it_has_already() {
    let server = start("gone");
    let edges = [edge(&server, 30), edge(&server, 30), edge(&server, 30)];
    assert_eq!(allowed(&ask(&edges[0], "busy", 8).await), 8);
    assert_eq!(allowed(&ask(&edges[1], "greedy", 31).await), 30);
    server.stop().unwrap();

    assert_eq!(allowed(&ask(&edges[0], "busy", 31).await), 2, "10 is its share, 8 are gone");
    assert_eq!(allowed(&ask(&edges[1], "busy", 31).await), 10);
    assert_eq!(allowed(&ask(&edges[1], "greedy", 5).await), 0, "who is refused stays refused");
    let other = ask(&edges[2], "new", 11).await;
    assert_eq!((allowed(&other), other[0].limit, other[0].remaining), (10, 10, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_refused_without_asking_again() {
    let server = start("refused");
    let edge = edge(&server, 1);
    let decisions = ask(&edge, "a", 2).await;
    assert_eq!(allowed(&decisions), 1);
    server.pause().unwrap();
    let began = std::time::Instant::now();
    let again = ask(&edge, "a", 100).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(again.iter().all(|decision| !decision.allowed && decision.reset <= decisions[1].reset));
    server.resume().unwrap();
    server.stop().unwrap();
}
