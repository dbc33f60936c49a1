//! A pool that changed is answered as the same pool from scratch.

use proptest::prelude::*;

use super::checked;
use super::pools::{EVERYTHING, With, host, pools, vm};
use crate::plan::*;

/// Few hosts at a time become others; of VMs mostly the place changes.
fn changes(hosts: usize, vms: usize) -> impl Strategy<Value = Change> {
    let (at, other) = (0..vms.max(1), vm(hosts));
    prop_oneof![
        2 => (0..hosts, host()).prop_map(|(at, host)| Change::Host(at, host)),
        5 => (at, other).prop_map(|(at, vm)| Change::Vm(at, vm)),
    ]
}

fn histories(with: With) -> impl Strategy<Value = (Problem, Vec<Change>)> {
    pools(with).prop_flat_map(|problem| {
        let most = if problem.vms.is_empty() { 0 } else { 12 };
        let changes = changes(problem.hosts.len(), problem.vms.len());
        (Just(problem), prop::collection::vec(changes, 0..=most))
    })
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Yes { .. } => "yes",
        Outcome::No(_) => "no",
        Outcome::NotProved { .. } => "not proved",
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn changes_are_answered_as_from_scratch(
        (problem, changes) in histories(EVERYTHING),
        r in 0usize..4,
    ) {
        let mut standing = Standing::new(problem, r, Budget::default());
        for change in changes {
            let foretold = standing.what_if(std::slice::from_ref(&change));
            let before = standing.problem().clone();
            let closed = Host { enabled: false, ..before.hosts[0].clone() };
            let both = [change.clone(), Change::Host(0, closed)];
            let mut after = before.clone();
            both.iter().for_each(|change| drop(after.set(change.clone())));
            let scratch = tolerates(&after, r, &Budget::default());
            prop_assert_eq!(kind(&standing.what_if(&both)), kind(&scratch));
            prop_assert_eq!(standing.problem(), &before);
            standing.change(change);
            let now = standing.answer();
            let scratch = tolerates(standing.problem(), r, &Budget::default());
            prop_assert_eq!(kind(&now), kind(&scratch), "{:?}", standing.problem());
            prop_assert_eq!(kind(&foretold), kind(&scratch));
        }
    }

    #[test]
    fn its_certificates_are_certificates(
        (problem, changes) in histories(With { halted: false, excuses: false, ..EVERYTHING }),
        r in 1usize..3,
    ) {
        let mut standing = Standing::new(problem, r, Budget::default());
        for change in changes {
            standing.change(change);
            if let Outcome::Yes { certificate, starts, .. } = standing.answer()
                && certificate.open.is_empty()
            {
                let checked = checked(standing.problem(), r, &starts, &certificate);
                prop_assert_eq!(checked, Ok(()));
            }
        }
    }
}

#[test]
fn a_vm_that_runs_elsewhere_gives_back_what_it_took() {
    let host = Host { free: 4, enabled: true, ..Host::default() };
    let full = Host { free: 0, ..host.clone() };
    let vms = vec![Vm { memory: 3, host: Some(0), ..Vm::default() }];
    let mut problem = Problem { hosts: vec![full, host], vms, ..Problem::default() };
    let free = |problem: &Problem| problem.hosts.iter().map(|it| it.free).collect::<Vec<_>>();
    for (to, left) in [(1, [3, 1]), (1, [3, 1]), (0, [0, 4])] {
        problem.run(0, to).into_iter().for_each(|change| drop(problem.set(change)));
        assert_eq!((problem.vms[0].host, &free(&problem)[..]), (Some(to), &left[..]));
    }
}
