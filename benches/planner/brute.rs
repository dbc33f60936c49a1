//! The definition by trying every placement of every set, for small pools.

use xe::plan::Problem;

/// Whether every set of `r` hosts has a plan.
pub fn tolerates(problem: &Problem, r: usize) -> bool {
    let hosts = problem.hosts.len();
    (0u32..1 << hosts).filter(|set| set.count_ones() as usize == r).all(|set| {
        let failed = |host: usize| set & (1 << host) != 0;
        let lost: Vec<u64> = problem
            .vms
            .iter()
            .filter(|vm| vm.host.is_some_and(failed))
            .map(|vm| vm.memory)
            .collect();
        let mut room: Vec<u64> =
            (0..hosts).filter(|host| !failed(*host)).map(|host| problem.hosts[host].free).collect();
        fits(&mut room, &lost)
    })
}

fn fits(room: &mut [u64], vms: &[u64]) -> bool {
    let Some((first, rest)) = vms.split_first() else { return true };
    (0..room.len()).any(|host| {
        let Some(left) = room[host].checked_sub(*first) else { return false };
        let before = std::mem::replace(&mut room[host], left);
        let done = fits(room, rest);
        room[host] = before;
        done
    })
}
