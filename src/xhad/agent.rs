//! The agent's process: watched, killed and started for the protocol.

use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::inbox::{Inbox, Message};
use super::threads;

fn number(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Tells the loop when a process ends; a process that is gone already, at once.
pub fn watch(pid: u32, inbox: Inbox) {
    threads::start("process", move || {
        if let Some(Ok(file)) = number(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            let mut files = [PollFd::new(&file, PollFlags::IN)];
            while let Err(rustix::io::Errno::INTR) = poll(&mut files, None) {}
        }
        inbox.send(Message::ProcessGone(pid));
    });
}

/// Kills a process for good.
pub fn kill(pid: u32) {
    if let Some(pid) = number(pid) {
        let _already_gone = kill_process(pid, Signal::KILL);
    }
}

/// Starts an agent; the loop is told when it ends. It stays in the daemon's process group, for
/// it belongs to the same machine.
pub fn start(command: &[String], inbox: &Inbox) -> std::io::Result<u32> {
    let (program, words) =
        command.split_first().ok_or_else(|| std::io::Error::other("no agent command"))?;
    let mut child = Command::new(program).args(words).stdin(Stdio::null()).spawn()?;
    let pid = child.id();
    let inbox = inbox.clone();
    threads::start("process", move || {
        let _status = child.wait();
        inbox.send(Message::ProcessGone(pid));
    });
    Ok(pid)
}
