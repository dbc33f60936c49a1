//! What never depends on what fails: how much each VM needs and which hosts it may use.
//!
//! A dimension that no enabled host limits is left out altogether, so that a pool without CPU
//! limits is one of memory only. VMs that may use the same hosts share a *tie*; tie 0 is every
//! host.

use std::collections::{BTreeMap, BTreeSet};

use super::size::Size;
use super::{Host, Problem, Vm};

/// The tie of VMs that every host can run.
pub const FREE: usize = 0;

/// Sizes and ties of all VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    need: Vec<Size>,
    tie: Vec<usize>,
    /// By tie: which hosts may be used; `None` for all.
    reach: Vec<Option<Vec<bool>>>,
    group: Vec<Option<usize>>,
    grouped: bool,
    hosts: usize,
    vcpus: bool,
    vms: bool,
}

impl Census {
    pub fn new(problem: &Problem) -> Self {
        let (vcpus, vms) = limits(problem);
        let mut census = Self {
            need: Vec::with_capacity(problem.vms.len()),
            tie: Vec::with_capacity(problem.vms.len()),
            reach: vec![None],
            group: problem.vms.iter().map(|vm| vm.group).collect(),
            grouped: problem.vms.iter().any(|vm| vm.group.is_some()),
            hosts: problem.hosts.len(),
            vcpus,
            vms,
        };
        let mut known: BTreeMap<&BTreeSet<usize>, usize> = BTreeMap::new();
        for vm in &problem.vms {
            census.need.push(census.size(vm));
            let tie = match &vm.allowed {
                None => FREE,
                Some(allowed) => *known.entry(allowed).or_insert_with(|| {
                    census.reach.push(Some(reach(allowed, census.hosts)));
                    census.reach.len() - 1
                }),
            };
            census.tie.push(tie);
        }
        census
    }

    fn size(&self, vm: &Vm) -> Size {
        Size {
            memory: vm.memory,
            vcpus: if self.vcpus { vm.vcpus } else { 0 },
            vms: u64::from(self.vms),
        }
    }

    /// What is left on a host, for the dimensions that count.
    pub fn room(&self, host: &Host) -> Size {
        let left = |counts: bool, left: Option<u64>| if counts { left.unwrap_or(MANY) } else { 0 };
        Size {
            memory: host.free,
            vcpus: left(self.vcpus, host.vcpus),
            vms: left(self.vms, host.slots),
        }
    }

    pub fn need(&self, vm: usize) -> Size {
        self.need[vm]
    }

    pub fn tie(&self, vm: usize) -> usize {
        self.tie[vm]
    }

    pub fn ties(&self) -> usize {
        self.reach.len()
    }

    /// Whether VMs of that tie may use the host.
    pub fn may(&self, tie: usize, host: usize) -> bool {
        self.reach[tie].as_ref().is_none_or(|reach| reach[host])
    }

    /// Whether VMs of tie `inner` may use no host that those of `outer` may not.
    pub fn within(&self, inner: usize, outer: usize) -> bool {
        inner == outer
            || (0..self.hosts).all(|host| !self.may(inner, host) || self.may(outer, host))
    }

    /// Whether memory is all that counts.
    pub fn memory_only(&self) -> bool {
        !self.vcpus && !self.vms
    }

    /// Whether the dimensions that count are still those of the pool.
    pub fn counts_as(&self, problem: &Problem) -> bool {
        limits(problem) == (self.vcpus, self.vms)
    }

    /// The anti-affinity group of the VM.
    pub fn group(&self, vm: usize) -> Option<usize> {
        self.group[vm]
    }

    /// Whether there are such groups at all.
    pub fn grouped(&self) -> bool {
        self.grouped
    }

    pub fn counts_vcpus(&self) -> bool {
        self.vcpus
    }

    pub fn counts_vms(&self) -> bool {
        self.vms
    }

    /// Largest first; the order in which the rules place.
    pub fn order(&self, vm: usize) -> (std::cmp::Reverse<Size>, usize) {
        (std::cmp::Reverse(self.need[vm]), vm)
    }
    /// Takes the VM into account again after its size or its hosts changed, or when it is new.
    pub fn renew(&mut self, problem: &Problem, vm: usize) {
        let it = &problem.vms[vm];
        let wanted = it.allowed.as_ref().map(|allowed| reach(allowed, self.hosts));
        let known = self.reach.iter().position(|reach| *reach == wanted);
        let tie = known.unwrap_or_else(|| {
            self.reach.push(wanted);
            self.reach.len() - 1
        });
        let need = self.size(it);
        self.grouped |= it.group.is_some();
        if vm == self.need.len() {
            self.need.push(need);
            self.tie.push(tie);
            self.group.push(it.group);
        } else {
            (self.need[vm], self.tie[vm], self.group[vm]) = (need, tie, it.group);
        }
    }
}

/// Whether some enabled host limits vCPUs, and numbers of VMs.
fn limits(problem: &Problem) -> (bool, bool) {
    let any = |of: fn(&Host) -> bool| problem.hosts.iter().any(|host| host.enabled && of(host));
    (any(|host| host.vcpus.is_some()), any(|host| host.slots.is_some()))
}

/// What is left where there is no limit.
pub const MANY: u64 = u64::MAX;

fn reach(allowed: &BTreeSet<usize>, hosts: usize) -> Vec<bool> {
    (0..hosts).map(|host| allowed.contains(&host)).collect()
}
