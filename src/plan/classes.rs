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

use super::field::Field;
use super::size::Size;
use super::{Problem, Vm};

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
    /// What a byte, a vCPU and a VM weigh; `[0, 0, 1]` counts VMs.
    pub scale: [u64; 3],
    /// What the worst failure needs.
    pub worst: u128,
    /// Safe when `worst` is smaller.
    pub limit: u128,
}

impl ClassBound {
    /// Whether the VM is one of those that it speaks of.
    pub fn speaks_of(&self, pool: &Problem, vm: &Vm) -> bool {
        let (lo, hi) = self.sizes;
        (lo..=hi).contains(&vm.memory) && pool.vms[self.like].allowed == vm.allowed
    }
}

/// VMs of one tie with sizes in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub lo: u64,
    pub hi: u64,
    pub tie: usize,
    /// A VM of that tie.
    pub like: usize,
    /// What all sizes that may take room before are multiples of.
    pub grain: u64,
}

/// Sums over the VMs of each host, largest first: (size, bytes so far, vCPUs so far).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    by_host: Vec<Vec<(u64, u128, u64)>>,
    pub largest: Size,
    pub smallest: u64,
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

    /// The sums of one host again.
    pub fn renew(&mut self, field: &Field, position: usize, host: usize) {
        self.by_host[position] = of_host(field, host);
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
