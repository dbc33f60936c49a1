//! One set of hosts after the other by the rule that takes the tightest host, for memory alone.
//!
//! What `pack` does with that rule depends on nothing but the sizes of the VMs and the rooms of the
//! hosts that are left: the largest VM that waits goes to the smallest room in which it fits. So a
//! set is two sorted lists of numbers, and one that differs from the last in a single host shares
//! most of both. Whether all VMs find a place is the whole answer here: it is the same there, where
//! the rule is tried for every set on which the first one is stuck. Where they go, and what to do
//! when this rule is stuck as well, is left to `pack`.
//!
//! Of the rules that it might have been, this one leaves the least to do: the room that it takes is
//! mostly so little larger than the VM that nothing fits there afterwards.

use super::census::FREE;
use super::field::Field;
use super::meter::Meter;

/// The numbers of a pool, in bytes, and those that the next sets are likely to share.
pub struct Sweep {
    /// By position: what the VMs there need, largest first.
    load: Vec<Vec<u64>>,
    /// Room and position of every host, largest first.
    room: Vec<(u64, usize)>,
    /// The set that was asked for last, without its last host.
    shared: Vec<usize>,
    /// What these hosts lose, largest first.
    lost: Vec<u64>,
    /// The hosts that are left without them, as in `room`.
    left: Vec<(u64, usize)>,
    /// For one set at a time: rooms in which the VM fits that is the next, largest first.
    wide: Vec<u64>,
    /// The others, largest first.
    narrow: Vec<u64>,
}

impl Sweep {
    /// For sets of these hosts; `None` where more than memory decides.
    pub fn new(field: &Field, hosts: &[usize]) -> Option<Self> {
        let census = &field.census;
        let mut vms = hosts.iter().flat_map(|host| &field.load[*host]);
        let simple = census.memory_only() && !census.grouped();
        if !simple || vms.any(|vm| census.tie(*vm) != FREE) {
            return None;
        }
        let needs = |host: &usize| field.load[*host].iter().map(|vm| census.need(*vm).memory);
        let load = hosts.iter().map(|host| needs(host).collect()).collect();
        let free = |host: &usize| field.room[*host].unwrap_or_default().memory;
        let mut room: Vec<_> = hosts.iter().map(free).zip(0..).collect();
        room.sort_unstable_by(|a, b| b.cmp(a));
        let (shared, lost, left) = (Vec::new(), Vec::new(), room.clone());
        let (wide, narrow) = (Vec::new(), Vec::new());
        Some(Self { load, room, shared, lost, left, wide, narrow })
    }

    /// Whether the rule places all that the hosts at these positions lose; `None` when steps are
    /// used up.
    pub fn places(&mut self, set: &[usize], meter: &mut Meter) -> Option<bool> {
        let Some((last, others)) = set.split_last() else { return Some(true) };
        if self.shared != others {
            self.share(others);
            meter.spend((self.lost.len() + self.room.len()) as u64)?;
        }
        let waiting = self.lost.len() + self.load[*last].len();
        meter.spend(waiting as u64)?;
        Some(self.place(*last, waiting))
    }

    fn share(&mut self, others: &[usize]) {
        self.shared = others.to_vec();
        self.lost = others.iter().flat_map(|at| &self.load[*at]).copied().collect();
        // Stable: that one is quick with parts that are in order.
        self.lost.sort_by(|a, b| b.cmp(a));
        let left = self.room.iter().filter(|(_, at)| !others.contains(at));
        self.left = left.copied().collect();
    }

    fn place(&mut self, last: usize, waiting: usize) -> bool {
        let (mut ours, mut theirs) = (&self.lost[..], &self.load[last][..]);
        let least = [ours, theirs].into_iter().filter_map(<[u64]>::last).min().copied();
        let (wide, narrow) = (&mut self.wide, &mut self.narrow);
        wide.clear();
        narrow.clear();
        narrow.extend(self.left.iter().filter(|(_, at)| *at != last).map(|(room, _)| *room));
        let mut first = 0;
        for waiting in (1..=waiting).rev() {
            let from = if ours.first() >= theirs.first() { &mut ours } else { &mut theirs };
            let Some((size, rest)) = from.split_first() else { return true };
            *from = rest;
            while let Some(room) = narrow.get(first).filter(|room| *room >= size) {
                wide.push(*room);
                first += 1;
            }
            // None of those that wait needs more, so each could have a host of its own.
            if wide.len() >= waiting {
                return true;
            }
            let Some(left) = wide.pop().map(|room| room - size) else { return false };
            // A room in which nothing fits any more is as good as none.
            if Some(left) >= least {
                let mut at = narrow.len();
                narrow.push(left);
                while at > first && narrow[at - 1] < left {
                    narrow[at] = narrow[at - 1];
                    at -= 1;
                }
                narrow[at] = left;
            }
        }
        true
    }
}
