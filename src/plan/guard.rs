//! What an operation would break, and where the VMs of a host can go.

use super::place::{lost, place_most};
use super::{Change, Outcome, Problem, Standing};

/// Whether an operation may go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The plan holds after it.
    Holds,
    /// There was no plan before it either, so it breaks none.
    NoPlanBefore,
    /// It would take the plan away.
    Breaks {
        /// A set of hosts whose failure would have no plan; empty when no single set is known.
        hosts: Vec<usize>,
        /// VMs of theirs that would find no place.
        vms: Vec<usize>,
        /// Whether this is certain, rather than not proved within the budget.
        proved: bool,
    },
}

/// Judges an operation by what it changes of a pool.
pub fn guard(pool: &mut Standing, changes: &[Change]) -> Guard {
    let broken = pool.what_if(changes);
    if matches!(broken, Outcome::Yes { .. }) {
        return Guard::Holds;
    }
    if !matches!(pool.answer(), Outcome::Yes { .. }) {
        return Guard::NoPlanBefore;
    }
    let Outcome::No(breaking) = broken else {
        return Guard::Breaks { hosts: Vec::new(), vms: Vec::new(), proved: false };
    };
    let mut after = pool.problem().clone();
    for change in changes {
        after.set(change.clone());
    }
    let hosts = breaking.as_ref().map_or_else(Vec::new, |it| it.hosts.clone());
    let mut vms = left_by(&after, &hosts);
    if vms.is_empty() {
        vms.extend(breaking.map(|it| it.vm));
    }
    Guard::Breaks { hosts, vms, proved: true }
}

/// Protected VMs that have no place when these hosts fail.
fn left_by(problem: &Problem, failed: &[usize]) -> Vec<usize> {
    place_most(problem, failed, &lost(problem, failed)).left
}

/// Where one VM of an evacuated host goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evacuation {
    /// The VM.
    pub vm: usize,
    /// Its new host, or why there is none.
    pub target: Result<usize, String>,
}

/// Where the VMs of a host can go, protected ones first, others in the room that is left.
pub fn evacuation(problem: &Problem, host: usize) -> Vec<Evacuation> {
    let mut wanted: Vec<usize> =
        (0..problem.vms.len()).filter(|vm| problem.vms[*vm].host == Some(host)).collect();
    wanted.sort_by_key(|vm| !problem.vms[*vm].protected);
    let placement = place_most(problem, &[host], &wanted);
    let target = |vm: usize| {
        let placed = placement.placed.iter().find(|(placed, _)| *placed == vm);
        placed.map(|(_, target)| *target).ok_or_else(|| reason(problem, host, vm))
    };
    wanted.iter().map(|vm| Evacuation { vm: *vm, target: target(*vm) }).collect()
}

fn reason(problem: &Problem, leaving: usize, vm: usize) -> String {
    let vm = &problem.vms[vm];
    let enabled = |index: &usize| *index != leaving && problem.hosts[*index].enabled;
    let allowed = |index: &usize| vm.allowed.as_ref().is_none_or(|set| set.contains(index));
    let hosts = || (0..problem.hosts.len()).filter(enabled);
    if hosts().next().is_none() {
        return "no other host is enabled".to_owned();
    }
    let Some(best) = hosts().filter(allowed).map(|index| problem.hosts[index].free).max() else {
        return "no other enabled host can run it".to_owned();
    };
    if best < vm.memory {
        return format!("it needs {} bytes, the emptiest host has {best} free", vm.memory);
    }
    format!("it needs {} bytes, which are left on no host beside the other VMs", vm.memory)
}
