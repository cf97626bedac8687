//! Rules that do not fit their methods stop the build, by name.

use riskmesh_transcode::{BuildError, Transcoder};

fn build(rule: &str) -> Result<(), BuildError> {
    let directory = tempfile::tempdir().unwrap();
    let proto = format!(
        r#"
        syntax = "proto3";
        package bad;
        import "google/api/annotations.proto";
        import "google/protobuf/any.proto";
        service S {{ rpc M(In) returns (In) {{ option (google.api.http) = {{ {rule} }}; }} }}
        message In {{
          string id = 1;
          repeated string ids = 2;
          In inner = 3;
          google.protobuf.Any any = 4;
          oneof choice {{ string a = 5; In b = 6; }}
        }}
        "#
    );
    std::fs::write(directory.path().join("bad.proto"), proto).unwrap();
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto"));
    let mut compiler = protox::Compiler::new([directory.path(), root]).unwrap();
    compiler.include_imports(true).open_file("bad.proto").unwrap();
    let pool = prost_reflect::DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap();
    Transcoder::builder(pool).build(()).map(drop)
}

#[test]
fn rules_that_fit_build() {
    for rule in [
        r#"get: "/{id}""#,
        r#"post: "/{inner.inner.id}" body: "inner" response_body: "ids""#,
        r#"get: "/{a}" additional_bindings { get: "/x/{b.id}" }"#,
        r#"custom { kind: "*" path: "/" }"#,
    ] {
        build(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
    }
}

#[test]
fn rules_that_do_not_fit_are_refused_by_name() {
    for (rule, error) in [
        (r#"get: "/{nope}""#, "bad.S.M: GET /{nope}: bad.In has no field nope"),
        (r#"get: "/{ids}""#, "bad.S.M: GET /{ids}: field ids is repeated"),
        (r#"get: "/{inner}""#, "bad.S.M: GET /{inner}: field inner cannot be set from a path"),
        (r#"get: "/{any}""#, "bad.S.M: GET /{any}: field any cannot be set from a path"),
        (r#"get: "/{id.x}""#, "bad.S.M: GET /{id.x}: field id cannot be set from a path"),
        (r#"get: "/{a}/{b.id}""#, "bad.S.M: GET /{a}/{b.id}: variable b.id sets what another variable sets"),
        (
            r#"post: "/{id}" body: "id""#,
            "bad.S.M: POST /{id}: the path sets the body's field id, or its oneof",
        ),
        (r#"post: "/{a}" body: "b""#, "bad.S.M: POST /{a}: the path sets the body's field b, or its oneof"),
        (r#"post: "/" body: "nope""#, "bad.S.M: POST /: bad.In has no field nope"),
        (r#"get: "/" response_body: "nope""#, "bad.S.M: GET /: bad.In has no field nope"),
        (r#"get: "nope""#, "bad.S.M: template `nope`: expected `/` at column 1"),
        (r#"get: "/a" additional_bindings { get: "/a" }"#, "bad.S.M and bad.S.M both claim GET /a"),
        (r#"body: "*""#, "bad.S.M: its HTTP rule has no method and path"),
        (
            r#"get: "/" additional_bindings { body: "*" }"#,
            "bad.S.M: an additional binding has no method and path",
        ),
        (
            r#"get: "/" additional_bindings { get: "/a" additional_bindings { get: "/b" } }"#,
            "bad.S.M: an additional binding has additional bindings",
        ),
        (r#"custom { kind: "A B" path: "/" }"#, "bad.S.M: `A B` is not an HTTP method"),
    ] {
        assert_eq!(build(rule).expect_err(rule).to_string(), error, "{rule}");
    }
}
