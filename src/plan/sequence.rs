//! Hosts that fail one after the other, with recovery's own restarts in between.
//!
//! A bound that closes every class for any order answers at once. What it leaves open is played:
//! each host fails, its VMs are placed, and the question is asked again of the pool after that
//! with one failure less. Recovery looks ahead in the same way ([`super::place_ahead`]): it takes
//! the first of its rules after which all further failures are kept, the usual one before others.

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

/// The largest number of failures up to `max` that is known to be kept, and the answer for `max`.
pub fn climb(field: &Field, max: usize, meter: &mut Meter) -> (usize, Sequences) {
    let mut kept = max;
    if !bounded(field, max) {
        let mut not = max;
        kept = 0;
        while not - kept > 1 {
            let middle = usize::midpoint(kept, not);
            if bounded(field, middle) { kept = middle } else { not = middle }
        }
    }
    // Without what the bounds answer, each number is played, a third of the steps for each.
    while kept < max {
        let most = meter.left() / 3;
        match meter.at_most(most, |meter| play(field, kept + 1, meter)) {
            Sequences::Kept => kept += 1,
            answer if kept + 1 == max => return (kept, answer),
            _ => return (kept, Sequences::NotProved),
        }
    }
    (kept, Sequences::Kept)
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
        let usual = match field.packing(&[host]).solve(meter) {
            Packed::Fits(placed) => placed,
            Packed::Not { vm, .. } => return Some(Some((dead.clone(), vm))),
            Packed::Unknown { .. } => return None,
        };
        if r > 1 {
            let mut left = field.clone();
            left.room[host] = None;
            left.load[host].clear();
            let others = |meter: &mut Meter| field.packing(&[host]).others(meter);
            let (_, stuck) = choose(&left, usual, others, (r - 1, dead), meter)?;
            if stuck.is_some() {
                return Some(stuck);
            }
        }
        dead.pop();
    }
    Some(None)
}

/// (VM, host) for each VM.
pub type Way = Vec<(usize, usize)>;

/// The first way of placing after which `more` failures are kept in any order; else the usual one
/// and where it gets stuck.
pub fn choose(
    left: &Field,
    usual: Way,
    others: impl FnOnce(&mut Meter) -> Vec<Way>,
    (more, dead): (usize, &mut Vec<usize>),
    meter: &mut Meter,
) -> Option<(Way, Option<Stuck>)> {
    let depth = dead.len();
    let mut stuck = |way: &Way, meter: &mut Meter| {
        meter.spend(left.load.len() as u64 * 20)?;
        let stuck = next(&after(left, way)?, more, dead, meter)?;
        dead.truncate(depth);
        Some(stuck)
    };
    let first = stuck(&usual, meter)?;
    if first.is_some() {
        for way in others(meter) {
            if stuck(&way, meter)?.is_none() {
                return Some((way, None));
            }
        }
    }
    Some((usual, first))
}

/// The pool with these VMs started.
fn after(field: &Field, placed: &[(usize, usize)]) -> Option<Field> {
    let mut after = field.clone();
    placed.iter().all(|(vm, to)| after.start(*vm, *to)).then_some(after)
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
