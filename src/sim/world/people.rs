//! What guests and users do to VMs, and what breaks them.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::guests::State;
use super::machine::{AgentState, What};
use super::rows;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::recovery::Pool;

/// A start that a master has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// When it was decided.
    pub at: Nanos,
    /// The VM.
    pub vm: usize,
    /// Where it is to run.
    pub host: usize,
}

/// What is wrong with VMs, and what was seen of their recovery.
#[derive(Debug, Default)]
pub(in crate::sim) struct People {
    /// VMs that cannot be started on a host.
    pub(super) broken: BTreeSet<(usize, usize)>,
    /// VMs that crash so many seconds after each start.
    loops: BTreeMap<usize, u64>,
    /// The starts that were decided, in their order.
    pub(in crate::sim) began: Vec<Began>,
    /// When VMs that were started came to run.
    pub(in crate::sim) ran: Vec<(Nanos, usize)>,
    /// The names of the alerts.
    pub(in crate::sim) told: Vec<&'static str>,
    /// The most starts that were under way together on one host, and in the pool.
    pub(in crate::sim) most: (usize, usize),
}

impl World {
    /// A guest ends, and its host's agent tells the master at once, if that can be told.
    pub(in crate::sim) fn guest_ends(&mut self, vm: usize, by_itself: bool) {
        let runs = |machine: &super::Machine| {
            machine.guests.executing.get(&vm).is_some_and(|(_, state)| *state == State::Running)
        };
        let Some(at) = self.machines.iter().position(runs) else { return };
        let run = self.machines[at].guests.executing.remove(&vm).map_or(0, |(run, _)| run);
        let how = if by_itself { "switches itself off" } else { "crashes" };
        self.tell(format_args!("vm{vm} on h{} {how}", at + 1));
        let Some(master) = self.acting().first().copied() else { return };
        let cut = master != at && (self.net.calls[at][master] || self.net.calls[master][at]);
        let row = rows::vm_row(vm);
        let known = rows::residence(&self.rows.db, vm) == Some(at)
            && self.rows.db.int("VM", &row, "xe_run") == run as i64
            && rows::intent_of(&self.rows.db, vm).is_none();
        if cut || !known || self.machines[at].agent != AgentState::Well {
            return;
        }
        let (epoch, stays_off) = (self.epoch_of(master), by_itself && self.setting.stays_off);
        self.rows.commit(epoch, |tx| {
            if stays_off {
                tx.set("VM", &row, "ha_always_run", false);
            }
            rows::set_halted(tx, vm);
        });
        self.agent_looks(master);
    }

    /// A VM came to run on a host: one that loops crashes some seconds later.
    pub(super) fn guest_began(&mut self, host: usize, vm: usize, run: u64) {
        self.people.ran.push((self.now, vm));
        if let Some(seconds) = self.people.loops.get(&vm).copied() {
            self.push(self.now + seconds * SECOND, host, What::GuestEnds(vm, run));
        }
    }

    /// The VM ends if that run is still there.
    pub(super) fn guest_ends_in(&mut self, host: usize, vm: usize, run: u64) {
        if self.machines[host].guests.executing.get(&vm) == Some(&(run, State::Running)) {
            self.guest_ends(vm, false);
        }
    }

    /// From now on a VM crashes so many seconds after each start; never, for zero.
    pub(in crate::sim) fn loop_vm(&mut self, vm: usize, seconds: u64) {
        self.people.loops.insert(vm, seconds);
        if seconds == 0 {
            self.people.loops.remove(&vm);
        }
    }

    /// A VM can, or cannot, be started on a host.
    pub(in crate::sim) fn break_vm(&mut self, vm: usize, host: usize, broken: bool) {
        if broken {
            self.people.broken.insert((vm, host));
        } else {
            self.people.broken.remove(&(vm, host));
        }
    }

    /// Every VM can be started everywhere, none crashes any more, and one failure is tolerated.
    pub(in crate::sim) fn mend_vms(&mut self) {
        self.people.broken.clear();
        self.people.loops.clear();
        self.tolerate(1);
    }

    /// A user shuts a VM down, or ends its waiting: it stays off. One that is being started is
    /// busy.
    pub(in crate::sim) fn stop_vm(&mut self, vm: usize) {
        if rows::intent_of(&self.rows.db, vm).is_some() {
            return;
        }
        self.unprotect(vm, false);
        if let Some(host) = rows::residence(&self.rows.db, vm) {
            self.machines[host].guests.executing.remove(&vm);
            self.rows.commit(self.rows.epoch, |tx| rows::set_halted(tx, vm));
        }
    }

    /// A user takes a VM's guarantee away, or only wants it off.
    pub(in crate::sim) fn unprotect(&mut self, vm: usize, for_good: bool) {
        let row = rows::vm_row(vm);
        self.rows.commit(self.rows.epoch, |tx| {
            tx.set("VM", &row, "ha_always_run", false);
            tx.set("VM", &row, "xe_loss", "");
            if for_good {
                tx.set("VM", &row, "ha_restart_priority", "");
            }
        });
    }

    /// A user deletes the record of a VM.
    pub(in crate::sim) fn delete_vm(&mut self, vm: usize) {
        self.rows.commit(self.rows.epoch, |tx| {
            if let Some(intent) = rows::intent_of(tx.db(), vm) {
                tx.delete("xe_intent", &intent);
            }
            tx.delete("VM", &rows::vm_row(vm));
        });
        self.machines.iter_mut().for_each(|machine| {
            machine.guests.executing.remove(&vm);
        });
    }

    /// VMs may, or may not, be started on a host.
    pub(in crate::sim) fn enable_host(&mut self, host: usize, enabled: bool) {
        if enabled {
            self.rows.disabled.remove(&host);
        } else {
            self.rows.disabled.insert(host);
        }
        self.rows.version += 1;
    }

    /// The pool tolerates so many failures from now on.
    pub(in crate::sim) fn tolerate(&mut self, failures: u64) {
        self.rows.tolerance = failures;
        self.rows.version += 1;
    }

    /// Notes a start that a master has decided, and how many are under way with it.
    pub(super) fn note_start(&mut self, vm: usize, host: usize) {
        self.people.began.push(Began { at: self.now, vm, host });
        let db = &self.rows.db;
        let intents = db.table("xe_intent").keys();
        let hosts: Vec<Option<usize>> =
            intents.map(|intent| rows::host_at(db, "xe_intent", intent, "host")).collect();
        let there = hosts.iter().filter(|at| **at == Some(host)).count();
        let most = &mut self.people.most;
        *most = (most.0.max(there), most.1.max(hosts.len()));
    }

    /// The rows as a master's policy sees them.
    pub(in crate::sim) fn policy_rows(&self, master: usize) -> Pool {
        let live: Vec<(usize, bool)> = (0..self.machines.len()).map(|host| (host, true)).collect();
        self.rows.pool(self.epoch_of(master), &live, BTreeSet::new(), &BTreeMap::new())
    }

    /// Where a VM really runs.
    pub fn runs_on(&self, vm: usize) -> Option<usize> {
        self.machines.iter().position(|machine| {
            let state = machine.guests.executing.get(&vm);
            machine.alive && state.is_some_and(|(_, state)| *state == State::Running)
        })
    }

    /// How often a start of a VM was decided.
    pub fn starts_of(&self, vm: usize) -> usize {
        self.people.began.iter().filter(|began| began.vm == vm).count()
    }

    /// The orders of the starts, each as often as it changed.
    pub fn orders(&self) -> Vec<i64> {
        let order = |began: &Began| self.rows.db.int("VM", &rows::vm_row(began.vm), "order");
        let mut orders: Vec<i64> = self.people.began.iter().map(order).collect();
        orders.dedup();
        orders
    }

    /// What the database says about a VM's power; none when it is deleted.
    pub fn power_of(&self, vm: usize) -> &str {
        let row = rows::vm_row(vm);
        let there = self.rows.db.row("VM", &row).is_some();
        if there { self.rows.db.text("VM", &row, "power_state") } else { "none" }
    }

    /// How often an alert of that name was sent.
    pub fn alerts(&self, name: &str) -> usize {
        self.people.told.iter().filter(|told| **told == name).count()
    }
}
