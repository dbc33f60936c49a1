//! `xe-sim replay`: one schedule again, with its story.

use std::process::ExitCode;

use super::words;
use crate::sim::campaign::Case;
use crate::sim::schedules::Schedule;
use crate::sim::script;

pub(super) fn main(words: &[String]) -> Result<ExitCode, String> {
    let asked = words::parse(words)?;
    let [name] = &asked.names[..] else { return Err("SEED:SCHEDULE is missing".to_owned()) };
    let parts = name
        .split_once(':')
        .and_then(|(seed, schedule)| Some((seed.parse().ok()?, Schedule::named(schedule)?)));
    let (seed, schedule) = parts.ok_or_else(|| format!("{name} is no SEED:SCHEDULE"))?;
    let mut case = Case::new(schedule, seed, asked.wanted);
    if let Some(keep) = &asked.keep {
        let kept = keep.iter().filter_map(|at| case.script.get(*at).copied()).collect();
        case.script = kept;
    }
    println!("{:?}\n{}", case.setting, script::text(&case.script));
    let world = case.play(true).map_err(|why| why.to_string())?;
    println!("{}", world.story());
    match world.violation() {
        None => {
            println!("no violation");
            Ok(ExitCode::SUCCESS)
        }
        Some(violation) => {
            println!("violation: {violation}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The command that plays the case again, with only the deeds of `shown`.
pub(super) fn command(case: &Case, shown: &Case) -> String {
    let mut rest = shown.script.iter().peekable();
    let mut keep = Vec::new();
    for (at, deed) in case.script.iter().enumerate() {
        if rest.next_if(|next| *next == deed).is_some() {
            keep.push(at.to_string());
        }
    }
    let setting = &case.setting;
    let mut line = format!(
        "xe-sim replay {}:{} --hosts {} --timeout {} --statefiles {} --keep {}",
        case.seed,
        case.schedule,
        setting.hosts,
        setting.timeout_s,
        setting.statefiles,
        if keep.is_empty() { ",".to_owned() } else { keep.join(",") },
    );
    if let Some(variant) = setting.variant {
        line.push_str(&format!(" --variant {}", variant.word()));
    }
    line
}

/// The story of a case.
pub(super) fn story(case: &Case) -> String {
    case.play(true).map_or_else(|why| why.to_string(), |world| world.story())
}
