//! Quotas that replicas share.

use super::{SERVER, command, connect, fresh};
use riskmesh_cache::redis::{Access, Options, Quota, Redis, Taken};
use servers::{Engine, Server};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_mins(1);

fn quota(window: Duration) -> Quota {
    let server = tokio::task::block_in_place(|| &*SERVER);
    Quota::new(connect(server), window)
}

/// Asks until there is an answer.
async fn answered(quota: &Quota, name: &str, limit: u32) -> Taken {
    let began = Instant::now();
    loop {
        match quota.take(name, limit).await {
            Ok(taken) => return taken,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_at_once_over_three_connections_exactly_the_limit_is_taken() {
    let quotas = [quota(WINDOW), quota(WINDOW), quota(WINDOW)].map(Arc::new);
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let quota = quotas[number % 3].clone();
            tokio::spawn(async move { quota.take("acme/client/crowd", 100).await.unwrap() })
        })
        .collect();
    let taken: Vec<Taken> = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(taken.iter().filter(|taken| taken.allowed).count(), 100);
    let mut remaining: Vec<u32> =
        taken.iter().filter(|taken| taken.allowed).map(|taken| taken.remaining).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, (0..100).collect::<Vec<_>>(), "each saw another number");
    assert!(taken.iter().all(|taken| !taken.reset.is_zero() && taken.reset <= WINDOW));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_comes_back_after_its_window_and_not_before() {
    let window = Duration::from_millis(1500);
    let quota = quota(window);
    let first = Instant::now();
    assert!(quota.take("slides", 2).await.unwrap().allowed);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = Instant::now();
    assert!(quota.take("slides", 2).await.unwrap().allowed);
    let refused = quota.take("slides", 2).await.unwrap();
    // The rest is only sure where the machine was not away for half a window.
    assert!(!refused.allowed || first.elapsed() >= window);
    let back = Instant::now() + refused.reset;
    assert!(back.duration_since(first) >= window, "{refused:?}");
    tokio::time::sleep_until((back + Duration::from_millis(5)).into()).await;
    let third = quota.take("slides", 2).await.unwrap();
    assert!(third.allowed, "{third:?}");
    if second.elapsed() < window {
        assert!(!quota.take("slides", 2).await.unwrap().allowed, "the second is not back yet");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_lowered_counts_what_was_taken_before() {
    let quota = quota(WINDOW);
    for _ in 0..5 {
        assert!(quota.take("lowered", 5).await.unwrap().allowed);
    }
    let refused = quota.take("lowered", 2).await.unwrap();
    assert!(!refused.allowed && refused.reset > Duration::from_secs(50), "{refused:?}");
    assert_eq!(quota.take("lowered", 7).await.unwrap().remaining, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_used_again_with_what_it_kept() {
    let dir = fresh("killed");
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &dir).unwrap());
    let quota = Quota::new(connect(&server), WINDOW);
    for _ in 0..3 {
        assert!(answered(&quota, "kept", 3).await.allowed);
    }
    // It writes its file every second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.kill().unwrap();
    assert!(quota.take("kept", 3).await.is_err());
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &dir).unwrap());
    // Scripts are gone with the process, what was taken is not.
    assert!(!answered(&quota, "kept", 3).await.allowed);
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_costs_one_wait_a_second_and_is_used_again() {
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &fresh("paused")).unwrap());
    let options = Options::new(server.address().to_string()).timeout(Duration::from_millis(200));
    let quota = Quota::new(Arc::new(Redis::new(options).unwrap()), WINDOW);
    assert!(answered(&quota, "still", 100).await.allowed);
    server.pause().unwrap();
    let began = Instant::now();
    assert!(quota.take("still", 100).await.is_err());
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(190) && waited < Duration::from_secs(2), "{waited:?}");
    let began = Instant::now();
    for _ in 0..1000 {
        assert!(quota.take("still", 100).await.is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    server.resume().unwrap();
    assert!(answered(&quota, "still", 100).await.allowed);
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for_and_given() {
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &fresh("password")).unwrap());
    assert_eq!(command(&server, "ACL SETUSER riskmesh on >hunter2 ~riskmesh:* +@all"), "+OK");
    assert_eq!(command(&server, "CONFIG SET requirepass other"), "+OK");
    let with = |access: Option<Access>| {
        let options = Options::new(server.address().to_string()).timeout(Duration::from_secs(2));
        let options = access.into_iter().fold(options, Options::access);
        Quota::new(Arc::new(Redis::new(options).unwrap()), WINDOW)
    };
    assert!(with(None).take("a", 1).await.is_err());
    let wrong = Access { user: Some("riskmesh".into()), password: "hunter3".into() };
    assert!(with(Some(wrong)).take("a", 1).await.is_err());
    let right = Access { user: Some("riskmesh".into()), password: "hunter2".into() };
    assert!(answered(&with(Some(right)), "a", 1).await.allowed);
    let default = Access { user: None, password: "other".into() };
    assert!(!answered(&with(Some(default)), "a", 1).await.allowed);
    assert_eq!(command(&server, "AUTH other"), "+OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_certificate_must_be_of_the_authority() {
    let dir = fresh("tls");
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &dir).unwrap());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("server.crt"), dir.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let set = format!(
        "CONFIG SET tls-cert-file {0} tls-key-file {1} tls-ca-cert-file {0} tls-auth-clients no tls-port {port}",
        certificate.display(),
        key.display()
    );
    assert_eq!(command(&server, &set), "+OK");
    let trusting = |authority: &rcgen::Certificate| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let options = Options::new(format!("127.0.0.1:{port}")).tls(config).timeout(Duration::from_secs(2));
        Quota::new(Arc::new(Redis::new(options).unwrap()), WINDOW)
    };
    assert!(answered(&trusting(&made.cert), "a", 1).await.allowed);
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    assert!(trusting(&other.cert).take("a", 1).await.is_err());
}
