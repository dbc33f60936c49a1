//! Hosts that fail one after the other, with recovery's own restarts in between.
//!
//! A bound that closes every class for any order answers at once. What it leaves open is played:
//! each host fails, its VMs go where [`super::place`] puts them, and the question is asked again
//! of the pool after that with one failure less.

use super::Sequences;
use super::classes::{Coming, Sums};
use super::field::Field;
use super::meter::Meter;
use super::pack::Packed;
use super::ranges::{Sizes, prove};

/// Whether recovery places everything, in whatever order `r` hosts fail.
pub fn play(field: &Field, r: usize, meter: &mut Meter) -> Sequences {
    match next(field, r, &mut Vec::new(), meter) {
        Some(None) => Sequences::Kept,
        Some(Some((hosts, vm))) => Sequences::Breaks { hosts, vm },
        None => Sequences::NotProved,
    }
}

/// Whether the bounds alone say so.
pub fn bounded(field: &Field, r: usize) -> bool {
    r <= 1 || holds(field, &field.targets(), r, &mut Meter::new(u64::MAX)).unwrap_or(false)
}

/// The hosts so far and the VM that finds no place.
type Stuck = (Vec<usize>, usize);

fn next(
    field: &Field,
    r: usize,
    dead: &mut Vec<usize>,
    meter: &mut Meter,
) -> Option<Option<Stuck>> {
    let hosts = field.targets();
    if r == 0 || hosts.is_empty() || holds(field, &hosts, r, meter)? {
        return Some(None);
    }
    for host in hosts {
        dead.push(host);
        let placed = match field.survives(&[host], meter) {
            Packed::Fits(placed) => placed,
            Packed::Not { vm, .. } => return Some(Some((dead.clone(), vm))),
            Packed::Unknown { .. } => return None,
        };
        meter.spend(field.load.len() as u64 * 20)?;
        let mut after = field.clone();
        after.room[host] = None;
        after.load[host].clear();
        if !placed.iter().all(|(vm, to)| after.start(*vm, *to)) {
            return None;
        }
        let stuck = next(&after, r - 1, dead, meter)?;
        if stuck.is_some() {
            return Some(stuck);
        }
        dead.pop();
    }
    Some(None)
}

/// Whether the bounds answer. A single failure has no order, so the sharper bound is enough.
fn holds(field: &Field, hosts: &[usize], r: usize, meter: &mut Meter) -> Option<bool> {
    let how = if r == 1 { Coming::Together } else { Coming::OneByOne };
    let (sums, sizes) = (Sums::new(field, hosts), Sizes::new(field, hosts));
    let proof = prove(field, hosts, &sums, &sizes, (r, how));
    let classes = (proof.closed.len() + 2 * proof.open.len() + 4) as u64;
    meter.spend(classes * hosts.len() as u64 * 10)?;
    Some(proof.open.is_empty())
}
