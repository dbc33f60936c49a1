//! `xe-sim run --seeds A..B`: plays every schedule with every seed and counts violations.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};

use super::campaign::{Schedule, Size};
use super::world::check::since_begin;
use super::world::{Unfit, Violation, World};
use crate::heartbeat::view::MOST_HOSTS;

const USAGE: &str = "usage: xe-sim run --seeds A..B [--hosts N] [--timeout T] [--json]\n\
    Plays random faults on simulated pools, for every seed from A to before B; N hosts (2 to 32)\n\
    and a time-out of T seconds, by default of several sizes. Exit code 1 on a violation. With\n\
    --json the result is one object on standard output, the summary goes to standard error.";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    seeds: Range<u64>,
    size: Size,
    json: bool,
}

/// A violation with what is needed to look at it.
struct Found {
    seed: u64,
    schedule: Schedule,
    violation: Violation,
    replay: String,
    story: String,
}

/// What a campaign has come to.
#[derive(Default)]
struct Tally {
    schedules: u64,
    simulated: f64,
    found: Vec<Found>,
}

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    let asked = match parse(&words) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let began = cpu_seconds();
    let tally = match run(&asked) {
        Ok(tally) => tally,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    print(&asked, &tally, cpu_seconds() - began);
    if tally.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(words: &[String]) -> Result<Asked, String> {
    let Some(("run", rest)) = words.split_first().map(|(word, rest)| (word.as_str(), rest)) else {
        return Err("the first word is not `run`".to_owned());
    };
    let (mut seeds, mut size, mut json) = (None, Size::default(), false);
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        if word == "--json" {
            json = true;
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{word} has no value"))?;
        let bad = || format!("{word} {value} was not understood");
        match word.as_str() {
            "--seeds" => seeds = Some(range(value).ok_or_else(bad)?),
            "--hosts" => {
                let hosts = value.parse().ok().filter(|hosts| (2..=MOST_HOSTS).contains(hosts));
                size.hosts = Some(hosts.ok_or_else(bad)?);
            }
            "--timeout" => size.timeout_s = Some(value.parse().map_err(|_| bad())?),
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(Asked { seeds: seeds.ok_or("--seeds is missing")?, size, json })
}

/// Reads `A..B`; an empty range is none.
fn range(text: &str) -> Option<Range<u64>> {
    let (first, end) = text.split_once("..")?;
    let range = first.parse().ok()?..end.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

fn run(asked: &Asked) -> Result<Tally, Unfit> {
    let mut tally = Tally::default();
    for seed in asked.seeds.clone() {
        for schedule in Schedule::ALL {
            let mut world = schedule.world(asked.size, seed)?;
            play(schedule, &mut world);
            tally.schedules += 1;
            let ended = world.violation().map_or(world.now, |violation| violation.at);
            tally.simulated += since_begin(ended);
            let Some(violation) = world.take_violation() else { continue };
            let (hosts, timeout) = (world.machines.len(), world.timeout_s);
            let replay = format!(
                "xe sim run --seeds {seed}..{} --hosts {hosts} --timeout {timeout}",
                seed + 1
            );
            let found = Found { seed, schedule, violation, replay, story: world.story() };
            if !asked.json {
                println!("seed {seed}, {schedule}: {}", found.violation);
                println!("  replay: {}\n{}", found.replay, found.story);
            }
            tally.found.push(found);
        }
    }
    Ok(tally)
}

/// Plays a schedule; a panic of the rules is a violation like any other.
fn play(schedule: Schedule, world: &mut World) {
    // What a panic leaves half done is not played on: the violation ends this world.
    let played = catch_unwind(AssertUnwindSafe(|| schedule.play(world)));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        world.require(false, || format!("a panic: {}", text.unwrap_or("without words")));
    }
}

/// CPU time of this process, in seconds.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn print(asked: &Asked, tally: &Tally, cpu: f64) {
    let seeds = asked.seeds.end - asked.seeds.start;
    let violations = tally.found.len();
    let speed = tally.simulated / cpu.max(1e-9);
    let summary = format!(
        "seeds={seeds} schedules={} violations={violations} simulated-seconds={:.0} \
         cpu-seconds={cpu:.2} speed={speed:.0}",
        tally.schedules, tally.simulated
    );
    if !asked.json {
        println!("{summary}");
        return;
    }
    let found = |found: &Found| {
        serde_json::json!({
            "seed": found.seed,
            "schedule": found.schedule.to_string(),
            "why": found.violation.why,
            "after-seconds": since_begin(found.violation.at),
            "replay": found.replay,
            "events": found.story.lines().collect::<Vec<_>>(),
        })
    };
    let object = serde_json::json!({
        "seeds": seeds,
        "schedules": tally.schedules,
        "violations": violations,
        "simulated-seconds": tally.simulated,
        "cpu-seconds": cpu,
        "speed": speed,
        "found": tally.found.iter().map(found).collect::<Vec<_>>(),
    });
    println!("{object}");
    eprintln!("{summary}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_words_are_read() {
        let size = Size { hosts: Some(3), timeout_s: Some(10) };
        assert_eq!(
            asked("run --seeds 2..5 --hosts 3 --timeout 10 --json"),
            Ok(Asked { seeds: 2..5, size, json: true })
        );
        let plain = Asked { seeds: 0..1, size: Size::default(), json: false };
        assert_eq!(asked("run --seeds 0..1"), Ok(plain));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "",
            "run",
            "walk --seeds 0..1",
            "run --seeds 5..5",
            "run --seeds 5..2",
            "run --seeds 5",
            "run --seeds",
            "run --seeds 0..1 --hosts 1",
            "run --seeds 0..1 --hosts 1001",
            "run --seeds 0..1 --speed 3",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_pool_that_cannot_be_is_refused() {
        let asked = asked("run --seeds 0..1 --timeout 2").unwrap();
        let error = run(&asked).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|text| text.contains("2 s")), "{error:?}");
    }

    #[test]
    fn a_panic_is_a_violation() {
        // No host can be chosen among none.
        let size = Size { hosts: Some(0), timeout_s: None };
        let mut world = Schedule::Storm.world(size, 1).unwrap();
        play(Schedule::Storm, &mut world);
        let violation = world.take_violation().unwrap();
        assert!(violation.why.starts_with("a panic: "), "{violation}");
    }
}
