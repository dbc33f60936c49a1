//! Bounds that answer for all sets of `r` hosts at once.
//!
//! A rule that takes the largest VM first is stuck at a VM only when every survivor that may run
//! it has too little left, so each of these took at least `c` before: its room less what may be
//! left, and at least one VM as large. All that was placed was lost by the failed hosts. Hence a
//! class of VMs (a range of sizes, one tie) is safe for a set when what the set lost, and the `c`
//! of its own hosts, are less than the `c` of all hosts and the VM itself; only the `r` largest of
//! these weights have to be added up to know it of every set. There is the same bound with numbers
//! of VMs instead of bytes. When hosts fail one after the other, smaller VMs may have been placed
//! earlier; then all that the hosts lose counts, and the bound holds for any order.
//!
//! What was taken is a multiple of what all sizes that count are multiples of, which makes the
//! bound exact for sizes of which each divides the next.
//!
//! With vCPUs and numbers of VMs beside memory a host may lack any of them, so sizes are the sum
//! of all three, each scaled by how much of it there is.

use super::census::Census;
use super::field::Field;
use super::size::Size;

/// How failures come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// All at once.
    Together,
    /// One by one, with a restart of everything in between.
    OneByOne,
}

/// A bound that holds: `worst`, the sum of the `r` largest host weights, is below `limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassBound {
    /// The smallest and the largest size in bytes of the VMs that it speaks of.
    pub sizes: (u64, u64),
    /// One of these VMs; the bound speaks of those that may use the same hosts.
    pub like: usize,
    /// Whether VMs are counted, rather than weighed.
    pub counted: bool,
    /// What a byte, a vCPU and a VM weigh when VMs are weighed.
    pub scale: (u64, u64, u64),
    /// What the worst failure needs.
    pub worst: u128,
    /// Safe when `worst` is smaller.
    pub limit: u128,
}

/// VMs of one tie with sizes in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub lo: u64,
    pub hi: u64,
    pub tie: usize,
    /// A VM of that tie.
    pub like: usize,
    /// The most vCPUs that a VM of that tie needs.
    pub vcpus: u64,
    /// What all sizes that may take room before are multiples of.
    pub grain: u64,
}

/// One bound before it is known to hold: the weight of each host and the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub weights: Vec<u128>,
    pub limit: u128,
    pub counted: bool,
    pub scale: (u64, u64, u64),
}

/// Sums over the VMs of each host, largest first: (size, bytes so far, vCPUs so far).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    by_host: Vec<Vec<(u64, u128, u64)>>,
    largest: Size,
    smallest: u64,
}

impl Sums {
    pub fn new(field: &Field, hosts: &[usize]) -> Self {
        let mut sums = Self { smallest: u64::MAX, ..Self::default() };
        for host in hosts {
            sums.by_host.push(of_host(field, *host));
        }
        sums.extremes(field, hosts);
        sums
    }

    fn extremes(&mut self, field: &Field, hosts: &[usize]) {
        (self.largest, self.smallest) = (Size { vms: 1, ..Size::default() }, u64::MAX);
        for vm in hosts.iter().flat_map(|host| &field.load[*host]) {
            let need = field.census.need(*vm);
            self.largest.memory = self.largest.memory.max(need.memory);
            self.largest.vcpus = self.largest.vcpus.max(need.vcpus);
            self.smallest = self.smallest.min(need.memory);
        }
    }

    /// What of a host's load is at least `lo`: bytes, vCPUs, VMs.
    pub fn at_least(&self, position: usize, lo: u64) -> (u128, u64, u64) {
        let sums = &self.by_host[position];
        let count = sums.partition_point(|(size, _, _)| *size >= lo);
        count.checked_sub(1).map_or((0, 0, 0), |last| (sums[last].1, sums[last].2, count as u64))
    }
}

fn of_host(field: &Field, host: usize) -> Vec<(u64, u128, u64)> {
    let (mut bytes, mut vcpus) = (0u128, 0u64);
    let add = |vm: &usize| {
        let need = field.census.need(*vm);
        bytes += u128::from(need.memory);
        vcpus = vcpus.saturating_add(need.vcpus);
        (need.memory, bytes, vcpus)
    };
    field.load[host].iter().map(add).collect()
}

/// Both bounds of a class, for the hosts in the order given.
pub fn tables(
    field: &Field,
    hosts: &[usize],
    sums: &Sums,
    class: &Class,
    how: Coming,
) -> [Table; 2] {
    let census = &*field.census;
    let scale = scale(field, hosts, class);
    let from = if how == Coming::Together { class.lo } else { 0 };
    let smallest = if how == Coming::Together { class.lo } else { sums.smallest };
    let lost = |position: usize| sums.at_least(position, from);
    let weighed = table(field, hosts, class, |position| {
        let (bytes, vcpus, vms) = lost(position);
        let weight = bytes * u128::from(scale.0)
            + u128::from(vcpus) * u128::from(scale.1)
            + u128::from(vms) * u128::from(scale.2);
        (weight, |left: Size| taken(census, scale, left, class.grain).max(one(scale, smallest)))
    });
    let largest = sums.largest;
    let counted = table(field, hosts, class, |position| {
        let slots = move |left: Size| slots(census, left, class, largest);
        (u128::from(lost(position).2), slots)
    });
    let table = |(weights, limit): (Vec<u128>, u128), counted, scale, own: u128| Table {
        weights,
        limit: limit + own,
        counted,
        scale,
    };
    [table(weighed, false, scale, one(scale, class.lo)), table(counted, true, (0, 0, 1), 1)]
}

/// The weights and the sum of all `c`; a host gives what it lost and its `c` by what it has left
/// beyond the largest VM of the class.
fn table<C: Fn(Size) -> u128>(
    field: &Field,
    hosts: &[usize],
    class: &Class,
    of: impl Fn(usize) -> (u128, C),
) -> (Vec<u128>, u128) {
    let (mut weights, mut limit) = (Vec::with_capacity(hosts.len()), 0);
    for (position, host) in hosts.iter().enumerate() {
        let (lost, c) = of(position);
        let c = left_beyond(field, *host, class).map_or(0, c);
        limit += c;
        weights.push(lost + c);
    }
    (weights, limit)
}

/// What a host has left beyond the largest VM of the class, if such a VM fits there at all.
fn left_beyond(field: &Field, host: usize, class: &Class) -> Option<Size> {
    let room = field.room[host].filter(|_| field.census.may(class.tie, host))?;
    let vms = u64::from(field.census.counts_vms());
    let largest = Size { memory: class.hi, vcpus: class.vcpus, vms };
    let whole = Size { memory: room.memory / class.grain * class.grain, ..room };
    largest.fits(room).then(|| largest.out_of(whole))
}

/// The least that was taken, by weight, from a host that can no longer take a VM of the class.
fn taken(census: &Census, scale: (u64, u64, u64), left: Size, grain: u64) -> u128 {
    let of = |left: u64, step: u64, scale: u64| {
        (u128::from(left) + u128::from(step)) * u128::from(scale)
    };
    let mut least = of(left.memory, grain, scale.0);
    if census.counts_vcpus() {
        least = least.min(of(left.vcpus, 1, scale.1));
    }
    if census.counts_vms() {
        least = least.min(of(left.vms, 1, scale.2));
    }
    least
}

/// The least weight of one VM.
fn one(scale: (u64, u64, u64), bytes: u64) -> u128 {
    u128::from(scale.0) * u128::from(bytes) + u128::from(scale.2)
}

/// The least number of VMs that such a host took: as many as fit if all are the largest.
fn slots(census: &Census, left: Size, class: &Class, largest: Size) -> u128 {
    let mut slots = (left.memory + class.hi).checked_div(largest.memory).unwrap_or(1);
    if census.counts_vcpus() {
        let vcpus = left.vcpus.saturating_add(class.vcpus);
        slots = slots.min(vcpus.checked_div(largest.vcpus).unwrap_or(u64::MAX));
    }
    if census.counts_vms() {
        slots = slots.min(left.vms + 1);
    }
    u128::from(slots.max(1))
}

/// What a byte, a vCPU and a VM weigh, so that all hosts together have as much of each left.
fn scale(field: &Field, hosts: &[usize], class: &Class) -> (u64, u64, u64) {
    const BYTE: u64 = 1 << 10;
    if field.census.memory_only() {
        return (1, 0, 0);
    }
    let mut all = [0u128; 3];
    for left in hosts.iter().filter_map(|host| left_beyond(field, *host, class)) {
        for (sum, left) in all.iter_mut().zip([left.memory, left.vcpus, left.vms]) {
            *sum += u128::from(left) + 1;
        }
    }
    let weigh = |counts: bool, left: u128| {
        let weight = all[0] * u128::from(BYTE) / left.max(1);
        if counts { u64::try_from(weight).unwrap_or(u64::MAX >> 16) } else { 0 }
    };
    (BYTE, weigh(field.census.counts_vcpus(), all[1]), weigh(field.census.counts_vms(), all[2]))
}

/// The sum of the `r` largest numbers.
pub fn top(numbers: &[u128], r: usize) -> u128 {
    if r == 0 || r >= numbers.len() {
        return if r == 0 { 0 } else { numbers.iter().sum() };
    }
    let mut numbers = numbers.to_vec();
    numbers.select_nth_unstable_by(r - 1, |a, b| b.cmp(a));
    numbers[..r].iter().sum()
}
