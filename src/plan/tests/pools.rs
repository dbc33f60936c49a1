//! Random small pools with every constraint, tight enough that about half of the answers are no.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::plan::{Host, Problem, Vm};

/// Which constraints a pool may have.
#[derive(Debug, Clone, Copy)]
pub struct With {
    pub limits: bool,
    pub ties: bool,
    pub halted: bool,
    pub groups: bool,
    pub excuses: bool,
}

/// All of them.
pub const EVERYTHING: With =
    With { limits: true, ties: true, halted: true, groups: true, excuses: true };

/// One host, enabled or not.
pub fn host() -> impl Strategy<Value = Host> {
    let limit = |most: u64| prop::option::weighted(0.4, 0..most);
    (0u64..14, limit(9), limit(5), prop::bool::weighted(0.87)).prop_map(
        |(free, vcpus, slots, enabled)| Host {
            total: free,
            free,
            vcpus,
            slots,
            enabled,
            ..Host::default()
        },
    )
}

/// One VM of a pool of so many hosts.
pub fn vm(hosts: usize) -> impl Strategy<Value = Vm> {
    (
        1u64..7,
        0u64..4,
        prop::option::weighted(0.85, 0..hosts),
        prop::bool::weighted(0.9),
        prop::option::weighted(0.25, prop::collection::btree_set(0..hosts, 0..=hosts)),
        prop::option::weighted(0.3, 0usize..2),
    )
        .prop_map(|(memory, vcpus, host, protected, allowed, group)| {
            let allowed: Option<BTreeSet<usize>> = allowed;
            Vm { memory, vcpus, host, protected, allowed, group, ..Vm::default() }
        })
}

/// Takes away what the pool is not to have.
fn strip(mut problem: Problem, with: With) -> Problem {
    for host in problem.hosts.iter_mut().filter(|_| !with.limits) {
        (host.vcpus, host.slots) = (None, None);
    }
    let enabled: Vec<bool> = problem.hosts.iter().map(|host| host.enabled).collect();
    problem.vms.retain(|vm| with.halted || vm.host.is_some_and(|host| enabled[host]));
    for vm in &mut problem.vms {
        vm.allowed = vm.allowed.take().filter(|_| with.ties);
        vm.group = vm.group.filter(|_| with.groups);
    }
    problem.excuse_doomed &= with.excuses;
    problem
}

/// Pools of up to five hosts and seven VMs.
pub fn pools(with: With) -> impl Strategy<Value = Problem> {
    let hosts = (prop::collection::vec(host(), 1..=5), any::<bool>());
    hosts.prop_flat_map(move |(hosts, excuse_doomed)| {
        let vms = prop::collection::vec(vm(hosts.len()), 0..=7);
        vms.prop_map(move |vms| strip(Problem { hosts: hosts.clone(), vms, excuse_doomed }, with))
    })
}
