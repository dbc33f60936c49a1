//! Numbers that no pool has do no harm.

use proptest::prelude::*;

use super::checked;
use super::pools::{EVERYTHING, pools};
use crate::plan::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX / 2), any::<u64>(), 0u64..9]
}

fn wild() -> impl Strategy<Value = Problem> {
    let numbers = prop::collection::vec(number(), 32);
    (pools(EVERYTHING), numbers).prop_map(|(mut problem, numbers)| {
        let mut numbers = numbers.into_iter().cycle();
        let mut next = || numbers.next().unwrap_or(0);
        for host in &mut problem.hosts {
            host.free = next();
            host.vcpus = host.vcpus.map(|_| next());
            host.slots = host.slots.map(|_| next());
        }
        for vm in &mut problem.vms {
            (vm.memory, vm.vcpus) = (next(), next());
            // Also a host that is not there.
            vm.host = vm.host.map(|host| if next() == 1 { 99 } else { host });
        }
        problem
    })
}

/// `XE_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("XE_CASES").ok().and_then(|word| word.parse().ok()).unwrap_or(1_000)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn every_question_has_an_answer(problem in wild(), r in 0usize..4) {
        let budget = Budget::steps(1_000_000);
        let verdict = max_failures(&problem, &budget);
        prop_assert!(verdict.max_one_by_one <= verdict.max);
        match certify(&problem, r, &budget) {
            Outcome::Yes { certificate, starts, .. } => {
                // Near the end of the numbers the checker may refuse what is true.
                _ = checked(&problem, r, &starts, &certificate);
            }
            Outcome::No(Some(breaking)) => {
                prop_assert!(check::no(&problem, &breaking).is_ok());
            }
            Outcome::No(None) | Outcome::NotProved { .. } => {}
        }
        let all: Vec<usize> = (0..problem.vms.len()).collect();
        let placement = place_ahead(&problem, &[0], &all, 1);
        prop_assert_eq!(placement.placed.len() + placement.left.len(), all.len());
        let mut standing = Standing::new(problem.clone(), r, budget);
        standing.answer();
        for vm in all {
            standing.what_if(&problem.run(vm, 0));
            prop_assert_eq!(standing.problem(), &problem);
        }
    }
}
