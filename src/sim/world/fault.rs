//! What can be done to a host of the world, its disks and its links.

use std::sync::Arc;

use uuid::Uuid;

use super::disk::{Blocks, Landing};
use super::machine::{AgentState, What};
use super::{Path, World};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND};
use crate::heartbeat::view::View;

impl World {
    /// Power lost: nothing of this boot happens any more.
    pub fn crash(&mut self, host: usize) {
        self.tell(format_args!("h{} loses its power", host + 1));
        self.end(host);
    }

    /// This boot is over. Writes under way land or do not; so do records being kept.
    pub(super) fn end(&mut self, host: usize) {
        let boot = self.machines[host].boot;
        let mut writes: Vec<(usize, Blocks)> = Vec::new();
        let mut records = Vec::new();
        for (of, in_boot, what) in self.queue.all_mut() {
            if (*of, *in_boot) != (host, boot) {
                continue;
            }
            match what {
                What::Write(job) => writes.push((job.disk, std::mem::take(&mut job.blocks))),
                What::Kept(number, record) => records.push((*number, record.clone())),
                _ => {}
            }
        }
        for (disk, blocks) in writes {
            self.land_badly(host, disk, blocks);
        }
        records.sort_by_key(|(number, _)| *number);
        for (_, record) in records {
            if self.chance(2) == 0 {
                self.machines[host].kept = Some((*record).clone());
            }
        }
        let machine = &mut self.machines[host];
        machine.alive = false;
        machine.node = None;
        (machine.watchdog, machine.wake, machine.agent_tick) = (Nanos::MAX, Nanos::MAX, Nanos::MAX);
        (machine.paused, machine.stalled, machine.tear) = (false, false, false);
        machine.acts_until = 0;
        machine.ended_at = self.now;
        machine.parked.clear();
        machine.backlog.clear();
        machine.errand = None;
        self.guests_end(host);
    }

    pub(super) fn reset(&mut self, host: usize) {
        self.tell(format_args!("h{} is reset", host + 1));
        self.machines[host].resets += 1;
        self.end(host);
        self.boot_later(host);
    }

    pub(super) fn boot_later(&mut self, host: usize) {
        if self.boot_reset_hosts {
            let after = self.now + (5 + self.chance(20)) * SECOND;
            self.push(after, host, What::Boot);
        }
    }

    /// Boots a host that is down; its daemon joins, if HA is on. Gives the ticket of that.
    pub fn boot(&mut self, host: usize) -> u64 {
        self.tell(format_args!("h{} boots", host + 1));
        let machine = &mut self.machines[host];
        debug_assert!(!machine.alive);
        machine.boot += 1;
        machine.boot_id = Uuid::from_u128(machine.boot_id.as_u128() + 0x1_0000);
        machine.alive = true;
        machine.disarmed = true;
        machine.risk_taken = false;
        machine.fresh = false;
        self.start_agent(host);
        self.settle(host)
    }

    /// Only the daemon dies; the machine goes on until its watchdog fires.
    pub fn kill_daemon(&mut self, host: usize) {
        self.tell(format_args!("the daemon of h{} is killed", host + 1));
        self.machines[host].node = None;
        self.machines[host].stalled = false;
        self.machines[host].wake = Nanos::MAX;
    }

    /// The daemon is started again in the same boot; after an unfinished session it has the host
    /// reset instead (R5.5).
    pub fn start_daemon(&mut self, host: usize) {
        let machine = &self.machines[host];
        if !machine.alive || machine.paused || machine.node.is_some() && !machine.disarmed {
            return;
        }
        self.tell(format_args!("the daemon of h{} starts", host + 1));
        let wrong = self.wrong(crate::heartbeat::variant::Variant::SessionIsBoot);
        if !self.machines[host].disarmed && !wrong {
            self.last_words(host);
            return self.reset(host);
        }
        self.start(host, false);
    }

    /// A daemon tells, for the one before it, that its host is reset (R5.4).
    fn last_words(&mut self, host: usize) {
        let machine = &self.machines[host];
        if machine.session != self.sessions {
            return;
        }
        let boot = machine.boot_id;
        let fine = |disk: &usize| self.machines[host].paths[*disk] == Path::Fine;
        for disk in (0..self.disks.len()).filter(fine).collect::<Vec<_>>() {
            let last = self.disks[disk].shown(host).beats[host].clone();
            let Some(last) = last.filter(|last| last.boot_id == boot) else { continue };
            let beat = Some(Arc::new(last.last_word(200 * MILLISECOND)));
            let blocks = Blocks { beat, decision: None };
            match self.chance(4) {
                0 => self.land_badly(host, disk, blocks),
                _ => self.land(host, disk, blocks, Landing::Whole),
            }
        }
    }

    /// Only the agent dies. Jobs that it began may go on.
    pub fn kill_agent(&mut self, host: usize) {
        self.tell(format_args!("the agent of h{} is killed", host + 1));
        let machine = &mut self.machines[host];
        machine.agent = AgentState::Gone;
        machine.shell = None;
        machine.guests.waiting.clear();
        self.push(self.now, host, What::AgentGone);
    }

    /// The agent stands still, or goes on.
    pub fn hang_agent(&mut self, host: usize, hangs: bool) {
        let machine = &mut self.machines[host];
        if machine.agent == AgentState::Gone {
            return;
        }
        machine.agent = if hangs { AgentState::Hangs } else { AgentState::Well };
        self.tell(format_args!("the agent of h{} {}", host + 1, on(hangs, "hangs", "goes on")));
        if !hangs {
            self.agent_takes_waiting(host);
        }
    }

    /// The machine stands still; its watchdog and the world go on.
    pub fn pause(&mut self, host: usize) {
        self.tell(format_args!("h{} stands still", host + 1));
        self.machines[host].paused = true;
        self.machines[host].wake = Nanos::MAX;
    }

    /// The daemon alone stands still; VMs and agent go on.
    pub fn stall(&mut self, host: usize) {
        self.tell(format_args!("the daemon of h{} stands still", host + 1));
        self.machines[host].stalled = true;
        self.machines[host].wake = Nanos::MAX;
    }

    /// The machine, or its daemon, goes on with all that came meanwhile.
    pub fn resume(&mut self, host: usize) {
        self.tell(format_args!("h{} goes on", host + 1));
        let now = self.now;
        let machine = &mut self.machines[host];
        (machine.paused, machine.stalled) = (false, false);
        if machine.node.is_some() {
            machine.wake = now;
        }
        machine.agent_tick = machine.agent_tick.min(now);
        for what in std::mem::take(&mut machine.backlog) {
            self.push(now, host, what);
        }
    }

    /// Changes how a host reaches all statefiles.
    pub fn set_path(&mut self, host: usize, path: Path) {
        (0..self.disks.len()).for_each(|disk| self.set_disk_path(host, disk, path));
    }

    /// Changes how a host reaches one statefile; cycles that hung go on.
    pub fn set_disk_path(&mut self, host: usize, disk: usize, path: Path) {
        self.tell(format_args!("the path of h{} to statefile {disk}: {path:?}", host + 1));
        self.machines[host].paths[disk] = path;
        if path != Path::Hangs {
            for what in std::mem::take(&mut self.machines[host].parked) {
                self.push(self.now, host, what);
            }
        }
    }

    /// Cuts or heals every link of a host, both ways.
    pub fn set_net(&mut self, host: usize, cut: bool) {
        self.tell(format_args!("{} all links of h{}", on(cut, "cut:", "healed:"), host + 1));
        for other in 0..self.uuids.len() {
            self.net.set(host, other, cut);
            self.net.set(other, host, cut);
        }
        if let Some(outpost) = &mut self.outpost {
            outpost.cut[host] = cut;
        }
    }

    /// Cuts or heals one link both ways.
    pub fn set_link(&mut self, a: usize, b: usize, cut: bool) {
        let what = on(cut, "cut", "healed");
        self.tell(format_args!("{what}: between h{} and h{}", a + 1, b + 1));
        self.net.set(a, b, cut);
        self.net.set(b, a, cut);
    }

    /// Cuts one link both ways.
    pub fn cut_link(&mut self, a: usize, b: usize) {
        self.set_link(a, b, true);
    }

    /// Cuts or heals one link one way.
    pub fn set_way(&mut self, from: usize, to: usize, cut: bool) {
        let what = on(cut, "cut", "healed");
        self.tell(format_args!("{what}: from h{} to h{}", from + 1, to + 1));
        self.net.set(from, to, cut);
    }

    /// Heartbeat packets are lost one way; the agents' calls pass.
    pub fn set_beats(&mut self, from: usize, to: usize, cut: bool) {
        let what = on(cut, "cut", "healed");
        self.tell(format_args!("{what}: heartbeats from h{} to h{}", from + 1, to + 1));
        self.net.beats[from][to] = cut;
    }

    /// A statefile goes back to what it held so many seconds ago.
    pub fn rewind(&mut self, disk: usize, seconds: u64) {
        self.tell(format_args!("statefile {disk} goes back by {seconds} s"));
        let to = self.now.saturating_sub(seconds * SECOND);
        self.disks[disk].rewind(to);
    }

    /// Each statefile goes back once at most, and only while somebody remembers: an armed host
    /// that reads and writes it, or the own records of so many that nobody can form a view
    /// without one of them. What nobody remembers cannot be known again.
    pub(in crate::sim) fn may_rewind(&self, disk: usize) -> bool {
        let Some(newest) = self.chain.keys().next_back() else { return false };
        let record = |host: usize| self.machines[host].kept.as_ref()?.view.as_deref();
        let forgets = |host: usize| record(host).is_none_or(|view| view.epoch < *newest);
        let hosts = 0..self.machines.len();
        let could_form = |view: &View| {
            let count = view.members.iter().filter(|m| forgets(m.slot.index())).count();
            2 * count > view.members.len() || view.members.len() == 2 && count == 1
        };
        let remembered = hosts.clone().all(|h| record(h).is_some_and(|view| !could_form(view)));
        let seen = hosts.clone().any(|host| self.sees(host, disk));
        !self.disks[disk].rewound && (seen || remembered)
    }

    /// Whether an armed host reads and writes a statefile: it will see what happens to it.
    pub(in crate::sim) fn sees(&self, host: usize, disk: usize) -> bool {
        let machine = &self.machines[host];
        let stands = machine.paused || machine.stalled;
        let fine = machine.paths[disk] == Path::Fine && self.disks[disk].frozen[host].is_none();
        self.phase(host) == Phase::Armed && !stands && fine
    }

    /// A host reads what the statefile holds now, for as long as this lasts.
    pub fn freeze(&mut self, host: usize, disk: usize, stale: bool) {
        let what = on(stale, "stale", "fresh");
        self.tell(format_args!("reads of h{} from statefile {disk} are {what}", host + 1));
        let content = stale.then(|| std::sync::Arc::clone(&self.disks[disk].now));
        self.disks[disk].frozen[host] = content;
    }

    /// A host's blocks on a statefile become unreadable.
    pub fn scramble(&mut self, host: usize, disk: usize) {
        self.tell(format_args!("the blocks of h{} on statefile {disk} are damaged", host + 1));
        self.disks[disk].scramble(host);
    }

    /// A host's next write breaks off.
    pub fn tear(&mut self, host: usize) {
        self.tell(format_args!("the next write of h{} breaks off", host + 1));
        self.machines[host].tear = true;
    }

    /// A host's watchdog takes no new time, or does again; what it was set to goes on.
    pub fn break_watchdog(&mut self, host: usize, broken: bool) {
        self.machines[host].no_watchdog = broken;
    }

    /// Another daemon is installed on a host, and runs from its next start on.
    pub fn exchange_daemon(&mut self, host: usize, other: bool) {
        let whose = on(other, "another", "the pool's");
        self.tell(format_args!("h{} gets a daemon of {whose} protocol", host + 1));
        self.machines[host].other_protocol.0 = other;
    }

    /// A host forgets that it takes part in HA.
    pub fn lose_flag(&mut self, host: usize) {
        self.tell(format_args!("h{} forgets that it takes part in HA", host + 1));
        self.machines[host].takes_part = false;
    }

    /// A host's files are those of the session before.
    pub fn lose_session(&mut self, host: usize) {
        self.tell(format_args!("the files of h{} are those of the session before", host + 1));
        let machine = &mut self.machines[host];
        machine.takes_part = true;
        machine.session = machine.session.saturating_sub(1);
    }

    /// A host's writes land up to so much later, also after its death.
    pub fn set_late(&mut self, host: usize, late: Nanos) {
        self.tell(format_args!("writes of h{} land up to {} ms late", host + 1, late / 1_000_000));
        self.machines[host].late = late;
    }
}

fn on<'a>(state: bool, yes: &'a str, no: &'a str) -> &'a str {
    if state { yes } else { no }
}
