//! The shell of the recovery: feeds [`crate::recovery`] and does what it says.

use super::Agent;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes the recovery's thread.
#[derive(Debug, Default)]
pub struct Wake {
    asked: Mutex<bool>,
    called: Condvar,
}

impl Wake {
    /// Waits until somebody wakes the recovery, or `patience` ends.
    pub fn wait(&self, patience: Duration) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut asked, _) = self
            .called
            .wait_timeout_while(asked, patience, |asked| !*asked)
            .unwrap_or_else(PoisonError::into_inner);
        *asked = false;
    }
}

/// Has the recovery look again.
pub fn wake(agent: &Agent) {
    *agent.wake.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
    agent.wake.called.notify_all();
}

static STARTING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether this agent is waiting for the outcome of a start right now.
pub fn is_starting(vm: &str) -> bool {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner).contains(vm)
}

/// Marks a VM as being started until the guard is dropped.
pub struct Starting(String);

impl Starting {
    /// Marks the VM.
    pub fn mark(vm: &str) -> Self {
        STARTING.lock().unwrap_or_else(PoisonError::into_inner).insert(vm.to_owned());
        Self(vm.to_owned())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Runs the recovery. Runs on a thread of its own.
pub fn run(_agent: &std::sync::Arc<Agent>) {}

/// Holds restarts back for a time.
pub fn prevent_for(_agent: &Agent, _time: Duration) {}
