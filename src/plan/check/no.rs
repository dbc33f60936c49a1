//! Verifies the bound of a "no".

use super::super::{Breaking, Problem, Vm, Why};
use super::{after, fit, may, need, room};

/// Whether the bound of a "no" is violated; `false` when it rests on a search.
pub fn no(pool: &Problem, it: &Breaking) -> Result<bool, String> {
    let ((hosts, lost), vm) = (after(pool, &it.hosts), &pool.vms[it.vm]);
    let sum = |of: &dyn Fn(&Vm) -> u64| lost.values().map(|vm| u128::from(of(vm))).sum::<u128>();
    let all = |of: &dyn Fn(usize) -> u64| hosts.iter().map(|h| u128::from(of(*h))).sum::<u128>();
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let grain = lost.values().fold(0, |grain, vm| gcd(grain, vm.memory)).max(1);
    let free = |host: usize| pool.hosts[host].free / grain * grain;
    let only = |of: u64, counts: bool| if counts { of } else { 0 };
    let violated = match it.why {
        Why::Exhausted => return Ok(false),
        Why::Nowhere => !hosts.iter().any(|host| fit(pool, &hosts, &[(it.vm, *host)]).is_ok()),
        Why::Volume(size) => {
            let usable = all(&|host| only(free(host), free(host) >= size));
            sum(&|vm| only(vm.memory, vm.memory >= size)) > usable
        }
        Why::Count(size) => {
            sum(&|vm| only(1, vm.memory >= size)) > all(&|host| free(host) / size.max(1))
        }
        Why::Total => (1..3).any(|at| sum(&|vm| need(vm)[at]) > all(&|h| room(&pool.hosts[h])[at])),
        Why::Tied => {
            let within = |it: &Vm| hosts.iter().all(|host| !may(it, *host) || may(vm, *host));
            sum(&|it| only(it.memory, within(it))) > all(&|host| only(free(host), may(vm, host)))
        }
    };
    violated.then_some(true).ok_or_else(|| format!("the bound for {} holds", vm.id))
}
