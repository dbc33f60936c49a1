//! Bounds that show that one set of VMs cannot be placed, whatever is tried.

use super::meter::Meter;
use super::pack::{Packing, Why, gcd};

/// An item that is too much and the bound that says so; `Some(None)` when no bound does.
pub fn packing(packing: &Packing, meter: &mut Meter) -> Option<Option<(usize, Why)>> {
    if let Some(item) = nowhere(packing) {
        return Some(Some((item, Why::Nowhere)));
    }
    let [_, vcpus, vms] = packing.totals();
    if vcpus.0 > vcpus.1 || vms.0 > vms.1 {
        return Some(packing.items.len().checked_sub(1).map(|last| (last, Why::Total)));
    }
    if let Some(found) = thresholds(packing, meter)? {
        return Some(Some(found));
    }
    tied(packing, meter)
}

/// An item that fits on no host even if it is the only one.
fn nowhere(packing: &Packing) -> Option<usize> {
    let alone = |item: &usize| {
        let fits = |at| packing.need[*item].fits(packing.room[at]) && packing.may(*item, at);
        !(0..packing.hosts.len()).any(fits)
    };
    let distinct = |item: &usize| {
        !packing.free_choice || *item == 0 || packing.need[*item] != packing.need[*item - 1]
    };
    (0..packing.items.len()).filter(distinct).find(alone)
}

/// Each size as a threshold: volume and count of the items that are at least as large; of
/// a room only multiples of what these are multiples of are of use.
fn thresholds(packing: &Packing, meter: &mut Meter) -> Option<Option<(usize, Why)>> {
    let (mut volume, mut grain) = (0u128, 0);
    for (item, need) in packing.need.iter().enumerate() {
        volume += u128::from(need.memory);
        grain = gcd(grain, need.memory);
        let next = packing.need.get(item + 1);
        if next.is_some_and(|next| next.memory == need.memory) || need.memory == 0 {
            continue;
        }
        meter.spend(1 + packing.room.len() as u64 / 4)?;
        let room = || packing.room.iter().map(|room| room.memory);
        let whole = |free: u64| u128::from(free / grain * grain);
        let usable: u128 = room().filter(|free| *free >= need.memory).map(whole).sum();
        if volume > usable {
            return Some(Some((item, Why::Volume(need.memory))));
        }
        let places: u64 = room().map(|free| free / need.memory).fold(0, u64::saturating_add);
        if item as u64 + 1 > places {
            return Some(Some((item, Why::Count(need.memory))));
        }
    }
    Some(None)
}

/// The volume of the items that may use only the hosts of one of them.
fn tied(packing: &Packing, meter: &mut Meter) -> Option<Option<(usize, Why)>> {
    if packing.free_choice {
        return Some(None);
    }
    let census = packing.census;
    let tie = |item: usize| census.tie(packing.items[item]);
    let mut seen = Vec::new();
    for item in (0..packing.items.len()).rev() {
        let outer = tie(item);
        if seen.contains(&outer) {
            continue;
        }
        seen.push(outer);
        meter.spend((packing.items.len() + packing.hosts.len()) as u64)?;
        let within: Vec<bool> =
            (0..census.ties()).map(|inner| census.within(inner, outer)).collect();
        let items = (0..packing.items.len()).filter(|item| within[tie(*item)]);
        let volume: u128 = items.map(|item| u128::from(packing.need[item].memory)).sum();
        let hosts = (0..packing.hosts.len()).filter(|at| packing.may(item, *at));
        let room: u128 = hosts.map(|at| u128::from(packing.room[at].memory)).sum();
        if volume > room {
            return Some(Some((item, Why::Tied)));
        }
    }
    Some(None)
}
