//! The last plan: who waits goes where it said while that is possible.

use super::*;

/// vm1 and vm2 wait and only one start may be under way: vm1's on c. vm2 is to go to b.
fn one_at_a_time() -> World {
    let mut world = world();
    world.pool.limits.starts_per_pool = 1;
    world.protected(1, 'a');
    world.protected(2, 'a');
    world.vm(3, 'b', Priority::BestEffort).memory = 7;
    world.vm(4, 'c', Priority::BestEffort).memory = 6;
    world.dies('a');
    assert_eq!(world.starts, [(1, 'c')]);
    world.starts.clear();
    world
}

#[test]
fn who_waits_keeps_its_place_though_a_better_one_appears() {
    let mut world = one_at_a_time();
    world.row(4).memory = 1;
    world.up(1);
    assert_eq!(world.starts, [(2, 'b')]);
}

#[test]
fn a_place_that_was_taken_meanwhile_is_replaced() {
    let mut world = one_at_a_time();
    world.row(3).memory = 8;
    world.up(1);
    assert_eq!(world.starts, [(2, 'c')]);
}

#[test]
fn a_start_that_failed_takes_the_vm_elsewhere() {
    let mut world = one_at_a_time();
    world.up(1);
    world.starts.clear();
    world.fail(2, "no disk");
    assert_eq!(world.starts, [(2, 'c')]);
}

#[test]
fn another_host_makes_another_plan() {
    let mut world = one_at_a_time();
    let back = Boot { boot_id: "2".to_owned(), ..boot('a') };
    let host = world.host('a');
    (host.boot, host.live) = (back, true);
    world.up(1);
    assert_eq!(world.starts, [(2, 'a')]);
}

#[test]
fn a_group_that_would_stand_on_one_host_makes_another_plan() {
    let mut world = one_at_a_time();
    world.row(3).group = Some(id(77));
    world.row(2).group = Some(id(77));
    world.up(1);
    assert_eq!(world.starts, [(2, 'c')]);
}
