//! What the kernel knows of the machines on the same wire.
//!
//! A kernel that has lost a neighbour asks for it once a second only, so that after a short cut of
//! a cable the packets are away for up to a second longer than the cable was. Who makes it forget
//! its question lets the next packet ask at once.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// Makes the kernel forget the hardware address of a neighbour; the next packet to it asks anew.
/// An error for an address that is on no wire of this host, or without the right to do so.
pub fn forget(socket: &UdpSocket, address: Ipv4Addr) -> io::Result<()> {
    let family = libc::AF_INET as libc::sa_family_t;
    let mut protocol = libc::sockaddr { sa_family: family, sa_data: [0; 14] };
    // Two bytes of port, then the address.
    for (place, byte) in protocol.sa_data[2..6].iter_mut().zip(address.octets()) {
        *place = byte.cast_signed() as libc::c_char;
    }
    let empty = libc::sockaddr { sa_family: 0, sa_data: [0; 14] };
    let mut request = libc::arpreq {
        arp_pa: protocol,
        arp_ha: empty,
        arp_flags: 0,
        arp_netmask: empty,
        arp_dev: [0; 16],
    };
    // SAFETY: the request is a live `arpreq`, which is what SIOCDARP reads.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCDARP, &raw mut request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
