//! Java's clients read what we wrote, and we what they wrote.

use crate::broker::{self, World};
use riskmesh_bus::consumer::Config;
use riskmesh_bus::kafka::Compression;
use riskmesh_bus::kinds::TRANSACTIONS_RECORDED;
use riskmesh_bus::suite::fresh_topic;
use riskmesh_bus::{Bus as _, Consumer, Delivered, Event, Handler, HandlerError, Record, event, partition};
use riskmesh_core::Timestamp;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const COMPRESSIONS: [(Compression, &str); 5] = [
    (Compression::None, "none"),
    (Compression::Gzip, "gzip"),
    (Compression::Lz4, "lz4"),
    (Compression::Snappy, "snappy"),
    (Compression::Zstd, "zstd"),
];

fn java(class: &str, arguments: &[&str]) -> Command {
    let mut command = servers::kafka_client(class).unwrap();
    command.args(arguments);
    command
}

/// Runs to the end on this input, and gives what was printed.
fn run(mut command: Command, input: &str) -> Vec<u8> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("ERROR"), "{told}");
    output.stdout
}

fn event(account: &str) -> Event<api::events::v1::TransactionsRecorded> {
    let data = api::events::v1::TransactionsRecorded {
        tenant: "acme".to_owned(),
        client_id: "42".to_owned(),
        account_id: account.to_owned(),
        hours: vec![490_000, 490_001],
    };
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    Event::new(event::id(&[account.as_bytes()]), "/riskmesh/clients", Timestamp(1_753_884_900_007), data)
        .traced(Some(traceparent))
}

#[tokio::test(flavor = "multi_thread")]
async fn java_s_console_consumer_reads_our_events() {
    let broker = broker::shared().await;
    let (world, topic) = (World::new(), fresh_topic());
    let mut expected = Vec::new();
    for (compression, name) in COMPRESSIONS {
        let bus = world.open(broker::options(&broker).compression(compression), topic).await;
        let accounts = (0..10).map(|n| format!("{name}-{n}"));
        let records: Vec<Record> = accounts
            .map(|account| TRANSACTIONS_RECORDED.encode(format!("acme/{account}"), &event(&account)))
            .collect();
        let positions = bus.publish(topic.name, records.clone()).await.unwrap();
        for (position, record) in positions.into_iter().zip(records) {
            let mut headers: Vec<_> = record.headers.iter().collect();
            headers.sort_unstable();
            let headers: Vec<String> = headers
                .into_iter()
                .map(|(name, value)| format!("{name}:{}", std::str::from_utf8(value).unwrap()))
                .collect();
            let place = format!("Partition:{}\tOffset:{}", position.partition, position.offset);
            let key = std::str::from_utf8(&record.key).unwrap();
            let mut line = format!("{place}\t{}\t{key}\t", headers.join(",")).into_bytes();
            line.extend_from_slice(&record.payload);
            line.push(b'\n');
            expected.push(line);
        }
    }
    let address = broker.address().to_string();
    let mut arguments = vec!["--bootstrap-server", &address, "--topic", topic.name, "--from-beginning"];
    arguments.extend(["--max-messages", "50", "--timeout-ms", "60000"]);
    for printed in ["partition", "offset", "headers", "key"] {
        arguments.push("--property");
        arguments.push(match printed {
            "partition" => "print.partition=true",
            "offset" => "print.offset=true",
            "headers" => "print.headers=true",
            _ => "print.key=true",
        });
    }
    let consumer = java("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
    let printed = tokio::task::spawn_blocking(move || run(consumer, "")).await.unwrap();
    for line in &expected {
        assert!(
            printed.windows(line.len()).any(|window| window == line),
            "{} is not in {}",
            line.escape_ascii(),
            printed.escape_ascii()
        );
    }
    assert_eq!(printed.len(), expected.concat().len(), "nothing else is there");
}

/// Keeps what it was given.
#[derive(Default)]
struct Kept(Mutex<Vec<Delivered>>);

#[async_trait::async_trait]
impl Handler for Kept {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        self.0.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_consumer_reads_what_java_s_console_producer_wrote() {
    let broker = broker::shared().await;
    let (world, topic) = (World::new(), fresh_topic());
    let bus = world.open(broker::options(&broker), topic).await;
    let consumer = Consumer::new(
        bus.clone(),
        world.store.clone(),
        world.clock.clone(),
        Config::new("group", "one", [topic.name]),
    )
    .unwrap();
    let (kept, stop) = (Arc::new(Kept::default()), CancellationToken::new());
    let consuming = tokio::spawn(consumer.run(kept.clone(), stop.clone()));

    let address = broker.address().to_string();
    let producers = COMPRESSIONS.map(|(_, name)| {
        let mut arguments = vec!["--bootstrap-server", &address, "--topic", topic.name];
        arguments.extend(["--compression-codec", name, "--property", "parse.key=true"]);
        arguments.extend(["--property", "parse.headers=true", "--property", "null.marker=none"]);
        let producer = java("org.apache.kafka.tools.ConsoleProducer", &arguments);
        let mut lines = Vec::new();
        for n in 0..20 {
            lines.push(format!("ce_id:{name}-{n},empty:\t{name}-key-{n}\tvalue {n}\n"));
        }
        // No headers, key and value: not even empty ones.
        lines.push("none\tnone\tnone\n".to_owned());
        let lines = lines.concat();
        tokio::task::spawn_blocking(move || run(producer, &lines))
    });
    for producer in producers {
        producer.await.unwrap();
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while kept.0.lock().unwrap().len() < COMPRESSIONS.len() * 21 {
        assert!(tokio::time::Instant::now() < deadline, "{} came", kept.0.lock().unwrap().len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    consuming.await.unwrap().unwrap();

    let kept = std::mem::take(&mut *kept.0.lock().unwrap());
    for (_, name) in COMPRESSIONS {
        for n in 0..20 {
            let key = format!("{name}-key-{n}");
            let delivered: Vec<&Delivered> =
                kept.iter().filter(|delivered| delivered.record.key == key).collect();
            let [delivered] = delivered[..] else { panic!("{key}: {delivered:?}") };
            assert_eq!(delivered.partition, partition::of(key.as_bytes(), topic.partitions));
            assert_eq!(delivered.record.payload, format!("value {n}"));
            assert_eq!(delivered.record.headers.text("ce_id"), Some(&*format!("{name}-{n}")));
            assert_eq!(delivered.record.headers.text("empty"), Some(""));
        }
    }
    let nothing = kept.iter().filter(|delivered| delivered.record == Record::default());
    assert_eq!(nothing.count(), COMPRESSIONS.len());
}
