//! The campaign's schedules, a few seeds of each.

use crate::heartbeat::timing::SECOND;
use crate::sim::campaign::{Schedule, Size};
use crate::sim::world::World;

fn seeds(default: u64) -> u64 {
    std::env::var("XE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn played(schedule: Schedule, seed: u64) -> World {
    let mut world = schedule.world(Size::default(), seed).unwrap();
    schedule.play(&mut world);
    world
}

fn nothing_is_violated(schedule: Schedule) {
    for seed in 1..=seeds(60) {
        let mut world = played(schedule, seed);
        let violation = world.take_violation();
        assert!(violation.is_none(), "seed {seed}, {schedule}\n{}", world.story());
    }
}

#[test]
fn many_faults_never_break_what_must_hold() {
    nothing_is_violated(Schedule::Storm);
}

#[test]
fn a_single_fault_resets_exactly_its_host() {
    nothing_is_violated(Schedule::Single);
}

#[test]
fn a_seed_tells_the_same_story_again() {
    for schedule in Schedule::ALL {
        let [first, second] = [7, 7].map(|seed| played(schedule, seed));
        assert!(first.story().lines().count() > 10);
        assert_eq!((first.story(), first.now), (second.story(), second.now));
    }
}

#[test]
fn what_breaks_is_a_value_and_ends_the_world() {
    let mut world = World::new(3, 10, 1).unwrap();
    world.form();
    world.run_for(1020 * SECOND - world.now);
    world.require(false, || "made up".to_owned());
    world.require(false, || "made up later".to_owned());
    let lines = world.story().lines().count();
    world.run(60);
    assert_eq!(world.story().lines().count(), lines, "nothing happens after a violation");
    assert!(world.story().ends_with("VIOLATION: made up"), "{}", world.story());
    let violation = world.take_violation().unwrap();
    assert_eq!(violation.to_string(), "made up (after 20.000 s)");
}
