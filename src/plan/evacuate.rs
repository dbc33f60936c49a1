//! Where the VMs of a host go when it is emptied, so that what is promised is kept.
//!
//! The host takes no VM any more. Its protected VMs are then to the planner what VMs are that wait
//! for their start: it looks for places after which every set of hosts has a plan, everything tried
//! within the budget. The others only take room, and get what is left by that. What is kept with
//! all of them moved is kept at every moment before: a VM that is still to be moved may count for
//! what it will be.

use super::ask::together;
use super::field::Field;
use super::meter::{Meter, SECOND};
use super::place::{Placement, place_most};
use super::sets::Sets;
use super::{Problem, starts};

/// Steps for each VM that is not protected, when not all of them can go.
const STEP: u64 = SECOND / 100;

/// Where one VM of an evacuated host goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evacuation {
    /// The VM.
    pub vm: usize,
    /// Its new host, or why there is none.
    pub target: Result<usize, String>,
}

/// Where the VMs of a host can go, protected ones first, others in the room that is left. If there
/// is a way after which `keep` hosts may still fail together, it is such a one.
pub fn evacuation(problem: &Problem, host: usize, keep: usize) -> Vec<Evacuation> {
    let mut closed = problem.clone();
    closed.hosts[host].enabled = false;
    let mut wanted: Vec<usize> =
        (0..closed.vms.len()).filter(|vm| closed.vms[*vm].host == Some(host)).collect();
    wanted.sort_by_key(|vm| !closed.vms[*vm].protected);
    let usual = place_most(&closed, &[host], &wanted);
    let kept = keep == 0 || keeps(&closed, &usual.placed, keep);
    let placed = if kept { None } else { keeping(&closed, &usual, keep) };
    let placed = placed.as_ref().unwrap_or(&usual.placed);
    let target = |vm: usize| {
        let at =
            |placed: &[(usize, usize)]| placed.iter().find(|(placed, _)| *placed == vm).copied();
        match (at(placed), at(&usual.placed)) {
            (Some((_, target)), _) => Ok(target),
            (None, Some(_)) => Err("what is left is needed for VMs that are protected".to_owned()),
            (None, None) => Err(reason(&closed, host, vm)),
        }
    };
    wanted.iter().map(|vm| Evacuation { vm: *vm, target: target(*vm) }).collect()
}

/// Whether so many hosts may fail together once these moves are made.
fn keeps(closed: &Problem, moves: &[(usize, usize)], keep: usize) -> bool {
    let mut after = closed.clone();
    for (vm, to) in moves {
        after.run(*vm, *to).into_iter().for_each(|change| drop(after.set(change)));
    }
    matches!(together(&after, keep, false, &mut Meter::new(SECOND)).sets, Sets::Safe(_))
}

/// Moves that keep it: of all the protected VMs, and of as many others as possible, the earlier
/// ones first; nothing when not even the former are known.
fn keeping(closed: &Problem, usual: &Placement, keep: usize) -> Option<Vec<(usize, usize)>> {
    // With VMs that are excused somewhere fewer failures are not always easier.
    let doomed = closed.excuse_doomed && !Field::new(closed).doomed(closed, keep).is_empty();
    let failures = (if doomed { 0 } else { keep }, keep);
    let beside = |guests: &[usize], steps: u64| {
        let mut meter = Meter::new(steps);
        let answer = starts::beside(closed, guests, failures, false, &mut meter);
        matches!(answer.sets, Sets::Safe(_)).then_some(answer.starts)
    };
    let movable = usual.placed.iter().map(|(vm, _)| *vm);
    let others: Vec<usize> = movable.filter(|vm| !closed.vms[*vm].protected).collect();
    if let Some(all) = beside(&others, SECOND) {
        return Some(all);
    }
    let mut best = beside(&[], SECOND)?;
    let mut chosen = Vec::new();
    for vm in others {
        chosen.push(vm);
        match beside(&chosen, STEP) {
            Some(moves) => best = moves,
            None => drop(chosen.pop()),
        }
    }
    Some(best)
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
