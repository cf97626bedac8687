//! Processes that outlive the one that started them: told apart by id and time of start, so that nobody else's is ever signalled.

use anyhow::{Context as _, ensure};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often a process is looked at that is waited for.
const POLL: Duration = Duration::from_millis(20);

/// A process, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// In clock ticks since the machine was started (proc(5), field 22 of stat).
    started: u64,
}

/// What is sent to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Term,
    Kill,
    Stop,
    Continue,
}

/// Runs a command to its end; what it printed is told where it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {program}"))?;
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(output.status.success(), "{program} failed with {}: {}", output.status, printed.concat());
    Ok(())
}

/// How long a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until it is stopped.
    Detached,
    /// No longer than the one that starts it, however that ends.
    Attached,
}

/// Starts a command in a process group of its own; what it prints is added to a file.
pub(crate) fn start(command: Command, lifetime: Lifetime, log: &Path) -> anyhow::Result<Identity> {
    let program = command.get_program().to_string_lossy().into_owned();
    let log = std::fs::File::options().create(true).append(true).open(log)?;
    let mut command = match lifetime {
        Lifetime::Detached => command,
        Lifetime::Attached => attached(&command),
    };
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let (started, start) = mpsc::sync_channel(1);
    // The kernel ends an attached process when the thread that started it ends: this one waits for the process.
    std::thread::spawn(move || match command.spawn() {
        Ok(mut child) => {
            if started.send(Ok(child.id())).is_ok() {
                // Reaped, if this process lives that long.
                let _ = child.wait();
            }
        }
        Err(error) => drop(started.send(Err(error))),
    });
    let pid = start.recv()?.with_context(|| format!("start {program}"))?;
    let started = stat(pid).context("look at what was started")?.started;
    Ok(Identity { pid, started })
}

/// The command under a parent's death signal (prctl(2), PR_SET_PDEATHSIG).
fn attached(command: &Command) -> Command {
    let mut attached = Command::new("setpriv");
    attached.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    attached
}

impl Identity {
    /// Whether it lives. One that has ended and was not reaped does not, once all of its threads have: until then its ports and files
    /// are taken.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| {
            let has_ended = matches!(stat.state, 'Z' | 'X') && stat.threads <= 1;
            stat.started == self.started && !has_ended
        })
    }

    /// Sends a signal; to one that has ended none is sent.
    pub(crate) fn send(self, signal: Signal) -> anyhow::Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let name = match signal {
            Signal::Term => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        run(Command::new("kill").arg(name).arg(self.pid.to_string())).or_else(|error| {
            // It may have ended in between.
            if self.is_alive() { Err(error) } else { Ok(()) }
        })
    }

    /// Waits for its end; false where that takes longer.
    pub(crate) fn ends_within(self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

/// What the system says of a process (proc(5), stat).
struct Stat {
    state: char,
    threads: u32,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which is the second field, is in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3);
    Some(Stat {
        state: field(3)?.chars().next()?,
        threads: field(20)?.parse().ok()?,
        started: field(22)?.parse().ok()?,
    })
}
