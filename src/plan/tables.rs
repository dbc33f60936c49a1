//! One bound for one class: the weight of every host, and the limit.

use super::census::{Census, MANY};
use super::classes::{Class, Coming, Sums};
use super::field::Field;
use super::size::Size;

/// No host has more; sums of it are far from the end of the numbers.
const ENOUGH: u128 = 1 << 112;

/// A bound before it is known to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// By position: what is lost with a host, and the `c` that is lost with it.
    pub weights: Vec<u128>,
    /// The `c` alone.
    taken: Vec<u128>,
    pub limit: u128,
    /// What a byte, a vCPU and a VM weigh.
    pub scale: [u64; 3],
    /// VMs from this size on count.
    from: u64,
    /// The smallest VM that may take room before.
    smallest: u64,
    /// The largest VM that may.
    pub largest: Size,
}

/// Both bounds of a class, for the hosts in the order given.
pub fn tables(
    field: &Field,
    hosts: &[usize],
    sums: &Sums,
    class: &Class,
    how: Coming,
) -> [Table; 2] {
    let together = how == Coming::Together;
    let weighed = Table {
        weights: vec![0; hosts.len()],
        taken: vec![0; hosts.len()],
        limit: 0,
        scale: scale(field, hosts, class, sums.largest.vcpus),
        from: if together { class.lo } else { 0 },
        smallest: if together { class.lo } else { sums.smallest },
        largest: sums.largest,
    };
    let counted = Table { scale: [0, 0, 1], ..weighed.clone() };
    [weighed, counted].map(|mut table| {
        table.limit = one(table.scale, class.lo);
        hosts.iter().enumerate().for_each(|at| table.renew(field, sums, class, at));
        table
    })
}

impl Table {
    /// The weight of one host again.
    pub fn renew(&mut self, field: &Field, sums: &Sums, class: &Class, at: (usize, &usize)) {
        let (position, host) = at;
        let (bytes, vcpus, vms) = sums.at_least(position, self.from);
        let taken = left_beyond(field, *host, class, self.largest.vcpus)
            .map_or(0, |left| self.least_taken(&field.census, left, class.grain));
        let weigh = |amount: u128, of: usize| amount.saturating_mul(u128::from(self.scale[of]));
        let lost = [weigh(bytes, 0), weigh(vcpus.into(), 1), weigh(vms.into(), 2)];
        self.limit = self.limit + taken - self.taken[position];
        self.taken[position] = taken;
        self.weights[position] = lost.into_iter().fold(taken, u128::saturating_add);
    }

    /// The least that was taken, by weight, from a host that can no longer take a VM of the class:
    /// more than it has left of something, by VMs that are no larger than the largest.
    fn least_taken(&self, census: &Census, left: Size, grain: u64) -> u128 {
        let smallest = one(self.scale, self.smallest);
        let of = |left: u64, step: u64, scale: u64, largest: u64| {
            let taken = u128::from(left) + u128::from(step);
            let vms = taken.div_ceil(u128::from(largest.max(1)));
            (taken * u128::from(scale)).max(vms.saturating_mul(smallest)).min(ENOUGH)
        };
        let [byte, vcpu, vm] = self.scale;
        let mut least = of(left.memory, grain, byte, self.largest.memory);
        if census.counts_vcpus() {
            least = least.min(of(left.vcpus, 1, vcpu, self.largest.vcpus));
        }
        if census.counts_vms() {
            least = least.min(of(left.vms, 1, vm, 1));
        }
        least
    }
}

/// What a host has left beyond the largest VM of the class, if such a VM fits there at all.
fn left_beyond(field: &Field, host: usize, class: &Class, vcpus: u64) -> Option<Size> {
    let room = field.room[host].filter(|_| field.census.may(class.tie, host))?;
    let vms = u64::from(field.census.counts_vms());
    let largest = Size { memory: class.hi, vcpus, vms };
    let whole = Size { memory: room.memory / class.grain * class.grain, ..room };
    largest.fits(room).then(|| largest.out_of(whole))
}

/// The least weight of one VM.
fn one(scale: [u64; 3], bytes: u64) -> u128 {
    u128::from(scale[0]) * u128::from(bytes) + u128::from(scale[2])
}

/// What a byte, a vCPU and a VM weigh, so that all hosts together have as much of each left.
fn scale(field: &Field, hosts: &[usize], class: &Class, vcpus: u64) -> [u64; 3] {
    const BYTE: u64 = 1 << 10;
    if field.census.memory_only() {
        return [1, 0, 0];
    }
    let mut all = [0u128; 3];
    for left in hosts.iter().filter_map(|host| left_beyond(field, *host, class, vcpus)) {
        for (sum, left) in all.iter_mut().zip([left.memory, left.vcpus, left.vms]) {
            // A host without limit says nothing about how much there is elsewhere.
            *sum += if left < MANY / 2 { u128::from(left) + 1 } else { 0 };
        }
    }
    let weigh = |counts: bool, left: u128| {
        let weight = all[0] * u128::from(BYTE) / left.max(1);
        if counts { u64::try_from(weight).unwrap_or(u64::MAX >> 16) } else { 0 }
    };
    [BYTE, weigh(field.census.counts_vcpus(), all[1]), weigh(field.census.counts_vms(), all[2])]
}

/// The sum of the `r` largest numbers; the largest number of all when it is beyond that.
pub fn top(numbers: &[u128], r: usize) -> u128 {
    let mut numbers = numbers.to_vec();
    if r > 0 && r < numbers.len() {
        numbers.select_nth_unstable_by(r - 1, |a, b| b.cmp(a));
    }
    numbers.into_iter().take(r).fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_beyond_all_numbers_stays_the_largest() {
        assert_eq!(top(&[3, 1, 2], 2), 5);
        assert_eq!((top(&[3, 1], 0), top(&[3, 1], 9)), (0, 4));
        assert_eq!(top(&[u128::MAX, 1, u128::MAX], 3), u128::MAX);
    }
}
