//! Which hosts are at least as bad to lose as others, whatever else fails.
//!
//! Host `a` is so for `b` when it has at least as much room left, every VM of `b` can be set
//! against a VM of `a` that needs at least as much and may use the same hosts, and both hosts are
//! open to the same VMs: a plan for a set with `a` then becomes one for the set with `b` instead,
//! by putting each VM of `b` where the VM of `a` went and letting `a` take what `b` took.

use super::field::Field;

/// Hosts above which nothing is compared: it would cost more than it saves.
const MOST: usize = 2_000;

/// By position: the earlier positions that must be in a set when this one is.
pub fn worse(field: &Field, hosts: &[usize]) -> Vec<Vec<usize>> {
    if hosts.len() > MOST {
        return vec![Vec::new(); hosts.len()];
    }
    let by_tie = |host: &usize| {
        let census = &field.census;
        let mut load = field.load[*host].clone();
        load.sort_by_key(|vm| (census.tie(*vm), census.order(*vm)));
        load
    };
    let loads: Vec<Vec<usize>> = hosts.iter().map(by_tie).collect();
    let dominates = |a: usize, b: usize| {
        let room = |at: usize| field.room[hosts[at]].unwrap_or_default();
        room(b).fits(room(a))
            && covers(field, &loads[a], &loads[b])
            && alike(field, hosts[a], hosts[b])
    };
    (0..hosts.len()).map(|b| (0..b).filter(|a| dominates(*a, b)).collect()).collect()
}

/// Whether each VM of `theirs` has a counterpart in `ours`; both by tie, largest first.
fn covers(field: &Field, ours: &[usize], theirs: &[usize]) -> bool {
    let census = &field.census;
    let mut ours = ours.iter().copied();
    theirs.iter().all(|their| {
        let same = ours.by_ref().find(|our| census.tie(*our) >= census.tie(*their));
        same.is_some_and(|our| {
            census.tie(our) == census.tie(*their) && census.need(*their).fits(census.need(our))
        })
    })
}

/// Whether the same VMs may use both hosts.
fn alike(field: &Field, a: usize, b: usize) -> bool {
    (0..field.census.ties()).all(|tie| field.census.may(tie, a) == field.census.may(tie, b))
}
