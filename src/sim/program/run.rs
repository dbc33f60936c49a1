//! `xe-sim run`: plays every family with every seed and counts violations.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

use super::replay::{command, story};
use super::words::{self, Words};
use crate::sim::campaign::Case;
use crate::sim::schedules::Schedule;
use crate::sim::script;
use crate::sim::world::check::since_begin;
use crate::sim::world::{Unfit, Violation};

/// A violation with what is needed to look at it.
struct Found {
    case: Case,
    violation: Violation,
}

/// What a campaign has come to.
#[derive(Default)]
struct Tally {
    schedules: u64,
    simulated: f64,
    found: Vec<Found>,
}

/// Of so many violations the story is told; the rest are counted.
const TOLD: usize = 3;

pub(super) fn main(words: &[String]) -> Result<ExitCode, String> {
    let asked = words::parse(words)?;
    if asked.seeds.is_none() || !asked.names.is_empty() {
        return Err("--seeds is missing".to_owned());
    }
    let began = cpu_seconds();
    let mut tally = play(&asked).map_err(|why| why.to_string())?;
    let cpu = cpu_seconds() - began;
    tally.found.sort_by_key(|found| found.case.seed);
    print(&asked, &tally, cpu);
    let counts = |found: &&Found| found.violation.safety || !asked.safety_only;
    let counted = tally.found.iter().filter(counts).count();
    if asked.safety_only {
        let late = tally.found.len() - counted;
        eprintln!("of safety: {counted}; not back in their time, and not counted here: {late}");
    }
    Ok(if counted == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(asked: &Words) -> Result<Tally, Unfit> {
    let seeds = asked.seeds.clone().unwrap_or(0..0);
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Ok(Tally::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let own = play_seed(asked, seed);
            let Ok(mut tally) = tally.lock() else { return };
            match (&mut *tally, own) {
                (Ok(all), Ok(own)) => all.add(own),
                (Ok(_), Err(why)) => {
                    *tally = Err(why);
                    return;
                }
                (Err(_), _) => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..asked.jobs.unwrap_or(1) {
            scope.spawn(work);
        }
        work();
    });
    tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.schedules += other.schedules;
        self.simulated += other.simulated;
        self.found.extend(other.found);
    }
}

fn play_seed(asked: &Words, seed: u64) -> Result<Tally, Unfit> {
    let mut tally = Tally::default();
    for schedule in Schedule::ALL {
        if asked.only.is_some_and(|only| only != schedule) {
            continue;
        }
        let case = Case::new(schedule, seed, asked.wanted);
        let mut world = case.play(false)?;
        tally.schedules += 1;
        let ended = world.violation().map_or(world.now, |violation| violation.at);
        tally.simulated += since_begin(ended);
        if let Some(violation) = world.take_violation() {
            tally.found.push(Found { case, violation });
        }
    }
    Ok(tally)
}

/// CPU time of this process, in seconds.
pub(super) fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn print(asked: &Words, tally: &Tally, cpu: f64) {
    let seeds = asked.seeds.as_ref().map_or(0, |seeds| seeds.end - seeds.start);
    let violations = tally.found.len();
    let speed = tally.simulated / cpu.max(1e-9);
    let summary = format!(
        "seeds={seeds} schedules={} violations={violations} simulated-seconds={:.0} \
         cpu-seconds={cpu:.2} speed={speed:.0}",
        tally.schedules, tally.simulated
    );
    let mut objects = Vec::new();
    for (number, found) in tally.found.iter().enumerate() {
        let (seed, schedule) = (found.case.seed, found.case.schedule);
        // The rest in one line each, so that a broken rule does not fill the screen.
        let shown = if number < TOLD { found.case.shrunk() } else { found.case.clone() };
        let replay = command(&found.case, &shown);
        let events = if number < TOLD { story(&shown) } else { String::new() };
        if asked.json {
            objects.push(serde_json::json!({
                "seed": seed,
                "schedule": schedule.to_string(),
                "why": found.violation.why,
                "after-seconds": since_begin(found.violation.at),
                "replay": replay,
                "script": script::text(&shown.script).lines().collect::<Vec<_>>(),
                "events": events.lines().collect::<Vec<_>>(),
            }));
            continue;
        }
        println!("seed {seed}, {schedule}: {}\n  replay: {replay}", found.violation);
        if number < TOLD {
            println!("  what matters of {} deeds:", found.case.script.len());
            print!("{}", script::text(&shown.script));
            println!("{events}");
        }
    }
    if !asked.json {
        println!("{summary}");
        return;
    }
    let object = serde_json::json!({
        "seeds": seeds,
        "schedules": tally.schedules,
        "violations": violations,
        "simulated-seconds": tally.simulated,
        "cpu-seconds": cpu,
        "speed": speed,
        "found": objects,
    });
    println!("{object}");
    eprintln!("{summary}");
}
