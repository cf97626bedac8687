//! A listener ends without failing the calls that it has taken.

use crate::world::{PATIENCE, World, alarm, analytics, code, get, score};
use mesh::{Channel, Listening};
use riskmesh_core::ErrorCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

#[tokio::test]
async fn calls_under_way_are_answered_and_new_ones_are_not_taken() {
    let world = World::new();
    let (reached, mut running) = mpsc::channel(1);
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let routes = analytics(move |_| {
        let (reached, gate) = (reached.clone(), Arc::clone(&gate));
        async move {
            reached.send(()).await.unwrap();
            gate.notified().await;
            Ok(37)
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(mesh::listen(listener, world.serve("analytics", routes), async {
        stopped.await.ok();
    }));

    let channel = Channel::remote(&uri, world.caller("edge")).unwrap();
    let (request, late) = (world.request(get("1")), world.request(get("1")));
    let taken = tokio::spawn(async move { score(&channel, request).await });
    running.recv().await.unwrap();
    stop.send(()).unwrap();
    let fresh = Channel::remote(&uri, world.caller("edge")).unwrap();
    // Until the loop has seen the signal it may still take a connection; none is taken once it has.
    let refused = async {
        let mut late = late;
        loop {
            late.set_timeout(Duration::from_millis(50));
            let again = {
                let mut again = tonic::Request::new(late.get_ref().clone());
                *again.metadata_mut() = late.metadata().clone();
                again
            };
            match score(&fresh, late).await {
                Err(status) if code(&status) == ErrorCode::ServiceUnavailable => break,
                _ => late = again,
            }
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    assert!(!serving.is_finished(), "a call is under way");
    go.notify_waiters();
    assert_eq!(taken.await.unwrap().unwrap(), 37);
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_end_is_dropped_at_the_end_of_the_drain() {
    let world = World::new();
    let (alarm, dropped) = alarm();
    let alarm = Mutex::new(Some(alarm));
    let (reached, mut running) = mpsc::channel(1);
    let routes = analytics(move |_| {
        let (alarm, reached) = (alarm.lock().unwrap().take(), reached.clone());
        async move {
            let _alarm = alarm;
            reached.send(()).await.unwrap();
            std::future::pending().await
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let bounds = Listening { drain: Duration::from_millis(50), ..Listening::default() };
    let server = world.serve("analytics", routes);
    let serving = tokio::spawn(async move {
        bounds.run(listener, server, async { stopped.await.unwrap_or_default() }).await;
    });
    let channel = Channel::remote(&uri, world.caller("edge")).unwrap();
    let request = world.request(get("1"));
    let call = tokio::spawn(async move { score(&channel, request).await });
    running.recv().await.unwrap();
    stop.send(()).unwrap();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    dropped.await;
    assert_eq!(code(&call.await.unwrap().unwrap_err()), ErrorCode::ServiceUnavailable);
}
