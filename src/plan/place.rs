//! The rule by which recovery places VMs.
//!
//! It is the packing that the planner asks for each set of hosts, with the same steps, so what
//! the planner found is found again: by the first rule where that finds it, else by the same
//! search. It is complete within its budget, so after some VMs of a plan were started the others
//! still find a place beside them. Where more failures are promised, [`place_ahead`] also looks
//! whether they can be kept after the usual placement, and takes another one if only that keeps
//! them. While a placement is carried out, [`place_again`] tells whether its rest still holds.

use std::collections::BTreeMap;

use super::census::Census;
use super::field::Field;
use super::groups::{self, Company};
use super::meter::Meter;
use super::pack::{Packed, Packing};
use super::sequence::choose;
use super::{Budget, Problem, Vm};

/// The budget for each VM when not all fit together.
const STEP: Budget = Budget::steps(super::meter::SECOND / 100);

/// Where VMs go, and which find no place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// (VM, host), in the order in which they were asked for.
    pub placed: Vec<(usize, usize)>,
    /// VMs without a place.
    pub left: Vec<usize>,
    /// Anti-affinity groups of the placed VMs that stand on a single host all the same.
    pub crowded: Vec<usize>,
}

/// Places the protected VMs that are halted or were on a failed host, on hosts that did not fail;
/// or names one that does not fit.
pub fn place(problem: &Problem, failed: &[usize]) -> Result<Vec<(usize, usize)>, usize> {
    place_all(problem, failed, &lost(problem, failed))
}

/// Protected VMs that are halted or were on a failed host.
pub fn lost(problem: &Problem, failed: &[usize]) -> Vec<usize> {
    let lost = |vm: &Vm| vm.host.is_none_or(|host| failed.contains(&host));
    (0..problem.vms.len())
        .filter(|index| problem.vms[*index].protected && lost(&problem.vms[*index]))
        .collect()
}

/// As [`place`] for the VMs `wanted`, whatever they are.
pub fn place_all(
    problem: &Problem,
    failed: &[usize],
    wanted: &[usize],
) -> Result<Vec<(usize, usize)>, usize> {
    let census = Census::new(problem);
    place_within(problem, &census, failed, wanted, Budget::default())
}

fn place_within(
    problem: &Problem,
    census: &Census,
    failed: &[usize],
    wanted: &[usize],
    budget: Budget,
) -> Result<Vec<(usize, usize)>, usize> {
    let room: Vec<_> = (0..problem.hosts.len())
        .map(|index| {
            let host = &problem.hosts[index];
            (host.enabled && !failed.contains(&index)).then(|| census.room(host))
        })
        .collect();
    let mut meter = Meter::of(&budget);
    let mut packing = Packing::new(census, &room, wanted.to_vec());
    if census.grouped() {
        let stays = |vm: &Vm| vm.host.filter(|host| !failed.contains(host));
        let others = (0..problem.vms.len()).filter(|vm| !wanted.contains(vm));
        packing.company =
            Company::of(others.map(|vm| &problem.vms[vm]).filter_map(|vm| vm.group.zip(stays(vm))));
    }
    match packing.solve(&mut meter) {
        Packed::Fits(placed) => {
            let at: BTreeMap<usize, usize> = placed.into_iter().collect();
            Ok(wanted.iter().filter_map(|vm| Some((*vm, *at.get(vm)?))).collect())
        }
        Packed::Not { vm, .. } | Packed::Unknown { vm } => Err(vm),
    }
}

/// Places as many of `wanted` as possible, the earlier ones first: a VM is left only when it does
/// not fit together with all those before it that have a place.
pub fn place_most(problem: &Problem, failed: &[usize], wanted: &[usize]) -> Placement {
    let census = Census::new(problem);
    let left = |host: &usize| problem.hosts[*host].enabled && !failed.contains(host);
    let hosts: Vec<usize> = (0..problem.hosts.len()).filter(left).collect();
    // What no host can run takes nothing from the others.
    let runnable = |vm: &usize| hosts.iter().any(|host| census.may(census.tie(*vm), *host));
    let (wanted, left): (Vec<usize>, Vec<usize>) = wanted.iter().copied().partition(runnable);
    let mut best = Placement { left, ..Placement::default() };
    match place_within(problem, &census, failed, &wanted, Budget::default()) {
        Ok(placed) => best.placed = placed,
        Err(_) => {
            let mut chosen = Vec::new();
            for vm in wanted {
                chosen.push(vm);
                match place_within(problem, &census, failed, &chosen, STEP) {
                    Ok(placed) => best.placed = placed,
                    Err(_) => best.left.extend(chosen.pop()),
                }
            }
        }
    }
    best.crowded = groups::crowded(problem, failed, &best.placed);
    best
}

/// A placement that was found earlier, if it still is one: each host has the room, and no
/// anti-affinity group stands on a single one.
pub fn place_again(problem: &Problem, placed: Vec<(usize, usize)>) -> Option<Placement> {
    let mut hosts = problem.hosts.clone();
    let holds = |(vm, at): &(usize, usize)| {
        let (vm, host) = (&problem.vms[*vm], &mut hosts[*at]);
        let holds = host.enabled && vm.may(*at) && host.has_room(vm);
        host.take(vm);
        holds
    };
    let holds = placed.iter().all(holds) && groups::crowded(problem, &[], &placed).is_empty();
    holds.then(|| Placement { placed, ..Placement::default() })
}

/// Steps that looking ahead may cost: recovery does not wait for it.
const AHEAD: u64 = super::meter::SECOND / 40;

/// As [`place_most`]; where there is a choice for those that have a place, so that of the `more`
/// failures that are promised beyond this one as many as possible are kept in any order.
pub fn place_ahead(
    problem: &Problem,
    failed: &[usize],
    wanted: &[usize],
    more: usize,
) -> Placement {
    let usual = place_most(problem, failed, wanted);
    if more == 0 || usual.placed.is_empty() {
        return usual;
    }
    let mut left = Field::new(problem);
    for host in failed {
        left.room[*host] = None;
        left.load[*host].clear();
    }
    let wanted: Vec<usize> = usual.placed.iter().map(|(vm, _)| *vm).collect();
    let others = |meter: &mut Meter| {
        let mut packing = Packing::new(&left.census, &left.room, wanted.clone());
        packing.company = left.company(failed);
        packing.others(meter)
    };
    for more in (1..=more).rev() {
        let mut meter = Meter::new(AHEAD);
        let dead = &mut Vec::new();
        let chosen = choose(&left, usual.placed.clone(), others, (more, dead), &mut meter);
        if let Some((way, None)) = chosen {
            let at: BTreeMap<usize, usize> = way.into_iter().collect();
            let placed: Vec<(usize, usize)> =
                wanted.iter().filter_map(|vm| Some((*vm, *at.get(vm)?))).collect();
            let crowded = groups::crowded(problem, failed, &placed);
            return Placement { placed, left: usual.left, crowded };
        }
    }
    usual
}
