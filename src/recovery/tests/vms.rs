//! VMs that end, fail, wait.

use super::*;

#[test]
fn s51_a_crashed_vm_is_restarted() {
    let mut world = world();
    world.protected(1, 'a');
    world.ends(1, End::Crash);
    assert_eq!(world.run_on(), [1]);
    assert_eq!(world.told(), []);
}

#[test]
fn s52_a_guest_shutdown_is_restarted_when_the_pool_says_so() {
    let mut world = world();
    world.protected(1, 'a');
    world.ends(1, End::GuestShutdown);
    assert_eq!(world.run_on(), [1]);
}

#[test]
fn s53_a_guest_shutdown_stays_off_when_the_pool_says_so() {
    let mut world = world();
    world.pool.restart_after_guest_shutdown = false;
    world.protected(1, 'a');
    world.ends(1, End::GuestShutdown);
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    assert!(!world.row(1).always_run);
    world.protected(2, 'a');
    world.ends(2, End::Crash);
    assert_eq!(world.run_on(), [2], "a crash is no wish");
}

#[test]
fn s54_a_shutdown_by_api_stays_off() {
    let mut world = world();
    let vm = world.protected(1, 'a');
    (vm.power, vm.residence, vm.always_run) = (Power::Halted, None, false);
    world.event(Event::Changed);
    world.dies('b');
    assert_eq!(world.starts(), []);
}

#[test]
fn s55_a_crash_loop_backs_off_is_told_once_and_never_given_up() {
    let mut world = world();
    world.protected(1, 'a');
    let mut waits = Vec::new();
    for _ in 0..8 {
        world.ends(1, End::Crash);
        if world.starts.is_empty() {
            waits.push(world.wake().as_secs());
        }
        assert_eq!(world.starts(), [1]);
        world.up(1);
        world.now += SECOND;
    }
    assert_eq!(waits, [5, 30, 120, 120, 120, 120, 120]);
    assert_eq!(world.told(), [(FAILED, "crash loop".to_owned())]);
    world.now += HOUR;
    world.ends(1, End::Crash);
    assert_eq!(world.starts(), [1], "a VM that ran for long is restarted at once");
}

#[test]
fn s56_a_vm_that_fails_on_one_host_is_tried_on_another() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    let (vm, first) = world.starts.pop().unwrap();
    world.fail(vm, "SR_BACKEND_FAILURE");
    let (_, second) = world.starts.pop().unwrap();
    assert_ne!(first, second);
    world.up(vm);
    assert_eq!(world.told(), [("HA_HOST_FAILED", String::new())]);
}

#[test]
fn s56_a_change_of_the_pool_ends_the_back_off() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    for _ in 0..2 {
        assert_eq!(world.starts(), [1]);
        world.fail(1, "SR_BACKEND_FAILURE");
    }
    assert_eq!(world.starts(), []);
    world.event(Event::Changed);
    assert_eq!(world.starts(), [1]);
}

#[test]
fn s56_a_host_that_is_enabled_ends_the_back_off() {
    let mut world = world();
    world.protected(1, 'c');
    world.host('b').enabled = false;
    world.dies('c');
    assert_eq!(world.starts(), [1]);
    world.fail(1, "SR_BACKEND_FAILURE");
    assert_eq!(world.starts(), []);
    world.host('b').enabled = true;
    world.event(Event::Tick);
    assert_eq!(world.starts(), [1]);
}

#[test]
fn s57_a_vm_that_fails_everywhere_is_told_once_and_retried_for_ever() {
    let mut world = world();
    world.protected(1, 'c');
    world.protected(2, 'c').order = 1;
    world.dies('c');
    world.told();
    let mut waits = Vec::new();
    for _ in 0..5 {
        for _ in 0..2 {
            assert_eq!(world.starts().first(), Some(&1));
            world.fail(1, "VDI_NOT_AVAILABLE");
        }
        if world.row(2).intent.is_some() {
            world.up(2);
        }
        world.starts();
        waits.push(world.wake().as_secs());
    }
    assert_eq!(waits, [5, 30, 120, 120, 120]);
    assert_eq!(world.told(), [(FAILED, "VDI_NOT_AVAILABLE".to_owned())]);
    assert_eq!(world.row(2).power, Power::Running, "the other VM was not delayed");
}

#[test]
fn s58_a_vm_without_room_waits_and_starts_when_a_host_returns() {
    let mut world = world();
    world.protected(1, 'c').memory = 9;
    world.host('c').capacity = 16;
    world.dies('c');
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    let why = "HOST_NOT_ENOUGH_FREE_MEMORY\nits hosts have too little free memory";
    assert_eq!(world.told()[1..], [(FAILED, why.to_owned())]);
    let c = world.host('c');
    c.boot.boot_id = "2".to_owned();
    c.live = true;
    world.event(Event::Changed);
    assert_eq!(world.run_on(), [1]);
}

#[test]
fn s58_the_alert_of_a_vm_without_room_names_what_is_short() {
    let told = |limit: fn(&mut Host), allowed: Option<BTreeSet<Uuid>>| {
        let mut world = world();
        world.protected(1, 'c').allowed = allowed;
        ['a', 'b'].into_iter().for_each(|name| limit(world.host(name)));
        world.dies('c');
        assert_eq!(world.starts(), []);
        let told = world.told().pop().unwrap();
        assert_eq!(told.0, FAILED);
        told.1
    };
    let vcpus = told(|host| host.vcpus = Some(0), None);
    assert!(vcpus.starts_with("HOST_NOT_ENOUGH_PCPUS\n"), "{vcpus}");
    assert!(vcpus.contains("xe-vcpu-percent"), "{vcpus}");
    let slots = told(|host| host.slots = Some(0), None);
    assert!(
        slots.starts_with("XE_HOST_VM_LIMIT\n") && slots.contains("xe-vms-per-host"),
        "{slots}"
    );
    let nowhere = told(|_| {}, Some([host_id('c')].into()));
    assert!(nowhere.starts_with("NO_HOSTS_AVAILABLE\n"), "{nowhere}");
}

#[test]
fn s60_a_user_may_end_the_waiting() {
    let mut world = world();
    world.protected(1, 'c').memory = 9;
    world.dies('c');
    world.row(1).always_run = false;
    world.host('a').capacity = 20;
    world.event(Event::Changed);
    assert_eq!(world.starts(), []);
}

#[test]
fn s77_an_unanswered_start_leaves_the_vm_unknown_until_its_host_is_scanned() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    let (_, target) = world.starts.pop().unwrap();
    world.result(1, StartResult::Unknown);
    world.row(1).intent.as_mut().unwrap().ours = false;
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    world.scanned(target, &[1]);
    assert_eq!(world.row(1).residence, Some(boot(target)));
}

#[test]
fn s78_templates_never_start() {
    let mut world = world();
    let vm = world.protected(1, 'c');
    (vm.power, vm.residence, vm.template) = (Power::Halted, None, true);
    vm.loss = Loss::Owed(1);
    world.dies('c');
    assert_eq!(world.starts(), []);
}

#[test]
fn restarts_can_be_held_back() {
    let mut world = world();
    world.protected(1, 'c');
    world.pool.hold_until = world.now + 60 * SECOND;
    world.dies('c');
    assert_eq!(world.starts(), []);
    assert_eq!(world.wake(), 60 * SECOND);
    assert_eq!(world.starts(), [1]);
}

#[test]
fn only_changes_for_the_worse_are_told_about_the_plan() {
    let good = PlanStatus { exists_for: 1, overcommitted: false };
    let bad = PlanStatus { exists_for: 0, overcommitted: true };
    let names: Vec<_> = plan_messages(good, bad).iter().map(|m| (m.name, m.priority)).collect();
    assert_eq!(names, [("HA_POOL_OVERCOMMITTED", 3), ("HA_POOL_DROP_IN_PLAN_EXISTS_FOR", 3)]);
    assert_eq!(plan_messages(bad, good), []);
    assert_eq!(plan_messages(bad, bad), []);
}

#[test]
fn vms_that_are_being_moved_take_no_start_from_those_that_wait() {
    let mut world = world();
    let limits = Limits::default();
    world.pool.limits = Limits { starts_per_host: 2, starts_per_pool: 2, ..limits };
    world.host('b').enabled = false;
    // Two moves to the host that is left.
    for vm in [1, 2] {
        let moved = world.vm(vm, 'b', Priority::None);
        moved.intent = Some(Intent { at: boot('a'), run: moved.run, epoch: 1, ours: true });
    }
    for vm in [3, 4, 5] {
        world.protected(vm, 'c');
    }
    world.dies('c');
    assert_eq!(world.starts(), [3, 4], "as many as may start at once");
    world.up(3);
    assert_eq!(world.starts(), [5]);
}

#[test]
fn a_start_that_stands_in_no_row_is_not_made_again_before_its_failure_is_told() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    assert_eq!(world.starts(), [1]);
    // The shell could not write the intent: a move of the VM was under way still.
    let row = world.row(1);
    let run = row.run;
    (row.intent, row.run) = (None, run - 1);
    world.event(Event::Tick);
    assert_eq!(world.starts(), [], "its failure would be taken for that of a second start");
    let failed = StartResult::Failed("another operation is in progress".to_owned());
    world.event(Event::Started { vm: id(1), run, result: failed });
    assert_eq!(world.starts(), [1], "now it is tried again");
}
