//! Verifies the bound of a "no".

use super::super::{Breaking, Problem, Vm, Why};
use super::{after, fit, grain, may, need, room};

/// Whether the bound of a "no" is violated; `false` when it rests on a search.
pub fn no(pool: &Problem, it: &Breaking) -> Result<bool, String> {
    let ((hosts, lost), vm) = (after(pool, &it.hosts), &pool.vms[it.vm]);
    let sum = |of: &dyn Fn(&Vm) -> u64| lost.values().map(|vm| u128::from(of(vm))).sum::<u128>();
    let all = |of: &dyn Fn(usize) -> u64| hosts.iter().map(|h| u128::from(of(*h))).sum::<u128>();
    let free = |host: usize, size: u64| pool.hosts[host].free / grain(lost.values(), size);
    let free = |host: usize, size: u64| free(host, size) * grain(lost.values(), size);
    let only = |of: u64, counts: bool| if counts { of } else { 0 };
    let violated = match it.why {
        Why::Exhausted => return Ok(false),
        Why::Nowhere => !hosts.iter().any(|host| fit(pool, &hosts, &[(it.vm, *host)]).is_ok()),
        Why::Volume(size) => {
            let usable = all(&|host| only(free(host, size), free(host, size) >= size));
            sum(&|vm| only(vm.memory, vm.memory >= size)) > usable
        }
        Why::Count(size) => {
            sum(&|vm| only(1, vm.memory >= size)) > all(&|host| pool.hosts[host].free / size.max(1))
        }
        Why::Total => (1..3).any(|at| sum(&|vm| need(vm)[at]) > all(&|h| room(&pool.hosts[h])[at])),
        Why::Tied => {
            let within = |it: &Vm| hosts.iter().all(|host| !may(it, *host) || may(vm, *host));
            sum(&|it| only(it.memory, within(it))) > all(&|host| only(free(host, 0), may(vm, host)))
        }
    };
    violated.then_some(true).ok_or_else(|| format!("the bound for {} holds", vm.id))
}
