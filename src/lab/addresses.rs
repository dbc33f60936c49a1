//! Which loopback addresses a lab takes: 127.0.N.2 and on, the first N at which nothing listens.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use anyhow::bail;

/// The API's port over TLS, without TLS, and the heartbeat's: unprivileged.
pub const PORTS: (u16, u16, u16) = (9443, 9080, 9694);

/// A block of addresses, held until this is dropped (or the listener's last copy).
#[derive(Debug)]
pub struct Block {
    /// One address a host.
    pub addresses: Vec<IpAddr>,
    /// Listens at 127.0.N.1, so that no other lab takes this block.
    pub held: TcpListener,
}

/// The blocks that a lab looks through.
pub const ALL: RangeInclusive<u8> = 0..=254;

/// Takes the first free one of these blocks for so many hosts.
pub fn take(blocks: RangeInclusive<u8>, hosts: usize) -> anyhow::Result<Block> {
    let last = u8::try_from(hosts + 1).ok().filter(|last| *last < 255);
    let Some(last) = last else { bail!("{hosts} hosts do not fit into a block of addresses") };
    for block in blocks {
        // Whoever holds the first address owns the block; the others may be in use by strangers.
        let Ok(held) = TcpListener::bind((Ipv4Addr::new(127, 0, block, 1), PORTS.0)) else {
            continue;
        };
        let addresses: Vec<_> =
            (2..=last).map(|host| IpAddr::from(Ipv4Addr::new(127, 0, block, host))).collect();
        if addresses.iter().all(|address| is_free(*address)) {
            return Ok(Block { addresses, held });
        }
    }
    bail!("no block of loopback addresses is free for {hosts} hosts")
}

fn is_free(address: IpAddr) -> bool {
    let tcp = |port: u16| TcpListener::bind((address, port)).is_ok();
    tcp(PORTS.0) && tcp(PORTS.1) && UdpSocket::bind((address, PORTS.2)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_labs_beside_each_other_take_different_addresses() {
        let first = take(ALL, 3).unwrap();
        let second = take(ALL, 3).unwrap();
        assert_eq!(first.addresses.len(), 3);
        assert!(first.addresses.iter().all(|address| !second.addresses.contains(address)));
        assert!(take(ALL, 254).is_err());
    }
}
