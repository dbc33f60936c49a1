//! Processes as the kernel shows them: alive is a pid *and* its start time, and no zombie.

use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process, told apart from later users of its pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemProcess {
    /// The pid.
    pub pid: u32,
    /// The start time in clock ticks since the kernel's boot.
    pub started: u64,
}

impl SystemProcess {
    /// The process that asks.
    pub fn current() -> io::Result<Self> {
        let pid = std::process::id();
        let started = start_time(pid).ok_or_else(|| io::Error::other("/proc shows no self"))?;
        Ok(Self { pid, started })
    }

    /// Whether this very process still executes.
    pub fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Sends SIGKILL to this very process and to no later user of its pid.
    pub fn kill(&self) -> io::Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if !self.alive() {
            return Ok(());
        }
        match pidfd_send_signal(&handle, Signal::KILL) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// When a process started, or `None` when it is gone or a zombie.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets; the fields after it begin with the state (field 3),
    // so that the start time (field 22) is the twentieth of them.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_start_time_does_not() {
        let me = SystemProcess::current().unwrap();
        assert!(me.alive());
        assert!(!SystemProcess { started: me.started + 1, ..me }.alive());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let process = SystemProcess { pid, started: start_time(pid).unwrap() };
        process.kill().unwrap();
        while process.alive() {
            std::thread::yield_now();
        }
        assert!(std::path::Path::new(&format!("/proc/{pid}/stat")).exists());
        child.wait().unwrap();
    }
}
