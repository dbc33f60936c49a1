//! Which process stands for the toolstack at xhad: the one that acts as master, if one does,
//! else a stand-in of the watcher.
//!
//! Before a mastership leaves its host, xhad ends the process that holds the lease. So that must
//! be the toolstack itself from the moment at which it is told that it is master. A toolstack
//! that is told so while it still is a member starts itself anew and asks again; that restart
//! must not look like an end, so it is registered only when it asks as a master.
//!
//! A host that leaves cleanly is followed without any wait, so there it is ended by the leave.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::Context;
use super::exit::{Exit, Failure};
use crate::xhad::control::Client;

/// The file that names the acting process.
const FILE: &str = "acting.json";
/// Held while the file and the lease change together.
const LOCK: &str = "acting.lock";
/// How long a process that is killed may take to end.
const ENDS: Duration = Duration::from_secs(5);

/// A process that cannot be taken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in ticks of the kernel's clock.
    started: u64,
}

impl Process {
    /// The process with that number, if it runs; a dead one that waits to be collected does not.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (!["Z", "X"].contains(&state)).then_some(Process { pid, started })
    }

    /// Whether it runs still.
    pub fn runs(self) -> bool {
        Process::of(self.pid) == Some(self)
    }
}

/// Whether the toolstack takes this host for the master.
pub fn is_master(role: &Path) -> bool {
    std::fs::read_to_string(role).is_ok_and(|text| text.trim() == "master")
}

fn locked(context: &Context) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::System, error);
    let file = File::create(context.settings.file(LOCK)).map_err(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// The toolstack's process acts as master from now on; xhad knows it when this returns.
pub fn register(context: &Context, client: &Client) -> Result<(), Failure> {
    if !is_master(&context.settings.pool_role) {
        return Ok(());
    }
    let Some(process) = context.settings.toolstack()?.and_then(Process::of) else {
        return Ok(());
    };
    let _lock = locked(context)?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::System, error);
    let text = serde_json::to_string(&process).map_err(|error| failed(&error))?;
    std::fs::write(context.settings.file(FILE), text).map_err(|error| failed(&error))?;
    client.agent_lease(process.pid)?;
    Ok(())
}

fn acting(context: &Context) -> Option<Process> {
    let text = std::fs::read(context.settings.file(FILE)).ok()?;
    serde_json::from_slice(&text).ok().filter(|process: &Process| process.runs())
}

/// Ends the process that acts as master, if one does: before this host leaves, so that no other one
/// is told that it is master beside it. While this host says that it leaves, none is told so here.
pub fn end(context: &Context) -> Result<(), Failure> {
    let _lock = locked(context)?;
    let Some(process) = acting(context) else { return Ok(()) };
    if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
        let _ended_by_itself = kill_process(pid, Signal::KILL);
    }
    let end = Instant::now() + ENDS;
    while process.runs() {
        if Instant::now() >= end {
            let sentence = "the toolstack's process, which acts as master, does not end; this \
                            host leaves only without it";
            return Err(Failure::new(Exit::HostState, sentence));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Renews the lease for the process that acts as master, else for the stand-in.
pub fn renew(context: &Context, client: &Client, stand_in: u32) -> Result<(), Failure> {
    let _lock = locked(context)?;
    let pid = acting(context).map_or(stand_in, |process| process.pid);
    client.agent_lease(pid)?;
    Ok(())
}

/// A new session: nobody acts in it yet.
pub fn forget(context: &Context) {
    let _not_there = std::fs::remove_file(context.settings.file(FILE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_does_not_run() {
        assert!(Process::of(std::process::id()).is_some_and(Process::runs));
        assert_eq!(Process::of(0), None, "no toolstack has the number 0");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while Process::of(child.id()).is_some() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(!Process { started: own.started + 1, ..own }.runs());
    }
}
