//! `transcode-conformance`, the testee of protobuf's conformance runner, as the runner speaks to it.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance");
const PROTO3: &str = "protobuf_test_messages.proto3.TestAllTypesProto3";
/// `optional_int32: 7`
const SEVEN: &[u8] = &[0x08, 7];

static COMPILED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut compiler = protox::Compiler::new([ROOT]).unwrap();
    compiler.include_imports(true);
    // Empty is named in an Any by later runners, and imported by none of the files.
    let files = [
        "conformance.proto",
        "google/protobuf/empty.proto",
        "test_messages_proto2.proto",
        "test_messages_proto3.proto",
    ];
    compiler.open_files(files).unwrap();
    compiler.encode_file_descriptor_set()
});

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(&**COMPILED).unwrap());

fn message(name: &str, fields: &[(&str, Value)]) -> DynamicMessage {
    let mut message = DynamicMessage::new(POOL.get_message_by_name(name).unwrap());
    for (field, value) in fields {
        message.set_field_by_name(field, value.clone());
    }
    message
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_le_bytes()[..], message].concat()
}

fn request(payload: (&str, Value), output: i32, category: i32) -> Vec<u8> {
    let fields = [
        payload,
        ("requested_output_format", Value::EnumNumber(output)),
        ("message_type", Value::String(PROTO3.to_owned())),
        ("test_category", Value::EnumNumber(category)),
    ];
    framed(&message("conformance.ConformanceRequest", &fields).encode_to_vec())
}

fn json(text: &str) -> (&'static str, Value) {
    ("json_payload", Value::String(text.to_owned()))
}

fn wire(bytes: &[u8]) -> (&'static str, Value) {
    ("protobuf_payload", Value::Bytes(bytes.to_vec().into()))
}

/// What the testee says to an input, how it ends, and its last words.
fn run(input: &[u8]) -> (Vec<(String, Value)>, ExitStatus, String) {
    let mut testee = Command::new(env!("CARGO_BIN_EXE_transcode-conformance"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    testee.stdin.take().unwrap().write_all(input).unwrap();
    let output = testee.wait_with_output().unwrap();
    let descriptor = message("conformance.ConformanceResponse", &[]).descriptor();
    let (mut rest, mut responses) = (&output.stdout[..], Vec::new());
    while !rest.is_empty() {
        let mut length = [0; 4];
        rest.read_exact(&mut length).unwrap();
        let (response, after) = rest.split_at(u32::from_le_bytes(length) as usize);
        let response = DynamicMessage::decode(descriptor.clone(), response).unwrap();
        let (field, value) = response.fields().next().unwrap();
        responses.push((field.name().to_owned(), value.clone()));
        rest = after;
    }
    (responses, output.status, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_committed_descriptors_are_what_the_protos_say() {
    let path = format!("{ROOT}/descriptors.binpb");
    if std::env::var_os("WRITE_DESCRIPTORS").is_some() {
        std::fs::write(&path, &*COMPILED).unwrap();
    }
    let committed = std::fs::read(&path).unwrap();
    assert!(committed == *COMPILED, "{path} is out of date: run this test once with WRITE_DESCRIPTORS=1");
}

#[test]
fn every_request_gets_its_answer() {
    let input = [
        request(json(r#"{"optionalInt32":7}"#), 1, 2),
        request(wire(SEVEN), 2, 1),
        request(json(r#"{ "optional_int32" : "7" }"#), 2, 2),
        request(json(r#"{"optionalInt32":"x"}"#), 1, 2),
        request(json(r#"{"optionalInt32":7,"unknown":[{}]}"#), 1, 2),
        request(json(r#"{"optionalInt32":7,"unknown":[{}]}"#), 1, 3),
        request(wire(&[0x08]), 2, 1),
        // A timestamp in the year 10000.
        request(wire(&[0xf2, 0x12, 7, 0x08, 0x80, 0x83, 0xd1, 0xff, 0xaf, 0x07]), 2, 2),
    ]
    .concat();
    let (responses, status, errors) = run(&input);
    assert!(status.success(), "{errors}");
    let text = |field: &str, text: &str| (field.to_owned(), Value::String(text.to_owned()));
    let seven = ("protobuf_payload".to_owned(), Value::Bytes(SEVEN.to_vec().into()));
    assert_eq!(
        responses,
        [
            seven.clone(),
            text("json_payload", r#"{"optionalInt32":7}"#),
            text("json_payload", r#"{"optionalInt32":7}"#),
            text("parse_error", "line 1, column 18, optionalInt32: not an integer"),
            text("parse_error", "line 1, column 20, unknown: unknown field"),
            seven,
            text("parse_error", "the bytes are not a message in Protobuf's wire format"),
            text("serialize_error", "a google.protobuf.Timestamp holds a value that JSON cannot express"),
        ]
    );
}

#[test]
fn what_a_transcoder_does_not_do_is_skipped() {
    let words = Value::String("optional_int32: 7".to_owned());
    let input = [
        request(wire(SEVEN), 1, 1),
        request(wire(SEVEN), 4, 5),
        request(json("{}"), 3, 4),
        request(("text_payload", words), 2, 5),
    ];
    let (responses, status, errors) = run(&input.concat());
    assert!(status.success(), "{errors}");
    assert_eq!(responses.len(), 4);
    assert!(responses.iter().all(|(field, _)| field == "skipped"), "{responses:?}");
}

#[test]
fn no_failure_is_known_beforehand() {
    let name = Value::String("conformance.FailureSet".to_owned());
    let fields = [wire(&[]), ("requested_output_format", Value::EnumNumber(1)), ("message_type", name)];
    let (responses, ..) = run(&framed(&message("conformance.ConformanceRequest", &fields).encode_to_vec()));
    assert_eq!(responses, [("protobuf_payload".to_owned(), Value::Bytes(Vec::new().into()))]);
}

#[test]
fn a_request_for_an_unknown_message_or_without_a_payload_is_an_error_of_its_own() {
    let message_type = ("message_type", Value::String(PROTO3.to_owned()));
    let empty = message("conformance.ConformanceRequest", &[message_type]);
    let unknown = message("conformance.ConformanceRequest", &[json("{}")]);
    let input = [empty, unknown].map(|request| framed(&request.encode_to_vec())).concat();
    let (responses, status, errors) = run(&[input, request(wire(SEVEN), 2, 1)].concat());
    assert!(status.success(), "{errors}");
    let fields: Vec<&str> = responses.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["runtime_error", "runtime_error", "json_payload"]);
}

#[test]
fn garbage_ends_it_with_an_error_and_no_panic() {
    for (garbage, error) in [
        (&[1, 0][..], "the input ends inside a length"),
        (&[0xff, 0xff, 0xff, 0xff, b'x'], "the input ends inside a request of 4294967295 bytes"),
        (&[2, 0, 0, 0, 0xff, 0xff], "failed to decode Protobuf message"),
    ] {
        let (responses, status, errors) = run(&[&request(wire(SEVEN), 2, 1), garbage].concat());
        assert_eq!((responses.len(), status.code()), (1, Some(1)), "{errors}");
        assert!(errors.starts_with("transcode-conformance: ") && errors.contains(error), "{errors}");
    }
}
