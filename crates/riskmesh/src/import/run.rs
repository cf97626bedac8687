//! The import itself: windows of rows through a few workers, each with its share of the accounts.

use super::Error;
use super::checkpoint::{Checkpoint, Fingerprint, Place};
use super::mapping::{Compiled, Mapping, MissingAccounts};
use super::rejects::{Origin, Reject, Rejects};
use super::rows::{Cells, Rows};
use crate::admin_socket::AnyChannel;
use crate::cli::Format;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use api::transactions::v1::{IngestTransactionsRequest, IngestTransactionsResponse, Transaction};
use indicatif::{ProgressBar, ProgressStyle};
use riskmesh_core::{ErrorCode, TenantId};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataValue};

/// Workers; each takes the accounts of its share, so that no two write one account at once.
const WORKERS: usize = 4;
/// Entries of one window, and rows.
const WINDOW: usize = 262_144;
/// Entries of one message.
const MESSAGE: usize = 8_192;
/// Windows on their way at a time.
const AHEAD: usize = 2;
/// How often a batch is sent again while the server is not available.
const ATTEMPTS: u32 = 8;

/// What an import did, over all its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows read.
    pub rows: u64,
    /// Entries that were new.
    pub created: u64,
    /// Entries that were there already.
    pub duplicates: u64,
    /// Rows, or entries of rows, that went to the reject file.
    pub rejected: u64,
    /// The line at which an earlier run was taken up.
    pub resumed_at: Option<u64>,
    /// Whether an earlier run could not be taken up, because its files have changed since.
    pub started_over: bool,
    /// The reject file, where there is one.
    pub rejects: Option<PathBuf>,
}

/// What to import, and how.
pub struct Options<'a> {
    /// The file.
    pub file: &'a Path,
    /// Whose data they are.
    pub tenant: &'a TenantId,
    /// Its format.
    pub format: Format,
    /// The text of the mapping; the natural one where there is none.
    pub mapping: Option<&'a str>,
    /// Where checkpoints are kept.
    pub data_dir: &'a Path,
    /// The reject file.
    pub rejects: PathBuf,
    /// Whether to ignore an earlier run's checkpoint.
    pub restart: bool,
    /// Whether to draw a progress bar.
    pub progress: bool,
}

/// A connection to the service, and the token that goes with each call.
#[derive(Clone)]
pub struct Ledger {
    /// The client.
    pub client: TransactionsServiceClient<AnyChannel>,
    /// `Bearer …`
    pub authorization: MetadataValue<Ascii>,
}

/// Rows that are recorded, checkpointed and reported together.
struct Window {
    shares: Vec<Share>,
    rejects: Vec<Reject>,
    rows: u64,
    byte: u64,
    line: u64,
}

/// One worker's part of a window: entries, and where they came from.
type Share = Vec<(Transaction, Origin)>;

struct Job {
    share: Share,
    done: oneshot::Sender<Result<Done, Error>>,
}

#[derive(Default)]
struct Done {
    created: u64,
    duplicates: u64,
    rejects: Vec<Reject>,
}

/// Runs an import to the end of the file.
pub async fn run(options: Options<'_>, ledger: Ledger) -> Result<Summary, Error> {
    let mapping = options.mapping.map_or_else(Mapping::natural, Mapping::parse)?;
    let (mut rows, mut columns) = Rows::open(options.file, options.format)?;
    let compiled = mapping.compile(&mut columns)?;
    let place = Place::new(&options)?;
    let read = |source| Error::File { doing: "read", path: options.file.to_owned(), source };
    let mut fingerprint = Fingerprint::new(options.file).map_err(read)?;
    let found = place.load().filter(|_| !options.restart);
    let is_found = found.is_some();
    let mut checkpoint = match found {
        Some(found)
            if fingerprint.upto(found.byte).map_err(read)? == found.digest
                && Rejects::fits(&options.rejects, found.rejects_length) =>
        {
            found
        }
        _ => Checkpoint::default(),
    };
    let resumed_at = (checkpoint.byte > 0).then_some(checkpoint.line);
    if resumed_at.is_none() {
        fingerprint = Fingerprint::new(options.file).map_err(read)?;
    }
    rows.start(&columns, &checkpoint)?;
    let mut rejects = Rejects::open(&options.rejects, checkpoint.rejects_length, options.file)?;
    let bar = progress_bar(&options, &checkpoint)?;

    let create = mapping.missing_accounts == MissingAccounts::Create;
    let workers: Vec<mpsc::Sender<Job>> =
        (0..WORKERS).map(|_| spawn_worker(ledger.clone(), create)).collect();
    let (send, mut windows) = mpsc::channel(AHEAD);
    let reader = tokio::task::spawn_blocking(move || read_windows(rows, &compiled, &send));

    let mut under_way = VecDeque::new();
    loop {
        let window = if under_way.len() < AHEAD { windows.recv().await } else { None };
        if let Some(window) = window {
            under_way.push_back(hand_out(window?, &workers).await);
            continue;
        }
        let Some((mut window, answers)) = under_way.pop_front() else { break };
        for answer in answers {
            let done = answer
                .await
                .map_err(|_| Error::Server(Box::new(riskmesh_core::Error::internal("import worker"))))??;
            checkpoint.created += done.created;
            checkpoint.duplicates += done.duplicates;
            window.rejects.extend(done.rejects);
        }
        window.rejects.sort_by_key(|reject| reject.origin.line);
        rejects.write(&window.rejects)?;
        checkpoint.rejected += window.rejects.len() as u64;
        checkpoint.rejects_length = rejects.length();
        checkpoint.rows += window.rows;
        (checkpoint.byte, checkpoint.line) = (window.byte, window.line);
        checkpoint.digest = fingerprint.upto(window.byte).map_err(read)?;
        place.save(&checkpoint)?;
        bar.set_position(checkpoint.byte);
        bar.set_message(format!("{} rows", checkpoint.rows));
    }
    reader.await.map_err(|_| Error::Server(Box::new(riskmesh_core::Error::internal("import reader"))))??;
    bar.finish();
    place.clear()?;
    Ok(Summary {
        rows: checkpoint.rows,
        created: checkpoint.created,
        duplicates: checkpoint.duplicates,
        rejected: checkpoint.rejected,
        resumed_at,
        started_over: is_found && resumed_at.is_none(),
        rejects: (checkpoint.rejected > 0).then_some(options.rejects),
    })
}

fn progress_bar(options: &Options<'_>, checkpoint: &Checkpoint) -> Result<ProgressBar, Error> {
    if !options.progress {
        return Ok(ProgressBar::hidden());
    }
    let fail = |source| Error::File { doing: "look at", path: options.file.to_owned(), source };
    let bar = ProgressBar::new(options.file.metadata().map_err(fail)?.len());
    let style = "{spinner} {wide_bar} {bytes}/{total_bytes} {msg} {eta}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(checkpoint.byte);
    bar.reset_eta();
    Ok(bar)
}

/// Reads, maps and cuts into windows, until the end or until nobody listens any more.
fn read_windows(
    mut rows: Rows,
    mappings: &[Compiled],
    send: &mpsc::Sender<Result<Window, Error>>,
) -> Result<(), Error> {
    let mut cells = Cells::new();
    loop {
        let mut window = Window { shares: Vec::new(), rejects: Vec::new(), rows: 0, byte: 0, line: 0 };
        window.shares.resize_with(WORKERS, Share::new);
        let mut entries = 0;
        let mut more = true;
        while entries < WINDOW && window.rows < WINDOW as u64 {
            let Some(row) = rows.next(&mut cells)? else {
                more = false;
                break;
            };
            window.rows += 1;
            let origin = Origin { line: row.line, span: row.span };
            let made = row.cells.and_then(|()| {
                let cell = |position: usize| cells.get(position).map_or("", String::as_str);
                mappings
                    .iter()
                    .map(|mapping| mapping.apply(origin.line, &cell))
                    .collect::<Result<Vec<_>, _>>()
            });
            match made {
                Ok(made) => {
                    entries += made.len();
                    for entry in made {
                        let share = &mut window.shares[share_of(&entry.account_id)];
                        share.push((entry, origin.clone()));
                    }
                }
                Err(reason) => window.rejects.push(Reject { origin, reason }),
            }
        }
        (window.byte, window.line) = rows.position();
        let empty = window.rows == 0;
        if !empty && send.blocking_send(Ok(window)).is_err() {
            return Ok(());
        }
        if !more {
            return Ok(());
        }
    }
}

fn share_of(account: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    account.hash(&mut hasher);
    (hasher.finish() % WORKERS as u64) as usize
}

async fn hand_out(
    mut window: Window,
    workers: &[mpsc::Sender<Job>],
) -> (Window, Vec<oneshot::Receiver<Result<Done, Error>>>) {
    let mut answers = Vec::with_capacity(workers.len());
    for (worker, share) in workers.iter().zip(std::mem::take(&mut window.shares)) {
        let (done, answer) = oneshot::channel();
        // A worker that is gone drops `done`, which the receiver sees.
        let _ = worker.send(Job { share, done }).await;
        answers.push(answer);
    }
    (window, answers)
}

fn spawn_worker(ledger: Ledger, create: bool) -> mpsc::Sender<Job> {
    let (send, mut jobs) = mpsc::channel::<Job>(AHEAD);
    tokio::spawn(async move {
        while let Some(job) = jobs.recv().await {
            let done = record(&ledger, job.share, create).await;
            let _ = job.done.send(done);
        }
    });
    send
}

/// Records a share, message by message; a message is sent again while the server is not available.
async fn record(ledger: &Ledger, mut share: Share, create: bool) -> Result<Done, Error> {
    let mut done = Done::default();
    // What one message has of an account is written together: the fewer messages an account is in, the better.
    share.sort_by(|(one, _), (other, _)| one.account_id.cmp(&other.account_id));
    let mut left = share.into_iter();
    while left.len() > 0 {
        let (transactions, origins): (Vec<_>, Vec<_>) = left.by_ref().take(MESSAGE).unzip();
        let message = IngestTransactionsRequest { transactions, create_missing_accounts: create };
        let answer = send(ledger, &message).await?;
        done.created += answer.created.cast_unsigned();
        done.duplicates += answer.duplicates.cast_unsigned();
        for rejection in answer.rejections {
            let reason = format!("{}: {}", rejection.error_code, rejection.message);
            let Some(origin) = origins.get(rejection.index as usize).cloned() else { continue };
            done.rejects.push(Reject { origin, reason });
        }
    }
    Ok(done)
}

async fn send(
    ledger: &Ledger,
    message: &IngestTransactionsRequest,
) -> Result<IngestTransactionsResponse, Error> {
    let mut wait = Duration::from_millis(100);
    for attempt in 1.. {
        let mut request = tonic::Request::new(futures::stream::iter([message.clone()]));
        request.metadata_mut().insert("authorization", ledger.authorization.clone());
        match ledger.client.clone().ingest_transactions(request).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => {
                let error = if status.details().is_empty() {
                    // Not our server's answer: the connection is gone.
                    riskmesh_core::Error::new(ErrorCode::ServiceUnavailable).because(status)
                } else {
                    riskmesh_core::Error::from_status(&status)
                };
                if !error.code.retryable() || attempt == ATTEMPTS {
                    return Err(Error::Server(Box::new(error)));
                }
                tokio::time::sleep(error.retry_after.unwrap_or(wait)).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
        }
    }
    Err(Error::Server(Box::new(riskmesh_core::Error::internal("send transactions"))))
}
