//! One set of VMs into the room of some hosts.
//!
//! Greedy rules come first, largest VM first; then bounds that show that nothing can work; then
//! hosts filled one by one as full as they get; then an exact search. Every greedy rule takes the
//! largest VM first and is stuck only when no host that may run the VM has room, which is all that
//! the bounds of `classes` ask of it. The steps depend on the question alone: what was found once
//! is found again.

use serde::{Deserialize, Serialize};

use super::census::{Census, FREE};
use super::fill;
use super::groups::{self, Company};
use super::meter::Meter;
use super::refute;
use super::search::Search;
use super::size::{DIMENSIONS, Size};

/// The answer: (VM, host) for each, or one that has no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packed {
    Fits(Vec<(usize, usize)>),
    Not { vm: usize, why: Why },
    Unknown { vm: usize },
}

/// Why a VM has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No host that is left can run it.
    Nowhere,
    /// VMs of at least this many bytes need more bytes together than the hosts have on which one
    /// of them fits.
    Volume(u64),
    /// There are more VMs of at least this many bytes than such VMs have room for.
    Count(u64),
    /// All VMs together need more vCPUs, or are more, than the hosts take.
    Total,
    /// VMs that may use only the hosts of this one need more bytes than these have.
    Tied,
    /// Every way to place them was tried.
    Exhausted,
}

/// The question, reduced to what matters: hosts that are left, dimensions that can bind.
#[derive(Debug)]
pub struct Packing<'a> {
    pub census: &'a Census,
    /// The hosts that are left.
    pub hosts: Vec<usize>,
    /// By position in `hosts`.
    pub room: Vec<Size>,
    /// VMs, largest first.
    pub items: Vec<usize>,
    /// By position in `items`.
    pub need: Vec<Size>,
    /// Whether every VM may use every host.
    pub free_choice: bool,
    /// VMs of anti-affinity groups that stay where they are.
    pub company: Company,
}

#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Emptiest,
    First,
    Tightest,
}

impl<'a> Packing<'a> {
    pub fn new(census: &'a Census, room: &[Option<Size>], mut items: Vec<usize>) -> Self {
        items.sort_unstable_by_key(|vm| census.order(*vm));
        let left = room.iter().enumerate().filter_map(|(host, room)| Some((host, (*room)?)));
        let (hosts, room) = left.unzip();
        let need = items.iter().map(|vm| census.need(*vm)).collect();
        let free_choice = items.iter().all(|vm| census.tie(*vm) == FREE);
        let company = Company::default();
        let mut packing = Self { census, hosts, room, items, need, free_choice, company };
        packing.drop_what_cannot_bind();
        packing
    }

    /// Room beyond a multiple of what all sizes are multiples of is of no use, and a dimension in
    /// which all VMs fit on any one host cannot bind.
    fn drop_what_cannot_bind(&mut self) {
        let grain = self.need.iter().fold(0, |grain, need| gcd(grain, need.memory)).max(1);
        let all = self.need.iter().fold(Size::default(), |all, need| all.plus(*need));
        let (vcpus, vms) = (
            self.room.iter().any(|room| room.vcpus < all.vcpus),
            self.room.iter().any(|room| room.vms < all.vms),
        );
        let only = |size: &mut Size| {
            size.vcpus *= u64::from(vcpus);
            size.vms *= u64::from(vms);
        };
        self.need.iter_mut().for_each(only);
        self.room.iter_mut().for_each(only);
        self.room.iter_mut().for_each(|room| room.memory -= room.memory % grain);
    }

    /// Whether the VM at a position of `items` may use the host at a position of `hosts`.
    pub fn may(&self, item: usize, at: usize) -> bool {
        self.free_choice || self.census.may(self.census.tie(self.items[item]), self.hosts[at])
    }

    /// Names VMs and hosts instead of positions, after the last care for groups.
    pub fn named(&self, at: &[usize]) -> Vec<(usize, usize)> {
        let mut at = at.to_vec();
        if self.census.grouped() {
            groups::part(self, &mut at);
        }
        self.items.iter().zip(&at).map(|(vm, at)| (*vm, self.hosts[*at])).collect()
    }

    /// Answers within the steps of the meter.
    pub fn solve(mut self, meter: &mut Meter) -> Packed {
        let Some(largest) = self.items.first().copied() else { return Packed::Fits(Vec::new()) };
        if self.items.iter().any(|vm| self.census.group(*vm).is_some())
            && let Some(Some(at)) = self.spread(meter)
        {
            return Packed::Fits(self.named(&at));
        }
        let stuck = match self.greedy(Rule::Emptiest, meter) {
            Some(Ok(at)) => return Packed::Fits(self.named(&at)),
            Some(Err(item)) => self.items[item],
            None => return Packed::Unknown { vm: largest },
        };
        self.beyond_the_rule(stuck, meter).unwrap_or(Packed::Unknown { vm: stuck })
    }

    /// Placements by other rules, for whoever can tell which is better.
    pub fn others(&self, meter: &mut Meter) -> Vec<Vec<(usize, usize)>> {
        let mut others = Vec::new();
        for rule in [Rule::Tightest, Rule::First] {
            if let Some(Ok(at)) = self.greedy(rule, meter) {
                others.push(self.named(&at));
            }
        }
        others
    }

    /// What is tried when the first rule is stuck; `None` when steps are used up.
    fn beyond_the_rule(&mut self, stuck: usize, meter: &mut Meter) -> Option<Packed> {
        for rule in [Rule::Tightest, Rule::First] {
            if let Ok(at) = self.greedy(rule, meter)? {
                return Some(Packed::Fits(self.named(&at)));
            }
        }
        meter.spend(self.items.len() as u64 * 4 + self.hosts.len() as u64)?;
        if let Some((item, why)) = refute::packing(self, meter)? {
            return Some(Packed::Not { vm: self.items[item], why });
        }
        if !self.free_choice {
            self.fewest_hosts_first();
            for rule in [Rule::Emptiest, Rule::Tightest] {
                if let Ok(at) = self.greedy(rule, meter)? {
                    return Some(Packed::Fits(self.named(&at)));
                }
            }
        }
        if let Some(at) = fill::fill(self, meter)? {
            return Some(Packed::Fits(self.named(&at)));
        }
        let mut search = Search::new(self)?;
        Some(match search.run(meter)? {
            true => Packed::Fits(self.named(&search.at)),
            false => Packed::Not { vm: stuck, why: Why::Exhausted },
        })
    }

    /// VMs with few hosts first: they are the ones that the others must not crowd out.
    fn fewest_hosts_first(&mut self) {
        let choices = |item: usize| (0..self.hosts.len()).filter(|at| self.may(item, *at)).count();
        let mut order: Vec<(usize, usize)> =
            (0..self.items.len()).map(|item| (choices(item), item)).collect();
        order.sort_unstable();
        self.items = order.iter().map(|(_, item)| self.items[*item]).collect();
        self.need = order.iter().map(|(_, item)| self.need[*item]).collect();
    }

    /// One pass: the position of a host for each item, or the item that is stuck.
    fn greedy(&self, rule: Rule, meter: &mut Meter) -> Option<Result<Vec<usize>, usize>> {
        let simple =
            self.free_choice && self.need.iter().all(|need| (need.vcpus, need.vms) == (0, 0));
        if simple && rule == Rule::Emptiest {
            return self.emptiest_by_memory(meter);
        }
        let mut room = self.room.clone();
        let mut at = Vec::with_capacity(self.items.len());
        for (item, need) in self.need.iter().enumerate() {
            meter.spend(6 + room.len() as u64 / 2)?;
            let mut fits =
                (0..room.len()).filter(|host| need.fits(room[*host]) && self.may(item, *host));
            let chosen = match rule {
                Rule::Emptiest => fits.max_by_key(|host| (room[*host].memory, usize::MAX - host)),
                Rule::First => fits.next(),
                Rule::Tightest => fits.min_by_key(|host| room[*host].memory),
            };
            let Some(host) = chosen else { return Some(Err(item)) };
            room[host] = need.out_of(room[host]);
            at.push(host);
        }
        Some(Ok(at))
    }

    /// As [`Rule::Emptiest`] among the hosts with fewest VMs of the group; `Some(None)` when stuck.
    fn spread(&self, meter: &mut Meter) -> Option<Option<Vec<usize>>> {
        let (mut room, mut company) = (self.room.clone(), self.company.clone());
        let mut at = Vec::with_capacity(self.items.len());
        for (item, need) in self.need.iter().enumerate() {
            meter.spend(6 + room.len() as u64 * 4)?;
            let group = self.census.group(self.items[item]);
            let fits = (0..room.len()).filter(|to| need.fits(room[*to]) && self.may(item, *to));
            let peers = |to: usize| group.map_or(0, |group| company.on(group, self.hosts[to]));
            let order = |to: &usize| (peers(*to), std::cmp::Reverse(room[*to].memory), *to);
            let Some(to) = fits.min_by_key(order) else { return Some(None) };
            room[to] = need.out_of(room[to]);
            if let Some(group) = group {
                company.add(group, self.hosts[to]);
            }
            at.push(to);
        }
        Some(Some(at))
    }

    /// [`Rule::Emptiest`] for memory alone.
    fn emptiest_by_memory(&self, meter: &mut Meter) -> Option<Result<Vec<usize>, usize>> {
        meter.spend(self.items.len() as u64 * 10 + self.hosts.len() as u64 * 3)?;
        let mut heap: std::collections::BinaryHeap<(u64, std::cmp::Reverse<usize>)> =
            self.room.iter().enumerate().map(|(at, r)| (r.memory, std::cmp::Reverse(at))).collect();
        let mut at = Vec::with_capacity(self.items.len());
        for (item, need) in self.need.iter().enumerate() {
            let Some(mut top) = heap.peek_mut().filter(|top| top.0 >= need.memory) else {
                return Some(Err(item));
            };
            at.push(top.1.0);
            top.0 -= need.memory;
        }
        Some(Ok(at))
    }

    /// The sum of all needs in one dimension and of all rooms.
    pub fn totals(&self) -> [(u128, u128); 3] {
        let sum = |sizes: &[Size], of: fn(&Size) -> u64| {
            sizes.iter().map(|size| u128::from(of(size))).sum::<u128>()
        };
        DIMENSIONS.map(|of| (sum(&self.need, of), sum(&self.room, of)))
    }
}

/// The greatest common divisor; that of a number and 0 is the number.
pub fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
