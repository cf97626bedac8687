//! Over gRPC.

use super::{Bad, Place, all_bad, base, methods, named, with};
use crate::support::shared;
use authn::Role;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use riskmesh_core::{Error, ErrorCode};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Messages as bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

struct Caller {
    grpc: Grpc<Channel>,
    token: String,
}

impl Caller {
    async fn call(&mut self, method: &MethodDescriptor, message: &DynamicMessage) -> Result<(), Status> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path = PathAndQuery::try_from(path).unwrap();
        let message = Bytes::from(message.encode_to_vec());
        self.grpc.ready().await.unwrap();
        let authorization = format!("Bearer {}", self.token).parse().unwrap();
        if method.is_client_streaming() {
            let mut request = Request::new(once(message));
            request.metadata_mut().insert("authorization", authorization);
            self.grpc.client_streaming(request, path, Raw).await.map(drop)
        } else if method.is_server_streaming() {
            let mut request = Request::new(message);
            request.metadata_mut().insert("authorization", authorization);
            let mut stream = self.grpc.server_streaming(request, path, Raw).await?.into_inner();
            while stream.message().await?.is_some() {}
            Ok(())
        } else {
            let mut request = Request::new(message);
            request.metadata_mut().insert("authorization", authorization);
            self.grpc.unary(request, path, Raw).await.map(drop)
        }
    }
}

fn once(message: Bytes) -> impl futures::Stream<Item = Bytes> + Send + 'static {
    futures::stream::once(std::future::ready(message))
}

#[tokio::test]
async fn each_bad_value_of_each_field_of_each_method_is_named() {
    let channel = Channel::from_shared(format!("http://{}", shared().edge)).unwrap().connect().await.unwrap();
    let grpc = Grpc::new(channel).max_encoding_message_size(16 << 20);
    let mut caller = Caller { grpc, token: shared().token(Role::Admin, "swept") };
    let (mut called, mut sent) = (0, 0);
    for method in methods() {
        let good = base(&method.input(), 0);
        if let Err(status) = caller.call(&method, &good).await {
            let error = Error::from_status(&status);
            assert_ne!(error.code, ErrorCode::InvalidInput, "{}: {error:?}", method.full_name());
        }
        called += 1;
        for (place, bad) in all_bad(&method.input()) {
            let mut message = good.clone();
            with(&mut message, &place, bad.value.as_ref());
            let what = format!("{}: {} {}", method.full_name(), named(&place), bad.what);
            let status = caller.call(&method, &message).await.expect_err(&what);
            check(&what, &status, &place, &bad);
            sent += 1;
        }
    }
    // So that a change of the contract's options cannot silently leave the sweep without work.
    assert!(called > 25 && sent > 500, "{called} methods, {sent} bad values");
}

/// What is wrong is named, and nothing else; and what would be right, where the contract says it.
fn check(what: &str, status: &Status, place: &Place, bad: &Bad) {
    let error = Error::from_status(status);
    assert_eq!(error.code, ErrorCode::InvalidInput, "{what}: {status:?}");
    let expected = named(place);
    for detail in &error.details {
        assert!(detail.field.starts_with(&expected), "{what}: {:?}", error.details);
        assert!(!detail.issue.is_empty() && !detail.expected.is_empty(), "{what}: {detail:?}");
    }
    assert!(!error.hint.is_empty(), "{what}");
    let said = error.details.iter().any(|detail| detail.expected == bad.expected);
    assert!(bad.expected.is_empty() || said, "{what}: not {:?} but {:?}", bad.expected, error.details);
}
