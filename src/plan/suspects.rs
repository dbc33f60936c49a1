//! Sets of hosts that are likely to have no plan.
//!
//! Whatever bound shows that a set cannot be packed, the worst set for it is found by sorting: the
//! need of the VMs on a host and the room that is lost with it make its weight. A set that breaks
//! such a bound has no plan; the others are only the first to look at.

use super::classes::Sums;
use super::field::Field;
use super::ranges::Sizes;
use super::size::DIMENSIONS;

/// Sizes that serve as thresholds, and ties whose hosts are looked at.
const MOST: usize = 32;

/// A set of `r` hosts, and whether a bound says that it has no plan.
pub struct Suspect {
    pub hosts: Vec<usize>,
    pub certain: bool,
}

/// All suspects, the certain ones first.
pub fn suspects(
    field: &Field,
    hosts: &[usize],
    sums: &Sums,
    sizes: &Sizes,
    r: usize,
) -> Vec<Suspect> {
    let mut found = Suspects { hosts, r, all: Vec::new() };
    let room = |host: usize| field.room[host].unwrap_or_default();
    let all = sizes.all();
    let parts = MOST.min(all.len());
    let thresholds = (0..parts).map(|part| all[(all.len() - 1) * (part + 1) / parts]);
    for (size, grain) in thresholds.filter(|(size, _)| *size > 0) {
        let free = |host: usize| u128::from(room(host).memory / grain * grain);
        let usable = |host| if room(host).memory >= size { free(host) } else { 0 };
        found.look(|position, host| (sums.at_least(position, size).0, usable(host)));
        let places = |host: usize| u128::from(room(host).memory / size);
        found.look(|position, host| (u128::from(sums.at_least(position, size).2), places(host)));
    }
    for of in &DIMENSIONS[1..] {
        let need =
            |host: usize| field.load[host].iter().map(|vm| u128::from(of(&field.census.need(*vm))));
        found.look(|_, host| (need(host).sum(), u128::from(of(&room(host)))));
    }
    tied(field, &mut found);
    let mut suspects = found.all;
    suspects.sort_by_key(|suspect| !suspect.certain);
    suspects
}

/// VMs that may use few hosts: when all of these fail, and when these have too little together.
fn tied(field: &Field, found: &mut Suspects) {
    let census = &field.census;
    for tie in (1..census.ties()).take(MOST) {
        let within: Vec<bool> = (0..census.ties()).map(|inner| census.within(inner, tie)).collect();
        let need = |host: usize| {
            let there = field.load[host].iter().filter(|vm| within[census.tie(**vm)]);
            there.map(|vm| u128::from(census.need(*vm).memory)).sum::<u128>()
        };
        let room = |host: usize| match field.room[host] {
            Some(room) if census.may(tie, host) => u128::from(room.memory),
            _ => 0,
        };
        found.look(|_, host| (need(host), room(host)));
        let away = |host: &usize| field.load[*host].iter().any(|vm| census.tie(*vm) == tie);
        let homes = found.hosts.iter().copied().filter(away);
        let reach: Vec<usize> =
            found.hosts.iter().copied().filter(|host| census.may(tie, *host)).collect();
        let mut killers: Vec<Vec<usize>> = homes
            .map(|home| {
                let mut set = vec![home];
                set.extend(reach.iter().filter(|host| **host != home));
                set
            })
            .filter(|set| set.len() <= found.r)
            .collect();
        killers.sort_by_key(Vec::len);
        if let Some(mut set) = killers.into_iter().next() {
            let others = found.hosts.iter().filter(|host| !set.contains(host));
            let missing = found.r - set.len();
            let padding: Vec<usize> = others.take(missing).copied().collect();
            set.extend(padding);
            found.all.push(Suspect { hosts: set, certain: true });
        }
    }
}

struct Suspects<'h> {
    hosts: &'h [usize],
    r: usize,
    all: Vec<Suspect>,
}

impl Suspects<'_> {
    /// The worst set for one bound, given what each host needs when it fails and what it offers.
    fn look(&mut self, of: impl Fn(usize, usize) -> (u128, u128)) {
        let mut weighed: Vec<(u128, usize)> = Vec::with_capacity(self.hosts.len());
        let mut offered = 0;
        for (position, host) in self.hosts.iter().enumerate() {
            let (need, room) = of(position, *host);
            offered += room;
            weighed.push((need + room, *host));
        }
        if self.r < weighed.len() && self.r > 0 {
            weighed.select_nth_unstable_by(self.r - 1, |a, b| b.cmp(a));
        }
        weighed.truncate(self.r);
        let certain = weighed.iter().map(|(weight, _)| *weight).sum::<u128>() > offered;
        let mut hosts: Vec<usize> = weighed.into_iter().map(|(_, host)| host).collect();
        hosts.sort_unstable();
        match self.all.iter_mut().find(|known| known.hosts == hosts) {
            Some(known) => known.certain |= certain,
            None => self.all.push(Suspect { hosts, certain }),
        }
    }
}
