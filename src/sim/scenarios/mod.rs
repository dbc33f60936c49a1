//! What no script can do: a second machine with the same identity, made-up violations, and a few
//! seeds of each family of the campaign.

mod random;

use super::world::World;
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::{CycleDone, CycleRead};
use crate::heartbeat::{Config, Effect, Input, Node};

#[test]
fn s22_a_cloned_identity_is_refused_while_the_real_one_lives() {
    let mut world = World::formed(3, 10, 1).unwrap();
    world.run(12);
    // A fourth machine with host 2's identity and disk, seen through host 2's own place.
    let clone = world.config(2, false);
    let mut node = Node::new(Config { boot_id: uuid::Uuid::from_u128(0xC10), ..clone }, 0);
    let mut refused = false;
    for turn in 0..20u64 {
        let now = turn * 500_000_000;
        let mut effects = Vec::new();
        node.step(now, Input::Timer, &mut effects);
        while let Some(effect) = effects.pop() {
            if let Effect::Cycle { id, disk, .. } = effect {
                let content = &world.disks[0].now;
                let read = CycleRead {
                    own_before: content.beats[2].clone(),
                    beats: content.beats.clone(),
                    decisions: content.seen(),
                };
                let outcome = Ok(read);
                let (begun, read_begun, ended) = (now, now, now);
                let done = CycleDone { id, disk, begun, read_begun, ended, outcome };
                node.step(now, Input::Cycle(done), &mut effects);
            }
            refused |= node.phase() == Phase::Off;
        }
        world.run(1);
    }
    assert!(refused, "the clone sees the block move and gives up");
    assert!(world.resets().is_empty());
    assert!(world.take_violation().is_none(), "{}", world.story());
}

#[test]
fn s21_a_blocked_port_fails_the_enable_and_names_the_host() {
    let mut world = World::new(3, 10, 1).unwrap();
    world.net.set(2, 0, true);
    (0..3).for_each(|host| {
        world.start(host, true);
    });
    world.run(40);
    let why = world.last_answer(0);
    assert!(why.contains("no packet of host h3"), "{why}");
    assert!((0..3).all(|host| world.phase(host) == Phase::Off));
    assert!(world.resets().is_empty());
}
