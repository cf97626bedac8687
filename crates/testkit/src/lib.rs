//! What tests share: processes (started, waited for by what they print, killed as a crash would), calls of a [`service`], and a
//! [`signer`] of files.

pub mod service;
pub mod signer;

use anyhow::{Context as _, bail};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// How long a process may take to say what it is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Mutex<mpsc::Receiver<String>>,
}

impl Process {
    /// Starts a program with a clean environment but for these variables.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        args: &[S],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = command(&["setpriv", "--pdeathsig", "KILL"], program, args, variables);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (send, lines) = mpsc::sync_channel(10_000);
        let (started, start) = mpsc::sync_channel(1);
        // The kernel kills the process when the thread that started it ends: this one ends with the process, or with the tests.
        std::thread::spawn(move || {
            let mut child = command.spawn();
            let stdout = child.as_mut().ok().and_then(|child| child.stdout.take());
            if started.send(child).is_err() {
                return;
            }
            for line in
                stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok))
            {
                // Nobody waits for lines any more: go on reading, so that the process is not held up.
                let _ = send.try_send(line);
            }
        });
        let child = start.recv()?.with_context(|| format!("start {}", program.display()))?;
        Ok(Self { child, lines: Mutex::new(lines) })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines printed until one is exactly `last`.
    pub fn wait_for(&self, last: &str) -> anyhow::Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line == last => return Ok(seen),
                Ok(line) => seen.push(line),
                Err(_) => bail!("the process did not print {last:?}; it printed {seen:?}"),
            }
        }
    }

    /// As a crash: SIGKILL, and reaped.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// As an operator: SIGTERM, and the exit status it ends with.
    pub fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status()?;
        anyhow::ensure!(sent.success(), "could not send SIGTERM");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(Instant::now() < deadline, "the process did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end.
pub fn run<S: AsRef<OsStr>>(
    program: &Path,
    args: &[S],
    variables: &[(&str, &str)],
) -> anyhow::Result<Output> {
    let mut child =
        command(&[], program, args, variables).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stderr = child.stderr.take().context("no standard error")?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).map(|_| text)
    });
    let mut output = child.wait_with_output()?;
    output.stderr = reader.join().map_err(|_| anyhow::anyhow!("reader panicked"))??;
    Ok(output)
}

/// A command with a clean environment, behind a wrapper where that is installed.
fn command<S: AsRef<OsStr>>(
    wrapper: &[&str],
    program: &Path,
    args: &[S],
    variables: &[(&str, &str)],
) -> Command {
    let wrapped = wrapper.first().filter(|wrapper| Path::new("/usr/bin").join(wrapper).exists());
    let mut command = match wrapped {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(&wrapper[1..]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(args).env_clear().stdin(Stdio::null());
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs(variables.iter().copied());
    command
}

/// The address in a line such as `metrics  http://127.0.0.1:9901/metrics`.
pub fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("http://")?.1;
    rest.split(['/', ' ']).next()?.parse().ok()
}
