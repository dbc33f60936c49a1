//! Hosts that are lost, and the order in which their VMs come back.

use super::*;

#[test]
fn s01_a_lost_host_is_told_and_its_vms_restart() {
    let mut world = world();
    world.protected(1, 'c');
    world.protected(2, 'a');
    world.dies('c');
    assert_eq!(world.told(), [("HA_HOST_FAILED", String::new())]);
    assert_eq!(world.run_on(), [1]);
    assert_ne!(world.row(1).residence, Some(boot('c')));
    assert_eq!(world.row(2).run, 1);
}

#[test]
fn r5_a_host_that_left_but_is_not_dead_yet_keeps_its_vms() {
    let mut world = world();
    world.protected(1, 'c');
    world.host('c').live = false;
    world.event(Event::View { failed: vec![host_id('c')] });
    assert_eq!(world.starts(), []);
    assert_eq!(world.row(1).power, Power::Running);
    world.pool.dead.insert(boot('c'));
    world.event(Event::Tick);
    assert_eq!(world.starts(), [1]);
}

#[test]
fn s39_a_new_master_takes_over_the_pending_recovery() {
    let mut world = world();
    world.protected(1, 'c');
    world.protected(2, 'c');
    world.protected(3, 'a');
    world.host('c').live = false;
    world.event(Event::View { failed: vec![host_id('c')] });
    // Now the master a dies too; b knows the rows and, from its view, both dead boots.
    world.recovery = Recovery::default();
    world.pool.dead.insert(boot('c'));
    world.dies('a');
    let mut started = world.run_on();
    started.sort_unstable();
    assert_eq!(started, [1, 2, 3]);
}

#[test]
fn s40_a_vm_marked_halted_by_the_old_master_starts_exactly_once() {
    let mut world = world();
    let vm = world.protected(1, 'c');
    (vm.power, vm.residence) = (Power::Halted, None);
    let intent = Intent { at: boot('b'), run: 2, epoch: 4, ours: false };
    (vm.intent, vm.run) = (Some(intent.clone()), 2);
    world.pool.dead.insert(boot('c'));
    world.dies('a');
    assert_eq!(world.starts(), [], "the old master's start on b may have happened");
    world.scanned('b', &[1]);
    assert_eq!(world.starts(), []);
    assert_eq!(world.row(1).residence, Some(boot('b')));
    // The same, but b says that nothing runs there.
    let vm = world.row(1);
    (vm.power, vm.residence, vm.intent) = (Power::Halted, None, Some(intent));
    world.scanned('b', &[]);
    assert_eq!(world.run_on(), [1]);
}

#[test]
fn r6_3_vms_without_an_open_intent_are_not_delayed() {
    let mut world = world();
    world.protected(1, 'c');
    let vm = world.protected(2, 'c');
    (vm.power, vm.residence) = (Power::Halted, None);
    vm.intent = Some(Intent { at: boot('b'), run: 2, epoch: 4, ours: false });
    world.dies('c');
    assert_eq!(world.run_on(), [1]);
    world.dies('b');
    assert_eq!(world.run_on(), [2], "b is dead: its intent came to nothing");
}

#[test]
fn s59_an_old_host_that_returns_gets_a_vm_only_from_the_master() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    let (_, target) = world.starts.pop().unwrap();
    let again = Boot { host: host_id('c'), boot_id: "2".to_owned() };
    world.host('c').boot = again.clone();
    world.host('c').live = true;
    world.event(Event::Scanned { at: again, begun: HOUR, found: Vec::new() });
    assert_eq!(world.starts(), [], "the start that is under way stays the only one");
    world.up(1);
    assert_eq!(world.row(1).residence, Some(boot(target)));
}

#[test]
fn s61_orders_follow_each_other_and_starts_per_host_are_limited() {
    let mut world = world();
    world.pool.hosts.iter_mut().for_each(|host| host.capacity = 200);
    for vm in 0..150 {
        world.protected(vm, 'c').order = i64::try_from(vm % 3).unwrap();
    }
    world.protected(150, 'c').order = -1;
    world.dies('c');
    let mut order = Vec::new();
    let mut busy: std::collections::VecDeque<u128> = world.starts().into();
    assert_eq!(busy.len(), 8, "four on each of two hosts");
    while let Some(vm) = busy.pop_front() {
        order.push(world.row(vm).order);
        world.up(vm);
        busy.extend(world.starts());
        assert!(busy.len() <= 8);
    }
    assert_eq!(order.len(), 151);
    assert!(order[..150].is_sorted());
    assert_eq!(order[150], -1, "negative is last");
}

#[test]
fn s62_the_next_order_goes_on_after_a_failed_attempt() {
    let mut world = world();
    world.protected(1, 'c');
    world.protected(2, 'c').order = 1;
    world.dies('c');
    assert_eq!(world.starts(), [1]);
    world.fail(1, "VM_BAD");
    let mut started = world.starts();
    started.sort_unstable();
    assert_eq!(started, [1, 2], "the failed VM is retried beside it");
}

#[test]
fn s63_a_start_delay_holds_the_next_order_only() {
    let mut world = world();
    world.protected(1, 'c').start_delay = 30 * SECOND;
    world.protected(2, 'c');
    world.protected(3, 'c').order = 1;
    world.dies('c');
    assert_eq!(world.starts(), [1, 2]);
    world.up(1);
    world.up(2);
    assert_eq!(world.starts(), []);
    assert_eq!(world.wake(), 30 * SECOND);
    assert_eq!(world.starts(), [3]);
}

#[test]
fn s64_best_effort_starts_after_all_protected_ones() {
    let mut world = world();
    world.vm(1, 'c', Priority::BestEffort);
    world.protected(2, 'c').order = 7;
    world.dies('c');
    assert_eq!(world.starts(), [2]);
    world.up(2);
    assert_eq!(world.starts(), [1]);
}

#[test]
fn s65_best_effort_gets_one_attempt() {
    let mut world = world();
    world.vm(1, 'c', Priority::BestEffort);
    world.vm(2, 'c', Priority::BestEffort).memory = 9;
    world.dies('c');
    assert_eq!(world.starts(), [1]);
    assert_eq!(world.notes, 1, "no room for the other");
    world.fail(1, "VM_BAD");
    world.host('a').capacity = 20;
    world.event(Event::Changed);
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    assert_eq!(world.told().len(), 1, "only the host was news");
}

#[test]
fn s66_best_effort_is_not_restarted_while_its_host_lives() {
    let mut world = world();
    world.vm(1, 'c', Priority::BestEffort);
    world.ends(1, End::Crash);
    world.later(HOUR);
    assert_eq!(world.starts(), []);
}

#[test]
fn s67_best_effort_on_a_local_disk_starts_when_its_host_returns() {
    let mut world = world();
    world.vm(1, 'c', Priority::BestEffort).allowed = Some([host_id('c')].into());
    world.dies('c');
    world.later(HOUR);
    assert_eq!((world.starts(), world.notes), (vec![], 0));
    world.host('c').boot.boot_id = "2".to_owned();
    world.host('c').live = true;
    world.event(Event::Changed);
    assert_eq!(world.starts, [(1, 'c')]);
}

#[test]
fn s68_an_unprotected_vm_is_marked_halted_and_left() {
    let mut world = world();
    world.vm(1, 'c', Priority::None);
    world.dies('c');
    world.later(HOUR);
    assert_eq!(world.starts(), []);
    assert_eq!(world.row(1).power, Power::Halted);
}

#[test]
fn s69_with_nothing_tolerated_protected_vms_behave_as_best_effort() {
    let mut world = world();
    world.pool.tolerance = 0;
    world.protected(1, 'c');
    world.dies('c');
    assert_eq!(world.told()[1].0, "HA_POOL_OVERCOMMITTED");
    assert_eq!(world.starts(), [1]);
    world.fail(1, "VM_BAD");
    world.event(Event::Changed);
    world.later(HOUR);
    assert_eq!(world.starts(), [], "one attempt");
    world.pool.tolerance = 1;
    world.event(Event::Changed);
    assert_eq!(world.starts(), [1], "guaranteed again");
}

#[test]
fn s69_one_that_has_no_room_is_told_of_and_keeps_its_attempt_until_there_is_some() {
    let mut world = world();
    world.pool.tolerance = 0;
    world.vm(2, 'a', Priority::None).memory = 8;
    world.vm(3, 'b', Priority::None).memory = 8;
    world.protected(1, 'c');
    world.dies('c');
    assert_eq!(world.starts(), []);
    assert!(world.told().iter().any(|told| told.0 == "HA_PROTECTED_VM_RESTART_FAILED"));
    world.row(2).power = Power::Halted;
    world.row(2).residence = None;
    world.event(Event::Changed);
    assert_eq!(world.starts(), [1]);
}

#[test]
fn s70_nothing_running_makes_room() {
    let mut world = world();
    world.vm(1, 'a', Priority::None).memory = 8;
    world.vm(2, 'b', Priority::None).memory = 8;
    world.protected(3, 'c');
    world.dies('c');
    assert_eq!(world.starts(), []);
    assert!([1, 2].into_iter().all(|vm| world.row(vm).power == Power::Running));
}

#[test]
fn s71_paused_counts_as_running_and_suspended_is_left() {
    let mut world = world();
    world.protected(1, 'c').power = Power::Paused;
    world.protected(2, 'c').power = Power::Suspended;
    world.row(2).residence = None;
    world.dies('c');
    world.later(HOUR);
    assert_eq!(world.starts(), [1]);
    assert_eq!(world.row(2).power, Power::Suspended);
}

#[test]
fn s74_a_vm_whose_target_dies_mid_start_is_restarted_once() {
    let mut world = world();
    world.protected(1, 'c');
    world.dies('c');
    let (_, target) = world.starts.pop().unwrap();
    let run = world.row(1).run;
    world.dies(target);
    let (_, second) = world.starts.pop().unwrap();
    assert!(second != target && world.starts.is_empty());
    world.event(Event::Started { vm: id(1), run, result: StartResult::Running });
    assert!(world.row(1).intent.is_some(), "the dead host's late answer means nothing");
    world.up(1);
    assert_eq!(world.row(1).residence, Some(boot(second)));
}

#[test]
fn s80_two_hosts_failing_together_are_recovered() {
    let mut world = world();
    world.pool.tolerance = 2;
    for vm in 0..4 {
        world.protected(vm, 'b');
    }
    for vm in 4..8 {
        world.protected(vm, 'c');
    }
    world.dies('b');
    world.dies('c');
    let mut started = world.run_on();
    started.sort_unstable();
    assert_eq!(started, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!((0..8).all(|vm| world.row(vm).residence == Some(boot('a'))));
}

#[test]
fn s81_a_second_failure_during_recovery_doubles_nothing() {
    let mut world = world();
    for vm in 0..6 {
        world.protected(vm, 'c');
    }
    world.dies('c');
    let first = std::mem::take(&mut world.starts);
    let (vm, target) = first[0];
    world.up(vm);
    world.dies(target);
    let on_survivor: Vec<u128> =
        first[1..].iter().filter(|(_, host)| *host != target).map(|(vm, _)| *vm).collect();
    on_survivor.into_iter().for_each(|vm| world.up(vm));
    world.run_on();
    let survivor = if target == 'a' { 'b' } else { 'a' };
    assert!((0..6).all(|vm| world.row(vm).residence == Some(boot(survivor))));
}

#[test]
fn s82_a_recovering_vm_is_counted_once() {
    let mut world = world();
    world.protected(1, 'c').memory = 5;
    world.dies('c');
    let (_, target) = world.starts.pop().unwrap();
    let free = |world: &World| -> Vec<u64> {
        world.pool.problem().hosts.iter().map(|host| host.free).collect()
    };
    let during = free(&world);
    world.up(1);
    assert_eq!(free(&world), during);
    assert_eq!(world.row(1).residence, Some(boot(target)));
    assert_eq!(during.iter().sum::<u64>(), 24 - 5);
}

#[test]
fn s79_a_group_is_spread_where_there_is_room_and_started_where_there_is_none() {
    for (room, hosts) in [(8, 2), (0, 1)] {
        let mut world = world();
        world.host('b').capacity = room;
        for vm in 0..2 {
            world.protected(vm, 'c').group = Some(Uuid::from_u128(0xF));
        }
        world.dies('c');
        world.run_on();
        let at = |vm: u128| world.pool.vm(id(vm)).unwrap().residence.clone().unwrap().host;
        assert_eq!([at(0), at(1)].into_iter().collect::<BTreeSet<_>>().len(), hosts);
        // A group that could not be spread is told of, once for each start.
        assert_eq!(world.notes, if hosts == 1 { 2 } else { 0 });
    }
}

#[test]
fn a_host_takes_no_more_vms_and_vcpus_than_it_may() {
    let mut world = world();
    world.host('a').slots = Some(2);
    (world.host('b').slots, world.host('b').vcpus) = (Some(9), Some(5));
    world.vm(1, 'a', Priority::None);
    world.vm(2, 'b', Priority::None).vcpus = 2;
    let wide = world.protected(3, 'c');
    (wide.vcpus, wide.allowed) = (3, Some(BTreeSet::from([host_id('b')])));
    for vm in 4..7 {
        world.protected(vm, 'c').order = 1;
    }
    world.dies('c');
    assert_eq!(world.run_on(), [3, 4], "three vCPUs on b, one more VM on a");
    assert_eq!(world.row(3).residence, Some(boot('b')));
    assert_eq!(world.row(4).residence, Some(boot('a')));
    assert_eq!(world.told().iter().filter(|(name, _)| *name == FAILED).count(), 2);
    world.host('a').slots = Some(3);
    world.event(Event::Changed);
    assert_eq!(world.run_on().len(), 1, "a limit that was raised is used");
}

#[test]
fn another_host_is_tried_only_where_a_limit_leaves_room() {
    let mut world = world();
    world.host('a').slots = Some(0);
    world.protected(1, 'c');
    world.dies('c');
    assert_eq!(world.starts.pop(), Some((1, 'b')));
    world.fail(1, "VM_BAD");
    assert_eq!(world.starts, [], "a is full");
    world.wake();
    assert_eq!(world.starts.pop(), Some((1, 'b')));
}

#[test]
fn s76_a_vm_that_is_deleted_while_its_host_is_fenced_is_forgotten() {
    let mut world = world();
    world.protected(1, 'c');
    world.protected(2, 'c');
    world.host('c').live = false;
    world.event(Event::View { failed: vec![host_id('c')] });
    world.pool.vms.remove(0);
    world.pool.dead.insert(boot('c'));
    world.event(Event::Tick);
    assert_eq!(world.run_on(), [2]);
}
