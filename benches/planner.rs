//! The failover planner on 64 hosts with 640 VMs, beside the mere look at every pair of hosts.
//!
//! The bound is what any exact planner without a proof for all sets at once must do: go through
//! the VMs of each of the 2016 pairs once and add them up. A ratio below one says that the proof
//! spared that.

mod side_by_side;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use xe::plan::{Budget, Host, Outcome, Problem, Vm, max_failures, tolerates};

const HOSTS: usize = 64;
const VMS: usize = 640;
const GIB: u64 = 1 << 30;

/// Hosts of 256 GiB with ten protected VMs of 1 to 16 GiB each.
fn pool() -> Problem {
    let size = |vm: usize| (1 + (vm as u64 * 7919) % 16) * GIB;
    let used = |host| (0..VMS).filter(|vm| vm % HOSTS == host).map(size).sum::<u64>();
    let host = |index| Host {
        id: format!("host-{index}"),
        total: 256 * GIB,
        free: 256 * GIB - used(index),
        enabled: true,
        ..Host::default()
    };
    let vm = |index| Vm {
        id: format!("vm-{index}"),
        memory: size(index),
        host: Some(index % HOSTS),
        protected: true,
        ..Vm::default()
    };
    let hosts = (0..HOSTS).map(host).collect();
    Problem { hosts, vms: (0..VMS).map(vm).collect(), ..Problem::default() }
}

fn every_pair(problem: &Problem) -> u64 {
    let mut most = 0;
    for first in 0..HOSTS {
        for second in 0..first {
            let lost = |vm: &&Vm| vm.host == Some(first) || vm.host == Some(second);
            most = most.max(problem.vms.iter().filter(lost).map(|vm| vm.memory).sum());
        }
    }
    most
}

fn planner(criterion: &mut Criterion) {
    let problem = pool();
    assert!(matches!(tolerates(&problem, 2, &Budget::default()), Outcome::Yes { .. }));
    side_by_side::compare(
        criterion,
        "64 hosts, 640 VMs, two failures",
        ("a look at every pair", || {
            black_box(every_pair(black_box(&problem)));
        }),
        ("the proof", || {
            black_box(tolerates(black_box(&problem), 2, &Budget::default()));
        }),
    );
    side_by_side::compare(
        criterion,
        "64 hosts, 640 VMs, how many failures",
        ("a look at every pair", || {
            black_box(every_pair(black_box(&problem)));
        }),
        ("the largest number", || {
            black_box(max_failures(black_box(&problem), &Budget::default()));
        }),
    );
}

criterion_group!(benches, planner);
criterion_main!(benches);
