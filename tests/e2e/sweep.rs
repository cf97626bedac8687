//! Each field's bad values, sent to each method: made from the contract's own rules, so that a new field or method is swept without
//! anybody thinking of it. What is wrong is named, by its path; nothing else is; and nothing is done.

use crate::support::shared;
use authn::Role;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use riskmesh_core::{Error, ErrorCode};
use std::collections::BTreeSet;
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

/// A way to a field from the request down.
type Place = Vec<FieldDescriptor>;

/// A bad value, and what is said of it.
#[derive(Clone)]
struct Bad {
    what: &'static str,
    value: Option<Value>,
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap()
}

/// What the contract says of a field.
#[allow(clippy::struct_excessive_bools, reason = "each is a separate option in the protos")]
struct Said {
    required: bool,
    output_only: bool,
    skip_zero: bool,
    decimal: bool,
    format: i32,
    rules: Option<DynamicMessage>,
}

impl Said {
    fn of(field: &FieldDescriptor) -> Self {
        let pool = field.parent_pool();
        let get = |name: &str| {
            let extension = pool.get_extension_by_name(name).unwrap();
            let options = field.options();
            options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
        };
        let behaviors: Vec<i32> = get("google.api.field_behavior")
            .and_then(|value| Some(value.as_list()?.iter().filter_map(Value::as_enum_number).collect()))
            .unwrap_or_default();
        let rules = get("buf.validate.field").and_then(|rules| rules.as_message().cloned());
        let ignore = rules.as_ref().and_then(|rules| rules.get_field_by_name("ignore")?.as_enum_number());
        Self {
            required: behaviors.contains(&2),
            output_only: behaviors.contains(&3),
            skip_zero: ignore == Some(1),
            decimal: get("riskmesh.options.v1.decimal").and_then(|value| value.as_bool()).unwrap_or(false),
            format: get("riskmesh.options.v1.format").and_then(|value| value.as_enum_number()).unwrap_or(0),
            rules,
        }
    }

    fn rule(&self, kind: &str, name: &str) -> Option<Value> {
        let rules = self.rules.as_ref().filter(|rules| rules.has_field_by_name(kind))?;
        let rules = rules.get_field_by_name(kind)?.as_message().cloned()?;
        rules.has_field_by_name(name).then(|| rules.get_field_by_name(name).unwrap().into_owned())
    }

    fn pattern(&self) -> Option<String> {
        self.rule("string", "pattern")?.as_str().map(str::to_owned)
    }

    fn number(&self, kind: &str, name: &str) -> Option<i64> {
        let value = self.rule(kind, name)?;
        value
            .as_i64()
            .or_else(|| value.as_i32().map(i64::from))
            .or_else(|| value.as_u64().map(u64::cast_signed))
    }
}

/// A text that a pattern takes. A new pattern wants a line here.
fn sample(pattern: &str) -> &'static str {
    match pattern {
        "^[0-9]{1,12}$" => "7",
        "^[0-9]{10}$" => "0000000007",
        "^[0-9]{1,18}$" => "1",
        "^[0-9a-f]{32}$" => "00000000000000000000000000000007",
        "^[a-z0-9][a-z0-9._@+-]{0,63}$" => "ada",
        "^([A-Z]{2,3}|[0-9]{3})$" => "DEU",
        "^([A-Z]{3}|[0-9]{3})$" => "EUR",
        "^[A-U][0-9]{0,4}$" => "K66",
        "^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$" => "de-AT",
        "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$" => "Europe/Vienna",
        token if token.starts_with("^[A-Za-z0-9._:-]{1,") => "x-1",
        other => panic!("no sample of {other}"),
    }
}

/// A value that is right, or none where the field may be absent and says nothing of itself.
fn good(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    let said = Said::of(field);
    if said.output_only {
        return None;
    }
    let one = match field.kind() {
        Kind::String if said.pattern().is_some() => Value::String(sample(&said.pattern()?).into()),
        Kind::String if said.decimal => Value::String("1".into()),
        Kind::String => match said.format {
            1 => Value::String("2026-01-02".into()),
            2 => Value::String("DE".into()),
            3 => Value::String("EUR".into()),
            _ => {
                let least = said.number("string", "min_len").unwrap_or(0).max(i64::from(said.required));
                (least > 0).then(|| Value::String("x".repeat(least as usize)))?
            }
        },
        Kind::Enum(values) if said.required || field.is_list() => {
            Value::EnumNumber(values.values().map(|value| value.number()).max()?)
        }
        Kind::Int32 => Value::I32(said.number("int32", "gte")? as i32),
        Kind::Int64 => Value::I64(said.number("int64", "gte")?),
        Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => {
            Value::Message(timestamp(&inner, 1_767_225_600))
        }
        Kind::Message(inner) if inner.full_name().starts_with("riskmesh.") && depth < 4 => {
            Value::Message(base(&inner, depth + 1))
        }
        _ => return None,
    };
    Some(if field.is_list() { Value::List(vec![one]) } else { one })
}

fn timestamp(message: &MessageDescriptor, seconds: i64) -> DynamicMessage {
    let mut at = DynamicMessage::new(message.clone());
    at.set_field_by_name("seconds", Value::I64(seconds));
    at
}

/// A message with every field that can be given, and nothing wrong. Of page parameters only the limit: a cursor is one that a page gave.
fn base(message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields().filter(|field| !["cursor", "offset"].contains(&field.name())) {
        if let Some(value) = good(&field, depth) {
            made.set_field(&field, value);
        }
    }
    made
}

/// What is wrong for a field, by what the contract says of it.
fn bad(field: &FieldDescriptor) -> Vec<Bad> {
    let said = Said::of(field);
    let text = |what, text: &str| Bad { what, value: Some(Value::String(text.into())) };
    let mut bad = Vec::new();
    if field.is_list() {
        if let Some(most) = said.number("repeated", "max_items") {
            let item = good(field, 0).and_then(|value| value.as_list()?.first().cloned()).unwrap();
            bad.push(Bad { what: "too many items", value: Some(Value::List(vec![item; most as usize + 1])) });
        }
        if said.number("repeated", "min_items").is_some() || said.required {
            bad.push(Bad { what: "no items", value: Some(Value::List(Vec::new())) });
        }
        return bad;
    }
    match field.kind() {
        Kind::String => {
            if said.pattern().is_some() {
                bad.extend(
                    ["!", "a b", "\u{0}", "ä", &"9".repeat(65)].map(|value| text("of another form", value)),
                );
                if !said.skip_zero {
                    bad.push(text("empty", ""));
                }
            }
            if said.decimal {
                bad.extend(
                    ["abc", "-1", "0", "1e5", "1.", ".5", "NaN", "1,5"].map(|value| text("no amount", value)),
                );
            }
            bad.extend(match said.format {
                1 => ["2026-13-01", "2026-02-30", "02.01.2026", "2026-1-2"]
                    .map(|value| text("no date", value))
                    .to_vec(),
                2 => ["XX", "de", "DEU", "D"].map(|value| text("no country", value)).to_vec(),
                3 => ["XXQ", "eur", "EURO", "E"].map(|value| text("no currency", value)).to_vec(),
                _ => Vec::new(),
            });
            if let Some(most) = said.number("string", "max_len") {
                bad.push(text("too long", &"x".repeat(most as usize + 1)));
                bad.push(text("with a control character", "a\u{7}"));
            }
            if said.required {
                bad.push(Bad { what: "absent", value: None });
            }
        }
        Kind::Enum(_) => {
            if said.rule("enum", "defined_only").is_some() {
                bad.push(Bad { what: "unknown", value: Some(Value::EnumNumber(99)) });
            }
            if said.required {
                bad.push(Bad { what: "absent", value: None });
            }
        }
        Kind::Int32 => {
            let value = |what, number: i64| Bad { what, value: Some(Value::I32(number as i32)) };
            bad.extend(said.number("int32", "gte").map(|least| value("too small", least - 1)));
            bad.extend(said.number("int32", "lte").map(|most| value("too large", most + 1)));
        }
        Kind::Int64 => {
            let value = |what, number: i64| Bad { what, value: Some(Value::I64(number)) };
            bad.extend(said.number("int64", "gte").map(|least| value("too small", least - 1)));
            bad.extend(said.number("int64", "lte").map(|most| value("too large", most + 1)));
        }
        Kind::Message(inner) => {
            if said.required {
                bad.push(Bad { what: "absent", value: None });
            }
            if inner.full_name() == "google.protobuf.Timestamp" {
                let value = Value::Message(timestamp(&inner, i64::MAX));
                bad.push(Bad { what: "beyond all times", value: Some(value) });
            }
        }
        _ => {}
    }
    bad
}

/// Every field that callers give, from the request down.
fn places(message: &MessageDescriptor, above: &Place, found: &mut Vec<Place>) {
    for field in message.fields().filter(|field| !Said::of(field).output_only) {
        let mut place = above.clone();
        place.push(field.clone());
        found.push(place.clone());
        if let Kind::Message(inner) = field.kind()
            && inner.full_name().starts_with("riskmesh.")
            && place.len() < 5
        {
            places(&inner, &place, found);
        }
    }
}

/// The path as errors name it: JSON names, and of lists the first item.
fn named(place: &Place) -> String {
    let last = place.len() - 1;
    let name = |(at, field): (usize, &FieldDescriptor)| {
        let item = if field.is_list() && at < last { "[0]" } else { "" };
        format!("{}{item}", field.json_name())
    };
    place.iter().enumerate().map(name).collect::<Vec<_>>().join(".")
}

/// The message with another value at a place.
fn with(message: &mut DynamicMessage, place: &[FieldDescriptor], value: Option<&Value>) {
    let (field, rest) = place.split_first().unwrap();
    if rest.is_empty() {
        match value {
            Some(value) => message.set_field(field, value.clone()),
            None => message.clear_field(field),
        }
        return;
    }
    match message.get_field_mut(field) {
        Value::Message(inner) => with(inner, rest, value),
        Value::List(items) => match items.first_mut() {
            Some(Value::Message(inner)) => with(inner, rest, value),
            _ => panic!("no item in {}", field.full_name()),
        },
        _ => panic!("{} holds nothing", field.full_name()),
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
    let (mut methods, mut sent) = (0, 0);
    let pool = pool();
    let services = pool.services().filter(|service| service.full_name().starts_with("riskmesh."));
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let good = base(&method.input(), 0);
        // Not for people: refused before anything is looked at.
        if method.name().starts_with("Scan") {
            continue;
        }
        if let Err(status) = caller.call(&method, &good).await {
            let error = Error::from_status(&status);
            assert_ne!(error.code, ErrorCode::InvalidInput, "{}: {error:?}", method.full_name());
        }
        methods += 1;
        let mut found = Vec::new();
        places(&method.input(), &Vec::new(), &mut found);
        for place in found {
            for bad in bad(place.last().unwrap()) {
                let mut message = good.clone();
                with(&mut message, &place, bad.value.as_ref());
                let what = format!("{}: {} {}", method.full_name(), named(&place), bad.what);
                let status = caller.call(&method, &message).await.expect_err(&what);
                let error = Error::from_status(&status);
                assert_eq!(error.code, ErrorCode::InvalidInput, "{what}: {status:?}");
                let fields: BTreeSet<&str> = error.details.iter().map(|detail| &*detail.field).collect();
                let expected = named(&place);
                assert!(fields.iter().all(|field| field.starts_with(&expected)), "{what}: {fields:?}");
                assert!(!error.hint.is_empty() && !error.details[0].issue.is_empty(), "{what}");
                sent += 1;
            }
        }
    }
    // So that a change of the contract's options cannot silently leave the sweep without work.
    assert!(methods > 25 && sent > 500, "{methods} methods, {sent} bad values");
}
