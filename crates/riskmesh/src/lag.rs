//! How far consumer groups are behind, as metrics: a gauge for each partition that this process works on.

use bus::consumer::{Lag, PartitionLag};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Metrics;
use telemetry::metrics::Gauges;

/// How often the lag is shown: as often as it is measured.
const EVERY: Duration = Duration::from_secs(1);

/// Shows the lag of a group for as long as it is polled.
pub(crate) async fn show(lag: Lag, group: &'static str, metrics: Metrics) {
    let mut shown = Shown::new(group, &metrics);
    loop {
        shown.replace(&lag.partitions());
        tokio::time::sleep(EVERY).await;
    }
}

struct Shown {
    gauges: Gauges,
    group: &'static str,
    parts: BTreeSet<(Arc<str>, u32)>,
}

impl Shown {
    fn new(group: &'static str, metrics: &Metrics) -> Self {
        let help = "Records of a partition that a group has not committed yet";
        Self { gauges: metrics.gauge("bus_lag_records", help), group, parts: BTreeSet::new() }
    }

    /// Shows these partitions and no others: whoever has taken one over shows it now.
    fn replace(&mut self, lags: &[PartitionLag]) {
        let parts = lags.iter().map(|lag| (lag.topic.clone(), lag.partition)).collect();
        for (topic, partition) in self.parts.difference(&parts) {
            self.gauges.remove(&labels(self.group, topic, &partition.to_string()));
        }
        for lag in lags {
            let gauge = self.gauges.with(&labels(self.group, &lag.topic, &lag.partition.to_string()));
            gauge.set(lag.records().cast_signed());
        }
        self.parts = parts;
    }
}

fn labels<'a>(group: &'a str, topic: &'a str, partition: &'a str) -> [(&'static str, &'a str); 3] {
    [("group", group), ("topic", topic), ("partition", partition)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(partition: u32, next_offset: i64, high_watermark: i64) -> PartitionLag {
        PartitionLag { topic: "transactions".into(), partition, next_offset, high_watermark }
    }

    #[test]
    fn each_partition_that_is_held_has_its_lag_and_one_that_was_lost_has_none() {
        let metrics = Metrics::new();
        let mut shown = Shown::new("analytics", &metrics);
        let line = |partition: u32, records: u64| {
            format!(
                "riskmesh_bus_lag_records{{group=\"analytics\",topic=\"transactions\",partition=\"{partition}\"}} {records}\n"
            )
        };
        shown.replace(&[lag(0, 3, 10), lag(1, 5, 5)]);
        let text = metrics.encode();
        assert!(text.contains(&line(0, 7)) && text.contains(&line(1, 0)), "{text}");
        shown.replace(&[lag(1, 5, 6)]);
        let text = metrics.encode();
        assert!(!text.contains("partition=\"0\"") && text.contains(&line(1, 1)), "{text}");
        shown.replace(&[]);
        assert!(!metrics.encode().contains("partition="));
    }
}
