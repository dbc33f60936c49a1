//! The checker agrees with every certificate, and with none that was tampered with.

use proptest::prelude::*;

use super::checked;
use super::pools::{EVERYTHING, With, pools};
use crate::plan::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_checker_follows_every_answer(problem in pools(EVERYTHING), r in 0usize..4) {
        match certify(&problem, r, &Budget::default()) {
            Outcome::Yes { certificate, starts, .. } => {
                prop_assert_eq!(checked(&problem, r, &starts, &certificate), Ok(()));
                // With limits the checker may see by a bound what the planner had to pack.
                let limits = problem.hosts.iter().any(|h| h.vcpus.is_some() || h.slots.is_some());
                for at in (0..certificate.plans.len()).filter(|_| !limits) {
                    let mut less = certificate.clone();
                    less.plans.remove(at);
                    prop_assert!(checked(&problem, r, &starts, &less).is_err());
                }
            }
            Outcome::No(Some(breaking)) => {
                let checked = check::no(&problem, &breaking);
                prop_assert_eq!(checked, Ok(breaking.why != Why::Exhausted));
            }
            Outcome::No(None) | Outcome::NotProved { .. } => {}
        }
    }

    #[test]
    fn no_bound_speaks_for_a_pool_without_a_plan(
        problem in pools(With { excuses: false, ..EVERYTHING }),
        r in 1usize..4,
        scales in prop::collection::vec([0u64..9, 0u64..9, 0u64..9], 1..4),
        cuts in prop::collection::btree_set(1u64..7, 0..3),
    ) {
        let enough = problem.hosts.iter().filter(|host| host.enabled).count() >= r;
        let outcome = tolerates(&problem, r, &Budget::default());
        if let (Outcome::No(_), true) = (outcome, enough) {
            let cuts: Vec<u64> = [0].into_iter().chain(cuts).chain([7]).collect();
            let range = |(cut, scale): (&[u64], &[u64; 3])| {
                let like = 0..problem.vms.len();
                let sizes = (cut[0], cut[1] - 1);
                let bound = |like| ClassBound { sizes, like, scale: *scale, worst: 0, limit: 1 };
                like.map(bound).collect::<Vec<_>>()
            };
            let each = |cut| scales.iter().map(move |scale| (cut, scale));
            let bounds = cuts.windows(2).flat_map(each).flat_map(range).collect();
            let starts = max_failures(&problem, &Budget::default()).starts;
            let certificate = Certificate { bounds, ..Certificate::default() };
            prop_assert!(checked(&problem, r, &starts, &certificate).is_err());
        }
    }

    #[test]
    fn what_is_true_of_no_pool_is_not_believed(problem in pools(EVERYTHING), r in 1usize..3) {
        // A certificate for the pool without load says nothing about the pool with it.
        let mut empty = problem.clone();
        empty.vms.iter_mut().for_each(|vm| vm.protected = false);
        if let Outcome::Yes { certificate, starts, .. } = certify(&empty, r, &Budget::default()) {
            let any = problem.vms.iter().any(|vm| vm.protected);
            let refused = checked(&problem, r, &starts, &certificate).is_err();
            prop_assert!(refused == any || problem.excuse_doomed);
        }
    }
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let host = |free| Host { free, enabled: true, ..Host::default() };
    let vm = |memory| Vm { memory, host: Some(0), protected: true, ..Vm::default() };
    let hosts = vec![host(0), host(60), host(60), host(61)];
    let vms = [31, 30, 29, 31, 30, 30].map(vm).to_vec();
    let problem = Problem { hosts, vms, ..Problem::default() };
    let Outcome::Yes { certificate, starts, .. } = certify(&problem, 1, &Budget::default()) else {
        panic!("two VMs fill each host");
    };
    assert_eq!(checked(&problem, 1, &starts, &certificate), Ok(()));
    assert_eq!(certificate.plans.len(), 1);
    let mut wrong = certificate;
    let first = wrong.plans[0].placed[0].1;
    wrong.plans[0].placed.iter_mut().for_each(|(_, host)| *host = first);
    assert_eq!(checked(&problem, 1, &starts, &wrong), Err(vec![0]));
}
