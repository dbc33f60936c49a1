//! Switching on and off, leaving and coming back, as far as the protocol goes (S21, S22, S92 to
//! S99). The agent's part of these scenarios is tested in `ha`.

use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::{Control, Refusal};
use crate::heartbeat::view::{Mode, Proof};
use crate::sim::world::{Path, World};

const T: u32 = 10;

#[test]
fn s92_one_host_is_missing_and_nobody_is_armed() {
    let mut world = World::new(3, T, 1).unwrap();
    let tickets = [world.start(0, true), world.start(1, true)];
    world.run(40);
    for host in [0, 1] {
        assert_eq!(world.liveset(host).phase, Phase::Off);
        let Some(Err(Refusal::TimedOut(why))) = world.answer(host, tickets[host]) else {
            panic!("no refusal")
        };
        assert!(why.contains(&world.uuids[2].to_string()), "{why}");
        assert!(!world.machines[host].notes.iter().any(|note| note.contains("armed:")));
    }
}

#[test]
fn s21_a_blocked_port_fails_the_enable_and_names_the_host() {
    let mut world = World::new(3, T, 1).unwrap();
    world.cut[2][0] = true;
    let tickets: Vec<u64> = (0..3).map(|host| world.start(host, true)).collect();
    world.run(40);
    let Some(Err(Refusal::TimedOut(why))) = world.answer(0, tickets[0]) else {
        panic!("no refusal")
    };
    assert!(why.contains("no packet of host") && why.contains(&world.uuids[2].to_string()));
    assert!((0..3).all(|host| world.liveset(host).phase == Phase::Off));
    assert!(world.resets().is_empty());
}

#[test]
fn s93_a_decided_off_disarms_everybody() {
    let mut world = World::formed(3, T, 1).unwrap();
    let pending = world.control(0, Control::SetMode(Mode::OffPending));
    world.run(3);
    assert!(world.answer(0, pending).unwrap().is_ok(), "{}", world.story());
    assert!(world.acting().is_empty(), "no failover decision any more");
    let off = world.control(0, Control::SetMode(Mode::Off));
    world.run(3);
    assert!(world.answer(0, off).unwrap().is_ok());
    assert!((0..3).all(|host| world.liveset(host).phase == Phase::Disarmed));
    world.run(60);
    assert!(world.resets().is_empty());
}

#[test]
fn off_without_off_pending_is_refused() {
    let mut world = World::formed(3, T, 1).unwrap();
    let ticket = world.control(0, Control::SetMode(Mode::Off));
    assert!(matches!(world.answer(0, ticket), Some(Err(Refusal::WrongState(_)))));
}

#[test]
fn s94_a_host_that_was_away_learns_that_ha_is_off() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    world.crash(2);
    world.run(15);
    world.control(0, Control::SetMode(Mode::OffPending));
    world.run(2);
    world.control(0, Control::SetMode(Mode::Off));
    world.run(2);
    let ticket = world.boot(2);
    world.run(5);
    assert_eq!(world.answer(2, ticket), Some(&Err(Refusal::PoolIsOff)));
    assert_eq!(world.liveset(2).phase, Phase::Off);
}

#[test]
fn s95_without_a_statefile_every_host_disarms_by_emergency() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    for host in 0..3 {
        world.set_path(host, Path::Fails);
    }
    world.run(20);
    for host in 0..3 {
        let ticket = world.control(host, Control::Disarm { force: false });
        world.run(2);
        assert!(world.answer(host, ticket).unwrap().is_ok());
        assert_eq!(world.liveset(host).phase, Phase::Disarmed);
    }
    world.run(60);
    assert!(world.resets().is_empty(), "{}", world.story());
}

#[test]
fn s96_an_emergency_disarm_of_one_leaves_its_vms_unknown() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    let ticket = world.control(2, Control::Disarm { force: false });
    world.run(5);
    assert!(world.answer(2, ticket).unwrap().is_ok());
    assert_eq!(world.members(0), [0, 1]);
    world.run(60);
    assert_eq!(world.liveset(0).unknown, [world.uuids[2]]);
    assert!(world.liveset(0).dead.is_empty(), "an unarmed host is never presumed dead");
    assert!(world.resets().is_empty());
    // Later, in the same boot, it comes back in a new session.
    let ticket = world.start(2, false);
    world.run(20);
    assert!(world.answer(2, ticket).is_some_and(Result::is_ok), "{}", world.story());
    assert_eq!(world.members(0), [0, 1, 2]);
    assert!(world.liveset(0).unknown.is_empty());
}

#[test]
fn s96_without_the_network_the_mark_on_the_disk_is_enough() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    world.set_net(2, true);
    let ticket = world.control(2, Control::Disarm { force: false });
    world.run(3);
    assert!(world.answer(2, ticket).unwrap().is_ok());
    world.run(60);
    assert!(world.resets().is_empty());
    assert!(world.liveset(0).dead.is_empty());
}

#[test]
fn s96_cut_off_wholly_it_does_not_disarm_unless_forced() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    world.set_net(2, true);
    world.set_path(2, Path::Fails);
    let ticket = world.control(2, Control::Disarm { force: false });
    world.run(5);
    assert_eq!(world.answer(2, ticket), None);
    world.run(6);
    assert_eq!(world.resets(), [2], "the others must be able to count on it");

    let mut world = World::formed(3, T, 1).unwrap();
    world.set_net(2, true);
    world.set_path(2, Path::Fails);
    let ticket = world.control(2, Control::Disarm { force: true });
    assert!(world.answer(2, ticket).unwrap().is_ok());
    assert_eq!(world.liveset(2).phase, Phase::Disarmed);
}

#[test]
fn s99_a_clean_leave_resets_nobody_and_is_known_at_once() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    let ticket = world.control(2, Control::Leave);
    world.run(3);
    assert!(world.answer(2, ticket).unwrap().is_ok(), "{}", world.story());
    assert_eq!(world.liveset(2).phase, Phase::Disarmed);
    assert_eq!(world.members(0), [0, 1]);
    assert_eq!(world.liveset(0).dead[0].reason, Proof::LeftEmpty);
    world.crash(2);
    world.run(60);
    assert!(world.resets().is_empty());
    world.boot(2);
    assert!(world.run_until(20, |world| world.members(0) == [0, 1, 2]), "{}", world.story());
}

#[test]
fn s99_a_leave_taken_back_needs_a_new_session_only() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    world.control(2, Control::Leave);
    world.run(3);
    let ticket = world.start(2, false);
    world.run(20);
    assert!(world.answer(2, ticket).is_some_and(Result::is_ok), "{}", world.story());
    assert!(world.resets().is_empty());
}

#[test]
fn the_last_host_cannot_leave() {
    let mut world = World::formed(1, T, 1).unwrap();
    let ticket = world.control(0, Control::Leave);
    assert!(matches!(world.answer(0, ticket), Some(Err(Refusal::WrongState(_)))));
}

#[test]
fn s22_a_cloned_identity_is_refused_while_the_real_one_lives() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    // A fourth machine with host 2's identity and disk, seen through host 2's own place.
    let clone = world.config(2, false);
    let mut node = crate::heartbeat::Node::new(
        crate::heartbeat::Config { boot_id: uuid::Uuid::from_u128(0xC10), ..clone },
        0,
    );
    let mut refused = false;
    for turn in 0..20u64 {
        let now = turn * 500_000_000;
        let mut effects = Vec::new();
        node.step(now, crate::heartbeat::Input::Timer, &mut effects);
        while let Some(effect) = effects.pop() {
            if let crate::heartbeat::Effect::Cycle { id, disk, .. } = effect {
                let read = crate::heartbeat::node::CycleRead {
                    own_before: world.disks[0].beats[2].clone(),
                    beats: world.disks[0].beats.clone(),
                    decisions: world.disks[0].seen(),
                };
                let done = crate::heartbeat::node::CycleDone {
                    id,
                    disk,
                    begun: now,
                    read_begun: now,
                    ended: now,
                    outcome: Ok(read),
                };
                node.step(now, crate::heartbeat::Input::Cycle(done), &mut effects);
            }
            refused |= node.phase() == Phase::Off;
        }
        world.run(1);
    }
    assert!(refused, "the clone sees the block move and gives up");
    assert!(world.resets().is_empty());
}

#[test]
fn a_session_that_did_not_end_cleanly_is_not_resumed_in_its_boot() {
    let mut world = World::formed(3, T, 1).unwrap();
    world.run(12);
    world.kill_daemon(2);
    let ticket = world.start(2, false);
    world.run(3);
    assert_eq!(world.answer(2, ticket), Some(&Err(Refusal::UnfinishedSession)));
}
