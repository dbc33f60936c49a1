//! What changes leave on each host, also when more is taken than was there.
//!
//! A VM may be started, in thought or by force, where there is no room for it. The host then has
//! nothing left; when the VM goes, only what was there comes back.

use super::Problem;

/// What is left on each host, below zero where too much was taken: bytes, vCPUs, VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    left: Vec<[i128; 3]>,
}

impl Ledger {
    pub fn new(problem: &Problem) -> Self {
        let number = |limit: Option<u64>| i128::from(limit.unwrap_or(0));
        let left = problem.hosts.iter();
        let left = left.map(|it| [i128::from(it.free), number(it.vcpus), number(it.slots)]);
        Self { left: left.collect() }
    }

    /// Takes what the VM needs from the host.
    pub fn take(&mut self, problem: &mut Problem, vm: usize, host: usize) {
        self.add(problem, vm, host, -1);
    }

    /// Gives it back.
    pub fn give(&mut self, problem: &mut Problem, vm: usize, host: usize) {
        self.add(problem, vm, host, 1);
    }

    fn add(&mut self, problem: &mut Problem, vm: usize, host: usize, sign: i128) {
        let it = &problem.vms[vm];
        let need = [i128::from(it.memory), i128::from(it.vcpus), 1];
        let left = &mut self.left[host];
        left.iter_mut().zip(need).for_each(|(left, need)| *left += sign * need);
        let number = |left: i128| u64::try_from(left.max(0)).unwrap_or(u64::MAX);
        let at = &mut problem.hosts[host];
        at.free = number(left[0]);
        at.vcpus = at.vcpus.map(|_| number(left[1]));
        at.slots = at.slots.map(|_| number(left[2]));
    }
}
