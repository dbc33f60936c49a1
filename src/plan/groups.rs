//! Anti-affinity: VMs of one group are spread over hosts where that costs no restart.
//!
//! First a place is looked for that spreads, each VM going where fewest of its group are; where
//! the room does not allow that, one that at least does not put a whole group on a single host;
//! and where even that is not there, the group is ignored and named. A group never makes an
//! answer "no".

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::pack::Packing;

/// How many VMs of each group are on each host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Company {
    count: BTreeMap<(usize, usize), usize>,
}

impl Company {
    /// From (group, host) for each VM that stays where it is.
    pub fn of(members: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut company = Self::default();
        members.for_each(|(group, host)| company.add(group, host));
        company
    }

    pub fn add(&mut self, group: usize, host: usize) {
        *self.count.entry((group, host)).or_default() += 1;
    }

    fn leave(&mut self, group: usize, host: usize) {
        if let Some(count) = self.count.get_mut(&(group, host)) {
            *count -= 1;
        }
        self.count.retain(|_, count| *count > 0);
    }

    /// VMs of the group on the host.
    pub fn on(&self, group: usize, host: usize) -> usize {
        self.count.get(&(group, host)).copied().unwrap_or(0)
    }

    /// Whether all VMs of the group, two at least, are on a single host.
    pub fn crowded(&self, group: usize) -> bool {
        let mut hosts = self.count.range((group, 0)..=(group, usize::MAX));
        hosts.next().is_some_and(|(_, count)| *count > 1) && hosts.next().is_none()
    }
}

/// Moves one VM of each group that stands on a single host to another one that has room, if there
/// is such a host; `at` is a position in `hosts` for each item.
pub fn part(packing: &Packing, at: &mut [usize]) {
    let mut company = packing.company.clone();
    let mut room = packing.room.clone();
    let group = |item: usize| packing.census.group(packing.items[item]);
    for (item, host) in at.iter().enumerate() {
        room[*host] = packing.need[item].out_of(room[*host]);
        if let Some(group) = group(item) {
            company.add(group, packing.hosts[*host]);
        }
    }
    for (item, place) in at.iter_mut().enumerate() {
        let Some(group) = group(item).filter(|group| company.crowded(*group)) else { continue };
        let (need, from) = (packing.need[item], *place);
        let other = |to: &usize| *to != from && packing.may(item, *to) && need.fits(room[*to]);
        let target = (0..room.len()).filter(other).max_by_key(|to| room[*to].memory);
        let Some(to) = target else { continue };
        room[from] = room[from].plus(need);
        room[to] = need.out_of(room[to]);
        company.leave(group, packing.hosts[from]);
        company.add(group, packing.hosts[to]);
        *place = to;
    }
}

/// Groups of the VMs in `placed` that stand on a single host after that placement.
pub fn crowded(problem: &Problem, failed: &[usize], placed: &[(usize, usize)]) -> Vec<usize> {
    let moved: BTreeMap<usize, usize> = placed.iter().copied().collect();
    let place = |vm: &usize| {
        let stays = problem.vms[*vm].host.filter(|host| !failed.contains(host));
        moved.get(vm).copied().or(stays)
    };
    let members =
        (0..problem.vms.len()).filter_map(|vm| Some((problem.vms[vm].group?, place(&vm)?)));
    let company = Company::of(members);
    let groups: BTreeSet<usize> =
        placed.iter().filter_map(|(vm, _)| problem.vms[*vm].group).collect();
    groups.into_iter().filter(|group| company.crowded(*group)).collect()
}
