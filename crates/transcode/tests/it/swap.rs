//! Descriptors and options swapped under a running transcoder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Method, Request, StatusCode};
use riskmesh_transcode::{Builder, PrintOptions, Transcoder};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tonic::Status;
use tower::ServiceExt as _;

use crate::pool::POOL;
use crate::rest::{GrpcResponse, Log, collect, ok, request, service};

fn terse() -> Builder {
    Builder::new(POOL.clone()).services(["test.Features"])
}

fn wordy() -> Builder {
    terse().print_options(PrintOptions { always_print_primitive_fields: true, ..Default::default() })
}

const WORDY: &str = r#"{"text":"","number":0}"#;

#[tokio::test]
async fn a_call_under_way_ends_as_it_began_and_clones_see_the_new_routes() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (seen, let_go) = (arrived.clone(), go.clone());
    let upstream = crate::rest::upstream(move |_: Request<tonic::body::Body>| {
        let (arrived, go) = (arrived.clone(), go.clone());
        async move {
            arrived.notify_one();
            go.acquire().await.unwrap().forget();
            Ok::<GrpcResponse, Status>(ok("FeatureResponse", &json!({})))
        }
    });
    let transcoder = wordy().build(upstream).unwrap();
    let clone = transcoder.clone();
    let call = tokio::spawn(clone.clone().oneshot(request("GET", "/f/things/1", "")));
    seen.notified().await;
    let matched = transcoder.route(&Method::GET, "/f/things/1").unwrap();

    let file = "http: {rules: [{selector: test.Features.Methods, get: '/new/{id}'}]}";
    transcoder.replace(terse().rules(file).unwrap()).unwrap();
    let_go.add_permits(3);
    let old = collect(call.await.unwrap().unwrap()).await;
    assert_eq!((old.status(), old.body().as_ref()), (StatusCode::OK, WORDY.as_bytes()));
    // So does one whose route was found, and no more.
    let old = collect(clone.call_matched(matched, request("GET", "/f/things/1", "")).await).await;
    assert_eq!(old.body(), WORDY);
    let new = collect(clone.clone().oneshot(request("GET", "/new/1", "")).await.unwrap()).await;
    assert_eq!((new.status(), new.body().as_ref()), (StatusCode::OK, &b"{}"[..]));
    let gone = clone.clone().oneshot(request("GET", "/f/things/1", "")).await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert!(clone.with_upstream(()).routes().iter().any(|route| route.1 == "/new/{id}"));
}

#[tokio::test]
async fn a_builder_that_fails_leaves_the_old_one() {
    let transcoder = wordy().build(service(Log::default(), |_| ok("FeatureResponse", &json!({})))).unwrap();
    let error = transcoder.replace(terse().services(["test.Nope"])).unwrap_err();
    assert_eq!(error.to_string(), "no service test.Nope in the descriptors");
    let response = collect(transcoder.oneshot(request("GET", "/f/things/1", "")).await.unwrap()).await;
    assert_eq!(response.body(), WORDY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_descriptors_are_swapped_again_and_again() {
    let transcoder = wordy().build(service(Log::default(), |_| ok("FeatureResponse", &json!({})))).unwrap();
    let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (over, count, clone) = (done.clone(), calls.clone(), transcoder.clone());
    let caller = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            let response = clone.clone().oneshot(request("GET", "/f/things/1", "")).await.unwrap();
            let response = collect(response).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert!(["{}", WORDY].iter().any(|body| response.body() == body));
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut swaps = 0;
    while swaps < 50 || calls.load(Ordering::Relaxed) < 50 {
        assert!(!caller.is_finished());
        transcoder.replace(if swaps % 2 == 0 { terse() } else { wordy() }).unwrap();
        swaps += 1;
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Relaxed);
    caller.await.unwrap();
}

#[test]
fn a_transcoder_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Transcoder::builder(POOL.clone()).build(()).unwrap());
}
