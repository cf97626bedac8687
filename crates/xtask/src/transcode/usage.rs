//! What a process has used, as Linux tells it.

use anyhow::Context as _;
use std::time::Duration;

/// `USER_HZ`: the unit of CPU times in /proc. It is part of Linux's interface, 100 on every architecture that we build for.
const TICKS_PER_S: u64 = 100;

/// CPU time of a process with all its threads, in user and in kernel mode.
pub(super) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("read the CPU time")?;
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_S)).context("no CPU time in stat")
}

/// utime and stime: the 14th and 15th field. The second one, the name in parentheses, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Resident memory of a process, in bytes.
pub(super) fn resident(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("read the memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS in status")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_stat_may_hold_anything() {
        let stat = "7 (a) b ) S 1 7 7 0 -1 4194560 1 2 3 4 150 25 9 9 20 0 8";
        assert_eq!(ticks(stat), Some(175));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
        assert!(cpu(std::process::id()).is_ok());
    }
}
