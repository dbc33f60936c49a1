//! `xe-sim variants`: breaks one rule after the other; the campaign must find a seed that shows it.

use std::process::ExitCode;

#[cfg(not(feature = "wrong-variants"))]
pub(super) fn main(_words: &[String]) -> Result<ExitCode, String> {
    Err("this build has no wrong variants: build it with --features wrong-variants".to_owned())
}

#[cfg(feature = "wrong-variants")]
pub(super) fn main(words: &[String]) -> Result<ExitCode, String> {
    use crate::heartbeat::variant::Variant;

    let asked = super::words::parse(words)?;
    let most = asked.most_seeds.unwrap_or(400);
    let (mut caught, mut counted) = (0, 0);
    let only = asked.wanted.variant;
    let chosen = Variant::ALL.iter().filter(|variant| only.is_none_or(|only| only == **variant));
    for variant in chosen {
        if let Some(why) = variant.covered().filter(|_| only.is_none()) {
            println!("variant {} covered: {why}", variant.word());
            continue;
        }
        counted += 1;
        match breaks(*variant, asked.only, most) {
            Some((case, schedules, why)) => {
                caught += 1;
                println!(
                    "variant {} caught seed={} schedules={schedules} by={}: {why}",
                    variant.word(),
                    case.seed,
                    case.schedule
                );
            }
            None => println!("variant {} not caught in {most} seeds", variant.word()),
        }
    }
    println!("variants={counted} caught={caught}");
    Ok(if caught == counted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first case that a variant breaks, and how many were played until then.
#[cfg(feature = "wrong-variants")]
fn breaks(
    variant: crate::heartbeat::variant::Variant,
    only: Option<crate::sim::schedules::Schedule>,
    most: u64,
) -> Option<(crate::sim::campaign::Case, u64, String)> {
    use crate::sim::campaign::{Case, Wanted};
    use crate::sim::schedules::Schedule;

    let wanted = Wanted { variant: Some(variant), ..Wanted::default() };
    let mut schedules = 0;
    for seed in 0..most {
        for schedule in Schedule::ALL.into_iter().filter(|s| only.is_none_or(|only| only == *s)) {
            schedules += 1;
            let case = Case::new(schedule, seed, wanted);
            let world = case.play(false).ok();
            if let Some(violation) = world.as_ref().and_then(|world| world.violation()) {
                // What the right rules break too proves nothing.
                let right = Case::new(schedule, seed, Wanted::default()).play(false).ok();
                if right.is_none_or(|world| world.violation().is_some()) {
                    continue;
                }
                let why = violation.to_string();
                return Some((case, schedules, why));
            }
        }
    }
    None
}
