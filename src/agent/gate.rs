//! Which jobs of masters may run on this host: those of the newest epoch that it has seen (R6.1).

use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a scan waits for jobs that an older master began.
const OLDER_JOBS: Duration = Duration::from_secs(30);

/// Lets jobs of the newest epoch in, and knows which older ones have not ended.
#[derive(Debug, Default)]
pub struct Gate {
    running: Mutex<Epochs>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Epochs {
    newest: u64,
    running: BTreeMap<u64, usize>,
}

/// A job that runs; dropped when it has ended.
pub struct Pass<'a> {
    gate: &'a Gate,
    epoch: u64,
}

impl Gate {
    /// Lets a job in unless its epoch is over.
    pub fn enter(&self, epoch: u64) -> Answer<Pass<'_>> {
        let mut epochs = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch < epochs.newest {
            let why = format!("a job of epoch {epoch} came after epoch {}", epochs.newest);
            return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
        }
        epochs.newest = epoch;
        *epochs.running.entry(epoch).or_default() += 1;
        Ok(Pass { gate: self, epoch })
    }

    /// Waits until every job of an older epoch has ended (R6.3).
    pub fn wait_for_older(&self, epoch: u64) -> Answer<()> {
        let older = |epochs: &mut Epochs| epochs.running.range(..epoch).next().is_some();
        let epochs = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (epochs, timeout) = self
            .ended
            .wait_timeout_while(epochs, OLDER_JOBS, older)
            .unwrap_or_else(PoisonError::into_inner);
        drop(epochs);
        if timeout.timed_out() {
            return Err(Failure::new("XE_JOB_UNDECIDED", ["a job of an older epoch still runs"]));
        }
        Ok(())
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut epochs = self.gate.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = epochs.running.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                epochs.running.remove(&self.epoch);
            }
        }
        drop(epochs);
        self.gate.ended.notify_all();
    }
}
