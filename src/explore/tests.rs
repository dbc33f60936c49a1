//! Tests of the explorer.

use super::action::Action;
use super::same::fingerprint;
use super::search::explore;
use super::setup::{Budget, Moves, Order, Setup};

/// A pool with one kind of fault and nothing else.
fn only(name: &str, moves: Moves) -> Setup {
    let budget = Budget { faults: 1, boots: 0, slow: 0 };
    Setup { moves, budget, ..Setup::named(name).unwrap() }
}

#[test]
fn a_healthy_pool_is_the_same_in_every_tick_and_after_every_fault_that_left_no_trace() {
    let setup = Setup::named("three").unwrap();
    let mut state = setup.begin().unwrap();
    let same = |state: &super::state::State| fingerprint(&setup, state);
    let first = same(&state);
    state.perform(&setup, Action::Go);
    assert_eq!(same(&state), first);
    state.perform(&setup, Action::LinkCut(0, 1));
    assert_ne!(same(&state), first);
    state.perform(&setup, Action::Go);
    state.perform(&setup, Action::LinkHeal(0, 1));
    assert_ne!(same(&state), first, "a packet is missing");
    for _ in 0..60 {
        state.perform(&setup, Action::Go);
    }
    assert_eq!(same(&state), first);
}

#[test]
fn two_ways_to_the_same_situation_merge() {
    let setup = Setup { order: Order::Free, ..Setup::named("two").unwrap() };
    let begin = setup.begin().unwrap();
    let after = |actions: &[Action]| {
        let mut state = begin.clone();
        actions.iter().for_each(|action| state.perform(&setup, *action));
        fingerprint(&setup, &state)
    };
    // Nobody reads between the two writes, so their order is all the same.
    let beats = [Action::Go, Action::Step(0), Action::Step(1)];
    let with = |rest: [Action; 2]| after(&[&beats[..], &rest].concat());
    let (one, other) = (Action::Step(0), Action::Step(1));
    assert_eq!(with([one, other]), with([other, one]));
    // A read before the other's write sees less.
    let early = [one, one, other];
    let late = [one, other, one];
    assert_ne!(after(&[&beats[..], &early].concat()), after(&[&beats[..], &late].concat()));
}

#[test]
fn every_single_fault_is_explored_to_the_end() {
    for moves in ["crash", "pause", "net", "link", "disk", "all", "late", "packet"] {
        let setup = only("three", Moves::named(moves).unwrap());
        let outcome = explore(&setup, 50_000);
        assert_eq!(outcome.violation, None, "{moves}");
        assert!(outcome.complete, "{moves}: {} states", outcome.states);
        assert!(outcome.states > 40, "{moves}: {} states", outcome.states);
    }
}

#[test]
fn the_reads_and_writes_of_two_hosts_are_explored_in_every_order() {
    let setup = only("two", Moves { crash: true, ..Moves::default() });
    let none = Setup { budget: Budget::default(), ..setup.clone() };
    let (lockstep, free) = (Setup { order: Order::Lockstep, ..none.clone() }, none);
    let (few, many) = (explore(&lockstep, 50_000), explore(&free, 50_000));
    assert!(few.complete && many.complete);
    assert!(many.states > 20 * few.states, "{} and {}", few.states, many.states);
    assert_eq!(many.violation, None);
}

#[test]
fn a_search_that_is_cut_says_so() {
    let setup = only("three", Moves::ALL);
    assert!(!explore(&setup, 50).complete);
    assert!(!explore(&Setup { depth: 3, ..setup }, 50_000).complete);
}

#[cfg(feature = "wrong-variants")]
#[test]
fn broken_rules_are_caught_with_a_trace_that_can_be_read() {
    use crate::heartbeat::variant::Variant;
    for (variant, moves, why) in [
        (Variant::EvidenceByReception, "net", "sets its watchdog"),
        (Variant::RenewsWithoutDisk, "disk", "sets its watchdog"),
        (Variant::ExcludedRenews, "net", "dead while it runs"),
        (Variant::TombstoneFirst, "net", "dead while it runs"),
        (Variant::ReadBeforeDeadline, "pause", "dead while it runs"),
        (Variant::ActsBesideOldMaster, "net", "two masters"),
    ] {
        let setup = only("three", Moves::named(moves).unwrap());
        let setup = Setup { variant: Some(variant), ..setup };
        let (found, actions) = explore(&setup, 50_000).violation.unwrap();
        assert!(found.contains(why), "{}: {found}", variant.word());
        let lines = super::trace::lines(&setup, &actions);
        assert_eq!(lines.last(), Some(&format!("violation: {found}")), "{}", variant.word());
        assert!(lines.iter().any(|line| line.starts_with("tick   0: ")), "{lines:?}");
    }
}

#[test]
fn a_pool_in_network_mode_comes_to_rest_beside_a_host_that_waits() {
    let setup = Setup::named("lone-member").unwrap();
    let mut state = setup.begin().unwrap();
    state.perform(&setup, Action::DiskHeal(0, 0));
    state.perform(&setup, Action::NetHeal(2));
    let mut met = std::collections::HashSet::new();
    let mut turns = 0;
    while met.insert(fingerprint(&setup, &state)) {
        state.perform(&setup, Action::Go);
        turns += 1;
        assert!(turns < 100, "something goes on for ever");
    }
}
