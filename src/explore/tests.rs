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
        let setup = Setup { depth: 200, ..setup };
        let outcome = explore(&setup, 50_000);
        println!("{moves} {} {} {}", outcome.states, outcome.depth, outcome.complete);
        assert_eq!(outcome.violation, None, "{moves}");
    }
}
