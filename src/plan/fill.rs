//! Fills hosts one by one, each as full as the VMs that are left can make it.
//!
//! Where room is tight, what counts is how little of it is wasted: the host with the least room is
//! filled first, by the subset of the remaining VMs that leaves least over.

use super::meter::Meter;
use super::pack::Packing;

/// Steps for one host.
const STEPS: u32 = 10_000;

/// A position in `hosts` for each item, if this finds one for all; `None` when steps are used up.
pub fn fill(packing: &Packing, meter: &mut Meter) -> Option<Option<Vec<usize>>> {
    let mut order: Vec<usize> = (0..packing.hosts.len()).collect();
    order.sort_by_key(|at| packing.room[*at]);
    let mut at = vec![usize::MAX; packing.items.len()];
    let mut left: Vec<usize> = (0..packing.items.len()).collect();
    for host in order {
        if left.is_empty() {
            break;
        }
        let candidates: Vec<usize> =
            left.iter().copied().filter(|item| packing.may(*item, host)).collect();
        let mut subset = Subset::new(packing, &candidates);
        subset.extend(0, packing.room[host], 0);
        meter.spend(u64::from(STEPS - subset.steps) + 10 * candidates.len() as u64)?;
        for item in subset.best {
            at[item] = host;
        }
        left.retain(|item| at[*item] == usize::MAX);
    }
    Some(left.is_empty().then_some(at))
}

/// The search for the fullest subset.
struct Subset<'p, 'a> {
    packing: &'p Packing<'a>,
    candidates: &'p [usize],
    /// Bytes of the candidates from a position on.
    rest: Vec<u128>,
    chosen: Vec<usize>,
    best: Vec<usize>,
    most: u64,
    steps: u32,
    full: bool,
}

impl<'p, 'a> Subset<'p, 'a> {
    fn new(packing: &'p Packing<'a>, candidates: &'p [usize]) -> Self {
        let mut rest = vec![0; candidates.len() + 1];
        for (index, item) in candidates.iter().enumerate().rev() {
            rest[index] = rest[index + 1] + u128::from(packing.need[*item].memory);
        }
        let (chosen, best) = (Vec::new(), Vec::new());
        Self { packing, candidates, rest, chosen, best, most: 0, steps: STEPS, full: false }
    }

    /// Looks at the candidates from `from` on; `sum` bytes are taken and `room` is left.
    fn extend(&mut self, from: usize, room: super::size::Size, sum: u64) {
        if sum > self.most || self.best.is_empty() {
            self.most = sum;
            self.best.clone_from(&self.chosen);
            self.full = room.memory == 0;
        }
        let mut last = None;
        for index in from..self.candidates.len() {
            let reach = u128::from(sum) + self.rest[index].min(u128::from(room.memory));
            if self.full || self.steps == 0 || reach <= u128::from(self.most) {
                return;
            }
            self.steps -= 1;
            let item = self.candidates[index];
            let need = self.packing.need[item];
            // An equal VM was tried in this place already.
            if !need.fits(room) || last == Some(need) {
                continue;
            }
            last = Some(need);
            self.chosen.push(item);
            self.extend(index + 1, need.out_of(room), sum + need.memory);
            self.chosen.pop();
        }
    }
}
