//! A pool that changes while the question stands.
//!
//! The bounds of all classes are kept, with a weight for every host. A change touches a host or
//! two: their weights are renewed and the `r` largest are added up again. Only when a bound no
//! longer holds, a VM comes that no bound speaks of, or a protected VM waits for its start, is the
//! question asked from scratch; and even then a set that broke the pool before is tried first.
//! Placements of single sets are not kept: to verify one costs as much as to find it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ask::{outcome, together};
use super::classes::{Class, Coming, Sums};
use super::field::Field;
use super::ledger::Ledger;
use super::meter::Meter;
use super::ranges::{Sizes, bound, prove};
use super::sets::{Certificate, Sets, breaks, survive};
use super::tables::{Table, top};
use super::{Budget, Outcome, Problem, Sequences, Vm};

/// A change of the pool; hosts and VMs are indices of the [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The VM runs on that host now, and nowhere else: started, moved, or (`None`) stopped.
    Runs(usize, Option<usize>),
    /// The VM needs that much memory and that many vCPUs now.
    Resized(usize, u64, u64),
    /// The VM is protected now, or no longer.
    Protected(usize, bool),
    /// The host is enabled now, or no longer.
    Enabled(usize, bool),
    /// The host is gone, and what it ran is halted.
    Lost(usize),
}

/// The question about a pool, with what is known of it.
#[derive(Debug, Clone)]
pub struct Standing {
    problem: Problem,
    r: usize,
    budget: Budget,
    ledger: Ledger,
    field: Field,
    /// Protected VMs that run on no enabled host.
    homeless: BTreeSet<usize>,
    hosts: Vec<usize>,
    sums: Sums,
    /// Bounds that held for all sets when they were looked at last, one for each class.
    bounds: Vec<(Class, Table)>,
    /// Whether the bounds speak of every VM.
    complete: bool,
    /// Hosts that changed since the weights were renewed.
    dirty: BTreeSet<usize>,
    /// Hosts that broke the pool before.
    killer: Vec<usize>,
    /// How often everything was counted anew.
    censuses: u64,
}

impl Standing {
    /// Whether the pool tolerates `r` failures, from now on; each answer may cost the budget.
    pub fn new(problem: Problem, r: usize, budget: Budget) -> Self {
        let field = Field::new(&problem);
        let hosts: Vec<usize> = (0..problem.hosts.len()).collect();
        let mut standing = Self {
            ledger: Ledger::new(&problem),
            sums: Sums::new(&field, &hosts),
            homeless: BTreeSet::new(),
            bounds: Vec::new(),
            complete: false,
            dirty: BTreeSet::new(),
            killer: Vec::new(),
            censuses: 0,
            problem,
            r,
            budget,
            field,
            hosts,
        };
        let all = 0..standing.problem.vms.len();
        standing.homeless = all.filter(|vm| standing.is_homeless(*vm)).collect();
        standing
    }

    /// The pool as it is now.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// A VM more, which runs nowhere and is not protected yet; its index.
    pub fn add(&mut self, vm: Vm) -> usize {
        let index = self.problem.vms.len();
        self.problem.vms.push(Vm { host: None, protected: false, ..vm });
        Arc::make_mut(&mut self.field.census).renew(&self.problem, index);
        index
    }

    /// Takes a change into account; what would undo it. The indices are those of the problem.
    pub fn change(&mut self, change: &Change) -> Vec<Change> {
        let of = |vm: usize| &self.problem.vms[vm];
        match *change {
            Change::Runs(vm, host) => {
                let undo = vec![Change::Runs(vm, of(vm).host)];
                self.set(vm, |it| it.host = host);
                undo
            }
            Change::Resized(vm, memory, vcpus) => {
                let undo = vec![Change::Resized(vm, of(vm).memory, of(vm).vcpus)];
                self.set(vm, |it| (it.memory, it.vcpus) = (memory, vcpus));
                undo
            }
            Change::Protected(vm, protected) => {
                let undo = vec![Change::Protected(vm, of(vm).protected)];
                self.set(vm, |it| it.protected = protected);
                undo
            }
            Change::Enabled(host, enabled) => {
                let undo = vec![Change::Enabled(host, self.problem.hosts[host].enabled)];
                self.enable(host, enabled);
                undo
            }
            Change::Lost(host) => {
                let there = |vm: &usize| of(*vm).host == Some(host);
                let lost: Vec<usize> = (0..self.problem.vms.len()).filter(there).collect();
                let mut undo = self.change(&Change::Enabled(host, false));
                undo.extend(lost.iter().map(|vm| Change::Runs(*vm, Some(host))));
                for vm in lost {
                    self.set(vm, |it| it.host = None);
                }
                undo
            }
        }
    }

    /// The answer as after these changes, which are then undone.
    pub fn what_if(&mut self, changes: &[Change]) -> Outcome {
        self.renew();
        let kept = self.complete.then(|| (self.bounds.clone(), self.censuses));
        let undo: Vec<Vec<Change>> = changes.iter().map(|change| self.change(change)).collect();
        let answer = self.answer();
        for change in undo.into_iter().rev().flatten() {
            self.change(&change);
        }
        // The pool is what it was, and so are its bounds, unless its ties were numbered anew.
        if let Some((bounds, censuses)) = kept
            && censuses == self.censuses
        {
            (self.bounds, self.complete) = (bounds, true);
        }
        answer
    }

    /// The answer for the pool as it is. Sequences are left to [`super::one_by_one`].
    pub fn answer(&mut self) -> Outcome {
        let mut meter = Meter::new(self.budget.nodes);
        if self.problem.excuse_doomed || !self.homeless.is_empty() {
            return outcome(together(&self.problem, self.r, false, &mut meter), self.r, &meter);
        }
        let sets = self.sets(&mut meter);
        let one_by_one = if self.r <= 1 { Sequences::Kept } else { Sequences::NotProved };
        match sets {
            Sets::Safe(certificate) => Outcome::Yes { certificate, starts: Vec::new(), one_by_one },
            Sets::Broken(breaking) => {
                self.killer = breaking.iter().flat_map(|it| it.hosts.clone()).collect();
                Outcome::No(breaking)
            }
            Sets::Unknown => Outcome::NotProved { nodes: meter.used() },
        }
    }

    fn sets(&mut self, meter: &mut Meter) -> Sets {
        let targets = self.field.targets().len();
        if targets < self.r {
            return Sets::Broken(None);
        }
        self.renew();
        let r = self.r;
        if self.complete
            && self.bounds.iter().all(|(_, table)| top(&table.weights, r) < table.limit)
        {
            return Sets::Safe(self.certificate());
        }
        let there = |host: &usize| self.field.room[*host].is_some();
        if self.killer.len() == r
            && self.killer.iter().all(there)
            && let Some(breaking) = breaks(&self.field, &self.killer, meter)
        {
            return Sets::Broken(Some(breaking));
        }
        self.sums = Sums::new(&self.field, &self.hosts);
        let sizes = Sizes::new(&self.field, &self.hosts);
        let how = (r, Coming::Together);
        let proof = prove(&self.field, &self.hosts, &self.sums, &sizes, how);
        (self.bounds, self.complete) = (proof.closed, proof.open.is_empty());
        if self.complete {
            return Sets::Safe(self.certificate());
        }
        survive(&self.field, r, false, meter)
    }

    /// Renews the weights of the hosts that changed.
    fn renew(&mut self) {
        for host in std::mem::take(&mut self.dirty) {
            self.sums.renew(&self.field, host, host);
            for (class, table) in &mut self.bounds {
                table.renew(&self.field, &self.sums, class, (host, &host));
            }
        }
    }

    fn certificate(&self) -> Certificate {
        let bounds = self.bounds.iter().map(|(class, table)| bound(class, table, self.r));
        Certificate { bounds: bounds.collect(), ..Certificate::default() }
    }

    /// Whether the VM is protected and runs on no enabled host.
    fn is_homeless(&self, vm: usize) -> bool {
        self.problem.vms[vm].protected && self.home(vm).is_none()
    }

    /// The host that runs the VM, if the pool knows it.
    fn place(&self, vm: usize) -> Option<usize> {
        self.problem.vms[vm].host.filter(|host| *host < self.problem.hosts.len())
    }

    /// The same if it is enabled.
    fn home(&self, vm: usize) -> Option<usize> {
        self.place(vm).filter(|host| self.problem.hosts[*host].enabled)
    }

    fn set(&mut self, vm: usize, change: impl FnOnce(&mut Vm)) {
        self.leave(vm);
        if let Some(host) = self.place(vm) {
            self.ledger.give(&mut self.problem, vm, host);
            self.refresh(host);
        }
        change(&mut self.problem.vms[vm]);
        Arc::make_mut(&mut self.field.census).renew(&self.problem, vm);
        if let Some(host) = self.place(vm) {
            self.ledger.take(&mut self.problem, vm, host);
            self.refresh(host);
        }
        self.join(vm);
    }

    fn enable(&mut self, host: usize, enabled: bool) {
        let there = |vm: &usize| self.problem.vms[*vm].host == Some(host);
        let there: Vec<usize> = (0..self.problem.vms.len()).filter(there).collect();
        there.iter().for_each(|vm| self.leave(*vm));
        self.problem.hosts[host].enabled = enabled;
        there.iter().for_each(|vm| self.join(*vm));
        self.refresh(host);
        if !self.field.census.counts_as(&self.problem) {
            self.field = Field::new(&self.problem);
            self.censuses += 1;
            self.complete = false;
        }
    }

    /// What is left on a host, again.
    fn refresh(&mut self, host: usize) {
        let it = &self.problem.hosts[host];
        self.field.room[host] = it.enabled.then(|| self.field.census.room(it));
        self.dirty.insert(host);
    }

    /// Takes the VM out of the load of its host.
    fn leave(&mut self, vm: usize) {
        self.homeless.remove(&vm);
        if let Some(host) = self.home(vm) {
            self.field.load[host].retain(|there| *there != vm);
        }
    }

    /// Puts it there, if it is protected; a VM that no bound speaks of makes them incomplete.
    fn join(&mut self, vm: usize) {
        if !self.problem.vms[vm].protected {
            return;
        }
        let Some(host) = self.home(vm) else {
            self.homeless.insert(vm);
            return;
        };
        let census = &self.field.census;
        let load = &mut self.field.load[host];
        let at = load.partition_point(|there| census.order(*there) < census.order(vm));
        load.insert(at, vm);
        let (need, tie) = (census.need(vm), census.tie(vm));
        let fits = |(class, table): &(Class, Table)| {
            (need.memory < class.lo || need.memory % class.grain == 0)
                && need.memory <= table.largest.memory
                && need.vcpus <= table.largest.vcpus
        };
        let speaks = |(class, _): &(Class, Table)| {
            class.tie == tie && (class.lo..=class.hi).contains(&need.memory)
        };
        self.complete &= self.bounds.iter().all(fits) && self.bounds.iter().any(speaks);
    }
}
