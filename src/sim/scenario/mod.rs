//! A scenario: a script with what is expected at which times, as text.
//!
//! ```text
//! hosts 3
//! timeouts 3 10 30
//! seeds 1..4
//! vm vm5 order=2 delay=30 size=4 priority=none on=h1 only=h1,h2
//! at T crash h3
//! by 2T+3 members h1 = h1 h2
//! at 3T resets = none
//! ```
//!
//! `at` does something, or says what holds at that time; `by` says what comes true until then.
//! Times are seconds after the pool has formed; `T`, `S` and `b` stand for the timers.

use std::ops::Range;

use super::script::Deed;
use super::world::{FenceDevice, Setting, Wish, World};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::recovery::Limits;

mod expect;

use expect::Expected;

/// What happens, or is expected, at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Do(Deed),
    At(Expected),
    By(Expected),
}

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    setting: Setting,
    /// The values of T that it is played with, in seconds.
    timeouts: Vec<u32>,
    /// The seeds that it is played with.
    seeds: Range<u64>,
    /// The hosts that enable HA; all of them unless some are named.
    enables: Option<Vec<usize>>,
    /// Whether hosts that were reset boot by themselves.
    boots: bool,
    steps: Vec<(String, Step)>,
}

impl Scenario {
    /// Reads a scenario; the error names the line.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let mut scenario = Scenario {
            setting: Setting::of(3, 10),
            timeouts: vec![10],
            seeds: 1..4,
            enables: None,
            boots: false,
            steps: Vec::new(),
        };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            let words: Vec<&str> = line.split_whitespace().collect();
            if !words.is_empty() {
                scenario.line(&words).map_err(|why| format!("{line}: {why}"))?;
            }
        }
        Ok(scenario)
    }

    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        let number = |word: &str| word.parse::<usize>().map_err(|_| format!("{word} is no number"));
        match words {
            ["hosts", n] => self.setting.hosts = number(n)?,
            ["statefiles", n] => self.setting.statefiles = number(n)?,
            ["vms", n] => self.setting.vms = number(n)?,
            ["vm", name, rest @ ..] => {
                let vm = name.strip_prefix("vm").ok_or_else(|| format!("{name} is no VM"))?;
                let vm = number(vm)?;
                self.setting.vms = self.setting.vms.max(vm + 1);
                self.setting.wishes.entry(vm).or_insert_with(|| Wish::of(vm)).take(rest)?;
            }
            ["room", n] => self.setting.room = number(n)? as u64,
            ["guest-shutdown-stays-off"] => self.setting.stays_off = true,
            ["limits", host, pool, attempts] => {
                let attempts = u32::try_from(number(attempts)?).unwrap_or(1);
                let (starts_per_host, starts_per_pool) = (number(host)?, number(pool)?);
                self.setting.limits = Limits { starts_per_host, starts_per_pool, attempts };
            }
            ["witness"] => self.setting.witness = true,
            ["stop-vms"] => self.setting.stop_vms = true,
            ["fence-device", seconds] => {
                let takes = number(seconds)? as u64 * SECOND;
                self.setting.fence_device = Some(FenceDevice { takes, fails: 0 });
            }
            ["braked"] => self.setting.braked = true,
            ["boots"] => self.boots = true,
            ["timeouts", rest @ ..] => {
                let parsed: Result<_, _> = rest.iter().map(|word| word.parse()).collect();
                self.timeouts = parsed.map_err(|_| "these are no numbers".to_owned())?;
            }
            ["seeds", range] => {
                let ends = range.split_once("..").ok_or("A..B is missing")?;
                self.seeds = number(ends.0)? as u64..number(ends.1)? as u64;
            }
            ["enable", rest @ ..] => self.enables = Some(expect::hosts(rest)?),
            ["at", at, rest @ ..] => {
                let step = match Deed::parse(rest) {
                    Ok(deed) => Step::Do(deed),
                    Err(why) => Step::At(Expected::parse(rest).map_err(|e| format!("{e}; {why}"))?),
                };
                self.steps.push(((*at).to_owned(), step));
            }
            ["by", at, rest @ ..] => {
                self.steps.push(((*at).to_owned(), Step::By(Expected::parse(rest)?)));
            }
            _ => return Err("not understood".to_owned()),
        }
        Ok(())
    }

    /// Plays it with every T and every seed; the error is the first story that went wrong.
    pub fn play(&self) -> Result<(), String> {
        for timeout_s in &self.timeouts {
            for seed in self.seeds.clone() {
                let setting = Setting { timeout_s: *timeout_s, ..self.setting.clone() };
                let mut world = World::with(setting, seed).map_err(|why| why.to_string())?;
                world.telling = true;
                self.play_in(&mut world).map_err(|why| {
                    format!("T {timeout_s}, seed {seed}: {why}\n{}", world.story())
                })?;
            }
        }
        Ok(())
    }

    /// What goes wrong when every node breaks that rule, with its story; nothing when nothing does.
    /// It needs the feature `wrong-variants`.
    pub fn broken_by(&self, variant: Variant) -> Option<String> {
        let setting = Setting { variant: Some(variant), ..self.setting.clone() };
        let broken = Scenario { setting, ..self.clone() };
        broken.play().err()
    }

    fn play_in(&self, world: &mut World) -> Result<(), String> {
        world.remembers = true;
        match &self.enables {
            None => world.form(),
            Some(hosts) => {
                world.pool_on = true;
                hosts.iter().for_each(|host| {
                    world.start(*host, true);
                });
            }
        }
        world.boot_reset_hosts = self.boots;
        let begin = world.now;
        for (at, step) in &self.steps {
            let due = begin + world.when(at).ok_or_else(|| format!("{at} is no time"))?;
            match step {
                Step::By(expected) => {
                    while world.now < due && expected.differs(world).is_some() {
                        world.run_for((SECOND / 10).min(due - world.now));
                    }
                }
                _ if due < world.now => {}
                _ => world.run_for(due - world.now),
            }
            if let Some(violation) = world.violation() {
                return Err(violation.to_string());
            }
            match step {
                Step::Do(deed) => world.perform(*deed),
                Step::At(expected) | Step::By(expected) => {
                    if let Some(why) = expected.differs(world) {
                        return Err(format!("at {at}: {why}"));
                    }
                }
            }
        }
        world.violation().map_or(Ok(()), |violation| Err(violation.to_string()))
    }
}

impl World {
    /// A time such as `2T+S-3b+0.5` in nanoseconds.
    fn when(&self, text: &str) -> Option<Nanos> {
        let timing = self.timing();
        let (mut sum, mut sign, mut rest) = (0i64, 1, text);
        loop {
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            let (term, next) = rest.split_at(end);
            let (count, unit) = match term.find(['T', 'S', 'b']) {
                Some(at) => (&term[..at], &term[at..]),
                None => (term, ""),
            };
            let unit = match unit {
                "" => SECOND,
                "T" => timing.t,
                "S" => timing.s,
                "b" => timing.beat,
                _ => return None,
            };
            let count: f64 = if count.is_empty() { 1.0 } else { count.parse().ok()? };
            sum += sign * (count * unit as f64) as i64;
            let mut signs = next.chars();
            match signs.next() {
                Some('+') => sign = 1,
                Some(_) => sign = -1,
                None => return u64::try_from(sum).ok(),
            }
            rest = signs.as_str();
        }
    }
}
