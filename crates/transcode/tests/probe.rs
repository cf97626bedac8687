//! `transcode-probe` answers each line with one line, also a bad one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn ask(lines: &[String]) -> Vec<Value> {
    let mut probe = Command::new(env!("CARGO_BIN_EXE_transcode-probe"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    probe.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = probe.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers = std::str::from_utf8(&output.stdout).unwrap().lines();
    answers.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_question_gets_its_answer() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_imports(true).open_file("test/kinds.proto").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), compiler.encode_file_descriptor_set()).unwrap();
    let route = |id, template| json!({"id": id, "method": "GET", "template": template, "body": ""});
    let questions = [
        json!({"op": "template", "template": "/a/{b=c/**}/d:v"}).to_string(),
        json!({"op": "template", "template": "/a//b"}).to_string(),
        json!({"op": "match", "routes": [route("r1", "/a/{x}")], "lookups": [
            {"method": "GET", "path": "/a/1", "query": "y=2"},
            {"method": "GET", "path": "/b", "query": ""},
            {"method": "GET", "path": "/a/%zz", "query": ""},
        ]})
        .to_string(),
        json!({"op": "match", "routes": [route("r1", "/a/{x}"), route("r2", "/a/*")], "lookups": []}).to_string(),
        json!({"op": "json_to_proto", "descriptor_set": file.path(), "message": "test.Scalars", "json": "{\"int32Field\":1}"})
            .to_string(),
        json!({"op": "proto_to_json", "descriptor_set": file.path(), "message": "test.Scalars", "hex": "1801"}).to_string(),
        json!({"op": "proto_to_json", "descriptor_set": file.path(), "message": "test.Nope", "hex": ""}).to_string(),
        json!({"op": "proto_to_json", "descriptor_set": file.path(), "message": "test.Scalars", "hex": "1"}).to_string(),
        "not JSON".to_owned(),
        json!({"op": "json_to_proto", "descriptor_set": "/nowhere", "message": "x", "json": "{}"}).to_string(),
        json!({"op": "json_to_proto", "descriptor_set": file.path(), "message": "test.Scalars", "json": "{"}).to_string(),
    ];
    let answers = ask(&questions);
    assert_eq!(answers.len(), questions.len());
    let none = json!({"route": null, "bindings": []});
    assert_eq!(
        answers[..8],
        [
            json!({"segments": ["a", "c", "**", "d"], "verb": "v", "variables": [
                {"field_path": "b", "start": 1, "end": -2, "wildcard_path": true},
            ]}),
            json!({"error": "expected a segment at column 4"}),
            json!({"results": [
                {"route": "r1", "bindings": [{"field_path": "x", "value": "1"}, {"field_path": "y", "value": "2"}]},
                none,
                none,
            ]}),
            json!({"error": "r2 and r1 both claim GET /a/*"}),
            json!({"hex": "1801"}),
            json!({"json": "{\"int32Field\":1}"}),
            json!({"error": "no message test.Nope"}),
            json!({"error": "not hexadecimal"}),
        ]
    );
    assert!(answers[8..].iter().all(|answer| answer["error"].is_string()), "{answers:?}");
}
