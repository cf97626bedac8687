//! Streams in both directions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use riskmesh_transcode::Resume;
use serde_json::json;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::rest::{GrpcResponse, Log, answer, builder, collect, frame, ok, service};

fn watch(accept: &str) -> Request<Full<Bytes>> {
    let request = Request::get("/v1/shelves/s/books:watch").header(header::ACCEPT, accept);
    request.body(Full::default()).unwrap()
}

fn two_books(status: Status) -> GrpcResponse {
    answer(vec![frame("Book", &json!({"id": "1"})), frame("Book", &json!({"id": "2"}))], status)
}

async fn watched(accept: &str, reply: fn() -> GrpcResponse) -> Response<Bytes> {
    let upstream = service(Log::default(), move |_| reply());
    collect(builder().build(upstream).unwrap().oneshot(watch(accept)).await.unwrap()).await
}

#[tokio::test]
async fn server_streams_as_json_array_ndjson_or_sse_by_accept() {
    let good = || two_books(Status::new(Code::Ok, ""));
    for (accept, content_type, body) in [
        ("*/*", "application/json", r#"[{"id":"1"},{"id":"2"}]"#),
        ("application/x-ndjson", "application/x-ndjson", "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"),
        ("text/event-stream", "text/event-stream", "data: {\"id\":\"1\"}\n\ndata: {\"id\":\"2\"}\n\n"),
    ] {
        let response = watched(accept, good).await;
        assert_eq!(
            (response.status(), &response.headers()[header::CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static(content_type))
        );
        assert_eq!(response.body(), body);
        assert_eq!(response.headers()[header::VARY], "accept", "caches tell the forms apart");
    }
    let empty = watched("*/*", || answer(vec![], Status::new(Code::Ok, ""))).await;
    assert_eq!(empty.body(), "[]");
}

#[tokio::test]
async fn errors_mid_stream_are_the_last_element_and_marked_as_such() {
    let bad = || two_books(Status::new(Code::DataLoss, "gone"));
    let error = r#"{"error":{"code":500,"message":"gone","status":"DATA_LOSS","details":[]}}"#;
    for (accept, body) in [
        ("*/*", format!(r#"[{{"id":"1"}},{{"id":"2"}},{error}]"#)),
        ("application/x-ndjson", format!("{{\"id\":\"1\"}}\n{{\"id\":\"2\"}}\n{error}\n")),
        (
            "text/event-stream",
            format!("data: {{\"id\":\"1\"}}\n\ndata: {{\"id\":\"2\"}}\n\nevent: error\ndata: {error}\n\n"),
        ),
    ] {
        assert_eq!(watched(accept, bad).await.body(), body.as_bytes());
    }
    let at_once = watched("*/*", || Status::new(Code::NotFound, "no shelf").into_http()).await;
    assert_eq!(at_once.status(), StatusCode::NOT_FOUND);
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn messages_pass_as_they_arrive_and_dropping_the_answer_ends_the_call() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let gone = Arc::new(AtomicBool::new(false));
    let guard = Arc::new(std::sync::Mutex::new(Some((receiver, Dropped(gone.clone())))));
    let upstream = crate::rest::upstream(move |_: Request<tonic::body::Body>| {
        let (receiver, guard) = guard.lock().unwrap().take().unwrap();
        async move {
            let frames = tokio_stream::wrappers::ReceiverStream::new(receiver).map(move |data| {
                let _ = &guard;
                Ok::<_, Status>(Frame::data(data))
            });
            let mut response = Response::new(tonic::body::Body::new(StreamBody::new(frames)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok::<_, Status>(response)
        }
    });
    let response = builder().build(upstream).unwrap().oneshot(watch("application/x-ndjson")).await.unwrap();
    let mut body = response.into_body();
    for id in ["1", "2", "3"] {
        sender.send(frame("Book", &json!({ "id": id }))).await.unwrap();
        let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(chunk, format!("{{\"id\":\"{id}\"}}\n").as_bytes());
    }
    assert!(!gone.load(Ordering::SeqCst));
    drop(body);
    assert!(gone.load(Ordering::SeqCst));
    assert!(sender.is_closed());
}

/// Sends an import whose body comes cut in two at every place, and returns what the service got or what was answered.
async fn import(
    content_type: &'static str,
    text: &str,
) -> Vec<Result<Vec<serde_json::Value>, (u16, String)>> {
    let mut outcomes = Vec::new();
    for cut in 0..=text.len() {
        let log = Log::default();
        let upstream = service(log.clone(), |_| ok("ListBooksResponse", &json!({})));
        let pieces = [&text.as_bytes()[..cut], &text.as_bytes()[cut..]].map(Bytes::copy_from_slice);
        let frames = pieces.map(|data| Ok::<_, std::io::Error>(Frame::data(data)));
        let request = Request::post("/v1/books:import").header(header::CONTENT_TYPE, content_type);
        let request = request.body(StreamBody::new(tokio_stream::iter(frames))).unwrap();
        let response = collect(builder().build(upstream).unwrap().oneshot(request).await.unwrap()).await;
        let seen = log.lock().unwrap().pop();
        outcomes.push(if let Some(seen) = seen {
            Ok(seen.messages)
        } else {
            let error: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            Err((response.status().as_u16(), error["error"]["message"].as_str().unwrap().to_owned()))
        });
    }
    outcomes.dedup();
    outcomes
}

#[tokio::test]
async fn client_streams_from_ndjson_or_array_however_they_are_cut() {
    let books = Ok(vec![json!({"id": "a]\",é"}), json!({"title": "[b", "tags": ["x", "y"]})]);
    let (first, second) = (r#"{"id":"a]\",é"}"#, r#"{"title":"[b","tags":["x","y"]}"#);
    assert_eq!(
        import("application/json", &format!(" [ {first} , {second}\n] ")).await,
        std::slice::from_ref(&books)
    );
    assert_eq!(
        import("application/x-ndjson", &format!("{first}\n\n{second}\r\n")).await,
        std::slice::from_ref(&books)
    );
    assert_eq!(import("application/x-ndjson", &format!("{first}\n{second}")).await, [books]);
    assert_eq!(
        import("application/json", second).await,
        [Ok(vec![json!({"title": "[b", "tags": ["x", "y"]})])]
    );
    assert_eq!(import("application/json", " [ ] ").await, [Ok(vec![])]);
}

#[tokio::test]
async fn a_fault_in_a_client_stream_is_told_to_the_client() {
    let fails = |message: &str| [Err((400, message.to_owned()))];
    assert_eq!(
        import("application/json", r#"[{"id":"1"},]"#).await,
        fails("an element of the array is missing")
    );
    assert_eq!(import("application/json", r#"[{"id":"1"}"#).await, fails("the array does not end"));
    assert_eq!(import("application/json", "[{}] x").await, fails("text after the end of the array"));
    assert_eq!(
        import("application/json", r#"[{"nope":1}]"#).await,
        fails("line 1, column 3, nope: unknown field")
    );
    // Where it is in the whole of the body.
    assert_eq!(
        import("application/json", "\n[\n {\"id\":\"é\"}, {\"id\":\"b\", \"nope\":1}]").await,
        fails("line 3, column 25, nope: unknown field")
    );
    assert_eq!(
        import("application/json", "[{},\n{\n\"nope\":1}]").await,
        fails("line 3, column 1, nope: unknown field")
    );
    assert_eq!(
        import("application/x-ndjson", "{}\n\n{").await,
        fails("line 3, column 2: expected a key in double quotes")
    );
    assert_eq!(
        import("application/x-ndjson", "{\"id\":\"é\"}\r\n {\"nope\":1}\n{}").await,
        fails("line 2, column 3, nope: unknown field")
    );
    let outcomes = import("text/plain", "{}").await;
    assert!(matches!(&outcomes[..], [Err((415, _))]), "{outcomes:?}");
}

#[tokio::test]
async fn bidi_streams_from_ndjson_go_both_ways_at_once() {
    let log = Log::default();
    let upstream = service(log.clone(), |_| two_books(Status::new(Code::Ok, "")));
    let request = Request::post("/v1/books:chat")
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .header(header::ACCEPT, "application/x-ndjson")
        .body(Full::new(Bytes::from_static(b"{\"id\":\"q\"}\n")))
        .unwrap();
    let response = collect(builder().build(upstream).unwrap().oneshot(request).await.unwrap()).await;
    assert_eq!(response.body(), "{\"id\":\"1\"}\n{\"id\":\"2\"}\n");
    assert_eq!(log.lock().unwrap().pop().unwrap().messages, [json!({"id": "q"})]);
}

#[tokio::test]
async fn server_streams_of_events_resume_by_last_event_id() {
    let resume = |field: &'static str| {
        move |rpc: &prost_reflect::MethodDescriptor| {
            let resume = Resume { event_id: field.to_owned(), resume_from: "by_title".to_owned() };
            (rpc.name() == "WatchBooks").then_some(resume)
        }
    };
    let books = || {
        let books = [json!({"id": "a", "pages": -1}), json!({"title": "no id"}), json!({"id": "b\n"})];
        answer(books.iter().map(|book| frame("Book", book)).collect(), Status::new(Code::Ok, ""))
    };
    for (field, accept, body) in [
        (
            "id",
            "text/event-stream",
            "id: a\ndata: {\"id\":\"a\",\"pages\":-1}\n\ndata: {\"title\":\"no id\"}\n\ndata: {\"id\":\"b\\n\"}\n\n",
        ),
        (
            "pages",
            "text/event-stream",
            "id: -1\ndata: {\"id\":\"a\",\"pages\":-1}\n\ndata: {\"title\":\"no id\"}\n\ndata: {\"id\":\"b\\n\"}\n\n",
        ),
        (
            "id",
            "application/x-ndjson",
            "{\"id\":\"a\",\"pages\":-1}\n{\"title\":\"no id\"}\n{\"id\":\"b\\n\"}\n",
        ),
    ] {
        let log = Log::default();
        let upstream = service(log.clone(), move |_| books());
        let mut request = watch(accept);
        request.headers_mut().insert("last-event-id", HeaderValue::from_static("x 7"));
        let transcoder = builder().resume(resume(field)).build(upstream).unwrap();
        let response = collect(transcoder.oneshot(request).await.unwrap()).await;
        assert_eq!(response.body(), body);
        let seen = log.lock().unwrap().pop().unwrap().messages;
        assert_eq!(seen, [json!({"shelf": "s", "byTitle": "x 7"})]);
    }
    let upstream = service(Log::default(), move |_| books());
    let error = builder().resume(resume("author")).build(upstream).unwrap_err();
    assert!(error.to_string().contains("author cannot be the id of an event"), "{error}");
}
