//! gRPC and gRPC-Web, which go through as they are.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::json;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::connect::{exchange, post};
use crate::connect_streams::envelope;
use crate::rest::{GrpcResponse, Log, answer, builder, frame, ok, send_with, service};

fn body() -> Vec<u8> {
    [frame("Book", &json!({"id": "1"})), frame("Book", &json!({"id": "2"}))].concat()
}

/// The data and the trailers of an answer.
async fn received(response: Response<riskmesh_transcode::Body>) -> (HeaderMap, Bytes, Option<HeaderMap>) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    (parts.headers, body.to_bytes(), trailers)
}

#[tokio::test]
async fn grpc_goes_through_as_it_is() {
    for content_type in ["application/grpc", "application/grpc+proto", "Application/gRPC; x=y"] {
        let log = Log::default();
        let upstream = service(log.clone(), |_| ok("Book", &json!({"id": "b"})));
        let mut request = post("Chat", content_type, body());
        for (name, value) in
            [("x-mine", "1"), ("grpc-timeout", "1S"), ("user-agent", "test"), ("te", "trailers")]
        {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let (headers, data, trailers) = received(response).await;
        assert_eq!(headers[header::CONTENT_TYPE], "application/grpc");
        assert_eq!(
            (data, &trailers.unwrap()["grpc-status"]),
            (frame("Book", &json!({"id": "b"})), &"0".parse().unwrap())
        );
        let seen = log.lock().unwrap().pop().unwrap();
        assert_eq!(seen.messages, [json!({"id": "1"}), json!({"id": "2"})]);
        assert_eq!(seen.headers[header::CONTENT_TYPE], content_type);
        let mut names: Vec<_> = seen.headers.keys().map(header::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "grpc-timeout", "te", "user-agent", "x-mine"]);
    }
}

#[tokio::test]
async fn chosen_headers_are_chosen_for_grpc_too() {
    let mut request = post("Chat", "application/grpc", body());
    for (name, value) in
        [("x-mine", "1"), ("x-other", "1"), ("grpc-timeout", "1S"), ("grpc-encoding", "identity")]
    {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let chosen = builder().forward_headers(|name| name == "x-mine");
    let seen = send_with(chosen, request).await.1.unwrap();
    let mut names: Vec<_> = seen.headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "grpc-encoding", "grpc-timeout", "te", "x-mine"]);
}

#[tokio::test]
async fn an_unknown_method_of_grpc_is_unimplemented() {
    for (content_type, answered) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web+proto"),
        ("application/grpc-web-text", "application/grpc-web+proto"),
    ] {
        let mut request = post("Chat", content_type, body());
        *request.uri_mut() = "/v1/books:chat".parse().unwrap();
        let (response, seen) = send_with(builder(), request).await;
        assert_eq!((response.status(), response.body().len(), seen.is_none()), (StatusCode::OK, 0, true));
        let headers = response.headers();
        assert_eq!(
            (&headers["grpc-status"], &headers[header::CONTENT_TYPE]),
            (&"12".parse().unwrap(), &answered.parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_connection_that_breaks_becomes_a_status() {
    let unreachable = tower::service_fn(|_: Request<tonic::body::Body>| async {
        Err::<GrpcResponse, _>(std::io::Error::other("db.internal refused"))
    });
    let request = post("Chat", "application/grpc", body());
    let response = builder().build(unreachable).unwrap().oneshot(request).await.unwrap();
    assert_eq!(
        (&response.headers()["grpc-status"], response.status()),
        (&"14".parse().unwrap(), StatusCode::OK)
    );
    assert_eq!(response.headers()["grpc-message"], "the%20service%20is%20unavailable");
    let breaks = || {
        let frames = [Ok(Frame::data(frame("Book", &json!({})))), Err(Status::unavailable("reset"))];
        let mut response = Response::new(tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames))));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    };
    let upstream = service(Log::default(), move |_| breaks());
    let transcoder = builder().build(upstream).unwrap();
    let response = transcoder.clone().oneshot(post("Chat", "application/grpc", body())).await.unwrap();
    let (_, data, trailers) = received(response).await;
    assert_eq!(
        (data, &trailers.unwrap()["grpc-status"]),
        (frame("Book", &json!({})), &"14".parse().unwrap())
    );
    let response = transcoder.oneshot(post("Chat", "application/grpc-web", body())).await.unwrap();
    let (_, data, _) = received(response).await;
    let text = String::from_utf8_lossy(&data).into_owned();
    assert!(text.contains("grpc-status:14"), "{text}");
}

#[tokio::test]
async fn grpc_web_is_grpc_for_the_service() {
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto; charset=utf-8",
        "APPLICATION/grpc-web-TEXT",
    ] {
        let text = content_type.to_ascii_lowercase().contains("text");
        let sent = if text { STANDARD.encode(body()).into_bytes() } else { body() };
        let pieces: Vec<_> = sent
            .chunks(1)
            .map(|byte| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(byte))))
            .collect();
        let request = Request::post("/test.Library/Chat")
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, if text { "application/grpc-web-text" } else { "application/grpc-web" })
            .body(StreamBody::new(tokio_stream::iter(pieces)))
            .unwrap();
        let log = Log::default();
        let upstream = service(log.clone(), |_| {
            let books = vec![frame("Book", &json!({"id": "1"})), frame("Book", &json!({"id": "2"}))];
            answer(books, Status::new(Code::Aborted, "late"))
        });
        let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
        let answered = if text { "application/grpc-web-text+proto" } else { "application/grpc-web+proto" };
        assert_eq!(
            (response.status(), &response.headers()[header::CONTENT_TYPE]),
            (StatusCode::OK, &answered.parse().unwrap())
        );
        let (mut parts, mut data) = (response.into_body(), Vec::new());
        while let Some(piece) = parts.frame().await {
            let piece = piece.unwrap().into_data().unwrap();
            data.extend(if text { STANDARD.decode(piece).unwrap() } else { piece.to_vec() });
        }
        assert!(data.starts_with(&body()));
        let trailers = &data[body().len()..];
        assert_eq!(trailers[0], 0x80);
        let trailers = String::from_utf8(trailers[5..].to_vec()).unwrap();
        assert!(
            trailers.contains("grpc-status:10\r\n") && trailers.contains("grpc-message:late\r\n"),
            "{trailers}"
        );
        let seen = log.lock().unwrap().pop().unwrap();
        assert_eq!(seen.messages, [json!({"id": "1"}), json!({"id": "2"})]);
        assert_eq!(seen.headers[header::CONTENT_TYPE], "application/grpc");
    }
}

/// The data and the status of an answer, whether that is in trailers or, for gRPC-Web, in the last frame.
async fn ended(response: Response<riskmesh_transcode::Body>, text: bool) -> (Vec<u8>, String) {
    let (mut body, mut data) = (response.into_body(), Vec::new());
    while let Some(piece) = body.frame().await {
        match piece.unwrap().into_data() {
            Ok(piece) if text => data.extend(STANDARD.decode(piece).unwrap()),
            Ok(piece) => data.extend(piece),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap();
                let lines =
                    trailers.iter().map(|(name, value)| format!("{name}:{}\r\n", value.to_str().unwrap()));
                return (data, lines.collect());
            }
        }
    }
    let mut at = 0;
    while data.get(at).is_some_and(|flags| *flags != 0x80) {
        at += 5 + u32::from_be_bytes(data[at + 1..at + 5].try_into().unwrap()) as usize;
    }
    let end = String::from_utf8(data.split_off(at).split_off(5)).unwrap();
    (data, end)
}

const JSON_TYPES: [(&str, &str, bool); 4] = [
    ("application/grpc+json", "application/grpc+json", false),
    ("Application/gRPC+JSON; charset=utf-8", "application/grpc+json", false),
    ("application/grpc-web+json", "application/grpc-web+json", false),
    ("application/grpc-web-text+json", "application/grpc-web-text+json", true),
];

fn in_json(
    content_type: &'static str,
    text: bool,
    messages: &[&str],
) -> Request<http_body_util::Full<Bytes>> {
    let body: Vec<u8> = messages.iter().flat_map(|message| envelope(0, message.as_bytes())).collect();
    let body = if text { STANDARD.encode(body).into_bytes() } else { body };
    let mut request = post("Chat", content_type, body);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(content_type));
    request
}

#[tokio::test]
async fn json_in_frames_is_protobuf_for_the_service() {
    for (content_type, answered, text) in JSON_TYPES {
        let log = Log::default();
        let upstream = service(log.clone(), |_| {
            let books = vec![frame("Book", &json!({"id": "3"})), frame("Book", &json!({"title": "é"}))];
            answer(books, Status::new(Code::Aborted, "late"))
        });
        let mut request = in_json(content_type, text, &[r#"{"id":"1"}"#, r#"{ "id" : "2" }"#]);
        for (name, value) in [("x-mine", "1"), ("grpc-timeout", "1S"), ("user-agent", "test")] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], answered);
        let (data, end) = ended(response, text).await;
        assert_eq!(
            data,
            [envelope(0, br#"{"id":"3"}"#), envelope(0, r#"{"title":"é"}"#.as_bytes())].concat()
        );
        assert!(end.contains("grpc-status:10\r\n") && end.contains("grpc-message:late\r\n"), "{end}");
        let seen = log.lock().unwrap().pop().unwrap();
        assert_eq!(seen.messages, [json!({"id": "1"}), json!({"id": "2"})]);
        assert_eq!(seen.headers[header::CONTENT_TYPE], "application/grpc");
        for (name, value) in [("x-mine", "1"), ("grpc-timeout", "1S"), ("user-agent", "test")] {
            assert_eq!(seen.headers[name], value);
        }
    }
}

#[tokio::test]
async fn json_in_frames_that_is_wrong_is_a_status_that_says_where() {
    let limits = riskmesh_transcode::Limits { request_bytes: 20, ..Default::default() };
    for (content_type, answered, text) in JSON_TYPES {
        for (messages, status, message) in [
            (&[r#"{"id":"1"}"#, r#"{"nope":1}"#][..], 3, "nope"),
            (&[r#"{"id":"1"}"#, "{"], 3, "line%201"),
            (&[r#"{"id":"1234567890123456789"}"#], 8, "larger%20than%2020%20bytes"),
        ] {
            let upstream = service(Log::default(), |_| ok("Book", &json!({})));
            let transcoder = builder().limits(limits).build(upstream).unwrap();
            let response = transcoder.oneshot(in_json(content_type, text, messages)).await.unwrap();
            assert_eq!(response.headers()[header::CONTENT_TYPE], answered);
            let head = response.headers().clone();
            let end = match head.get("grpc-status") {
                Some(status) => {
                    let message = head["grpc-message"].to_str().unwrap();
                    format!("grpc-status:{}\r\ngrpc-message:{message}", status.to_str().unwrap())
                }
                None => ended(response, text).await.1,
            };
            assert!(end.contains(&format!("grpc-status:{status}\r\n")) && end.contains(message), "{end}");
        }
    }
    // What the service says is said, with what came with it.
    let gone = || {
        let mut response: GrpcResponse = Status::new(Code::NotFound, "gone").into_http();
        response.headers_mut().insert("x-why", HeaderValue::from_static("old"));
        response
    };
    let (response, _) = exchange(builder(), in_json(JSON_TYPES[0].0, false, &["{}"]), gone).await;
    assert_eq!(
        (&response.headers()["grpc-status"], &response.headers()["x-why"]),
        (&"5".parse().unwrap(), &"old".parse().unwrap())
    );
}

#[tokio::test]
async fn a_type_that_only_looks_like_grpc_is_not_grpc() {
    for content_type in [
        "application/grpcx",
        "application/grpc-web-",
        "application/grpc-webx",
        "application/grpc-web+thrift",
        "application/grp",
    ] {
        let (response, seen) = send_with(builder(), post("GetBook", content_type, body())).await;
        assert_eq!(
            (response.status(), seen.is_none()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, true),
            "{content_type}"
        );
    }
    let mut get = post("CreateBook", "application/grpc", "");
    *get.method_mut() = http::Method::GET;
    let (response, _) = send_with(builder(), get).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn bad_base64_is_an_error_of_the_call() {
    let failed = Arc::new(Mutex::new(None));
    let told = failed.clone();
    let upstream = crate::rest::upstream(move |request: Request<tonic::body::Body>| {
        let told = told.clone();
        async move {
            let error = request.into_body().collect().await.unwrap_err();
            *told.lock().unwrap() = Some(error.code());
            Ok::<_, Status>(error.into_http())
        }
    });
    let request = post("Chat", "application/grpc-web-text", "!!!!");
    let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
    assert_eq!((response.status(), *failed.lock().unwrap()), (StatusCode::OK, Some(Code::Internal)));
    let (response, _) = exchange(builder(), post("Chat", "application/grpc", ""), || {
        Status::new(Code::NotFound, "no").into_http()
    })
    .await;
    assert_eq!(response.headers()["grpc-status"], "5");
}

/// An answer that is not quite one.
pub(crate) fn raw(
    status: u16,
    headers: &[(&'static str, &'static str)],
    data: &'static [u8],
    trailers: Option<&[(&'static str, &'static str)]>,
) -> GrpcResponse {
    let map = |headers: &[(&'static str, &'static str)]| -> HeaderMap {
        headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    };
    let data = Some(Frame::data(Bytes::from_static(data))).filter(|_| !data.is_empty());
    let frames = data.into_iter().chain(trailers.map(|trailers| Frame::trailers(map(trailers))));
    let frames = frames.map(Ok::<_, Status>).collect::<Vec<_>>();
    let mut response = Response::new(tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = map(headers);
    response
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test]
async fn an_answer_that_is_not_grpc_becomes_a_status() {
    for (status, content_type, code) in [
        (200, "text/html", "2"),
        (204, "text/html", "2"),
        (302, "text/html", "2"),
        (400, "text/html", "13"),
        (401, "text/html", "16"),
        (403, "text/html", "7"),
        (404, "application/grpc", "12"),
        (418, "text/html", "2"),
        (429, "text/html", "14"),
        (500, "text/html", "2"),
        (502, "application/grpc", "14"),
        (503, "text/html", "14"),
        (504, "text/html", "14"),
    ] {
        let answer = move || raw(status, &[("content-type", content_type)], b"<html>", None);
        for asked in ["application/grpc", "application/grpc-web", "application/grpc-web-text"] {
            let (response, _) = exchange(builder(), post("Chat", asked, ""), answer).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["grpc-status"], code, "{status} {content_type} {asked}");
            assert!(response.body().is_empty() && response.headers()[header::CONTENT_TYPE] != "text/html");
        }
    }
}

#[tokio::test]
async fn an_answer_that_forgets_its_status_gets_one() {
    const MESSAGE: &[u8] = b"\0\0\0\0\0";
    for (data, trailers) in [(MESSAGE, None), (MESSAGE, Some(&[("x-t", "1")][..])), (b"", None)] {
        let upstream = service(Log::default(), move |_| raw(200, &[GRPC], data, trailers));
        let transcoder = builder().build(upstream).unwrap();
        let response = transcoder.clone().oneshot(post("Chat", "application/grpc", "")).await.unwrap();
        assert!(!http_body::Body::is_end_stream(response.body()));
        let (_, got, end) = received(response).await;
        assert_eq!((&*got, &end.unwrap()["grpc-status"]), (data, &"2".parse().unwrap()));
        let response = transcoder.oneshot(post("Chat", "application/grpc-web", "")).await.unwrap();
        let (_, got, _) = received(response).await;
        let end = String::from_utf8_lossy(&got[data.len()..]).into_owned();
        assert!(end.contains("grpc-status:2\r\n"), "{end}");
    }
    // One that says it at the start has said it, whatever its HTTP status is.
    for status in [200, 404] {
        let head = [GRPC, ("grpc-status", "5")];
        let answer = move || raw(status, &head, b"", None);
        let (response, _) = exchange(builder(), post("Chat", "application/grpc", ""), answer).await;
        assert_eq!(response.headers()["grpc-status"], "5");
    }
}

/// A failure whose details are not base64.
pub(crate) fn with_bad_details(at_the_start: bool) -> GrpcResponse {
    const BAD: [(&str, &str); 4] =
        [GRPC, ("grpc-status", "5"), ("grpc-message", "gone"), ("grpc-status-details-bin", "!")];
    if at_the_start { raw(200, &BAD, b"", None) } else { raw(200, &[GRPC], b"", Some(&BAD[1..])) }
}

#[tokio::test]
async fn details_that_cannot_be_read_go_no_further() {
    for at_the_start in [true, false] {
        let answer = move || with_bad_details(at_the_start);
        let transcoder = builder().build(service(Log::default(), move |_| answer())).unwrap();
        let response = transcoder.oneshot(post("Chat", "application/grpc", "")).await.unwrap();
        let (head, _, trailers) = received(response).await;
        let end = if at_the_start { head } else { trailers.unwrap() };
        assert_eq!(
            (&end["grpc-message"], &end["grpc-status"]),
            (&"gone".parse().unwrap(), &"5".parse().unwrap())
        );
        assert!(!end.contains_key("grpc-status-details-bin"));
        // Where the status is told in another way it is told without them.
        for request in [
            crate::rest::request("GET", "/v1/shelves/s/books/b", ""),
            post("GetBook", "application/json", "{}"),
        ] {
            let (response, _) = exchange(builder(), request, answer).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert!(String::from_utf8_lossy(response.body()).contains("\"message\":\"gone\""));
        }
    }
}

/// What is sent says how long it is, and its other form is not that long.
#[tokio::test]
async fn a_length_is_of_one_form_and_not_of_the_other() {
    let text = STANDARD.encode(body());
    let request = Request::post("/test.Library/Chat")
        .header(header::CONTENT_TYPE, "application/grpc-web-text")
        .header(header::CONTENT_LENGTH, text.len());
    let request = request.body(http_body_util::Full::new(Bytes::from(text))).unwrap();
    let asked = Arc::new(Mutex::new(None));
    let upstream = crate::rest::upstream({
        let asked = asked.clone();
        move |request: Request<tonic::body::Body>| {
            let (asked, length) = (asked.clone(), http_body::Body::size_hint(request.body()).exact());
            async move {
                let named = request.headers().contains_key(header::CONTENT_LENGTH);
                *asked.lock().unwrap() =
                    Some((length, named, request.into_body().collect().await?.to_bytes()));
                let headers =
                    [GRPC, ("content-length", "5"), ("grpc-status", "0"), ("content-encoding", "gzip")];
                let mut response = raw(200, &headers, b"", None);
                *response.body_mut() =
                    tonic::body::Body::new(http_body_util::Full::new(Bytes::from_static(&[0; 5])));
                Ok(response)
            }
        }
    });
    let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
    assert_eq!(asked.lock().unwrap().take().unwrap(), (None, false, body().into()));
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), None);
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    assert!(received(response).await.1.starts_with(&[0; 5]));
}
