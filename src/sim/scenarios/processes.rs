//! Agents and daemons that fail, and hosts that come back (S42, S45, S106 to S108, S124, S126).

use super::loss::{T, excluded, loses_exactly_c};
use crate::heartbeat::liveset::{Liveness, Phase};
use crate::heartbeat::node::Control;
use crate::heartbeat::timing::SECOND;
use crate::heartbeat::view::Proof;
use crate::sim::world::{Path, World};

#[test]
fn s106_s126_a_dead_agent_fences_nobody_and_is_started_again() {
    for host in [0, 2] {
        let mut world = World::formed(3, T, 4).unwrap();
        world.run(12);
        let epoch = world.liveset(0).epoch;
        world.kill_agent(host);
        assert!(world.run_until(10, |world| world.machines[host].agent.is_some()));
        world.run(40);
        assert!(world.resets().is_empty());
        assert_eq!(world.liveset(0).epoch, epoch, "the mastership stays");
        assert_eq!(world.acting(), [0]);
    }
}

#[test]
fn s42_a_hung_agent_costs_the_mastership_not_the_host() {
    let mut world = World::formed(3, T, 4).unwrap();
    world.run(12);
    world.machines[0].agent_hangs = true;
    assert!(world.run_until(25, |world| world.acting() == [1]), "{}", world.story());
    world.run(30);
    assert!(world.resets().is_empty());
    assert_eq!(world.members(0), [0, 1, 2]);
    assert!(world.machines[0].agent.is_some());
}

#[test]
fn s45_the_mastership_is_handed_to_a_named_host() {
    let mut world = World::formed(3, T, 4).unwrap();
    world.run(12);
    let ticket = world.control(0, Control::GiveUpMastership(Some(crate::heartbeat::Slot(2))));
    assert!(world.run_until(5, |world| world.acting() == [2]), "{}", world.story());
    world.run(2);
    assert!(world.answer(0, ticket).unwrap().is_ok());
    assert!(world.resets().is_empty());
}

#[test]
fn s107_a_killed_daemon_ends_in_a_reset_before_the_exclusion() {
    loses_exactly_c(|world| world.kill_daemon(2));
}

#[test]
fn s108_a_daemon_stopped_past_its_lease_is_reset() {
    loses_exactly_c(|world| world.pause(2));
}

#[test]
fn s124_two_hosts_without_their_link_leave_the_lower_one() {
    for seed in 1..6 {
        let mut world = World::formed(2, T, seed).unwrap();
        world.run(12);
        world.cut_link(0, 1);
        world.run(u64::from(T) + 3);
        assert_eq!(world.resets(), [1], "{}", world.story());
        assert_eq!(world.acting(), [0]);
    }
}

#[test]
fn a_loser_that_reaches_the_disk_leaves_a_tombstone_and_is_known_dead_early() {
    let mut world = World::formed(3, 30, 2).unwrap();
    world.run(40);
    world.set_net(2, true);
    let took = excluded(&mut world, 2, &[0, 1]);
    assert!(took < 30.0, "{took}");
    assert_eq!(world.liveset(0).dead[0].reason, Proof::Tombstone);
}

#[test]
fn a_fenced_host_comes_back_and_is_admitted() {
    let mut world = World::formed(3, T, 2).unwrap();
    world.run(12);
    world.crash(2);
    excluded(&mut world, 2, &[0, 1]);
    let ticket = world.boot(2);
    let joined = world.run_until(20, |world| (0..3).all(|h| world.members(h) == [0, 1, 2]));
    assert!(joined, "{}", world.story());
    world.run(2);
    assert!(world.answer(2, ticket).unwrap().is_ok());
    assert_eq!(world.liveset(0).hosts[2].liveness, Liveness::Live);
    assert!(world.liveset(0).dead.is_empty());
}

#[test]
fn a_quick_reboot_frees_the_old_life_at_once() {
    let mut world = World::formed(3, 60, 2).unwrap();
    world.run(12);
    world.crash(2);
    world.run(3);
    world.boot(2);
    let joined = world.run_until(15, |world| {
        let back = world.machines[2].boot_id.to_string();
        world.members(0) == [0, 1, 2] && world.liveset(0).hosts[2].boot_id == Some(back)
    });
    assert!(joined, "{}", world.story());
    assert!(world.machines[0].notes.iter().any(|n| n.contains("a later boot of it was seen")));
}

#[test]
fn the_last_of_a_pool_waits_for_a_majority() {
    let mut world = World::formed(3, T, 2).unwrap();
    world.run(12);
    for host in 0..3 {
        world.crash(host);
    }
    world.boot(1);
    world.run(60);
    assert_eq!(world.liveset(1).phase, Phase::Waiting, "one of three never forms alone");
    world.boot(2);
    let formed = world.run_until(25, |world| world.members(1) == [1, 2]);
    assert!(formed, "{}", world.story());
    world.run(2);
    assert_eq!(world.acting(), [1]);
    assert!(world.knows_dead(1, 0) && world.knows_dead(2, 0));
}

#[test]
fn one_of_two_forms_alone_after_the_other_stood_still() {
    let mut world = World::formed(2, T, 2).unwrap();
    world.run(12);
    world.crash(0);
    world.crash(1);
    world.boot(1);
    world.run(9);
    assert_eq!(world.liveset(1).phase, Phase::Waiting);
    assert!(world.run_until(10, |world| world.acting() == [1]), "{}", world.story());
}

#[test]
fn a_queue_drained_after_a_pause_extends_no_lease() {
    for seed in 1..4 {
        let mut world = World::formed(3, T, seed).unwrap();
        world.run(12);
        world.pause(2);
        world.run(5);
        world.set_net(2, true);
        world.run(2);
        world.resume(2);
        world.run_for(SECOND / 2);
        world.set_path(2, Path::Fails);
        // The world checks that nobody calls host 2 dead before it is.
        world.run(5);
        assert_eq!(world.resets(), [2]);
        assert!(world.knows_dead(0, 2));
    }
}
