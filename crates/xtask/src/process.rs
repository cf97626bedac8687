//! Programs of this workspace: built first, then run with a limit on their time.

use anyhow::{Context as _, bail, ensure};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Builds what these arguments of `cargo build` name, in a profile.
pub(crate) fn build(profile: &str, args: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    tool(&cargo, &[&["build", "--profile", profile], args].concat(), Path::new("."), &[])
}

/// Runs a tool that builds or installs something: in the user's own environment, which says where it gets things from, and with
/// these variables.
pub(crate) fn tool<S: AsRef<OsStr>>(
    program: &Path,
    args: &[S],
    dir: &Path,
    variables: &[(&str, &OsStr)],
) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().with_context(|| format!("start {}", program.display()))?;
    ensure!(status.success(), "{command:?} failed with {status}");
    Ok(())
}

/// Where cargo puts what it builds in this profile: this program is there too.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("find this program")?;
    this.parent().map(Path::to_owned).context("this program is in no directory")
}

/// A program that is killed when it is dropped before its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Neither can fail for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end and gives what it printed; one that takes longer than `limit` is killed. It sees of the environment
/// only `PATH`, so that nobody's settings change what is measured.
pub(crate) fn run<S: AsRef<OsStr>>(program: &Path, args: &[S], limit: Duration) -> anyhow::Result<String> {
    let name = program.display();
    let mut command = Command::new(program);
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let mut running = Running(command.spawn().with_context(|| format!("start {name}"))?);
    let mut stdout = running.0.stdout.take().context("no standard output")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = running.0.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            bail!("{name} took longer than {} s", limit.as_secs());
        }
        std::thread::sleep(POLL);
    };
    let text = reader.join().map_err(|_| anyhow::anyhow!("reader panicked"))??;
    ensure!(status.success(), "{name} failed with {status}: {text}");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_returned() {
        assert_eq!(
            run(Path::new("/bin/sh"), &["-c", "echo here"], Duration::from_mins(1)).unwrap(),
            "here\n"
        );
    }

    #[test]
    fn a_program_that_fails_is_an_error() {
        let error =
            run(Path::new("/bin/sh"), &["-c", "echo no; exit 3"], Duration::from_mins(1)).unwrap_err();
        assert!(error.to_string().contains("exit status: 3: no"), "{error}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed() {
        let error =
            run(Path::new("/bin/sh"), &["-c", "exec sleep 600"], Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("took longer"), "{error}");
    }
}
