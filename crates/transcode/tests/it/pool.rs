//! The test protos, compiled once.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions};

/// The compiler's own bytes: options are in them.
pub(crate) static SET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_imports(true);
    compiler
        .open_files([
            "test/kinds.proto",
            "test/legacy.proto",
            "test/library.proto",
            "test/features.proto",
            "test/behavior.proto",
        ])
        .unwrap();
    compiler.encode_file_descriptor_set()
});

pub(crate) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(&**SET).unwrap());

/// Plans as they are without extensions.
pub(crate) static PLANS: LazyLock<Plans> =
    LazyLock::new(|| Plans::new(&POOL, &Extensions::default()).unwrap());

/// Plans that know the extensions of `test/kinds.proto`.
pub(crate) static MARKED: LazyLock<Plans> = LazyLock::new(|| Plans::new(&POOL, &extensions()).unwrap());

pub(crate) fn extensions() -> Extensions {
    Extensions {
        enum_spelling: Some("test.spelling".to_owned()),
        number: Some("test.number".to_owned()),
        decimal: Some("test.decimal".to_owned()),
        ..Extensions::default()
    }
}

pub(crate) fn descriptor(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(&format!("test.{name}")).unwrap()
}

pub(crate) fn parse_with(
    plans: &Plans,
    name: &str,
    json: &[u8],
    options: &ParseOptions,
) -> Result<Vec<u8>, riskmesh_transcode::plan::ParseError> {
    let mut out = Vec::new();
    let message = plans.message(&format!("test.{name}")).unwrap();
    plans.parse(message, json, options, &mut out).map(|()| out)
}

pub(crate) fn parse(name: &str, json: &str) -> Result<Vec<u8>, riskmesh_transcode::plan::ParseError> {
    parse_with(&PLANS, name, json.as_bytes(), &ParseOptions::default())
}

pub(crate) fn print_with(
    plans: &Plans,
    name: &str,
    wire: &[u8],
    options: &PrintOptions,
) -> Result<String, riskmesh_transcode::plan::PrintError> {
    let mut out = Vec::new();
    let message = plans.message(&format!("test.{name}")).unwrap();
    plans.print(message, wire, options, &mut out).map(|()| String::from_utf8(out).unwrap())
}

pub(crate) fn print(name: &str, wire: &[u8]) -> Result<String, riskmesh_transcode::plan::PrintError> {
    print_with(&PLANS, name, wire, &PrintOptions::default())
}
