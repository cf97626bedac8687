//! The kernel without a network: the transcoder's example of this name does the work in a process of its own, whose allocations
//! are counted.

use super::{Bench, data};
use crate::process;
use crate::report::Measurement;
use anyhow::Context as _;
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(2);
/// For about 200 bytes, in nanoseconds.
const SMALL_NS: f64 = 300.0;
/// For more than 1 kB.
const GIB_S: f64 = 1.0;
const ALLOCATIONS: f64 = 1.0;

/// Transactions of a message, and the names of its cases.
const SIZES: [(i32, &str, &str); 3] = [
    (1, "kernel_parse_200b", "kernel_print_200b"),
    (7, "kernel_parse_1k", "kernel_print_1k"),
    (100, "kernel_parse_20k", "kernel_print_20k"),
];

/// Both directions on messages of three sizes.
pub(super) fn measure(
    bench: &Bench,
    print: &impl Fn(&Measurement) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let example = bench.transcode_example("kernel")?;
    let descriptors = bench.descriptors()?;
    for (count, parse, printed) in SIZES {
        let (message, json) = match count {
            1 => ("bench.v1.Transaction", data::transaction_json(1)),
            _ => ("bench.v1.ListTransactionsResponse", data::list_json(count)),
        };
        let json = bench.file("kernel.json", json.as_bytes())?;
        let args = [descriptors.as_os_str(), message.as_ref(), json.as_os_str()];
        let line = process::run(&example, &args, LIMIT)?;
        let numbers: Value = serde_json::from_str(&line).context("read what the example printed")?;
        for (case, direction) in [(parse, "parse"), (printed, "print")] {
            let number = |name: &str| {
                let number = numbers[format!("{direction}_{name}")].as_f64();
                number.with_context(|| format!("no {direction}_{name} in {line}"))
            };
            let (ns, gib_s, allocations) = (number("ns")?, number("gib_s")?, number("allocations")?);
            let (goal, met) = match count {
                1 => (format!("ns <= {SMALL_NS}"), ns <= SMALL_NS),
                _ => (format!("gib_s >= {GIB_S}"), gib_s >= GIB_S),
            };
            let goal = format!("{goal}, allocations <= {ALLOCATIONS}");
            print(
                &Measurement::new(case, goal, met && allocations <= ALLOCATIONS)
                    .with("subject", "riskmesh")
                    .with("json_bytes", numbers["json_bytes"].clone())
                    .with_decimals("ns", ns)
                    .with_decimals("gib_s", gib_s)
                    .with_decimals("allocations", allocations),
            )?;
        }
    }
    Ok(())
}
