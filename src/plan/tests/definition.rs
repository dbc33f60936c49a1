//! The planner against the definitions, on thousands of random small pools.

use proptest::prelude::*;

use super::brute;
use super::pools::{EVERYTHING, With, pools};
use crate::plan::*;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Every VM of `wanted` stands where it may, within what is left.
fn check(after: &Problem, wanted: &[usize], placed: &[(usize, usize)]) {
    let mut after = after.clone();
    let mut vms: Vec<usize> = placed.iter().map(|(vm, _)| *vm).collect();
    vms.sort_unstable();
    assert_eq!(vms, wanted);
    for (vm, host) in placed {
        assert!(brute::takes(&after, *vm, *host), "{vm} on {host} of {after:?}");
        brute::start(&mut after, *vm, *host);
    }
}

proptest! {
    #![proptest_config(config(2_500))]

    #[test]
    fn the_verdict_is_the_definition(problem in pools(EVERYTHING)) {
        let verdict = max_failures(&problem, &Budget::default());
        prop_assert!(verdict.proved);
        prop_assert_eq!(verdict.startable, brute::tolerates(&problem, 0));
        if verdict.startable {
            prop_assert!(brute::tolerates(&problem, verdict.max));
        }
        let enabled = problem.hosts.iter().filter(|host| host.enabled).count();
        let next = verdict.max + usize::from(verdict.startable);
        prop_assert!(next > enabled || !brute::tolerates(&problem, next));
        if let Some(breaking) = &verdict.counterexample {
            prop_assert_eq!(breaking.hosts.len(), next);
            prop_assert!(!brute::survives(&problem, &breaking.hosts));
        }
        let excused = Problem { excuse_doomed: true, ..problem.clone() };
        if verdict.doomed.is_empty() {
            prop_assert_eq!(verdict.max_of_savable, verdict.max);
        } else if verdict.max_of_savable > verdict.max {
            prop_assert!(brute::tolerates(&excused, verdict.max_of_savable));
        }
    }

    #[test]
    fn what_is_known_of_sequences_is_true(
        problem in pools(With { halted: false, excuses: false, ..EVERYTHING }),
    ) {
        let verdict = max_failures(&problem, &Budget::default());
        prop_assert!(verdict.max_one_by_one <= verdict.max);
        let kept = verdict.max_one_by_one == verdict.max;
        prop_assert_eq!(kept, verdict.one_by_one == Sequences::Kept);
        prop_assert_eq!(stuck(&problem, verdict.max_one_by_one, &mut Vec::new()), None);
    }

    #[test]
    fn each_number_is_answered_as_defined(problem in pools(EVERYTHING), r in 0usize..4) {
        let truth = brute::tolerates(&problem, r);
        match tolerates(&problem, r, &Budget::default()) {
            Outcome::Yes { starts, .. } => {
                prop_assert!(truth);
                let mut after = problem.clone();
                for (vm, host) in starts {
                    prop_assert!(brute::takes(&after, vm, host));
                    brute::start(&mut after, vm, host);
                }
                for set in brute::sets(&after, r) {
                    prop_assert!(brute::survives(&after, &set));
                }
            }
            Outcome::No(_) => prop_assert!(!truth),
            Outcome::NotProved { .. } => prop_assert!(false, "a small pool was given up"),
        }
    }

    #[test]
    fn recovery_places_what_was_promised(
        problem in pools(With { halted: false, excuses: false, ..EVERYTHING }),
        r in 1usize..4,
    ) {
        let promised = matches!(tolerates(&problem, r, &Budget::default()), Outcome::Yes { .. });
        for set in brute::sets(&problem, r) {
            let (after, wanted) = brute::without(&problem, &set);
            match place(&problem, &set) {
                Ok(placed) => check(&after, &wanted, &placed),
                Err(vm) => {
                    prop_assert!(!promised && wanted.contains(&vm));
                    prop_assert!(!brute::survives(&problem, &set));
                }
            }
        }
    }

    #[test]
    fn a_sequence_is_what_recovery_would_do(
        problem in pools(With { halted: false, excuses: false, ..EVERYTHING }),
        r in 1usize..4,
    ) {
        match one_by_one(&problem, r, &Budget::default()) {
            Sequences::Kept => prop_assert_eq!(stuck(&problem, r, &mut Vec::new()), None),
            Sequences::Breaks { hosts, vm } => {
                let mut now = problem;
                let (last, before) = hosts.split_last().unwrap();
                for host in before {
                    let placed = place(&now, &[*host]).unwrap();
                    now = fail(&now, *host, placed);
                }
                prop_assert_eq!(place(&now, &[*last]), Err(vm));
            }
            Sequences::NotProved => {
                let outcome = tolerates(&problem, r, &Budget::default());
                let yes = matches!(outcome, Outcome::Yes { .. });
                prop_assert!(!yes);
            }
        }
    }
}

/// The pool after a host failed and its VMs went there.
fn fail(problem: &Problem, host: usize, placed: Vec<(usize, usize)>) -> Problem {
    let mut after = problem.clone();
    after.hosts[host].enabled = false;
    // A VM that is not restarted is gone.
    after.vms.iter_mut().filter(|vm| vm.host == Some(host)).for_each(|vm| vm.host = None);
    placed.into_iter().for_each(|(vm, to)| brute::start(&mut after, vm, to));
    after
}

/// An order of failures in which a VM is left, though recovery looks ahead.
fn stuck(problem: &Problem, r: usize, dead: &mut Vec<usize>) -> Option<Vec<usize>> {
    if r == 0 {
        return None;
    }
    for host in (0..problem.hosts.len()).filter(|host| problem.hosts[*host].enabled) {
        dead.push(host);
        let wanted = brute::without(problem, &[host]).1;
        let placement = place_ahead(problem, &[host], &wanted, r - 1);
        if !placement.left.is_empty() {
            return Some(dead.clone());
        }
        if let Some(order) = stuck(&fail(problem, host, placement.placed), r - 1, dead) {
            return Some(order);
        }
        dead.pop();
    }
    None
}
