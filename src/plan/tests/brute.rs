//! The definitions, word by word, by trying everything; shares nothing with the planner.

use crate::plan::{Host, Problem, Vm};

/// Whether the host can take the VM as it stands.
pub fn takes(problem: &Problem, vm: usize, host: usize) -> bool {
    let (it, at) = (&problem.vms[vm], &problem.hosts[host]);
    at.enabled
        && it.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host))
        && at.free >= it.memory
        && at.vcpus.is_none_or(|left| left >= it.vcpus)
        && at.slots.is_none_or(|left| left >= 1)
}

/// Puts the VM on the host.
pub fn start(problem: &mut Problem, vm: usize, host: usize) {
    let (it, at) = (&mut problem.vms[vm], &mut problem.hosts[host]);
    it.host = Some(host);
    at.free -= it.memory;
    at.vcpus = at.vcpus.map(|left| left - it.vcpus);
    at.slots = at.slots.map(|left| left - 1);
}

/// Whether some placement of `vms` is there.
fn fits(problem: &Problem, vms: &[usize]) -> bool {
    let Some((first, rest)) = vms.split_first() else { return true };
    (0..problem.hosts.len()).filter(|host| takes(problem, *first, *host)).any(|host| {
        let mut after = problem.clone();
        start(&mut after, *first, host);
        fits(&after, rest)
    })
}

/// The pool after these hosts are gone, and the protected VMs that they ran and that some host
/// must run now.
pub fn without(problem: &Problem, failed: &[usize]) -> (Problem, Vec<usize>) {
    let mut after = problem.clone();
    failed.iter().for_each(|host| after.hosts[*host].enabled = false);
    let runnable = |vm: &Vm| {
        let usable = |(at, host): (usize, &Host)| {
            host.enabled && vm.allowed.as_ref().is_none_or(|allowed| allowed.contains(&at))
        };
        after.hosts.iter().enumerate().any(usable)
    };
    let lost = |vm: &Vm| vm.protected && vm.host.is_some_and(|host| failed.contains(&host));
    let wanted = (0..problem.vms.len())
        .filter(|vm| lost(&problem.vms[*vm]))
        .filter(|vm| !excused(problem, &problem.vms[*vm]) || runnable(&problem.vms[*vm]))
        .collect();
    (after, wanted)
}

/// Whether the VM is left out where none of its hosts is left.
fn excused(problem: &Problem, vm: &Vm) -> bool {
    let mut enabled = (0..problem.hosts.len()).filter(|host| problem.hosts[*host].enabled);
    let all = enabled.all(|host| vm.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host)));
    problem.excuse_doomed && !all
}

/// All sets of `r` enabled hosts.
pub fn sets(problem: &Problem, r: usize) -> Vec<Vec<usize>> {
    let enabled: Vec<usize> =
        (0..problem.hosts.len()).filter(|host| problem.hosts[*host].enabled).collect();
    let masks = (0u32..1 << enabled.len()).filter(|set| set.count_ones() as usize == r);
    let hosts = |mask: u32| {
        let chosen = enabled.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
        chosen.map(|(_, host)| *host).collect()
    };
    masks.map(hosts).collect()
}

/// Whether what runs on these hosts finds a place when they fail.
pub fn survives(problem: &Problem, failed: &[usize]) -> bool {
    let (after, wanted) = without(problem, failed);
    fits(&after, &wanted)
}

/// Whether some way to start the halted VMs lets every set of at most `r` hosts have a plan.
pub fn tolerates(problem: &Problem, r: usize) -> bool {
    let halted = (0..problem.vms.len()).find(|vm| {
        let it = &problem.vms[*vm];
        let placed = it.host.is_some_and(|host| problem.hosts[host].enabled);
        let runnable = || {
            let hosts = 0..problem.hosts.len();
            let may = |host: &usize| it.allowed.as_ref().is_none_or(|all| all.contains(host));
            hosts.into_iter().any(|host| problem.hosts[host].enabled && may(&host))
        };
        it.protected && !placed && (!excused(problem, it) || runnable())
    });
    let Some(halted) = halted else {
        return (0..=r).all(|r| {
            let sets = sets(problem, r);
            !(sets.is_empty()) && sets.iter().all(|failed| survives(problem, failed))
        });
    };
    (0..problem.hosts.len()).filter(|host| takes(problem, halted, *host)).any(|host| {
        let mut after = problem.clone();
        start(&mut after, halted, host);
        tolerates(&after, r)
    })
}
