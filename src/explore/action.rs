//! What may happen next.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::setup::{Order, Setup};
use super::state::State;
use crate::heartbeat::liveset::Phase;

/// How many ticks a write may hang at most: less than a new boot waits before its first write
/// (R2.5).
const LATEST: u64 = 3;

/// One thing that may happen. Hosts and statefiles are named by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// No fault more: the tick runs.
    Go,
    /// A host takes its next step of the tick, or its whole turn.
    Step(usize),
    /// A host loses its power.
    Crash(usize),
    /// A host that is down boots.
    Boot(usize),
    /// A host stands still; its watchdog does not.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// All links of a host are cut.
    NetCut(usize),
    /// They are healed.
    NetHeal(usize),
    /// A link is cut one way.
    LinkCut(usize, usize),
    /// It is healed.
    LinkHeal(usize, usize),
    /// A host loses a statefile: its cycles fail.
    DiskCut(usize, usize),
    /// It has it back.
    DiskHeal(usize, usize),
    /// Every host loses every statefile.
    AllCut,
    /// Whoever had them before has them back.
    AllHeal,
    /// The writes of a host hang.
    Late(usize),
    /// They land.
    Land(usize),
    /// The clock of a host misses a tick.
    Slow(usize),
    /// A packet from one host to another is lost.
    Lose(usize, usize),
    /// It comes a tick later.
    Delay(usize, usize),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Go => write!(f, "the tick runs"),
            Action::Step(host) => write!(f, "host {host} takes a step"),
            Action::Crash(host) => write!(f, "host {host} loses its power"),
            Action::Boot(host) => write!(f, "host {host} boots"),
            Action::Pause(host) => write!(f, "host {host} stands still"),
            Action::Resume(host) => write!(f, "host {host} goes on"),
            Action::NetCut(host) => write!(f, "all links of host {host} are cut"),
            Action::NetHeal(host) => write!(f, "the links of host {host} are healed"),
            Action::LinkCut(a, b) => write!(f, "the link from host {a} to host {b} is cut"),
            Action::LinkHeal(a, b) => write!(f, "the link from host {a} to host {b} is healed"),
            Action::DiskCut(host, disk) => write!(f, "host {host} loses statefile {disk}"),
            Action::DiskHeal(host, disk) => write!(f, "host {host} has statefile {disk} back"),
            Action::AllCut => write!(f, "all hosts lose all statefiles"),
            Action::AllHeal => write!(f, "the statefiles are back"),
            Action::Late(host) => write!(f, "the writes of host {host} hang"),
            Action::Land(host) => write!(f, "the writes of host {host} land"),
            Action::Slow(host) => write!(f, "the clock of host {host} misses a tick"),
            Action::Lose(a, b) => write!(f, "the packet from host {a} to host {b} is lost"),
            Action::Delay(a, b) => write!(f, "the packet from host {a} to host {b} is late"),
        }
    }
}

impl State {
    /// Everything that may happen next, the harmless first.
    pub fn actions(&self, setup: &Setup) -> Vec<Action> {
        let hosts = 0..self.hosts.len();
        if !self.open {
            let mut list: Vec<Action> =
                hosts.clone().filter(|host| self.has_steps(*host)).map(Action::Step).collect();
            if setup.order == Order::Free && setup.moves.crash && self.left.faults > 0 {
                list.extend(hosts.filter(|host| self.hosts[*host].alive).map(Action::Crash));
            }
            return list;
        }
        let mut list = vec![Action::Go];
        self.heals(&mut list);
        if self.left.faults > 0 {
            self.faults(setup, &mut list);
        }
        let down = |host: &usize| !self.hosts[*host].alive;
        if self.left.boots > 0 {
            list.extend(hosts.clone().filter(down).map(Action::Boot));
        }
        if self.left.slow > 0 {
            list.extend(hosts.filter(|host| self.may_slow(*host)).map(Action::Slow));
        }
        list
    }

    /// A tombstone counts parts of a tick (R5.4), and a whole tick missed within it would be no
    /// clock rate any more: a host that announces its reset misses none.
    fn may_slow(&self, host: usize) -> bool {
        let it = &self.hosts[host];
        it.node.as_ref().is_some_and(|node| node.phase() != Phase::Fencing)
    }

    fn heals(&self, list: &mut Vec<Action>) {
        let count = self.hosts.len();
        for (host, it) in self.hosts.iter().enumerate() {
            if it.paused {
                list.push(Action::Resume(host));
            }
            if self.net & (1 << host) != 0 {
                list.push(Action::NetHeal(host));
            }
            if it.late.is_some() || it.jobs.iter().any(|job| job.lands_by > 0) {
                list.push(Action::Land(host));
            }
            let cut = (0..self.disks.len()).filter(|disk| it.disk_cut & (1 << disk) != 0);
            list.extend(cut.map(|disk| Action::DiskHeal(host, disk)));
        }
        let cut = (0..count * count).filter(|link| self.links & (1 << link) != 0);
        list.extend(cut.map(|link| Action::LinkHeal(link / count, link % count)));
        if self.all_cut {
            list.push(Action::AllHeal);
        }
    }

    fn faults(&self, setup: &Setup, list: &mut Vec<Action>) {
        let moves = setup.moves;
        let mut add = |may: bool, action: Action| {
            if may {
                list.push(action);
            }
        };
        let count = self.hosts.len();
        for (host, it) in self.hosts.iter().enumerate() {
            add(moves.net && self.net & (1 << host) == 0, Action::NetCut(host));
            for disk in 0..self.disks.len() {
                let reached = it.disk_cut & (1 << disk) == 0;
                add(moves.disk && reached, Action::DiskCut(host, disk));
            }
            if !it.alive {
                continue;
            }
            add(moves.crash, Action::Crash(host));
            add(moves.pause && !it.paused, Action::Pause(host));
            add(moves.late && it.late.is_none(), Action::Late(host));
            for other in (0..count).filter(|other| *other != host && self.hosts[*other].alive) {
                let link = 1 << (host * count + other);
                add(moves.link && self.links & link == 0, Action::LinkCut(host, other));
                let whole = moves.packet && self.linked(host, other) && !it.paused;
                let whole = whole && (self.lossy | self.slow_links) & link == 0;
                add(whole, Action::Lose(host, other));
                add(whole, Action::Delay(host, other));
            }
        }
        add(moves.all && !self.all_cut, Action::AllCut);
    }

    /// Takes the price of an action off the budget.
    pub fn pay(&mut self, action: Action) {
        match action {
            Action::Crash(_)
            | Action::Pause(_)
            | Action::NetCut(_)
            | Action::LinkCut(..)
            | Action::DiskCut(..)
            | Action::AllCut
            | Action::Late(_)
            | Action::Lose(..)
            | Action::Delay(..) => self.left.faults -= 1,
            Action::Boot(_) => self.left.boots -= 1,
            Action::Slow(_) => self.left.slow -= 1,
            _ => {}
        }
    }

    /// Lets an action happen. A panic of the rules is a violation like any other; what it leaves
    /// half done is not played on.
    pub fn perform(&mut self, setup: &Setup, action: Action) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.happen(setup, action))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            self.violate(|| format!("a panic: {}", text.unwrap_or("without words")));
        }
    }

    fn happen(&mut self, setup: &Setup, action: Action) {
        let count = self.hosts.len();
        let link = |from: usize, to: usize| 1u16 << (from * count + to);
        match action {
            Action::Go => self.begin_tick(setup),
            Action::Step(host) => self.take_steps(setup, host),
            Action::Crash(host) => self.end(host),
            Action::Boot(host) => self.boot(setup, host, false),
            Action::Pause(host) => self.hosts[host].paused = true,
            Action::Resume(host) => self.hosts[host].paused = false,
            Action::NetCut(host) => self.net |= 1 << host,
            Action::NetHeal(host) => self.net &= !(1 << host),
            Action::LinkCut(from, to) => self.links |= link(from, to),
            Action::LinkHeal(from, to) => self.links &= !link(from, to),
            Action::DiskCut(host, disk) => self.hosts[host].disk_cut |= 1 << disk,
            Action::DiskHeal(host, disk) => self.hosts[host].disk_cut &= !(1 << disk),
            Action::AllCut => self.all_cut = true,
            Action::AllHeal => self.all_cut = false,
            Action::Late(host) => self.hosts[host].late = Some(self.tick + LATEST),
            Action::Land(host) => self.land(host),
            Action::Slow(host) => self.hosts[host].lag += 1,
            Action::Lose(from, to) => self.lossy |= link(from, to),
            Action::Delay(from, to) => self.slow_links |= link(from, to),
        }
        self.end_tick_if_over();
    }
}
