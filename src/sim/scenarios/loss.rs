//! Hosts, networks and disks that fail (S01 to S18, S38, S46, S106 to S108, S126).

use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::{Control, Refusal};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::sim::world::{Path, World};

/// The timeout of most scenarios, in seconds.
pub(super) const T: u32 = 10;

/// Runs until every survivor has excluded the loser and knows it dead; gives seconds.
pub(super) fn excluded(world: &mut World, loser: usize, survivors: &[usize]) -> f64 {
    let begun: Nanos = world.now;
    let limit = u64::from(world.timeout_s) + 3;
    let done = world.run_until(limit, |world| {
        survivors.iter().all(|s| world.members(*s) == survivors && world.knows_dead(*s, loser))
    });
    assert!(done, "not excluded within {limit} s\n{}", world.story());
    for survivor in survivors {
        assert_eq!(world.liveset(*survivor).phase, Phase::Armed);
    }
    (world.now - begun) as f64 / SECOND as f64
}

/// A fault of host 2 among three: exactly it is reset, the others know it dead in time.
pub(super) fn loses_exactly_c(fault: impl Fn(&mut World)) {
    for (seed, timeout) in (1..4).flat_map(|seed| [(seed, 3), (seed, T), (seed, 30)]) {
        let mut world = World::formed(3, timeout, seed).unwrap();
        world.run(u64::from(timeout));
        fault(&mut world);
        excluded(&mut world, 2, &[0, 1]);
        world.run(2 * u64::from(timeout));
        assert!(!world.resets().contains(&0) && !world.resets().contains(&1));
        assert!(!world.machines[2].alive);
        assert_eq!(world.acting(), [0]);
    }
}

#[test]
fn s01_power_lost() {
    loses_exactly_c(|world| world.crash(2));
}

#[test]
fn s02_network_of_one_lost() {
    loses_exactly_c(|world| world.set_net(2, true));
}

#[test]
fn s02_network_of_the_lowest_lost_takes_the_mastership_along() {
    for seed in 1..8 {
        let mut world = World::formed(3, T, seed).unwrap();
        world.run(20);
        world.set_net(0, true);
        excluded(&mut world, 0, &[1, 2]);
        assert_eq!(world.resets(), [0]);
        world.run_until(3, |world| world.acting() == [1]);
        assert_eq!(world.acting(), [1]);
    }
}

#[test]
fn s03_statefile_of_one_lost() {
    loses_exactly_c(|world| world.set_path(2, Path::Fails));
    loses_exactly_c(|world| world.set_path(2, Path::Hangs));
}

#[test]
fn s04_both_paths_of_one_lost() {
    loses_exactly_c(|world| {
        world.set_net(2, true);
        world.set_path(2, Path::Fails);
    });
}

fn all_lose_the_disk(hosts: usize) -> World {
    let mut world = World::formed(hosts, T, 5).unwrap();
    world.run(12);
    for host in 0..hosts {
        world.set_path(host, Path::Fails);
    }
    world.run(60);
    assert_eq!(world.resets(), Vec::<usize>::new(), "{}", world.story());
    for host in 0..hosts {
        let liveset = world.liveset(host);
        assert!(liveset.storage_lost_by_all && !liveset.statefile_ok);
        assert_eq!(liveset.phase, Phase::Armed);
    }
    world
}

#[test]
fn s05_statefile_lost_by_all_fences_nobody() {
    assert_eq!(all_lose_the_disk(3).acting(), [0]);
    all_lose_the_disk(2);
}

#[test]
fn s06_then_one_host_dies_and_the_majority_lives() {
    let mut world = all_lose_the_disk(3);
    world.crash(1);
    world.run(u64::from(T) + 3);
    assert_eq!(world.resets(), Vec::<usize>::new(), "{}", world.story());
    assert_eq!(world.members(0), [0, 2]);
    assert_eq!(world.acting(), [0]);
    assert!(world.knows_dead(0, 1) && world.knows_dead(2, 1), "{}", world.story());
    // A further loss leaves no majority: nobody may live on alone.
    world.crash(2);
    world.run(u64::from(T) + 1);
    assert_eq!(world.resets(), [0]);
}

#[test]
fn s06_two_hosts_without_a_witness_go_with_the_first_loss() {
    let mut world = all_lose_the_disk(2);
    world.crash(1);
    world.run(u64::from(T) + 1);
    assert_eq!(world.resets(), [0]);
}

#[test]
fn s07_then_the_statefile_returns() {
    let mut world = all_lose_the_disk(3);
    for host in 0..3 {
        world.set_path(host, Path::Fine);
        world.run(1);
    }
    world.run(30);
    assert_eq!(world.resets(), Vec::<usize>::new(), "{}", world.story());
    assert!(!world.liveset(0).storage_lost_by_all && world.liveset(0).statefile_ok);
    assert_eq!(world.members(1), [0, 1, 2]);
}

#[test]
fn s08_network_lost_by_all_leaves_the_best_one() {
    for seed in 1..6 {
        let mut world = World::formed(3, T, seed).unwrap();
        world.run(12);
        for host in 0..3 {
            world.set_net(host, true);
        }
        world.run(u64::from(T) + 3);
        assert_eq!(world.resets(), [1, 2], "{}", world.story());
        assert_eq!(world.members(0), [0]);
    }
}

#[test]
fn s09_everything_lost_by_all_resets_all() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    for host in 0..3 {
        world.set_net(host, true);
        world.set_path(host, Path::Fails);
    }
    world.run(u64::from(T) + 1);
    assert_eq!(world.resets(), [0, 1, 2]);
}

#[test]
fn s10_all_boot_without_network_and_form_once_it_is_there() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(5);
    for host in 0..3 {
        world.crash(host);
    }
    for host in 0..3 {
        world.set_net(host, true);
        world.boot(host);
    }
    world.run(60);
    for host in 0..3 {
        assert_eq!(world.liveset(host).phase, Phase::Waiting, "{}", world.story());
    }
    assert!(world.acting().is_empty());
    for host in 0..3 {
        world.set_net(host, false);
    }
    let formed = world.run_until(10, |world| (0..3).all(|h| world.members(h) == [0, 1, 2]));
    assert!(formed, "{}", world.story());
    assert!(world.run_until(25, |world| world.acting() == [0]), "{}", world.story());
}

#[test]
fn s11_two_halves_leave_exactly_one() {
    for seed in 1..6 {
        let mut world = World::formed(4, T, seed).unwrap();
        world.run(12);
        for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            world.cut_link(a, b);
        }
        world.run(u64::from(T) + 3);
        assert_eq!(world.resets(), [2, 3], "{}", world.story());
        assert_eq!(world.members(0), [0, 1]);
        assert!(world.knows_dead(0, 2) && world.knows_dead(1, 3));
    }
}

#[test]
fn s12_three_of_five_survive() {
    let mut world = World::formed(5, T, 3).unwrap();
    world.run(12);
    for a in [0, 1] {
        for b in [2, 3, 4] {
            world.cut_link(a, b);
        }
    }
    world.run(u64::from(T) + 3);
    assert_eq!(world.resets(), [0, 1], "{}", world.story());
    assert_eq!(world.members(2), [2, 3, 4]);
}

#[test]
fn s13_a_missing_link_costs_one_of_its_ends() {
    for seed in 1..6 {
        let mut world = World::formed(3, T, seed).unwrap();
        world.run(12);
        world.cut_link(0, 2);
        world.run(u64::from(T) + 3);
        assert_eq!(world.resets(), [2], "{}", world.story());
        assert_eq!(world.members(1), [0, 1]);
    }
}

#[test]
fn s14_one_way_loss_is_loss() {
    loses_exactly_c(|world| {
        world.cut[2][0] = true;
        world.cut[2][1] = true;
    });
}

#[test]
fn s15_forty_percent_loss_fences_nobody() {
    let mut world = World::formed(3, 60, 9).unwrap();
    world.loss = 40;
    world.run(600);
    assert!(world.resets().is_empty());
}

#[test]
fn s17_outages_within_the_promise_fence_nobody() {
    for timeout in [3, 10, 30] {
        let promise = World::new(3, timeout, 1).unwrap().config(0, true).timing.promise();
        for (seed, kind) in (1..7).flat_map(|seed| [(seed, 0), (seed, 1), (seed, 2)]) {
            let mut world = World::formed(3, timeout, seed).unwrap();
            world.run(u64::from(timeout) + seed);
            let length = match kind {
                0 => promise.network,
                1 => promise.disk,
                _ => promise.stall,
            };
            match kind {
                0 => world.set_net(1, true),
                1 => world.set_path(1, Path::Fails),
                _ => world.pause(1),
            }
            world.run_for(length - SECOND / 100);
            match kind {
                0 => world.set_net(1, false),
                1 => world.set_path(1, Path::Fine),
                _ => world.resume(1),
            }
            world.run(2 * u64::from(timeout));
            assert!(
                world.resets().is_empty(),
                "T {timeout} kind {kind} seed {seed}\n{}",
                world.story()
            );
        }
    }
}

#[test]
fn s38_the_master_dies_and_one_other_follows() {
    let mut world = World::formed(3, T, 4).unwrap();
    assert_eq!(world.liveset(1).master, Some(world.uuids[0]));
    world.run(12);
    world.crash(0);
    let took = excluded(&mut world, 0, &[1, 2]);
    assert!(took < f64::from(T) + 1.0, "{took}");
    assert!(world.run_until(1, |world| world.acting() == [1]), "{}", world.story());
    assert_eq!(world.liveset(2).master, Some(world.uuids[1]));
}

#[test]
fn s46_two_ask_at_once_and_one_is_master() {
    let mut world = World::formed(3, T, 4).unwrap();
    let tickets: Vec<u64> =
        (0..3).map(|host| world.control(host, Control::ProposeMaster)).collect();
    world.run(5);
    assert!(world.answer(0, tickets[0]).unwrap().is_ok());
    for host in [1, 2] {
        let refused = Err(Refusal::MasterIs(world.uuids[0]));
        assert_eq!(world.answer(host, tickets[host]), Some(&refused));
    }
}
