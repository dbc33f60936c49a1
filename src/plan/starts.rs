//! Where halted protected VMs would have to start.
//!
//! They are placed in the planner's favour: some placement must survive every set of failures.
//! A VM more on some host only makes every failure harder, so a partial placement that breaks is
//! not continued, and the sets that broke earlier ones are tried first.

use super::field::Field;
use super::meter::Meter;
use super::pack::{Packed, Packing};
use super::sets::{Certificate, Sets, survive};
use super::{Problem, Vm};

/// The answer, where the halted VMs start for it, and the pool after that.
pub struct Answer {
    pub sets: Sets,
    pub starts: Vec<(usize, usize)>,
    pub field: Field,
}

/// Whether all halted protected VMs can be started so that every set of `r` hosts has a plan.
pub fn tolerates(problem: &Problem, r: usize, keep: bool, meter: &mut Meter) -> Answer {
    beside(problem, &[], (r, r), keep, meter)
}

/// The same for every number of hosts from the first to the last, where these VMs are to run as
/// well, which are not protected and only take room.
pub fn beside(
    problem: &Problem,
    guests: &[usize],
    r: (usize, usize),
    keep: bool,
    meter: &mut Meter,
) -> Answer {
    let field = Field::new(problem);
    let mut halted = halted(problem, &field);
    halted.extend(guests);
    if halted.is_empty() {
        return Answer { sets: survive_all(&field, r, keep, meter), starts: Vec::new(), field };
    }
    let (started, starts) = match at_once(problem, &field, &halted, meter) {
        Ok(started) => started,
        Err(sets) => return Answer { sets, starts: Vec::new(), field },
    };
    let sets = survive_all(&started, r, keep, meter);
    if matches!(sets, Sets::Safe(_)) {
        return Answer { sets, starts, field: started };
    }
    // What breaks without the halted VMs breaks with them, wherever they start.
    let before = survive_all(&field, r, false, meter);
    if !matches!(before, Sets::Safe(_)) {
        return Answer { sets: before, starts: Vec::new(), field };
    }
    let (starts, killers) = (Vec::new(), Vec::new());
    let mut search = Search { problem, field, halted, r, keep, starts, killers, vague: false };
    let sets = match search.place(0, meter) {
        Some(Some(certificate)) => Sets::Safe(certificate),
        Some(None) if !search.vague => Sets::Broken(None),
        _ => Sets::Unknown,
    };
    Answer { sets, starts: search.starts, field: search.field }
}

/// Whether every set of so many hosts survives, from the first number to the last.
fn survive_all(field: &Field, (from, to): (usize, usize), keep: bool, meter: &mut Meter) -> Sets {
    for fewer in from..to {
        let sets = survive(field, fewer, false, meter);
        if !matches!(sets, Sets::Safe(_)) {
            return sets;
        }
    }
    survive(field, to, keep, meter)
}

/// Starts a VM on a host, if it has room there; one that is not protected only takes that room.
fn start(problem: &Problem, field: &mut Field, vm: usize, host: usize) -> bool {
    if problem.vms[vm].protected { field.start(vm, host) } else { field.take(vm, host) }
}

/// A pool and the (VM, host) that were started to come to it.
pub type Started = (Field, Vec<(usize, usize)>);

/// The pool after the halted VMs were started by the rule of recovery; an error when they cannot
/// be, or that is not known.
pub fn at_once(
    problem: &Problem,
    field: &Field,
    halted: &[usize],
    meter: &mut Meter,
) -> Result<Started, Sets> {
    let packing = Packing::new(&field.census, &field.room, halted.to_vec());
    match packing.solve(meter) {
        Packed::Fits(placed) => {
            let mut started = field.clone();
            let fits = placed.iter().all(|(vm, to)| start(problem, &mut started, *vm, *to));
            if fits { Ok((started, placed)) } else { Err(Sets::Unknown) }
        }
        Packed::Not { .. } => Err(Sets::Broken(None)),
        Packed::Unknown { .. } => Err(Sets::Unknown),
    }
}

/// Protected VMs that run nowhere or on a disabled host, largest first; where those are excused
/// that no host can run, without them.
pub fn halted(problem: &Problem, field: &Field) -> Vec<usize> {
    let census = &field.census;
    let on_enabled = |host: usize| problem.hosts.get(host).is_some_and(|host| host.enabled);
    let mut halted: Vec<usize> = (0..problem.vms.len())
        .filter(|vm| problem.vms[*vm].protected && !problem.vms[*vm].host.is_some_and(on_enabled))
        .filter(|vm| field.savable(census.tie(*vm), |_| true))
        .collect();
    halted.sort_unstable_by_key(|vm| census.order(*vm));
    halted
}

struct Search<'a> {
    problem: &'a Problem,
    field: Field,
    halted: Vec<usize>,
    /// The least and the most hosts that fail together.
    r: (usize, usize),
    keep: bool,
    starts: Vec<(usize, usize)>,
    /// Sets of hosts that broke an earlier placement.
    killers: Vec<Vec<usize>>,
    /// Whether some branch was given up without proof.
    vague: bool,
}

impl Search<'_> {
    /// Places the halted VMs from `index` on; `None` when the steps are used up.
    fn place(&mut self, index: usize, meter: &mut Meter) -> Option<Option<Certificate>> {
        let vm = self.halted[index];
        let mut tried = Vec::new();
        for host in self.targets(vm) {
            let same = |other: &usize| self.alike(*other, host);
            if tried.iter().any(same) {
                continue;
            }
            tried.push(host);
            meter.spend(1_000)?;
            if !start(self.problem, &mut self.field, vm, host) {
                continue;
            }
            self.starts.push((vm, host));
            if let Some(certificate) = self.holds(meter) {
                if index + 1 == self.halted.len() {
                    return Some(Some(certificate));
                }
                let found = self.place(index + 1, meter);
                if !matches!(found, Some(None)) {
                    return found;
                }
            }
            self.starts.pop();
            self.field.undo(vm, host);
        }
        Some(None)
    }

    /// Hosts that may run the VM, the emptiest first.
    fn targets(&self, vm: usize) -> Vec<usize> {
        let census = &self.field.census;
        let mut hosts = self.field.targets();
        hosts.retain(|host| census.may(census.tie(vm), *host));
        hosts.sort_by_key(|host| std::cmp::Reverse(self.field.room[*host]));
        hosts
    }

    /// Whether two hosts cannot be told apart by any VM.
    fn alike(&self, a: usize, b: usize) -> bool {
        let field = &self.field;
        let sizes = |host: usize| {
            field.load[host].iter().map(|vm| field.census.need(*vm)).collect::<Vec<_>>()
        };
        let matters = |(at, vm): &(usize, &Vm)| vm.protected || self.halted.contains(at);
        let mut matter = self.problem.vms.iter().enumerate().filter(matters);
        let free_choice = matter.all(|(_, vm)| vm.allowed.is_none());
        free_choice && field.room[a] == field.room[b] && sizes(a) == sizes(b)
    }

    fn holds(&mut self, meter: &mut Meter) -> Option<Certificate> {
        for killer in &self.killers {
            if matches!(self.field.survives(killer, meter), Packed::Not { .. }) {
                return None;
            }
        }
        match survive_all(&self.field, self.r, self.keep, meter) {
            Sets::Safe(certificate) => Some(certificate),
            Sets::Broken(breaking) => {
                self.killers.extend(breaking.map(|breaking| breaking.hosts));
                None
            }
            Sets::Unknown => {
                self.vague = true;
                None
            }
        }
    }
}
