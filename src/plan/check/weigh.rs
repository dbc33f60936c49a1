//! What a bound of a "yes" weighs each host with, from its definition.

use super::super::{ClassBound, Problem, Vm};
use super::{NO_LIMIT, may, need, room};

/// The weight of each host in a bound, and its limit.
pub fn weights(pool: &Problem, hosts: &[usize], it: &ClassBound) -> (Vec<u128>, u128) {
    let ((lo, hi), like, scale) = (it.sizes, &pool.vms[it.like], it.scale);
    let all = || pool.vms.iter().filter(|vm| vm.protected);
    let most = |at: usize| all().map(|vm| need(vm)[at]).max().unwrap_or(0);
    let tied = all().filter(|vm| vm.allowed == like.allowed).map(|vm| vm.vcpus).max();
    let largest = [hi, tied.unwrap_or(0), 1];
    let multiple = |vm: &Vm| vm.memory < lo || vm.memory.is_multiple_of(it.grain);
    let grain = if all().all(multiple) { it.grain.max(1) } else { 1 };
    let limited =
        [0, 1, 2].map(|at| at == 0 || hosts.iter().any(|h| room(&pool.hosts[*h])[at] < NO_LIMIT));
    let weigh = |of: [u64; 3]| match it.counted {
        true => u128::from(of[2]),
        false => of
            .iter()
            .zip([scale.0, scale.1, scale.2])
            .map(|(n, by)| u128::from(*n) * u128::from(by))
            .sum(),
    };
    let taken = |host: &usize| {
        let mut room = room(&pool.hosts[*host]);
        if !may(like, *host) || room.iter().zip(largest).any(|(room, need)| *room < need) {
            return 0;
        }
        room[0] = room[0] / grain * grain;
        let refused = (0..3).filter(|at| limited[*at]).map(|at| {
            let mut taken = [0; 3];
            let step = if at == 0 { grain } else { 1 };
            taken[at] = room[at].saturating_sub(largest[at]).saturating_add(step);
            if it.counted {
                u128::from(room[at].checked_div(most(at)).unwrap_or(u64::MAX))
            } else {
                weigh(taken)
            }
        });
        refused.min().unwrap_or(0).max(weigh([lo, 0, 1]))
    };
    let lost = |host: &usize| {
        let there = all().filter(|vm| vm.host == Some(*host) && vm.memory >= lo);
        there.map(|vm| weigh(need(vm))).sum::<u128>()
    };
    let weights = hosts.iter().map(|host| lost(host) + taken(host)).collect();
    (weights, hosts.iter().map(taken).sum::<u128>() + weigh([lo, 0, 1]))
}
