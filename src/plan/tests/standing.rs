//! A pool that changed is answered as the same pool from scratch.

use proptest::prelude::*;

use super::checked;
use super::pools::{EVERYTHING, With, pools};
use crate::plan::*;

fn changes(hosts: usize, vms: usize) -> impl Strategy<Value = Change> {
    let host = 0..hosts;
    let vm = 0..vms.max(1);
    prop_oneof![
        4 => (vm.clone(), prop::option::weighted(0.85, host.clone()))
            .prop_map(|(vm, host)| Change::Runs(vm, host)),
        3 => (vm.clone(), 1u64..7, 0u64..4).prop_map(|(vm, m, c)| Change::Resized(vm, m, c)),
        2 => (vm, any::<bool>()).prop_map(|(vm, on)| Change::Protected(vm, on)),
        1 => (host.clone(), any::<bool>()).prop_map(|(host, on)| Change::Enabled(host, on)),
        1 => host.prop_map(Change::Lost),
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
            standing.what_if(&[change.clone(), Change::Enabled(0, false), Change::Lost(0)]);
            prop_assert_eq!(standing.problem(), &before);
            standing.change(&change);
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
            standing.change(&change);
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
fn a_start_beyond_the_room_takes_nothing_for_good() {
    let host = Host { free: 4, enabled: true, ..Host::default() };
    let hosts = vec![host.clone(), host];
    let vms = vec![Vm { memory: 9, ..Vm::default() }];
    let problem = Problem { hosts, vms, ..Problem::default() };
    let mut standing = Standing::new(problem.clone(), 1, Budget::default());
    standing.change(&Change::Runs(0, Some(1)));
    assert_eq!(standing.problem().hosts[1].free, 0);
    standing.change(&Change::Runs(0, None));
    assert_eq!(standing.problem(), &problem);
}
