//! Who may start now: protected VMs first, by order, with delays and limits, where they fit.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::track::{Class, Turn};
use super::{Action, Intent, Loss, Message, Power, Priority, Step, Vm};
use crate::plan::{self, Problem, Shortage};

/// Said of a start beside the rest of its anti-affinity group.
const CROWDED: &str = "its anti-affinity group stands on one host: there was no room to spread it";

/// Where those go that wait.
struct Places {
    /// Host by VM.
    at: BTreeMap<usize, usize>,
    /// VMs of anti-affinity groups that stand on a single host with them.
    crowded: BTreeSet<usize>,
    /// The pool with all of them placed.
    left: Problem,
}

/// A VM that waits for its start.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    turn: Turn,
    uuid: Uuid,
    index: usize,
}

fn turn(vm: &Vm, class: Class) -> Turn {
    Turn { class, order: u64::try_from(vm.order).unwrap_or(u64::MAX) }
}

/// The turn that a VM had which runs already, or which waits for an attempt of its own.
pub(super) fn turn_of(vm: &Vm) -> Turn {
    turn(vm, if vm.protected() { Class::Guaranteed } else { Class::BestEffort })
}

impl Step<'_> {
    /// The class in which a VM waits, if it does.
    fn waits(&self, vm: &Vm) -> Option<Class> {
        if vm.power != Power::Halted || vm.intent.is_some() || vm.template {
            return None;
        }
        // A start that was asked for and stands in no row has failed, and the word of it is still
        // to come: it would be taken for the word of another start with the same number.
        let track = self.recovery.tracks.get(&vm.uuid);
        if track.and_then(|track| track.in_flight.as_ref()).is_some_and(|it| it.run > vm.run) {
            return None;
        }
        if vm.protected() && (self.pool.tolerance > 0 || vm.loss == Loss::No) {
            return Some(Class::Guaranteed);
        }
        match (vm.loss, vm.priority) {
            (Loss::Owed(_), Priority::Restart) if vm.protected() => Some(Class::Once),
            (Loss::Owed(_), Priority::BestEffort) => Some(Class::BestEffort),
            _ => None,
        }
    }

    fn waiting(&self) -> Vec<Waiting> {
        let vms = self.pool.vms.iter().enumerate();
        let mut waiting: Vec<Waiting> = vms
            .filter_map(|(index, vm)| {
                let turn = turn(vm, self.waits(vm)?);
                Some(Waiting { turn, uuid: vm.uuid, index })
            })
            .collect();
        waiting.sort_by_key(|waiting| (waiting.turn, waiting.uuid));
        waiting
    }

    pub(super) fn start_what_may_start(&mut self) {
        if self.now < self.pool.hold_until {
            return;
        }
        // A VM that finds no place opens the way for later ones, so look again until nothing moves.
        while self.start_some() {}
    }

    /// Starts what may start; whether something else may have become possible by that.
    fn start_some(&mut self) -> bool {
        let waiting = self.waiting();
        let places = self.places(&waiting);
        let (mut moved, mut in_flight) = (false, self.in_flight());
        let mut all: usize = in_flight.values().sum();
        for this in &waiting {
            if !self.may_start(this, &waiting) {
                continue;
            }
            let Some(host) = places.at.get(&this.index).copied() else {
                moved |= self.without_place(this, &places.left);
                continue;
            };
            let there = in_flight.entry(self.pool.hosts[host].boot.host).or_default();
            let limits = self.pool.limits;
            if *there < limits.starts_per_host && all < limits.starts_per_pool {
                *there += 1;
                all += 1;
                self.start(this, host);
                if places.crowded.contains(&this.index) {
                    let text = CROWDED.to_owned();
                    self.actions.push(Action::Note { vm: this.uuid, text });
                }
            }
        }
        moved
    }

    /// Places all that wait together, so that a VM in back-off keeps its place; those of a later
    /// class take what the earlier ones leave. The last plan is made anew only where it does not
    /// hold any more, so that no event moves the others about.
    fn places(&mut self, waiting: &[Waiting]) -> Places {
        let mut problem = self.pool.problem();
        for this in waiting {
            self.avoid_failed_hosts(&mut problem, this);
        }
        let (mut at, mut crowded) = (BTreeMap::new(), BTreeSet::new());
        for class in [Class::Guaranteed, Class::Once, Class::BestEffort] {
            let members = waiting.iter().filter(|this| this.turn.class == class);
            let wanted: Vec<usize> = members.map(|this| this.index).collect();
            // What is guaranteed is placed so that further failures are tolerated if possible.
            let more = match class {
                Class::Guaranteed => usize::try_from(self.pool.tolerance).unwrap_or(0),
                Class::Once | Class::BestEffort => 0,
            };
            let last = self.last_plan(&wanted).and_then(|last| plan::place_again(&problem, last));
            let placement = last.unwrap_or_else(|| {
                plan::place_ahead(&problem, &[], &wanted, more.saturating_sub(1))
            });
            for (vm, host) in placement.placed {
                problem.hosts[host].take(&problem.vms[vm]);
                at.insert(vm, host);
                let group = problem.vms[vm].group;
                crowded.extend(group.filter(|it| placement.crowded.contains(it)).map(|_| vm));
            }
        }
        let uuids = |(vm, host): (&usize, &usize)| {
            (self.pool.vms[*vm].uuid, self.pool.hosts[*host].boot.host)
        };
        self.recovery.plan = at.iter().map(uuids).collect();
        Places { at, crowded, left: problem }
    }

    /// Where the last plan has those VMs go; nothing if it lacks one of them.
    fn last_plan(&self, wanted: &[usize]) -> Option<Vec<(usize, usize)>> {
        let place = |vm: &usize| {
            let host = self.recovery.plan.get(&self.pool.vms[*vm].uuid)?;
            let at = self.pool.hosts.iter().position(|row| row.boot.host == *host)?;
            Some((*vm, at))
        };
        wanted.iter().map(place).collect()
    }

    /// Another host is tried after one that failed; when all were tried, a new round begins later.
    fn avoid_failed_hosts(&mut self, problem: &mut Problem, this: &Waiting) {
        let now = self.now;
        let Some(track) = self.recovery.tracks.get_mut(&this.uuid) else { return };
        if track.tries.avoid.is_empty() {
            return;
        }
        let vm = &problem.vms[this.index];
        let usable = |at: &usize| {
            let host = &problem.hosts[*at];
            host.enabled && host.has_room(vm) && vm.may(*at)
        };
        let untried = |at: &usize| !track.tries.avoid.contains(&self.pool.hosts[*at].boot.host);
        let hosts = (0..problem.hosts.len()).filter(usable);
        let left: std::collections::BTreeSet<usize> = hosts.filter(untried).collect();
        if !left.is_empty() {
            problem.vms[this.index].allowed = Some(left);
            return;
        }
        let cause = track.cause.clone();
        track.round_over(now);
        if this.turn.class == Class::Guaranteed && track.tell(&cause) {
            self.actions.push(Action::Tell(Message::restart_failed(this.uuid, &cause)));
        }
    }

    /// Starts in flight by host, whoever decided them. A VM that runs somewhere is being moved,
    /// which reads no disk and takes nobody's turn.
    fn in_flight(&self) -> BTreeMap<Uuid, usize> {
        let mut count = BTreeMap::new();
        let starting = self.pool.vms.iter().filter(|vm| vm.residence.is_none());
        for intent in starting.filter_map(|vm| vm.intent.as_ref()) {
            *count.entry(intent.at.host).or_default() += 1;
        }
        count
    }

    /// Whether it is this VM's turn: its own back-off is over, every VM of an earlier turn was
    /// attempted, and their start delays are over.
    fn may_start(&self, this: &Waiting, waiting: &[Waiting]) -> bool {
        let track = |uuid: &Uuid| self.recovery.tracks.get(uuid);
        if track(&this.uuid).is_some_and(|track| track.not_before > self.now) {
            return false;
        }
        let due = |uuid: &Uuid| {
            track(uuid).is_none_or(|track| !track.attempted && track.not_before <= self.now)
        };
        let earlier = waiting.iter().filter(|other| other.turn < this.turn);
        if earlier.into_iter().any(|other| due(&other.uuid)) {
            return false;
        }
        self.recovery.tracks.values().all(|track| {
            let first_try = track.in_flight.is_some() && !track.attempted;
            let busy = first_try || track.delay_until > self.now;
            !busy || track.turn.is_none_or(|turn| turn >= this.turn)
        })
    }

    fn start(&mut self, this: &Waiting, host: usize) {
        let at = self.pool.hosts[host].boot.clone();
        let epoch = self.pool.epoch;
        let vm = &mut self.pool.vms[this.index];
        vm.run += 1;
        let intent = Intent { at, run: vm.run, epoch, ours: true };
        vm.intent = Some(intent.clone());
        self.spend(this);
        let track = self.track(this.uuid);
        track.in_flight = Some(intent.clone());
        track.turn = Some(this.turn);
        self.actions.push(Action::Start { vm: this.uuid, intent });
    }

    /// An attempt that is owed is spent when it is made, so that no later master repeats it.
    fn spend(&mut self, this: &Waiting) {
        let loss = match (this.turn.class, self.pool.vms[this.index].loss) {
            (Class::Guaranteed, _) => return,
            (_, Loss::Owed(attempts)) if attempts > 1 => Loss::Owed(attempts - 1),
            (Class::Once, _) => Loss::Spent,
            (Class::BestEffort, _) => Loss::No,
        };
        self.pool.vms[this.index].loss = loss;
        self.actions.push(Action::SetLoss { vm: this.uuid, loss });
    }

    /// A VM without a place waits if it is protected, or if its hosts are all away; else that was
    /// its attempt. Whether this changed anything.
    fn without_place(&mut self, this: &Waiting, left: &Problem) -> bool {
        let now = self.now;
        let track = self.track(this.uuid);
        let first = !std::mem::replace(&mut track.attempted, true);
        // One that is protected keeps the attempt that is owed to it until there is room for it.
        if this.turn.class != Class::BestEffort {
            let (cause, more) = if track.tries.avoid.is_empty() {
                let short = Shortage::of(left, this.index, |_| true);
                (short.code().to_owned(), format!("\n{}", short.sentence()))
            } else {
                track.round_over(now);
                (track.cause.clone(), String::new())
            };
            if track.tell(&cause) {
                let message = Message::restart_failed(this.uuid, &(cause + &more));
                self.actions.push(Action::Tell(message));
            }
            return first;
        }
        let vm = &self.pool.vms[this.index];
        let may = |host: Uuid| vm.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host));
        let mut usable = self.pool.hosts.iter().filter(|host| host.live && host.enabled);
        if usable.any(|host| may(host.boot.host)) {
            self.spend(this);
            self.track(this.uuid).round_over(now);
            let text = match self.pool.vms[this.index].loss {
                Loss::Owed(left) => format!("no host has room for it; attempts left: {left}"),
                _ => "no host has room for its restart; it stays off".to_owned(),
            };
            self.actions.push(Action::Note { vm: this.uuid, text });
            return true;
        }
        first
    }
}
