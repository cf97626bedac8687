//! `riskmesh import transactions`.

use crate::cli::{Format, ImportArgs};
use crate::config::Config;
use crate::connection::Connection;
use crate::import::{self, Ledger, Options, Summary};
use anyhow::Context as _;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The largest answer: a message of entries that were all rejected.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Imports a file and says what became of it; fails where rows were rejected, after everything else is in.
pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<()> {
    let format = match args.format {
        Some(format) => format,
        None => guess(&args.file)?,
    };
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("read mapping {}", path.display()))
    };
    let mapping = args.mapping.as_ref().map(read).transpose()?;
    let rejects = args.rejects.clone().unwrap_or_else(|| {
        let mut name = args.file.clone().into_os_string();
        name.push(".rejected.csv");
        name.into()
    });
    let config = Config::of(&args.data)?;
    let connection = Connection::open(&config, &args.tenant, "import").await?;
    let ledger = Ledger {
        client: TransactionsServiceClient::new(connection.channel.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES),
        authorization: connection.authorization.clone(),
    };
    let started = Instant::now();
    let options = Options {
        file: &args.file,
        tenant: &args.tenant,
        format,
        mapping: mapping.as_deref(),
        data_dir: &config.data_dir,
        rejects,
        restart: args.restart,
        progress: std::io::stderr().is_terminal(),
    };
    let imported = import::run(options, ledger).await;
    if let Ok(summary) = &imported {
        say(summary, started.elapsed());
    }
    let served = connection.is_served();
    connection.finish().await?;
    let summary = imported?;
    println!(
        "{}",
        if served { "scores follow as the server works off its log" } else { "scores are up to date" }
    );
    match summary.rejects {
        Some(path) => anyhow::bail!("{} rows were rejected: see {}", summary.rejected, path.display()),
        None => Ok(()),
    }
}

/// What is recorded, before the scores follow.
fn say(summary: &Summary, elapsed: Duration) {
    if let Some(line) = summary.resumed_at {
        println!("resumed at line {line}");
    }
    if summary.started_over {
        println!("started over: the file, or its reject file, is not as an interrupted import left it");
    }
    println!(
        "{} rows: {} entries new, {} there already, {} rejected",
        summary.rows, summary.created, summary.duplicates, summary.rejected
    );
    if summary.resumed_at.is_none() {
        let (seconds, entries) = (elapsed.as_secs_f64(), summary.created + summary.duplicates);
        println!("{seconds:.2} s, {:.0} entries/s", entries as f64 / seconds.max(1e-9));
    }
}

fn guess(file: &Path) -> anyhow::Result<Format> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("ndjson" | "jsonl") => Ok(Format::Ndjson),
        _ => anyhow::bail!("say --format csv or --format ndjson: the file's name does not tell"),
    }
}
