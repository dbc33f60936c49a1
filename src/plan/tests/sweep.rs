//! The sweep beside the rule that it stands for, and beside what recovery does.

use proptest::prelude::*;

use super::pools::{EVERYTHING, With, pools};
use super::{host, vm};
use crate::plan::field::Field;
use crate::plan::meter::Meter;
use crate::plan::sweep::Sweep;
use crate::plan::{Host, Problem, Vm, place};

const MEMORY: With =
    With { limits: false, ties: false, halted: false, groups: false, excuses: false };

/// Whether the rule places what these hosts lose: the largest VM first, each on the tightest host.
fn by_the_rule(problem: &Problem, failed: &[usize]) -> bool {
    let lost = |vm: &&Vm| vm.protected && vm.host.is_some_and(|host| failed.contains(&host));
    let mut sizes: Vec<u64> = problem.vms.iter().filter(lost).map(|vm| vm.memory).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let left = |at: &usize| problem.hosts[*at].enabled && !failed.contains(at);
    let left = (0..problem.hosts.len()).filter(left);
    let mut room: Vec<u64> = left.map(|at| problem.hosts[at].free).collect();
    sizes.into_iter().all(|size| {
        let tightest = room.iter_mut().filter(|room| **room >= size).min();
        tightest.map(|room| *room -= size).is_some()
    })
}

proptest! {
    #[test]
    fn a_sweep_answers_as_the_rule_and_recovery_finds_what_it_found(
        problem in pools(MEMORY),
        order in prop::collection::vec(0usize..32, 1..40),
    ) {
        let field = Field::new(&problem);
        let hosts = field.targets();
        let mut sweep = Sweep::new(&field, &hosts).expect("memory is all that counts");
        // In any order: what one set leaves behind must not speak for the next one.
        for set in order {
            let set: Vec<usize> = (0..hosts.len()).filter(|at| set & (1 << at) != 0).collect();
            let failed: Vec<usize> = set.iter().map(|at| hosts[*at]).collect();
            let placed = sweep.places(&set, &mut Meter::new(1_000)).unwrap();
            prop_assert_eq!(placed, by_the_rule(&problem, &failed), "{:?}", failed);
            prop_assert!(!placed || place(&problem, &failed).is_ok(), "{:?}", failed);
        }
    }

    #[test]
    fn a_sweep_is_not_asked_where_more_than_memory_decides(problem in pools(EVERYTHING)) {
        let field = Field::new(&problem);
        let limited = |host: &Host| host.enabled && (host.vcpus.is_some() || host.slots.is_some());
        let enabled = |host: usize| problem.hosts[host].enabled;
        // What is excused may have been left out of the field.
        let tied = |vm: &Vm| {
            let counts = vm.protected && !problem.excuse_doomed && vm.host.is_some_and(enabled);
            counts && vm.allowed.is_some()
        };
        let chooses = |vm: &Vm| vm.group.is_some() || tied(vm);
        let decides = problem.hosts.iter().any(limited) || problem.vms.iter().any(chooses);
        prop_assert!(!decides || Sweep::new(&field, &field.targets()).is_none());
    }
}

#[test]
fn a_sweep_ends_with_its_steps() {
    let hosts = vec![host(0), host(9), host(9)];
    let problem = Problem { hosts, vms: vec![vm(5, Some(0)); 2], ..Problem::default() };
    let field = Field::new(&problem);
    let mut sweep = Sweep::new(&field, &field.targets()).unwrap();
    assert_eq!(sweep.places(&[0], &mut Meter::new(1)), None);
    assert_eq!(sweep.places(&[0], &mut Meter::new(9)), Some(true));
    assert_eq!(sweep.places(&[0, 1], &mut Meter::new(9)), Some(false));
}
