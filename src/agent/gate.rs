//! Which jobs of masters may run on this host: those of the newest epoch that it has seen (R6.1),
//! for its present boot.

use super::Agent;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a scan waits for jobs that began before it.
const EARLIER_JOBS: Duration = Duration::from_secs(30);

/// Lets jobs of the newest epoch in, and knows which older ones have not ended.
#[derive(Debug, Default)]
pub struct Gate {
    running: Mutex<Epochs>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Epochs {
    newest: u64,
    entered: u64,
    /// What runs, by the order in which it came.
    running: BTreeMap<u64, Running>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    epoch: u64,
    makes_vm: bool,
}

/// A job that runs; dropped when it has ended.
pub struct Pass<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Gate {
    /// Lets a job in unless its epoch is over. `makes_vm`: it may make a VM appear here.
    pub fn enter(&self, epoch: u64, makes_vm: bool) -> Answer<Pass<'_>> {
        let mut epochs = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch < epochs.newest {
            let why = format!("a job of epoch {epoch} came after epoch {}", epochs.newest);
            return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
        }
        epochs.newest = epoch;
        epochs.entered += 1;
        let number = epochs.entered;
        epochs.running.insert(number, Running { epoch, makes_vm });
        Ok(Pass { gate: self, number })
    }

    /// Raises the newest epoch to that of a view that this host knows: a new agent has seen no job
    /// yet, and one of an old master may still be on its way.
    pub fn raise(&self, epoch: u64) {
        let mut epochs = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.newest = epochs.newest.max(epoch);
    }

    /// Waits until every job of an older epoch has ended (R6.3), and every job that came before
    /// and may make a VM appear: a master that gave up on one of its own must not be told that
    /// its VM does not run while that start is still under way.
    pub fn wait_for_earlier(&self, pass: &Pass<'_>) -> Answer<()> {
        let earlier = |epochs: &mut Epochs| {
            let own = epochs.running.get(&pass.number).map_or(0, |own| own.epoch);
            let mut before = epochs.running.range(..pass.number);
            before.any(|(_, job)| job.epoch < own || job.makes_vm)
        };
        let epochs = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (epochs, timeout) = self
            .ended
            .wait_timeout_while(epochs, EARLIER_JOBS, earlier)
            .unwrap_or_else(PoisonError::into_inner);
        drop(epochs);
        if timeout.timed_out() {
            return Err(Failure::new("XE_JOB_UNDECIDED", ["an earlier job still runs"]));
        }
        Ok(())
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut epochs = self.gate.running.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.running.remove(&self.number);
        drop(epochs);
        self.gate.ended.notify_all();
    }
}

/// Refuses what was meant for another boot of this host: the rows would name that one, and once
/// it is dead they would say that what runs here does not (R6.5). A report mends it in seconds.
pub fn assert_boot(agent: &Agent, boot: &str) -> Answer<()> {
    if boot == agent.boot || agent.state_dir.is_none() {
        return Ok(());
    }
    let why = format!("the job is for boot {boot} of this host, which is in boot {}", agent.boot);
    let host = agent.host_ref(&agent.store.read()).unwrap_or_default();
    Err(Failure::new("HOST_STILL_BOOTING", [host, why]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_epoch_is_refused() {
        let gate = Gate::default();
        let _new = gate.enter(5, false).unwrap();
        assert!(gate.enter(4, false).is_err());
        assert!(gate.enter(5, false).is_ok());
    }

    #[test]
    fn a_new_agent_refuses_what_is_older_than_the_view() {
        let gate = Gate::default();
        gate.raise(5);
        assert!(gate.enter(4, true).is_err());
        gate.raise(3);
        assert!(gate.enter(4, true).is_err(), "it never goes back");
        assert!(gate.enter(5, true).is_ok());
    }

    #[test]
    fn a_scan_waits_for_starts_before_it_and_for_nothing_after_it() {
        let gate = Gate::default();
        let start = gate.enter(5, true).unwrap();
        let copy = gate.enter(5, false).unwrap();
        let scan = gate.enter(5, false).unwrap();
        let late = gate.enter(5, true).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| gate.wait_for_earlier(&scan));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!waits.is_finished(), "the start is still under way");
            drop(start);
            assert!(waits.join().unwrap().is_ok());
        });
        drop((copy, late));
    }

    #[test]
    fn a_scan_waits_for_every_job_of_an_older_epoch() {
        let gate = Gate::default();
        let copy = gate.enter(4, false).unwrap();
        let scan = gate.enter(5, false).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| gate.wait_for_earlier(&scan));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!waits.is_finished());
            drop(copy);
            assert!(waits.join().unwrap().is_ok());
        });
    }
}
