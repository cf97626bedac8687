//! Bodies that are bytes of any kind, as streams: `google.api.HttpBody`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::json;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::rest::{GrpcResponse, Log, answer, builder, collect, ok, service};

/// A part of a download, with its type or without.
fn part(content_type: &str, data: &[u8]) -> Bytes {
    let mut message = Vec::new();
    for (tag, bytes) in [(0x0a, content_type.as_bytes()), (0x12, data)] {
        message.push(tag);
        prost::encoding::encode_varint(bytes.len() as u64, &mut message);
        message.extend_from_slice(bytes);
    }
    [&[0], &(message.len() as u32).to_be_bytes()[..], &message].concat().into()
}

async fn download(
    reply: impl Fn() -> GrpcResponse + Clone + Send + Sync + 'static,
) -> Response<riskmesh_transcode::Body> {
    let upstream = service(Log::default(), move |_| reply());
    let request = Request::get("/v1/books/7:downloadParts").body(Full::<Bytes>::default()).unwrap();
    builder().build(upstream).unwrap().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn http_body_out_streamed_has_the_type_of_the_first_part() {
    let parts = || vec![part("text/csv", b"a,b\n"), part("", b"c"), part("", b",d\n")];
    let response = collect(download(move || answer(parts(), Status::new(Code::Ok, ""))).await).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[header::CONTENT_TYPE]),
        (200, &HeaderValue::from_static("text/csv"))
    );
    assert_eq!(response.body(), &"a,b\nc,d\n");
    let empty = collect(download(|| answer(vec![], Status::new(Code::Ok, ""))).await).await;
    assert_eq!((empty.status().as_u16(), empty.body().len()), (200, 0));
}

#[tokio::test]
async fn a_download_that_fails_before_its_first_part_is_an_error() {
    let response = collect(download(|| answer(vec![], Status::new(Code::NotFound, "no book"))).await).await;
    assert_eq!(response.status().as_u16(), 404);
}

#[tokio::test]
async fn a_download_that_fails_is_cut_and_not_taken_for_whole() {
    let response =
        download(|| answer(vec![part("text/csv", b"a")], Status::new(Code::DataLoss, "gone"))).await;
    assert_eq!(response.status().as_u16(), 200);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn an_upload_in_parts_brings_path_and_type_with_the_first() {
    let log = Log::default();
    let upstream = service(log.clone(), |_| ok("Book", &json!({"id": "b"})));
    let pieces = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; 150_000])];
    let body =
        StreamBody::new(tokio_stream::iter(pieces.map(|data| Ok::<_, std::io::Error>(Frame::data(data)))));
    let request =
        Request::post("/v1/books/7:uploadParts").header(header::CONTENT_TYPE, "image/png").body(body);
    let response = builder().build(upstream).unwrap().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let messages = log.lock().unwrap().pop().unwrap().messages;
    assert_eq!(messages[0], json!({"id": "7", "file": {"contentType": "image/png", "data": "b25l"}}));
    assert_eq!(messages.len(), 4, "150,000 bytes in pieces of 64 KiB");
    assert!(
        messages[1..]
            .iter()
            .all(|message| message.get("id").is_none() && message["file"].get("contentType").is_none())
    );
}

#[tokio::test]
async fn an_empty_upload_is_a_call_too() {
    let log = Log::default();
    let upstream = service(log.clone(), |_| ok("Book", &json!({"id": "b"})));
    let request = Request::post("/v1/books/7:uploadParts").body(Full::<Bytes>::default()).unwrap();
    let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(log.lock().unwrap().pop().unwrap().messages, [json!({"id": "7", "file": {}})]);
}

/// A body of a gigabyte goes through while only what the service has not taken yet is in memory.
#[tokio::test]
async fn http_body_in_streamed_of_a_gigabyte_is_never_held() {
    const PIECES: usize = 16 << 10;
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let piece = Bytes::from(vec![7; 64 << 10]);
    let pieces = tokio_stream::iter((0..PIECES).map(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Frame::data(piece.clone()))
    }));
    let upstream = crate::rest::upstream(move |request: Request<tonic::body::Body>| {
        let made = made.clone();
        async move {
            let (mut body, mut taken, mut bytes) = (request.into_body(), 0, 0);
            while let Some(data) = body.frame().await {
                taken += 1;
                bytes += data.unwrap().into_data().unwrap().len();
                assert!(made.load(Ordering::SeqCst) <= taken + 1, "read ahead of the service");
            }
            assert!(bytes > 1 << 30);
            Ok::<_, Status>(ok("Book", &json!({"id": "b"})))
        }
    });
    let request = Request::post("/v1/books/7:uploadParts").body(StreamBody::new(pieces)).unwrap();
    let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_an_error_of_the_client() {
    let broken = [Ok(Frame::data(Bytes::from_static(b"x"))), Err(std::io::Error::other("gone"))];
    let upstream = crate::rest::upstream(|request: Request<tonic::body::Body>| async move {
        let error = request.into_body().collect().await.err().unwrap();
        Err::<GrpcResponse, _>(error)
    });
    let request =
        Request::post("/v1/books/7:uploadParts").body(StreamBody::new(tokio_stream::iter(broken))).unwrap();
    let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 400);
}
