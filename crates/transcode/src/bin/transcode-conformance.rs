//! A testee of protobuf's conformance runner: it answers each request with what the transcoder's plans make of it.
//!
//! On stdin and stdout, in a loop: the length of a message in four bytes, little-endian, and the message; a
//! `ConformanceRequest` comes in and a `ConformanceResponse` goes out. The end of the input between two requests is the
//! end; a request that is none ends the testee with an error. `docs/conformance.md` says how to run it.

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use riskmesh_transcode::plan::{MessageId, PrintError};
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions, UnknownFields};

/// The protos of `conformance/`, compiled. They are committed as bytes so that the library and its users need no compiler
/// of protos to build this binary; a test compiles the protos and compares.
const DESCRIPTORS: &[u8] = include_bytes!("../../conformance/descriptors.binpb");

/// Values of `conformance.WireFormat`.
const PROTOBUF: i32 = 1;
const JSON: i32 = 2;
/// A value of `conformance.TestCategory`: JSON may hold fields that the message does not have.
const IGNORE_UNKNOWN: i32 = 3;

type Fatal = Box<dyn Error>;

/// The field of `ConformanceResponse` that is set, and its value.
type Answer = (&'static str, Value);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transcode-conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Fatal> {
    let testee = Testee::new()?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(request) = read(&mut input)? {
        let response = testee.respond(&request)?;
        output.write_all(&u32::try_from(response.len())?.to_le_bytes())?;
        output.write_all(&response)?;
        output.flush()?;
    }
    Ok(())
}

/// The next message, or `None` at the end of the input. Memory grows with what arrives, not with what is announced.
fn read(input: &mut impl Read) -> Result<Option<Vec<u8>>, Fatal> {
    let mut length = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut length)?;
    if length.is_empty() {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length.try_into().map_err(|_| "the input ends inside a length")?);
    let mut message = Vec::new();
    input.take(length.into()).read_to_end(&mut message)?;
    if message.len() < length as usize {
        return Err(format!("the input ends inside a request of {length} bytes").into());
    }
    Ok(Some(message))
}

struct Testee {
    request: MessageDescriptor,
    response: MessageDescriptor,
    plans: Plans,
}

impl Testee {
    fn new() -> Result<Self, Fatal> {
        let pool = DescriptorPool::decode(DESCRIPTORS)?;
        let message = |name: &str| pool.get_message_by_name(name).ok_or_else(|| format!("no message {name}"));
        Ok(Self {
            request: message("conformance.ConformanceRequest")?,
            response: message("conformance.ConformanceResponse")?,
            plans: Plans::new(&pool, &Extensions::default())?,
        })
    }

    fn respond(&self, request: &[u8]) -> Result<Vec<u8>, Fatal> {
        let request = DynamicMessage::decode(self.request.clone(), request)?;
        let (field, value) = self.answer(&request);
        let mut response = DynamicMessage::new(self.response.clone());
        response.try_set_field_by_name(field, value)?;
        Ok(response.encode_to_vec())
    }

    fn answer(&self, request: &DynamicMessage) -> Answer {
        let get = |name: &str| request.get_field_by_name(name);
        let number = |name: &str| get(name).and_then(|value| value.as_enum_number()).unwrap_or_default();
        let message_type = get("message_type");
        let message_type = message_type.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
        let Some(id) = self.plans.message(message_type) else {
            return text("runtime_error", format!("no message {message_type:?}"));
        };
        if message_type == "conformance.FailureSet" {
            // The runner asks which failures are known: none.
            return ("protobuf_payload", Value::Bytes(Vec::new().into()));
        }
        let output = number("requested_output_format");
        let payload = self.request.oneofs().next().and_then(|payload| {
            let field = payload.fields().find(|field| request.has_field(field))?;
            Some((field.name().to_owned(), request.get_field(&field)))
        });
        match payload.as_ref().map(|(name, value)| (name.as_str(), &**value)) {
            Some(("json_payload", Value::String(json))) if matches!(output, PROTOBUF | JSON) => {
                let ignore = number("test_category") == IGNORE_UNKNOWN;
                self.json_input(id, json, ignore, output == JSON)
            }
            Some(("protobuf_payload", Value::Bytes(wire))) if output == JSON => self.wire_input(id, wire),
            Some(("protobuf_payload", _)) if output == PROTOBUF => {
                text("skipped", "a transcoder writes no Protobuf from Protobuf")
            }
            Some(_) => text("skipped", "a transcoder speaks Protobuf and JSON only"),
            None => text("runtime_error", "a request without a payload"),
        }
    }

    fn json_input(&self, id: MessageId, json: &str, ignore_unknown: bool, to_json: bool) -> Answer {
        let unknown_fields = if ignore_unknown { UnknownFields::Ignore } else { UnknownFields::Reject };
        let options = ParseOptions { unknown_fields, ..ParseOptions::default() };
        let mut wire = Vec::new();
        if let Err(error) = self.plans.parse(id, json.as_bytes(), &options, &mut wire) {
            return text("parse_error", error.to_string());
        }
        if !to_json {
            return ("protobuf_payload", Value::Bytes(wire.into()));
        }
        match self.print(id, &wire) {
            Ok(answer) => answer,
            Err(error) => text("serialize_error", error.to_string()),
        }
    }

    fn wire_input(&self, id: MessageId, wire: &[u8]) -> Answer {
        match self.print(id, wire) {
            Ok(answer) => answer,
            Err(error @ (PrintError::Malformed | PrintError::TooDeep | PrintError::Utf8 { .. })) => {
                text("parse_error", error.to_string())
            }
            Err(error) => text("serialize_error", error.to_string()),
        }
    }

    fn print(&self, id: MessageId, wire: &[u8]) -> Result<Answer, PrintError> {
        let mut json = Vec::new();
        self.plans.print(id, wire, &PrintOptions::default(), &mut json)?;
        Ok(match String::from_utf8(json) {
            Ok(json) => text("json_payload", json),
            Err(error) => text("runtime_error", error.to_string()),
        })
    }
}

fn text(field: &'static str, text: impl Into<String>) -> Answer {
    (field, Value::String(text.into()))
}
