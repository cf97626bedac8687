//! Any bytes as JSON: they become a message that Protobuf reads and that comes back, or an error with a place in the text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prost_reflect::{DescriptorPool, DynamicMessage};
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(&include_bytes!("../../conformance/descriptors.binpb")[..]).unwrap()
});
static PLANS: LazyLock<Plans> = LazyLock::new(|| Plans::new(&POOL, &Extensions::default()).unwrap());

const MESSAGE: &str = "protobuf_test_messages.proto3.TestAllTypesProto3";

fuzz_target!(|json: &[u8]| {
    let id = PLANS.message(MESSAGE).unwrap();
    let (parse, print) = (ParseOptions::default(), PrintOptions::default());
    let mut wire = Vec::new();
    if let Err(error) = PLANS.parse(id, json, &parse, &mut wire) {
        assert!(error.offset <= json.len() && error.line > 0 && error.column > 0);
        return;
    }
    DynamicMessage::decode(POOL.get_message_by_name(MESSAGE).unwrap(), &*wire).expect("wire format");
    let (mut printed, mut again, mut reprinted) = (Vec::new(), Vec::new(), Vec::new());
    // A double of a `google.protobuf.Value` that JSON cannot hold does not come out of JSON, so printing works.
    PLANS.print(id, &wire, &print, &mut printed).expect("print");
    PLANS.parse(id, &printed, &parse, &mut again).expect("parse what was printed");
    PLANS.print(id, &again, &print, &mut reprinted).expect("print again");
    assert_eq!(printed, reprinted);
});
