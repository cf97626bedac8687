//! How fast the kernel is on a message of one's own: JSON to wire format and back, no network, one thread.
//!
//! `cargo run --release -p riskmesh-transcode --example kernel -- DESCRIPTORS MESSAGE JSON-FILE`
//!
//! Prints one JSON line: nanoseconds, GiB of JSON a second, and allocations a call. The time of a direction is what
//! nine of ten short rounds exceed: whatever else the machine does only adds to it.

#![allow(clippy::expect_used, reason = "a benchmark ends where it fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use alloc_tracker::{Allocator, Session};
use prost_reflect::DescriptorPool;
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions};

/// The product's allocator, counted.
#[global_allocator]
static ALLOCATOR: Allocator<mimalloc::MiMalloc> = Allocator::new(mimalloc::MiMalloc);

/// How long a round takes, about, and how many there are.
const ROUND: Duration = Duration::from_millis(1);
const ROUNDS: usize = 1000;

fn main() {
    let mut args = std::env::args().skip(1);
    let mut arg = || args.next().expect("DESCRIPTORS MESSAGE JSON-FILE");
    let pool = DescriptorPool::decode(&*std::fs::read(arg()).expect("read the descriptors"));
    let plans = Plans::new(&pool.expect("descriptors"), &Extensions::default()).expect("plans");
    let message = plans.message(&arg()).expect("a message of the descriptors");
    let json = std::fs::read(arg()).expect("read the JSON");

    let parse_options = ParseOptions::default();
    let parse = |json: &[u8]| {
        // As the service does it: JSON is no shorter than its wire format, but for what is very small.
        let mut wire = Vec::with_capacity(json.len() + 16);
        plans.parse(message, json, &parse_options, &mut wire).expect("JSON of the message");
        wire
    };
    let wire = parse(&json);
    let print_options = PrintOptions::default();
    let print = |wire: &[u8]| {
        let mut json = Vec::with_capacity(plans.room(message, wire.len()));
        plans.print(message, wire, &print_options, &mut json).expect("wire format of the message");
        json
    };
    let printed = print(&wire);
    assert_eq!(parse(&printed), wire, "what is printed reads as the same");

    let (parse_ns, parse_allocations) = measure(|| drop(black_box(parse(black_box(&json)))));
    let (print_ns, print_allocations) = measure(|| drop(black_box(print(black_box(&wire)))));
    let gib_s = |bytes: usize, ns: f64| bytes as f64 / ns * 1e9 / f64::from(1 << 30);
    println!(
        "{{\"json_bytes\":{},\"wire_bytes\":{},\
         \"parse_ns\":{parse_ns:.1},\"parse_gib_s\":{:.3},\"parse_allocations\":{parse_allocations:.2},\
         \"print_ns\":{print_ns:.1},\"print_gib_s\":{:.3},\"print_allocations\":{print_allocations:.2}}}",
        json.len(),
        wire.len(),
        gib_s(json.len(), parse_ns),
        gib_s(printed.len(), print_ns),
    );
}

/// Nanoseconds and allocations a call.
fn measure(mut call: impl FnMut()) -> (f64, f64) {
    let mut round = |calls: u32| {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        start.elapsed()
    };
    // The first calls warm caches and find the widths of lengths.
    let calls = (ROUND.as_secs_f64() / (round(1000).as_secs_f64() / 1000.0)).clamp(10.0, 1e7) as u32;
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| round(calls)).collect();
    times.sort_unstable();
    let session = Session::new().no_stdout().no_file();
    let operation = session.operation("call");
    {
        let _span = operation.measure_thread().iterations(1000);
        round(1000);
    }
    let report = session.to_report();
    let allocations = report.operations().next().and_then(|(_, counted)| counted.allocations());
    (
        times[ROUNDS / 10].as_secs_f64() * 1e9 / f64::from(calls),
        allocations.expect("allocations were counted"),
    )
}
