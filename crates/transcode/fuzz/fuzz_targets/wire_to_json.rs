//! Any bytes as a message: they become JSON that comes back, or an error.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prost_reflect::DescriptorPool;
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions};

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let descriptors = include_bytes!("../../conformance/descriptors.binpb");
    Plans::new(&DescriptorPool::decode(&descriptors[..]).unwrap(), &Extensions::default()).unwrap()
});

const MESSAGES: [&str; 2] =
    ["protobuf_test_messages.proto3.TestAllTypesProto3", "protobuf_test_messages.proto2.TestAllTypesProto2"];

fuzz_target!(|wire: &[u8]| {
    let print = PrintOptions::default();
    // Deeper than messages may nest here, an object may still be read.
    let parse = ParseOptions { max_depth: 1000, ..ParseOptions::default() };
    for message in MESSAGES {
        let id = PLANS.message(message).unwrap();
        let (mut printed, mut again, mut reprinted) = (Vec::new(), Vec::new(), Vec::new());
        if PLANS.print(id, wire, &print, &mut printed).is_err() {
            continue;
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(&printed).expect("JSON");
        PLANS.parse(id, &printed, &parse, &mut again).expect("parse what was printed");
        PLANS.print(id, &again, &print, &mut reprinted).expect("print again");
        // What JSON does not tell apart is gone after one turn: any number of a NullValue is null, and null is none of them.
        let (mut wire, mut last) = (Vec::new(), Vec::new());
        PLANS.parse(id, &reprinted, &parse, &mut wire).expect("parse it a second time");
        PLANS.print(id, &wire, &print, &mut last).expect("print it a third time");
        assert_eq!(reprinted, last);
        assert!(wire.len() <= again.len());
    }
});
