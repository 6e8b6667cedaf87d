//! CPU and memory of another process, as Linux's `/proc` tells them.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

/// `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// A process on this machine.
#[derive(Debug)]
pub(crate) struct Process(PathBuf);

impl Process {
    pub(crate) fn new(pid: u32) -> Result<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        if !dir.is_dir() {
            bail!("there is no process {pid} here");
        }
        Ok(Self(dir))
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // After the name, which may hold anything: state is field 3, utime 14, stime 15.
        let rest = stat.rsplit_once(')').context("an odd stat file")?.1;
        let field = |n: usize| rest.split_whitespace().nth(n - 3).and_then(|f| f.parse::<u64>().ok());
        let ticks = field(14).zip(field(15)).map(|(u, s)| u + s).context("an odd stat file")?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS))
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("an odd status file")?;
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().context("an odd status file")?;
        Ok(kib * 1024)
    }

    fn read(&self, name: &str) -> Result<String> {
        let file = self.0.join(name);
        std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_time_moves() {
        let p = Process::new(std::process::id()).unwrap();
        assert!(p.memory().unwrap() > 100_000);
        let before = p.cpu().unwrap();
        let mut x = 1_u64;
        while p.cpu().unwrap() < before + Duration::from_millis(20) {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        assert!(Process::new(u32::MAX).is_err());
    }
}
