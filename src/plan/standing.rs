//! A pool that changes while the question stands.
//!
//! The bounds of all classes are kept, with a weight for every host. A change touches a host or
//! two: their weights are renewed and the `r` largest are added up again. Only when a bound no
//! longer holds, or a VM comes that no bound speaks of, is everything counted anew; and even then
//! a set that broke the pool before is tried first. While a protected VM waits for its start, or
//! may be excused where its hosts fail, the question is asked from scratch. Placements of single
//! sets are not kept: to verify one costs as much as to find it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ask::{outcome, together};
use super::census::FREE;
use super::classes::{Class, Coming, Sums};
use super::field::Field;
use super::meter::Meter;
use super::ranges::{Sizes, bound, prove};
use super::sets::{Certificate, Sets, breaks, survive};
use super::tables::{Table, top};
use super::{Budget, Host, Outcome, Problem, Sequences, Vm};

/// A change of the pool; hosts and VMs are indices of the [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The host is this now.
    Host(usize, Host),
    /// The VM is this now; what it takes of its host is told by that host's change.
    Vm(usize, Vm),
}

impl Problem {
    /// Makes a change; gives the one that would undo it.
    pub fn set(&mut self, change: Change) -> Change {
        match change {
            Change::Host(at, it) => Change::Host(at, std::mem::replace(&mut self.hosts[at], it)),
            Change::Vm(at, it) => Change::Vm(at, std::mem::replace(&mut self.vms[at], it)),
        }
    }

    /// What it changes that a VM runs on a host now, and nowhere else: started there or moved.
    pub fn run(&self, vm: usize, to: usize) -> Vec<Change> {
        let it = &self.vms[vm];
        let mut changes = Vec::new();
        if it.host != Some(to) {
            if let Some((from, host)) = it.host.and_then(|at| self.hosts.get(at).map(|it| (at, it)))
            {
                let mut host = host.clone();
                host.give(it);
                changes.push(Change::Host(from, host));
            }
            let mut host = self.hosts[to].clone();
            host.take(it);
            changes.push(Change::Host(to, host));
        }
        changes.push(Change::Vm(vm, Vm { host: Some(to), ..it.clone() }));
        changes
    }
}

/// The question about a pool, with what is known of it.
#[derive(Debug, Clone)]
pub struct Standing {
    problem: Problem,
    r: usize,
    budget: Budget,
    field: Field,
    /// Protected VMs for which it is asked from scratch: they run on no enabled host, or are
    /// excused where none of their hosts survives.
    apart: BTreeSet<usize>,
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
            sums: Sums::new(&field, &hosts),
            apart: BTreeSet::new(),
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
        standing.apart = all.filter(|vm| standing.is_apart(*vm)).collect();
        standing
    }

    /// The pool as it is now.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// For how many failures it is asked.
    pub fn failures(&self) -> usize {
        self.r
    }

    /// Takes a change into account; gives the one that would undo it.
    pub fn change(&mut self, change: Change) -> Change {
        match change {
            Change::Vm(vm, ref it) => {
                let tied_otherwise = it.allowed != self.problem.vms[vm].allowed;
                self.leave(vm);
                let undo = self.problem.set(change);
                Arc::make_mut(&mut self.field.census).renew(&self.problem, vm);
                self.join(vm);
                if tied_otherwise {
                    self.recount();
                }
                undo
            }
            Change::Host(host, ref it) if it.enabled == self.problem.hosts[host].enabled => {
                let undo = self.problem.set(change);
                self.refresh(host);
                undo
            }
            Change::Host(host, _) => {
                let there = |vm: &usize| self.problem.vms[*vm].host == Some(host);
                let there: Vec<usize> = (0..self.problem.vms.len()).filter(there).collect();
                there.iter().for_each(|vm| self.leave(*vm));
                let undo = self.problem.set(change);
                there.iter().for_each(|vm| self.join(*vm));
                self.refresh(host);
                undo
            }
        }
    }

    /// The answer as after these changes, which are then undone.
    pub fn what_if(&mut self, changes: &[Change]) -> Outcome {
        self.renew();
        let kept = self.complete.then(|| (self.bounds.clone(), self.censuses));
        let undo: Vec<Change> = changes.iter().map(|it| self.change(it.clone())).collect();
        let answer = self.answer();
        for change in undo.into_iter().rev() {
            self.change(change);
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
        let mut meter = Meter::of(&self.budget);
        if !self.apart.is_empty() {
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

    /// Whether the VM is one of those for which it is asked from scratch.
    fn is_apart(&self, vm: usize) -> bool {
        let excused = self.problem.excuse_doomed && self.field.census.tie(vm) != FREE;
        self.problem.vms[vm].protected && (excused || self.home(vm).is_none())
    }

    /// The host that runs the VM, if it is an enabled one of the pool.
    fn home(&self, vm: usize) -> Option<usize> {
        let enabled = |host: &usize| self.problem.hosts.get(*host).is_some_and(|it| it.enabled);
        self.problem.vms[vm].host.filter(enabled)
    }

    /// What is left on a host, again.
    fn refresh(&mut self, host: usize) {
        let it = &self.problem.hosts[host];
        self.field.room[host] = it.enabled.then(|| self.field.census.room(it));
        self.dirty.insert(host);
        if !self.field.census.counts_as(&self.problem) {
            self.recount();
        }
    }

    /// Numbers ties and dimensions anew; bounds that speak of the old ones hold no longer.
    fn recount(&mut self) {
        self.field = Field::new(&self.problem);
        self.censuses += 1;
        (self.bounds, self.complete) = (Vec::new(), false);
    }

    /// Takes the VM out of the load of its host.
    fn leave(&mut self, vm: usize) {
        self.apart.remove(&vm);
        if let Some(host) = self.home(vm) {
            self.field.load[host].retain(|there| *there != vm);
            self.dirty.insert(host);
        }
    }

    /// Puts it there, if it is protected; a VM that no bound speaks of makes them incomplete.
    fn join(&mut self, vm: usize) {
        if !self.problem.vms[vm].protected {
            return;
        }
        if self.is_apart(vm) {
            self.apart.insert(vm);
        }
        let Some(host) = self.home(vm) else { return };
        self.dirty.insert(host);
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
