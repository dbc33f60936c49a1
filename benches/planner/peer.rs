//! The two published rules of the peer, written from their description: every order of failures
//! with one greedy restart rule where these are few, else an estimate by the largest of all.

use xe::plan::Problem;

/// Fewer orders than this are all played, for up to this many hosts.
const ORDERS: u128 = 3_500;
const HOSTS: usize = 32;

/// Which rule answers.
#[derive(Clone, Copy, PartialEq)]
pub enum Rule {
    Orders,
    Estimate,
}

/// The rule that the peer takes for that question.
pub fn rule(problem: &Problem, r: usize) -> Rule {
    let hosts = problem.hosts.len();
    let each = (0..r).map(|gone| hosts.saturating_sub(gone) as u128);
    let orders = each.fold(1, u128::saturating_mul);
    if hosts <= HOSTS && orders < ORDERS { Rule::Orders } else { Rule::Estimate }
}

/// Whether the peer says that `r` failures are tolerated. All VMs are running and protected here.
pub fn tolerates(problem: &Problem, r: usize, rule: Rule) -> bool {
    let hosts = problem.hosts.len();
    if hosts < r || (hosts == r && !problem.vms.is_empty()) {
        return false;
    }
    let free = problem.hosts.iter().map(|host| Some(host.free)).collect();
    let mut load = vec![Vec::new(); hosts];
    for vm in &problem.vms {
        if let Some(host) = vm.host {
            load[host].push(vm.memory);
        }
    }
    match rule {
        Rule::Orders => Pool { free, load }.orders(r),
        Rule::Estimate => estimate(problem, &load, r),
    }
}

/// The largest number of failures that it says is tolerated.
pub fn max_failures(problem: &Problem) -> usize {
    let holds = |r: &usize| tolerates(problem, *r, rule(problem, *r));
    (1..=problem.hosts.len()).take_while(holds).count()
}

#[derive(Clone)]
struct Pool {
    /// `None` for a host that failed.
    free: Vec<Option<u64>>,
    load: Vec<Vec<u64>>,
}

impl Pool {
    fn orders(&self, r: usize) -> bool {
        let alive = |host: &usize| self.free[*host].is_some();
        r == 0
            || (0..self.free.len()).filter(alive).all(|host| {
                let mut after = self.clone();
                after.fail(host) && after.orders(r - 1)
            })
    }

    /// Largest VM first, each to the host with most free memory.
    fn fail(&mut self, host: usize) -> bool {
        self.free[host] = None;
        let mut lost = std::mem::take(&mut self.load[host]);
        lost.sort_unstable_by(|a, b| b.cmp(a));
        lost.into_iter().all(|size| {
            let emptiest = (0..self.free.len()).filter_map(|at| Some((self.free[at]?, at))).max();
            let Some((free, at)) = emptiest.filter(|(free, _)| *free >= size) else { return false };
            self.free[at] = Some(free - size);
            self.load[at].push(size);
            true
        })
    }
}

/// All VMs are taken to be as large as the largest; those hosts fail that have most room, and at
/// the same time those that run most VMs.
fn estimate(problem: &Problem, load: &[Vec<u64>], r: usize) -> bool {
    let Some(largest) = problem.vms.iter().map(|vm| vm.memory).max() else { return true };
    let mut slots: Vec<u64> = problem.hosts.iter().map(|host| host.free / largest.max(1)).collect();
    let mut vms: Vec<usize> = load.iter().map(Vec::len).collect();
    slots.sort_unstable_by(|a, b| b.cmp(a));
    vms.sort_unstable_by(|a, b| b.cmp(a));
    let lost: usize = vms.iter().take(r).sum();
    slots.iter().skip(r).sum::<u64>() >= lost as u64
}
