//! A session of HA: it begins on blank statefiles, under a name and key of its own, and ends on
//! each host with its daemon.

use uuid::Uuid;

use super::machine::What;
use super::{Statefile, World};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::Control;
use crate::heartbeat::timing::Nanos;

impl World {
    /// A new session begins on blank statefiles. Nothing of an earlier one is taken for its own.
    pub(super) fn new_session(&mut self) {
        self.sessions += 1;
        self.generation = Uuid::from_u128(u128::from(self.sessions));
        self.blank_statefiles();
        if let Some(outpost) = self.outpost.as_mut().filter(|_| self.sessions > 1) {
            outpost.forget();
            self.start_witness();
        }
    }

    pub(super) fn blank_statefiles(&mut self) {
        let hosts = self.machines.len();
        self.disks.iter_mut().for_each(|disk| *disk = Statefile::new(hosts));
        for (_, _, what) in self.queue.all_mut() {
            match what {
                What::Write(job) => job.blocks = Default::default(),
                What::Land(_, blocks) => *blocks = Default::default(),
                _ => {}
            }
        }
        self.epoch_base += self.chain.keys().next_back().copied().unwrap_or(0);
        self.chain.clear();
        self.over.clear();
    }

    /// Ends a host's part in a session unless it is armed.
    pub(super) fn stop_unarmed(&mut self, host: usize) {
        if self.phase(host) == Phase::Waiting {
            self.control(host, Control::Leave);
        } else if self.machines[host].disarmed {
            self.machines[host].node = None;
            self.machines[host].wake = Nanos::MAX;
        }
    }
}
