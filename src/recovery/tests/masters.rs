//! What outlives a master, and what the pool's settings change.

use super::*;

#[test]
fn s55_a_new_master_goes_on_backing_off_from_a_crash_loop() {
    let mut world = world();
    world.protected(1, 'a');
    for _ in 0..4 {
        world.ends(1, End::Crash);
        if world.starts.is_empty() {
            world.wake();
        }
        assert_eq!(world.starts(), [1]);
        world.up(1);
    }
    assert_eq!(world.told(), [(FAILED, "crash loop".to_owned())]);
    world.ends(1, End::Crash);
    world.recovery = Recovery::default();
    world.event(Event::Tick);
    assert_eq!(world.starts(), [], "a new master knows of the loop");
    assert_eq!(world.wake(), 120 * SECOND);
    assert_eq!(world.starts(), [1]);
    world.up(1);
    world.recovery = Recovery::default();
    world.ends(1, End::Crash);
    assert_eq!(world.wake(), 120 * SECOND);
    assert_eq!(world.starts(), [1]);
    assert_eq!(world.told(), [], "it was told before");
    world.up(1);
    world.later(121 * SECOND);
    assert!(world.row(1).tries.is_empty(), "what runs for long is healthy");
}

#[test]
fn s55_an_end_that_only_the_rows_tell_of_counts_as_well() {
    let mut world = world();
    world.protected(1, 'a');
    let mut waits = Vec::new();
    for _ in 0..4 {
        let row = world.row(1);
        (row.power, row.residence) = (Power::Halted, None);
        world.event(Event::Tick);
        if world.starts.is_empty() {
            waits.push(world.wake().as_secs());
        }
        assert_eq!(world.starts(), [1]);
        world.up(1);
    }
    assert_eq!(waits, [5, 30, 120]);
}

#[test]
fn s54_a_stop_by_a_user_is_no_crash() {
    let mut world = world();
    world.protected(1, 'a');
    for _ in 0..5 {
        world.ends(1, End::Crash);
        if world.starts.is_empty() {
            world.wake();
        }
        world.starts();
        world.up(1);
    }
    let row = world.row(1);
    (row.power, row.residence, row.always_run) = (Power::Halted, None, false);
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    world.row(1).always_run = true;
    world.event(Event::Tick);
    assert_eq!(world.starts(), [1], "the user wants it again: nothing counts of what was");
}

#[test]
fn s57_a_new_master_does_not_tell_again_and_begins_behind_what_was_attempted() {
    let mut world = world();
    world.protected(1, 'c');
    world.protected(2, 'c').order = 1;
    world.dies('c');
    world.fail(1, "VDI_NOT_AVAILABLE");
    world.fail(1, "VDI_NOT_AVAILABLE");
    assert_eq!(world.told()[1..], [(FAILED, "VDI_NOT_AVAILABLE".to_owned())]);
    assert_eq!(world.row(1).tries.rounds, 1);
    let row = world.row(2);
    (row.power, row.residence, row.intent) = (Power::Halted, None, None);
    world.starts();
    world.recovery = Recovery::default();
    world.event(Event::Tick);
    assert_eq!(world.starts(), [1, 2], "order 1 does not wait for what was attempted");
    world.up(2);
    world.fail(1, "VDI_NOT_AVAILABLE");
    world.fail(1, "VDI_NOT_AVAILABLE");
    assert_eq!(world.told(), []);
    assert_eq!(world.wake(), 30 * SECOND, "the second wait");
}

#[test]
fn s56_a_new_master_tries_the_other_host_first() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    let (_, first) = world.starts.pop().unwrap();
    let cause = "SR_BACKEND_FAILURE".to_owned();
    let run = world.row(1).run;
    let failed = Event::Started { vm: id(1), run, result: StartResult::Failed(cause) };
    for action in world.recovery.step(world.now, &world.pool.clone(), failed) {
        if !matches!(action, Action::Start { .. }) {
            world.apply(action);
        }
    }
    world.recovery = Recovery::default();
    world.event(Event::Tick);
    assert!(world.starts.pop().is_some_and(|(_, second)| second != first));
}

#[test]
fn s53_a_vm_may_differ_from_its_pool() {
    let mut world = world();
    world.protected(1, 'a').restart_after_guest_shutdown = Some(false);
    world.ends(1, End::GuestShutdown);
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    assert!(!world.row(1).always_run);
    world.pool.restart_after_guest_shutdown = false;
    world.protected(2, 'a').restart_after_guest_shutdown = Some(true);
    world.ends(2, End::GuestShutdown);
    assert_eq!(world.run_on(), [2]);
}

#[test]
fn s61_the_pool_limits_starts_in_flight() {
    let mut world = world();
    world.pool.limits = Limits { starts_per_host: 2, starts_per_pool: 3, attempts: 1 };
    for vm in 0..6 {
        world.protected(vm, 'c');
    }
    world.dies('c');
    let first = world.starts();
    assert_eq!(first.len(), 3);
    world.up(first[0]);
    assert_eq!(world.starts().len(), 1);
}

#[test]
fn s65_the_pool_may_want_more_attempts_for_best_effort() {
    let mut world = world();
    world.pool.limits.attempts = 3;
    world.vm(1, 'c', Priority::BestEffort);
    world.dies('c');
    let mut attempts = 0;
    for _ in 0..10 {
        if world.starts() == [1] {
            attempts += 1;
            world.fail(1, "VM_BAD");
        }
        world.later(121 * SECOND);
    }
    assert_eq!((attempts, world.row(1).loss), (3, Loss::No));
}

#[test]
fn s65_attempts_without_room_are_spread_over_time() {
    let mut world = world();
    world.pool.limits.attempts = 2;
    world.vm(1, 'c', Priority::BestEffort).memory = 9;
    world.dies('c');
    assert_eq!((world.notes, world.row(1).loss), (1, Loss::Owed(1)));
    world.host('a').capacity = 20;
    world.wake();
    assert_eq!(world.starts(), [1]);
}

#[test]
fn s69_what_was_promised_before_the_failure_counts() {
    let mut world = world();
    world.protected(1, 'c');
    world.host('c').live = false;
    world.event(Event::View { failed: vec![host_id('c')] });
    // The plan of the two hosts that are left promises nothing any more.
    world.pool.tolerance = 0;
    world.pool.dead.insert(boot('c'));
    world.event(Event::Tick);
    assert_eq!((world.starts(), world.row(1).loss), (vec![1], Loss::No));
    assert_eq!(world.told(), [("HA_HOST_FAILED", String::new())]);
    // The next failure is one too many, and the alert says what follows from it.
    world.up(1);
    let at = world.row(1).residence.clone().unwrap();
    let name = if at.host == host_id('a') { 'a' } else { 'b' };
    world.dies(name);
    let told = world.told();
    assert_eq!(told[1].0, "HA_POOL_OVERCOMMITTED");
    assert!(told[1].1.contains("best-effort"), "{}", told[1].1);
    assert_eq!(world.row(1).loss, Loss::Spent);
}

#[test]
fn s62_a_new_master_waits_for_a_start_delay_that_runs() {
    let mut world = world();
    world.protected(1, 'c').start_delay = 60 * SECOND;
    world.protected(2, 'c').order = 1;
    world.vm(3, 'c', Priority::BestEffort);
    world.dies('c');
    assert_eq!(world.starts(), [1]);
    world.up(1);
    assert!(world.row(1).tries.delays);
    world.later(20 * SECOND);
    world.recovery = Recovery::default();
    world.event(Event::Tick);
    assert_eq!(world.starts(), [], "order 1 comes after the delay of order 0");
    assert_eq!(world.wake(), 60 * SECOND, "what is left of it nobody knows");
    assert_eq!(world.run_on(), [2, 3]);
    assert!(world.row(1).tries.is_empty(), "the delay is over");
    // A later master finds nothing to wait for.
    world.recovery = Recovery::default();
    world.ends(2, End::Crash);
    assert_eq!(world.starts(), [2]);
}

#[test]
fn s62_a_start_that_ends_under_the_next_master_delays_the_later_ones() {
    let mut world = world();
    world.protected(1, 'c').start_delay = 60 * SECOND;
    world.protected(2, 'c').order = 1;
    world.dies('c');
    let (_, host) = world.starts.pop().unwrap();
    world.recovery = Recovery::default();
    world.row(1).intent.as_mut().unwrap().ours = false;
    let begun = world.now;
    world.event(Event::Scanned { at: boot(host), begun, found: vec![id(1)] });
    assert_eq!(world.starts(), []);
    assert_eq!(world.wake(), 60 * SECOND);
    assert_eq!(world.run_on(), [2]);
}

#[test]
fn what_was_promised_before_a_failure_outlives_the_master_that_saw_it() {
    let mut world = world();
    world.protected(1, 'c');
    world.host('c').live = false;
    world.event(Event::View { failed: vec![host_id('c')] });
    // The pool promises nothing any more, and a new master judges the death.
    world.pool.tolerance = 0;
    world.recovery = Recovery::default();
    world.dies('c');
    assert_eq!(world.starts(), [1]);
    world.fail(1, "VM_BAD");
    world.later(HOUR);
    assert_eq!(world.starts(), [1], "it was guaranteed, so it is tried again");
}
