//! All sets of `r` hosts: bounds for all at once, suspects, and then the sets that are left.
//!
//! Three ideas keep the number of sets small that must be packed one by one: the classes that the
//! bounds close are out of the question; while enumerating, the same bounds cut off branches in
//! which no class is open any more; and a host that is at least as bad to lose as another must be
//! in the set when the other is. Those that are left are packed by one rule in a row, and only
//! where that is stuck with all that there is.

use super::classes::{ClassBound, Coming, Sums};
use super::field::Field;
use super::meter::Meter;
use super::pack::Packed;
use super::ranges::{Open, Sizes, bound, prove};
use super::suspects::suspects;
use super::sweep::Sweep;
use super::{Breaking, dominance};

/// Why every set of hosts has a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Classes of VMs that cannot get stuck whatever fails.
    pub bounds: Vec<ClassBound>,
    /// Classes that some sets leave open: bounds that hold for all sets but these.
    pub open: Vec<ClassBound>,
    /// Sets for which a placement was found one by one.
    pub packed: u64,
    /// These placements, when they were asked for (see [`super::certify`]).
    pub plans: Vec<Plan>,
}

/// Where the VMs go when exactly these hosts fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The hosts that fail together, ascending.
    pub hosts: Vec<usize>,
    /// (VM, host).
    pub placed: Vec<(usize, usize)>,
}

/// What is known about all sets; also used before halted VMs have their places.
#[derive(Debug, Clone)]
pub enum Sets {
    Safe(Certificate),
    Broken(Option<Breaking>),
    Unknown,
}

/// More numbers than this are not kept in the tables of the enumeration.
const TABLES: usize = 6_000_000;

/// Sets that are put off, because each costs too much, until all others were looked at.
const PUT_OFF: usize = 1_000;

/// Whether every set of `r` enabled hosts has a plan; `keep` keeps every placement that is found.
pub fn survive(field: &Field, r: usize, keep: bool, meter: &mut Meter) -> Sets {
    let mut hosts = field.targets();
    if hosts.len() < r {
        return Sets::Broken(None);
    }
    // The worst to lose first: a set that breaks is then found early, and a host comes after all
    // those that are worse than it.
    hosts.sort_by_cached_key(|host| std::cmp::Reverse(burden(field, *host)));
    let sums = Sums::new(field, &hosts);
    survive_with(field, &hosts, &sums, &Sizes::new(field, &hosts), (r, keep), meter)
}

/// The same with the hosts in order and their sums at hand.
pub fn survive_with(
    field: &Field,
    hosts: &[usize],
    sums: &Sums,
    sizes: &Sizes,
    (r, keep): (usize, bool),
    meter: &mut Meter,
) -> Sets {
    let suspects = suspects(field, hosts, sums, sizes, r);
    for suspect in suspects.iter().filter(|suspect| suspect.certain) {
        if let Some(breaking) = breaks(field, &suspect.hosts, meter) {
            return Sets::Broken(Some(breaking));
        }
    }
    let proof = prove(field, hosts, sums, sizes, (r, Coming::Together));
    let looks = (proof.closed.len() + 2 * proof.open.len() + 1) * hosts.len();
    if meter.spend(looks as u64 * 10).is_none() {
        return Sets::Unknown;
    }
    let bounds = proof.closed.iter().map(|(class, table)| bound(class, table, r)).collect();
    let certificate = Certificate { bounds, ..Certificate::default() };
    if proof.open.is_empty() {
        return Sets::Safe(certificate);
    }
    for suspect in suspects.iter().filter(|suspect| !suspect.certain) {
        let most = meter.left() / 100;
        let found = meter.at_most(most, |meter| breaks(field, &suspect.hosts, meter));
        if let Some(breaking) = found {
            return Sets::Broken(Some(breaking));
        }
    }
    walk(field, hosts, proof.open, (r, keep), certificate, meter)
}

fn burden(field: &Field, host: usize) -> (u128, u64) {
    let free = field.room[host].unwrap_or_default().memory;
    let load = field.load[host].iter().map(|vm| u128::from(field.census.need(*vm).memory));
    (load.sum::<u128>() + u128::from(free), free)
}

/// The set as a counterexample, if it is one.
pub fn breaks(field: &Field, set: &[usize], meter: &mut Meter) -> Option<Breaking> {
    match field.survives(set, meter) {
        Packed::Not { vm, why } => Some(Breaking { hosts: set.to_vec(), vm, why }),
        Packed::Fits(_) | Packed::Unknown { .. } => None,
    }
}

fn walk(
    field: &Field,
    hosts: &[usize],
    open: Vec<Open>,
    (r, keep): (usize, bool),
    mut certificate: Certificate,
    meter: &mut Meter,
) -> Sets {
    if open.len() * 2 * hosts.len() * (r + 1) > TABLES {
        return Sets::Unknown;
    }
    for (class, tables) in &open {
        certificate.open.extend(tables.iter().map(|table| bound(class, table, r)));
    }
    let worse = if keep { vec![Vec::new(); hosts.len()] } else { dominance::worse(field, hosts) };
    let open: Vec<Ladder> = open.into_iter().map(|open| Ladder::new(open, r)).collect();
    let all: Vec<usize> = (0..open.len()).collect();
    let cap = meter.left() / 50;
    let (chosen, late) = (Vec::new(), Vec::new());
    let sweep = if keep { None } else { Sweep::new(field, hosts) };
    let mut walk =
        Walk { field, hosts, r, keep, cap, chosen, worse, open, sweep, late, certificate };
    match walk.visit(0, &all, meter) {
        Some(None) => walk.finish(meter),
        Some(Some(breaking)) => Sets::Broken(Some(breaking)),
        None => Sets::Unknown,
    }
}

/// An open class: its two tables, each with the sums of the `k` largest weights from every
/// position on.
struct Ladder {
    tables: [(Vec<u128>, u128, Vec<Vec<u128>>); 2],
}

impl Ladder {
    fn new((_, tables): Open, r: usize) -> Self {
        let tables = tables.map(|table| {
            let suffix = suffixes(&table.weights, r);
            (table.weights, table.limit, suffix)
        });
        Self { tables }
    }

    /// Whether the class is closed for `chosen` with any `missing` hosts from `position` on.
    fn closed(&self, chosen: &[usize], position: usize, missing: usize) -> bool {
        self.tables.iter().any(|(weights, limit, suffix)| {
            let Some(rest) = suffix[position].get(missing) else { return true };
            let weights = chosen.iter().map(|at| weights[*at]);
            weights.fold(*rest, u128::saturating_add) < *limit
        })
    }
}

/// By position: the sums of the 0, 1, … `r` largest numbers from there on.
fn suffixes(numbers: &[u128], r: usize) -> Vec<Vec<u128>> {
    let mut largest: Vec<u128> = Vec::with_capacity(r + 1);
    let sums = |largest: &[u128]| {
        let mut sums = vec![0];
        sums.extend(largest.iter().scan(0u128, |sum, number| {
            *sum = sum.saturating_add(*number);
            Some(*sum)
        }));
        sums
    };
    let mut suffixes = vec![sums(&largest)];
    for number in numbers.iter().rev() {
        let at = largest.partition_point(|other| other >= number);
        largest.insert(at, *number);
        largest.truncate(r);
        suffixes.push(sums(&largest));
    }
    suffixes.reverse();
    suffixes
}

/// The enumeration of the sets that the bounds leave open.
struct Walk<'f> {
    field: &'f Field,
    hosts: &'f [usize],
    r: usize,
    keep: bool,
    /// Steps for one set at first.
    cap: u64,
    chosen: Vec<usize>,
    /// By position: earlier positions that must be in the set when this one is.
    worse: Vec<Vec<usize>>,
    open: Vec<Ladder>,
    /// Finds most placements, where it may; it cannot keep them.
    sweep: Option<Sweep>,
    /// Sets that were put off.
    late: Vec<Vec<usize>>,
    certificate: Certificate,
}

impl Walk<'_> {
    /// Looks at all completions from `from` on; the first that breaks, or `None` when steps are
    /// used up.
    fn visit(
        &mut self,
        from: usize,
        open: &[usize],
        meter: &mut Meter,
    ) -> Option<Option<Breaking>> {
        let missing = self.r - self.chosen.len();
        if missing == 0 {
            return self.leaf(meter);
        }
        for position in from..=self.hosts.len() - missing {
            if !self.some_open(open, position, missing, meter)? {
                return Some(None);
            }
            if !self.worse[position].iter().all(|at| self.chosen.contains(at)) {
                continue;
            }
            self.chosen.push(position);
            let found = self.below(position + 1, open, missing - 1, meter);
            self.chosen.pop();
            if !matches!(found, Some(None)) {
                return found;
            }
        }
        Some(None)
    }

    /// Whether some class is open for a completion of the chosen ones from a position on.
    fn some_open(
        &self,
        open: &[usize],
        position: usize,
        missing: usize,
        meter: &mut Meter,
    ) -> Option<bool> {
        let closed = |class: &usize| self.open[*class].closed(&self.chosen, position, missing);
        let closed = open.iter().take_while(|class| closed(class)).count();
        meter.spend(2 + closed as u64 * (2 + self.chosen.len() as u64))?;
        Some(closed < open.len())
    }

    /// The same with one more host chosen, for the classes that are still open then.
    fn below(
        &mut self,
        from: usize,
        open: &[usize],
        missing: usize,
        meter: &mut Meter,
    ) -> Option<Option<Breaking>> {
        if missing == 0 {
            return if self.some_open(open, from, 0, meter)? {
                self.leaf(meter)
            } else {
                Some(None)
            };
        }
        meter.spend(open.len() as u64 * (2 + self.chosen.len() as u64))?;
        let closed = |class: &usize| self.open[*class].closed(&self.chosen, from, missing);
        let open: Vec<usize> = open.iter().copied().filter(|class| !closed(class)).collect();
        if open.is_empty() { Some(None) } else { self.visit(from, &open, meter) }
    }

    fn leaf(&mut self, meter: &mut Meter) -> Option<Option<Breaking>> {
        if let Some(sweep) = &mut self.sweep
            && sweep.places(&self.chosen, meter)?
        {
            self.certificate.packed += 1;
            return Some(None);
        }
        let mut hosts: Vec<usize> = self.chosen.iter().map(|at| self.hosts[*at]).collect();
        hosts.sort_unstable();
        match meter.at_most(self.cap, |meter| self.field.survives(&hosts, meter)) {
            Packed::Fits(placed) => self.found(hosts, placed),
            Packed::Not { vm, why } => return Some(Some(Breaking { hosts, vm, why })),
            Packed::Unknown { .. } if self.late.len() < PUT_OFF => self.late.push(hosts),
            Packed::Unknown { .. } => return None,
        }
        Some(None)
    }

    fn found(&mut self, hosts: Vec<usize>, placed: Vec<(usize, usize)>) {
        self.certificate.packed += 1;
        if self.keep {
            self.certificate.plans.push(Plan { hosts, placed });
        }
    }

    /// The sets that were put off, each with all steps that are left.
    fn finish(mut self, meter: &mut Meter) -> Sets {
        for hosts in std::mem::take(&mut self.late) {
            match self.field.survives(&hosts, meter) {
                Packed::Fits(placed) => self.found(hosts, placed),
                Packed::Not { vm, why } => return Sets::Broken(Some(Breaking { hosts, vm, why })),
                Packed::Unknown { .. } => return Sets::Unknown,
            }
        }
        Sets::Safe(self.certificate)
    }
}
