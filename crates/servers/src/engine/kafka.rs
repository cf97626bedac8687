//! Apache Kafka: one node that is broker and controller (KRaft), on the JVM.

use super::{filled, port, text};
use crate::{install, probe, process};
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "4.1.0";
/// The cluster's id: 16 bytes, base64url.
const CLUSTER: &str = "cmlza21lc2gtY2x1c3Rlcg";

pub(super) fn install() -> anyhow::Result<PathBuf> {
    install::jars("kafka", VERSION, include_str!("../../config/kafka-pom.xml"))
}

pub(super) fn prepare(jars: &Path, dir: &Path, ports: &[u16]) -> anyhow::Result<Command> {
    let values = [("DIR", text(dir)?), ("PORT", &port(ports, 0)?), ("CONTROLLER_PORT", &port(ports, 1)?)];
    let properties = dir.join("server.properties");
    std::fs::write(&properties, filled(include_str!("../../config/kafka.properties"), &values))?;
    if !dir.join("log/meta.properties").exists() {
        let mut format = program(jars, "kafka.tools.StorageTool")?;
        process::run(format.args(["format", "-t", CLUSTER, "-c"]).arg(&properties))?;
    }
    let mut server = program(jars, "kafka.Kafka")?;
    server.arg(&properties);
    Ok(server)
}

/// A program of Kafka's: the server, or one of its clients.
fn program(jars: &Path, class: &str) -> anyhow::Result<Command> {
    let mut command = Command::new("java");
    command.args(["-Xms512m", "-Xmx512m", "-Dorg.slf4j.simpleLogger.showDateTime=true"]);
    command.arg("-cp").arg(format!("{}/*", text(jars)?)).arg(class);
    Ok(command)
}

/// One of Kafka's own clients, by its class: `org.apache.kafka.tools.consumer.ConsoleConsumer`. It is installed where it lacks.
///
/// # Errors
/// It cannot be installed.
pub fn kafka_client(class: &str) -> anyhow::Result<Command> {
    program(&install()?, class)
}

/// Metadata, version 0, of all topics: it is ready when the answer has a broker (<https://kafka.apache.org/protocol>).
pub(super) fn is_ready(port: u16) -> bool {
    // Length; key 3, version 0, correlation 1, no client id; no topics named.
    const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 255, 255, 0, 0, 0, 0];
    // Length, correlation, number of brokers.
    probe::ask(port, &METADATA, 12).is_some_and(|answer| answer[8..12] != [0; 4])
}
