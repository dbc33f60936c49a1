//! Where halted protected VMs would have to start.
//!
//! They are placed in the planner's favour: some placement must survive every set of failures.
//! A VM more on some host only makes every failure harder, so a partial placement that breaks is
//! not continued, and the sets that broke earlier ones are tried first.

use super::pack::{Item, Packed, Packing};
use super::sets::{Certificate, Field, Sets};
use super::{Outcome, Problem};

/// The answer together with the places found.
pub struct Answer {
    sets: Sets,
    starts: Vec<(usize, usize)>,
}

impl Answer {
    pub fn outcome(self, nodes: u64) -> Outcome {
        self.sets.outcome(self.starts, nodes)
    }
}

/// Whether all halted protected VMs can be started so that every set of `r` hosts has a plan.
pub fn tolerates(problem: &Problem, r: usize, nodes: &mut u64) -> Answer {
    let field = Field::new(problem);
    let halted = halted(problem);
    // What breaks without the halted VMs breaks with them, wherever they start.
    let before = field.survives_any(r, nodes);
    if halted.is_empty() || !matches!(before, Sets::Safe(_)) {
        return Answer { sets: before, starts: Vec::new() };
    }
    let items = halted.iter().map(|vm| Item::of(problem, *vm)).collect();
    let greedy = match Packing::new(field.free.clone(), items).solve(nodes) {
        Packed::Fits(placed) => placed,
        Packed::Not { .. } => return Answer { sets: Sets::Broken(None), starts: Vec::new() },
        Packed::Unknown { .. } => return Answer { sets: Sets::Unknown, starts: Vec::new() },
    };
    let mut started = field.clone();
    if greedy.iter().all(|(vm, host)| started.start(*vm, *host))
        && let Sets::Safe(certificate) = started.survives_any(r, nodes)
    {
        return Answer { sets: Sets::Safe(certificate), starts: greedy };
    }
    let mut search =
        Search { problem, field, halted, r, starts: Vec::new(), killers: Vec::new(), vague: false };
    let sets = match search.place(0, nodes) {
        Some(Some(certificate)) => Sets::Safe(certificate),
        Some(None) if !search.vague => Sets::Broken(None),
        _ => Sets::Unknown,
    };
    Answer { sets, starts: search.starts }
}

/// Protected VMs that run nowhere or on a disabled host, largest first.
fn halted(problem: &Problem) -> Vec<usize> {
    let on_enabled = |host: usize| problem.hosts.get(host).is_some_and(|host| host.enabled);
    let mut halted: Vec<usize> = (0..problem.vms.len())
        .filter(|vm| problem.vms[*vm].protected && !problem.vms[*vm].host.is_some_and(on_enabled))
        .collect();
    halted.sort_by_key(|vm| std::cmp::Reverse(problem.vms[*vm].memory));
    halted
}

struct Search<'a> {
    problem: &'a Problem,
    field: Field<'a>,
    halted: Vec<usize>,
    r: usize,
    starts: Vec<(usize, usize)>,
    /// Sets of hosts that broke an earlier placement.
    killers: Vec<Vec<usize>>,
    /// Whether some branch was given up without proof.
    vague: bool,
}

impl Search<'_> {
    /// Places the halted VMs from `index` on; `None` when the steps are used up.
    fn place(&mut self, index: usize, nodes: &mut u64) -> Option<Option<Certificate>> {
        let vm = self.halted[index];
        let mut tried = Vec::new();
        for host in self.targets(vm) {
            let same = |other: &usize| self.alike(*other, host);
            if tried.iter().any(same) {
                continue;
            }
            tried.push(host);
            *nodes = nodes.checked_sub(1)?;
            if !self.field.start(vm, host) {
                continue;
            }
            self.starts.push((vm, host));
            if let Some(certificate) = self.holds(nodes) {
                if index + 1 == self.halted.len() {
                    return Some(Some(certificate));
                }
                let found = self.place(index + 1, nodes);
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
        let allowed = self.problem.vms[vm].allowed.as_ref();
        let mut hosts: Vec<usize> = (0..self.field.free.len())
            .filter(|host| self.field.free[*host].is_some())
            .filter(|host| allowed.is_none_or(|allowed| allowed.contains(host)))
            .collect();
        hosts.sort_by_key(|host| std::cmp::Reverse(self.field.free[*host]));
        hosts
    }

    /// Whether two hosts cannot be told apart by any VM.
    fn alike(&self, a: usize, b: usize) -> bool {
        let sizes = |host: usize| {
            let vms = self.field.load[host].iter();
            let mut sizes: Vec<u64> = vms.map(|vm| self.problem.vms[*vm].memory).collect();
            sizes.sort_unstable();
            sizes
        };
        let free_choice = self.problem.vms.iter().all(|vm| vm.allowed.is_none());
        free_choice && self.field.free[a] == self.field.free[b] && sizes(a) == sizes(b)
    }

    fn holds(&mut self, nodes: &mut u64) -> Option<Certificate> {
        for killer in &self.killers {
            if matches!(self.field.survives(killer, nodes), Packed::Not { .. }) {
                return None;
            }
        }
        match self.field.survives_any(self.r, nodes) {
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
