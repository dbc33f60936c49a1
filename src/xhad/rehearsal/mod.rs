//! The rehearsal: at its start the daemon lives through whole lives of a pool, in memory.
//!
//! Memory is locked page by page, as it is used. Code that has never run is not in memory, and
//! when the disk under the root file system hangs it cannot be brought there: a daemon that has
//! to decide a view, or to fence, for the first time in just that moment would wait for the disk
//! that it is to judge. So it does all of it once before: hosts form a view, beat and cycle,
//! lose one, decide, suspect, cut their watchdog, announce their death and are reset; all lose
//! the storage and go on by network; one leaves, one disarms. The nodes, the bytes of packets and
//! blocks and the disk cycles are the ones of the running daemon; the watchdogs' own code answers
//! on dummies ([`watchdog::rehearse`]). What the loop does at every turn (waiting, sending,
//! receiving) is used all the time anyway.
//!
//! What is left cold: requests of the administrator, starting a session, and the sentences of
//! rare errors. They run in threads of their own, or before anything is armed; where the loop
//! itself should meet a cold page, it waits, the lease runs out, and the watchdog resets the
//! host: a host lost for nothing, yet nothing runs twice.

pub mod world;

use crate::heartbeat::node::Control;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::Mode;
use crate::host::watchdog;
use world::World;

/// T of the rehearsed pools, in seconds.
const T: u32 = 10;

/// Lives through everything; gives a sentence when a life went another way than it should.
pub fn run() -> Result<(), String> {
    watchdog::rehearse();
    deaths()?;
    network_mode()?;
    orderly_ends()
}

fn expect(what: &str, so: bool) -> Result<(), String> {
    if so { Ok(()) } else { Err(format!("{what} did not happen")) }
}

fn formed() -> Result<World, String> {
    let mut world = World::new(3, T).ok_or("no pool can be made")?;
    world.run_for(5 * SECOND);
    expect("forming", (0..3).all(|host| world.members(host) == 3))?;
    Ok(world)
}

/// One host loses its disk, the next one its power, the last one everything.
fn deaths() -> Result<(), String> {
    let long: Nanos = 2 * u64::from(T) * SECOND;
    let mut world = formed()?;
    world.hosts[2].disk_fails = true;
    world.run_for(long);
    expect("the fence of a host without disk", world.hosts[2].was_reset)?;
    expect("its exclusion", world.members(0) == 2 && world.members(1) == 2)?;
    world.hosts[1].powered = false;
    world.run_for(long);
    expect("the exclusion of a silent host", world.members(0) == 1)?;
    let told = serde_json::to_string(&world.liveset(0)).unwrap_or_default();
    expect("telling of it", told.contains("\"dead\""))?;
    world.hosts[0].disk_fails = true;
    world.run_for(long);
    expect("the end of the last lease", world.hosts[0].was_reset)
}

/// Everybody loses the storage, which comes back later.
fn network_mode() -> Result<(), String> {
    let mut world = formed()?;
    let long: Nanos = 2 * u64::from(T) * SECOND;
    world.hosts.iter_mut().for_each(|host| host.disk_fails = true);
    world.run_for(long);
    let mode = |world: &World| world.liveset(0).mode;
    expect("network mode", mode(&world) == Some(Mode::Network))?;
    world.hosts.iter_mut().for_each(|host| host.disk_fails = false);
    world.run_for(long);
    expect("the way back", mode(&world) == Some(Mode::Disk))?;
    world.hosts[2].net_cut = true;
    world.run_for(long);
    expect("the fence of a host without network", world.hosts[2].was_reset)
}

/// One host disarms when the others know, one leaves, and HA is switched off.
fn orderly_ends() -> Result<(), String> {
    let mut world = formed()?;
    world.control(2, Control::Disarm { force: false });
    world.run_for(3 * SECOND);
    expect("disarming", world.hosts[2].dog.is_none())?;
    let mut world = formed()?;
    world.control(2, Control::Leave);
    world.run_for(5 * SECOND);
    expect("leaving", world.members(0) == 2)?;
    world.control(0, Control::SetMode(Mode::OffPending));
    world.run_for(5 * SECOND);
    world.control(0, Control::SetMode(Mode::Off));
    world.run_for(5 * SECOND);
    expect("switching off", world.hosts.iter().all(|host| host.dog.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::timing::{MILLISECOND, Timing};

    #[test]
    fn a_disk_that_fails_is_not_asked_as_fast_as_it_answers() {
        let mut world = formed().unwrap();
        let beat = Timing::new(T, 3, 0, 10 * MILLISECOND).unwrap().beat;
        // Without network the host bids for a view of its own; its block never gets out.
        world.hosts[2].net_cut = true;
        world.run_for(SECOND / 2);
        world.hosts[2].disk_fails = true;
        let begun = world.now;
        while !world.hosts[2].was_reset {
            world.run_for(MILLISECOND);
        }
        assert!(world.hosts[2].events.iter().any(|event| event.event == "proposal"));
        let most = (2 * (world.now - begun) / beat) as u32 + 2;
        let failed = world.hosts[2].failed_cycles;
        assert!((2..=most).contains(&failed), "{failed} cycles failed, at most {most} should");
    }

    #[test]
    fn every_life_goes_as_it_should() {
        assert_eq!(run(), Ok(()));
    }
}
