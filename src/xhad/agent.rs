//! The agent's process: watched, killed and started for the protocol.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::inbox::{Inbox, Message};
use super::spawner::{Program, Spawner};
use super::threads;

/// An agent that runs says every second that it does.
const WORD: Duration = Duration::from_secs(5);

fn number(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// The processes that are watched: an agent outlives sessions, and needs one thread all the same.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<Mutex<BTreeSet<u32>>>);

impl Watched {
    /// Tells the loop when a process ends; a process that is gone already, at once.
    pub fn watch(&self, pid: u32, inbox: Inbox) {
        if !self.pids().insert(pid) {
            return;
        }
        let watched = self.clone();
        let started = threads::start("process", move || {
            if let Some(Ok(file)) = number(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
                let mut files = [PollFd::new(&file, PollFlags::IN)];
                while let Err(rustix::io::Errno::INTR) = poll(&mut files, None) {}
            }
            watched.pids().remove(&pid);
            inbox.send(Message::ProcessGone(pid));
        });
        if !started {
            self.pids().remove(&pid);
        }
    }

    fn pids(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the loop after a while that process 0, which stands for none, has ended: the agent that
/// was to say something has not, unless the loop follows another one by then.
pub fn await_word(inbox: Inbox) {
    threads::start("process", move || {
        std::thread::sleep(WORD);
        inbox.send(Message::ProcessGone(0));
    });
}

/// Kills a process for good.
pub fn kill(pid: u32) {
    if let Some(pid) = number(pid) {
        let _already_gone = kill_process(pid, Signal::KILL);
    }
}

/// Starts an agent; the loop is told its number, and when it ends, or that it did not start. It
/// stays in the daemon's process group, for it belongs to the same machine. False: no thread.
pub fn start(words: Vec<String>, session: u64, spawner: Spawner, inbox: Inbox) -> bool {
    threads::start("agent", move || {
        let mut number = None;
        let program = Program { words, ..Program::default() };
        let ended = spawner.follow(program, |pid| {
            number = Some(pid);
            inbox.send(Message::AgentStarted(session, Ok(pid)));
        });
        match number {
            Some(pid) => inbox.send(Message::ProcessGone(pid)),
            None => {
                let why = ended.err().unwrap_or_default();
                inbox.send(Message::AgentStarted(session, Err(why)));
            }
        }
    })
}
