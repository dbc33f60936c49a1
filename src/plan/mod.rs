//! The failover planner, pure: does every set of `r` hosts have a place for its protected VMs?
//!
//! The question is the one of simultaneous failures: for each set of `r` enabled hosts the
//! protected VMs on them must fit into the free memory of the other enabled hosts, without moving
//! anything else. Protected VMs that run nowhere (or on a disabled host) are first given places
//! in the planner's favour. [`place`] is the rule by which recovery really places VMs; it is the
//! same packing that the planner tries for each set, so a "yes" here is kept there.
//!
//! | file | idea |
//! |---|---|
//! | `pack` | one set of VMs into the room of some hosts: greedy, bounds, exact search |
//! | `sets` | all sets of `r` hosts: a bound for all at once, then the ones it leaves open |
//! | `starts` | where halted protected VMs would have to start |
//! | `guard` | what an operation would break; where a host's VMs can go |

pub mod case;
mod guard;
mod pack;
mod sets;
mod starts;

use std::collections::BTreeSet;

pub use guard::{Evacuation, Guard, evacuation, guard};
pub use sets::{Certificate, ClassBound};

/// A host as the planner sees it; memory in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name for answers, such as a uuid.
    pub id: String,
    /// All memory for VMs.
    pub total: u64,
    /// What all running VMs, planned for or not, leave free.
    pub free: u64,
    /// A disabled host is neither a target nor expected to fail.
    pub enabled: bool,
}

/// A VM as the planner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its name for answers, such as a uuid.
    pub id: String,
    /// What a start needs in bytes, overhead included.
    pub memory: u64,
    /// The host that runs it (an index of [`Problem::hosts`]); `None` when it is halted.
    pub host: Option<usize>,
    /// Whether it must be restarted.
    pub protected: bool,
    /// The hosts that can run it; `None` when all can.
    pub allowed: Option<BTreeSet<usize>>,
}

/// A pool at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// The hosts that are there.
    pub hosts: Vec<Host>,
    /// The VMs; those that are not protected matter only to [`evacuation`].
    pub vms: Vec<Vm>,
}

/// How much work an answer may cost before it is "not proved".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of all searches together.
    pub nodes: u64,
}

impl Default for Budget {
    /// Two million steps: about a second.
    fn default() -> Self {
        Self { nodes: 2_000_000 }
    }
}

/// A failure that has no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaking {
    /// The hosts that fail together.
    pub hosts: Vec<usize>,
    /// A VM that finds no place then.
    pub vm: usize,
}

/// The answer to "does the pool tolerate `r` failures?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every set of `r` hosts has a plan.
    Yes {
        /// Why.
        certificate: Certificate,
        /// Where the halted protected VMs would have to start: (VM, host).
        starts: Vec<(usize, usize)>,
    },
    /// Some set has none. With halted protected VMs there may be another such set for each way to
    /// start them; then no single one is named.
    No(Option<Breaking>),
    /// The budget was used up; to be taken as no.
    NotProved {
        /// Steps that were made.
        nodes: u64,
    },
}

/// What a pool can lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The largest `r` for which every set of `r` hosts is known to have a plan.
    pub max: usize,
    /// Whether all halted protected VMs could be started at all.
    pub startable: bool,
    /// Whether `max + 1` is known to be impossible, rather than not proved.
    pub proved: bool,
    /// A set of `max + 1` hosts that has no plan, if one set breaks all placements.
    pub counterexample: Option<Breaking>,
    /// Where the halted protected VMs would have to start for `max`: (VM, host).
    pub starts: Vec<(usize, usize)>,
}

/// Whether every set of `r` hosts has a plan.
pub fn tolerates(problem: &Problem, r: usize, budget: &Budget) -> Outcome {
    let mut left = budget.nodes;
    starts::tolerates(problem, r, &mut left).outcome(budget.nodes - left)
}

/// The largest number of failures that the pool tolerates; every step has its own budget.
pub fn max_failures(problem: &Problem, budget: &Budget) -> Verdict {
    let enabled = problem.hosts.iter().filter(|host| host.enabled).count();
    let mut verdict =
        Verdict { max: 0, startable: true, proved: true, counterexample: None, starts: Vec::new() };
    for r in 0..=enabled {
        match tolerates(problem, r, budget) {
            Outcome::Yes { starts, .. } => {
                verdict.max = r;
                verdict.starts = starts;
                continue;
            }
            Outcome::No(breaking) => verdict.counterexample = breaking,
            Outcome::NotProved { .. } => verdict.proved = false,
        }
        verdict.startable = r > 0;
        break;
    }
    verdict
}

/// The budget for each VM when not all fit together.
const STEP: Budget = Budget { nodes: 20_000 };

/// Where VMs go, and which find no place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// (VM, host), in the order in which they were asked for.
    pub placed: Vec<(usize, usize)>,
    /// VMs without a place.
    pub left: Vec<usize>,
}

/// Places the protected VMs that are halted or were on a failed host, on hosts that did not fail;
/// or names one that does not fit.
pub fn place(problem: &Problem, failed: &[usize]) -> Result<Vec<(usize, usize)>, usize> {
    let lost = |vm: &Vm| vm.host.is_none_or(|host| failed.contains(&host));
    let wanted: Vec<usize> = (0..problem.vms.len())
        .filter(|index| problem.vms[*index].protected && lost(&problem.vms[*index]))
        .collect();
    place_all(problem, failed, &wanted)
}

/// As [`place`] for the VMs `wanted`, whatever they are.
pub fn place_all(
    problem: &Problem,
    failed: &[usize],
    wanted: &[usize],
) -> Result<Vec<(usize, usize)>, usize> {
    place_within(problem, failed, wanted, Budget::default())
}

fn place_within(
    problem: &Problem,
    failed: &[usize],
    wanted: &[usize],
    budget: Budget,
) -> Result<Vec<(usize, usize)>, usize> {
    let room = (0..problem.hosts.len())
        .map(|index| {
            let host = &problem.hosts[index];
            (host.enabled && !failed.contains(&index)).then_some(host.free)
        })
        .collect();
    let items = wanted.iter().map(|vm| pack::Item::of(problem, *vm)).collect();
    let mut nodes = budget.nodes;
    match pack::Packing::new(room, items).solve(&mut nodes) {
        pack::Packed::Fits(mut placed) => {
            placed.sort_by_key(|(vm, _)| wanted.iter().position(|wanted| wanted == vm));
            Ok(placed)
        }
        pack::Packed::Not { vm } | pack::Packed::Unknown { vm } => Err(vm),
    }
}

/// Places as many of `wanted` as possible, the earlier ones first: a VM is left only when it does
/// not fit together with all those before it that have a place.
pub fn place_most(problem: &Problem, failed: &[usize], wanted: &[usize]) -> Placement {
    if let Ok(placed) = place_all(problem, failed, wanted) {
        return Placement { placed, left: Vec::new() };
    }
    let (mut chosen, mut best) = (Vec::new(), Placement::default());
    for vm in wanted {
        chosen.push(*vm);
        match place_within(problem, failed, &chosen, STEP) {
            Ok(placed) => best.placed = placed,
            Err(_) => best.left.extend(chosen.pop()),
        }
    }
    best
}

#[cfg(test)]
mod tests;
