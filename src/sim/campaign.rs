//! Playing schedules: the pool forms, the deeds are done, all faults end, the pool comes back.
//! The world itself checks after every event what must always hold.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::schedules::Schedule;
use super::script::{Script, Verb};
use super::world::{Setting, Unfit, World};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::timing::MILLISECOND;
use crate::heartbeat::variant::Variant;

/// What the user asked for instead of what the seed says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The number of hosts.
    pub hosts: Option<usize>,
    /// T in seconds.
    pub timeout_s: Option<u32>,
    /// The number of statefiles.
    pub statefiles: Option<usize>,
    /// The rule to break.
    pub variant: Option<Variant>,
}

/// One schedule of one seed.
#[derive(Debug, Clone)]
pub struct Case {
    /// The seed, also of the world's own chance.
    pub seed: u64,
    /// The family.
    pub schedule: Schedule,
    /// What it is played in.
    pub setting: Setting,
    /// What is done.
    pub script: Script,
}

impl Case {
    /// The case of that seed and family.
    pub fn new(schedule: Schedule, seed: u64, wanted: Wanted) -> Self {
        let mut setting = schedule.setting(seed);
        setting.hosts = wanted.hosts.unwrap_or(setting.hosts);
        setting.timeout_s = wanted.timeout_s.unwrap_or(setting.timeout_s);
        setting.statefiles = wanted.statefiles.unwrap_or(setting.statefiles);
        setting.variant = wanted.variant;
        let script = schedule.script(&setting, seed);
        Case { seed, schedule, setting, script }
    }

    /// Plays it to its end or to the first violation. A panic of the rules is a violation too.
    pub fn play(&self, telling: bool) -> Result<World, Unfit> {
        let mut world = World::with(self.setting.clone(), self.seed)?;
        world.telling = telling;
        // What a panic leaves half done is not played on: the violation ends this world.
        let played = catch_unwind(AssertUnwindSafe(|| self.play_in(&mut world)));
        if let Err(panic) = played {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            world.require(false, || format!("a panic: {}", text.unwrap_or("without words")));
        }
        Ok(world)
    }

    fn play_in(&self, world: &mut World) {
        world.remembers = self.script.iter().any(|(_, deed)| deed.verb == Verb::Rewind);
        world.form();
        world.boot_reset_hosts = self.schedule != Schedule::Single;
        let begin = world.now;
        for (at, deed) in &self.script {
            world.run_for((begin + at * MILLISECOND).saturating_sub(world.now));
            if world.violation().is_some() {
                return;
            }
            world.perform(*deed);
        }
        if world.violation().is_some() {
            return;
        }
        if self.schedule == Schedule::Single {
            return self.ends_in_time(world);
        }
        world.run(5 + world.now % 10);
        world.calm();
        let limit = 150.max(20 * u64::from(world.setting.timeout_s));
        world.recover(limit + if self.setting.vms > 0 { 150 } else { 0 });
    }

    /// A fault resets exactly its host: T and three seconds later the others know it dead, go on
    /// without it and have one master.
    fn ends_in_time(&self, world: &mut World) {
        let hosts = world.machines.len();
        let Some(victim) = self.script.first().map(|(_, deed)| deed.args[0] as usize) else {
            return;
        };
        world.run(u64::from(world.setting.timeout_s) + 3);
        let others: Vec<usize> = (0..hosts).filter(|host| *host != victim).collect();
        for other in &others {
            let members = world.members(*other);
            world.require(members == others, || {
                format!("after a fault of h{}, h{} has {members:?}", victim + 1, other + 1)
            });
            let knows = world.knows_dead(*other, victim);
            world.require(knows, || format!("h{} does not know h{} dead", other + 1, victim + 1));
            let phase = world.phase(*other);
            world.require(phase == Phase::Armed, || format!("h{} is {phase:?}", other + 1));
        }
        let acting = world.acting();
        world.require(acting.len() == 1, || format!("not one master: {acting:?}"));
        let alive = world.machines[victim].alive;
        world.require(!alive, || format!("h{} was not reset", victim + 1));
    }

    /// The same with the deeds left out that do not matter: what remains still breaks something.
    pub fn shrunk(&self) -> Case {
        let kind = |case: &Case| {
            let world = case.play(false).ok()?;
            world.violation().map(|violation| kind_of(&violation.why))
        };
        let first = kind(self);
        let breaks = |case: &Case| kind(case) == first;
        let mut best = self.clone();
        let mut size = best.script.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < best.script.len() {
                let mut fewer = best.clone();
                fewer.script.drain(at..(at + size).min(fewer.script.len()));
                if breaks(&fewer) {
                    best = fewer;
                } else {
                    at += size;
                }
            }
            if size == 1 {
                return best;
            }
            size = size.div_ceil(2);
        }
    }
}

/// What kind of violation that is: its words without numbers.
fn kind_of(why: &str) -> String {
    let words = why.split(':').next().unwrap_or(why);
    words.chars().filter(|c| !c.is_ascii_digit()).collect()
}
