//! Apache Cassandra: a node of its own cluster, on the JVM.

use super::{filled, port, text};
use crate::{install, probe};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "5.0.6";

/// What its code reaches for inside the JVM (its own jvm17-server.options).
const EXPORTS: [&str; 9] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.rmi/sun.rmi.transport.tcp",
    "java.rmi/sun.rmi.transport",
];
/// And what it looks into by reflection.
const OPENS: [&str; 18] = [
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
];

pub(super) fn install() -> anyhow::Result<PathBuf> {
    install::jars("cassandra", VERSION, include_str!("../../config/cassandra-pom.xml"))
}

pub(super) fn prepare(jars: &Path, dir: &Path, ports: &[u16]) -> anyhow::Result<Command> {
    let values = [("DIR", text(dir)?), ("PORT", &port(ports, 0)?), ("STORAGE_PORT", &port(ports, 1)?)];
    let (yaml, logback) = (dir.join("cassandra.yaml"), dir.join("logback.xml"));
    std::fs::write(&yaml, filled(include_str!("../../config/cassandra.yaml"), &values))?;
    std::fs::write(&logback, include_str!("../../config/cassandra-logback.xml"))?;
    let agent = jar(jars, "jamm-")?;
    let mut command = Command::new("java");
    for export in EXPORTS {
        command.args(["--add-exports", &format!("{export}=ALL-UNNAMED")]);
    }
    for open in OPENS {
        command.args(["--add-opens", &format!("{open}=ALL-UNNAMED")]);
    }
    command
        .args(["-Xms1g", "-Xmx1g"])
        .arg(format!("-javaagent:{}", text(&agent)?))
        .arg(format!("-Dcassandra.storagedir={}", text(dir)?))
        .arg(format!("-Dcassandra.config=file://{}", text(&yaml)?))
        .arg(format!("-Dlogback.configurationFile={}", text(&logback)?))
        // There is nobody to gossip with.
        .args(["-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.superuser_setup_delay_ms=0"])
        .arg("-cp")
        .arg(format!("{}/*", text(jars)?))
        .arg("org.apache.cassandra.service.CassandraDaemon");
    Ok(command)
}

/// The jar whose name begins so.
fn jar(jars: &Path, prefix: &str) -> anyhow::Result<PathBuf> {
    let mut names = std::fs::read_dir(jars)?.filter_map(Result::ok).map(|entry| entry.path());
    names
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .with_context(|| format!("{} has no {prefix}*.jar", jars.display()))
}

/// OPTIONS of the native protocol, version 4; the answer is SUPPORTED (native_protocol_v4.spec, 4.1.3 and 4.2.4).
pub(super) fn is_ready(port: u16) -> bool {
    const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
    const SUPPORTED: u8 = 6;
    probe::ask(port, &OPTIONS, 9).is_some_and(|answer| answer[4] == SUPPORTED)
}
