//! Verifies the planner's certificates; it shares nothing with the planner but the question.
//!
//! A class of VMs is safe for a set of hosts when what these lose of VMs as large, and the least
//! that each survivor took before it refuses one, do not go together; else the set needs a plan.

use super::{Breaking, Certificate, ClassBound, Host, Plan, Problem, Vm, Why};

/// What a host without a limit has; and more than all hosts with limits can have taken.
const NO_LIMIT: u128 = u64::MAX as u128;
const TOO_MUCH: u128 = 1 << 110;

/// Bytes, vCPUs, VMs.
fn room(host: &Host) -> [u128; 3] {
    [Some(host.free), host.vcpus, host.slots].map(|left| left.map_or(NO_LIMIT, u128::from))
}

fn need(vm: &Vm) -> [u128; 3] {
    [vm.memory.into(), vm.vcpus.into(), 1]
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The enabled hosts that are left without `failed`, and the VMs to place on them then.
fn after(pool: &Problem, failed: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let enabled = (0..pool.hosts.len()).filter(|host| pool.hosts[*host].enabled);
    let (gone, left): (Vec<_>, Vec<_>) = enabled.partition(|host| failed.contains(host));
    let waits = |vm: &Vm| {
        let barred = |host: &usize| !vm.may(*host);
        let excused = left.iter().all(barred) && (!left.is_empty() || gone.iter().any(barred));
        let runs = vm.host.is_some_and(|host| left.contains(&host));
        vm.protected && !runs && !(pool.excuse_doomed && excused)
    };
    let waiting = (0..pool.vms.len()).filter(|at| waits(&pool.vms[*at])).collect();
    (left, waiting)
}

/// Whether a plan has a place for all VMs that wait when its hosts failed, and for no others.
fn holds(pool: &Problem, plan: &Plan) -> bool {
    let (targets, waiting) = after(pool, &plan.hosts);
    let mut room: Vec<_> = pool.hosts.iter().map(room).collect();
    let fit = |(vm, host): &(usize, usize)| {
        let (vm, room) = (&pool.vms[*vm], &mut room[*host]);
        let fits = (0..3).all(|of| need(vm)[of] <= room[of]);
        *room = [0, 1, 2].map(|of| room[of].saturating_sub(need(vm)[of]));
        fits && targets.contains(host) && vm.may(*host)
    };
    let mut placed: Vec<usize> = plan.placed.iter().map(|(vm, _)| *vm).collect();
    placed.sort_unstable();
    placed == waiting && plan.placed.iter().all(fit)
}

/// What a bound weighs each host with, and what the sum for the failed ones must stay below.
fn weights(pool: &Problem, hosts: &[usize], it: &ClassBound) -> (Vec<u128>, u128) {
    let (lo, like) = (u128::from(it.sizes.0), &pool.vms[it.like]);
    let all = || pool.vms.iter().filter(|vm| vm.protected && need(vm)[0] >= lo);
    let most = [0, 1, 2].map(|of| all().map(|vm| need(vm)[of]).max().unwrap_or(0));
    let largest = [it.sizes.1.into(), most[1], 1];
    let step = [all().map(|vm| need(vm)[0]).fold(0, gcd).max(1), 1, 1];
    let scaled = |of: usize, amount: u128| (amount * u128::from(it.scale[of])).min(TOO_MUCH);
    let weigh = |need: [u128; 3]| (0..3).map(|of| scaled(of, need[of])).sum::<u128>();
    let smallest = weigh([lo, 0, 1]).min(TOO_MUCH >> 20);
    let taken = |host: usize| {
        let room = room(&pool.hosts[host]);
        let takes = like.may(host) && (0..3).all(|of| largest[of] <= room[of]);
        let refused = (0..3).filter(|of| takes && room[*of] < NO_LIMIT).map(|of| {
            let taken = ((room[of] - largest[of]) / step[of] + 1) * step[of];
            scaled(of, taken).max(taken.div_ceil(most[of].max(1)).saturating_mul(smallest))
        });
        refused.min().unwrap_or(0).min(TOO_MUCH >> 20)
    };
    let lost = |host| all().filter(move |vm| vm.host == Some(host)).map(|vm| weigh(need(vm)));
    let weights = hosts.iter().map(|host| lost(*host).sum::<u128>() + taken(*host)).collect();
    (weights, hosts.iter().map(|host| taken(*host)).sum::<u128>() + smallest)
}

/// Whether a "yes" shows that every set of `r` hosts has a plan; else a set for which no bound and
/// no plan holds, an empty one when its starts do not fit.
pub fn yes(pool: &Problem, r: usize, starts: &Plan, it: &Certificate) -> Result<(), Vec<usize>> {
    if !starts.hosts.is_empty() || !holds(pool, starts) {
        return Err(Vec::new());
    }
    let (hosts, mut pool) = (after(pool, &[]).0, pool.clone());
    for (vm, host) in &starts.placed {
        pool.vms[*vm].host = Some(*host);
        pool.hosts[*host].take(&pool.vms[*vm]);
    }
    // A VM that only its own host can run is never placed.
    let lost: Vec<usize> = hosts.iter().flat_map(|host| after(&pool, &[*host]).1).collect();
    pool.vms.iter_mut().for_each(|vm| vm.protected = false);
    lost.into_iter().for_each(|vm| pool.vms[vm].protected = true);
    let bounds = it.bounds.iter().chain(&it.open);
    let bounds: Vec<_> = bounds.map(|bound| (bound, weights(&pool, &hosts, bound))).collect();
    // Positions of hosts, ascending, to which others behind the last are still to be added.
    let mut sets = vec![Vec::new()];
    while let Some(set) = sets.pop() {
        let (missing, from) = (r - set.len(), set.last().map_or(0, |last| last + 1));
        let below = |(weights, limit): &(Vec<u128>, u128)| {
            let mut rest = weights[from..].to_vec();
            rest.sort_unstable_by(|a, b| b.cmp(a));
            let set = set.iter().map(|at| weights[*at]);
            set.chain(rest.into_iter().take(missing)).sum::<u128>() < *limit
        };
        let bounds: Vec<_> = bounds.iter().filter(|(_, table)| below(table)).collect();
        let safe = |vm: &Vm| bounds.iter().any(|(it, _)| it.speaks_of(&pool, vm));
        let open = pool.vms.iter().any(|vm| vm.protected && !safe(vm));
        let failed: Vec<usize> = set.iter().map(|at| hosts[*at]).collect();
        let planned = |plan: &Plan| plan.hosts == failed && holds(&pool, plan);
        if open && missing > 0 {
            sets.extend((from..hosts.len()).map(|next| [&set[..], &[next]].concat()));
        } else if open && !it.plans.iter().any(planned) {
            return Err(failed);
        }
    }
    Ok(())
}

/// Whether the bound of a "no" is violated; `false` when it rests on a search.
pub fn no(pool: &Problem, it: &Breaking) -> Result<bool, String> {
    let ((hosts, waiting), vm) = (after(pool, &it.hosts), &pool.vms[it.vm]);
    let mut lost: Vec<&Vm> = waiting.iter().map(|at| &pool.vms[*at]).collect();
    lost.retain(|vm| vm.host.is_some_and(|host| it.hosts.contains(&host)));
    let room = |host: &usize| room(&pool.hosts[*host]);
    let alone = |host| (0..3).all(|of| need(vm)[of] <= room(host)[of]);
    // Hosts hold only multiples of what all needs are multiples of.
    let short = |of: usize, vms: &dyn Fn(&Vm) -> bool, on: &dyn Fn(usize) -> bool| {
        let needs = || lost.iter().filter(|vm| vms(vm)).map(|vm| need(vm)[of]);
        let step = needs().fold(0, gcd).max(1);
        let usable = hosts.iter().filter(|it| on(**it)).map(|it| room(it)[of] / step * step);
        needs().sum::<u128>() > usable.sum()
    };
    let violated = match it.why {
        Why::Exhausted => return Ok(false),
        Why::Nowhere if !lost.iter().any(|it| std::ptr::eq(*it, vm)) => false,
        Why::Nowhere => !hosts.iter().any(|host| vm.may(*host) && alone(host)),
        Why::Total => [1, 2].iter().any(|of| short(*of, &|_| true, &|_| true)),
        Why::Volume(size) => short(0, &|vm| vm.memory >= size, &|at| pool.hosts[at].free >= size),
        Why::Count(size) => {
            let places = hosts.iter().map(|host| room(host)[0] / u128::from(size.max(1)));
            lost.iter().filter(|vm| vm.memory >= size).count() as u128 > places.sum()
        }
        Why::Tied => {
            let within = |it: &Vm| hosts.iter().all(|host| !it.may(*host) || vm.may(*host));
            short(0, &within, &|host| vm.may(host))
        }
    };
    violated.then_some(true).ok_or_else(|| format!("the bound for {} holds", vm.id))
}
