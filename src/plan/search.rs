//! The exact search: depth first, largest VM first, with a memory of dead ends.

use std::collections::HashSet;

use super::meter::Meter;
use super::pack::Packing;
use super::size::Size;

/// More VMs than this are not searched: the depth of the search is their number.
const MOST: usize = 1_500;

/// Dead ends that are remembered.
const MEMORY: usize = 400_000;

/// A search for a place of every item.
pub struct Search<'p, 'a> {
    packing: &'p Packing<'a>,
    room: Vec<Size>,
    /// A position in `hosts` for each item; right after the search has found one for all.
    pub at: Vec<usize>,
    /// What the items from this one on need together, memory alone.
    volume: Vec<u128>,
    /// The least that an item from this one on needs, in each dimension.
    smallest: Vec<Size>,
    dead: HashSet<(usize, Vec<Size>)>,
}

impl<'p, 'a> Search<'p, 'a> {
    /// `None` when there are too many VMs.
    pub fn new(packing: &'p Packing<'a>) -> Option<Self> {
        let items = packing.items.len();
        if items > MOST {
            return None;
        }
        let mut volume = vec![0; items + 1];
        let most = Size { memory: u64::MAX, vcpus: u64::MAX, vms: u64::MAX };
        let mut smallest = vec![most; items + 1];
        for (index, need) in packing.need.iter().enumerate().rev() {
            volume[index] = volume[index + 1] + u128::from(need.memory);
            let after = smallest[index + 1];
            smallest[index] = Size {
                memory: after.memory.min(need.memory),
                vcpus: after.vcpus.min(need.vcpus),
                vms: after.vms.min(need.vms),
            };
        }
        let room = packing.room.clone();
        Some(Self { packing, room, at: vec![0; items], volume, smallest, dead: HashSet::new() })
    }

    /// Whether all items can be placed; `None` when the steps are used up.
    pub fn run(&mut self, meter: &mut Meter) -> Option<bool> {
        self.place(0, meter)
    }

    fn place(&mut self, index: usize, meter: &mut Meter) -> Option<bool> {
        let Some(need) = self.packing.need.get(index).copied() else { return Some(true) };
        meter.spend(20 + 14 * self.room.len() as u64)?;
        let smallest = self.smallest[index];
        let usable = self.room.iter().filter(|room| smallest.fits(**room));
        if usable.map(|room| u128::from(room.memory)).sum::<u128>() < self.volume[index] {
            return Some(false);
        }
        let key = (index, self.signature(smallest));
        if self.dead.contains(&key) {
            return Some(false);
        }
        for host in self.choices(index, need) {
            let before = self.room[host];
            self.room[host] = need.out_of(before);
            self.at[index] = host;
            let done = self.place(index + 1, meter);
            self.room[host] = before;
            if done != Some(false) {
                return done;
            }
        }
        if self.dead.len() < MEMORY {
            self.dead.insert(key);
        }
        Some(false)
    }

    /// What matters of the room: with a free choice of hosts only how much there is, not where.
    fn signature(&self, smallest: Size) -> Vec<Size> {
        let useful = |room: &Size| if smallest.fits(*room) { *room } else { Size::default() };
        let mut rooms: Vec<Size> = self.room.iter().map(useful).collect();
        if self.packing.free_choice {
            rooms.sort_unstable();
        }
        rooms
    }

    /// The hosts worth trying, tightest first. With a free choice one host of each room is enough,
    /// and a host that the VM fills exactly is as good as any other: whatever a solution puts
    /// there can change places with the VM.
    fn choices(&self, index: usize, need: Size) -> Vec<usize> {
        let fits = |at: &usize| need.fits(self.room[*at]) && self.packing.may(index, *at);
        let mut choices: Vec<usize> = (0..self.room.len()).filter(fits).collect();
        choices.sort_unstable_by_key(|at| (self.room[*at], *at));
        if self.packing.free_choice {
            choices.dedup_by_key(|at| self.room[*at]);
            let fills = |at: &usize| self.room[*at] == need;
            if let Some(full) = choices.iter().copied().find(fills) {
                return vec![full];
            }
        }
        choices
    }
}
