//! Random faults from seeds: the world itself checks after every event that at most one host
//! acts as master and that nobody is called dead while it runs.

use crate::heartbeat::liveset::Phase;
use crate::heartbeat::world::{Path, World};

fn seeds(default: u64) -> u64 {
    std::env::var("XE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
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
        4 => world.cut[host][other] = true,
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

#[test]
fn many_faults_never_break_what_must_hold() {
    for seed in 1..=seeds(60) {
        let hosts = 2 + seed % 3;
        let mut world = World::formed(hosts as usize, 3 + 2 * (seed % 3) as u32, seed);
        world.boot_reset_hosts = true;
        for _ in 0..40 {
            let pause = 1 + world.chance(4);
            world.run(pause);
            disturb(&mut world, hosts);
        }
        // When everything is well again, the pool comes back by itself.
        for host in 0..hosts as usize {
            world.set_net(host, false);
            world.set_path(host, Path::Fine);
            if world.machines[host].paused {
                world.resume(host);
            }
        }
        let all = |world: &World| {
            (0..hosts as usize).all(|host| {
                let liveset = world.liveset(host);
                liveset.phase == Phase::Armed && liveset.members.len() == hosts as usize
            })
        };
        let back = world.run_until(150, |world| all(world) && world.acting().len() == 1);
        assert!(back, "seed {seed}: not back\n{}", world.story());
    }
}

#[test]
fn a_single_fault_resets_exactly_its_host() {
    for seed in 1..=seeds(60) {
        let hosts = 2 + (seed % 4) as usize;
        let timeout = [3, 10, 30][(seed % 3) as usize];
        let mut world = World::formed(hosts, timeout, seed);
        let pause = u64::from(timeout) + world.chance(5);
        world.run(pause);
        let victim = world.chance(hosts as u64) as usize;
        let kind = world.chance(6);
        match kind {
            0 => world.crash(victim),
            1 if hosts > 2 => world.set_net(victim, true),
            2 => world.set_path(victim, Path::Fails),
            3 => world.set_path(victim, Path::Hangs),
            4 => world.kill_daemon(victim),
            _ => world.pause(victim),
        }
        world.run(u64::from(timeout) + 3);
        let others: Vec<usize> = (0..hosts).filter(|host| *host != victim).collect();
        for other in &others {
            let told = format!("seed {seed} kind {kind} victim {victim} of {hosts}");
            assert_eq!(world.members(*other), others, "{told}\n{}", world.story());
            assert!(world.knows_dead(*other, victim), "{told}\n{}", world.story());
            assert_eq!(world.liveset(*other).phase, Phase::Armed, "{told}");
        }
        assert_eq!(world.acting().len(), 1);
        assert!(!world.machines[victim].alive);
    }
}
