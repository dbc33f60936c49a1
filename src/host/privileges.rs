//! The privileges that the heartbeat daemon keeps: those by which it is in time, ends an agent
//! and opens its port and files. All others are given up before the first packet is read, for
//! good. Its spawner was forked before, and what that starts has all of them.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// What is kept.
///
/// The watchdog needs none: its device and the kernel's reset are root's files. Statefiles and the
/// state directory may belong to other users; root's own files are open to it either way. Without
/// the right to change the kernel's table of neighbours a short cut of a cable lasts up to a second
/// longer ([`super::neighbour`]).
pub const KEPT: CapabilitySet = CapabilitySet::IPC_LOCK
    .union(CapabilitySet::SYS_NICE)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Gives up all others. To be called while the process has one thread; those that it starts
/// inherit what is left.
pub fn give_up() -> std::io::Result<()> {
    let now = capabilities(None)?;
    let kept = now.permitted & KEPT;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: none })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::neighbour::forget;
    use std::net::{Ipv4Addr, UdpSocket};

    #[test]
    fn a_neighbour_can_be_forgotten_as_before() {
        let told = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            forget(&socket, Ipv4Addr::new(127, 0, 0, 2)).map_err(|error| error.raw_os_error())
        };
        let before = told();
        // Privileges are a thread's own; without root's neither answer says more than "no right".
        let after = std::thread::spawn(move || {
            give_up().unwrap();
            told()
        });
        assert_eq!(after.join().unwrap(), before);
    }
}
