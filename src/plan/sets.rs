//! All sets of `r` hosts at once.
//!
//! Three ideas keep the number of sets small that must be packed one by one:
//! a bound per VM size shows that placing the largest VM into the emptiest host cannot get stuck
//! at that size, whichever `r` hosts fail (only the `r` largest weights count); while enumerating,
//! the same bound cuts off branches in which no size is open any more; and a host that is at least
//! as bad to lose as another must be in the set when the other is.

use super::pack::{Item, Packed, Packing};
use super::{Breaking, Outcome, Problem};

/// Why every set of hosts has a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Sizes that cannot get stuck whatever fails.
    pub bounds: Vec<ClassBound>,
    /// Sets for which a placement was found one by one.
    pub packed: u64,
}

/// The bound for VMs of one size: `worst` is the sum of the `r` largest host weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassBound {
    /// The size in bytes.
    pub size: u64,
    /// What the worst failure needs.
    pub worst: u128,
    /// Safe when `worst` is smaller.
    pub limit: u128,
}

/// What is known about all sets; also used before halted VMs have their places.
#[derive(Debug, Clone)]
pub enum Sets {
    Safe(Certificate),
    Broken(Option<Breaking>),
    Unknown,
}

impl Sets {
    pub fn outcome(self, starts: Vec<(usize, usize)>, nodes: u64) -> Outcome {
        match self {
            Self::Safe(certificate) => Outcome::Yes { certificate, starts },
            Self::Broken(breaking) => Outcome::No(breaking),
            Self::Unknown => Outcome::NotProved { nodes },
        }
    }
}

/// The pool with every protected VM somewhere: what can fail, and what that costs.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    problem: &'a Problem,
    /// Free bytes by host; `None` for hosts that are no targets.
    pub free: Vec<Option<u64>>,
    /// Protected VMs by host.
    pub load: Vec<Vec<usize>>,
}

impl<'a> Field<'a> {
    /// The running protected VMs on enabled hosts; the others are to be added.
    pub fn new(problem: &'a Problem) -> Self {
        let free = problem.hosts.iter().map(|host| host.enabled.then_some(host.free)).collect();
        let mut load = vec![Vec::new(); problem.hosts.len()];
        for (index, vm) in problem.vms.iter().enumerate() {
            if let Some(host) = vm.host.filter(|_| vm.protected)
                && problem.hosts.get(host).is_some_and(|host| host.enabled)
            {
                load[host].push(index);
            }
        }
        Self { problem, free, load }
    }

    /// Starts a VM on a host; `false` when it has no room there.
    pub fn start(&mut self, vm: usize, host: usize) -> bool {
        let size = self.problem.vms[vm].memory;
        let Some(left) = self.free[host].and_then(|free| free.checked_sub(size)) else {
            return false;
        };
        self.free[host] = Some(left);
        self.load[host].push(vm);
        true
    }

    /// Takes back the last [`Self::start`] on that host.
    pub fn undo(&mut self, vm: usize, host: usize) {
        self.load[host].retain(|there| *there != vm);
        self.free[host] = self.free[host].map(|free| free + self.problem.vms[vm].memory);
    }

    /// Whether one set of failing hosts has a plan.
    pub fn survives(&self, failed: &[usize], nodes: &mut u64) -> Packed {
        let room = self.free.iter().enumerate();
        let room = room.map(|(host, free)| free.filter(|_| !failed.contains(&host))).collect();
        let lost = failed.iter().flat_map(|host| &self.load[*host]);
        let items = lost.map(|vm| Item::of(self.problem, *vm)).collect();
        Packing::new(room, items).solve(nodes)
    }

    /// Whether every set of `r` enabled hosts has a plan.
    pub fn survives_any(&self, r: usize, nodes: &mut u64) -> Sets {
        let mut hosts: Vec<usize> =
            (0..self.free.len()).filter(|host| self.free[*host].is_some()).collect();
        if hosts.len() < r {
            return Sets::Broken(None);
        }
        // The worst to lose first: a set that breaks is then found early, and a host comes after
        // all those that are worse than it.
        hosts.sort_by_key(|host| {
            std::cmp::Reverse((self.weight(*host), self.free[*host].unwrap_or(0)))
        });
        let mut walk = Walk::new(self, hosts, r);
        if walk.open.is_empty() && walk.bounded {
            return Sets::Safe(walk.certificate);
        }
        match walk.visit(0, nodes) {
            Some(None) => Sets::Safe(walk.certificate),
            Some(Some(breaking)) => Sets::Broken(Some(breaking)),
            None => Sets::Unknown,
        }
    }

    fn weight(&self, host: usize) -> u128 {
        let load: u128 =
            self.load[host].iter().map(|vm| u128::from(self.problem.vms[*vm].memory)).sum();
        load + u128::from(self.free[host].unwrap_or(0))
    }

    /// Sizes of the VMs on a host, largest first.
    fn sizes(&self, host: usize) -> Vec<u64> {
        let mut sizes: Vec<u64> =
            self.load[host].iter().map(|vm| self.problem.vms[*vm].memory).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    }

    /// Whether losing `a` is at least as bad as losing `b`, whatever else fails.
    fn dominates(&self, a: usize, b: usize) -> bool {
        let (mine, theirs) = (self.sizes(a), self.sizes(b));
        self.free[a] >= self.free[b]
            && mine.len() >= theirs.len()
            && mine.iter().zip(&theirs).all(|(mine, theirs)| mine >= theirs)
    }
}

/// A size that the bound over all sets leaves open.
struct Open {
    limit: u128,
    /// By position in [`Walk::hosts`].
    weights: Vec<u128>,
    /// `suffix[i][k]`: the `k` largest weights from position `i` on.
    suffix: Vec<Vec<u128>>,
}

/// The enumeration of the sets that the bounds leave open.
struct Walk<'f, 'a> {
    field: &'f Field<'a>,
    hosts: Vec<usize>,
    r: usize,
    chosen: Vec<usize>,
    /// By position: earlier positions that must be in the set when this one is.
    worse: Vec<Vec<usize>>,
    /// Whether the bounds and the order of hosts apply: every VM may run on every host.
    bounded: bool,
    open: Vec<Open>,
    certificate: Certificate,
}

impl<'f, 'a> Walk<'f, 'a> {
    fn new(field: &'f Field<'a>, hosts: Vec<usize>, r: usize) -> Self {
        let protected = || field.load.iter().flatten().map(|vm| &field.problem.vms[*vm]);
        let bounded = protected().all(|vm| vm.allowed.is_none());
        let worse = (0..hosts.len())
            .map(|b| (0..b).filter(|a| bounded && field.dominates(hosts[*a], hosts[b])).collect())
            .collect();
        let certificate = Certificate::default();
        let chosen = Vec::new();
        let mut walk =
            Self { field, hosts, r, chosen, worse, bounded, open: Vec::new(), certificate };
        if bounded {
            let mut sizes: Vec<u64> = protected().map(|vm| vm.memory).collect();
            sizes.sort_unstable();
            sizes.dedup();
            sizes.into_iter().for_each(|size| walk.bound(size));
        }
        walk
    }

    /// Largest first into the emptiest host is stuck at a VM of this size only when every survivor
    /// has less room left, so each took at least `c` before: its room less what may be left, and
    /// at least one VM. All that was placed was lost by the failed hosts.
    fn bound(&mut self, size: u64) {
        let taken = |host: &usize| match self.field.free[*host] {
            Some(free) if free >= size => u128::from((free - size + 1).max(size)),
            _ => 0,
        };
        let lost = |host: &usize| {
            let sizes = self.field.load[*host].iter().map(|vm| self.field.problem.vms[*vm].memory);
            sizes.filter(|lost| *lost >= size).map(u128::from).sum::<u128>()
        };
        let limit = self.hosts.iter().map(taken).sum::<u128>() + u128::from(size);
        let weights: Vec<u128> = self.hosts.iter().map(|host| lost(host) + taken(host)).collect();
        let suffix = (0..=weights.len()).map(|from| top_sums(&weights[from..], self.r)).collect();
        let open = Open { limit, weights, suffix };
        let worst = open.suffix[0].last().copied().unwrap_or(0);
        if worst < limit {
            self.certificate.bounds.push(ClassBound { size, worst, limit });
        } else {
            self.open.push(open);
        }
    }

    /// Whether the bounds answer for every completion of the chosen set from this position on.
    fn closed(&self, position: usize) -> bool {
        let missing = self.r - self.chosen.len();
        let safe = |open: &Open| {
            let sum: u128 = self.chosen.iter().map(|at| open.weights[*at]).sum();
            open.suffix[position].get(missing).is_none_or(|rest| sum + rest < open.limit)
        };
        self.bounded && self.open.iter().all(safe)
    }

    /// Looks at all completions; the first that breaks, or `None` when steps are used up.
    fn visit(&mut self, position: usize, nodes: &mut u64) -> Option<Option<Breaking>> {
        *nodes = nodes.checked_sub(1)?;
        if self.hosts.len() - position < self.r - self.chosen.len() || self.closed(position) {
            return Some(None);
        }
        if self.chosen.len() == self.r {
            let hosts: Vec<usize> = self.chosen.iter().map(|at| self.hosts[*at]).collect();
            return match self.field.survives(&hosts, nodes) {
                Packed::Fits(_) => {
                    self.certificate.packed += 1;
                    Some(None)
                }
                Packed::Not { vm } => Some(Some(Breaking { hosts, vm })),
                Packed::Unknown { .. } => None,
            };
        }
        if self.worse[position].iter().all(|at| self.chosen.contains(at)) {
            self.chosen.push(position);
            let found = self.visit(position + 1, nodes);
            self.chosen.pop();
            if !matches!(found, Some(None)) {
                return found;
            }
        }
        self.visit(position + 1, nodes)
    }
}

/// The sums of the 0, 1, … `r` largest numbers.
fn top_sums(numbers: &[u128], r: usize) -> Vec<u128> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let mut sums = vec![0];
    for number in sorted.into_iter().take(r) {
        sums.push(sums.last().copied().unwrap_or(0) + number);
    }
    sums
}
