//! One set of VMs into the room of some hosts.
//!
//! Greedy rules come first, largest VM first; then bounds that show that nothing can work; then
//! an exact search. The first greedy rule, into the emptiest host, is the one that the bound of
//! `sets` speaks about, so it must stay the first.

use std::collections::{BTreeSet, HashSet};

use super::Problem;

/// A VM that needs a place.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    pub vm: usize,
    pub size: u64,
    pub allowed: Option<&'a BTreeSet<usize>>,
}

impl<'a> Item<'a> {
    /// The VM of that index.
    pub fn of(problem: &'a Problem, vm: usize) -> Self {
        let it = &problem.vms[vm];
        Self { vm, size: it.memory, allowed: it.allowed.as_ref() }
    }

    fn may(&self, host: usize) -> bool {
        self.allowed.is_none_or(|hosts| hosts.contains(&host))
    }
}

/// The answer: (VM, host) for each, or one that has no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packed {
    Fits(Vec<(usize, usize)>),
    Not { vm: usize },
    Unknown { vm: usize },
}

/// The question.
#[derive(Debug)]
pub struct Packing<'a> {
    /// Free bytes by host; `None` for a host that is no target.
    room: Vec<Option<u64>>,
    items: Vec<Item<'a>>,
    free_choice: bool,
}

#[derive(Clone, Copy)]
enum Rule {
    Emptiest,
    First,
    Tightest,
}

impl<'a> Packing<'a> {
    pub fn new(room: Vec<Option<u64>>, mut items: Vec<Item<'a>>) -> Self {
        items.sort_by(|a, b| b.size.cmp(&a.size).then(a.vm.cmp(&b.vm)));
        let free_choice = items.iter().all(|item| item.allowed.is_none());
        Self { room, items, free_choice }
    }

    /// Answers within `nodes` steps, which it uses up.
    pub fn solve(mut self, nodes: &mut u64) -> Packed {
        let stuck = match self.greedy(Rule::Emptiest) {
            Ok(placed) => return Packed::Fits(placed),
            Err(vm) => vm,
        };
        for rule in [Rule::First, Rule::Tightest] {
            if let Ok(placed) = self.greedy(rule) {
                return Packed::Fits(placed);
            }
        }
        if !self.free_choice {
            // VMs with few hosts first: they are the ones that the others must not crowd out.
            let choices = |item: &Item| {
                let may = |host: &usize| self.room[*host].is_some() && item.may(*host);
                (0..self.room.len()).filter(may).count()
            };
            let mut items = self.items.clone();
            items.sort_by_key(|item| choices(item));
            self.items = items;
            for rule in [Rule::Emptiest, Rule::Tightest] {
                if let Ok(placed) = self.greedy(rule) {
                    return Packed::Fits(placed);
                }
            }
        }
        if let Some(vm) = self.refuted() {
            return Packed::Not { vm };
        }
        let mut search = Search::new(&self);
        match search.place(0, nodes) {
            Some(true) => Packed::Fits(search.placed()),
            Some(false) => Packed::Not { vm: stuck },
            None => Packed::Unknown { vm: stuck },
        }
    }

    fn greedy(&self, rule: Rule) -> Result<Vec<(usize, usize)>, usize> {
        let mut room = self.room.clone();
        let mut placed = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let mut fits = room.iter().enumerate().filter_map(|(host, free)| {
                let free = (*free)?;
                (free >= item.size && item.may(host)).then_some((free, host))
            });
            let chosen = match rule {
                Rule::Emptiest => fits.max_by_key(|(free, host)| (*free, usize::MAX - host)),
                Rule::First => fits.next(),
                Rule::Tightest => fits.min(),
            };
            let (free, host) = chosen.ok_or(item.vm)?;
            room[host] = Some(free - item.size);
            placed.push((item.vm, host));
        }
        Ok(placed)
    }

    /// A VM that can be shown to be too much: counts and volumes at each size as a threshold, and
    /// the volume of each group of VMs that is tied to the same hosts.
    fn refuted(&self) -> Option<usize> {
        let room = || self.room.iter().flatten();
        for item in &self.items {
            let bigger = || self.items.iter().filter(|other| other.size >= item.size);
            let usable: u128 =
                room().filter(|free| **free >= item.size).map(|free| u128::from(*free)).sum();
            if bigger().map(|other| u128::from(other.size)).sum::<u128>() > usable {
                return Some(item.vm);
            }
            let slots = |free: &u64| free.checked_div(item.size).unwrap_or(u64::MAX);
            let places = room().map(slots).fold(0u64, u64::saturating_add);
            if bigger().count() as u64 > places {
                return Some(item.vm);
            }
            if let Some(allowed) = item.allowed {
                let tied = self
                    .items
                    .iter()
                    .filter(|other| other.allowed.is_some_and(|theirs| theirs.is_subset(allowed)));
                let there: u128 =
                    allowed.iter().filter_map(|host| *self.room.get(*host)?).map(u128::from).sum();
                if tied.map(|other| u128::from(other.size)).sum::<u128>() > there {
                    return Some(item.vm);
                }
            }
        }
        None
    }
}

/// Depth-first, largest first, with a memory of dead ends.
struct Search<'p, 'a> {
    packing: &'p Packing<'a>,
    room: Vec<Option<u64>>,
    at: Vec<usize>,
    /// Volume of the items from this one on.
    volume: Vec<u128>,
    /// Size of the smallest item from this one on.
    smallest: Vec<u64>,
    dead: HashSet<(usize, Vec<u64>)>,
}

impl<'p, 'a> Search<'p, 'a> {
    fn new(packing: &'p Packing<'a>) -> Self {
        let items = &packing.items;
        let mut volume = vec![0; items.len() + 1];
        let mut smallest = vec![u64::MAX; items.len() + 1];
        for (index, item) in items.iter().enumerate().rev() {
            volume[index] = volume[index + 1] + u128::from(item.size);
            smallest[index] = smallest[index + 1].min(item.size);
        }
        let room = packing.room.clone();
        let at = vec![0; items.len()];
        Self { packing, room, at, volume, smallest, dead: HashSet::new() }
    }

    fn placed(&self) -> Vec<(usize, usize)> {
        self.packing.items.iter().zip(&self.at).map(|(item, host)| (item.vm, *host)).collect()
    }

    /// Places the items from `index` on; `None` when the steps are used up.
    fn place(&mut self, index: usize, nodes: &mut u64) -> Option<bool> {
        let Some(item) = self.packing.items.get(index) else { return Some(true) };
        *nodes = nodes.checked_sub(1)?;
        let smallest = self.smallest[index];
        let usable = self.room.iter().flatten().filter(|free| **free >= smallest);
        if usable.map(|free| u128::from(*free)).sum::<u128>() < self.volume[index] {
            return Some(false);
        }
        let key = (index, self.signature(smallest));
        if self.dead.contains(&key) {
            return Some(false);
        }
        for (free, host) in self.choices(item) {
            self.room[host] = Some(free - item.size);
            self.at[index] = host;
            let done = self.place(index + 1, nodes);
            self.room[host] = Some(free);
            if done != Some(false) {
                return done;
            }
        }
        self.dead.insert(key);
        Some(false)
    }

    /// What matters of the room: with a free choice of hosts only how much there is where.
    fn signature(&self, smallest: u64) -> Vec<u64> {
        let useful = |free: &Option<u64>| free.filter(|free| *free >= smallest).unwrap_or(0);
        let mut rooms: Vec<u64> = self.room.iter().map(useful).collect();
        if self.packing.free_choice {
            rooms.sort_unstable();
        }
        rooms
    }

    /// The hosts worth trying, tightest first. With a free choice one host of each room is enough,
    /// and a host that the item fills exactly is as good as any other: whatever a solution puts
    /// there can change places with the item.
    fn choices(&self, item: &Item) -> Vec<(u64, usize)> {
        let mut choices: Vec<(u64, usize)> = self
            .room
            .iter()
            .enumerate()
            .filter_map(|(host, free)| Some(((*free)?, host)))
            .filter(|(free, host)| *free >= item.size && item.may(*host))
            .collect();
        choices.sort_unstable();
        if self.packing.free_choice {
            choices.dedup_by_key(|(free, _)| *free);
            if choices.first().is_some_and(|(free, _)| *free == item.size) {
                choices.truncate(1);
            }
        }
        choices
    }
}
