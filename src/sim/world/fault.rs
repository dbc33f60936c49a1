//! What can be done to a host of the world, its disk and its links.

use uuid::Uuid;

use super::{Path, What, World};
use crate::heartbeat::timing::SECOND;

impl World {
    /// Power lost: nothing of this boot happens any more.
    pub fn crash(&mut self, host: usize) {
        self.tell(format_args!("host {host} loses its power"));
        self.end(host);
    }

    fn end(&mut self, host: usize) {
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
        self.tell(format_args!("host {host} is reset"));
        self.machines[host].resets += 1;
        self.end(host);
        if self.boot_reset_hosts {
            let after = self.now + (5 + self.chance(20)) * SECOND;
            self.machines[host].boot += 1;
            self.push(after, host, What::Wake);
        }
    }

    /// Boots a host that is down, with its daemon as a host that joins.
    pub fn boot(&mut self, host: usize) -> u64 {
        self.tell(format_args!("host {host} boots"));
        let machine = &mut self.machines[host];
        debug_assert!(!machine.alive);
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
        self.tell(format_args!("the daemon of host {host} is killed"));
        self.machines[host].node = None;
    }

    /// Only the agent dies.
    pub fn kill_agent(&mut self, host: usize) {
        self.tell(format_args!("the agent of host {host} is killed"));
        self.machines[host].agent = None;
        self.push(self.now, host, What::AgentGone);
    }

    /// The machine stands still; its watchdog and the world go on.
    pub fn pause(&mut self, host: usize) {
        self.tell(format_args!("host {host} stands still"));
        self.machines[host].paused = true;
    }

    /// The machine goes on with all that came meanwhile.
    pub fn resume(&mut self, host: usize) {
        self.tell(format_args!("host {host} goes on"));
        self.machines[host].paused = false;
        let backlog = std::mem::take(&mut self.machines[host].backlog);
        for what in backlog {
            self.push(self.now, host, what);
        }
        self.push(self.now, host, What::Wake);
    }

    /// Changes how a host reaches the disk; cycles that hung go on.
    pub fn set_path(&mut self, host: usize, path: Path) {
        self.tell(format_args!("the disk path of host {host}: {path:?}"));
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
        self.tell(format_args!(
            "{} all links of host {host}",
            if cut { "cut:" } else { "healed:" }
        ));
        for other in 0..self.uuids.len() {
            self.cut[host][other] = cut;
            self.cut[other][host] = cut;
        }
    }

    /// Cuts one link both ways.
    pub fn cut_link(&mut self, a: usize, b: usize) {
        self.tell(format_args!("cut: hosts {a} and {b}"));
        self.cut[a][b] = true;
        self.cut[b][a] = true;
    }

    /// Cuts one link one way.
    pub fn cut_way(&mut self, from: usize, to: usize) {
        self.tell(format_args!("cut: from host {from} to host {to}"));
        self.cut[from][to] = true;
    }
}
