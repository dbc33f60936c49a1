//! Random schedules of faults from a seed. The world itself checks after every event that at
//! most one host acts as master and that nobody is called dead while it runs.

use std::fmt;

use super::world::{Path, Unfit, World};
use crate::heartbeat::liveset::Phase;

/// What every seed is played with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Forty faults of all kinds, several at a time; then all is well again.
    Storm,
    /// One fault of one host.
    Single,
}

/// The size of the pools; what is none follows from the schedule and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// The number of hosts.
    pub hosts: Option<usize>,
    /// T in seconds.
    pub timeout_s: Option<u32>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Storm => "storm",
            Self::Single => "single",
        })
    }
}

impl Schedule {
    /// All schedules.
    pub const ALL: [Schedule; 2] = [Schedule::Storm, Schedule::Single];

    /// The world in which this schedule is played; its hosts have not started.
    pub fn world(self, size: Size, seed: u64) -> Result<World, Unfit> {
        let (hosts, timeout_s) = match self {
            Self::Storm => (2 + seed % 3, 3 + 2 * (seed % 3) as u32),
            Self::Single => (2 + seed % 4, [3, 10, 30][(seed % 3) as usize]),
        };
        let hosts = size.hosts.unwrap_or(hosts as usize);
        World::new(hosts, size.timeout_s.unwrap_or(timeout_s), seed)
    }

    /// Forms the pool and plays the schedule until its end or the first violation.
    pub fn play(self, world: &mut World) {
        world.form();
        if world.violation().is_none() {
            match self {
                Self::Storm => storm(world),
                Self::Single => single(world),
            }
        }
    }
}

/// Many faults, then none: the pool comes back by itself, with all hosts and one master.
fn storm(world: &mut World) {
    let hosts = world.machines.len();
    world.boot_reset_hosts = true;
    for _ in 0..40 {
        let pause = 1 + world.chance(4);
        world.run(pause);
        if world.violation().is_some() {
            return;
        }
        disturb(world, hosts as u64);
    }
    for host in 0..hosts {
        world.set_net(host, false);
        world.set_path(host, Path::Fine);
        if world.machines[host].paused {
            world.resume(host);
        }
    }
    let all = |world: &World| {
        (0..hosts).all(|host| {
            let liveset = world.liveset(host);
            liveset.phase == Phase::Armed && liveset.members.len() == hosts
        })
    };
    let limit = 150.max(20 * u64::from(world.timeout_s));
    let back = world.run_until(limit, |world| all(world) && world.acting().len() == 1);
    world.require(back, || format!("the pool is not back within {limit} s"));
}

/// One random fault, or the end of one.
fn disturb(world: &mut World, hosts: u64) {
    let host = world.chance(hosts) as usize;
    let other = world.chance(hosts) as usize;
    match world.chance(12) {
        0 if world.machines[host].alive => {
            world.crash(host);
            world.boot(host);
        }
        1 => world.set_net(host, true),
        2 | 3 => world.set_net(host, false),
        4 => world.cut_way(host, other),
        5 => world.set_path(host, Path::Fails),
        6 => world.set_path(host, Path::Hangs),
        7 | 8 => world.set_path(host, Path::Fine),
        9 => world.pause(host),
        10 if world.machines[host].paused => world.resume(host),
        11 => {
            for host in 0..hosts as usize {
                world.set_path(host, Path::Fails);
            }
        }
        _ => {}
    }
}

/// A fault resets exactly its host: T and three seconds later the others know it dead, go on
/// without it and have one master.
fn single(world: &mut World) {
    let hosts = world.machines.len();
    let timeout = u64::from(world.timeout_s);
    let pause = timeout + world.chance(5);
    world.run(pause);
    let victim = world.chance(hosts as u64) as usize;
    match world.chance(6) {
        0 => world.crash(victim),
        1 if hosts > 2 => world.set_net(victim, true),
        2 => world.set_path(victim, Path::Fails),
        3 => world.set_path(victim, Path::Hangs),
        4 => world.kill_daemon(victim),
        _ => world.pause(victim),
    }
    world.run(timeout + 3);
    let others: Vec<usize> = (0..hosts).filter(|host| *host != victim).collect();
    for other in &others {
        let members = world.members(*other);
        world.require(members == others, || {
            format!("after a fault of host {victim}, host {other} has the members {members:?}")
        });
        let knows = world.knows_dead(*other, victim);
        world.require(knows, || format!("host {other} does not know host {victim} dead"));
        let phase = world.liveset(*other).phase;
        world.require(phase == Phase::Armed, || format!("host {other} is {phase:?}, not armed"));
    }
    let acting = world.acting();
    world.require(acting.len() == 1, || format!("not one master: hosts {acting:?}"));
    let alive = world.machines[victim].alive;
    world.require(!alive, || format!("host {victim} was not reset"));
}
