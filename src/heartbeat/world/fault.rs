//! What can be done to a host of the world, its disk and its links.

use uuid::Uuid;

use super::{Path, What, World};
use crate::heartbeat::timing::SECOND;

impl World {
    /// Power lost: nothing of this boot happens any more.
    pub fn crash(&mut self, host: usize) {
        let machine = &mut self.machines[host];
        machine.alive = false;
        machine.node = None;
        machine.watchdog = None;
        machine.paused = false;
        machine.ended.push(machine.boot_id);
        machine.parked.clear();
        machine.backlog.clear();
    }

    pub(super) fn reset(&mut self, host: usize) {
        self.machines[host].resets += 1;
        self.crash(host);
        if self.boot_reset_hosts {
            let after = self.now + (5 + self.chance(20)) * SECOND;
            self.machines[host].boot += 1;
            self.push(after, host, What::Wake);
        }
    }

    /// Boots a host that is down, with its daemon as a host that joins.
    pub fn boot(&mut self, host: usize) -> u64 {
        let machine = &mut self.machines[host];
        assert!(!machine.alive);
        machine.boot += 1;
        machine.boot_id = Uuid::from_u128(machine.boot_id.as_u128() + 0x1_0000);
        machine.alive = true;
        machine.disarmed = true;
        machine.agent = Some(100 + machine.boot);
        machine.agent_hangs = false;
        self.start(host, false)
    }

    /// Only the daemon dies; the machine goes on until its watchdog fires.
    pub fn kill_daemon(&mut self, host: usize) {
        self.machines[host].node = None;
    }

    pub fn kill_agent(&mut self, host: usize) {
        self.machines[host].agent = None;
        self.push(self.now, host, What::AgentGone);
    }

    pub fn pause(&mut self, host: usize) {
        self.machines[host].paused = true;
    }

    pub fn resume(&mut self, host: usize) {
        self.machines[host].paused = false;
        let backlog = std::mem::take(&mut self.machines[host].backlog);
        for what in backlog {
            self.push(self.now, host, what);
        }
        self.push(self.now, host, What::Wake);
    }

    pub fn set_path(&mut self, host: usize, path: Path) {
        self.machines[host].path = path;
        if path != Path::Hangs {
            let parked = std::mem::take(&mut self.machines[host].parked);
            for what in parked {
                self.push(self.now, host, what);
            }
        }
    }

    /// Cuts or heals every link of a host, both ways.
    pub fn set_net(&mut self, host: usize, cut: bool) {
        for other in 0..self.uuids.len() {
            self.cut[host][other] = cut;
            self.cut[other][host] = cut;
        }
    }

    /// Cuts one link both ways.
    pub fn cut_link(&mut self, a: usize, b: usize) {
        self.cut[a][b] = true;
        self.cut[b][a] = true;
    }
}
