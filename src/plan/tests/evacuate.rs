//! Emptying a host keeps what is promised wherever trying everything finds a way to keep it.

use proptest::prelude::*;

use super::brute;
use super::pools::{EVERYTHING, With, pools};
use crate::plan::*;

/// The pool with the VM moved to the host.
fn moved(problem: &Problem, vm: usize, to: usize) -> Problem {
    let mut after = problem.clone();
    after.vms[vm].host = None;
    brute::start(&mut after, vm, to);
    after
}

/// Whether some way to move all these VMs keeps it.
fn possible(problem: &Problem, vms: &[usize], keep: usize) -> bool {
    let Some((vm, rest)) = vms.split_first() else { return brute::tolerates(problem, keep) };
    (0..problem.hosts.len())
        .filter(|to| brute::takes(problem, *vm, *to))
        .any(|to| possible(&moved(problem, *vm, to), rest, keep))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_promised_is_kept_where_that_is_possible(
        problem in pools(With { groups: false, ..EVERYTHING }),
        host in 0usize..5,
        keep in 1usize..3,
    ) {
        let host = host % problem.hosts.len();
        let mut closed = problem.clone();
        closed.hosts[host].enabled = false;
        let there = |vm: &usize| closed.vms[*vm].host == Some(host);
        let all: Vec<usize> = (0..closed.vms.len()).filter(there).collect();
        if all.is_empty() || all.len() > 4 {
            return Ok(());
        }
        let mut after = closed.clone();
        let mut gone = Vec::new();
        for one in evacuation(&problem, host, keep) {
            if let Ok(to) = one.target {
                prop_assert!(brute::takes(&after, one.vm, to));
                after = moved(&after, one.vm, to);
                gone.push(one.vm);
            }
        }
        // The protected ones count as waiting until they are moved.
        if brute::tolerates(&closed, keep) {
            prop_assert!(brute::tolerates(&after, keep), "{after:?}");
        }
        if possible(&closed, &all, keep) {
            prop_assert_eq!(gone.len(), all.len());
        }
    }
}

#[test]
fn a_vm_goes_where_the_plan_is_kept_and_not_where_most_is_free() {
    let sized = |free| Host { free, enabled: true, ..Host::default() };
    let vm = |memory, host| Vm { memory, host: Some(host), protected: true, ..Vm::default() };
    let hosts = vec![sized(0), sized(10), sized(8), sized(4)];
    let vms = vec![vm(4, 0), vm(1, 1), vm(7, 2), vm(1, 3)];
    let mut problem = Problem { hosts, vms, ..Problem::default() };
    assert_eq!(evacuation(&problem, 0, 0)[0].target, Ok(1), "the emptiest");
    // There it would stand in the way of the large one.
    assert_ne!(evacuation(&problem, 0, 1)[0].target, Ok(1));
    // One that is not protected takes the same room, or stays.
    problem.vms[0].protected = false;
    assert_ne!(evacuation(&problem, 0, 1)[0].target, Ok(1));
    problem.hosts[2].free = 3;
    problem.hosts[3].free = 3;
    let stays = &evacuation(&problem, 0, 1)[0].target;
    assert!(stays.as_ref().is_err_and(|why| why.contains("needed for VMs")), "{stays:?}");
}
