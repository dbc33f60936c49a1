//! The campaign's schedules, a few seeds of each.

use crate::heartbeat::timing::SECOND;
use crate::sim::campaign::{Case, Wanted};
use crate::sim::schedules::Schedule;
use crate::sim::world::World;

fn seeds(default: u64) -> u64 {
    std::env::var("XE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_schedule_breaks_what_must_hold() {
    for seed in 0..seeds(12) {
        for schedule in Schedule::ALL {
            let case = Case::new(schedule, seed, Wanted::default());
            let broken = case.play(false).unwrap().take_violation();
            let story = || case.play(true).unwrap().story();
            assert!(broken.is_none(), "seed {seed}, {schedule}\n{}", story());
        }
    }
}

/// A loser that learned of the view in the last half second of its lease cut its watchdog to a
/// minimum that fired after the lease.
#[test]
fn a_loser_that_learns_late_is_reset_within_its_lease() {
    for (schedule, seed) in [(Schedule::Duel, 984), (Schedule::Lost, 1662)] {
        let mut world = Case::new(schedule, seed, Wanted::default()).play(true).unwrap();
        assert!(world.take_violation().is_none(), "{}", world.story());
    }
}

#[test]
fn real_bytes_change_nothing_that_is_decided() {
    let mut case = Case::new(Schedule::Duel, 3, Wanted::default());
    case.setting.bytes = true;
    let mut world = case.play(true).unwrap();
    assert!(world.take_violation().is_none(), "{}", world.story());
    assert!(world.story().contains("decided here"));
}

#[test]
fn a_seed_tells_the_same_story_again() {
    for schedule in Schedule::ALL {
        let [first, second] =
            [7, 7].map(|seed| Case::new(schedule, seed, Wanted::default()).play(true).unwrap());
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

#[test]
fn only_the_deeds_that_matter_are_left() {
    // Nobody can live without a statefile and a network: that is no violation, so make one up by
    // a script whose last deeds are in vain.
    let mut case = Case::new(Schedule::Single, 1, Wanted::default());
    let extra = case.script[0];
    case.script.push((extra.0 + 60_000, extra.1));
    let whole = case.script.len();
    let shrunk = case.shrunk();
    assert!(shrunk.script.len() < whole);
}
