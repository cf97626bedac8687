//! A deadline is set once, shrinks from hop to hop, and ends everything below it.

use crate::over_both;
use crate::world::{Alarm, PATIENCE, Wire, World, alarm, analytics, code, get, scan, score, transactions};
use api::transactions::v1::ScanTransactionsResponse;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use futures::StreamExt as _;
use mesh::{Inbound, OnBehalf};
use riskmesh_core::{ErrorCode, TenantId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use telemetry::{RequestId, TraceContext};
use tonic::Request;

/// Long enough to reach the handler on any machine.
const SHORT: Duration = Duration::from_millis(300);

fn take(alarm: &Mutex<Option<Alarm>>) -> Option<Alarm> {
    alarm.lock().unwrap().take()
}

fn inbound(deadline: tokio::time::Instant) -> Inbound {
    Inbound {
        deadline: Some(deadline),
        authorization: None,
        trace: TraceContext::root(false),
        request_id: RequestId::generate(),
    }
}

over_both! {
    async fn a_deadline_shrinks_hop_by_hop_and_surfaces_as_deadline_exceeded(wire: Wire) {
        let world = World::new();
        let left: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let note = |left: &Mutex<Vec<Duration>>| {
            left.lock().unwrap().push(Inbound::current().unwrap().remaining().unwrap());
        };
        let (alarm, dropped) = alarm();
        let alarm = Arc::new(Mutex::new(Some(alarm)));

        let seen = Arc::clone(&left);
        let last = analytics(move |_| {
            note(&seen);
            let alarm = take(&alarm);
            async move {
                let _alarm = alarm;
                std::future::pending().await
            }
        });
        let mut next = world.channel(wire, world.serve("last", last)).await;
        for role in ["second", "first"] {
            let (seen, onward) = (Arc::clone(&left), next.clone());
            let hop = analytics(move |request: Request<_>| {
                note(&seen);
                let onward = onward.clone();
                // No token, no timeout: both come from the call being served.
                async move { score(&onward, Request::new(request.into_inner())).await }
            });
            next = world.channel_of(role, wire, world.serve(role, hop)).await;
        }

        let mut request = world.request(get("1"));
        request.set_timeout(SHORT);
        let started = Instant::now();
        let status = score(&next, request).await.unwrap_err();
        assert_eq!(code(&status), ErrorCode::DeadlineExceeded);
        assert!(started.elapsed() < PATIENCE, "the method's own cap is not what ended it");
        let left = left.lock().unwrap().clone();
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(left[0] <= SHORT && left[0] > left[1] && left[1] > left[2], "{left:?}");
        dropped.await;
    }

    async fn a_stream_ends_at_its_deadline_and_its_source_is_dropped(wire: Wire) {
        let world = World::new();
        let (alarm, dropped) = alarm();
        let alarm = Arc::new(Mutex::new(Some(alarm)));
        let routes = transactions(move || {
            let alarm = take(&alarm);
            let first = futures::stream::iter([Ok(ScanTransactionsResponse::default())]);
            first.chain(futures::stream::once(async move {
                let _alarm = alarm;
                std::future::pending().await
            })).boxed()
        });
        let channel = world.channel_of("analytics", wire, world.serve("transactions", routes)).await;
        let mut request = Request::new(scan());
        request.extensions_mut().insert(OnBehalf(TenantId::new("sandbox").unwrap()));
        request.set_timeout(SHORT);
        let mut stream =
            TransactionsServiceClient::new(channel).scan_transactions(request).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        assert_eq!(code(&stream.message().await.unwrap_err()), ErrorCode::DeadlineExceeded);
        dropped.await;
    }

    async fn a_stream_that_never_pauses_ends_at_its_deadline(wire: Wire) {
        let world = World::new();
        let routes = transactions(|| futures::stream::repeat_with(|| Ok(ScanTransactionsResponse::default())).boxed());
        let channel = world.channel_of("analytics", wire, world.serve("transactions", routes)).await;
        let mut request = Request::new(scan());
        request.extensions_mut().insert(OnBehalf(TenantId::new("sandbox").unwrap()));
        request.set_timeout(SHORT);
        let mut stream =
            TransactionsServiceClient::new(channel).scan_transactions(request).await.unwrap().into_inner();
        let status = loop {
            if let Err(status) = stream.message().await {
                break status;
            }
        };
        assert_eq!(code(&status), ErrorCode::DeadlineExceeded);
    }

    async fn what_cannot_finish_is_refused_before_it_is_sent(wire: Wire) {
        let world = World::new();
        let reached = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&reached);
        let routes = analytics(move |_| {
            flag.store(true, Ordering::SeqCst);
            async { Ok(1) }
        });
        let channel = world.channel(wire, world.serve("analytics", routes)).await;
        let over = inbound(tokio::time::Instant::now());
        let status = over.scope(score(&channel, world.request(get("1")))).await.unwrap_err();
        assert_eq!(code(&status), ErrorCode::DeadlineExceeded);
        assert!(!reached.load(Ordering::SeqCst));
        assert!(!world.metrics.encode().contains("riskmesh_server_requests_total{"), "the server saw nothing");
    }

    async fn a_caller_that_goes_away_takes_the_handler_with_it(wire: Wire) {
        let world = World::new();
        let (alarm, dropped) = alarm();
        let alarm = Arc::new(Mutex::new(Some(alarm)));
        let (reached, mut running) = tokio::sync::mpsc::channel(1);
        let routes = analytics(move |_| {
            let (alarm, reached) = (take(&alarm), reached.clone());
            async move {
                let _alarm = alarm;
                reached.send(()).await.unwrap();
                std::future::pending().await
            }
        });
        let channel = world.channel(wire, world.serve("analytics", routes)).await;
        {
            let call = score(&channel, world.request(get("1")));
            tokio::select! {
                outcome = call => panic!("answered {outcome:?}"),
                _ = running.recv() => {}
            }
        }
        dropped.await;
        let counted = |side: &str, metrics: &str| {
            metrics.lines().any(|line| {
                line.starts_with(&format!("riskmesh_{side}_requests_total{{")) && line.contains("code=\"CANCELLED\"} 1")
            })
        };
        let metrics = world.metrics.encode();
        assert!(counted("client", &metrics), "{metrics}");
        // The handler is dropped inside what counts it, which follows at once but on another task.
        let counting = async {
            while !counted("server", &world.metrics.encode()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, counting).await.expect("the server counts it as cancelled");
    }
}

#[tokio::test]
async fn a_method_has_its_cap_whatever_the_caller_allows() {
    let world = World::new();
    let routes = analytics(|_| async {
        let left = Inbound::current().unwrap().remaining().unwrap();
        Ok(i32::try_from(left.as_secs()).unwrap())
    });
    let channel = world.channel(Wire::Local, world.serve("analytics", routes)).await;
    let mut request = world.request(get("1"));
    request.set_timeout(Duration::from_hours(10));
    let left = score(&channel, request).await.unwrap();
    assert!(left <= i32::try_from(mesh::DEFAULT_TIMEOUT.as_secs()).unwrap(), "{left}");
}
