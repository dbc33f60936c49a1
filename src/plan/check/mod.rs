//! Verifies the planner's certificates; it shares nothing with the planner but the question.
//!
//! A "yes" is verified set by set, many at once where a bound answers for all completions of a
//! part: a class of VMs is safe for a set of hosts when what these lose of VMs as large, and the
//! least that each survivor must have taken before it refuses such a VM, do not go together.

mod no;
mod weigh;

use std::collections::{BTreeMap, BTreeSet};

pub use no::no;

use super::{Certificate, Host, Plan, Problem, Vm};
use weigh::weights;

const NO_LIMIT: u64 = u64::MAX;

fn room(host: &Host) -> [u64; 3] {
    [host.free, host.vcpus.unwrap_or(NO_LIMIT), host.slots.unwrap_or(NO_LIMIT)]
}

fn need(vm: &Vm) -> [u64; 3] {
    [vm.memory, vm.vcpus, 1]
}

fn may(vm: &Vm, host: usize) -> bool {
    vm.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host))
}

/// Whether the VM is left out where none of its hosts survives.
fn excused(pool: &Problem, vm: &Vm) -> bool {
    let mut hosts = (0..pool.hosts.len()).filter(|host| pool.hosts[*host].enabled);
    pool.excuse_doomed && hosts.any(|host| !may(vm, host))
}

/// What the sizes of all these VMs that have at least `lo` bytes are multiples of.
fn grain<'v>(vms: impl Iterator<Item = &'v &'v Vm>, lo: u64) -> u64 {
    let sizes = vms.map(|vm| vm.memory).filter(|size| *size >= lo);
    let gcd = sizes.fold(0, |mut a, mut b| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    });
    gcd.max(1)
}

/// Hosts that are there when `failed` are not, and the protected VMs to place then.
fn after<'p>(pool: &'p Problem, failed: &[usize]) -> (Vec<usize>, BTreeMap<usize, &'p Vm>) {
    let left = |host: &usize| pool.hosts[*host].enabled && !failed.contains(host);
    let left: Vec<usize> = (0..pool.hosts.len()).filter(left).collect();
    let lost = |vm: &Vm| vm.protected && vm.host.is_some_and(|host| failed.contains(&host));
    let savable = |vm: &Vm| !excused(pool, vm) || left.iter().any(|host| may(vm, *host));
    let vms = pool.vms.iter().enumerate().filter(|(_, vm)| lost(vm) && savable(vm)).collect();
    (left, vms)
}

/// Whether each VM has room on a host of `targets` that may run it, all of them together.
fn fit(pool: &Problem, targets: &[usize], placed: &[(usize, usize)]) -> Result<(), String> {
    let mut left: Vec<[u64; 3]> = pool.hosts.iter().map(room).collect();
    for (vm, host) in placed {
        let at = &pool.hosts[*host];
        let limited = [true, at.vcpus.is_some(), at.slots.is_some()];
        let mut dimensions = left[*host].iter_mut().zip(need(&pool.vms[*vm])).zip(limited);
        let taken = dimensions.try_for_each(|((left, need), limited)| {
            *left = if limited { left.checked_sub(need)? } else { *left };
            Some(())
        });
        if taken.is_none() || !targets.contains(host) || !may(&pool.vms[*vm], *host) {
            return Err(format!("VM {vm} cannot be placed on host {host}"));
        }
    }
    Ok(())
}

/// Whether `starts` and then `certificate` show that every set of `r` hosts has a plan; an error
/// says what they leave open.
pub fn yes(
    problem: &Problem,
    r: usize,
    starts: &[(usize, usize)],
    certificate: &Certificate,
) -> Result<(), String> {
    let (hosts, _) = after(problem, &[]);
    fit(problem, &hosts, starts)?;
    let mut pool = problem.clone();
    for (vm, host) in starts {
        pool.vms[*vm].host = Some(*host);
        pool.take(*vm, *host);
    }
    for vm in pool.vms.iter_mut().filter(|vm| excused(problem, vm)) {
        vm.protected &= hosts.iter().any(|host| Some(*host) != vm.host && may(vm, *host));
    }
    let mut bounds: BTreeMap<_, Vec<(Vec<u128>, u128)>> = BTreeMap::new();
    for bound in certificate.bounds.iter().chain(&certificate.open) {
        let key = (bound.sizes, &pool.vms[bound.like].allowed);
        bounds.entry(key).or_default().push(weights(&pool, &hosts, bound));
    }
    for (index, vm) in pool.vms.iter().enumerate().filter(|(_, vm)| vm.protected) {
        let spoken_of = bounds
            .keys()
            .any(|((lo, hi), allowed)| (*lo..=*hi).contains(&vm.memory) && **allowed == vm.allowed);
        if !spoken_of || !vm.host.is_some_and(|host| hosts.contains(&host)) {
            return Err(format!("VM {index} has no start, or no bound speaks of it"));
        }
    }
    let bounds: Vec<_> = bounds.into_values().collect();
    let plans = certificate.plans.iter().map(|plan| (plan.hosts.clone(), plan)).collect();
    Check { pool: &pool, hosts, r, bounds, plans }.visit(&mut Vec::new(), 0)
}

struct Check<'p> {
    pool: &'p Problem,
    hosts: Vec<usize>,
    r: usize,
    /// By class: weights by position in `hosts`, and the limit, of each of its bounds.
    bounds: Vec<Vec<(Vec<u128>, u128)>>,
    plans: BTreeMap<Vec<usize>, &'p Plan>,
}

impl Check<'_> {
    /// Every set with the chosen positions and others from `from` on.
    fn visit(&self, chosen: &mut Vec<usize>, from: usize) -> Result<(), String> {
        let missing = self.r - chosen.len();
        let closed = |(weights, limit): &(Vec<u128>, u128)| {
            let mut rest = weights[from..].to_vec();
            rest.sort_unstable_by(|a, b| b.cmp(a));
            let rest: u128 = rest.iter().take(missing).sum();
            chosen.iter().map(|at| weights[*at]).sum::<u128>() + rest < *limit
        };
        if self.bounds.iter().all(|class| class.iter().any(closed)) {
            return Ok(());
        }
        if missing > 0 {
            return (from..self.hosts.len()).try_for_each(|position| {
                chosen.push(position);
                let done = self.visit(chosen, position + 1);
                chosen.pop();
                done
            });
        }
        let failed: Vec<usize> = chosen.iter().map(|at| self.hosts[*at]).collect();
        let plan = self.plans.get(&failed).ok_or(format!("no bound, no plan for {failed:?}"))?;
        let (targets, lost) = after(self.pool, &failed);
        let placed: BTreeSet<usize> = plan.placed.iter().map(|(vm, _)| *vm).collect();
        if placed != lost.into_keys().collect() || placed.len() != plan.placed.len() {
            return Err(format!("the plan for {failed:?} is not about its VMs"));
        }
        fit(self.pool, &targets, &plan.placed)
    }
}
